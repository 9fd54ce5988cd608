//! A token bucket: how much of something may happen at once, and how fast it may go on.
//!
//! Kept as a moment instead of a count (as ATM's cell rate algorithm does): each unit moves `until`
//! one interval into the future, and time brings it back. So nothing has to run in between.

use std::time::{Duration, Instant};

/// What is left of an allowance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Until when the units that were spent last, if each lasts one interval.
    until: Instant,
    /// The time after which one unit is forgotten.
    interval: Duration,
    /// How far ahead `until` may be.
    reach: Duration,
}

impl Budget {
    /// `burst` units at once, and one more each `interval`.
    pub(crate) fn new(burst: u32, interval: Duration, now: Instant) -> Self {
        Self { until: now, interval, reach: interval.saturating_mul(burst) }
    }

    /// Takes units. False if there were not as many.
    pub(crate) fn spend(&mut self, units: u32, now: Instant) -> bool {
        let cost = self.interval.saturating_mul(units);
        // What does not fit into a point in time does not fit into the budget.
        let Some(until) = self.until.max(now).checked_add(cost) else { return false };
        self.until = until;
        self.until.saturating_duration_since(now) <= self.reach
    }

    /// Gives units back, but never more than were spent.
    pub(crate) fn give_back(&mut self, units: u32, now: Instant) {
        let back = self.interval.saturating_mul(units);
        self.until = self.until.checked_sub(back).unwrap_or(now).max(now);
    }

    /// Whether more than a quarter is spent.
    pub(crate) fn is_strained(&self, now: Instant) -> bool {
        self.until.saturating_duration_since(now) > self.reach / 4
    }
}

#[cfg(test)]
mod tests {
    use socket_transport::Clock;

    use super::*;

    #[test]
    fn a_budget_has_a_burst_and_a_rate() {
        let start = Clock::system().now();
        let later = |millis| start + Duration::from_millis(millis);
        let mut budget = Budget::new(3, Duration::from_millis(100), start);
        for spent in 1..=3 {
            assert!(budget.spend(1, start), "{spent}");
        }
        assert!(budget.is_strained(start));
        assert!(!budget.spend(1, start), "the burst is used up");
        assert!(!budget.spend(1, later(100)), "one came back, two are owed");
        assert!(budget.spend(1, later(400)));
        budget.give_back(2, later(400));
        assert!(budget.spend(2, later(400)));
        // An hour of rest does not save up more than the burst.
        assert!(budget.spend(3, later(3_600_000)));
        assert!(!budget.spend(1, later(3_600_000)));
        budget.give_back(u32::MAX, later(3_600_000));
        assert!(!budget.is_strained(later(3_600_000)));
        assert!(!budget.spend(4, later(3_600_000)));
        assert!(!budget.spend(u32::MAX, later(3_600_000)));
    }
}
