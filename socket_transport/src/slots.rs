//! Slots: storage whose keys never come back.
//!
//! A slab gives out small indices, which it uses again; a serial number beside each value makes the
//! key unique for ever. Whoever holds the key of something that is gone finds nothing: a stale key
//! is a no-op, never somebody else's socket.
//!
//! ```text
//!   index      0          1          2
//!          ┌──────────┬──────────┬──────────┐
//!          │ serial 7 │  (free)  │ serial 9 │      SlotKey { index: 2, serial: 9 } → value
//!          │ value    │          │ value    │      SlotKey { index: 2, serial: 4 } → nothing
//!          └──────────┴──────────┴──────────┘
//! ```

use slab::Slab;

pub(crate) use SlotKey as Key;

/// A place in [`Slots`] that is never given twice. Ordered by index, which is the order in which
/// sockets are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    index: usize,
    serial: u64,
}

impl SlotKey {
    /// The small number under which the network reports readiness.
    pub(crate) fn index(self) -> usize {
        self.index
    }

    /// Counts insertions: the larger one is the younger one.
    pub fn serial(self) -> u64 {
        self.serial
    }
}

/// Values found by [`SlotKey`] in constant time.
pub struct Slots<V> {
    slab: Slab<(u64, V)>,
    /// Counts insertions; 64 bits do not wrap in the life of a machine.
    next_serial: u64,
}

impl<V> Default for Slots<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Slots<V> {
    /// No values.
    pub fn new() -> Self {
        Self { slab: Slab::new(), next_serial: 0 }
    }

    /// The key that the next [`insert`](Self::insert) returns, for a value that must know its own.
    pub(crate) fn next_key(&self) -> SlotKey {
        SlotKey { index: self.slab.vacant_key(), serial: self.next_serial }
    }

    /// Keeps `value`.
    pub fn insert(&mut self, value: V) -> SlotKey {
        let key = self.next_key();
        self.slab.insert((key.serial, value));
        self.next_serial += 1;
        key
    }

    /// Inserts what `make` makes, which is told its key. If it fails, that key is never given again:
    /// whatever it left behind under it stays stale.
    ///
    /// # Errors
    /// `make`'s own.
    pub fn try_insert_with<X>(
        &mut self,
        make: impl FnOnce(SlotKey) -> Result<V, X>,
    ) -> Result<SlotKey, X> {
        let key = self.next_key();
        self.next_serial += 1;
        let value = make(key)?;
        self.slab.insert((key.serial, value));
        Ok(key)
    }

    /// The value, if the key is not stale.
    pub fn get(&self, key: SlotKey) -> Option<&V> {
        let (serial, value) = self.slab.get(key.index)?;
        (*serial == key.serial).then_some(value)
    }

    /// The value, if the key is not stale.
    pub fn get_mut(&mut self, key: SlotKey) -> Option<&mut V> {
        let (serial, value) = self.slab.get_mut(key.index)?;
        (*serial == key.serial).then_some(value)
    }

    /// Takes the value out, if the key is not stale.
    pub fn remove(&mut self, key: SlotKey) -> Option<V> {
        self.get(key)?;
        self.slab.try_remove(key.index).map(|(_, value)| value)
    }

    /// The key of whatever occupies `index` now.
    pub(crate) fn key_at(&self, index: usize) -> Option<SlotKey> {
        self.slab.get(index).map(|(serial, _)| SlotKey { index, serial: *serial })
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// Drops all values.
    pub fn clear(&mut self) {
        self.slab.clear();
    }

    /// All values in index order.
    pub fn iter(&self) -> impl Iterator<Item = (SlotKey, &V)> {
        self.slab.iter().map(|(index, (serial, value))| (SlotKey { index, serial: *serial }, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing_although_its_index_is_used_again() {
        let mut slots = Slots::new();
        let old = slots.insert("old");
        assert_eq!(slots.remove(old), Some("old"));

        let promised = slots.next_key();
        let new = slots.insert("new");
        assert_eq!((promised, new.index()), (new, old.index()));
        assert_eq!(slots.get(old), None);
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get(new), Some(&"new"));
        assert_eq!(slots.key_at(old.index()), Some(new));
    }

    #[test]
    fn values_are_walked_in_index_order() {
        let mut slots = Slots::new();
        let keys = [slots.insert(0), slots.insert(1), slots.insert(2)];
        slots.remove(keys[1]);
        slots.insert(3);
        assert_eq!(slots.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [0, 3, 2]);
    }
}
