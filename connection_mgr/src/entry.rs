//! All connections and waiting transactions of one destination. Necko's class is `ConnectionEntry`.

use transaction::{Alpn, ConnectionInfo};

use crate::{
    half_open::{HalfOpen, Untried},
    pending::PendingTransactionQueue,
    target::ConnectionKey,
};

/// The lists of one [`ConnectionInfo`]. A connection is on exactly one of its entry's three lists.
#[derive(Debug, Default)]
pub(crate) struct ConnectionEntry {
    /// In use, usable, or being made. Of HTTP/3 at most one.
    pub(crate) active: Vec<ConnectionKey>,
    /// Unused, to be used again: never HTTP/3, whose connections wait among the active ones (M4). The one
    /// that is to be used next comes first.
    pub(crate) idle: Vec<ConnectionKey>,
    /// Alive, but no longer to be used; they don't count (necko's `mPendingConns`).
    pub(crate) draining: Vec<ConnectionKey>,
    /// Another entry's connection, whose server is this host's as well.
    pub(crate) coalesced: Option<ConnectionKey>,
    pub(crate) half_open: HalfOpen,
    pub(crate) untried: Untried,
    pub(crate) pending: PendingTransactionQueue,
    /// A connection is wanted although nobody waits for it yet.
    pub(crate) speculative: bool,
    /// It would make a connection, and stands in the line of those that wait for room.
    pub(crate) starved: bool,
}

impl ConnectionEntry {
    /// Whether a connection is wanted, and another may be begun (necko's `AtActiveConnectionLimit`).
    pub(crate) fn wants_connection(&self, info: &ConnectionInfo, max_per_host: usize) -> bool {
        let limit = match info.alpn {
            Alpn::Http3 => 1,
            Alpn::Http11 => max_per_host,
        };
        (self.speculative || !self.pending.is_empty())
            && self.half_open.is_idle()
            && self.active.len() < limit
    }

    /// Takes a connection off the lists; answers whether it was on one.
    pub(crate) fn remove_connection(&mut self, key: ConnectionKey) -> bool {
        let mut found = false;
        for list in [&mut self.active, &mut self.idle, &mut self.draining] {
            let before = list.len();
            list.retain(|listed| *listed != key);
            found |= list.len() < before;
        }
        found
    }

    /// A connection that must not be used again leaves the place free for another; answers whether it was
    /// active.
    pub(crate) fn make_draining(&mut self, key: ConnectionKey) -> bool {
        let active = self.active.len();
        self.active.retain(|listed| *listed != key);
        let was_active = self.active.len() < active;
        if was_active {
            self.draining.push(key);
        }
        was_active
    }

    /// Its connections: the active ones, the idle ones, the draining ones.
    pub(crate) fn connections(&self) -> impl Iterator<Item = ConnectionKey> {
        self.active.iter().chain(&self.idle).chain(&self.draining).copied()
    }

    /// Nothing is left that the manager must remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.connections().next().is_none()
            && self.coalesced.is_none()
            && self.pending.is_empty()
            && self.half_open.is_idle()
            && !self.speculative
    }
}
