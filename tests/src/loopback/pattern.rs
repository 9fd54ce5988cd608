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

/// A body that tests send about: so many bytes of the pattern, and their SHA-256.
///
/// The sums come from a program of other making, `sha256sum`; nothing here computed them.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Its length.
    pub length: u64,
    /// Its sum, in hexadecimal digits.
    pub sha256: &'static str,
}

/// 1 KB.
pub const SMALL: Sample = Sample {
    length: 1000,
    sha256: "6df7473bc4bfaec79a8fc5e22286ffa5555f13c5a7b3360cc24666776fd98cdd",
};

/// 1 MB.
pub const MEDIUM: Sample = Sample {
    length: 1_000_000,
    sha256: "b3d0a1f7938cd4d8413a4dcffd4313e2e8ac0cb61cb1090eb140ea8e9154befb",
};

/// 1 GiB in release builds. In debug builds, whose static NSS is several times slower, 64 MiB: far more
/// than all windows and buffers together hold as well.
pub const LARGE: Sample = if cfg!(debug_assertions) {
    Sample {
        length: 64 << 20,
        sha256: "3fecf1d45d19124a5cd961aee00677e65c232181d2034330b8273c47d79029c1",
    }
} else {
    Sample {
        length: 1 << 30,
        sha256: "38dff4d077cb28520a92d99d984c34c164a2d0fade45cf5181c76664b92a29d3",
    }
};

/// All of them.
pub const SAMPLES: [Sample; 3] = [SMALL, MEDIUM, LARGE];

impl Sample {
    /// Its bytes, piece by piece.
    pub fn pieces(self) -> impl Iterator<Item = &'static [u8]> + Send + 'static {
        let mut position = 0;
        std::iter::from_fn(move || {
            let piece = piece(position, self.length - position);
            position += piece.len() as u64;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// The SHA-256 of a body as it passes by, so that nobody has to hold it. Compares it with the pattern as
/// well, which says where the first wrong byte is.
#[derive(Debug, Default)]
pub struct RunningHash {
    hash: Sha256,
    check: Check,
}

impl RunningHash {
    /// Takes the next bytes.
    #[track_caller]
    pub fn take(&mut self, bytes: &[u8]) {
        self.check.take(bytes);
        self.hash.update(bytes);
    }

    /// How many bytes were taken.
    pub fn length(&self) -> u64 {
        self.check.length()
    }

    /// Compares the whole with a sample.
    #[track_caller]
    pub fn assert_is(self, sample: Sample) {
        assert_eq!(self.length(), sample.length, "the length of the body");
        assert_eq!(format!("{:x}", self.hash.finalize()), sample.sha256);
    }
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
    fn the_samples_are_the_pattern() {
        for sample in [SMALL, MEDIUM] {
            assert_eq!(sha256(&body(sample.length)), sample.sha256);
            let mut hash = RunningHash::default();
            sample.pieces().for_each(|piece| hash.take(piece));
            hash.assert_is(sample);
        }
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
