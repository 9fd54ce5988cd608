//! Blocking on a future, with a deadline, until a signal comes.
//!
//! The library's responses are futures; a transfer has a thread of its own, which sleeps until the socket
//! thread, the deadline or a signal wakes it.

use std::{
    cell::RefCell,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use socket_transport::Clock;

use super::{
    exit_code::ExitCode,
    report::Failure,
    speed::{SpeedGuard, SpeedLimit},
};

/// The wish to end early, shared by everything that waits.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    wished: AtomicBool,
    by: OnceLock<ExitCode>,
    waiting: Mutex<Vec<Thread>>,
}

impl Stop {
    /// Everything that waits is to end with `code`. Answers whether this is the first wish.
    pub(crate) fn wish(&self, code: ExitCode) -> bool {
        let first = self.by.set(code).is_ok();
        self.wished.store(true, Ordering::Release);
        for thread in self.waiting.lock().iter() {
            thread.unpark();
        }
        first
    }

    /// The failure that it is, once it is wished.
    pub(crate) fn failure(&self) -> Option<Failure> {
        if !self.wished.load(Ordering::Acquire) {
            return None;
        }
        let code = self.by.get().copied().unwrap_or(ExitCode::Interrupted);
        let word = match code {
            ExitCode::Terminated => "terminated",
            ExitCode::Aborted => "given up because another transfer failed (--fail-early)",
            _ => "interrupted",
        };
        Some(Failure::new(code, word))
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the calling thread until `due`.
pub(crate) fn park_until(clock: &Clock, due: Instant) {
    loop {
        let left = due.saturating_duration_since(clock.now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}

/// One thread's way to wait.
pub(crate) struct Waiter<'a> {
    stop: &'a Stop,
    waker: Waker,
    clock: Clock,
    begun: Instant,
    limit: Option<Limit>,
    speed: RefCell<Speed>,
    /// Bytes of the transfer that moved, down or up.
    moved: Arc<AtomicU64>,
}

/// Whether the transfer's speed is looked at.
enum Speed {
    Whatever,
    /// As soon as its request has left.
    Later(SpeedLimit),
    Guarded(SpeedGuard),
}

/// How often it is looked whether the request has left, while that matters.
const UNTIL_REQUEST: Duration = Duration::from_millis(200);

#[derive(Clone, Copy)]
struct Limit {
    deadline: Instant,
    max_time: Duration,
}

impl<'a> Waiter<'a> {
    /// For the calling thread, which alone may use it.
    pub(crate) fn new(stop: &'a Stop) -> Self {
        stop.waiting.lock().push(thread::current());
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let clock = Clock::system();
        let begun = clock.now();
        let (speed, moved) = (RefCell::new(Speed::Whatever), Arc::default());
        Self { stop, waker, clock, begun, limit: None, speed, moved }
    }

    /// When the transfer began.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// What counts the bytes that move.
    pub(crate) fn moved(&self) -> &Arc<AtomicU64> {
        &self.moved
    }

    /// The time of this moment.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// How long ago the transfer began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now().saturating_duration_since(self.begun)
    }

    /// A transfer begins. From now on, waits end after `max_time`, and when the transfer is too slow after
    /// its request has left.
    pub(crate) fn begin(&mut self, max_time: Option<Duration>, speed: Option<SpeedLimit>) {
        self.begun = self.clock.now();
        self.moved = Arc::default();
        *self.speed.get_mut() = speed.map_or(Speed::Whatever, Speed::Later);
        let limit = |max_time| {
            let deadline = self.clock.now().checked_add(max_time)?;
            Some(Limit { deadline, max_time })
        };
        self.limit = max_time.and_then(limit);
    }

    /// Whether the transfer waits for its request to leave, to be looked at from then on.
    pub(crate) fn awaits_request(&self) -> bool {
        matches!(*self.speed.borrow(), Speed::Later(_))
    }

    /// The request has left.
    pub(crate) fn request_has_left(&self) {
        let mut speed = self.speed.borrow_mut();
        if let Speed::Later(limit) = *speed {
            *speed = Speed::Guarded(SpeedGuard::new(limit));
        }
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// A signal came, or time ran out.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.remaining().map(|_| ())
    }

    /// Blocks until the future has its result.
    ///
    /// # Errors
    /// As [`check`](Self::check). The future is dropped then.
    pub(crate) fn wait<F: Future>(&self, future: F) -> Result<F::Output, Failure> {
        let mut future = pin!(future);
        let mut context = Context::from_waker(&self.waker);
        loop {
            let remaining = self.remaining()?;
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
            match remaining {
                Some(remaining) => thread::park_timeout(remaining),
                None => thread::park(),
            }
        }
    }

    /// Blocks until `due`.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn wait_until(&self, due: Instant) -> Result<(), Failure> {
        loop {
            let remaining = self.remaining()?;
            let left = due.saturating_duration_since(self.now());
            if left.is_zero() {
                return Ok(());
            }
            thread::park_timeout(remaining.map_or(left, |remaining| remaining.min(left)));
        }
    }

    fn remaining(&self) -> Result<Option<Duration>, Failure> {
        if let Some(failure) = self.stop.failure() {
            return Err(failure);
        }
        let look = self.look_at_speed()?;
        let Some(Limit { deadline, max_time }) = self.limit else { return Ok(look) };
        let remaining = deadline.saturating_duration_since(self.clock.now());
        if remaining.is_zero() {
            let message = format!("the transfer took longer than --max-time ({max_time:?})");
            return Err(Failure::new(ExitCode::Timeout, message));
        }
        Ok(Some(look.map_or(remaining, |look| look.min(remaining))))
    }

    /// Answers when to look again.
    fn look_at_speed(&self) -> Result<Option<Duration>, Failure> {
        match &mut *self.speed.borrow_mut() {
            Speed::Whatever => Ok(None),
            Speed::Later(_) => Ok(Some(UNTIL_REQUEST)),
            Speed::Guarded(guard) => {
                guard.look(self.clock.now(), self.moved.load(Ordering::Relaxed)).map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use super::*;

    #[test]
    fn a_result_that_is_there_is_taken() {
        let stop = Stop::default();
        assert_eq!(Waiter::new(&stop).wait(ready(7)), Ok(7));
    }

    #[test]
    fn a_wake_from_another_thread_ends_the_wait() {
        let stop = Stop::default();
        let mut polls = 0;
        let future = poll_fn(|context| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        });
        // A spurious return of `park` only polls once more.
        assert_eq!(Waiter::new(&stop).wait(future), Ok(()));
    }

    #[test]
    fn max_time_ends_the_wait_with_28() {
        let stop = Stop::default();
        let mut waiter = Waiter::new(&stop);
        waiter.begin(Some(Duration::from_millis(5)), None);
        let failure = waiter.wait(pending::<()>()).unwrap_err();
        assert_eq!(failure.code, ExitCode::Timeout);
        assert!(failure.to_string().contains("--max-time (5ms)"), "{failure}");
        waiter.begin(None, None);
        assert_eq!(waiter.check(), Ok(()));
    }

    #[test]
    fn a_wait_for_a_moment_ends_then_or_with_max_time() {
        let stop = Stop::default();
        let mut waiter = Waiter::new(&stop);
        let due = waiter.now() + Duration::from_millis(5);
        assert_eq!(waiter.wait_until(due), Ok(()));
        assert!(waiter.now() >= due);
        waiter.begin(Some(Duration::from_millis(5)), None);
        let failure = waiter.wait_until(due + Duration::from_hours(1)).unwrap_err();
        assert_eq!(failure.code, ExitCode::Timeout);
    }

    #[test]
    fn a_transfer_that_does_not_move_ends_with_28_once_its_request_has_left() {
        let stop = Stop::default();
        let mut waiter = Waiter::new(&stop);
        let time = Duration::from_millis(20);
        waiter.begin(None, Some(SpeedLimit { bytes: 1, time }));
        assert!(waiter.awaits_request());
        let due = waiter.now() + 2 * time;
        assert_eq!(waiter.wait_until(due), Ok(()), "connecting does not count");
        waiter.request_has_left();
        assert!(!waiter.awaits_request());
        let failure = waiter.wait(pending::<()>()).unwrap_err();
        assert_eq!(failure.code, ExitCode::Timeout);
        assert!(failure.to_string().contains("--speed-limit"), "{failure}");
    }

    #[test]
    fn a_signal_ends_every_wait_and_the_first_one_counts() {
        let stop = Stop::default();
        thread::scope(|scope| {
            let wait = || Waiter::new(&stop).wait(pending::<()>()).unwrap_err().code;
            let waits = [scope.spawn(wait), scope.spawn(wait)];
            assert!(stop.wish(ExitCode::Interrupted));
            assert!(!stop.wish(ExitCode::Terminated));
            for wait in waits {
                assert_eq!(wait.join().unwrap(), ExitCode::Interrupted);
            }
        });
    }
}
