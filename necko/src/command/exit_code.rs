//! The exit codes: curl's numbers, so that scripts need not learn new ones.

use std::fmt::Write as _;

use necko::{CertificateProblem, NetError, RedirectProblem};

/// How the command ended. The number of each variant is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    Success = 0,
    UnsupportedProtocol = 1,
    FailedInit = 2,
    MalformedUrl = 3,
    CouldNotResolve = 6,
    CouldNotConnect = 7,
    PartialTransfer = 18,
    HttpError = 22,
    WriteError = 23,
    ReadError = 26,
    Timeout = 28,
    RangeError = 33,
    TlsHandshake = 35,
    BadResume = 36,
    Aborted = 42,
    Internal = 43,
    TooManyRedirects = 47,
    SendError = 55,
    ReceiveError = 56,
    Certificate = 60,
    BadContentEncoding = 61,
    SendFailRewind = 65,
    CaCertFile = 77,
    PinnedKey = 90,
    Http3 = 95,
    Quic = 96,
    TooLarge = 100,
    EchRequired = 101,
    Interrupted = 130,
    Terminated = 143,
}

impl ExitCode {
    /// All of them, lowest first, in a few words.
    pub(crate) const TABLE: [(Self, &'static str); 30] = [
        (Self::Success, "success"),
        (Self::UnsupportedProtocol, "the URL's protocol is not https, or no WebTransport there"),
        (Self::FailedInit, "a mistake on the command line, or no start was possible"),
        (Self::MalformedUrl, "the URL is malformed"),
        (Self::CouldNotResolve, "the host has no address"),
        (Self::CouldNotConnect, "no connection: refused, or no way to the host"),
        (Self::PartialTransfer, "the response broke off"),
        (Self::HttpError, "a status of 400 or above: with --fail, or for a WebTransport session"),
        (Self::WriteError, "the output can't be written"),
        (Self::ReadError, "the data to send can't be read"),
        (Self::Timeout, "time ran out: nobody answered, silence, or --max-time"),
        (Self::RangeError, "with -C: the server did not send the rest of the file"),
        (Self::TlsHandshake, "the TLS handshake failed"),
        (Self::BadResume, "with -C: the file is shorter than the place to go on from"),
        (Self::Aborted, "given up by this program, or by --fail-early"),
        (Self::Internal, "a defect in this program"),
        (Self::TooManyRedirects, "with -L: too many redirects"),
        (Self::SendError, "sending to the network failed"),
        (Self::ReceiveError, "the server reset, closed, or answered malformed"),
        (Self::Certificate, "the server's certificate is not acceptable"),
        (
            Self::BadContentEncoding,
            "with --compressed: the body is not in the coding it should be in",
        ),
        (Self::SendFailRewind, "the request had to go again, but its data can't be had again"),
        (Self::CaCertFile, "the file of --cacert can't be used"),
        (Self::PinnedKey, "the server's key is none of --pinnedpubkey"),
        (Self::Http3, "an error of HTTP/3 or QPACK"),
        (Self::Quic, "an error of QUIC"),
        (Self::TooLarge, "a datagram is larger than the way to the server takes"),
        (Self::EchRequired, "the server refused ECH, also as it wanted it"),
        (Self::Interrupted, "interrupted (SIGINT)"),
        (Self::Terminated, "terminated (SIGTERM)"),
    ];

    /// The number.
    pub(crate) fn value(self) -> u8 {
        self as u8
    }

    /// The code for what a request ended with.
    pub(crate) fn of(error: &NetError) -> Self {
        match error {
            NetError::InvalidUrl(_) => Self::MalformedUrl,
            NetError::UnknownHost { .. } => Self::CouldNotResolve,
            NetError::NoAddressAnswered { attempts, .. }
                if attempts.iter().all(|(_, error)| matches!(error, NetError::NetTimeout(_))) =>
            {
                Self::Timeout
            }
            NetError::ConnectionRefused { .. } | NetError::NoAddressAnswered { .. } => {
                Self::CouldNotConnect
            }
            NetError::Redirect { problem, .. } => match problem {
                RedirectProblem::TooMany(_) => Self::TooManyRedirects,
                RedirectProblem::Protocol => Self::UnsupportedProtocol,
                RedirectProblem::Malformed => Self::MalformedUrl,
                RedirectProblem::BodyGone => Self::SendFailRewind,
            },
            NetError::ContentEncoding(_) => Self::BadContentEncoding,
            NetError::PartialTransfer { .. } => Self::PartialTransfer,
            NetError::NetTimeout(_) => Self::Timeout,
            NetError::Tls { .. } | NetError::TlsProtocol(_) => Self::TlsHandshake,
            NetError::Certificate { problem: CertificateProblem::WrongKey, .. } => Self::PinnedKey,
            NetError::Certificate { .. } => Self::Certificate,
            NetError::BodyNotRewindable(_) => Self::SendFailRewind,
            NetError::EchRejected { .. } => Self::EchRequired,
            NetError::Http3Protocol { .. } => Self::Http3,
            NetError::QuicTransport { .. } => Self::Quic,
            NetError::WebTransportUnsupported => Self::UnsupportedProtocol,
            NetError::WebTransportRefused { .. } => Self::HttpError,
            NetError::DatagramTooLarge { .. } => Self::TooLarge,
            NetError::NetReset { .. }
            | NetError::WebTransportClosed { .. }
            | NetError::StreamReset { .. }
            | NetError::StreamStopped { .. }
            | NetError::NetInterrupt { .. }
            | NetError::MalformedResponse(_) => Self::ReceiveError,
            NetError::Socket { operation, .. } => Self::of_socket_operation(operation),
            NetError::Aborted | NetError::ShuttingDown | NetError::TooManyRequests => Self::Aborted,
            NetError::InvalidRequest(_) => Self::FailedInit,
            NetError::RequestBody(_) => Self::ReadError,
            // The list of errors may grow.
            _ => Self::Internal,
        }
    }

    /// curl tells a socket that was not to be had, sending and receiving apart.
    fn of_socket_operation(operation: &str) -> Self {
        if operation.starts_with("opening") {
            Self::CouldNotConnect
        } else if operation.starts_with("sending") {
            Self::SendError
        } else {
            Self::ReceiveError
        }
    }

    /// The table for `--help`.
    pub(crate) fn table() -> String {
        Self::TABLE.iter().fold(String::new(), |mut text, (code, meaning)| {
            let _ = writeln!(text, "  {:>3}  {meaning}", code.value());
            text
        })
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.value())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use necko::{ErrorCode, TimeoutPhase};

    use super::*;

    #[test]
    fn numbers_are_curls() {
        let code = |error: NetError| ExitCode::of(&error).value();
        let name = || "example.org".to_owned();
        assert_eq!(code(NetError::InvalidUrl(String::new())), 3);
        assert_eq!(code(NetError::UnknownHost { host: name(), reason: String::new() }), 6);
        assert_eq!(code(NetError::ConnectionRefused { peer: ([127, 0, 0, 1], 1).into() }), 7);
        let partial =
            NetError::PartialTransfer { received: 1, expected: None, reason: String::new() };
        assert_eq!(code(partial), 18);
        assert_eq!(code(NetError::NetTimeout(TimeoutPhase::Connect)), 28);
        assert_eq!(code(NetError::NetTimeout(TimeoutPhase::Idle)), 28);
        let limit = |phase| code(NetError::NetTimeout(phase));
        assert_eq!(limit(TimeoutPhase::FirstByte), 28);
        assert_eq!((limit(TimeoutPhase::Read), limit(TimeoutPhase::Whole)), (28, 28));
        let redirect = |problem| code(NetError::Redirect { location: String::new(), problem });
        assert_eq!(redirect(RedirectProblem::TooMany(50)), 47);
        assert_eq!(redirect(RedirectProblem::Protocol), 1);
        assert_eq!(redirect(RedirectProblem::Malformed), 3);
        assert_eq!(redirect(RedirectProblem::BodyGone), 65);
        assert_eq!(code(NetError::ContentEncoding(String::new())), 61);
        assert_eq!(code(NetError::Tls { alert: 40, by_peer: true }), 35);
        assert_eq!(code(NetError::NetReset { reason: String::new() }), 56);
        assert_eq!(code(NetError::NetInterrupt { code: ErrorCode::NO_ERROR }), 56);
        assert_eq!(code(NetError::MalformedResponse(String::new())), 56);
        let certificate = NetError::Certificate {
            host: name(),
            problem: CertificateProblem::Expired,
            detail: String::new(),
        };
        assert_eq!(code(certificate), 60);
        let h3 = NetError::Http3Protocol {
            code: ErrorCode::INTERNAL_ERROR,
            by_peer: true,
            reason: String::new(),
        };
        assert_eq!(code(NetError::BodyNotRewindable(Box::new(h3.clone()))), 65);
        assert_eq!(code(h3), 95);
        assert_eq!(code(NetError::EchRejected { host: name(), reason: "" }), 101);
        assert_eq!(code(NetError::QuicTransport { name: String::new(), by_peer: true }), 96);
        let socket = |operation| NetError::Socket { operation, kind: io::ErrorKind::Other };
        assert_eq!(code(socket("opening a UDP socket")), 7);
        assert_eq!(code(socket("sending to the network")), 55);
        assert_eq!(code(socket("receiving from the network")), 56);
        assert_eq!(code(NetError::RequestBody(String::new())), 26);
        assert_eq!(code(NetError::Internal("x")), 43);
    }

    #[test]
    fn the_table_is_in_order_and_without_gaps() {
        assert!(ExitCode::TABLE.is_sorted_by(|(a, _), (b, _)| a.value() < b.value()));
        assert!(ExitCode::table().contains("  60  the server's certificate"));
    }
}
