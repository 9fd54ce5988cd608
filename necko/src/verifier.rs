//! Certificate verification by rustls' verifiers.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use http3_session::{CertificateVerifier, VerificationError, VerificationRequest};
use rustls::{
    CertificateError, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use socket_transport::Clock;
use transaction::{CertificateProblem, NetError};

/// Verifies chains against roots: the platform's, or given ones.
pub struct RootVerifier {
    roots: Roots,
    policy: String,
}

enum Roots {
    /// Loaded at the first use, which is on a worker thread: it reads files.
    Platform(OnceLock<Result<Arc<dyn ServerCertVerifier>, String>>),
    Given(Arc<dyn ServerCertVerifier>),
}

impl RootVerifier {
    /// Verifies by the operating system's roots.
    pub fn platform() -> Self {
        Self { roots: Roots::Platform(OnceLock::new()), policy: "platform roots".into() }
    }

    /// Verifies by the certificates of a PEM file and no others.
    ///
    /// # Errors
    /// The file can't be read, or holds no certificate that can be a root.
    pub fn from_pem_file(path: &Path) -> Result<Self, NetError> {
        let problem =
            |what: String| NetError::InvalidRequest(format!("{}: {what}", path.display()));
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| problem(format!("the root certificates can't be read: {error}")))?;
        let mut hash = Sha256::new();
        certificates.iter().for_each(|certificate| hash.update(certificate));
        let policy = format!("roots {:x}", hash.finalize());
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(problem("there is no root certificate in this file".into()));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
            .build()
            .map_err(|error| problem(error.to_string()))?;
        Ok(Self { roots: Roots::Given(verifier), policy })
    }

    fn verifier(&self) -> Result<&dyn ServerCertVerifier, VerificationError> {
        match &self.roots {
            Roots::Given(verifier) => Ok(verifier.as_ref()),
            Roots::Platform(loaded) => match loaded.get_or_init(load_platform_roots) {
                Ok(verifier) => Ok(verifier.as_ref()),
                Err(detail) => Err(VerificationError {
                    problem: CertificateProblem::UnknownIssuer,
                    detail: format!(
                        "this system's root certificates can't be loaded ({detail}); install the package ca-certificates, or name roots yourself"
                    ),
                }),
            },
        }
    }
}

fn load_platform_roots() -> Result<Arc<dyn ServerCertVerifier>, String> {
    rustls_platform_verifier::Verifier::new(provider())
        .map(|verifier| Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
        .map_err(|error| error.to_string())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl CertificateVerifier for RootVerifier {
    fn verify(&self, request: &VerificationRequest) -> Result<(), VerificationError> {
        let invalid =
            |problem, detail: &str| VerificationError { problem, detail: detail.to_owned() };
        let name = ServerName::try_from(request.host.as_str()).map_err(|_| {
            invalid(CertificateProblem::WrongHost, "no certificate can name this host")
        })?;
        let mut chain = request.chain.iter().map(|der| CertificateDer::from(der.as_slice()));
        let leaf = chain
            .next()
            .ok_or_else(|| invalid(CertificateProblem::Missing, "no certificate was sent"))?;
        let intermediates: Vec<_> = chain.collect();
        let now = Clock::system().wall().duration_since(std::time::UNIX_EPOCH).map_err(|_| {
            invalid(CertificateProblem::NotYetValid, "this machine's clock is before 1970")
        })?;
        self.verifier()?
            .verify_server_cert(&leaf, &intermediates, &name, &[], UnixTime::since_unix_epoch(now))
            .map(|_| ())
            .map_err(|error| problem_of(&error))
    }

    fn policy(&self) -> String {
        self.policy.clone()
    }
}

fn problem_of(error: &rustls::Error) -> VerificationError {
    use CertificateError as E;
    let problem = match error {
        rustls::Error::InvalidCertificate(error) => match error {
            E::Expired | E::ExpiredContext { .. } => CertificateProblem::Expired,
            E::NotValidYet | E::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
            // A root of the right name that did not sign it is as good as none: an authority that was
            // made anew under its old name, for one.
            E::UnknownIssuer | E::BadSignature => CertificateProblem::UnknownIssuer,
            E::NotValidForName | E::NotValidForNameContext { .. } => CertificateProblem::WrongHost,
            E::Revoked => CertificateProblem::Revoked,
            _ => CertificateProblem::Invalid,
        },
        _ => CertificateProblem::Invalid,
    };
    VerificationError { problem, detail: error.to_string() }
}

/// Accepts every chain: no protection against somebody in the middle.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcceptAnyCertificate;

impl CertificateVerifier for AcceptAnyCertificate {
    fn verify(&self, _request: &VerificationRequest) -> Result<(), VerificationError> {
        Ok(())
    }

    fn policy(&self) -> String {
        "any certificate".into()
    }
}
