//! Counters of what exists on any thread: open files, unfinished uploads, bytes in buffers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How much of something exists. Clones count the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

/// A part of a [`Counter`], for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    counter: Counter,
    amount: usize,
}

impl Counter {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts `amount` more until the result is dropped, wherever that happens.
    pub(crate) fn add(&self, amount: usize) -> Counted {
        self.0.fetch_add(amount, Ordering::Relaxed);
        Counted { counter: self.clone(), amount }
    }
}

impl Counted {
    /// Counts another amount from now on.
    pub(crate) fn set(&mut self, amount: usize) {
        self.counter.0.fetch_add(amount, Ordering::Relaxed);
        self.counter.0.fetch_sub(self.amount, Ordering::Relaxed);
        self.amount = amount;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_goes_when_it_is_dropped() {
        let counter = Counter::default();
        let (one, mut more) = (counter.add(1), counter.clone().add(5));
        assert_eq!(counter.count(), 6);
        more.set(2);
        assert_eq!(counter.count(), 3);
        std::thread::spawn(|| drop(one)).join().unwrap();
        drop(more);
        assert_eq!(counter.count(), 0);
    }
}
