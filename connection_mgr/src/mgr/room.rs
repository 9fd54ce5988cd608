//! Room for connections: who finds none waits, and unused connections are asked to leave.

use transaction::ConnectionInfo;

use super::ConnectionMgr;
use crate::{connection::Ctx, target::ConnectionKey};

impl ConnectionMgr {
    pub(super) fn has_room(&self, ctx: &Ctx<'_>) -> bool {
        self.connections.len() < self.parts.limits.max_connections && ctx.can_attach_socket()
    }

    /// An entry has to wait until a connection or a socket is gone.
    pub(super) fn starve(&mut self, info: &ConnectionInfo) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        // The time that it waits here is not the network's.
        entry.addresses.set_deadline(None);
        if !std::mem::replace(&mut entry.starved, true) {
            self.starved.push_back(info.clone());
        }
    }

    /// Those who wait for room look again, as long as there is some. If nobody leaves by himself, the
    /// unused connection that was used least lately is asked to.
    pub(super) fn serve_starved(&mut self, ctx: &mut Ctx<'_>) {
        for _ in 0..self.starved.len() {
            // Each time that it says so, there is a connection fewer.
            while !self.has_room(ctx) {
                if !self.make_room(ctx) {
                    return;
                }
            }
            let Some(info) = self.starved.pop_front() else { return };
            if let Some(entry) = self.entries.get_mut(&info) {
                entry.starved = false;
                self.process_pending_queue(ctx, &info);
            }
        }
    }

    /// Answers whether a connection is gone already. If not, its reclaim will bring us back.
    fn make_room(&mut self, ctx: &mut Ctx<'_>) -> bool {
        if self.leaving() >= self.starved.len() {
            return false;
        }
        let Some((key, idle)) = self.least_lately_used() else { return false };
        log::debug!(target: "necko::mgr", "no room: an unused connection is closed");
        if idle {
            self.remove_connection(ctx, key);
        } else {
            self.with_connection(ctx, key, |connection, _| connection.dont_reuse());
        }
        idle
    }

    /// Connections that will be gone soon.
    fn leaving(&self) -> usize {
        let draining = self.entries.values().flat_map(|entry| &entry.draining);
        draining.filter(|key| self.is_unused(**key)).count()
    }

    pub(super) fn is_unused(&self, key: ConnectionKey) -> bool {
        self.connections.get(key.slot()).is_none_or(|found| found.connection.is_unused())
    }

    /// An unused connection, and whether it is on the idle list.
    fn least_lately_used(&self) -> Option<(ConnectionKey, bool)> {
        let unwanted = self.entries.values().filter(|entry| entry.pending.is_empty());
        let listed = unwanted.flat_map(|entry| {
            let idle = entry.idle.iter().map(|key| (*key, true));
            idle.chain(entry.active.iter().map(|key| (*key, false)))
        });
        listed
            .filter(|(key, _)| self.is_unused(*key))
            .min_by_key(|(key, _)| self.connections.get(key.slot()).map(|found| found.last_used))
    }
}
