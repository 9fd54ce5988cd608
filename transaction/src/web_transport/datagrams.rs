//! Datagrams on their way through a session's two queues.
//!
//! Both queues are bounded, and in both the oldest makes room for the newest: what is late is worth least.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

/// How many wait for the engine, or for the application, at most.
pub(super) const QUEUE: usize = 128;

/// What became of a datagram. That it was sent doesn't say that it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatagramOutcome {
    /// The engine took it (necko's `SENT`).
    Sent,
    /// It fits into no packet (necko's `DROPPED_TOO_MUCH_DATA`): the way to the server takes less than it did when
    /// the datagram was given.
    TooLarge,
    /// Newer ones took its place in the queue before it could leave.
    Displaced,
    /// The session was closed before it could leave.
    SessionClosed,
}

/// Tells what became of a datagram: a future that can also block.
#[derive(Debug)]
pub struct PendingOutcome(Arc<Tracking>);

impl PendingOutcome {
    /// Blocks until it is known.
    pub fn wait(self) -> DatagramOutcome {
        let mut state = self.0.state.lock();
        loop {
            if let Some(outcome) = state.outcome {
                return outcome;
            }
            self.0.changed.wait(&mut state);
        }
    }

    /// What is known now.
    pub fn get(&self) -> Option<DatagramOutcome> {
        self.0.state.lock().outcome
    }
}

impl Future for PendingOutcome {
    type Output = DatagramOutcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<DatagramOutcome> {
        let mut state = self.0.state.lock();
        if let Some(outcome) = state.outcome {
            return Poll::Ready(outcome);
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Debug, Default)]
struct Tracking {
    state: Mutex<Tracked>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Tracked {
    outcome: Option<DatagramOutcome>,
    waiting: Option<Waker>,
}

/// Tells a [`PendingOutcome`]; if nobody did, that the session is closed.
#[derive(Debug)]
pub(super) struct Report(Arc<Tracking>);

impl Report {
    pub(super) fn new() -> (Self, PendingOutcome) {
        let tracking = Arc::new(Tracking::default());
        (Self(Arc::clone(&tracking)), PendingOutcome(tracking))
    }

    fn tell(&self, outcome: DatagramOutcome) {
        let waiting = {
            let mut state = self.0.state.lock();
            state.outcome.get_or_insert(outcome);
            state.waiting.take()
        };
        self.0.changed.notify_all();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.tell(DatagramOutcome::SessionClosed);
    }
}

/// A datagram that the application wants to be sent.
#[derive(Debug)]
pub struct Leaving {
    /// Its content.
    pub bytes: Bytes,
    pub(super) report: Option<Report>,
}

impl Leaving {
    /// Says what became of it.
    pub fn tell(self, outcome: DatagramOutcome) {
        if let Some(report) = &self.report {
            report.tell(outcome);
        }
    }
}

/// A bounded queue, in which the oldest makes room.
#[derive(Debug)]
pub(super) struct Queue<T>(VecDeque<T>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Queue<T> {
    /// Adds one; answers the one that had to make room.
    pub(super) fn push(&mut self, one: T) -> Option<T> {
        let oldest = if self.0.len() >= QUEUE { self.0.pop_front() } else { None };
        self.0.push_back(one);
        oldest
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_the_order_stays() {
        let mut queue = Queue::default();
        let displaced: Vec<_> = (0..QUEUE + 3).filter_map(|number| queue.push(number)).collect();
        assert_eq!(displaced, [0, 1, 2]);
        assert_eq!((queue.len(), queue.pop(), queue.pop()), (QUEUE, Some(3), Some(4)));
    }

    #[test]
    fn a_datagram_that_nobody_sends_was_not_sent() {
        let (report, outcome) = Report::new();
        drop(Leaving { bytes: Bytes::new(), report: Some(report) });
        assert_eq!(outcome.wait(), DatagramOutcome::SessionClosed);
        let (report, outcome) = Report::new();
        assert_eq!(outcome.get(), None);
        Leaving { bytes: Bytes::new(), report: Some(report) }.tell(DatagramOutcome::Sent);
        assert_eq!(outcome.wait(), DatagramOutcome::Sent);
    }
}
