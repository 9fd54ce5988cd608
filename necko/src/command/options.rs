//! The command line. Option names and meanings are curl's.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use http::Method;
use necko::PinnedKeys;

use super::{
    connecting::Connecting,
    data::Data,
    ech::EchOption,
    following::Following,
    headers::HeaderOption,
    help,
    outputs::Outputs,
    range::{ContinueAt, Ranges, parse_continue_at, parse_ranges},
    rate_limit::{self, LimitRate},
    resuming::Resuming,
    web_transport::WebTransport,
};

/// HTTP/3 from the command line, through the layers of Firefox's network stack.
#[derive(Debug, Parser)]
#[command(name = "necko", version = help::VERSION, after_long_help = help::after_all())]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Fetch(Box<Fetch>),
    #[command(name = "webtransport")]
    WebTransport(Box<WebTransport>),
}

/// Fetch URLs over HTTP/3.
///
/// Several URLs share connections. They are fetched one after the other, or at once with -Z.
#[derive(Debug, Args)]
#[command(after_long_help = help::after_fetch())]
#[expect(clippy::struct_excessive_bools, reason = "they are the switches of a command line")]
#[expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]
pub(crate) struct Fetch {
    /// What to fetch; only https can be
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,

    #[command(flatten)]
    pub(crate) outputs: Outputs,

    /// Send FILE to the URL (PUT); the first -T is for the first URL, and so on.
    ///
    /// '-' is standard input. A URL that ends with '/' gets FILE's name appended. The file is read as it is
    /// sent, whatever its size.
    ///
    /// Example: necko fetch -T backup.tar https://example.org/up/
    #[arg(short = 'T', long, value_name = "FILE", conflicts_with_all = Data::IDS)]
    pub(crate) upload_file: Vec<PathBuf>,

    /// Fetch parts of the body only: 0-99, 100-, -500 (the last 500), or several with commas.
    ///
    /// Example: necko fetch -r 0-1023 https://example.org/a.iso -o beginning
    #[arg(short, long, value_name = "RANGE", value_parser = parse_ranges, allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["upload_file", "continue_at"])]
    pub(crate) range: Option<Ranges>,

    /// Go on with a download that broke off: '-' from the end of what is there, or from OFFSET.
    ///
    /// The bytes go to FILE.part, which stays when the transfer breaks off and becomes FILE when it is
    /// complete. FILE.part.of says which version of the resource they are part of: when it has changed on
    /// the server, the download begins anew. A FILE of another program that is shorter than the resource is
    /// gone on with as well, unless the resource is newer. A resource without a strong ETag or a
    /// Last-Modified date can't be gone on with, and leaves no FILE.part.
    ///
    /// Example: necko fetch -C - -O https://example.org/a.iso
    #[arg(short = 'C', long, value_name = "OFFSET", value_parser = parse_continue_at)]
    #[arg(allow_hyphen_values = true, conflicts_with_all = Data::IDS)]
    #[arg(conflicts_with_all = ["upload_file", "head", "include"])]
    pub(crate) continue_at: Option<ContinueAt>,

    /// The method of the request [default: GET; POST with -d, PUT with -T, HEAD with -I]
    #[arg(short = 'X', long = "request", value_name = "METHOD", value_parser = parse_method)]
    pub(crate) method: Option<Method>,

    /// Add a header field: 'Name: value', or 'Name;' for an empty one.
    ///
    /// 'Name:' leaves out a field that would be there by itself.
    #[arg(short = 'H', long = "header", value_name = "LINE")]
    pub(crate) headers: Vec<HeaderOption>,

    #[command(flatten)]
    pub(crate) data: Data,

    /// Show the response's head instead of its body (HEAD)
    #[arg(short = 'I', long, conflicts_with_all = Data::IDS, conflicts_with = "upload_file")]
    pub(crate) head: bool,

    /// Show the response's head above its body
    #[arg(short, long)]
    pub(crate) include: bool,

    /// Fail with exit code 22, and without output, when the status is 400 or above
    #[arg(short, long)]
    pub(crate) fail: bool,

    /// Trust the root certificates of this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// Accept any certificate: anybody can pretend to be the server
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,

    /// Demand a key of the server, besides a good certificate: sha256//BASE64, several with ';'.
    ///
    /// It is the SHA-256 of the public key in DER, as openssl writes it:
    ///
    ///   openssl x509 -in server.pem -pubkey -noout |
    ///   openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64
    ///
    /// With -k the key alone counts. A server without such a key ends the transfer with exit code 90.
    #[arg(long, value_name = "HASHES", verbatim_doc_comment)]
    pub(crate) pinnedpubkey: Option<PinnedKeys>,

    #[command(flatten)]
    pub(crate) connecting: Connecting,

    /// Encrypt the name of the host: ecl:BASE64 is the ECH configuration of the URLs' hosts, as their HTTPS
    /// records show it.
    ///
    /// Without it, and with 'grease', the handshake has something random in its place; with 'false' nothing.
    /// A server that refuses the configuration and gives another one is asked once more, with that one.
    ///
    /// Example: necko fetch --ech ecl:AEX+DQBB... https://example.org/
    #[arg(long, value_name = "false|grease|ecl:BASE64")]
    pub(crate) ech: Option<EchOption>,

    #[command(flatten)]
    pub(crate) following: Following,

    #[command(flatten)]
    pub(crate) resuming: Resuming,

    /// Move at most RATE bytes per second, up or down: 200000, 100K, 1.5M; each transfer on its own.
    ///
    /// The other side is held back, nothing is kept in memory. 0 is no limit.
    ///
    /// Example: necko fetch --limit-rate 500K -O https://example.org/a.iso
    #[arg(long, value_name = "RATE", value_parser = rate_limit::parse)]
    pub(crate) limit_rate: Option<LimitRate>,

    /// Fetch several URLs at once.
    ///
    /// What goes to standard output still goes there one body after the other.
    ///
    /// Example: necko fetch -Z --remote-name-all https://example.org/1 https://example.org/2
    #[arg(short = 'Z', long)]
    pub(crate) parallel: bool,

    /// How many transfers run at once with -Z
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) parallel_max: NonZeroUsize,

    /// Give up the other transfers when one fails
    #[arg(long)]
    pub(crate) fail_early: bool,

    /// Write FORMAT to standard output after each transfer, also after one that failed.
    ///
    /// '%{json}' is all there is to say as one JSON object on one line, '%{NAME}' one part of it,
    /// '%header{NAME}' a field of the response; \n, \t and \r are what they are in C. @FILE reads the format
    /// from a file, @- from standard input; '%{stderr}' sends what follows to standard error.
    ///
    /// Example: necko fetch -s -w '%{json}\n' -O https://example.org/a.iso
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    pub(crate) write_out: Option<String>,

    /// Show what happens, layer by layer; -vv all of it, the engine included
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// No progress bar, no closing lines
    #[arg(short, long)]
    pub(crate) silent: bool,

    /// Write a qlog of each connection into this directory [default: $QLOGDIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) qlog_dir: Option<PathBuf>,

    /// Write what is alive to FILE, as JSON, at the end and on SIGUSR1
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
}

impl Fetch {
    /// The method that the options amount to, with or without a file to upload.
    pub(crate) fn method(&self, upload: bool) -> Method {
        match &self.method {
            Some(method) => method.clone(),
            None if self.head => Method::HEAD,
            None if upload => Method::PUT,
            None if self.data.is_given() => Method::POST,
            None => Method::GET,
        }
    }
}

/// `--max-time`; none for 0, as curl has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MaxTime(pub(crate) Option<Duration>);

pub(super) fn parse_max_time(text: &str) -> Result<MaxTime, String> {
    let duration = seconds(text)?;
    Ok(MaxTime((!duration.is_zero()).then_some(duration)))
}

pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("must be more than 0".into()),
        duration => Ok(duration),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

fn parse_method(text: &str) -> Result<Method, String> {
    Method::from_bytes(text.as_bytes()).map_err(|_| "no method can have this name".into())
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
