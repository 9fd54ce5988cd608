//! What earlier connections left to begin with. Necko's class is `SSLTokensCache`.
//!
//! A server gives out tokens (a TLS ticket, its settings, a proof of our address), and whoever has one goes on
//! from that connection: without a look at the server's certificate, and with early data. So a token is kept
//! under everything that keeps connections apart, and under the policy by which the certificate was verified.

mod file;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use transaction::{ConnectionInfo, Isolation, Route};

pub use file::TokensFileError;

/// No ticket may be used for longer (RFC 8446 §4.6.1).
const LONGEST_LIFE: Duration = Duration::from_hours(7 * 24);

/// A larger token isn't kept. Those of real servers have about two kilobytes.
const LARGEST_TOKEN: usize = 64 * 1024;

/// What a record takes beside its token and its peer's text, about.
const OVERHEAD: usize = 128;

/// A token of a server, opaque to everybody but the engine that it came from. A secret: it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumptionToken {
    bytes: Bytes,
    expires: Instant,
}

impl ResumptionToken {
    /// A token that can be used until `expires`.
    pub fn new(bytes: impl Into<Bytes>, expires: Instant) -> Self {
        Self { bytes: bytes.into(), expires }
    }

    /// The engine's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// From when on it is of no use.
    pub fn expires(&self) -> Instant {
        self.expires
    }
}

impl fmt::Debug for ResumptionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumptionToken")
    }
}

/// Whose token it is, and who may use it (necko's `peerId`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId {
    /// How the certificate was verified.
    policy: String,
    host: String,
    port: u16,
    isolation: Isolation,
    route: Option<Route>,
}

impl PeerId {
    /// The server that `info` leads to, proven by `policy` (of
    /// [`CertificateVerifier::policy`](crate::CertificateVerifier::policy)). The address doesn't matter: whoever
    /// answers there must know what the token says.
    pub fn new(info: &ConnectionInfo, policy: &str) -> Self {
        Self {
            policy: policy.to_owned(),
            host: info.host().to_owned(),
            port: info.port(),
            isolation: info.isolation.clone(),
            route: info.route.clone(),
        }
    }

    /// Bytes of its texts.
    fn len(&self) -> usize {
        let route = self.route.as_ref().map_or(0, |route| route.host.len());
        self.policy.len() + self.host.len() + self.isolation.partition.len() + route
    }
}

/// How much a cache keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokensLimits {
    /// Tokens of one peer (`network.ssl_tokens_cache_records_per_entry`).
    pub per_peer: usize,
    /// Tokens in all.
    pub records: usize,
    /// Bytes in all (`network.ssl_tokens_cache_capacity`).
    pub bytes: usize,
}

impl Default for TokensLimits {
    fn default() -> Self {
        Self { per_peer: 10, records: 4096, bytes: 2 * 1024 * 1024 }
    }
}

/// Tokens, each to be used once. Socket thread; time is an argument.
///
/// When there are too many, those that would expire first go first.
#[derive(Debug, Default)]
pub struct SslTokensCache {
    limits: TokensLimits,
    /// A peer's records, the one that expires first in front.
    peers: BTreeMap<PeerId, VecDeque<Record>>,
    /// All records, likewise.
    by_expiry: BTreeMap<(Instant, u64), PeerId>,
    bytes: usize,
    /// Without what the engine's tokens are of no use; written and read with them.
    engine_key: Bytes,
    /// Of the last record; tells records of the same moment apart.
    serial: u64,
}

#[derive(Debug)]
struct Record {
    serial: u64,
    token: ResumptionToken,
}

impl Record {
    fn place(&self) -> (Instant, u64) {
        (self.token.expires, self.serial)
    }

    fn size(&self, peer: &PeerId) -> usize {
        self.token.bytes.len() + peer.len() + OVERHEAD
    }
}

impl SslTokensCache {
    /// An empty cache.
    pub fn new(limits: TokensLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What the engine needs to understand its tokens in another process; empty if nobody said.
    pub fn engine_key(&self) -> &[u8] {
        &self.engine_key
    }

    /// Says what the engine needs to understand these tokens in another process.
    pub fn set_engine_key(&mut self, key: impl Into<Bytes>) {
        self.engine_key = key.into();
    }

    /// Keeps a token. One that is empty, too large or expired isn't worth it.
    pub fn put(&mut self, peer: &PeerId, mut token: ResumptionToken, now: Instant) {
        if token.bytes.is_empty() || token.bytes.len() > LARGEST_TOKEN || token.expires <= now {
            return;
        }
        if let Some(latest) = now.checked_add(LONGEST_LIFE) {
            token.expires = token.expires.min(latest);
        }
        self.serial = self.serial.wrapping_add(1);
        let record = Record { serial: self.serial, token };
        self.bytes += record.size(peer);
        self.by_expiry.insert(record.place(), peer.clone());
        let records = self.peers.entry(peer.clone()).or_default();
        let at = records.partition_point(|other| other.place() < record.place());
        records.insert(at, record);
        if records.len() > self.limits.per_peer {
            self.pop(peer);
        }
        self.evict(now);
    }

    /// Takes a token of a peer, the one that expires first: it is used once.
    pub fn get(&mut self, peer: &PeerId, now: Instant) -> Option<ResumptionToken> {
        loop {
            let token = self.pop(peer)?.token;
            if token.expires > now {
                return Some(token);
            }
        }
    }

    /// Forgets the tokens of a peer.
    pub fn remove_all(&mut self, peer: &PeerId) {
        while self.pop(peer).is_some() {}
    }

    /// Forgets all tokens.
    pub fn clear(&mut self) {
        self.peers.clear();
        self.by_expiry.clear();
        self.bytes = 0;
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.by_expiry.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_expiry.is_empty()
    }

    /// How many bytes they take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is expired goes, and what there is no room for.
    fn evict(&mut self, now: Instant) {
        while let Some(((expires, _), peer)) = self.by_expiry.first_key_value()
            && (*expires <= now
                || self.bytes > self.limits.bytes
                || self.by_expiry.len() > self.limits.records)
        {
            let peer = peer.clone();
            self.pop(&peer);
        }
    }

    /// Takes the record of a peer that expires first.
    fn pop(&mut self, peer: &PeerId) -> Option<Record> {
        let records = self.peers.get_mut(peer)?;
        let record = records.pop_front()?;
        if records.is_empty() {
            self.peers.remove(peer);
        }
        self.by_expiry.remove(&record.place());
        self.bytes = self.bytes.saturating_sub(record.size(peer));
        Some(record)
    }
}
