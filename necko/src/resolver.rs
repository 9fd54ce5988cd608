//! Addresses that the application knows better than the resolver (curl's `--resolve`).

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use connection_mgr::{Resolve, SystemResolver};

/// Fixed addresses for some hosts, another resolver for the rest.
#[derive(Clone)]
pub struct FixedAddresses {
    fixed: BTreeMap<(String, u16), Vec<SocketAddr>>,
    rest: Arc<dyn Resolve>,
}

impl FixedAddresses {
    /// None fixed yet; the system's resolver for the rest.
    pub fn new() -> Self {
        Self { fixed: BTreeMap::new(), rest: Arc::new(SystemResolver) }
    }

    /// Fixes the addresses of `host` on `port`.
    pub fn set(&mut self, host: &str, port: u16, addresses: Vec<SocketAddr>) {
        self.fixed.insert((host.to_ascii_lowercase(), port), addresses);
    }
}

impl Default for FixedAddresses {
    fn default() -> Self {
        Self::new()
    }
}

impl Resolve for FixedAddresses {
    fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        match self.fixed.get(&(host.to_ascii_lowercase(), port)) {
            Some(addresses) => Ok(addresses.clone()),
            None => self.rest.resolve(host, port),
        }
    }
}
