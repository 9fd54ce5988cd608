//! Wake-ups: deduplicated by one bit, with a reserved place in the queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use crate::inbox::Inbox;

/// What a [`Waker`](std::task::Waker) of [`Poster::waker`](crate::Poster::waker) points to.
///
/// ```text
///             wake: push                        just before on_wakeup
///   idle ────────────────────▶ pending, queued ───────────────────────▶ idle
///                                 │      ▲
///                                 └──────┘ wake: nothing
/// ```
///
/// The bit is cleared *before* the delivery, so that a wake during `on_wakeup` leads to another one.
pub(crate) struct WakeUp<T, E> {
    target: T,
    pending: AtomicBool,
    inbox: Arc<Inbox<T, E>>,
}

impl<T: Copy, E> WakeUp<T, E> {
    pub(crate) fn new(inbox: Arc<Inbox<T, E>>, target: T) -> Self {
        inbox.admit_waker();
        Self { target, pending: AtomicBool::new(false), inbox }
    }

    /// Makes it ready for the next wake and says whom to call.
    pub(crate) fn deliver(&self) -> T {
        // Acquires what the waking thread wrote before it found, or set, the bit.
        self.pending.swap(false, Ordering::AcqRel);
        self.target
    }
}

impl<T: Copy + Send + Sync + 'static, E: Send + 'static> Wake for WakeUp<T, E> {
    fn wake(self: Arc<Self>) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            let inbox = Arc::clone(&self.inbox);
            inbox.push_wakeup(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            self.inbox.push_wakeup(Arc::clone(self));
        }
    }
}

impl<T, E> Drop for WakeUp<T, E> {
    fn drop(&mut self) {
        self.inbox.dismiss_waker();
    }
}
