//! Posted events: the only `Send` door into the socket thread.
//!
//! ```text
//!   any thread                          one lock                           socket thread
//!   submit(event) ── bounded, refuses ─▶┌─────────────────┐
//!   post(event)   ── bounded by its ───▶│ queue, in order │── one batch ─▶ on_event, on_wakeup,
//!                    live objects       └─────────────────┘   per turn     on_timer
//!   waker.wake()  ── one place each, ──▶        ▲
//!                    reserved                   └── due timers
//! ```
//!
//! Whatever is posted runs later, from the outermost frame of the socket thread: never nested, never
//! inside the callback that posted it (necko §2.6, S9). Events that are posted by events wait for the
//! next batch, so a flood can't keep the sockets from being served (S8).

use std::{error::Error, fmt, sync::Arc, task::Waker};

use crate::{inbox::Inbox, wakeup::WakeUp};

/// Posts to one socket thread, from any thread. Cheap to clone.
///
/// Necko: `nsSocketTransportService::Dispatch`.
pub struct Poster<T, E>(Arc<Inbox<T, E>>);

impl<T, E> Poster<T, E> {
    pub(crate) fn new(inbox: Arc<Inbox<T, E>>) -> Self {
        Self(inbox)
    }

    /// Posts an event from outside: a new request, a cancellation.
    ///
    /// # Errors
    /// Gives the event back when [`Limits::max_submissions`](crate::Limits) wait already, or when the
    /// service has ended.
    pub fn submit(&self, event: E) -> Result<(), Refused<E>> {
        self.0.submit(event)
    }

    /// Posts an event whose number is bounded by something alive: the result of a worker's job, the
    /// reclaim of a connection. Never refused for lack of space; dropped when the service has ended,
    /// as late dispatches must be tolerated (necko §2.7).
    pub fn post(&self, event: E) {
        self.0.post(event);
    }

    /// Asks for [`SocketHandler::on_shutdown`](crate::SocketHandler::on_shutdown). A second request
    /// changes nothing.
    pub fn request_shutdown(&self) {
        self.0.request(|requests| requests.shutdown = true);
    }

    /// Going offline detaches every socket that is not bound to loopback, at the end of the present
    /// turn, and refuses new ones until `set_offline(false)`. Necko: `SetOffline`.
    pub fn set_offline(&self, offline: bool) {
        self.0.request(|requests| requests.offline = offline);
    }

    /// Whether the service has ended: posting is useless from now on.
    pub fn is_shut_down(&self) -> bool {
        self.0.is_closed()
    }
}

impl<T: Copy + Send + Sync + 'static, E: Send + 'static> Poster<T, E> {
    /// A wake-up for `target`, with its place in the queue reserved.
    ///
    /// Any number of wakes before it is delivered are one; it can't fail and does not allocate, so it
    /// may be called from `Drop`; it keeps its order among the events. After the end of the service
    /// it does nothing. Dropping the last clone gives the place back.
    pub fn waker(&self, target: T) -> Waker {
        Waker::from(Arc::new(WakeUp::new(Arc::clone(&self.0), target)))
    }
}

impl<T, E> Clone for Poster<T, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, E> fmt::Debug for Poster<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, wakers) = self.0.counts();
        f.debug_struct("Poster").field("events", &events).field("wakers", &wakers).finish()
    }
}

/// Why an event was not taken; gives it back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refused<E> {
    /// As many submissions wait as are allowed: try again later, or tell the user.
    Full(E),
    /// The service has ended.
    ShutDown(E),
}

impl<E> Refused<E> {
    /// The event.
    pub fn into_inner(self) -> E {
        match self {
            Self::Full(event) | Self::ShutDown(event) => event,
        }
    }
}

impl<E> fmt::Debug for Refused<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::ShutDown(_) => "ShutDown(..)",
        })
    }
}

impl<E> fmt::Display for Refused<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "too many events wait for the socket thread",
            Self::ShutDown(_) => "the socket thread has ended",
        })
    }
}

impl<E> Error for Refused<E> {}
