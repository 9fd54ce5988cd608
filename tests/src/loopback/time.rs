//! Waiting, never for longer than a deadline.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use socket_transport::Clock;

/// Nothing on loopback takes so long, not even in a debug build on a busy machine.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Runs `body` on a thread of its own and fails if it takes longer than `limit`: a test that would
/// hang says so instead.
#[track_caller]
pub fn within<T: Send + 'static>(limit: Duration, body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _ended = sender;
        body()
    });
    // Nothing is ever sent: the sender's end, by return or panic, is the event.
    let end = ended.recv_timeout(limit);
    assert!(end != Err(mpsc::RecvTimeoutError::Timeout), "still not done after {limit:?}");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor there is. Fails after `limit`.
#[track_caller]
pub fn block_on<F: Future>(limit: Duration, future: F) -> F::Output {
    let clock = Clock::system();
    let deadline = clock.now() + limit;
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let left = deadline.saturating_duration_since(clock.now());
        assert!(!left.is_zero(), "the future is not done after {limit:?}");
        thread::park_timeout(left);
    }
}

/// Asks again and again until the answer is `Some`. For what can only be asked, because nobody
/// announces it: whether a file has come into being, or all connections are gone.
#[track_caller]
pub fn wait_until<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    let deadline = clock.now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(clock.now() < deadline, "after {limit:?} still not: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// A reader that does nothing for so long: what is under test is that nobody minds. It is no way to wait
/// for something.
pub fn pause(length: Duration) {
    let clock = Clock::system();
    let end = clock.now() + length;
    loop {
        let left = end.saturating_duration_since(clock.now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}
