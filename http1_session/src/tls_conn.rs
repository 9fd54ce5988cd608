//! TLS as the connection sees it: bytes of the network on one side, bytes of HTTP on the other.
//!
//! [`TlsConn`] is one client connection of some TLS implementation, without sockets and without a clock.
//! `rustls_glue` implements it on rustls; another library would be one more crate.

use transaction::{CertificateProblem, ConnectionInfo, NetError};

/// How far a handshake got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsState {
    /// The peer has not proved that it holds its key.
    Handshaking,
    /// It has, and sent certificates that nobody has verified yet. Nothing of the application leaves
    /// before [`TlsConn::authenticated`].
    AuthenticationNeeded,
    /// Ready for use.
    Connected,
    /// It has ended, with an error or by the peer's `close_notify`.
    Closed,
}

/// What a read of decrypted bytes brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainRead {
    /// So many bytes.
    Bytes(usize),
    /// Nothing is there now.
    Blocked,
    /// The peer has sent `close_notify`: that was all, and nobody cut it off.
    End,
    /// The byte stream ended without `close_notify`: somebody may have cut it off.
    Truncated,
}

/// One client connection of a TLS implementation.
///
/// Lives on the socket thread. No method panics, whatever the peer sent and in whatever state it is. What a
/// call put into the output has to be sent: see [`wants_write`](Self::wants_write).
pub trait TlsConn {
    /// Takes bytes from the network; answers how many. Fewer than all: decrypted bytes wait to be read, and
    /// it takes no more until they are.
    ///
    /// # Errors
    /// The peer broke TLS, or refused. An alert may have to be sent.
    fn read_tls(&mut self, bytes: &[u8]) -> Result<usize, NetError>;

    /// The byte stream has ended.
    fn read_tls_end(&mut self);

    /// Reads decrypted bytes into `buffer`.
    ///
    /// # Errors
    /// As [`read_tls`](Self::read_tls).
    fn read_plain(&mut self, buffer: &mut [u8]) -> Result<PlainRead, NetError>;

    /// Takes bytes to be encrypted; answers how many. Fewer than all: send the output first. None before
    /// [`TlsState::Connected`].
    fn write_plain(&mut self, bytes: &[u8]) -> usize;

    /// Whether there is output.
    fn wants_write(&self) -> bool;

    /// Gives output to `send`, which answers how much it took, until it takes no more or fails.
    ///
    /// # Errors
    /// `send`'s.
    fn write_tls(
        &mut self,
        send: &mut dyn FnMut(&[u8]) -> std::io::Result<usize>,
    ) -> std::io::Result<()>;

    /// How far it got.
    fn state(&self) -> TlsState;

    /// The peer's certificates in DER, its own first.
    fn peer_certificates(&self) -> Vec<Vec<u8>>;

    /// Ends the wait of [`TlsState::AuthenticationNeeded`]; a no-op when nothing waits.
    fn authenticated(&mut self, verdict: Result<(), CertificateProblem>);

    /// Says `close_notify`. Idempotent.
    fn close_notify(&mut self);

    /// Whether an earlier session was resumed, so that no certificate had to be verified.
    fn is_resumed(&self) -> bool;
}

/// What a connection is made for.
#[derive(Debug, Clone)]
pub struct TlsParameters {
    /// Whom it must reach: server name, and the key under which sessions are kept for resumption.
    pub info: ConnectionInfo,
}

/// Makes connections; the front door plugs one in.
pub trait TlsConnFactory {
    /// Makes a client connection, whose first output waits at once.
    ///
    /// # Errors
    /// It can't be made.
    fn connect(&self, parameters: &TlsParameters) -> Result<Box<dyn TlsConn>, NetError>;
}
