//! A slab whose keys never name a second value: index plus generation.
//!
//! Connections and transfers refer to each other by such keys. What is gone leaves stale keys behind
//! (in a worker's reply, in a timer), and a stale key finds nothing.

use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

use slab::Slab;

/// Names a value in a [`Keyed`] table.
pub(crate) struct Key<T> {
    index: usize,
    generation: u64,
    names: PhantomData<fn() -> T>,
}

/// The table. Insert, look up and remove take constant time.
pub(crate) struct Keyed<T> {
    slots: Slab<(u64, T)>,
    next_generation: u64,
}

impl<T> Keyed<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Slab::new(), next_generation: 0 }
    }

    pub(crate) fn insert(&mut self, value: T) -> Key<T> {
        self.insert_with(|_| value)
    }

    /// Inserts a value that wants to know its own key.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Key<T>) -> T) -> Key<T> {
        let generation = self.next_generation;
        self.next_generation += 1;
        let slot = self.slots.vacant_entry();
        let key = Key { index: slot.key(), generation, names: PhantomData };
        slot.insert((generation, make(key)));
        key
    }

    pub(crate) fn get(&self, key: Key<T>) -> Option<&T> {
        let (generation, value) = self.slots.get(key.index)?;
        (*generation == key.generation).then_some(value)
    }

    pub(crate) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let (generation, value) = self.slots.get_mut(key.index)?;
        (*generation == key.generation).then_some(value)
    }

    pub(crate) fn remove(&mut self, key: Key<T>) -> Option<T> {
        self.get(key)?;
        self.slots.try_remove(key.index).map(|(_, value)| value)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All keys, in the order of the slots.
    pub(crate) fn keys(&self) -> Vec<Key<T>> {
        self.slots
            .iter()
            .map(|(index, (generation, _))| Key {
                index,
                generation: *generation,
                names: PhantomData,
            })
            .collect()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|(_, (_, value))| value)
    }
}

#[cfg(test)]
impl<T> Key<T> {
    /// A key of no table.
    pub(crate) fn for_test(generation: u64) -> Self {
        Self { index: 0, generation, names: PhantomData }
    }
}

// Written by hand: a derive would ask the same of `T`.

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}

impl<T> Eq for Key<T> {}

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The generation alone is unique within a table.
        self.generation.hash(state);
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing_although_its_slot_is_used_again() {
        let mut table = Keyed::new();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!((first.index, table.get(first)), (second.index, None));
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&"second"));
        assert_eq!(table.keys(), [second]);
    }
}
