//! What a connection is for: the key of the manager's table. Necko's class is `nsHttpConnectionInfo`.

use std::fmt;

/// Two requests with equal infos may share a connection.
///
/// Necko's key has more parts (a route, ALPN, proxies, address family, …); each becomes a field here when the
/// manager learns to treat it differently.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionInfo {
    host: String,
    port: u16,
    /// No credentials may travel on it, nor on a connection that carries some (necko's flag `A`).
    pub anonymous: bool,
    /// Belongs to a private browsing context (necko's flag `P`).
    pub private: bool,
    /// Keeps the connections of one top-level site apart from another's.
    pub partition: String,
}

impl ConnectionInfo {
    /// The origin `https://host:port`. An IPv6 host is written without brackets.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_ascii_lowercase(),
            port,
            anonymous: false,
            private: false,
            partition: String::new(),
        }
    }

    /// The host, lower case, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ConnectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Necko's notation: flag characters first.
        if self.anonymous {
            f.write_str("[A]")?;
        }
        if self.private {
            f.write_str("[P]")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        if self.partition.is_empty() { Ok(()) } else { write!(f, " ^{}", self.partition) }
    }
}
