//! Trust in certificates themselves.

use std::{collections::BTreeSet, str::FromStr};

use http3_session::{CertificateVerifier, VerificationError, VerificationRequest};
use transaction::CertificateProblem;

use super::{describe::describe, fingerprint::Fingerprint};

/// Certificates by their SHA-256. A server that shows one of them, and holds its key, is trusted: whoever signed
/// it, whatever names it has, and whether or not its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateHashes(BTreeSet<Fingerprint>);

impl CertificateHashes {
    /// By the SHA-256 of the certificates in DER.
    pub fn new(digests: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(digests.into_iter().map(Fingerprint::new).collect())
    }
}

impl FromStr for CertificateHashes {
    type Err = String;

    /// As `openssl x509 -fingerprint -sha256` writes it, colons or not; several with `;`.
    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || "write the SHA-256 of a certificate in hexadecimal, several with ';'".to_owned();
        let hash = |text: &str| Fingerprint::from_hex(text.trim()).ok_or_else(form);
        text.split(';').map(hash).collect::<Result<_, _>>().map(Self)
    }
}

/// Accepts the certificates of [`CertificateHashes`].
pub(crate) struct HashVerifier(pub(crate) CertificateHashes);

impl CertificateVerifier for HashVerifier {
    fn verify(&self, request: &VerificationRequest) -> Result<(), VerificationError> {
        let problem = CertificateProblem::Missing;
        let leaf = request.chain.first().ok_or_else(|| VerificationError {
            problem,
            detail: "no certificate was sent".to_owned(),
        })?;
        let found = Fingerprint::of(leaf);
        if self.0.0.contains(&found) {
            return Ok(());
        }
        let detail = format!("the SHA-256 {} is of the {}", found.hex(), describe(request, 0));
        Err(VerificationError { problem: CertificateProblem::UnknownHash, detail })
    }

    fn policy(&self) -> String {
        let hashes: Vec<_> = self.0.0.iter().map(|hash| hash.hex()).collect();
        format!("certificates {}", hashes.join(" "))
    }
}
