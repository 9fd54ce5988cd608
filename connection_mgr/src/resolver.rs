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
