//! How to get to servers: the options about addresses, versions and patience while connecting.

use std::time::Duration;

use clap::Args;
use necko::{AddressFamily, Alpn, ConnectTo, Request, ResolveRule};

use super::options::parse_seconds;

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]
#[expect(clippy::struct_excessive_bools, reason = "they are the switches of a command line")]
pub(crate) struct Connecting {
    /// Use these addresses for HOST and PORT; '*' is every host without addresses of its own.
    ///
    /// The last one for a host counts; -HOST:PORT takes one back. IPv6 addresses may stand in brackets, as a
    /// host they must. What curl says by '+' is accepted and changes nothing.
    ///
    /// Example: necko fetch --resolve test.example:443:127.0.0.1,[::1] https://test.example/
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]", allow_hyphen_values = true)]
    pub(crate) resolve: Vec<ResolveRule>,

    /// Connect to HOST2 and PORT2 for URLs with HOST1 and PORT1; each may be empty.
    ///
    /// The server there must prove to be HOST1. Of several, the first that fits counts. An empty HOST1 or
    /// PORT1 is any, an empty HOST2 or PORT2 what the URL says.
    ///
    /// Example: necko fetch --connect-to example.org:443:standby.example.org:8443 https://example.org/
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2")]
    pub(crate) connect_to: Vec<ConnectTo>,

    /// Use IPv4 addresses alone
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,

    /// Use IPv6 addresses alone
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,

    /// Use HTTP/1.1, over TCP
    #[arg(long = "http1.1", conflicts_with = "http3_only")]
    pub(crate) http1_1: bool,

    /// Use HTTP/3 and nothing else, as without this option
    #[arg(long)]
    pub(crate) http3_only: bool,

    /// Give up looking a name up, and connecting to an address of it, after this long each [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) connect_timeout: Option<Duration>,

    /// End a connection after this much silence [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) idle_timeout: Option<Duration>,
}

impl Connecting {
    /// The version of HTTP that was chosen.
    pub(crate) fn version(&self) -> Alpn {
        if self.http1_1 { Alpn::Http11 } else { Alpn::Http3 }
    }

    /// Which addresses are used.
    pub(crate) fn address_family(&self) -> AddressFamily {
        match (self.ipv4, self.ipv6) {
            (true, _) => AddressFamily::V4,
            (false, true) => AddressFamily::V6,
            (false, false) => AddressFamily::Any,
        }
    }

    /// `request` as these options want it sent.
    pub(crate) fn apply(&self, request: Request) -> Request {
        request.version(self.version()).address_family(self.address_family())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::command::options::{Command, Options};

    fn connecting(arguments: &[&str]) -> Connecting {
        let line = ["necko", "fetch", "https://example.org/"].iter().chain(arguments);
        let Command::Fetch(fetch) = Options::parse_from(line).command else {
            panic!("another subcommand")
        };
        fetch.connecting
    }

    #[test]
    fn version_and_family_are_what_the_switches_say() {
        let usual = connecting(&[]);
        assert_eq!((usual.version(), usual.address_family()), (Alpn::Http3, AddressFamily::Any));
        assert_eq!(connecting(&["--http3-only"]).version(), Alpn::Http3);
        assert_eq!(connecting(&["--http1.1"]).version(), Alpn::Http11);
        assert_eq!(connecting(&["-4"]).address_family(), AddressFamily::V4);
        assert_eq!(connecting(&["--ipv6"]).address_family(), AddressFamily::V6);
    }
}
