//! What the user is told: how a transfer failed and what to do about it, and the closing line.

use std::{fmt, io, time::Duration};

use http::Version;
use necko::{CertificateProblem, NetError, TimeoutPhase};

use super::exit_code::ExitCode;

/// A transfer, or the whole run, that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: ExitCode,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What is wrong, in words.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether a signal ended it; the user knows, and one line for all transfers is enough.
    pub(crate) fn by_signal(&self) -> bool {
        matches!(self.code, ExitCode::Interrupted | ExitCode::Terminated)
    }

    /// With the URL in front, where there are several.
    pub(crate) fn of_url(&self, url: &str) -> Self {
        Self { code: self.code, message: format!("{url}: {}", self.message) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) {}", self.code.value(), self.message)
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        let message = match remedy(&error) {
            Some(remedy) => format!("{error}; {remedy}"),
            None => error.to_string(),
        };
        Self::new(ExitCode::of(&error), message)
    }
}

/// What the user can do, where that is not in the error itself.
fn remedy(error: &NetError) -> Option<&'static str> {
    Some(match error {
        NetError::UnknownHost { .. } => {
            "check the name, or give its address with --resolve HOST:PORT:ADDR"
        }
        NetError::ConnectionRefused { .. } => {
            "check host and port, and that the server speaks HTTP/3 (QUIC over UDP)"
        }
        NetError::NetTimeout(TimeoutPhase::Resolve) => {
            "check the resolver, or give the address with --resolve HOST:PORT:ADDR"
        }
        NetError::NetTimeout(TimeoutPhase::Connect) => {
            "the server may not speak HTTP/3, or a firewall may drop UDP on this port"
        }
        NetError::Certificate { problem, .. } => match problem {
            CertificateProblem::UnknownIssuer => {
                "name the root that signed it with --cacert FILE, or skip the check with -k"
            }
            CertificateProblem::WrongHost => {
                "use a host that the certificate names (--resolve says where it is), or skip the check with -k"
            }
            CertificateProblem::WrongKey => {
                "if the server has a new key, pin that one: --pinnedpubkey sha256//BASE64"
            }
            _ => "skip the check with -k if you must",
        },
        NetError::TooManyRequests => "run fewer transfers at once with --parallel-max",
        _ => return None,
    })
}

/// A file that can't be written: the cause, and what helps.
pub(crate) fn write_failure(what: &str, error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    let remedy = match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => "; free some space, or choose another place",
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            "; choose a place that you may write to"
        }
        Kind::NotFound => "; make the directory first",
        Kind::IsADirectory => "; name a file in it",
        Kind::FileTooLarge => "; choose a file system that takes files of this size",
        Kind::BrokenPipe => "; its reader has gone",
        _ => "",
    };
    Failure::new(ExitCode::WriteError, format!("{what}: {}{remedy}", cause(error)))
}

/// The system's words without the number that it adds.
pub(crate) fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}

/// A warning or an error, on one line of standard error.
pub(crate) fn complain(what: &dyn fmt::Display) {
    eprintln!("necko: {}", printable(&what.to_string()));
}

/// On one line and harmless for a terminal, whatever words of a server are in it.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// A version as a response's first line writes it.
pub(crate) fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_3 => "HTTP/3",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    /// Transfers that were asked for.
    pub(crate) wanted: usize,
    /// Transfers that are complete.
    pub(crate) complete: usize,
    /// Body bytes of the complete ones.
    pub(crate) bytes: u64,
    /// Body bytes of their requests.
    pub(crate) sent: u64,
    pub(crate) elapsed: Duration,
    /// The versions they came over, each once.
    pub(crate) versions: Vec<&'static str>,
    /// Connections that were made, if that could be asked.
    pub(crate) connections: Option<u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.complete, self.wanted) {
            (_, 1) => {}
            (complete, wanted) if complete == wanted => write!(f, "{wanted} transfers, ")?,
            (complete, wanted) => write!(f, "{complete} of {wanted} transfers, ")?,
        }
        if self.sent > 0 {
            write!(f, "{} bytes sent, ", self.sent)?;
        }
        let rate = Rate::of(self.bytes.saturating_add(self.sent), self.elapsed);
        let (bytes, seconds) = (self.bytes, seconds(self.elapsed));
        write!(f, "{bytes} bytes in {seconds} s ({rate}), {}", self.versions.join(" and "))?;
        match self.connections {
            Some(1) => write!(f, ", 1 connection"),
            Some(connections) => write!(f, ", {connections} connections"),
            None => Ok(()),
        }
    }
}

/// Seconds with as many digits as say something.
pub(crate) fn seconds(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let digits = if seconds < 0.1 { 4 } else { 2 };
    format!("{seconds:.digits$}")
}

/// Bytes in a second.
pub(crate) struct Rate(pub(crate) u64);

impl Rate {
    pub(crate) fn of(bytes: u64, elapsed: Duration) -> Self {
        let rate = u128::from(bytes) * 1_000_000_000 / elapsed.as_nanos().max(1);
        Self(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Rate {
    /// Three digits or more: `9.54 MiB/s`, `95.4 MiB/s`, `954 MiB/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, unit)) = units.into_iter().find(|(shift, _)| self.0 >> shift > 0) else {
            return write!(f, "{} B/s", self.0);
        };
        let hundredths = (u128::from(self.0) * 100) >> shift;
        let whole = hundredths / 100;
        match whole {
            0..10 => write!(f, "{whole}.{:02} {unit}/s", hundredths % 100),
            10..100 => write!(f, "{whole}.{} {unit}/s", hundredths % 100 / 10),
            _ => write!(f, "{whole} {unit}/s"),
        }
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
