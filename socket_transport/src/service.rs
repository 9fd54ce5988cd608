//! The service: the loop of the socket thread.
//!
//! One turn (necko §2.3, §2.4):
//!
//! ```text
//!  ┌────────────────────────────────────────────────────────────────────────────────────────┐
//!  │ 1  detach sockets whose condition is set                        on_socket_detached     │
//!  │ 2  poll the sockets that were opened since                                             │
//!  │ 3  poll: until something is ready, a timer is due, something is posted;                │
//!  │    without waiting when this turn has worked already, or work is left                  │
//!  │ 4  serve sockets with news, in index order,                     on_socket_ready        │
//!  │    then those that stayed ready before this turn                                       │
//!  │ 5  detach sockets whose condition was set meanwhile             on_socket_detached     │
//!  │ 6  post the due timers behind the posted events; run one        on_event, on_wakeup,   │
//!  │    batch: what waits now, for 100 ms at most                    on_timer               │
//!  │ 7  what was asked for: shutdown, offline, stop                  on_shutdown            │
//!  └──────────────────────────────────────────────▲─────────────────────────────────────────┘
//!                                                 └── what events post waits for the next turn
//! ```
//!
//! So a timer or an event never runs inside a socket callback; no flood of events keeps a socket from
//! being served, and no flood of datagrams an event.

use std::{fmt, io, time::Instant};

use crate::{
    Clock, Context, Limits, Network, Poster, Ready, ServiceSnapshot, SocketHandler, SocketKey,
    TimerKey, core::Core,
};

/// Owns sockets, timers and posted events, polls, and calls its application.
///
/// Thread: the one that made it, from then on "the socket thread" (it is not `Send`); other threads
/// reach it through [`poster`](Self::poster). Dropping it without having run to the end closes the
/// sockets without a call of [`on_socket_detached`](SocketHandler::on_socket_detached).
///
/// Necko: `nsSocketTransportService`.
pub struct SocketTransportService<T, E> {
    pub(crate) core: Core<T, E>,
    // Kept from turn to turn so that a turn does not allocate.
    pub(crate) edges: Vec<(usize, Ready)>,
    pub(crate) serving: Vec<(SocketKey, Ready)>,
    pub(crate) due: Vec<TimerKey>,
}

/// Whether a turn may wait for something to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until something happens, or the next deadline. In a simulation it does not wait, either.
    Block,
    /// It looks what is there.
    Poll,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// Something.
    Worked,
    /// Nothing: without a datagram, a post or a deadline the next one does nothing as well.
    Idle,
    /// The service has ended.
    Stopped,
}

impl<T: Copy, E> SocketTransportService<T, E> {
    /// A service on a network.
    ///
    /// # Errors
    /// When the system has no poll for it (too many open descriptors).
    pub fn new(network: Network, limits: Limits) -> io::Result<Self> {
        let core = Core::new(network, limits)?;
        Ok(Self { core, edges: Vec::new(), serving: Vec::new(), due: Vec::new() })
    }

    /// The door for other threads.
    pub fn poster(&self) -> Poster<T, E> {
        self.core.poster.clone()
    }

    /// The service's clock.
    pub fn clock(&self) -> Clock {
        self.core.clock.clone()
    }

    /// Calls the application once from outside, as if it were handling an event: to open its first
    /// sockets.
    pub fn with_context<R>(&mut self, call: impl FnOnce(&mut Context<'_, T, E>) -> R) -> R {
        call(&mut Context::new(&mut self.core))
    }

    /// The earliest deadline of a timer, or of the shutdown.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    /// Whether the next turn finds something to do without waiting: posted events, sockets that stay
    /// ready, sockets to be polled or detached.
    pub fn has_work(&self) -> bool {
        self.core.has_own_work() || self.core.inbox.has_news(self.core.seen)
    }

    /// As [`Poster::request_shutdown`].
    pub fn shutdown(&self) {
        self.core.poster.request_shutdown();
    }

    /// What the service holds now.
    pub fn snapshot(&self) -> ServiceSnapshot {
        self.core.snapshot()
    }

    /// Runs turns until the application calls [`Context::stop`]. Afterwards every socket is detached,
    /// every event dropped, and posting is refused.
    ///
    /// # Errors
    /// When the system's poll fails for good; the end is the same.
    pub fn run<H>(&mut self, app: &mut H) -> io::Result<()>
    where
        H: SocketHandler<Target = T, Event = E>,
    {
        while self.turn(app, Wait::Block)? != Turn::Stopped {}
        Ok(())
    }

    /// One turn, as drawn on the [module page](self): for tests, the simulation, and loops that have
    /// something else to do.
    pub fn turn<H>(&mut self, app: &mut H, wait: Wait) -> io::Result<Turn>
    where
        H: SocketHandler<Target = T, Event = E>,
    {
        if self.core.ended {
            return Ok(Turn::Stopped);
        }
        let mut worked = self.detach_condemned(app);
        worked |= self.core.sockets.promote_idle(&self.core.poller);
        // Who has worked returns first.
        let wait = if worked { Wait::Poll } else { wait };
        if let Err(error) = self.poll(wait) {
            self.finish(app);
            return Err(error);
        }
        worked |= self.serve_sockets(app);
        worked |= self.detach_condemned(app);
        worked |= self.run_batch(app);
        if self.core.stopping {
            self.finish(app);
            return Ok(Turn::Stopped);
        }
        Ok(if worked { Turn::Worked } else { Turn::Idle })
    }
}

impl<T: Copy, E> fmt::Debug for SocketTransportService<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketTransportService").field("holds", &self.snapshot()).finish()
    }
}
