//! Connections end: reclaim, and what the application or the system says to all of them at once.

use socket_transport::walk::{Step, step};
use transaction::{ConnectionInfo, NetError};

use super::ConnectionMgr;
use crate::{connection::Ctx, target::ConnectionKey};

impl ConnectionMgr {
    /// The last reference to a connection's handle is gone (necko's `OnMsgReclaimConnection`).
    ///
    /// A connection that may be used again goes to the idle list. An HTTP/3 connection never is: it leaves
    /// every list and the table. Then the entry's queue is served.
    pub(super) fn reclaim_connection(&mut self, ctx: &mut Ctx<'_>, key: ConnectionKey) {
        step(Step::ReclaimConnection);
        let Some(registered) = self.connections.get_mut(key.slot()) else { return };
        if registered.connection.holds_handle() {
            // It was dispatched again before this was delivered, and has a new one.
            return;
        }
        registered.in_use = false;
        self.lifetime.reclaimed += 1;
        if registered.connection.may_be_used_again() && !self.shutting_down {
            let info = registered.info.clone();
            self.insert_idle(&info, key);
            self.settle_race(ctx, &info);
            step(Step::ProcessPendingQueue);
            self.process_pending_queue(ctx, &info);
        } else {
            self.remove_connection(ctx, key);
        }
    }

    /// Before those over which less has come.
    fn insert_idle(&mut self, info: &ConnectionInfo, key: ConnectionKey) {
        let bytes_read = |key: ConnectionKey| {
            self.connections.get(key.slot()).map_or(0, |found| found.connection.bytes_read())
        };
        let Some(entry) = self.entries.get_mut(info) else { return };
        if entry.remove_connection(key) {
            let bytes = bytes_read(key);
            let at = entry.idle.partition_point(|other| bytes_read(*other) >= bytes);
            entry.idle.insert(at, key);
        }
    }

    /// Takes a connection out of everything, and serves the queues of those who used it.
    pub(super) fn remove_connection(&mut self, ctx: &mut Ctx<'_>, key: ConnectionKey) {
        let guests = self.leave_guests(key);
        let Some(mut registered) = self.connections.remove(key.slot()) else { return };
        registered.connection.close(ctx);
        if let Some(entry) = self.entries.get_mut(&registered.info) {
            entry.remove_connection(key);
        }
        self.settle_race(ctx, &registered.info);
        step(Step::ProcessPendingQueue);
        self.process_pending_queue(ctx, &registered.info);
        for guest in guests {
            self.process_pending_queue(ctx, &guest);
        }
    }

    fn keys(&self) -> Vec<ConnectionKey> {
        self.connections.iter().map(|(slot, _)| ConnectionKey::new(slot)).collect()
    }

    fn is_idle(&self, key: ConnectionKey) -> bool {
        let found = self.connections.get(key.slot());
        let entry = found.and_then(|registered| self.entries.get(&registered.info));
        entry.is_some_and(|entry| entry.idle.contains(&key))
    }

    /// No present connection takes further requests. Those that are unused go now, the others when what
    /// runs on them is done (necko's `ClosePersistentConnections`).
    pub(super) fn close_persistent_connections(&mut self, ctx: &mut Ctx<'_>) {
        for key in self.keys() {
            if self.is_idle(key) {
                self.remove_connection(ctx, key);
            } else {
                self.with_connection(ctx, key, |connection, _| connection.dont_reuse());
            }
        }
    }

    /// The machine is on another network: what runs may finish where it is, if it can. Whatever comes now
    /// looks its host up again and connects anew (necko's `OnMsgVerifyTraffic`).
    pub(super) fn network_changed(&mut self, ctx: &mut Ctx<'_>) {
        self.coalescing.clear();
        self.slow_families.clear();
        for info in self.infos() {
            self.abandon_half_open(ctx, &info);
            if let Some(entry) = self.entries.get_mut(&info) {
                entry.addresses.clear();
                entry.coalesced = None;
            }
            // Who waits for a handshake must not wait for the old network.
            let reason = "the network has changed".to_owned();
            self.give_up_race(ctx, &info, &NetError::NetReset { reason });
        }
        for key in self.keys() {
            if self.is_idle(key) {
                self.remove_connection(ctx, key);
                continue;
            }
            let Some(registered) = self.connections.get_mut(key.slot()) else { continue };
            registered.guests.clear();
            registered.strangers.clear();
            if let Some(entry) = self.entries.get_mut(&registered.info) {
                entry.make_draining(key);
            }
            self.with_connection(ctx, key, |connection, _| connection.dont_reuse());
        }
        for info in self.infos() {
            self.process_pending_queue(ctx, &info);
        }
    }

    /// Ends every request and every connection, and goes on (necko's `net:cancel-all-connections`).
    pub(super) fn abort_all_connections(&mut self, ctx: &mut Ctx<'_>) {
        self.drop_what_waits(ctx, &NetError::Aborted);
        for key in self.keys() {
            if self.is_idle(key) {
                self.remove_connection(ctx, key);
            } else {
                self.with_connection(ctx, key, |connection, ctx| {
                    connection.close_transaction(ctx, NetError::Aborted);
                });
            }
        }
        for info in self.infos() {
            self.forget_if_empty(&info);
        }
    }

    fn drop_what_waits(&mut self, ctx: &mut Ctx<'_>, error: &NetError) {
        for info in self.infos() {
            self.fail_pending(&info, error);
            self.abandon_half_open(ctx, &info);
        }
    }

    fn infos(&self) -> Vec<ConnectionInfo> {
        self.entries.keys().cloned().collect()
    }

    /// Ends everything: each transaction with an error, each connection with a `CONNECTION_CLOSE`.
    pub(super) fn shutdown(&mut self, ctx: &mut Ctx<'_>) {
        self.shutting_down = true;
        self.drop_what_waits(ctx, &NetError::ShuttingDown);
        self.entries.clear();
        self.coalescing.clear();
        self.starved.clear();
        for key in self.keys() {
            if let Some(mut registered) = self.connections.remove(key.slot()) {
                registered.connection.shutdown(ctx, NetError::ShuttingDown);
                // Nothing else is left to do for it.
                let tokens = registered.connection.aftermath().tokens;
                self.keep_tokens(ctx, &registered.info, tokens);
            }
        }
        self.watches.forget_ended(ctx);
        ctx.stop();
    }
}
