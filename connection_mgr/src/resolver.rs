//! Names to addresses, off the socket thread.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

/// Looks names up. Called on a worker thread; may block.
pub trait Resolve: Send + Sync {
    /// The addresses of `host` with `port`, the preferred one first.
    ///
    /// # Errors
    /// The reason, in words.
    fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String>;
}

/// The operating system's resolver (`getaddrinfo`).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let mut addresses = Vec::new();
        for address in (host, port).to_socket_addrs().map_err(|error| error.to_string())? {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() { Err("the name has no address".into()) } else { Ok(addresses) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_this_machine_and_an_address_is_its_own_name() {
        let addresses = SystemResolver.resolve("localhost", 443).unwrap();
        assert!(!addresses.is_empty());
        assert!(
            addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 443)
        );
        for (n, address) in addresses.iter().enumerate() {
            assert!(!addresses.iter().skip(n + 1).any(|other| other == address), "each once");
        }
        let literal = SystemResolver.resolve("2001:db8::1", 8443).unwrap();
        assert_eq!(literal, ["[2001:db8::1]:8443".parse().unwrap()]);
    }
}
