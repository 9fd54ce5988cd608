//! The cache as bytes, for a file.
//!
//! ```text
//!  "necko tokens\n"  version: u16   engine's key: u16 + bytes
//!  record …          policy, host: text   port: u16   flags: u8   partition: text
//!                    [route: text, port: u16]   expires: u64, seconds of wall time   token: u32 + bytes
//!  checksum: u64     of everything before (FNV-1a)
//! ```
//!
//! Numbers are big-endian; a text is its length (u16) and UTF-8. What belongs to a private context is not written,
//! nor what was verified by a policy without a name, since nobody can tell whether another reader's is the same.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use transaction::{Isolation, Route};

use super::{LARGEST_TOKEN, PeerId, ResumptionToken, SslTokensCache, TokensLimits};

const MAGIC: &[u8] = b"necko tokens\n";
const VERSION: u16 = 1;

/// Bytes of an engine's key, at most.
const LONGEST_KEY: usize = 1024;

const ANONYMOUS: u8 = 1;
const ROUTED: u8 = 2;

/// Why bytes are no cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokensFileError {
    /// They are more than a cache ever becomes.
    #[error("it is too large")]
    TooLarge,
    /// They are something else.
    #[error("it is not a file of session tokens")]
    Foreign,
    /// They were written by another version of this program.
    #[error("its version is {0}, and this program reads version {VERSION}")]
    Version(u16),
    /// They are not what was written: cut short, or changed.
    #[error("it is damaged")]
    Damaged,
}

impl SslTokensCache {
    /// No file is larger.
    pub const MAX_FILE: usize = 4 * 1024 * 1024;

    /// What is to be kept on disk. `now` and `wall` are the same moment.
    pub fn to_bytes(&self, now: Instant, wall: SystemTime) -> Vec<u8> {
        let mut out = Writer(Vec::new());
        out.0.extend_from_slice(MAGIC);
        out.u16(VERSION);
        let key = self.engine_key.get(..self.engine_key.len().min(LONGEST_KEY)).unwrap_or_default();
        out.u16(u16::try_from(key.len()).unwrap_or_default());
        out.0.extend_from_slice(key);
        for (peer, records) in &self.peers {
            if peer.isolation.private || peer.policy.is_empty() {
                continue;
            }
            for record in records {
                let length = out.0.len();
                let expires = wall_seconds(&record.token, now, wall);
                if out.record(peer, expires, record.token.bytes()).is_none() {
                    // A text of more than 64 KiB: no host has such a name.
                    out.0.truncate(length);
                }
            }
        }
        let sum = checksum(&out.0);
        out.u64(sum);
        out.0
    }

    /// What was kept. What has expired meanwhile by the wall clock is left out.
    ///
    /// # Errors
    /// The bytes are not what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(
        bytes: &[u8],
        now: Instant,
        wall: SystemTime,
    ) -> Result<Self, TokensFileError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(TokensFileError::Foreign)?;
        if bytes.len() > Self::MAX_FILE {
            return Err(TokensFileError::TooLarge);
        }
        let version = Reader(rest).u16().ok_or(TokensFileError::Damaged)?;
        if version != VERSION {
            return Err(TokensFileError::Version(version));
        }
        let (content, sum) = bytes.split_last_chunk().ok_or(TokensFileError::Damaged)?;
        // Fuzzing is to come further than to a wrong sum.
        if !cfg!(fuzzing) && checksum(content) != u64::from_be_bytes(*sum) {
            return Err(TokensFileError::Damaged);
        }
        let records = content.get(MAGIC.len() + size_of_val(&version)..);
        let mut reader = Reader(records.ok_or(TokensFileError::Damaged)?);
        let seconds = seconds(wall);
        let mut cache = Self::new(TokensLimits::default());
        let key = reader.key().ok_or(TokensFileError::Damaged)?;
        cache.set_engine_key(key.to_vec());
        while !reader.0.is_empty() {
            let (peer, expires, token) = reader.record().ok_or(TokensFileError::Damaged)?;
            // None such is ever written: any verifier without a name for its policy would take it.
            if peer.policy.is_empty() {
                return Err(TokensFileError::Damaged);
            }
            let left = Duration::from_secs(expires.saturating_sub(seconds));
            // What can't be said in this clock is later than any token lives.
            if let Some(expires) = now.checked_add(left.min(super::LONGEST_LIFE)) {
                cache.put(&peer, ResumptionToken::new(token.to_vec(), expires), now);
            }
        }
        Ok(cache)
    }
}

fn wall_seconds(token: &ResumptionToken, now: Instant, wall: SystemTime) -> u64 {
    seconds(wall).saturating_add(token.expires.saturating_duration_since(now).as_secs())
}

/// A clock before 1970 is at its beginning.
fn seconds(wall: SystemTime) -> u64 {
    wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// FNV-1a. It finds accidents; whoever may write the file needs no accident.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

struct Writer(Vec<u8>);

impl Writer {
    fn u16(&mut self, number: u16) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) -> Option<()> {
        self.u16(u16::try_from(text.len()).ok()?);
        self.0.extend_from_slice(text.as_bytes());
        Some(())
    }

    fn record(&mut self, peer: &PeerId, expires: u64, token: &[u8]) -> Option<()> {
        let PeerId { policy, host, port, isolation, route } = peer;
        let Isolation { anonymous, private: _, partition } = isolation;
        self.text(policy)?;
        self.text(host)?;
        self.u16(*port);
        let anonymous = if *anonymous { ANONYMOUS } else { 0 };
        let routed = if route.is_some() { ROUTED } else { 0 };
        self.0.push(anonymous | routed);
        self.text(partition)?;
        if let Some(route) = route {
            self.text(&route.host)?;
            self.u16(route.port);
        }
        self.u64(expires);
        self.0.extend_from_slice(&u32::try_from(token.len()).ok()?.to_be_bytes());
        self.0.extend_from_slice(token);
        Some(())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        self.take(length).filter(|key| key.len() <= LONGEST_KEY)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u16()?;
        String::from_utf8(self.take(length.into())?.to_vec()).ok()
    }

    fn record(&mut self) -> Option<(PeerId, u64, &'a [u8])> {
        let (policy, host, port) = (self.text()?, self.text()?, self.u16()?);
        let [flags] = self.array()?;
        if flags & !(ANONYMOUS | ROUTED) != 0 {
            return None;
        }
        let isolation = Isolation {
            anonymous: flags & ANONYMOUS != 0,
            private: false,
            partition: self.text()?,
        };
        let route = if flags & ROUTED == 0 {
            None
        } else {
            Some(Route { host: self.text()?, port: self.u16()? })
        };
        let expires = u64::from_be_bytes(self.array()?);
        let length = usize::try_from(u32::from_be_bytes(self.array()?)).ok()?;
        if length > LARGEST_TOKEN {
            return None;
        }
        let token = self.take(length)?;
        Some((PeerId { policy, host, port, isolation, route }, expires, token))
    }
}
