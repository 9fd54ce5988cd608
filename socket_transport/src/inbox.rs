//! The inbox of the socket thread: one queue, one lock, and the way to end a poll.
//!
//! The lock is taken once for each post, and once or twice for each turn; never for a packet. Nothing
//! is dropped while it is held, since what waits in the queue may post when it is dropped.

use std::{collections::VecDeque, mem, sync::Arc};

use parking_lot::Mutex;

use crate::{Refused, TimerKey, wakeup::WakeUp};

/// What waits in the queue.
pub(crate) enum Posted<T, E> {
    Event(E),
    WakeUp(Arc<WakeUp<T, E>>),
    Timer(TimerKey),
}

/// What was asked for besides events. Not in the queue: it arrives even when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) shutdown: bool,
    pub(crate) offline: bool,
}

/// What posters share with the socket thread.
pub(crate) struct Inbox<T, E> {
    state: Mutex<State<T, E>>,
    max_submissions: usize,
    /// Ends a poll that blocks. None in a simulation, where polls never block.
    alarm: Option<mio::Waker>,
}

struct State<T, E> {
    queue: VecDeque<Posted<T, E>>,
    /// Events of `submit` in the queue.
    submissions: usize,
    /// Wakers in existence, and how many of them are in the queue. The queue always has room for
    /// the others.
    wakers: usize,
    wakers_queued: usize,
    /// The socket thread blocks in a poll, or is about to.
    sleeping: bool,
    requests: Requests,
    closed: bool,
}

impl<T, E> Inbox<T, E> {
    pub(crate) fn new(max_submissions: usize, alarm: Option<mio::Waker>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            submissions: 0,
            wakers: 0,
            wakers_queued: 0,
            sleeping: false,
            requests: Requests::default(),
            closed: false,
        };
        Self { state: Mutex::new(state), max_submissions, alarm }
    }

    /// Events in the queue, and wakers in existence.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.queue.len(), state.wakers)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

/// For posters: any thread.
impl<T, E> Inbox<T, E> {
    pub(crate) fn submit(&self, event: E) -> Result<(), Refused<E>> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::ShutDown(event));
        }
        if state.submissions >= self.max_submissions {
            return Err(Refused::Full(event));
        }
        state.submissions += 1;
        state.push(Posted::Event(event));
        self.ring(&mut state);
        Ok(())
    }

    pub(crate) fn post(&self, event: E) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            drop(event);
            return;
        }
        state.push(Posted::Event(event));
        self.ring(&mut state);
    }

    pub(crate) fn request(&self, change: impl FnOnce(&mut Requests)) {
        let mut state = self.state.lock();
        change(&mut state.requests);
        self.ring(&mut state);
    }

    /// Queues a wake-up that is not in the queue. Does not allocate.
    pub(crate) fn push_wakeup(&self, wakeup: Arc<WakeUp<T, E>>) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            drop(wakeup);
            return;
        }
        state.wakers_queued += 1;
        state.queue.push_back(Posted::WakeUp(wakeup));
        self.ring(&mut state);
    }

    /// Reserves a place for a new waker.
    pub(crate) fn admit_waker(&self) {
        let mut state = self.state.lock();
        state.wakers += 1;
        state.make_room(0);
    }

    /// Gives a waker's place back.
    pub(crate) fn dismiss_waker(&self) {
        self.state.lock().wakers -= 1;
    }

    /// Ends the poll if there is one: a busy socket thread costs the poster no system call.
    fn ring(&self, state: &mut State<T, E>) {
        if !mem::take(&mut state.sleeping) {
            return;
        }
        if let Some(Err(error)) = self.alarm.as_ref().map(mio::Waker::wake) {
            log::error!("the socket thread can't be woken: {error}");
        }
    }
}

/// For the socket thread.
impl<T, E> Inbox<T, E> {
    /// Whether anything waits, `seen` being the requests that were granted.
    pub(crate) fn has_news(&self, seen: Requests) -> bool {
        self.state.lock().has_news(seen)
    }

    /// Before a poll that may block: true when nothing waits. From then on whoever posts ends the
    /// poll.
    pub(crate) fn fall_asleep(&self, seen: Requests) -> bool {
        let mut state = self.state.lock();
        state.sleeping = !state.has_news(seen);
        state.sleeping
    }

    /// After the poll: posts the timers that are `due`, then moves everything posted so far into
    /// `batch`, if that is empty.
    pub(crate) fn take_batch(
        &self,
        due: &mut Vec<TimerKey>,
        batch: &mut VecDeque<Posted<T, E>>,
    ) -> Requests {
        let mut state = self.state.lock();
        state.sleeping = false;
        for timer in due.drain(..) {
            state.push(Posted::Timer(timer));
        }
        if batch.is_empty() {
            // `append` leaves the queue its capacity, which is what the wakers rely on.
            batch.append(&mut state.queue);
            state.submissions = 0;
            state.wakers_queued = 0;
        }
        state.requests
    }

    /// The end: refuses everything from now on, and returns what waited.
    #[must_use]
    pub(crate) fn close(&self) -> VecDeque<Posted<T, E>> {
        let mut state = self.state.lock();
        state.closed = true;
        mem::take(&mut state.queue)
    }
}

impl<T, E> State<T, E> {
    fn push(&mut self, posted: Posted<T, E>) {
        self.make_room(1);
        self.queue.push_back(posted);
    }

    /// Room for `more` entries and for every waker that is not in the queue.
    fn make_room(&mut self, more: usize) {
        self.queue.reserve(more + self.wakers.saturating_sub(self.wakers_queued));
    }

    fn has_news(&self, seen: Requests) -> bool {
        !self.queue.is_empty() || self.requests != seen
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
