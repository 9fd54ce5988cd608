//! Keys that a server must have, in addition to what else is demanded of it.

use std::{collections::BTreeSet, str::FromStr, sync::Arc};

use http3_session::{CertificateVerifier, VerificationError, VerificationRequest};
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;
use transaction::CertificateProblem;

use super::{describe::describe, fingerprint::Fingerprint};

/// Public keys by the SHA-256 of their `SubjectPublicKeyInfo`, of which a server's certificate must have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedKeys(BTreeSet<Fingerprint>);

impl PinnedKeys {
    /// By the SHA-256 of each `SubjectPublicKeyInfo` in DER.
    pub fn new(digests: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(digests.into_iter().map(Fingerprint::new).collect())
    }
}

impl FromStr for PinnedKeys {
    type Err = String;

    /// As curl has it: `sha256//BASE64`, several with `;`.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write sha256//BASE64, several with ';'".to_owned();
        let key = |text: &str| {
            text.strip_prefix("sha256//").and_then(Fingerprint::from_base64).ok_or_else(form)
        };
        text.split(';').map(key).collect::<Result<_, _>>().map(Self)
    }
}

/// What another verifier accepts, if the key is one of [`PinnedKeys`].
pub(crate) struct PinningVerifier {
    pub(crate) inner: Arc<dyn CertificateVerifier>,
    pub(crate) keys: PinnedKeys,
}

impl CertificateVerifier for PinningVerifier {
    /// The chain first: a wrong host is worse to know than a wrong key of it.
    fn verify(&self, request: &VerificationRequest) -> Result<(), VerificationError> {
        self.inner.verify(request)?;
        let error = |detail| VerificationError { problem: CertificateProblem::WrongKey, detail };
        let leaf = request.chain.first().ok_or_else(|| error("no certificate was sent".into()))?;
        let leaf = CertificateDer::from(leaf.as_slice());
        let parsed = ParsedCertificate::try_from(&leaf)
            .map_err(|_| error("the certificate can't be read".to_owned()))?;
        let found = Fingerprint::of(&parsed.subject_public_key_info());
        if self.keys.0.contains(&found) {
            return Ok(());
        }
        let found = found.base64();
        Err(error(format!("sha256//{found} is the key of the {}", describe(request, 0))))
    }

    /// Empty if the other's is: nobody knows then what is demanded.
    fn policy(&self) -> String {
        let inner = self.inner.policy();
        if inner.is_empty() {
            return inner;
        }
        let keys: Vec<_> = self.keys.0.iter().map(|key| key.base64()).collect();
        format!("{inner}; keys {}", keys.join(" "))
    }
}
