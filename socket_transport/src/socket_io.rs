//! Reading and writing one socket.
//!
//! ```text
//!   on_socket_ready
//!      loop { io.recv() → datagrams → engine }     until Ok(None): nothing left, or budget used
//!      while !io.is_send_blocked() {               the engine's output, batch by batch
//!          engine → io.batch() → io.send_batch() }
//! ```
//!
//! Take all that the socket has before asking the engine for output: fewer acknowledgements, larger
//! batches.

use std::{io, net::SocketAddr, time::Instant};

use crate::{
    Clock, ReceivedDatagrams, SendBatch, SendOutcome, SocketKey,
    attached::Common,
    datagram_state::Datagrams,
    flush::Sender as _,
    network::Poller,
    receive::{ReceiveBuffer, SLOTS},
};

/// What all sockets share: one receive buffer, one output batch.
pub(crate) struct Buffers {
    pub(crate) receive: ReceiveBuffer,
    pub(crate) send: SendBatch,
}

/// One socket together with the service's shared buffers, borrowed for one drive of an engine.
///
/// Thread: the socket thread. From [`Context::socket_io`](crate::Context::socket_io). Dropping it
/// forgets what was pushed into the batch and not sent.
///
/// Necko: the borrowed descriptor that `neqo_glue` reads and writes (§3.3).
pub struct SocketIo<'a> {
    pub(crate) key: SocketKey,
    pub(crate) common: &'a mut Common,
    pub(crate) datagrams: &'a mut Datagrams,
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) ready_set: &'a mut Vec<SocketKey>,
    pub(crate) poller: &'a Poller,
    pub(crate) clock: &'a Clock,
    /// Datagrams that the socket may receive in one turn.
    pub(crate) budget: usize,
}

impl SocketIo<'_> {
    /// The address that the socket is bound to; the IP address may be "any".
    pub fn local_addr(&self) -> SocketAddr {
        self.datagrams.udp.local_addr()
    }

    /// The service's clock.
    pub fn clock(&self) -> &Clock {
        self.clock
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The next datagrams: those that the system coalesced into one buffer.
    ///
    /// `Ok(None)`: nothing is left to read, and the socket becomes ready again when something
    /// arrives; or the turn's budget is used ([`budget_exhausted`](Self::budget_exhausted)), and the
    /// socket has been put into the sticky ready-set.
    ///
    /// # Errors
    /// What the network reported about a peer (`ConnectionRefused`, `HostUnreachable`, …), once for
    /// each time, on a socket with [`report_transport_errors`](crate::UdpOptions); reading may go on
    /// afterwards. Or what the system says; the socket is of no use then.
    pub fn recv(&mut self) -> io::Result<Option<ReceivedDatagrams<'_>>> {
        while !self.buffers.receive.holds_for(self.key.0) {
            let left = self.budget.saturating_sub(self.common.used_in_turn);
            if left == 0 {
                self.stay_ready();
                return Ok(None);
            }
            // Every slot takes a datagram at least, so that single datagrams never exceed the budget.
            let (key, buffer) = (self.key.0, &mut self.buffers.receive);
            if !self.datagrams.fill(self.common, key, buffer, left.min(SLOTS))? {
                return Ok(None);
            }
        }
        Ok(self.buffers.receive.take())
    }

    /// Whether the socket has received in this turn what it may.
    pub fn budget_exhausted(&self) -> bool {
        self.common.used_in_turn >= self.budget
    }

    /// How many datagrams of one run a single send carries: ask the engine for no more at once. One
    /// where the system does not divide batches.
    pub fn max_datagrams(&self) -> usize {
        self.datagrams.udp.max_segments()
    }

    /// The output batch: fill it, then [send](Self::send_batch) it. Empty at first.
    pub fn batch(&mut self) -> &mut SendBatch {
        self.buffers.send.set_max_datagrams(self.datagrams.udp.max_segments());
        &mut self.buffers.send
    }

    /// Sends the batch and empties it. `Ok(Blocked)`: there was no space. The socket keeps this one
    /// batch, sends it by itself when space returns, and then is reported as `writable`. Until then
    /// nothing else can be sent: datagrams that are pushed meanwhile are dropped by the next call.
    ///
    /// Datagrams that the system has no buffer for, or that are too large for the path, count as
    /// sent: they are lost, as any datagram may be.
    ///
    /// # Errors
    /// As the system says, for example `NetworkUnreachable` without a route. The batch is lost.
    pub fn send_batch(&mut self) -> io::Result<SendOutcome> {
        let batch = &mut self.buffers.send;
        if self.datagrams.blocked.is_some() {
            self.common.traffic.dropped_sends += batch.datagrams() as u64;
            batch.clear();
            return Ok(SendOutcome::Blocked);
        }
        let result = self.datagrams.flush(self.common, batch);
        if let Ok(SendOutcome::Blocked) = result {
            let token = self.key.0.index();
            self.common.set_write_interest(self.poller, &mut self.datagrams.udp, token, true)?;
            self.datagrams.blocked = Some(Box::new(std::mem::take(batch)));
        }
        if self.datagrams.pending_error.is_some() {
            self.stay_ready();
        }
        result
    }

    /// Whether a blocked batch waits: ask the engine for no more output.
    pub fn is_send_blocked(&self) -> bool {
        self.datagrams.blocked.is_some()
    }

    /// As [`Context::stay_ready`](crate::Context::stay_ready).
    pub fn stay_ready(&mut self) {
        self.common.stay_ready(self.key, self.ready_set);
    }
}

impl Drop for SocketIo<'_> {
    fn drop(&mut self) {
        self.buffers.send.clear();
        // What the handler left unread waits as long as no other socket needs the buffer.
        if self.buffers.receive.holds_for(self.key.0) {
            self.stay_ready();
        }
    }
}
