//! A connection that is still a name. Necko's class is `DnsAndConnectSocket`.

use std::{collections::VecDeque, net::SocketAddr};

use socket_transport::TimerKey;

use crate::target::ConnectionKey;

/// What an entry does to get a connection.
///
/// ```text
///           the name has addresses,
///           one of them is a usable          the certificate there
///           connection's peer                 names this host, too
///  Idle ──► Resolving ────────────► Joining ─────────────────────► Idle (coalesced)
///             │    │                   │ no, or it ended
///             │    └───────────────────┴──► Idle (a connection is made to the first address)
///             └─► no such name, or no answer in time: who waits fails
/// ```
///
/// Both steps run on workers. An answer counts only if it carries the attempt's number, so that one which
/// was abandoned answers to nobody; and both are bounded by a timer, since a worker may hang.
#[derive(Debug, Default)]
pub(crate) enum HalfOpen {
    /// Nothing.
    #[default]
    Idle,
    /// The name is being looked up.
    Resolving(Attempt),
    /// Another host's connection goes to one of the addresses. Its certificate is being verified for this
    /// host.
    Joining(Attempt, ConnectionKey),
}

/// One try of a step, and the timer that ends it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) number: u64,
    pub(crate) timer: TimerKey,
}

impl HalfOpen {
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// The attempt under way.
    pub(crate) fn attempt(&self) -> Option<Attempt> {
        match self {
            Self::Idle => None,
            Self::Resolving(attempt) | Self::Joining(attempt, _) => Some(*attempt),
        }
    }

    /// Whether this attempt is under way.
    pub(crate) fn is_attempt(&self, number: u64) -> bool {
        self.attempt().is_some_and(|attempt| attempt.number == number)
    }
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().copied()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
