//! A connection that is still a name. Necko's class is `DnsAndConnectSocket`.

use socket_transport::TimerKey;

use crate::{snapshot::HalfOpenState, target::ConnectionKey};

/// What an entry does to get a connection.
///
/// ```text
///           the name has addresses,
///           one of them is a usable          the certificate there
///           connection's peer                 names this host, too
///  Idle ──► Resolving ────────────► Joining ─────────────────────► Idle (coalesced)
///             │    │                   │ no, or it ended
///             │    │                   ▼
///             │    └───────────────► Racing ─► Idle (one of them answered, or none is left)
///             │                       │  ▲ a quarter of a second, or one has failed:
///             │                       └──┘ the next address is tried as well
///             └─► no such name, or no answer in time: who waits fails
/// ```
///
/// The first two steps run on workers. An answer counts only if it carries the attempt's number, so that one
/// which was abandoned answers to nobody; and they are bounded by a timer, since a worker may hang.
/// Connections that are being made are on the entry's list already: each has a timer of its own.
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
    /// A connection is being made, and there are addresses left: if it is not there in time, the next one
    /// joins the race (RFC 8305 §5).
    Racing(Attempt),
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
            Self::Resolving(attempt) | Self::Joining(attempt, _) | Self::Racing(attempt) => {
                Some(*attempt)
            }
        }
    }

    /// Whether this attempt is under way.
    pub(crate) fn is_attempt(&self, number: u64) -> bool {
        self.attempt().is_some_and(|attempt| attempt.number == number)
    }

    /// For the snapshot.
    pub(crate) fn state(&self) -> HalfOpenState {
        match self {
            Self::Idle => HalfOpenState::Idle,
            Self::Resolving(_) => HalfOpenState::Resolving,
            Self::Joining(..) => HalfOpenState::Joining,
            Self::Racing(_) => HalfOpenState::Racing,
        }
    }

    /// Whether another address will join the race.
    pub(crate) fn is_racing(&self) -> bool {
        matches!(self, Self::Racing(_))
    }
}
