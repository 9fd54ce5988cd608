//! A client and a server, and what carries bytes between them.

use std::{
    io::{Read as _, Write as _},
    sync::Arc,
};

use http1_session::{PlainRead, TlsConn, TlsConnFactory as _, TlsParameters, TlsState};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::ring,
    version::{TLS12, TLS13},
};
use rustls_glue::{RustlsConnFactory, SessionLimits};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use transaction::{ConnectionInfo, NetError};

/// Both versions of TLS.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A server's configuration, with a certificate of its own making.
pub(crate) struct Server {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) certificate: CertificateDer<'static>,
}

impl Server {
    pub(crate) fn new(versions: &[&'static SupportedProtocolVersion], alpn: &[&[u8]]) -> Self {
        let names = vec!["example.org".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let certificate = cert.der().clone();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Self { config: Arc::new(config), certificate }
    }

    /// Speaks HTTP/1.1.
    pub(crate) fn http(version: &'static SupportedProtocolVersion) -> Self {
        Self::new(&[version], &[b"http/1.1"])
    }

    pub(crate) fn connection(&self) -> ServerConnection {
        ServerConnection::new(Arc::clone(&self.config)).unwrap()
    }
}

pub(crate) fn factory() -> RustlsConnFactory {
    factory_with("roots", SessionLimits::default())
}

pub(crate) fn factory_with(policy: &str, limits: SessionLimits) -> RustlsConnFactory {
    RustlsConnFactory::with_limits(policy.to_owned(), limits).unwrap()
}

pub(crate) fn info() -> ConnectionInfo {
    ConnectionInfo::new("example.org", 443)
}

/// A client and a server that have not spoken yet.
pub(crate) struct Pair {
    pub(crate) client: Box<dyn TlsConn>,
    pub(crate) server: ServerConnection,
    /// How many bytes travel at once.
    pub(crate) piece: usize,
}

impl Pair {
    pub(crate) fn new(factory: &RustlsConnFactory, info: ConnectionInfo, server: &Server) -> Self {
        let client = factory.connect(&TlsParameters { info }).unwrap();
        Self { client, server: server.connection(), piece: usize::MAX }
    }

    /// One that is [`TlsState::AuthenticationNeeded`].
    pub(crate) fn unverified(server: &Server) -> Self {
        let mut pair = Self::new(&factory(), info(), server);
        pair.exchange().unwrap();
        assert_eq!(pair.client.state(), TlsState::AuthenticationNeeded);
        pair
    }

    /// One that can be used.
    pub(crate) fn connected(server: &Server) -> Self {
        let mut pair = Self::unverified(server);
        pair.client.authenticated(Ok(()));
        assert_eq!(pair.client.state(), TlsState::Connected);
        pair
    }

    /// What the client wants to send.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        let piece = self.piece;
        self.client
            .write_tls(&mut |bytes| {
                let count = bytes.len().min(piece);
                output.extend_from_slice(&bytes[..count]);
                Ok(count)
            })
            .unwrap();
        assert!(!self.client.wants_write());
        output
    }

    /// Carries what the client wants to send; whether there was any.
    pub(crate) fn carry_up(&mut self) -> bool {
        let output = self.output();
        let mut rest = output.as_slice();
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).unwrap();
            // What was wrong shows in what it sends.
            let _ = self.server.process_new_packets();
        }
        !output.is_empty()
    }

    /// Carries what the server wants to send; how much the client did not take.
    pub(crate) fn carry_down(&mut self) -> Result<(bool, Vec<u8>), NetError> {
        let mut input = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut input).unwrap();
        }
        let mut rest = input.as_slice();
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(self.piece)];
            let taken = self.client.read_tls(piece)?;
            rest = &rest[taken..];
            if taken == 0 {
                break;
            }
        }
        Ok((!input.is_empty(), rest.to_vec()))
    }

    /// Carries everything both ways until neither has anything to say.
    pub(crate) fn exchange(&mut self) -> Result<(), NetError> {
        loop {
            let sent = self.carry_up();
            let (received, left) = self.carry_down()?;
            assert!(left.is_empty(), "the client's buffers are full");
            if !sent && !received {
                return Ok(());
            }
        }
    }

    /// Lets the server write, and carries it to the client.
    pub(crate) fn respond(&mut self, bytes: &[u8]) {
        self.server.writer().write_all(bytes).unwrap();
        let (_, left) = self.carry_down().unwrap();
        assert!(left.is_empty(), "the client's buffers are full");
    }

    /// What the server has received.
    pub(crate) fn received(&mut self) -> Vec<u8> {
        let mut received = vec![0; 64 * 1024];
        let count = self.server.reader().read(&mut received).unwrap_or(0);
        received.truncate(count);
        received
    }
}

/// What the client has received, and how that ended.
pub(crate) fn read_all(client: &mut dyn TlsConn) -> Result<(Vec<u8>, PlainRead), NetError> {
    let (mut all, mut piece) = (Vec::new(), [0; 1000]);
    loop {
        match client.read_plain(&mut piece)? {
            PlainRead::Bytes(count) => all.extend_from_slice(&piece[..count]),
            end => return Ok((all, end)),
        }
    }
}
