//! What is to happen, by time; what is due at the same time happens in the order it was planned.

use std::{collections::BTreeMap, time::Duration};

/// Names something that was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Duration, u64);

pub(super) struct Schedule<E> {
    entries: BTreeMap<Key, E>,
    planned: u64,
}

impl<E> Schedule<E> {
    pub(super) fn new() -> Self {
        Self { entries: BTreeMap::new(), planned: 0 }
    }

    pub(super) fn plan(&mut self, at: Duration, event: E) -> Key {
        let key = Key(at, self.planned);
        self.entries.insert(key, event);
        self.planned += 1;
        key
    }

    /// Calls off what was planned, if it has not happened.
    pub(super) fn cancel(&mut self, key: Key) {
        self.entries.remove(&key);
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.entries.first_key_value().map(|(Key(at, _), _)| *at)
    }

    /// The earliest event that is due by `limit`, with its time.
    pub(super) fn take_due(&mut self, limit: Duration) -> Option<(Duration, E)> {
        let entry = self.entries.first_entry()?;
        let Key(at, _) = *entry.key();
        (at <= limit).then(|| (at, entry.remove()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_first_then_the_order_of_planning() {
        let mut schedule = Schedule::new();
        for (second, name) in [(2, "c"), (1, "a"), (2, "d"), (1, "b"), (3, "e")] {
            schedule.plan(Duration::from_secs(second), name);
        }
        let two = Duration::from_secs(2);
        let due: Vec<_> = std::iter::from_fn(|| schedule.take_due(two)).map(|(_, n)| n).collect();
        assert_eq!(due, ["a", "b", "c", "d"]);
        assert_eq!(schedule.next(), Some(Duration::from_secs(3)));
    }
}
