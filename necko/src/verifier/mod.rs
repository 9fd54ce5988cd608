//! Whether a server is who it says: chains by rustls' verifiers, and fingerprints.
//!
//! | file | what |
//! |---|---|
//! | `roots` | [`RootVerifier`]: a chain to a root that is trusted |
//! | `hashes` | [`CertificateHashes`]: these certificates, whoever signed them |
//! | `keys` | [`PinnedKeys`]: these keys, in addition to what else is demanded |
//! | `fingerprint` | SHA-256, and how people write it |
//! | `describe` | a certificate in words, for errors |
//!
//! That a server holds the key of the certificate that it sent is proved in each handshake, by the TLS library;
//! nothing here can switch that off.

mod describe;
mod fingerprint;
mod hashes;
mod keys;
mod roots;

use http3_session::{CertificateVerifier, VerificationError, VerificationRequest};

pub use self::{hashes::CertificateHashes, keys::PinnedKeys, roots::RootVerifier};
pub(crate) use self::{hashes::HashVerifier, keys::PinningVerifier};

/// Accepts every chain: no protection against somebody in the middle.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcceptAnyCertificate;

impl CertificateVerifier for AcceptAnyCertificate {
    fn verify(&self, _request: &VerificationRequest) -> Result<(), VerificationError> {
        Ok(())
    }

    fn policy(&self) -> String {
        "any certificate".to_owned()
    }
}
