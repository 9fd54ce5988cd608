//! How an application's thread tells the socket thread that it wants something.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    task::Waker,
};

use parking_lot::Mutex;

/// A set of wishes, each a bit, and who is woken when one is made. Wishing twice is wishing once. Any thread.
#[derive(Debug, Default)]
pub(crate) struct Wishing {
    bits: AtomicU8,
    /// Wakes whatever owns the thing on the socket thread.
    owner: Mutex<Option<Waker>>,
}

impl Wishing {
    /// Makes a wish.
    pub(crate) fn wish(&self, wish: u8) {
        self.bits.fetch_or(wish, Ordering::AcqRel);
        if let Some(owner) = &*self.owner.lock() {
            owner.wake_by_ref();
        }
    }

    /// Names who is to be woken; at once if something was wished before.
    pub(crate) fn set_owner(&self, waker: Option<Waker>) {
        let mut owner = self.owner.lock();
        *owner = waker;
        if self.bits.load(Ordering::Acquire) != 0
            && let Some(waker) = &*owner
        {
            waker.wake_by_ref();
        }
    }

    /// Whether there is nobody to be woken.
    pub(crate) fn has_no_owner(&self) -> bool {
        self.owner.lock().is_none()
    }

    /// Takes what was wished, except that those in `kept` stay.
    pub(crate) fn take(&self, kept: u8) -> u8 {
        self.bits.fetch_and(kept, Ordering::AcqRel)
    }
}
