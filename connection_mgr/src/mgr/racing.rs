//! Several addresses of a host race for the connection (RFC 8305 §5).
//!
//! ```text
//!  dial ─► race: a timer ──── ran out ───► join_race ─► dial …
//!             │
//!             ├── one is connected ──────► end_race: the others are shut down, what was on them goes to it
//!             ├── one has failed ────────► attempt_failed: the next one at once, or who waits fails
//!             └── nobody waits any more ─► give_up_race: all of them are shut down
//! ```
//!
//! Necko races addresses for TCP alone (`DnsAndConnectSocket`'s backup socket) and tries those of HTTP/3 one after
//! the other. Here both kinds of connection race alike.

use std::net::SocketAddr;

use transaction::{ConnectionInfo, NetError};

use super::ConnectionMgr;
use crate::{addresses::Family, connection::Ctx, half_open::HalfOpen, target::ConnectionKey};

impl ConnectionMgr {
    /// If an attempt is under way and there are more addresses, the next will join it after a while.
    pub(super) fn race(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        let Some(entry) = self.entries.get(info) else { return };
        let more = entry.addresses.has_untried() && !entry.connecting.is_empty();
        if !more || !entry.half_open.is_idle() {
            return;
        }
        let attempt = self.new_attempt(ctx, self.parts.limits.attempt_delay);
        if let Some(entry) = self.entries.get_mut(info) {
            entry.half_open = HalfOpen::Racing(attempt);
        }
    }

    /// The next address joins the race. Without room for another connection, those that run will do.
    pub(super) fn join_race(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        let Some(entry) = self.entries.get(info) else { return };
        let in_time = entry.addresses.deadline().is_none_or(|deadline| ctx.now() < deadline);
        let racing = !entry.connecting.is_empty() && entry.addresses.has_untried();
        if racing && in_time && self.has_room(ctx) {
            self.dial(ctx, info);
        }
    }

    /// `peer` has answered. What runs on the other attempts goes to the winner.
    /// The other family is slow if one of its addresses has failed, or began `earlier`.
    pub(super) fn end_race(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
        peer: SocketAddr,
        earlier: &[ConnectionKey],
    ) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        let family = Family::of(peer);
        let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
        let mut lost = entry.addresses.failed(other);
        entry.addresses.note_success(peer);
        let connections = &self.connections;
        let goes_to =
            |key: &ConnectionKey| connections.get(key.slot()).map(|one| one.connection.peer());
        // Who goes to the same address is no rival.
        let losers: Vec<_> =
            entry.connecting.extract_if(.., |key| goes_to(key) != Some(peer)).collect();
        lost |= earlier.iter().filter_map(goes_to).any(|loser| Family::of(loser) == other);
        if entry.half_open.is_racing() {
            self.abandon_half_open(ctx, info);
        }
        if lost || self.slow_families.get(info) == Some(family) {
            self.slow_families.note(info, lost.then_some(other));
        }
        let reason = format!("{peer} has answered first");
        self.shut_down_attempts(ctx, info, &losers, &NetError::NetReset { reason });
    }

    /// An address is out of the race with `error`: the next one is tried at once. If none is left, who waits
    /// is told about all of them.
    pub(super) fn attempt_failed(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
        peer: SocketAddr,
        error: &NetError,
    ) {
        log::debug!(target: "necko::mgr", "{info}: {peer}: {error}");
        let Some(entry) = self.entries.get_mut(info) else { return };
        let was_good = entry.addresses.note_failure(peer, error.clone());
        if self.note_ech_retry(info, error) {
            let reason = error.to_string();
            self.give_up_race(ctx, info, &NetError::NetReset { reason });
            return;
        }
        if !error.is_about_the_address() {
            self.give_up_race(ctx, info, error);
            self.fail_pending(info, error);
            return;
        }
        if self.entries.get(info).is_some_and(|entry| entry.half_open.is_racing()) {
            self.abandon_half_open(ctx, info);
        }
        self.join_race(ctx, info);
        let Some(entry) = self.entries.get_mut(info) else { return };
        let goes_on = !entry.connecting.is_empty() || !entry.addresses.is_empty() || was_good;
        if !goes_on && let Some(error) = entry.addresses.take_error(info) {
            self.fail_pending(info, &error);
        }
    }

    /// A connection takes no more requests. If it never came about, the race goes on without it; without an
    /// error nobody wanted it any more.
    pub(super) fn connection_left(
        &mut self,
        ctx: &mut Ctx<'_>,
        key: ConnectionKey,
        info: &ConnectionInfo,
        failed_to_connect: Option<&NetError>,
    ) {
        let Some(registered) = self.connections.get(key.slot()) else { return };
        let peer = registered.connection.peer();
        if let Some(error) = failed_to_connect {
            self.attempt_failed(ctx, info, peer, error);
        } else if let Some(entry) = self.entries.get_mut(info) {
            entry.speculative = false;
            entry.ech_retry = None;
            self.settle_race(ctx, info);
            self.give_up_unwanted_race(ctx, info);
        }
    }

    /// Without an attempt under way there is no race, and the next address need not wait for anything.
    pub(super) fn settle_race(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        if let Some(entry) = self.entries.get(info)
            && entry.half_open.is_racing()
            && entry.connecting.is_empty()
        {
            self.abandon_half_open(ctx, info);
        }
    }

    /// No attempt is needed any more.
    pub(super) fn give_up_race(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
        error: &NetError,
    ) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        entry.addresses.clear();
        let attempts = std::mem::take(&mut entry.connecting);
        if entry.half_open.is_racing() {
            self.abandon_half_open(ctx, info);
        }
        self.shut_down_attempts(ctx, info, &attempts, error);
    }

    /// Who wanted a connection doesn't any more. Attempts that nothing runs on are of no use then.
    pub(super) fn give_up_unwanted_race(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        let Some(entry) = self.entries.get(info) else { return };
        let wanted = entry.speculative
            || !entry.pending.is_empty()
            || !entry.connecting.iter().all(|key| self.is_unused(*key));
        if !wanted && !entry.connecting.is_empty() {
            self.give_up_race(ctx, info, &NetError::Aborted);
        }
    }

    /// Ends connections that are being made, in this call: a last farewell leaves for each, and its handle's
    /// reclaim takes it off the books.
    fn shut_down_attempts(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
        attempts: &[ConnectionKey],
        error: &NetError,
    ) {
        for key in attempts {
            // So that it is not taken for one more that failed.
            if let Some(entry) = self.entries.get_mut(info) {
                entry.make_draining(*key);
            }
            self.with_connection(ctx, *key, |connection, ctx| {
                connection.shutdown(ctx, error.clone());
            });
        }
    }
}
