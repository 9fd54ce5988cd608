//! What a peer sends without anything coming of it.
//!
//! neqo 0.13.4 collects a response head of any length before it reports it, and reads the bytes as they
//! come, so that no window holds the sender back. The session can't look into the engine; but it sees
//! packets come, and no event and no byte of a body follow. An honest peer fills a window at most, behind
//! a packet that was lost or for consumers that don't read, and adds a head and some acknowledgements; what
//! exceeds that is an attack, or a head that nobody wants.
//!
//! (What remains: a peer that makes an event now and then, on another stream, is not found out.)

use std::time::Instant;

/// More than a window may come without an event by so much. Firefox takes heads of up to 384 KiB.
const HEADS: u64 = 1024 * 1024;

/// So much is forgotten in a second: acknowledgements of a connection that lives long.
const FORGOTTEN_PER_SECOND: u64 = 4 * 1024;

/// Counts what comes without an event: a bucket that leaks.
#[derive(Debug)]
pub(crate) struct Obscurity {
    most: u64,
    level: u64,
    at: Option<Instant>,
}

impl Obscurity {
    /// On a connection with such a receive window.
    pub(crate) fn new(window: u64) -> Self {
        Self { most: window.saturating_add(HEADS), level: 0, at: None }
    }

    /// Packets of so many bytes came.
    pub(crate) fn add(&mut self, bytes: usize, now: Instant) {
        let elapsed = self.at.map(|at| now.saturating_duration_since(at).as_secs());
        if elapsed != Some(0) {
            self.at = Some(now);
        }
        let forgotten = elapsed.unwrap_or_default().saturating_mul(FORGOTTEN_PER_SECOND);
        self.level = self.level.saturating_sub(forgotten).saturating_add(bytes as u64);
    }

    /// Something came of it.
    pub(crate) fn clear(&mut self) {
        self.level = 0;
    }

    /// Whether that was more than an honest peer sends.
    pub(crate) fn is_too_much(&self) -> bool {
        self.level > self.most
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket_transport::Clock;

    use super::*;

    #[test]
    fn what_comes_to_nothing_is_counted_until_something_comes_of_it() {
        let now = Clock::system().now();
        let mut obscurity = Obscurity::new(0);
        for _ in 0..1000 {
            obscurity.add(1000, now);
        }
        assert!(!obscurity.is_too_much());
        for _ in 0..100 {
            obscurity.add(1000, now);
        }
        assert!(obscurity.is_too_much());
        obscurity.clear();
        assert!(!obscurity.is_too_much());
    }

    #[test]
    fn as_much_as_an_honest_peer_sends_is_not_too_much() {
        let now = Clock::system().now();
        let mut obscurity = Obscurity::new(1000);
        obscurity.add(1000 + 1024 * 1024, now);
        assert!(!obscurity.is_too_much());
        obscurity.add(1, now);
        assert!(obscurity.is_too_much());
    }

    #[test]
    fn a_long_life_of_acknowledgements_is_forgotten() {
        let start = Clock::system().now();
        let mut obscurity = Obscurity::new(0);
        for second in 0..100_000 {
            for packet in 0..40 {
                obscurity.add(100, start + Duration::from_millis(second * 1000 + packet * 25));
            }
        }
        assert!(!obscurity.is_too_much(), "{obscurity:?}");
    }
}
