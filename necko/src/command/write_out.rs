//! `-w`: what a script is told of each transfer. The names are curl's.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    str::FromStr,
    time::Duration,
};

use http::Version;
use serde_json::{Map, Value as Json};

use super::{
    exit_code::ExitCode,
    record::Record,
    report::{Failure, write_failure},
};

/// A parsed format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WriteOut(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(Variable),
    /// All variables as one object on one line.
    Json,
    /// A field of the response.
    Header(String),
    /// What follows goes there.
    To(Stream),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    ContentType,
    ErrorMessage,
    ExitCode,
    FilenameEffective,
    HttpCode,
    HttpVersion,
    LocalIp,
    LocalPort,
    Method,
    NumConnects,
    NumHeaders,
    NumRedirects,
    RedirectUrl,
    RemoteIp,
    RemotePort,
    Scheme,
    SizeDownload,
    SizeHeader,
    SizeRequest,
    SizeUpload,
    SpeedDownload,
    SpeedUpload,
    SslVerifyResult,
    TimeAppConnect,
    TimeConnect,
    TimeNameLookup,
    TimePreTransfer,
    TimeRedirect,
    TimeStartTransfer,
    TimeTotal,
    Url,
    UrlEffective,
    UrlNumber,
}

const VARIABLES: [(&str, Variable); 34] = [
    ("content_type", Variable::ContentType),
    ("errormsg", Variable::ErrorMessage),
    ("exitcode", Variable::ExitCode),
    ("filename_effective", Variable::FilenameEffective),
    ("http_code", Variable::HttpCode),
    ("http_version", Variable::HttpVersion),
    ("local_ip", Variable::LocalIp),
    ("local_port", Variable::LocalPort),
    ("method", Variable::Method),
    ("num_connects", Variable::NumConnects),
    ("num_headers", Variable::NumHeaders),
    ("num_redirects", Variable::NumRedirects),
    ("redirect_url", Variable::RedirectUrl),
    ("remote_ip", Variable::RemoteIp),
    ("remote_port", Variable::RemotePort),
    ("response_code", Variable::HttpCode),
    ("scheme", Variable::Scheme),
    ("size_download", Variable::SizeDownload),
    ("size_header", Variable::SizeHeader),
    ("size_request", Variable::SizeRequest),
    ("size_upload", Variable::SizeUpload),
    ("speed_download", Variable::SpeedDownload),
    ("speed_upload", Variable::SpeedUpload),
    ("ssl_verify_result", Variable::SslVerifyResult),
    ("time_appconnect", Variable::TimeAppConnect),
    ("time_connect", Variable::TimeConnect),
    ("time_namelookup", Variable::TimeNameLookup),
    ("time_pretransfer", Variable::TimePreTransfer),
    ("time_redirect", Variable::TimeRedirect),
    ("time_starttransfer", Variable::TimeStartTransfer),
    ("time_total", Variable::TimeTotal),
    ("url", Variable::Url),
    ("url_effective", Variable::UrlEffective),
    ("urlnum", Variable::UrlNumber),
];

/// Names for `--help`.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|(name, _)| *name)
}

enum Value {
    Text(String),
    Number(u64),
    /// Three digits, also when there is none.
    Status(u16),
    Time(Duration),
    None,
}

impl Variable {
    fn value(self, record: &Record) -> Value {
        let text = |text: Option<&str>| text.map_or(Value::None, |text| Value::Text(text.into()));
        let response = record.response.as_ref();
        let number = |number: usize| Value::Number(number as u64);
        match self {
            Self::ContentType => text(record.header("content-type")),
            Self::ErrorMessage => text(record.failure.as_ref().map(Failure::message)),
            Self::ExitCode => Value::Number(exit_code(record).value().into()),
            Self::FilenameEffective => match &record.file {
                Some(file) => Value::Text(file.to_string_lossy().into_owned()),
                None => Value::None,
            },
            Self::HttpCode => {
                Value::Status(response.map_or(0, |response| response.status.as_u16()))
            }
            Self::HttpVersion => text(Some(match response.map(|response| response.version) {
                Some(Version::HTTP_3) => "3",
                Some(Version::HTTP_2) => "2",
                Some(_) => "1.1",
                None => "0",
            })),
            Self::Method => text(Some(record.method.as_str())),
            Self::LocalIp => text(record.timings.local.and_then(known_ip).as_deref()),
            Self::LocalPort => port(record.timings.local),
            Self::NumConnects => Value::Number(record.connections),
            Self::NumHeaders => number(response.map_or(0, |response| response.headers.len())),
            Self::NumRedirects => number(record.redirects),
            Self::RedirectUrl => text(record.redirect_url().as_deref()),
            Self::RemoteIp => text(record.timings.remote.and_then(known_ip).as_deref()),
            Self::RemotePort => port(record.timings.remote),
            Self::Scheme => text(record.url_effective.split_once("://").map(|(scheme, _)| scheme)),
            Self::SizeDownload => Value::Number(record.downloaded),
            Self::SizeHeader => Value::Number(record.size_header),
            Self::SizeRequest => Value::Number(record.size_request),
            Self::SizeUpload => Value::Number(record.uploaded),
            Self::SpeedDownload => Value::Number(speed(record.downloaded, record)),
            Self::SpeedUpload => Value::Number(speed(record.uploaded, record)),
            Self::SslVerifyResult => {
                Value::Number(u64::from(exit_code(record) == ExitCode::Certificate))
            }
            Self::TimeAppConnect
            | Self::TimeConnect
            | Self::TimeNameLookup
            | Self::TimePreTransfer
            | Self::TimeRedirect => Value::Time(self.time(record)),
            Self::TimeStartTransfer => {
                Value::Time(response.map_or(Duration::ZERO, |response| response.time))
            }
            Self::TimeTotal => Value::Time(record.time_total),
            Self::Url => text(Some(&record.url)),
            Self::UrlEffective => text(Some(&record.url_effective)),
            Self::UrlNumber => number(record.number),
        }
    }
}

impl Variable {
    /// A moment, counted from the beginning of the transfer; 0 for what was there before.
    fn time(self, record: &Record) -> Duration {
        let timings = &record.timings;
        record.until(match self {
            Self::TimeNameLookup => timings.connect.domain_lookup_end,
            // With QUIC, both are one.
            Self::TimeConnect => timings.connect.tcp_connect_end.or(timings.connect.connect_end),
            Self::TimeAppConnect => timings.connect.connect_end,
            Self::TimePreTransfer => timings.request_start,
            Self::TimeRedirect => timings.queued.filter(|_| record.redirects > 0),
            _ => None,
        })
    }
}

/// Not the one that stands for all.
fn known_ip(address: SocketAddr) -> Option<String> {
    (!address.ip().is_unspecified()).then(|| address.ip().to_string())
}

fn port(address: Option<SocketAddr>) -> Value {
    address.map_or(Value::None, |address| Value::Number(address.port().into()))
}

fn exit_code(record: &Record) -> ExitCode {
    record.failure.as_ref().map_or(ExitCode::Success, |failure| failure.code)
}

fn speed(bytes: u64, record: &Record) -> u64 {
    super::report::Rate::of(bytes, record.time_total).0
}

impl Value {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Status(status) => format!("{status:03}"),
            Self::Time(time) => format!("{}.{:06}", time.as_secs(), time.subsec_micros()),
            Self::None => String::new(),
        }
    }

    fn json(self) -> Json {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => number.into(),
            Self::Status(status) => status.into(),
            // No more digits than the text has.
            Self::Time(time) => {
                Duration::new(time.as_secs(), time.subsec_micros() * 1000).as_secs_f64().into()
            }
            Self::None => Json::Null,
        }
    }
}

impl FromStr for WriteOut {
    type Err = Failure;

    /// The argument of `-w`: a format, or with `@` the file that holds it.
    fn from_str(argument: &str) -> Result<Self, Failure> {
        let Some(path) = argument.strip_prefix('@') else { return Ok(Self::parse(argument)) };
        let mut text = String::new();
        let read = match path {
            "-" => io::stdin().lock().read_to_string(&mut text).map(|_| text),
            path => fs::read_to_string(path),
        };
        read.map(|text| Self::parse(&text)).map_err(|error| {
            let message = format!("the format of -w can't be read from {path}: {error}");
            Failure::new(ExitCode::ReadError, message)
        })
    }
}

impl WriteOut {
    /// Names that are unknown are left as they are, for everybody to see.
    fn parse(mut rest: &str) -> Self {
        let mut pieces = Vec::new();
        let mut text = String::new();
        while let Some(c) = rest.chars().next() {
            let (piece, length) = match c {
                '%' => special(rest),
                '\\' => escape(rest),
                _ => (None, c.len_utf8()),
            };
            let (now, then) = rest.split_at(length);
            match piece {
                None => text.push_str(now),
                Some(Piece::Text(replaced)) => text.push_str(&replaced),
                Some(piece) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(piece);
                }
            }
            rest = then;
        }
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Self(pieces)
    }

    /// Tells of a transfer, in one write to each stream.
    ///
    /// # Errors
    /// Standard output takes nothing.
    pub(crate) fn write(&self, record: &Record) -> Result<(), Failure> {
        let (out, err) = self.render(record);
        io::stderr().write_all(err.as_bytes()).ok();
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|error| write_failure("writing -w to standard output failed", &error))
    }

    /// For standard output and standard error.
    fn render(&self, record: &Record) -> (String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        let mut to = Stream::Stdout;
        for piece in &self.0 {
            let text = match piece {
                Piece::Text(text) => text.clone(),
                Piece::Variable(variable) => variable.value(record).text(),
                Piece::Json => json(record),
                Piece::Header(name) => record.header(name).unwrap_or_default().to_owned(),
                Piece::To(stream) => {
                    to = *stream;
                    continue;
                }
            };
            match to {
                Stream::Stdout => out.push_str(&text),
                Stream::Stderr => err.push_str(&text),
            }
        }
        (out, err)
    }
}

fn json(record: &Record) -> String {
    let members =
        VARIABLES.map(|(name, variable)| (name.to_owned(), variable.value(record).json()));
    Json::Object(Map::from_iter(members)).to_string()
}

/// What begins with `%`, and how long it is.
fn special(text: &str) -> (Option<Piece>, usize) {
    if text.starts_with("%%") {
        return (Some(Piece::Text("%".into())), 2);
    }
    let between = |start: &str| {
        let (name, _) = text.strip_prefix(start)?.split_once('}')?;
        Some((name, start.len() + name.len() + 1))
    };
    if let Some((name, length)) = between("%header{") {
        return (Some(Piece::Header(name.trim().to_owned())), length);
    }
    let Some((name, length)) = between("%{") else { return (None, 1) };
    let piece = match name {
        "json" => Some(Piece::Json),
        "stdout" => Some(Piece::To(Stream::Stdout)),
        "stderr" => Some(Piece::To(Stream::Stderr)),
        _ => VARIABLES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, variable)| Piece::Variable(*variable)),
    };
    (piece, length)
}

/// What begins with a backslash, and how long it is.
fn escape(text: &str) -> (Option<Piece>, usize) {
    let replaced = match text.as_bytes().get(1) {
        Some(b'n') => "\n",
        Some(b'r') => "\r",
        Some(b't') => "\t",
        _ => return (None, 1),
    };
    (Some(Piece::Text(replaced.into())), 2)
}

#[cfg(test)]
#[path = "write_out_tests.rs"]
mod tests;
