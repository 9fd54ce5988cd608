//! Makes connections.

use std::sync::Arc;

use http1_session::{TlsConn, TlsConnFactory, TlsParameters};
use rustls::{
    ClientConfig, ClientConnection,
    client::Resumption,
    crypto::{CryptoProvider, ring},
};
use rustls_pki_types::ServerName;
use transaction::{Alpn, NetError};

use crate::{
    conn::RustlsConn,
    sessions::{ConnectionSessions, SessionLimits, SessionStore},
    signatures::SignaturesAlone,
};

/// Makes the connections of a handler, and keeps what they need to be resumed.
pub struct RustlsConnFactory {
    /// Shared by all connections: rustls resumes no session under another verifier object.
    config: ClientConfig,
    sessions: Arc<SessionStore>,
    policy: String,
}

impl RustlsConnFactory {
    /// `policy` names what the verifier demands of certificates: sessions that were accepted under one
    /// policy are not resumed under another.
    ///
    /// # Errors
    /// The cryptography is not usable, which would be a defect.
    pub fn new(policy: String) -> Result<Self, NetError> {
        Self::with_limits(policy, SessionLimits::default())
    }

    /// The same, which keeps as many sessions.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_limits(policy: String, limits: SessionLimits) -> Result<Self, NetError> {
        let config = config(Arc::new(ring::default_provider()))
            .map_err(|_| NetError::Internal("rustls' provider lacks what TLS needs"))?;
        Ok(Self { config, sessions: Arc::new(SessionStore::new(limits)), policy })
    }

    /// Forgets all sessions: what comes next can't be told to be of the same user.
    pub fn forget_sessions(&self) {
        self.sessions.clear();
    }

    /// Whose sessions are whose. The parts can't run into each other: a length goes first.
    fn key(&self, parameters: &TlsParameters) -> String {
        format!("{}:{} {}", self.policy.len(), self.policy, parameters.info)
    }
}

fn config(provider: Arc<CryptoProvider>) -> Result<ClientConfig, rustls::Error> {
    let verifier = Arc::new(SignaturesAlone::new(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![Alpn::Http11.token().as_bytes().to_vec()];
    config.enable_early_data = false;
    // As NSS does: to the file that SSLKEYLOGFILE names, if it names one.
    config.key_log = Arc::new(rustls::KeyLogFile::new());
    Ok(config)
}

impl TlsConnFactory for RustlsConnFactory {
    fn connect(&self, parameters: &TlsParameters) -> Result<Box<dyn TlsConn>, NetError> {
        let host = parameters.info.host();
        // An address is no name: rustls sends no SNI for it.
        // And the root's dot is no part of a name there (RFC 6066 §3).
        let name = ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned())
            .map_err(|_| NetError::InvalidUrl(format!("no TLS server can be called {host:?}")))?;
        let sessions = ConnectionSessions::new(Arc::clone(&self.sessions), self.key(parameters));
        let sessions = Arc::new(sessions);
        let mut config = self.config.clone();
        config.resumption = Resumption::store(Arc::clone(&sessions) as Arc<_>);
        let tls = ClientConnection::new(Arc::new(config), name).map_err(|error| {
            log::warn!("{}: rustls: {error}", parameters.info);
            NetError::Internal("rustls refused to make a connection")
        })?;
        Ok(Box::new(RustlsConn::new(tls, sessions, host.to_owned())))
    }
}
