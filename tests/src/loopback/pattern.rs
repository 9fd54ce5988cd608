//! The bytes of test bodies: the pattern that `necko-server` documents for `/bytes/N`, written down a
//! second time, from its text, so that what arrives is checked against the promise and not against
//! the code that sent it. [`QuinnServer`](super::QuinnServer) sends the same.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// The pattern repeats after so many bytes.
const PERIOD: u64 = 1_048_573;
/// The longest piece.
const PIECE: u64 = 64 * 1024;

static TABLE: LazyLock<Box<[u8]>> = LazyLock::new(|| (0..PERIOD + PIECE).map(byte_at).collect());

fn byte_at(position: u64) -> u8 {
    let q = position % PERIOD;
    let [byte, ..] = (mix(q / 8) >> (8 * (q % 8))).to_le_bytes();
    byte
}

fn mix(n: u64) -> u64 {
    let z = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Bytes from `position` on: at most `limit`, and never none unless `limit` is 0.
pub fn piece(position: u64, limit: u64) -> &'static [u8] {
    let start = usize::try_from(position % PERIOD).unwrap_or_default();
    let length = usize::try_from(limit.min(PIECE)).unwrap_or_default();
    TABLE.get(start..start + length).unwrap_or_default()
}

/// The first `length` bytes in one piece.
pub fn body(length: u64) -> Vec<u8> {
    let mut check = Vec::new();
    while (check.len() as u64) < length {
        check.extend_from_slice(piece(check.len() as u64, length - check.len() as u64));
    }
    check
}

/// Compares a body with the pattern as it arrives.
#[derive(Debug, Default)]
pub struct Check {
    position: u64,
}

impl Check {
    /// At the beginning of the pattern.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; fails at the first one that is wrong.
    #[track_caller]
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = piece(self.position, bytes.len() as u64);
            let (now, rest) = bytes.split_at(expected.len());
            if now != expected {
                let same = now.iter().zip(expected).take_while(|(a, b)| a == b).count();
                panic!("the body differs from byte {} on", self.position + same as u64);
            }
            self.position += now.len() as u64;
            bytes = rest;
        }
    }

    /// How many bytes were taken.
    pub fn length(&self) -> u64 {
        self.position
    }
}

/// Compares a whole body.
#[track_caller]
pub fn assert_is(body: &[u8], length: u64) {
    let mut check = Check::new();
    check.take(body);
    assert_eq!(check.length(), length, "the length of the body");
}

/// The SHA-256 of some bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other_across_the_period() {
        let whole = body(3 * PERIOD);
        assert_is(&whole, 3 * PERIOD);
        assert_eq!(whole[..8], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
        assert_eq!(whole[5], byte_at(PERIOD + 5));
    }

    #[test]
    #[should_panic(expected = "differs from byte 70001 on")]
    fn one_wrong_byte_is_found() {
        let mut bytes = body(100_000);
        bytes[70_001] ^= 1;
        assert_is(&bytes, 100_000);
    }

    #[test]
    #[should_panic(expected = "differs from byte 65536 on")]
    fn a_lost_piece_is_found() {
        let mut bytes = body(200_000);
        bytes.drain(65_536..131_072);
        Check::new().take(&bytes);
    }
}
