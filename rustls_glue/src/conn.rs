//! One client connection.

use std::{
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use http1_session::{PlainRead, TlsConn, TlsState};
use rustls::{ClientConnection, HandshakeKind, InvalidMessage, IoState};
use transaction::{Alpn, CertificateProblem, NetError};

use crate::sessions::ConnectionSessions;

/// Output that waits to be sent: as much as one write to a socket takes.
const OUTPUT_LIMIT: usize = 64 * 1024;

/// Decrypted bytes that may wait while more is taken from the network. rustls has a lower limit of its own.
const PLAINTEXT_LIMIT: usize = 64 * 1024;

/// What a server hears of that speaks something else on the port.
const NO_TLS: &str = "what it sent is no TLS; perhaps it speaks something else on this port";

/// A connection of rustls behind [`TlsConn`]. Lives on the socket thread.
///
/// ```text
///   Handshaking ──▶ Unverified ── accepted ──▶ Connected      any ── an error ──▶ Failed
///        └──────────── resumed ───────────────────▲
/// ```
pub struct RustlsConn {
    tls: ClientConnection,
    sessions: Arc<ConnectionSessions>,
    host: String,
    phase: Phase,
    /// Decrypted bytes in rustls.
    waiting: usize,
    /// The peer said `close_notify`.
    peer_closed: bool,
    /// The byte stream has ended.
    stream_ended: bool,
    /// `close_notify` was said.
    closing: bool,
}

enum Phase {
    Handshaking,
    /// The server holds the key of the certificate that it sent, whoever it is.
    Unverified,
    Connected,
    Failed(NetError),
}

impl RustlsConn {
    pub(crate) fn new(
        tls: ClientConnection,
        sessions: Arc<ConnectionSessions>,
        host: String,
    ) -> Self {
        let mut tls = tls;
        tls.set_buffer_limit(Some(OUTPUT_LIMIT));
        Self {
            tls,
            sessions,
            host,
            phase: Phase::Handshaking,
            waiting: 0,
            peer_closed: false,
            stream_ended: false,
            closing: false,
        }
    }

    /// Ends all, now and for good.
    fn fail(&mut self, error: NetError) -> NetError {
        self.sessions.refuse();
        self.phase = Phase::Failed(error.clone());
        error
    }

    /// Nothing of what the network brings is of interest any more.
    fn is_deaf(&self) -> bool {
        self.peer_closed || self.stream_ended
    }

    /// Lets rustls work on what it took.
    fn process(&mut self) -> Result<(), NetError> {
        match self.tls.process_new_packets() {
            Ok(state) => self.note(&state),
            Err(error) => {
                log::debug!("{}: rustls: {error}", self.host);
                let nothing_understood = self.tls.protocol_version().is_none();
                return Err(self.fail(net_error(&error, nothing_understood)));
            }
        }
        if matches!(self.phase, Phase::Handshaking) && !self.tls.is_handshaking() {
            self.handshake_is_done()?;
        }
        Ok(())
    }

    fn note(&mut self, state: &IoState) {
        self.waiting = state.plaintext_bytes_to_read();
        self.peer_closed = state.peer_has_closed();
    }

    fn handshake_is_done(&mut self) -> Result<(), NetError> {
        let protocol = self.tls.alpn_protocol();
        if protocol.is_some_and(|protocol| protocol != Alpn::Http11.token().as_bytes()) {
            // rustls has looked at this already.
            return Err(self.fail(NetError::Internal("TLS chose a protocol that was not offered")));
        }
        if self.is_resumed() {
            self.sessions.accept();
            self.phase = Phase::Connected;
        } else {
            self.phase = Phase::Unverified;
        }
        Ok(())
    }
}

impl TlsConn for RustlsConn {
    fn read_tls(&mut self, bytes: &[u8]) -> Result<usize, NetError> {
        if let Phase::Failed(error) = &self.phase {
            return Err(error.clone());
        }
        let mut rest = bytes;
        while !rest.is_empty() && self.waiting <= PLAINTEXT_LIMIT {
            if self.is_deaf() {
                // What follows the end is no part of anything.
                return Ok(bytes.len());
            }
            match self.tls.read_tls(&mut rest) {
                Ok(count) => {
                    self.process()?;
                    if count == 0 && !self.is_deaf() {
                        return Err(self.fail(too_long()));
                    }
                }
                // rustls is as full as it gets.
                Err(_) if self.waiting > 0 => break,
                Err(_) => return Err(self.fail(too_long())),
            }
        }
        Ok(bytes.len().saturating_sub(rest.len()))
    }

    fn read_tls_end(&mut self) {
        self.stream_ended = true;
        if matches!(self.phase, Phase::Handshaking) {
            self.fail(closed_in_handshake());
        }
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> Result<PlainRead, NetError> {
        if let Phase::Failed(error) = &self.phase {
            return Err(error.clone());
        }
        if self.waiting > 0 {
            if !matches!(self.phase, Phase::Connected) {
                return Ok(PlainRead::Blocked);
            }
            // It can't fail while something waits.
            let count = self.tls.reader().read(buffer).unwrap_or(0);
            self.waiting = self.waiting.saturating_sub(count);
            return Ok(if count == 0 { PlainRead::Blocked } else { PlainRead::Bytes(count) });
        }
        Ok(if self.peer_closed {
            PlainRead::End
        } else if self.stream_ended {
            PlainRead::Truncated
        } else {
            PlainRead::Blocked
        })
    }

    fn write_plain(&mut self, bytes: &[u8]) -> usize {
        if !matches!(self.phase, Phase::Connected) || self.closing {
            return 0;
        }
        self.tls.writer().write(bytes).unwrap_or(0)
    }

    fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    fn write_tls(&mut self, send: &mut dyn FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        let mut sender = Sender { send };
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut sender) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn state(&self) -> TlsState {
        match self.phase {
            Phase::Failed(_) => TlsState::Closed,
            // What waits can still be read.
            _ if self.is_deaf() && self.waiting == 0 => TlsState::Closed,
            Phase::Handshaking => TlsState::Handshaking,
            Phase::Unverified => TlsState::AuthenticationNeeded,
            Phase::Connected => TlsState::Connected,
        }
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        let chain = self.tls.peer_certificates().unwrap_or_default();
        chain.iter().map(|certificate| certificate.as_ref().to_vec()).collect()
    }

    fn authenticated(&mut self, verdict: Result<(), CertificateProblem>) {
        if !matches!(self.phase, Phase::Unverified) {
            return;
        }
        match verdict {
            Ok(()) => {
                self.sessions.accept();
                self.phase = Phase::Connected;
            }
            Err(problem) => {
                // rustls lets nobody send an alert of one's own; this one is the only way to say goodbye.
                self.close_notify();
                let detail = "the verifier did not accept it".to_owned();
                self.fail(NetError::Certificate { host: self.host.clone(), problem, detail });
            }
        }
    }

    fn close_notify(&mut self) {
        if !self.closing {
            self.closing = true;
            self.tls.send_close_notify();
        }
    }

    fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

fn closed_in_handshake() -> NetError {
    NetError::NetReset { reason: "the server closed it during the TLS handshake".to_owned() }
}

/// A message is longer than rustls makes room for.
fn too_long() -> NetError {
    NetError::TlsProtocol("the server sent a message that is longer than any should be".to_owned())
}

/// `nothing_understood`: the server has not yet said anything that is TLS.
fn net_error(error: &rustls::Error, nothing_understood: bool) -> NetError {
    match error {
        rustls::Error::AlertReceived(alert) => {
            NetError::Tls { alert: u8::from(*alert), by_peer: true }
        }
        rustls::Error::InvalidMessage(message) if nothing_understood && is_no_record(message) => {
            NetError::TlsProtocol(NO_TLS.to_owned())
        }
        error => NetError::TlsProtocol(error.to_string()),
    }
}

/// Whether the bytes were no TLS record at all.
fn is_no_record(message: &InvalidMessage) -> bool {
    matches!(
        message,
        InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload
    )
}

/// Where output goes.
struct Sender<'a> {
    send: &'a mut dyn FnMut(&[u8]) -> io::Result<usize>,
}

impl io::Write for Sender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.send)(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
