//! Where a request is to go: the key of the connection manager's table. Necko's class is
//! `nsHttpConnectionInfo`.

use std::{fmt, net::SocketAddr};

/// What a connection speaks (its ALPN token), and so whether requests share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alpn {
    /// `h3`: one connection carries many requests at once.
    #[default]
    Http3,
    /// `http/1.1`: one request at a time, one after the other.
    Http11,
}

impl Alpn {
    /// The token in the handshake.
    pub fn token(self) -> &'static str {
        match self {
            Self::Http3 => "h3",
            Self::Http11 => "http/1.1",
        }
    }
}

/// Another host than the origin that serves it (necko's `mRoutedHost`). The server there must prove to be
/// the origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The host to connect to.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Which of a name's addresses may be used (necko's flags `!v4` and `!v6`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressFamily {
    /// All, in the resolver's order.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl AddressFamily {
    /// Whether the address is of this family.
    pub fn allows(self, address: SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Whether a connection is for WebTransport sessions (necko's flag `W`), and for which.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebTransportUse {
    /// It is for requests.
    #[default]
    None,
    /// It is for sessions that may share one.
    Pooled,
    /// It is for one session, which has this number.
    Dedicated(u64),
}

/// Two requests with equal infos may share a connection; with different ones only by coalescing, which
/// needs the same [`Isolation`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionInfo {
    host: String,
    port: u16,
    /// Whose connections must be kept apart from whose.
    pub isolation: Isolation,
    /// Where to connect instead of to the origin.
    pub route: Option<Route>,
    /// What to speak.
    pub alpn: Alpn,
    /// Which addresses to use.
    pub address_family: AddressFamily,
    /// Whether it is for WebTransport.
    pub web_transport: WebTransportUse,
}

/// What keeps connections to the same origin apart, so that a server can't tell that they are of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isolation {
    /// No credentials may travel on it, nor on a connection that carries some (necko's flag `A`).
    pub anonymous: bool,
    /// Belongs to a private browsing context (necko's flag `P`).
    pub private: bool,
    /// The top-level site whose connections these are (necko's origin attributes suffix).
    pub partition: String,
}

impl ConnectionInfo {
    /// The origin `https://host:port` over HTTP/3. An IPv6 host is written without brackets.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_ascii_lowercase(),
            port,
            isolation: Isolation::default(),
            route: None,
            alpn: Alpn::default(),
            address_family: AddressFamily::default(),
            web_transport: WebTransportUse::default(),
        }
    }

    /// The origin's host, lower case, an IPv6 address without brackets. Servers must prove to be it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The origin's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host and port to connect to: the route's, where there is one.
    pub fn endpoint(&self) -> (&str, u16) {
        match &self.route {
            Some(route) => (&route.host, route.port),
            None => (&self.host, self.port),
        }
    }
}

impl fmt::Display for ConnectionInfo {
    /// Necko's notation of the key: flags first, then the origin, then what is not usual about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Isolation { anonymous, private, partition } = &self.isolation;
        if *anonymous {
            f.write_str("[A]")?;
        }
        if *private {
            f.write_str("[P]")?;
        }
        match self.web_transport {
            WebTransportUse::None => {}
            WebTransportUse::Pooled => f.write_str("[W]")?,
            WebTransportUse::Dedicated(number) => write!(f, "[W{number}]")?,
        }
        write_authority(f, &self.host, self.port)?;
        if let Some(route) = &self.route {
            f.write_str(" <ROUTE-via ")?;
            write_authority(f, &route.host, route.port)?;
            f.write_str(">")?;
        }
        if self.alpn != Alpn::default() {
            write!(f, " {{NPN-TOKEN {}}}", self.alpn.token())?;
        }
        match self.address_family {
            AddressFamily::Any => {}
            AddressFamily::V4 => f.write_str("[!v6]")?,
            AddressFamily::V6 => f.write_str("[!v4]")?,
        }
        if partition.is_empty() { Ok(()) } else { write!(f, " ^{partition}") }
    }
}

fn write_authority(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_key_makes_another_key_and_shows() {
        let plain = ConnectionInfo::new("Example.ORG", 443);
        let isolated = |isolation| ConnectionInfo { isolation, ..plain.clone() };
        let routed = Route { host: "::1".into(), port: 8443 };
        let keys = [
            plain.clone(),
            ConnectionInfo::new("example.org", 444),
            ConnectionInfo::new("example.net", 443),
            isolated(Isolation { anonymous: true, ..Isolation::default() }),
            isolated(Isolation { private: true, ..Isolation::default() }),
            isolated(Isolation { partition: "a.example".into(), ..Isolation::default() }),
            ConnectionInfo { route: Some(routed), ..plain.clone() },
            ConnectionInfo { alpn: Alpn::Http11, ..plain.clone() },
            ConnectionInfo { address_family: AddressFamily::V4, ..plain.clone() },
            ConnectionInfo { address_family: AddressFamily::V6, ..plain.clone() },
            ConnectionInfo { web_transport: WebTransportUse::Pooled, ..plain.clone() },
            ConnectionInfo { web_transport: WebTransportUse::Dedicated(1), ..plain.clone() },
            ConnectionInfo { web_transport: WebTransportUse::Dedicated(2), ..plain.clone() },
        ];
        let unequal: std::collections::BTreeSet<_> = keys.iter().collect();
        let shown: std::collections::BTreeSet<_> = keys.iter().map(ToString::to_string).collect();
        assert_eq!((unequal.len(), shown.len()), (keys.len(), keys.len()), "{shown:#?}");
        assert_eq!(plain.to_string(), "example.org:443");
        assert_eq!(keys[6].to_string(), "example.org:443 <ROUTE-via [::1]:8443>");
        assert_eq!(keys[6].endpoint(), ("::1", 8443));
    }
}
