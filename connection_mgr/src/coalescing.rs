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
