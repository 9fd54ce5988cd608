//! A UDP socket as the service keeps it: what waits to be sent or read.

use std::io;

use crate::{
    Ready, SendBatch, SendOutcome,
    attached::Common,
    flush::flush,
    network::Poller,
    os::{is_about_a_peer, is_loss},
    receive::ReceiveBuffer,
    slots::Key,
    socket::UdpSocket,
};

/// What a UDP socket has beyond what every socket has.
pub(crate) struct Datagrams {
    pub(crate) udp: UdpSocket,
    /// Whether errors that tell about a peer are returned to the reader.
    reports_errors: bool,
    /// The one batch that found no space.
    pub(crate) blocked: Option<Box<SendBatch>>,
    /// An error that arrived while something else was done.
    pub(crate) pending_error: Option<io::Error>,
}

impl Datagrams {
    pub(crate) fn new(udp: UdpSocket, reports_errors: bool) -> Self {
        Self { udp, reports_errors, blocked: None, pending_error: None }
    }

    /// Before the handler is called: sends the blocked batch.
    pub(crate) fn settle(
        &mut self,
        common: &mut Common,
        mut ready: Ready,
        token: usize,
        poller: &Poller,
    ) -> io::Result<Ready> {
        ready.writable = ready.writable && self.unblock(common, token, poller)?;
        // What sending the batch has brought to light is something to read as well.
        ready.readable |= self.pending_error.is_some();
        Ok(ready)
    }

    /// Sends the blocked batch; true if it is gone. Write interest goes with it (U5, U7).
    fn unblock(&mut self, common: &mut Common, token: usize, poller: &Poller) -> io::Result<bool> {
        let Some(mut batch) = self.blocked.take() else { return Ok(false) };
        match self.flush(common, &mut batch) {
            Ok(SendOutcome::Blocked) => {
                self.blocked = Some(batch);
                return Ok(false);
            }
            Ok(SendOutcome::Sent) => {}
            // The next read returns it.
            Err(error) => self.pending_error = Some(error),
        }
        common.set_write_interest(poller, &mut self.udp, token, false)?;
        Ok(true)
    }

    /// Fills slots of the receive buffer, at most `limit`. False: there is nothing to read. (True
    /// does not promise a datagram: what is of no interest counts against the budget, too.)
    pub(crate) fn fill(
        &mut self,
        common: &mut Common,
        key: Key,
        buffer: &mut ReceiveBuffer,
        limit: usize,
    ) -> io::Result<bool> {
        if let Some(error) = self.pending_error.take() {
            return Err(error);
        }
        // Slots that a handler left unread are lost, as if on the network.
        common.traffic.discarded_receives += buffer.discard() as u64;
        let mut filled = match self.udp.receive(buffer.storage(), limit) {
            Ok(filled) => filled,
            Err(error) => return self.judge_receive_error(common, error),
        };
        let any = filled.iter().any(Option::is_some);
        for slot in &mut filled {
            let Some(raw) = slot else { continue };
            let datagrams = raw.datagrams();
            common.used_in_turn += datagrams;
            common.traffic.datagrams_received += datagrams as u64;
            common.traffic.bytes_received += raw.len as u64;
            // Nobody can be answered at port 0.
            if raw.source.port() == 0 {
                common.traffic.discarded_receives += datagrams as u64;
                *slot = None;
            }
        }
        buffer.set_filled(key, &filled);
        Ok(any)
    }

    /// An error that does not concern the reader counts as a datagram; the others are returned.
    fn judge_receive_error(&self, common: &mut Common, error: io::Error) -> io::Result<bool> {
        let about_a_peer = is_about_a_peer(&error);
        common.traffic.network_errors += u64::from(about_a_peer);
        if is_loss(&error) || (about_a_peer && !self.reports_errors) {
            common.used_in_turn += 1;
            return Ok(true);
        }
        Err(error)
    }

    /// Sends the batch, or as much of it as finds space.
    ///
    /// # Errors
    /// As the network says. The batch is empty then; what was left of it is lost.
    pub(crate) fn flush(
        &mut self,
        common: &mut Common,
        batch: &mut SendBatch,
    ) -> io::Result<SendOutcome> {
        let mut stray = None;
        let result = flush(&mut self.udp, batch, &mut common.traffic, &mut stray);
        if let Some(error) = stray {
            self.note_error(common, error);
        }
        result
    }

    /// An error about a peer, to be returned by the next read.
    fn note_error(&mut self, common: &mut Common, error: io::Error) {
        common.traffic.network_errors += 1;
        if self.reports_errors {
            self.pending_error.get_or_insert(error);
        }
    }
}
