//! Encrypted Client Hello (RFC 9849): the list of configurations that a server publishes, and what a handshake
//! does with it.
//!
//! NSS reads the configurations itself. Here only the outline is checked, so that what an application gives by
//! mistake is refused where it was given, in words, and never reaches the TLS library.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

/// `ECHConfig.version` of RFC 9849.
const VERSION: u16 = 0xfe0d;

/// What a handshake says about ECH.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ech {
    /// Nothing.
    Off,
    /// Something random (GREASE), so that a real one doesn't stand out.
    #[default]
    Grease,
    /// The true hello, encrypted by the first of these configurations that the engine can use.
    Config(EchConfigList),
}

/// Why something is no [`EchConfigList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no ECH configuration: {0}")]
pub struct InvalidEchConfig(&'static str);

/// An `ECHConfigList`, as it stands in a server's HTTPS record. At least one of its configurations has a known
/// version. At most 64 KiB; clones share them.
#[derive(Clone, PartialEq, Eq)]
pub struct EchConfigList {
    bytes: Bytes,
    public_name: String,
}

impl EchConfigList {
    /// Checks the outline of a list.
    ///
    /// # Errors
    /// Its lengths don't fit, or it has no configuration of a known version.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, InvalidEchConfig> {
        let bytes = bytes.into();
        let mut reader = Reader(&bytes);
        let mut list = Reader(reader.vector()?);
        if !reader.0.is_empty() {
            return Err(InvalidEchConfig("something follows the list"));
        }
        let mut public_name = None;
        while !list.0.is_empty() {
            let version = list.u16()?;
            let contents = list.vector()?;
            if version == VERSION {
                let name = read_public_name(Reader(contents))?;
                public_name.get_or_insert(name);
            }
        }
        let public_name = public_name
            .ok_or(InvalidEchConfig("none of the configurations is of version 0xfe0d"))?;
        Ok(Self { bytes, public_name })
    }

    /// The list as it is.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name that the first usable configuration shows to the world instead of the true one.
    pub fn public_name(&self) -> &str {
        &self.public_name
    }
}

impl fmt::Debug for EchConfigList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EchConfigList({} bytes, {:?})", self.bytes.len(), self.public_name)
    }
}

/// The public name among the contents of a configuration (RFC 9849 §4).
fn read_public_name(mut contents: Reader<'_>) -> Result<String, InvalidEchConfig> {
    let _config_id = contents.u8()?;
    let _kem = contents.u16()?;
    let public_key = contents.vector()?;
    let suites = contents.vector()?;
    if public_key.is_empty() || suites.is_empty() {
        return Err(InvalidEchConfig("a configuration has no key, or no cipher suite for it"));
    }
    let _maximum_name_length = contents.u8()?;
    let length = contents.u8()?;
    let name = contents.take(usize::from(length))?;
    let _extensions = contents.vector()?;
    if !contents.0.is_empty() {
        return Err(InvalidEchConfig("something follows the contents of a configuration"));
    }
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() && name.is_ascii() => Ok(name.to_owned()),
        _ => Err(InvalidEchConfig("a configuration's public name is no host name")),
    }
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], InvalidEchConfig> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(InvalidEchConfig("it ends before it should, or a length is wrong"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, InvalidEchConfig> {
        Ok(self.take(1)?.iter().fold(0, |_, byte| *byte))
    }

    fn u16(&mut self) -> Result<u16, InvalidEchConfig> {
        Ok(self.take(2)?.iter().fold(0, |number, byte| (number << 8) | u16::from(*byte)))
    }

    /// What a length of two bytes stands before.
    fn vector(&mut self) -> Result<&'a [u8], InvalidEchConfig> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
#[path = "ech_tests.rs"]
mod tests;
