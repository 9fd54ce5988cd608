//! Redirects, compression, and patience: the options about what happens to a request on its way.

use std::{path::PathBuf, time::Duration};

use clap::{Args, value_parser};
use necko::Request;

use super::{
    options::{MaxTime, parse_max_time, parse_seconds},
    speed::SpeedLimit,
};

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]
pub(crate) struct Following {
    /// Follow redirects.
    ///
    /// A POST that is redirected with 301, 302 or 303 goes on as a GET; 307 and 308 send it again. Only
    /// https:// is followed. Credentials (Authorization, Cookie) stay with the origin that they were for.
    ///
    /// Example: necko fetch -L -O https://example.org/latest.iso
    #[arg(short = 'L', long)]
    pub(crate) location: bool,

    /// -L, and credentials go along to whatever host is led to
    #[arg(long)]
    pub(crate) location_trusted: bool,

    /// Follow N redirects at most, 1000 of them at the utmost; one more fails with exit code 47
    #[arg(long, value_name = "N", default_value = "50", value_parser = value_parser!(u32).range(..=1000))]
    pub(crate) max_redirs: u32,

    /// Ask for a compressed response (gzip, br, zstd), and write it decompressed
    #[arg(long, conflicts_with_all = ["range", "continue_at"])]
    pub(crate) compressed: bool,

    /// Write the heads of responses to FILE, those of redirects among them; '-' is standard output
    #[arg(short = 'D', long, value_name = "FILE")]
    pub(crate) dump_header: Option<PathBuf>,

    /// Give up a transfer after this long
    #[arg(short, long, value_name = "SECONDS", value_parser = parse_max_time)]
    pub(crate) max_time: Option<MaxTime>,

    /// Give up a transfer that moves less than this many bytes per second, see --speed-time [default: 1]
    #[arg(short = 'Y', long, value_name = "BYTES")]
    pub(crate) speed_limit: Option<u64>,

    /// Over how long --speed-limit is looked at; connecting does not count [default: 30]
    #[arg(short = 'y', long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) speed_time: Option<Duration>,
}

impl Following {
    /// `request` as these options want it sent.
    pub(crate) fn apply(&self, request: Request) -> Request {
        let request = request.decode_content(self.compressed);
        if !self.follows() {
            return request;
        }
        request.follow_redirects(self.max_redirs).trust_redirects(self.location_trusted)
    }

    /// Whether redirects are followed.
    pub(crate) fn follows(&self) -> bool {
        self.location || self.location_trusted
    }

    /// The slowest that a transfer may be, if that was said.
    pub(crate) fn speed_limit(&self) -> Option<SpeedLimit> {
        (self.speed_limit.is_some() || self.speed_time.is_some()).then(|| SpeedLimit {
            bytes: self.speed_limit.unwrap_or(1),
            time: self.speed_time.unwrap_or(Duration::from_secs(30)),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::command::options::{Command, Options};

    fn following(arguments: &[&str]) -> Following {
        let line = ["necko", "fetch", "https://example.org/"].iter().chain(arguments);
        let Command::Fetch(fetch) = Options::parse_from(line).command else {
            panic!("another subcommand")
        };
        fetch.following
    }

    #[test]
    fn either_half_of_the_speed_limit_is_enough() {
        let limit = |bytes, seconds| Some(SpeedLimit { bytes, time: Duration::from_secs(seconds) });
        assert_eq!(following(&[]).speed_limit(), None);
        assert_eq!(following(&["-Y", "1000"]).speed_limit(), limit(1000, 30));
        assert_eq!(following(&["-y", "5"]).speed_limit(), limit(1, 5));
        assert_eq!(following(&["-Y", "1000", "-y", "5"]).speed_limit(), limit(1000, 5));
    }

    #[test]
    fn redirects_are_followed_on_request() {
        assert!(!following(&["--max-redirs", "5"]).follows());
        assert!(following(&["-L"]).follows());
        assert!(following(&["--location-trusted"]).follows());
    }
}
