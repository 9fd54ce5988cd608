//! A seeded stream of numbers (`SplitMix64`): programs must be the same wherever they are played again.

use std::time::Duration;

/// Draws.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // Mixed, or the programs of neighbours would be each other's, one draw later.
        Self(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Less than `end`, which is not zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).unwrap_or_default()
    }

    /// From `least` to `most`.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.number() % (most - least + 1)
    }

    /// Once in `times` true.
    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }

    /// Small numbers as often as large ones.
    pub(super) fn size(&mut self, largest: u64) -> u64 {
        let bits = u64::from(largest.ilog2()) + 1;
        let mask = (1 << self.between(2, bits)) - 1;
        (self.number() & mask).min(largest)
    }

    pub(super) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// An index by weight.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut drawn = self.below(total as usize);
        for (index, &weight) in weights.iter().enumerate() {
            match drawn.checked_sub(weight as usize) {
                Some(rest) => drawn = rest,
                None => return index,
            }
        }
        0
    }
}

fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
