//! Names and their addresses in the simulated network. No look-up leaves this program.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use necko::Resolve;

/// A resolver that knows what a test told it.
#[derive(Debug, Default)]
pub struct Names(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<(String, u16), Vec<SocketAddr>>,
    lookups: usize,
}

impl Names {
    /// Gives `host` on `port` these addresses, instead of those that it had.
    pub fn set(&self, host: &str, port: u16, addresses: impl IntoIterator<Item = SocketAddr>) {
        let addresses = addresses.into_iter().collect();
        self.with(|state| state.names.insert((host.to_owned(), port), addresses));
    }

    /// Makes `host` unknown.
    pub fn forget(&self, host: &str) {
        self.with(|state| state.names.retain(|(known, _), _| known != host));
    }

    /// How many look-ups there were.
    pub fn lookups(&self) -> usize {
        self.with(|state| state.lookups)
    }

    fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Resolve for Names {
    fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        self.with(|state| {
            state.lookups += 1;
            let known = state.names.get(&(host.to_owned(), port)).cloned();
            known.ok_or_else(|| format!("{host} is not in the simulation"))
        })
    }
}
