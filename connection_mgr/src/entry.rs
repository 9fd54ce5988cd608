//! All connections and waiting transactions of one destination. Necko's class is `ConnectionEntry`.

use crate::{
    half_open::{HalfOpen, Untried},
    pending::PendingTransactionQueue,
    target::ConnectionKey,
};

/// The lists of one [`ConnectionInfo`](crate::ConnectionInfo).
#[derive(Debug, Default)]
pub(crate) struct ConnectionEntry {
    /// Usable, or being made. For HTTP/3 at most one, by type.
    pub(crate) active: Option<ConnectionKey>,
    /// Alive, but no longer to be used; they don't count (necko's `mPendingConns`).
    pub(crate) draining: Vec<ConnectionKey>,
    pub(crate) half_open: HalfOpen,
    pub(crate) untried: Untried,
    pub(crate) pending: PendingTransactionQueue,
}

impl ConnectionEntry {
    /// Whether a connection exists or is under way, so that no other may be opened
    /// (necko's `AtActiveConnectionLimit` for HTTP/3).
    pub(crate) fn at_active_connection_limit(&self) -> bool {
        self.active.is_some() || !matches!(self.half_open, HalfOpen::Idle)
    }

    /// Takes a connection off the lists; answers whether it was on one.
    pub(crate) fn remove_connection(&mut self, key: ConnectionKey) -> bool {
        let active = self.active.take_if(|active| *active == key).is_some();
        let before = self.draining.len();
        self.draining.retain(|draining| *draining != key);
        active || self.draining.len() < before
    }

    /// A connection that must not be used again leaves the place free for another.
    pub(crate) fn make_draining(&mut self, key: ConnectionKey) -> bool {
        let was_active = self.active.take_if(|active| *active == key).is_some();
        if was_active {
            self.draining.push(key);
        }
        was_active
    }

    /// Nothing is left that the manager must remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_none()
            && self.draining.is_empty()
            && self.pending.is_empty()
            && matches!(self.half_open, HalfOpen::Idle)
    }
}
