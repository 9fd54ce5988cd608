//! What can go wrong, and whose fault it was.

use std::{fmt, io, net::SocketAddr};

use thiserror::Error;

use crate::ech::EchConfigList;

/// An HTTP/3 or QUIC application error code (RFC 9114 §8.1), at most 62 bits wide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(u64);

impl ErrorCode {
    /// `H3_NO_ERROR`
    pub const NO_ERROR: Self = Self(0x100);
    /// `H3_INTERNAL_ERROR`
    pub const INTERNAL_ERROR: Self = Self(0x102);
    /// `H3_EXCESSIVE_LOAD`
    pub const EXCESSIVE_LOAD: Self = Self(0x107);
    /// `H3_REQUEST_REJECTED`: the peer didn't look at the request; it may go again.
    pub const REQUEST_REJECTED: Self = Self(0x10b);
    /// `H3_REQUEST_CANCELLED`
    pub const REQUEST_CANCELLED: Self = Self(0x10c);
    /// `H3_MESSAGE_ERROR`: the head or the body's length was malformed.
    pub const MESSAGE_ERROR: Self = Self(0x10e);
    /// `H3_VERSION_FALLBACK`: the peer wants this request over HTTP/1.1.
    pub const VERSION_FALLBACK: Self = Self(0x110);
    /// `WT_SESSION_GONE`: nobody reads any more what belongs to a session.
    pub const SESSION_GONE: Self = Self(0x170d_7b68);
    /// `WT_BUFFERED_STREAM_REJECTED`: too many streams came before their session was there.
    pub const BUFFERED_STREAM_REJECTED: Self = Self(0x3994_bd84);

    /// The largest value that a QUIC variable-length integer holds.
    const MAX: u64 = (1 << 62) - 1;

    /// A code; values that QUIC can't carry become the largest that it can.
    pub const fn new(code: u64) -> Self {
        if code > Self::MAX { Self(Self::MAX) } else { Self(code) }
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The name in RFC 9114 or RFC 9204, where there is one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x100 => "H3_NO_ERROR",
            0x101 => "H3_GENERAL_PROTOCOL_ERROR",
            0x102 => "H3_INTERNAL_ERROR",
            0x103 => "H3_STREAM_CREATION_ERROR",
            0x104 => "H3_CLOSED_CRITICAL_STREAM",
            0x105 => "H3_FRAME_UNEXPECTED",
            0x106 => "H3_FRAME_ERROR",
            0x107 => "H3_EXCESSIVE_LOAD",
            0x108 => "H3_ID_ERROR",
            0x109 => "H3_SETTINGS_ERROR",
            0x10a => "H3_MISSING_SETTINGS",
            0x10b => "H3_REQUEST_REJECTED",
            0x10c => "H3_REQUEST_CANCELLED",
            0x10d => "H3_REQUEST_INCOMPLETE",
            0x10e => "H3_MESSAGE_ERROR",
            0x10f => "H3_CONNECT_ERROR",
            0x110 => "H3_VERSION_FALLBACK",
            0x200 => "QPACK_DECOMPRESSION_FAILED",
            0x201 => "QPACK_ENCODER_STREAM_ERROR",
            0x202 => "QPACK_DECODER_STREAM_ERROR",
            0x170d_7b68 => "WT_SESSION_GONE",
            0x3994_bd84 => "WT_BUFFERED_STREAM_REJECTED",
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:x})", self.0),
            None => write!(f, "0x{:x}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who has to act for the error to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server answered wrongly, or refused.
    Peer,
    /// The path to the server.
    Network,
    /// This machine, or the application's own decision (cancel, shutdown).
    Local,
    /// The application called with something that can't work.
    Misuse,
    /// A defect in this program; please report it.
    Bug,
}

/// What a connection or a request was doing when its time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutPhase {
    /// The name was looked up.
    Resolve,
    /// No handshake was completed.
    Connect,
    /// Connected, but the peer fell silent for the idle timeout.
    Idle,
    /// The request was sent, and no response began within its limit.
    FirstByte,
    /// The response began, and no more of it came within its limit.
    Read,
    /// The request was not done by its deadline, wherever it was.
    Whole,
}

impl TimeoutPhase {
    /// Whether a connection ran out of time; else one request did, by a limit of its own.
    fn is_the_connections(self) -> bool {
        matches!(self, Self::Resolve | Self::Connect | Self::Idle)
    }
}

impl fmt::Display for TimeoutPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "while looking up the name: the resolver did not answer",
            Self::Connect => "while connecting: the server did not answer",
            Self::Idle => "after the connection was made: the server fell silent",
            Self::FirstByte => {
                "while waiting for the response: the server did not begin it in time"
            }
            Self::Read => "while reading the response: no more of it came in time",
            Self::Whole => "before the request was done",
        })
    }
}

/// What was wrong with a certificate; decides the TLS alert that the server is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateProblem {
    /// The server sent none.
    Missing,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// No trusted root signed it.
    UnknownIssuer,
    /// It is for another host.
    WrongHost,
    /// Its issuer withdrew it.
    Revoked,
    /// Its key is none of those that the application pinned.
    WrongKey,
    /// It is none of those that the application trusts by their hashes.
    UnknownHash,
    /// Anything else: malformed, wrong purpose, bad signature.
    Invalid,
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the server sent no certificate",
            Self::Expired => "the certificate has expired",
            Self::NotYetValid => {
                "the certificate is not valid yet (is this machine's clock right?)"
            }
            Self::UnknownIssuer => "no trusted root signed the certificate",
            Self::WrongHost => "the certificate is for another host",
            Self::Revoked => "the certificate was revoked",
            Self::WrongKey => "the server's key is none of those that were pinned",
            Self::UnknownHash => "the certificate is none of those that are trusted by their hash",
            Self::Invalid => "the certificate is not acceptable",
        })
    }
}

/// Why a redirect was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectProblem {
    /// So many were followed before it, which is the limit.
    TooMany(u32),
    /// It leads to another protocol than https.
    Protocol,
    /// It names no URL that can be fetched.
    Malformed,
    /// It asks for the request's body again, which could be sent once.
    BodyGone,
}

impl fmt::Display for RedirectProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(limit) => write!(f, "the limit of {limit} redirects is reached"),
            Self::Protocol => f.write_str("only https:// may be redirected to"),
            Self::Malformed => f.write_str("that is no URL that can be fetched"),
            Self::BodyGone => f.write_str("the request's body can't be sent a second time"),
        }
    }
}

/// How a request or a connection failed.
///
/// One connection's error ends many transactions, hence `Clone`. Necko's names are in the rustdoc of the
/// variants; [`NetError::fault`] says whose fault it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetError {
    /// `NS_ERROR_UNKNOWN_HOST`: the name has no address.
    #[error("could not resolve host {host}: {reason}")]
    UnknownHost {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// `NS_ERROR_CONNECTION_REFUSED`: nobody listens on that port, or the host is unreachable.
    #[error(
        "{peer} refused the connection: nothing listens on that port, or the way to it is closed"
    )]
    ConnectionRefused {
        /// The last address that was tried.
        peer: SocketAddr,
    },
    /// The host has several addresses, and none of them could be reached.
    #[error("could not connect to {host}: {}", each(attempts))]
    NoAddressAnswered {
        /// The name that was looked up.
        host: String,
        /// Each address and why it could not be reached, in the order of failing.
        attempts: Vec<(SocketAddr, NetError)>,
    },
    /// `NS_ERROR_NET_TIMEOUT`.
    #[error("timed out {0}")]
    NetTimeout(TimeoutPhase),
    /// `NS_ERROR_NET_RESET`: the connection ended under the request, through no fault of the request.
    #[error("the connection was closed before the response began: {reason}")]
    NetReset {
        /// What ended the connection.
        reason: String,
    },
    /// `NS_ERROR_NET_INTERRUPT`: the server reset this stream before it answered.
    #[error("the server reset the request with {code}")]
    NetInterrupt {
        /// The code of its `RESET_STREAM` or `STOP_SENDING`.
        code: ErrorCode,
    },
    /// 421: the server is not the one to ask. Never delivered: the request goes to a fresh connection, and
    /// a second 421 is delivered as the response that it is.
    #[error("the server says that the request was not meant for it")]
    MisdirectedRequest,
    /// 425: the server wants the request again when it knows that nobody replays it. Never delivered: the request
    /// goes again when the handshake is complete, and a second 425 is delivered as the response that it is.
    #[error("the server wants this request after the handshake, not in early data")]
    TooEarly,
    /// 408: the server waited too long for the request. Never delivered: the request goes again, and a
    /// second 408 is delivered as the response that it is.
    #[error("the server did not wait for the whole request")]
    RequestTimeout,
    /// 417: the server does not do what `Expect` asks for. Never delivered: the request goes without it.
    #[error("the server does not meet the expectation")]
    ExpectationFailed,
    /// The server could not decrypt the hello, and proved that it may say so. Never delivered: what was to go
    /// goes on a fresh connection with the configuration that the server gave, or without ECH if it gave none.
    #[error("the server wants another ECH configuration, or none")]
    EchRetry(Option<EchConfigList>),
    /// ECH was tried and refused, and there is no other way to try it (curl's `CURLE_ECH_REQUIRED`).
    #[error("{host} refused Encrypted Client Hello: {reason}")]
    EchRejected {
        /// Whom the request was for.
        host: String,
        /// Why it was not tried again.
        reason: &'static str,
    },
    /// The request could have gone again, but bytes of its body have left that can't be had a second time.
    #[error("{0}; the request could go again, but its body can't be sent a second time")]
    BodyNotRewindable(Box<NetError>),
    /// `NS_ERROR_NET_PARTIAL_TRANSFER`: the response broke off. What arrived could be read.
    #[error("the response broke off after {received} bytes{}: {reason}", of(*expected))]
    PartialTransfer {
        /// Body bytes that arrived.
        received: u64,
        /// Body bytes that the head announced.
        expected: Option<u64>,
        /// Why.
        reason: String,
    },
    /// The server broke HTTP (RFC 9110, RFC 9114) in this response.
    #[error("malformed response: {0}")]
    MalformedResponse(String),
    /// `NS_ERROR_REDIRECT_LOOP` and its like: a redirect that is not followed.
    #[error("redirected to {location:?}: {problem}")]
    Redirect {
        /// As the server wrote it.
        location: String,
        /// What is wrong with it.
        problem: RedirectProblem,
    },
    /// `NS_ERROR_INVALID_CONTENT_ENCODING`: the body's coding is unknown, or the body is not in it.
    #[error("the response's content encoding: {0}")]
    ContentEncoding(String),
    /// `NS_ERROR_NET_HTTP3_PROTOCOL_ERROR`: one side found the other breaking HTTP/3 or QPACK.
    #[error("HTTP/3 error {code}{}", by(*by_peer, reason))]
    Http3Protocol {
        /// The code in `CONNECTION_CLOSE`.
        code: ErrorCode,
        /// Whether the peer closed, and so blames us.
        by_peer: bool,
        /// Its words, if any.
        reason: String,
    },
    /// A QUIC transport error (RFC 9000 §20.1).
    #[error("QUIC error {name}{}", by(*by_peer, ""))]
    QuicTransport {
        /// The engine's name of it.
        name: String,
        /// Whether the peer closed.
        by_peer: bool,
    },
    /// A TLS alert ended the handshake (RFC 8446 §6.2); certificates have an error of their own.
    #[error("TLS handshake failed with alert {alert}{}", by(*by_peer, ""))]
    Tls {
        /// The alert's number.
        alert: u8,
        /// Whether the peer sent it.
        by_peer: bool,
    },
    /// The server broke TLS, or offers nothing that this program speaks.
    #[error("TLS with the server failed: {0}")]
    TlsProtocol(String),
    /// The server could not prove to be `host`.
    #[error("certificate of {host}: {problem} ({detail})")]
    Certificate {
        /// Who the request was for.
        host: String,
        /// The kind of problem.
        problem: CertificateProblem,
        /// The verifier's words.
        detail: String,
    },
    /// The server offers no WebTransport in its SETTINGS.
    #[error("the server does not speak WebTransport: its SETTINGS don't offer it")]
    WebTransportUnsupported,
    /// The server answered the request for a WebTransport session with something else than success.
    #[error("the server refused the WebTransport session with status {status}{}", to(location.as_deref()))]
    WebTransportRefused {
        /// `:status`.
        status: u16,
        /// Where a redirect leads: it is not followed.
        location: Option<String>,
    },
    /// The WebTransport session is closed.
    #[error("the WebTransport session was closed{}", with(*by_peer, *code, reason))]
    WebTransportClosed {
        /// The application's code.
        code: u32,
        /// The application's words.
        reason: String,
        /// Whether the server closed it.
        by_peer: bool,
    },
    /// The server gave up what it was sending on a WebTransport stream (`RESET_STREAM`).
    #[error("the server reset the stream with code {code}")]
    StreamReset {
        /// The application's code; 0 for one that is none of an application's.
        code: u32,
    },
    /// The server wants no more of what it is sent on a WebTransport stream (`STOP_SENDING`).
    #[error("the server wants no more of the stream, with code {code}")]
    StreamStopped {
        /// The application's code; 0 for one that is none of an application's.
        code: u32,
    },
    /// It fits into no packet on the way to the server.
    #[error("a datagram of {size} bytes can't be sent: at most {max} bytes fit")]
    DatagramTooLarge {
        /// Its bytes.
        size: usize,
        /// How many would fit.
        max: usize,
    },
    /// `NS_ERROR_ABORT`: the application cancelled, or let go of the response.
    #[error("cancelled by the application")]
    Aborted,
    /// The handler was shut down with this request in flight.
    #[error("the HTTP handler is shutting down")]
    ShuttingDown,
    /// Too many requests wait to be taken by the socket thread.
    #[error("too many requests at once: try again when some have finished")]
    TooManyRequests,
    /// The operating system refused something.
    #[error("{operation} failed: {kind}")]
    Socket {
        /// What was tried.
        operation: &'static str,
        /// The system's answer.
        kind: io::ErrorKind,
    },
    /// The URL can't be fetched by this program.
    #[error("{0}")]
    InvalidUrl(String),
    /// The request can't be sent as it is.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// The request's body could not be sent whole: a file that can't be read, or a writer that gave it up.
    /// The stream was reset, so that the server doesn't take it for complete.
    #[error("the request body failed: {0}")]
    RequestBody(String),
    /// A case that was thought impossible.
    #[error("internal error: {0}; please report it")]
    Internal(&'static str),
}

fn of(expected: Option<u64>) -> String {
    expected.map_or_else(String::new, |bytes| format!(" of {bytes}"))
}

fn each(attempts: &[(SocketAddr, NetError)]) -> String {
    let lines = attempts.iter().map(|(peer, error)| format!("{peer}: {error}"));
    lines.collect::<Vec<_>>().join("; ")
}

fn to(location: Option<&str>) -> String {
    let to = |location| format!(" (a redirect to {location}, which is not followed)");
    location.map_or_else(String::new, to)
}

fn with(by_peer: bool, code: u32, reason: &str) -> String {
    let who = if by_peer { "by the server" } else { "by the application" };
    let words = if reason.is_empty() { String::new() } else { format!(": {reason:?}") };
    format!(" {who} with code {code}{words}")
}

fn by(by_peer: bool, reason: &str) -> String {
    let who = if by_peer { "sent by the server" } else { "found in what the server sent" };
    if reason.is_empty() { format!(", {who}") } else { format!(", {who}: {reason}") }
}

impl NetError {
    /// Whose fault it was.
    pub fn fault(&self) -> Fault {
        match self {
            Self::UnknownHost { .. }
            | Self::ConnectionRefused { .. }
            | Self::NoAddressAnswered { .. }
            | Self::NetTimeout(_)
            | Self::NetReset { .. } => Fault::Network,
            Self::NetInterrupt { .. }
            | Self::MisdirectedRequest
            | Self::TooEarly
            | Self::RequestTimeout
            | Self::ExpectationFailed
            | Self::EchRetry(_)
            | Self::EchRejected { .. }
            | Self::PartialTransfer { .. }
            | Self::MalformedResponse(_)
            | Self::Redirect { .. }
            | Self::ContentEncoding(_)
            | Self::Http3Protocol { .. }
            | Self::QuicTransport { .. }
            | Self::Tls { .. }
            | Self::TlsProtocol(_)
            | Self::Certificate { .. }
            | Self::WebTransportUnsupported
            | Self::WebTransportRefused { .. }
            | Self::WebTransportClosed { by_peer: true, .. }
            | Self::StreamReset { .. }
            | Self::StreamStopped { .. } => Fault::Peer,
            Self::WebTransportClosed { by_peer: false, .. }
            | Self::Aborted
            | Self::ShuttingDown
            | Self::TooManyRequests
            | Self::Socket { .. }
            | Self::RequestBody(_) => Fault::Local,
            Self::InvalidUrl(_) | Self::InvalidRequest(_) | Self::DatagramTooLarge { .. } => {
                Fault::Misuse
            }
            Self::Internal(_) => Fault::Bug,
            Self::BodyNotRewindable(error) => error.fault(),
        }
    }

    /// Whether another address of the same host may do better, when no connection came about. A bad
    /// certificate is bad everywhere.
    pub fn is_about_the_address(&self) -> bool {
        match self {
            Self::ConnectionRefused { .. } | Self::NetReset { .. } => true,
            Self::NetTimeout(phase) => phase.is_the_connections(),
            // Without a network no address is better than another.
            Self::Socket { kind, .. } => *kind != io::ErrorKind::NetworkDown,
            _ => false,
        }
    }
}
