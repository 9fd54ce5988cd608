//! Certificate verification, as a session asks for it and the front door provides it.

use crate::error::{CertificateProblem, NetError};

/// What has to be verified: a chain as the server sent it, for a host.
#[derive(Debug, Clone)]
pub struct VerificationRequest {
    /// Who the server must be.
    pub host: String,
    /// DER certificates, the server's own first.
    pub chain: Vec<Vec<u8>>,
}

/// Why a chain was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationError {
    /// The kind of problem; decides the alert.
    pub problem: CertificateProblem,
    /// The verifier's words.
    pub detail: String,
}

impl VerificationError {
    /// The error that requests of this connection get.
    pub fn into_net_error(self, host: &str) -> NetError {
        NetError::Certificate { host: host.to_owned(), problem: self.problem, detail: self.detail }
    }
}

/// Decides whether a chain proves a host. Called off the socket thread, from several threads.
pub trait CertificateVerifier: Send + Sync {
    /// Verifies.
    ///
    /// # Errors
    /// What is wrong with the chain.
    fn verify(&self, request: &VerificationRequest) -> Result<(), VerificationError>;

    /// What it verifies by, as a short text without line breaks: two verifiers with equal policies accept the
    /// same servers. A session is resumed only under the policy that accepted its certificate, because a
    /// resumed one shows none. Called on any thread, and cheap.
    ///
    /// Empty, as by default, from a verifier that can't tell: then nothing is kept for resumption.
    fn policy(&self) -> String {
        String::new()
    }
}
