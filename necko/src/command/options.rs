//! The command line. Option names and meanings are curl's.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use http::Method;

use super::{data::Data, headers::HeaderOption, help, resolve::FixedAddress};

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
}

/// Fetch URLs over HTTP/3.
///
/// Several URLs run at once and share connections. What goes to standard output goes there one after the
/// other, in the order of the URLs.
#[derive(Debug, Args)]
#[command(after_long_help = help::after_fetch())]
#[expect(clippy::struct_excessive_bools, reason = "they are the switches of a command line")]
pub(crate) struct Fetch {
    /// What to fetch; only https can be
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,

    /// Write to FILE instead of standard output; the first -o is for the first URL, and so on.
    ///
    /// FILE appears when it is complete: until then the bytes are in a hidden file next to it, which goes
    /// away when the transfer fails. '-' is standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,

    /// The method of the request [default: GET; POST with -d, HEAD with -I]
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
    #[arg(short = 'I', long, conflicts_with_all = Data::IDS)]
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

    /// Use these addresses for HOST and PORT
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]")]
    pub(crate) resolve: Vec<FixedAddress>,

    /// Give up a transfer after this long
    #[arg(short, long, value_name = "SECONDS", value_parser = parse_max_time)]
    pub(crate) max_time: Option<MaxTime>,

    /// End a connection after this much silence [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) idle_timeout: Option<Duration>,

    /// How many transfers run at once
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) parallel_max: NonZeroUsize,

    /// Show what happens, layer by layer; -vv all of it, the engine included
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// No progress bar, no closing line
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
    /// The method that the options amount to.
    pub(crate) fn method(&self) -> Method {
        match &self.method {
            Some(method) => method.clone(),
            None if self.head => Method::HEAD,
            None if self.data.is_given() => Method::POST,
            None => Method::GET,
        }
    }

    /// `--qlog-dir`, else the environment's.
    pub(crate) fn qlog_dir(&self) -> Option<PathBuf> {
        let from_environment = || std::env::var_os("QLOGDIR").filter(|dir| !dir.is_empty());
        self.qlog_dir.clone().or_else(|| from_environment().map(PathBuf::from))
    }
}

/// `--max-time`; none for 0, as curl has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MaxTime(pub(crate) Option<Duration>);

fn parse_max_time(text: &str) -> Result<MaxTime, String> {
    let duration = seconds(text)?;
    Ok(MaxTime((!duration.is_zero()).then_some(duration)))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
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
