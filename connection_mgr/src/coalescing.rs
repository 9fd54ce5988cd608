//! Connections that other hosts' requests may join (RFC 9114 §3.3). Necko: `mCoalescingHash`.

use std::{collections::BTreeMap, net::IpAddr};

use transaction::{ConnectionInfo, Isolation};

use crate::target::ConnectionKey;

/// What two hosts must have in common before a certificate is looked at: an address, the port, and whose
/// connections they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CoalescingKey {
    address: IpAddr,
    port: u16,
    isolation: Isolation,
}

impl CoalescingKey {
    pub(crate) fn new(info: &ConnectionInfo, address: IpAddr) -> Self {
        Self { address, port: info.port(), isolation: info.isolation.clone() }
    }
}

/// Usable HTTP/3 connections, by what they have in common with others. A connection leaves when it takes no
/// more requests, so that no key in it is ever stale (necko has weak references, and clears them at the next
/// look-up).
#[derive(Debug, Default)]
pub(crate) struct CoalescingTable(BTreeMap<CoalescingKey, Vec<ConnectionKey>>);

impl CoalescingTable {
    pub(crate) fn insert(&mut self, key: CoalescingKey, connection: ConnectionKey) {
        let connections = self.0.entry(key).or_default();
        if !connections.contains(&connection) {
            connections.push(connection);
        }
    }

    pub(crate) fn remove(&mut self, connection: ConnectionKey) {
        self.0.retain(|_, connections| {
            connections.retain(|other| *other != connection);
            !connections.is_empty()
        });
    }

    pub(crate) fn find(&self, key: &CoalescingKey) -> impl Iterator<Item = ConnectionKey> {
        self.0.get(key).into_iter().flatten().copied()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = ConnectionKey> {
        self.0.values().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use socket_transport::slots::Slots;

    use super::*;

    #[test]
    fn m14_a_connection_that_leaves_leaves_alone_and_an_emptied_list_with_it() {
        let mut slots = Slots::new();
        let [first, second, third] = [1, 2, 3].map(|n| ConnectionKey::new(slots.insert(n)));
        let info = ConnectionInfo::new("necko.test", 443);
        let at = |last| CoalescingKey::new(&info, [192, 0, 2, last].into());
        let mut table = CoalescingTable::default();
        table.insert(at(1), first);
        table.insert(at(1), second);
        table.insert(at(1), first);
        table.insert(at(2), third);
        assert_eq!(table.find(&at(1)).collect::<Vec<_>>(), [first, second]);
        table.remove(first);
        table.remove(first);
        assert_eq!(table.connections().collect::<Vec<_>>(), [second, third]);
        table.remove(third);
        assert_eq!((table.find(&at(2)).count(), table.0.len()), (0, 1));
        table.remove(second);
        assert!(table.0.is_empty());
        table.insert(at(1), first);
        table.clear();
        assert!(table.0.is_empty());
    }
}
