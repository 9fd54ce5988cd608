//! Timers: deadlines that bound the poll and arrive like posted events.
//!
//! ```text
//!                set_timer(deadline)              deadline passes: once per turn
//!   disarmed ───────────────────────▶ armed ─────────────────────────────────────▶ due
//!      ▲  ▲                             │                                           │
//!      │  └── set_timer(None) ──────────┘                 on_timer, in the batch    │
//!      └────────────────────────────────────────────────────────────────────────────┘
//!                                                         (set_timer calls it off)
//! ```
//!
//! Necko keeps a timer thread that posts an event (§2.5); with one thread the nearest deadline is
//! part of the poll's timeout, and the order is the same: a timer never runs inside a socket callback.

use std::{collections::BTreeSet, time::Instant};

use crate::slots::{Key, Slots};

/// Names a timer of [`Context::create_timer`](crate::Context::create_timer). Stale keys do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey(pub(crate) Key);

/// All timers of a service.
pub(crate) struct Timers<T> {
    timers: Slots<Timer<T>>,
    /// The armed ones, earliest first; of equal deadlines, the smaller key.
    armed: BTreeSet<(Instant, TimerKey)>,
}

struct Timer<T> {
    target: T,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Disarmed,
    Armed(Instant),
    Due,
}

impl<T: Copy> Timers<T> {
    pub(crate) fn new() -> Self {
        Self { timers: Slots::new(), armed: BTreeSet::new() }
    }

    pub(crate) fn create(&mut self, target: T) -> TimerKey {
        TimerKey(self.timers.insert(Timer { target, state: State::Disarmed }))
    }

    pub(crate) fn set(&mut self, key: TimerKey, deadline: Option<Instant>) {
        let Some(timer) = self.timers.get_mut(key.0) else { return };
        let state = deadline.map_or(State::Disarmed, State::Armed);
        // An engine names the same deadline again and again.
        if timer.state == state {
            return;
        }
        if let State::Armed(old) = timer.state {
            self.armed.remove(&(old, key));
        }
        if let State::Armed(new) = state {
            self.armed.insert((new, key));
        }
        timer.state = state;
    }

    pub(crate) fn remove(&mut self, key: TimerKey) {
        self.set(key, None);
        self.timers.remove(key.0);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
        self.timers.clear();
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.armed.first().map(|(deadline, _)| *deadline)
    }

    /// Moves the timers whose deadline has passed to `due`, earliest first.
    pub(crate) fn take_due(&mut self, now: Instant, due: &mut Vec<TimerKey>) {
        while let Some(&(deadline, key)) = self.armed.first()
            && deadline <= now
        {
            self.armed.pop_first();
            if let Some(timer) = self.timers.get_mut(key.0) {
                timer.state = State::Due;
                due.push(key);
            }
        }
    }

    /// Whom to call for a due timer; None if it was set anew or removed meanwhile.
    pub(crate) fn expire(&mut self, key: TimerKey) -> Option<T> {
        let timer = self.timers.get_mut(key.0)?;
        if timer.state != State::Due {
            return None;
        }
        timer.state = State::Disarmed;
        Some(timer.target)
    }

    pub(crate) fn len(&self) -> usize {
        self.timers.len()
    }

    pub(crate) fn armed(&self) -> usize {
        self.armed.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Clock;

    fn due(timers: &mut Timers<u8>, now: Instant) -> Vec<u8> {
        let mut keys = Vec::new();
        timers.take_due(now, &mut keys);
        keys.into_iter().filter_map(|key| timers.expire(key)).collect()
    }

    #[test]
    fn fires_once_earliest_first_and_not_early() {
        let (mut timers, now) = (Timers::new(), Clock::system().now());
        let ms = Duration::from_millis;
        for (target, deadline) in [(1, now + ms(20)), (2, now + ms(10)), (3, now + ms(20))] {
            let key = timers.create(target);
            timers.set(key, Some(deadline));
        }
        assert_eq!(timers.next_deadline(), Some(now + ms(10)));
        assert_eq!(due(&mut timers, now), []);
        assert_eq!(due(&mut timers, now + ms(20)), [2, 1, 3]);
        assert_eq!(due(&mut timers, now + ms(99)), []);
        assert_eq!((timers.len(), timers.armed(), timers.next_deadline()), (3, 0, None));
    }

    #[test]
    fn setting_or_removing_a_due_timer_calls_it_off() {
        let (mut timers, now) = (Timers::new(), Clock::system().now());
        let (set, removed, moved) = (timers.create(1), timers.create(2), timers.create(3));
        for key in [set, removed, moved] {
            timers.set(key, Some(now));
        }
        let mut keys = Vec::new();
        timers.take_due(now, &mut keys);
        timers.set(set, None);
        timers.remove(removed);
        timers.set(moved, Some(now + Duration::from_secs(1)));

        assert!(keys.iter().all(|key| timers.expire(*key).is_none()));
        assert_eq!((timers.len(), timers.armed()), (2, 1));
        timers.set(removed, Some(now));
        assert_eq!(timers.armed(), 1, "a stale key arms nothing");
    }
}
