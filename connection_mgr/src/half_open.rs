//! A connection that is still a name. Necko's class is `DnsAndConnectSocket`.

use std::{collections::VecDeque, net::SocketAddr};

/// What an entry does to get a connection.
///
/// ```text
///  Idle ──► Resolving ──► Idle (a connection is being made to the first address)
///                │             │ it failed, and addresses are left
///                └─► failed    └──► the next address
/// ```
#[derive(Debug, Default)]
pub(crate) enum HalfOpen {
    /// Nothing.
    #[default]
    Idle,
    /// A look-up runs on a worker. Its answer counts only if it carries this number.
    Resolving { attempt: u64 },
}

/// The addresses of the last look-up that were not tried.
#[derive(Debug, Default)]
pub(crate) struct Untried(VecDeque<SocketAddr>);

impl Untried {
    pub(crate) fn set(&mut self, addresses: Vec<SocketAddr>) {
        self.0 = addresses.into();
    }

    pub(crate) fn next(&mut self) -> Option<SocketAddr> {
        self.0.pop_front()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
