//! A session whose hello was encrypted, as far as that was taken (RFC 9849 §6.1).
//!
//! ```text
//!  No ──► Claimed(public name) ──► Proved ──► the engine says EchRetry: another connection, once
//!              │                     that is who the certificate is for
//!              └──► an error of the certificate
//! ```
//!
//! Whoever refuses has to prove to be the public name. It is not the host that was asked for, and nothing but
//! its wish is learned from it.

use transaction::{EchConfigList, NetError, VerificationError};

/// What a session knows about its ECH.
#[derive(Debug, Default)]
pub(crate) struct SessionEch {
    fallback: Fallback,
    /// It uses what the server gave when it refused another connection.
    pub(crate) is_retry: bool,
    /// The server took the encrypted hello.
    pub(crate) accepted: bool,
}

/// How far ECH was refused.
#[derive(Debug, Default)]
enum Fallback {
    #[default]
    No,
    Claimed(String),
    Proved,
}

impl SessionEch {
    /// The peer refuses, and says that it may.
    pub(crate) fn claimed(&mut self, public_name: &str) {
        self.fallback = Fallback::Claimed(public_name.to_owned());
    }

    /// The certificate was looked at: what a bad one is as an error.
    pub(crate) fn verified(
        &mut self,
        verdict: Result<(), VerificationError>,
        host: &str,
    ) -> Result<(), NetError> {
        match (&self.fallback, verdict) {
            (Fallback::Claimed(_), Ok(())) => self.fallback = Fallback::Proved,
            (_, Ok(())) => {}
            (Fallback::Claimed(public_name), Err(error)) => {
                return Err(error.into_net_error(public_name));
            }
            (_, Err(error)) => return Err(error.into_net_error(host)),
        }
        Ok(())
    }

    /// The handshake ended with this wish of the peer's, which is heard once.
    pub(crate) fn retry(&self, host: &str, config: Vec<u8>) -> NetError {
        let rejected = |reason| NetError::EchRejected { host: host.to_owned(), reason };
        match self.fallback {
            Fallback::No | Fallback::Claimed(_) => {
                rejected("the server did not prove that it may say so")
            }
            Fallback::Proved if self.is_retry => {
                rejected("what the server gave instead was refused as well")
            }
            // Of no version that anybody knows: as good as none.
            Fallback::Proved => NetError::EchRetry(EchConfigList::parse(config).ok()),
        }
    }
}
