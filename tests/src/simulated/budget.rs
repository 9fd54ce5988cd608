//! How much one turn of a service may do, so that no connection starves the rest of its thread.

use socket_transport::{Limits, ServiceSnapshot};

/// How many rounds of turns may pass in a millisecond of virtual time. The busiest test, a hundred
/// responses at once, needs a twentieth.
pub(super) const ROUNDS_PER_MILLISECOND: u32 = 2_000;

/// What one read may return beyond the socket's budget: a kernel merges no more datagrams than these.
const ONE_READ: u64 = 64;
/// Drives of one connection in one turn: a packet, a timer, `ResumeSend`, `ForceRecv`; and again when it
/// had to be told that it is to close.
const DRIVES: u64 = 8;
/// What one drive may send: as many batches as a session sends before others have their turn, each of as
/// many datagrams as a kernel takes in one call.
const DATAGRAMS_PER_DRIVE: u64 = 64 * 64;

/// Compares a service before and after each turn.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    before: ServiceSnapshot,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, before: ServiceSnapshot::default() }
    }

    /// Panics if the turn that has just ended did too much.
    pub(super) fn check(&mut self, after: ServiceSnapshot) {
        let before = std::mem::replace(&mut self.before, after);
        let after = &self.before;
        // A socket that was closed in this turn had its share as well.
        let sockets = before.sockets.max(after.sockets).max(1) as u64;
        let per_socket = self.limits.datagrams_per_turn as u64 + ONE_READ;
        let received = after.traffic.datagrams_received - before.traffic.datagrams_received;
        assert!(received <= sockets * per_socket, "one turn received {received} datagrams");
        let sent = after.traffic.datagrams_sent - before.traffic.datagrams_sent;
        let most = sockets * DRIVES * DATAGRAMS_PER_DRIVE;
        assert!(sent <= most, "one turn sent {sent} datagrams");
    }
}
