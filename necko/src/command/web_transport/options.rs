//! The options of `necko webtransport`.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use clap::Args;
use necko::CertificateHashes;

use crate::command::{connecting::Connecting, headers::HeaderOption, help, options::parse_seconds};

/// Talk to a WebTransport server, line by line.
///
/// Lines of standard input go to the server on a bidirectional stream, and what comes back on it goes to standard
/// output. The end of standard input is the end of the stream; the command ends with what the server sends.
#[derive(Debug, Args)]
#[command(after_long_help = help::after_web_transport())]
#[expect(clippy::struct_excessive_bools, reason = "they are the switches of a command line")]
pub(crate) struct WebTransport {
    /// Where the session is; only https can be
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Send each line as a datagram, and write each that comes as a line.
    ///
    /// After the end of standard input it is waited for --linger, and longer while more come.
    #[arg(long, conflicts_with_all = ["uni", "bench"])]
    pub(crate) datagrams: bool,

    /// Send on a unidirectional stream, and write the server's unidirectional streams one after the other.
    ///
    /// After the end of standard input it is waited for --linger, and longer while more come.
    #[arg(long, conflicts_with = "bench")]
    pub(crate) uni: bool,

    /// With --datagrams and --uni: how long to wait for more after the end of standard input
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "1")]
    pub(crate) linger: Duration,

    /// Measure a server that sends everything back: throughput on one bidirectional stream, and round trips of
    /// small messages on a stream and in datagrams
    #[arg(long)]
    pub(crate) bench: bool,

    /// With --bench: how much goes there and back
    #[arg(long, value_name = "N", default_value = "33554432", requires = "bench")]
    pub(crate) bench_bytes: u64,

    /// With --bench: how many round trips are measured
    #[arg(long, value_name = "N", default_value = "100", requires = "bench")]
    pub(crate) bench_rounds: NonZeroU32,

    /// With --bench: write the figures as one JSON object on one line
    #[arg(long, requires = "bench")]
    pub(crate) json: bool,

    /// Add a header field to the request: 'Name: value'
    #[arg(short = 'H', long = "header", value_name = "LINE")]
    pub(crate) headers: Vec<HeaderOption>,

    /// Trust the root certificates of this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// Accept any certificate: anybody can pretend to be the server
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,

    /// Trust a certificate with this SHA-256 and no other; several with ';' (serverCertificateHashes).
    ///
    /// It is what openssl x509 -fingerprint -sha256 writes, with colons or without.
    #[arg(long, value_name = "HASHES", conflicts_with = "insecure")]
    pub(crate) cert_hash: Option<CertificateHashes>,

    #[command(flatten)]
    pub(crate) connecting: Connecting,

    /// Show what happens, layer by layer; -vv all of it, the engine included
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) silent: bool,

    /// Write a qlog of the connection into this directory [default: $QLOGDIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) qlog_dir: Option<PathBuf>,
}
