//! Fingerprints: SHA-256, and how people write it.

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(crate) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a sequence of things, which can't run into each other.
    pub(crate) fn of_all<'a>(things: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut digest = Sha256::new();
        things.for_each(|thing| digest.update(Self::of(thing).0));
        Self(digest.finalize().into())
    }

    /// `AB:CD:…` as openssl has it, or the same without colons; either case.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|letter| *letter != ':').collect();
        let digest = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
        digest.try_into().ok().map(Self)
    }

    pub(crate) fn hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Base64 with its padding, as curl has it.
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        BASE64.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    pub(crate) fn base64(self) -> String {
        BASE64.encode(&self.0)
    }
}
