//! Chains to roots, by rustls' verifiers.

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
use socket_transport::Clock;
use transaction::{CertificateProblem, NetError};

use super::{
    describe::{describe, out_of_time},
    fingerprint::Fingerprint,
};

/// Verifies chains against roots: the platform's, given ones, or both.
pub struct RootVerifier {
    roots: Roots,
    policy: String,
}

enum Roots {
    Platform {
        /// Those that are trusted in addition.
        extra: Vec<CertificateDer<'static>>,
        /// Loaded at the first use, which is on a worker thread: it reads files.
        loaded: OnceLock<Result<Arc<dyn ServerCertVerifier>, String>>,
    },
    Given(Arc<dyn ServerCertVerifier>),
}

impl RootVerifier {
    /// Verifies by the operating system's roots.
    pub fn platform() -> Self {
        let roots = Roots::Platform { extra: Vec::new(), loaded: OnceLock::new() };
        Self { roots, policy: "platform roots".to_owned() }
    }

    /// Verifies by the operating system's roots and the certificates of a PEM file.
    ///
    /// # Errors
    /// The file can't be read, or holds no certificate that can be a root.
    pub fn platform_and_pem_file(path: &Path) -> Result<Self, NetError> {
        let (_, extra) = read_roots(path)?;
        let policy = format!("platform roots and {}", fingerprint(&extra));
        Ok(Self { roots: Roots::Platform { extra, loaded: OnceLock::new() }, policy })
    }

    /// Verifies by the certificates of a PEM file and no others.
    ///
    /// # Errors
    /// The file can't be read, or holds no certificate that can be a root.
    pub fn from_pem_file(path: &Path) -> Result<Self, NetError> {
        let (store, certificates) = read_roots(path)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
            .build()
            .map_err(|error| problem_with(path, &error.to_string()))?;
        let policy = format!("roots {}", fingerprint(&certificates));
        Ok(Self { roots: Roots::Given(verifier), policy })
    }

    fn verifier(&self) -> Result<&dyn ServerCertVerifier, VerificationError> {
        match &self.roots {
            Roots::Given(verifier) => Ok(verifier.as_ref()),
            Roots::Platform { extra, loaded } => match loaded.get_or_init(|| load(extra)) {
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

/// The certificates of a PEM file, those among them that can't be roots included; and those that can.
fn read_roots(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), NetError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| {
            problem_with(path, &format!("the root certificates can't be read: {error}"))
        })?;
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 {
        return Err(problem_with(path, "there is no root certificate in this file"));
    }
    Ok((store, certificates))
}

fn problem_with(path: &Path, what: &str) -> NetError {
    NetError::InvalidRequest(format!("{}: {what}", path.display()))
}

/// The same for the same certificates, in whatever order.
fn fingerprint(certificates: &[CertificateDer<'_>]) -> String {
    let mut certificates: Vec<&[u8]> = certificates.iter().map(AsRef::as_ref).collect();
    certificates.sort_unstable();
    certificates.dedup();
    Fingerprint::of_all(certificates.into_iter()).hex()
}

fn load(extra: &[CertificateDer<'static>]) -> Result<Arc<dyn ServerCertVerifier>, String> {
    rustls_platform_verifier::Verifier::new_with_extra_roots(extra.iter().cloned(), provider())
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
        let name = ServerName::try_from(request.host.strip_suffix('.').unwrap_or(&request.host))
            .map_err(|_| {
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
            .map_err(|error| error_of(&error, request, now.as_secs()))
    }

    fn policy(&self) -> String {
        self.policy.clone()
    }
}

/// What was wrong, and with which certificate.
fn error_of(error: &rustls::Error, request: &VerificationRequest, now: u64) -> VerificationError {
    use CertificateProblem as P;
    let problem = problem_of(error);
    let detail = match problem {
        P::Expired | P::NotYetValid => {
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            describe(request, out_of_time(request, now))
        }
        P::UnknownIssuer | P::WrongHost => describe(request, 0),
        _ => format!("{error}: {}", describe(request, 0)),
    };
    VerificationError { problem, detail }
}

fn problem_of(error: &rustls::Error) -> CertificateProblem {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(error) = error else {
        return CertificateProblem::Invalid;
    };
    match error {
        E::Expired | E::ExpiredContext { .. } => CertificateProblem::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        // A root of the right name that did not sign it is as good as none: an authority that was
        // made anew under its old name, for one.
        E::UnknownIssuer | E::BadSignature => CertificateProblem::UnknownIssuer,
        E::NotValidForName | E::NotValidForNameContext { .. } => CertificateProblem::WrongHost,
        E::Revoked => CertificateProblem::Revoked,
        _ => CertificateProblem::Invalid,
    }
}
