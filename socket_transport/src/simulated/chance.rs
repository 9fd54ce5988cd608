//! Chance: what may befall a packet on a link, decided by counting and not by drawing.
//!
//! A generator that is drawn from gives every later packet another fate as soon as one packet more
//! is sent anywhere. Here each decision is a hash of (seed, link, ordinal, kind of decision), so one
//! link's fate does not depend on what happens on another, nor on how long a packet is or says.

use std::{net::IpAddr, time::Duration};

use super::LinkConfig;

/// What chance decided for one packet on one link.
///
/// Whether the packet then arrives also depends on the link's state (its queue, its MTU, a
/// blackhole): that is [`Fate`](super::Fate).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent decisions, each yes or no")]
pub struct Chance {
    /// The packet is lost.
    pub lost: bool,
    /// The packet arrives twice.
    pub duplicated: bool,
    /// The packet is held back, so that later ones overtake it.
    pub reordered: bool,
    /// A router marks the packet as one that met congestion, if it is ECN-capable.
    pub marked: bool,
    /// One byte is flipped; the number says which one and how, whatever the packet's length.
    pub corrupted: Option<u64>,
    /// Extra delay, between nothing and the link's jitter.
    pub jitter: Duration,
}

impl Chance {
    /// Flips the byte that [`corrupted`](Self::corrupted) names; always to another value.
    pub(super) fn corrupt(&self, payload: &mut [u8]) {
        let Some(number) = self.corrupted else { return };
        let [flip, place @ ..] = number.to_le_bytes();
        let place =
            place.iter().fold(0_usize, |sum, &byte| sum.wrapping_mul(256) | usize::from(byte));
        let Some(index) = place.checked_rem(payload.len()) else { return };
        if let Some(byte) = payload.get_mut(index) {
            *byte ^= flip | 1;
        }
    }
}

/// The kinds of decision, so that a packet's loss says nothing about its jitter.
#[derive(Clone, Copy)]
enum Kind {
    Loss = 1,
    Duplicate,
    Reorder,
    Mark,
    Corrupt,
    CorruptedByte,
    Jitter,
}

/// The chances of one link in one direction.
#[derive(Clone, Copy)]
pub(super) struct Dice {
    key: u64,
}

impl Dice {
    pub(super) fn new(seed: u64, from: IpAddr, to: IpAddr) -> Self {
        let fold = |key, ip: IpAddr| {
            let bytes = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            bytes.into_iter().fold(key, |key, byte| mix(key ^ u64::from(byte)))
        };
        Self { key: fold(fold(mix(seed), from), to) }
    }

    /// Decides everything about the link's packet number `ordinal`.
    pub(super) fn throw(self, config: &LinkConfig, ordinal: u64) -> Chance {
        let hit = |kind, chance| self.hits(kind, ordinal, chance);
        Chance {
            lost: self.in_burst(config, ordinal),
            duplicated: hit(Kind::Duplicate, config.duplicate),
            reordered: hit(Kind::Reorder, config.reorder),
            marked: hit(Kind::Mark, config.ecn_mark),
            corrupted: hit(Kind::Corrupt, config.corrupt)
                .then(|| self.number(Kind::CorruptedByte, ordinal)),
            jitter: part_of(config.jitter, self.number(Kind::Jitter, ordinal)),
        }
    }

    /// A packet is lost when a burst starts with it or started shortly before it. Looking back
    /// instead of remembering keeps the decision a function of the ordinal alone.
    fn in_burst(self, config: &LinkConfig, ordinal: u64) -> bool {
        let length = u64::from(config.burst.max(1));
        let first = ordinal.saturating_sub(length - 1);
        (first..=ordinal).any(|start| self.hits(Kind::Loss, start, config.loss))
    }

    fn hits(self, kind: Kind, ordinal: u64, chance: f64) -> bool {
        // 32 bits convert to f64 without loss, and resolve one packet in four thousand million.
        let number = u32::try_from(self.number(kind, ordinal) >> 32).unwrap_or(u32::MAX);
        f64::from(number) < chance * (f64::from(u32::MAX) + 1.0)
    }

    fn number(self, kind: Kind, ordinal: u64) -> u64 {
        mix(mix(self.key ^ kind as u64) ^ ordinal)
    }
}

/// `number` scaled from the whole range of `u64` to `0..whole`.
fn part_of(whole: Duration, number: u64) -> Duration {
    let nanos = (whole.as_nanos() * u128::from(number >> 32)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The finaliser of splitmix64: every bit of the input changes half of the bits of the output.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn lost(seed: u64, from: IpAddr, to: IpAddr, config: &LinkConfig) -> Vec<u64> {
        let dice = Dice::new(seed, from, to);
        (0..10_000).filter(|&n| dice.throw(config, n).lost).collect()
    }

    #[test]
    fn loss_comes_near_the_configured_share() {
        for percent in [1_u32, 10, 50, 90] {
            let config = LinkConfig::new().loss(f64::from(percent) / 100.0);
            let lost = u32::try_from(lost(7, A, B, &config).len()).unwrap();
            assert!(lost.abs_diff(percent * 100) < 200, "{percent} %: {lost} of 10,000");
        }
    }

    #[test]
    fn never_and_always_are_exact() {
        assert_eq!(lost(7, A, B, &LinkConfig::new().loss(0.0)).len(), 0);
        assert_eq!(lost(7, A, B, &LinkConfig::new().loss(1.0)).len(), 10_000);
        assert_eq!(lost(7, A, B, &LinkConfig::new().loss(f64::NAN)).len(), 0);
    }

    #[test]
    fn each_seed_and_each_direction_has_its_own_luck() {
        let config = LinkConfig::new().loss(0.5);
        assert_eq!(lost(7, A, B, &config), lost(7, A, B, &config));
        assert_ne!(lost(7, A, B, &config), lost(8, A, B, &config));
        assert_ne!(lost(7, A, B, &config), lost(7, B, A, &config));
    }

    #[test]
    fn a_burst_loses_neighbours() {
        let config = LinkConfig::new().loss(0.001).burst(5);
        let lost = lost(7, A, B, &config);
        assert!(!lost.is_empty());
        let runs = lost.chunk_by(|a, b| a + 1 == *b);
        assert!(runs.into_iter().all(|run| run.len() >= 5), "{lost:?}");
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        let config = LinkConfig::new().jitter(Duration::from_millis(4));
        let dice = Dice::new(7, A, B);
        let throws: Vec<_> = (0..1000).map(|n| dice.throw(&config, n).jitter).collect();
        assert!(throws.iter().all(|&jitter| jitter < Duration::from_millis(4)));
        assert!(throws.iter().any(|&jitter| jitter > Duration::from_millis(3)));
        assert!(throws.iter().any(|&jitter| jitter < Duration::from_millis(1)));
    }

    #[test]
    fn corruption_changes_one_byte_of_any_length() {
        let dice = Dice::new(7, A, B);
        for n in 0..1000 {
            let chance = dice.throw(&LinkConfig::new().corrupt(1.0), n);
            let mut payload = vec![0; usize::try_from(n).unwrap()];
            chance.corrupt(&mut payload);
            let changed = payload.iter().filter(|&&byte| byte != 0).count();
            assert_eq!(changed, usize::from(n > 0));
        }
    }
}
