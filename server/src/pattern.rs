//! Generated bodies: `/bytes/N` serves the first N bytes of one endless, fixed pattern.
//!
//! Byte `p` of the pattern is, for whoever wants to verify what arrived:
//!
//! ```text
//! q       = p mod 1_048_573                                      (a prime just below 2^20)
//! byte(p) = (mix(q div 8) >> (8 * (q mod 8))) & 0xff
//!
//! mix(n):   z = (n + 1) * 0x9e3779b97f4a7c15                     (all modulo 2^64: SplitMix64)
//!           z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
//!           z = (z ^ (z >> 27)) * 0x94d049bb133111eb
//!           return z ^ (z >> 31)
//! ```
//!
//! The bytes look random, so that nothing on the way can compress them. A prime period means that
//! pieces of any usual size that are lost, doubled or swapped show in a comparison. And one period
//! fits into a table, so that the server copies instead of computing.

/// The pattern repeats after so many bytes.
pub(crate) const PERIOD: usize = 1_048_573;

/// The longest piece that [`Pattern::piece`] returns.
pub(crate) const PIECE: usize = 256 * 1024;

/// The byte at `position` of what `/bytes/N` serves; see the formula at the top of the module.
pub fn byte_at(position: u64) -> u8 {
    let place = position % PERIOD as u64;
    let word = mix(place / 8).to_le_bytes();
    word.get((place % 8) as usize).copied().unwrap_or_default()
}

fn mix(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One period of the pattern, and as much again as a piece may reach beyond its end.
pub(crate) struct Pattern(Box<[u8]>);

impl Pattern {
    pub(crate) fn new() -> Self {
        Self((0..(PERIOD + PIECE) as u64).map(byte_at).collect())
    }

    /// Bytes of the pattern from `position` on: at most `limit`, at most [`PIECE`], and at least one
    /// if `limit` is not zero.
    pub(crate) fn piece(&self, position: u64, limit: u64) -> &[u8] {
        let start = usize::try_from(position % PERIOD as u64).unwrap_or_default();
        let len = usize::try_from(limit).unwrap_or(PIECE).min(PIECE);
        self.0.get(start..start + len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_the_documented_one() {
        // Computed independently from the text above.
        let first: Vec<u8> = (0..8).map(byte_at).collect();
        assert_eq!(first, 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
        assert_eq!(byte_at(8), mix(1).to_le_bytes()[0]);
        assert_eq!(byte_at(PERIOD as u64), byte_at(0));
        assert_eq!(byte_at(PERIOD as u64 * 7 + 12_345), byte_at(12_345));
    }

    #[test]
    fn pieces_at_any_position_agree_with_the_formula() {
        let pattern = Pattern::new();
        for position in [0, 1, 4095, 262_144, PERIOD as u64 - 1, PERIOD as u64, 1 << 40] {
            for limit in [1, 1350, 65_537, u64::MAX] {
                let piece = pattern.piece(position, limit);
                assert_eq!(piece.len() as u64, limit.min(PIECE as u64));
                for (n, byte) in piece.iter().enumerate().step_by(997) {
                    assert_eq!(*byte, byte_at(position + n as u64), "{position} + {n}");
                }
            }
        }
        assert!(pattern.piece(5, 0).is_empty());
    }

    #[test]
    fn the_bytes_look_incompressible() {
        let pattern = Pattern::new();
        let mut counts = [0_u32; 256];
        for byte in pattern.piece(0, PIECE as u64) {
            counts[usize::from(*byte)] += 1;
        }
        let even = u32::try_from(PIECE / 256).unwrap();
        assert!(counts.iter().all(|count| count.abs_diff(even) < even / 4), "{counts:?}");
    }
}
