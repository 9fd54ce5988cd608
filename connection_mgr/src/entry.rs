//! All connections and waiting transactions of one destination. Necko's class is `ConnectionEntry`.

use std::sync::Arc;

use transaction::{Alpn, CertificateVerifier, ConnectionInfo};

use crate::{
    addresses::Addresses, ech::EchRetry, half_open::HalfOpen, pending::PendingTransactionQueue,
    target::ConnectionKey,
};

/// The lists of one [`ConnectionInfo`]. A connection is on exactly one of its entry's three lists.
#[derive(Default)]
pub(crate) struct ConnectionEntry {
    /// In use, usable, or being made. Of HTTP/3 at most one; before there is one, one for each address that
    /// is tried.
    pub(crate) active: Vec<ConnectionKey>,
    /// Those of the active ones that are being made.
    pub(crate) connecting: Vec<ConnectionKey>,
    /// Unused, to be used again: never HTTP/3, whose connections wait among the active ones (M4). The one
    /// that is to be used next comes first.
    pub(crate) idle: Vec<ConnectionKey>,
    /// Alive, but no longer to be used; they don't count (necko's `mPendingConns`).
    pub(crate) draining: Vec<ConnectionKey>,
    /// Another entry's connection, whose server is this host's as well.
    pub(crate) coalesced: Option<ConnectionKey>,
    pub(crate) half_open: HalfOpen,
    pub(crate) addresses: Addresses,
    pub(crate) pending: PendingTransactionQueue,
    /// A connection is wanted although nobody waits for it yet: until there is one, whichever address it
    /// goes to.
    pub(crate) speculative: bool,
    /// The server refused ECH; until a connection comes about, this counts instead.
    pub(crate) ech_retry: Option<EchRetry>,
    /// It would make a connection, and stands in the line of those that wait for room.
    pub(crate) starved: bool,
    /// Who verifies certificates in place of the manager's verifier.
    pub(crate) verifier: Option<Arc<dyn CertificateVerifier>>,
}

impl ConnectionEntry {
    /// Whether a connection is wanted, and another may be begun (necko's `AtActiveConnectionLimit`).
    pub(crate) fn wants_connection(&self, info: &ConnectionInfo, max_per_host: usize) -> bool {
        let limit = match info.alpn {
            Alpn::Http3 => 1,
            Alpn::Http11 => max_per_host,
        };
        let wanted = !self.pending.is_empty() || self.speculative && self.active.is_empty();
        // The first one finds the way, and the others take it.
        let on_its_way = !self.connecting.is_empty() && !self.addresses.is_proven();
        wanted && self.half_open.is_idle() && !on_its_way && self.active.len() < limit
    }

    /// Takes a connection off the lists; answers whether it was on one.
    pub(crate) fn remove_connection(&mut self, key: ConnectionKey) -> bool {
        let mut found = false;
        self.connecting.retain(|listed| *listed != key);
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
        self.connecting.retain(|listed| *listed != key);
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

#[cfg(test)]
mod tests {
    use socket_transport::slots::Slots;

    use super::*;

    fn keys() -> [ConnectionKey; 3] {
        let mut slots = Slots::new();
        [1, 2, 3].map(|n| ConnectionKey::new(slots.insert(n)))
    }

    #[test]
    fn m10_each_thing_alone_keeps_an_entry() {
        assert!(ConnectionEntry::default().is_empty());
        let [key, ..] = keys();
        let fill: [fn(&mut ConnectionEntry, ConnectionKey); 5] = [
            |entry, key| entry.active.push(key),
            |entry, key| entry.idle.push(key),
            |entry, key| entry.draining.push(key),
            |entry, key| entry.coalesced = Some(key),
            |entry, _| entry.speculative = true,
        ];
        for fill in fill {
            let mut entry = ConnectionEntry::default();
            fill(&mut entry, key);
            assert!(!entry.is_empty());
        }
    }

    #[test]
    fn m3_a_connection_that_is_removed_is_on_no_list() {
        let [first, second, third] = keys();
        let mut entry = ConnectionEntry::default();
        entry.active.extend([first, second]);
        entry.idle.push(third);
        assert!(entry.remove_connection(first));
        assert!(!entry.remove_connection(first));
        assert!(entry.make_draining(second));
        assert_eq!(entry.connections().collect::<Vec<_>>(), [third, second]);
        assert!(entry.remove_connection(second) && entry.remove_connection(third));
        assert!(entry.is_empty());
    }

    #[test]
    fn m7_only_an_active_connection_begins_to_drain_and_only_once() {
        let [first, second, _] = keys();
        let mut entry = ConnectionEntry::default();
        entry.active.push(first);
        entry.idle.push(second);
        assert!(!entry.make_draining(second));
        assert!(entry.make_draining(first));
        assert!(!entry.make_draining(first));
        assert_eq!((entry.active.len(), &entry.draining[..]), (0, &[first][..]));
    }

    #[test]
    fn m11_no_second_connection_is_wanted_ahead_of_time_nor_more_than_the_limit() {
        let [first, second, third] = keys();
        let info = |alpn| {
            let mut info = ConnectionInfo::new("necko.test", 443);
            info.alpn = alpn;
            info
        };
        let mut entry = ConnectionEntry::default();
        assert!(!entry.wants_connection(&info(Alpn::Http3), 2));
        entry.speculative = true;
        assert!(entry.wants_connection(&info(Alpn::Http3), 2));
        assert!(entry.wants_connection(&info(Alpn::Http11), 2));
        entry.active.push(first);
        assert!(!entry.wants_connection(&info(Alpn::Http3), 2));
        assert!(!entry.wants_connection(&info(Alpn::Http11), 2), "there is one already");
        entry.active.clear();
        entry.draining.extend([first, second, third]);
        assert!(entry.wants_connection(&info(Alpn::Http3), 2), "those don't count");
    }
}
