//! A socket as the service keeps it: its condition, and what waits to be sent or read.
//!
//! ```text
//!            open_udp             next turn           close_socket, failure, offline, shutdown
//!   (none) ───────────▶ idle ──────────────▶ active ───────────────┐
//!                         │                                        ▼
//!                         └──────────────────────────────▶ condition set ──▶ detached
//!                                  the same                                  (closed, then
//!                                                                            on_socket_detached)
//! ```

use std::io;

use crate::{
    Detached, SendBatch, SendOutcome, Traffic,
    flush::flush,
    os::{is_about_a_peer, is_loss},
    receive::ReceiveBuffer,
    slots::Key,
    socket::UdpSocket,
};

/// A socket and whom it belongs to (necko: `SocketContext`).
pub(crate) struct Attached<T> {
    pub(crate) target: T,
    pub(crate) socket: Socket,
}

/// A socket and its state: what necko keeps in `nsASocketHandler`.
pub(crate) struct Socket {
    pub(crate) udp: UdpSocket,
    /// Set: the socket is as good as gone, and detached at the next opportunity.
    pub(crate) condition: Option<Detached>,
    /// Whether errors that tell about a peer are returned to the reader.
    reports_errors: bool,
    /// In the sticky ready-set.
    pub(crate) stays_ready: bool,
    /// The one batch that found no space.
    pub(crate) blocked: Option<Box<SendBatch>>,
    /// Datagrams received in the turn `budget_turn`.
    pub(crate) received_in_turn: usize,
    budget_turn: u64,
    /// An error that arrived while something else was done.
    pub(crate) pending_error: Option<io::Error>,
    pub(crate) traffic: Traffic,
}

impl Socket {
    pub(crate) fn new(udp: UdpSocket, reports_errors: bool) -> Self {
        Self {
            udp,
            condition: None,
            reports_errors,
            stays_ready: false,
            blocked: None,
            received_in_turn: 0,
            budget_turn: 0,
            pending_error: None,
            traffic: Traffic::default(),
        }
    }

    /// Bound to loopback: survives offline.
    pub(crate) fn is_local(&self) -> bool {
        self.udp.local_addr().ip().is_loopback()
    }

    /// Begins a new budget with each turn.
    pub(crate) fn enter_turn(&mut self, turn: u64) {
        if self.budget_turn != turn {
            (self.budget_turn, self.received_in_turn) = (turn, 0);
        }
    }

    /// Fills slots of the receive buffer, at most `limit`. False: there is nothing to read. (True
    /// does not promise a datagram: what is of no interest counts against the budget, too.)
    pub(crate) fn fill(
        &mut self,
        key: Key,
        buffer: &mut ReceiveBuffer,
        limit: usize,
    ) -> io::Result<bool> {
        if let Some(error) = self.pending_error.take() {
            return Err(error);
        }
        // Slots that a handler left unread are lost, as if on the network.
        self.traffic.discarded_receives += buffer.discard() as u64;
        let mut filled = match self.udp.receive(buffer.storage(), limit) {
            Ok(filled) => filled,
            Err(error) => return self.judge_receive_error(error),
        };
        let any = filled.iter().any(Option::is_some);
        for slot in &mut filled {
            let Some(raw) = slot else { continue };
            let datagrams = raw.datagrams();
            self.received_in_turn += datagrams;
            self.traffic.datagrams_received += datagrams as u64;
            self.traffic.bytes_received += raw.len as u64;
            // Nobody can be answered at port 0.
            if raw.source.port() == 0 {
                self.traffic.discarded_receives += datagrams as u64;
                *slot = None;
            }
        }
        buffer.set_filled(key, &filled);
        Ok(any)
    }

    /// An error that does not concern the reader counts as a datagram; the others are returned.
    fn judge_receive_error(&mut self, error: io::Error) -> io::Result<bool> {
        let about_a_peer = is_about_a_peer(&error);
        self.traffic.network_errors += u64::from(about_a_peer);
        if is_loss(&error) || (about_a_peer && !self.reports_errors) {
            self.received_in_turn += 1;
            return Ok(true);
        }
        Err(error)
    }

    /// An error about a peer, to be returned by the next read.
    fn note_error(&mut self, error: io::Error) {
        self.traffic.network_errors += 1;
        if self.reports_errors {
            self.pending_error.get_or_insert(error);
        }
    }

    /// Sends the batch, or as much of it as finds space.
    ///
    /// # Errors
    /// As the network says. The batch is empty then; what was left of it is lost.
    pub(crate) fn flush(&mut self, batch: &mut SendBatch) -> io::Result<SendOutcome> {
        let mut stray = None;
        let result = flush(&mut self.udp, batch, &mut self.traffic, &mut stray);
        if let Some(error) = stray {
            self.note_error(error);
        }
        result
    }
}
