//! [`RustlsConn`]: rustls' client behind the connection's trait.

use std::{
    fmt,
    io::{self, ErrorKind, Read as _, Write as _},
    sync::Arc,
};

use http1_session::{PlainRead, TlsConn, TlsConnFactory, TlsParameters, TlsState};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, client::Resumption, crypto::ring};
use rustls_pki_types::ServerName;
use transaction::{CertificateProblem, ConnectionInfo, NetError};

use crate::{
    sessions::{Sessions, SessionsOfConnection},
    signatures::SignaturesAlone,
};

/// The only protocol that is spoken over it.
const ALPN: &[u8] = b"http/1.1";

/// How much waits to be sent, encrypted.
const SEND_BUFFER: usize = 64 * 1024;

/// Makes [`RustlsConn`]s, which share the sessions that may be resumed.
pub struct RustlsConnFactory {
    config: ClientConfig,
    sessions: Arc<Sessions>,
    /// What is demanded of certificates: sessions made under another policy are not resumed.
    policy: String,
}

impl RustlsConnFactory {
    /// For connections whose certificates are verified under this policy (see
    /// [`CertificateVerifier::policy`](transaction::CertificateVerifier::policy)).
    ///
    /// # Errors
    /// rustls offers no TLS version: a build without any.
    pub fn new(policy: String) -> Result<Self, NetError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(SignaturesAlone(Arc::clone(&provider)));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| NetError::Internal("rustls offers no version of TLS"))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config, sessions: Arc::default(), policy })
    }

    /// Whom a session belongs to.
    fn session_key(&self, info: &ConnectionInfo) -> String {
        format!("{info}\n{}", self.policy)
    }
}

impl TlsConnFactory for RustlsConnFactory {
    fn connect(&self, parameters: &TlsParameters) -> Result<Box<dyn TlsConn>, NetError> {
        let host = parameters.info.host();
        // Without the root's dot (RFC 6066 §3).
        let name = ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned())
            .map_err(|_| NetError::InvalidUrl(format!("{host:?} is not a host name")))?;
        let key = self.session_key(&parameters.info);
        let sessions = Arc::new(SessionsOfConnection::new(&self.sessions, key));
        let mut config = self.config.clone();
        config.resumption = Resumption::store(Arc::clone(&sessions) as _);
        let mut conn =
            ClientConnection::new(Arc::new(config), name).map_err(|error| net_error(&error))?;
        conn.set_buffer_limit(Some(SEND_BUFFER));
        Ok(Box::new(RustlsConn { conn, sessions, state: TlsState::Handshaking, unread: 0 }))
    }
}

/// One client connection on rustls. Without sockets and without a clock but rustls' own, for the age of sessions.
pub struct RustlsConn {
    conn: ClientConnection,
    sessions: Arc<SessionsOfConnection>,
    state: TlsState,
    /// Decrypted bytes that wait to be read.
    unread: usize,
}

impl fmt::Debug for RustlsConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustlsConn").field("state", &self.state).finish_non_exhaustive()
    }
}

impl RustlsConn {
    fn process(&mut self) -> Result<(), NetError> {
        match self.conn.process_new_packets() {
            Ok(io) => {
                self.unread = io.plaintext_bytes_to_read();
                if self.state == TlsState::Handshaking && !self.conn.is_handshaking() {
                    self.handshake_done();
                }
                Ok(())
            }
            Err(error) => {
                self.state = TlsState::Closed;
                Err(net_error(&error))
            }
        }
    }

    fn handshake_done(&mut self) {
        if self.is_resumed() {
            self.sessions.verdict(true);
            self.state = TlsState::Connected;
        } else {
            self.state = TlsState::AuthenticationNeeded;
        }
    }
}

impl TlsConn for RustlsConn {
    fn read_tls(&mut self, bytes: &[u8]) -> Result<usize, NetError> {
        let mut rest = bytes;
        // What came with the end of the handshake may wait already.
        while !rest.is_empty()
            && self.unread == 0
            && matches!(self.state, TlsState::Handshaking | TlsState::Connected)
        {
            let taken = self.conn.read_tls(&mut rest).map_err(|_| {
                self.state = TlsState::Closed;
                NetError::TlsProtocol("a record that is larger than TLS allows".into())
            })?;
            if taken == 0 {
                break;
            }
            self.process()?;
        }
        Ok(bytes.len() - rest.len())
    }

    fn read_tls_end(&mut self) {
        // Reading nothing is how rustls is told.
        if let Err(error) = self.conn.read_tls(&mut io::empty()) {
            log::debug!("the end of a byte stream: {error}");
        }
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> Result<PlainRead, NetError> {
        if self.state != TlsState::Connected {
            return Ok(PlainRead::Blocked);
        }
        match self.conn.reader().read(buffer) {
            Ok(0) if !buffer.is_empty() => Ok(PlainRead::End),
            Ok(count) => {
                self.unread = self.unread.saturating_sub(count);
                Ok(PlainRead::Bytes(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(PlainRead::Blocked),
            // The only other one.
            Err(_) => Ok(PlainRead::Truncated),
        }
    }

    fn write_plain(&mut self, bytes: &[u8]) -> usize {
        if self.state != TlsState::Connected {
            return 0;
        }
        self.conn.writer().write(bytes).unwrap_or_default()
    }

    fn wants_write(&self) -> bool {
        self.conn.wants_write()
    }

    fn write_tls(&mut self, send: &mut dyn FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while self.conn.wants_write() {
            match self.conn.write_tls(&mut Sender(send)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn state(&self) -> TlsState {
        self.state
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        let chain = self.conn.peer_certificates().unwrap_or_default();
        chain.iter().map(|certificate| certificate.to_vec()).collect()
    }

    fn authenticated(&mut self, verdict: Result<(), CertificateProblem>) {
        if self.state != TlsState::AuthenticationNeeded {
            return;
        }
        self.sessions.verdict(verdict.is_ok());
        // rustls sends alerts of its own verdicts only; the peer learns of this one by the end.
        self.state = if verdict.is_ok() { TlsState::Connected } else { TlsState::Closed };
    }

    fn close_notify(&mut self) {
        self.conn.send_close_notify();
    }

    fn is_resumed(&self) -> bool {
        self.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// The network, as something to be written to.
struct Sender<'a>(&'a mut dyn FnMut(&[u8]) -> io::Result<usize>);

impl io::Write for Sender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.0)(bytes)? {
            0 if !bytes.is_empty() => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A TLS failure in the stack's terms.
fn net_error(error: &rustls::Error) -> NetError {
    match error {
        rustls::Error::AlertReceived(alert) => {
            NetError::Tls { alert: u8::from(*alert), by_peer: true }
        }
        rustls::Error::InvalidMessage(_) => {
            NetError::TlsProtocol(format!("{error}: perhaps it doesn't speak TLS on this port"))
        }
        _ => NetError::TlsProtocol(error.to_string()),
    }
}
