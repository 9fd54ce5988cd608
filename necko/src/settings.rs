//! What an application can choose about a handler.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use connection_mgr::{ConnectionLimits, Resolve, SystemResolver};
use http3_session::{CertificateVerifier, Http3Settings};
use socket_transport::Limits;
use transaction::{EchConfigList, NetError};

use crate::{
    routes::Routes,
    verifier::{
        AcceptAnyCertificate, CertificateHashes, HashVerifier, PinnedKeys, PinningVerifier,
        RootVerifier,
    },
};

/// How servers prove who they are.
#[derive(Clone, Default)]
pub enum Verification {
    /// By the operating system's roots.
    #[default]
    PlatformRoots,
    /// By the operating system's roots and the certificates of this PEM file.
    PlatformRootsAnd(PathBuf),
    /// By the certificates of this PEM file alone.
    RootsFile(PathBuf),
    /// By showing one of these certificates, whoever signed it, for whatever host and time.
    Certificates(CertificateHashes),
    /// By whatever this says.
    Custom(Arc<dyn CertificateVerifier>),
    /// Not at all: anybody can pretend to be the server. For tests.
    DangerAcceptAny,
}

impl Verification {
    /// The verifier that does it.
    ///
    /// # Errors
    /// The file can't be read or holds no certificate.
    fn verifier(&self) -> Result<Arc<dyn CertificateVerifier>, NetError> {
        Ok(match self {
            Self::PlatformRoots => Arc::new(RootVerifier::platform()),
            Self::PlatformRootsAnd(path) => Arc::new(RootVerifier::platform_and_pem_file(path)?),
            Self::Certificates(hashes) => Arc::new(HashVerifier(hashes.clone())),
            Self::RootsFile(path) => Arc::new(RootVerifier::from_pem_file(path)?),
            Self::Custom(verifier) => Arc::clone(verifier),
            Self::DangerAcceptAny => Arc::new(AcceptAnyCertificate),
        })
    }
}

/// A handler's settings; the defaults are necko's.
#[derive(Clone)]
pub struct Settings {
    /// How servers prove who they are.
    pub verification: Verification,
    /// Keys of which each server must have one besides; also when anybody else would be accepted.
    pub pinned_keys: Option<PinnedKeys>,
    /// How names become addresses.
    pub resolver: Arc<dyn Resolve>,
    /// Where to connect instead of to the hosts of URLs.
    pub routes: Routes,
    /// The ECH configurations of hosts, from wherever the application has them; see
    /// [`HttpHandler::set_ech_config`](crate::HttpHandler::set_ech_config) for later ones.
    pub ech_configs: BTreeMap<String, EchConfigList>,
    /// The engine's knobs.
    pub http3: Http3Settings,
    /// Where to keep what connections leave for later ones, when the handler is shut down. It is read when the
    /// handler is made. Nothing of private contexts is written, nor what a verifier without a
    /// [policy](CertificateVerifier::policy) accepted.
    pub session_file: Option<PathBuf>,
    /// How many connections there may be, and how long one may take to be made.
    pub connections: ConnectionLimits,
    /// How many requests may wait to be taken by the socket thread.
    pub max_submissions: usize,
    /// How many sockets, which is connections, may be open at once; a request that would need one more
    /// waits. (Necko: 1000.) The process must be allowed as many descriptors.
    pub max_sockets: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verification: Verification::default(),
            pinned_keys: None,
            resolver: Arc::new(SystemResolver),
            routes: Routes::default(),
            ech_configs: BTreeMap::new(),
            http3: Http3Settings::default(),
            session_file: None,
            connections: ConnectionLimits::default(),
            max_submissions: 4096,
            max_sockets: Limits::default().max_sockets,
        }
    }
}

impl Settings {
    /// What decides whether a server is who it says.
    ///
    /// # Errors
    /// A file can't be read or holds no certificate.
    pub(crate) fn verifier(&self) -> Result<Arc<dyn CertificateVerifier>, NetError> {
        let inner = self.verification.verifier()?;
        Ok(match &self.pinned_keys {
            Some(keys) => Arc::new(PinningVerifier { inner, keys: keys.clone() }),
            None => inner,
        })
    }
}
