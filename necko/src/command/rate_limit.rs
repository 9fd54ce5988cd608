//! `--limit-rate`: a transfer that takes its time.
//!
//! Whoever moves bytes moves a piece, then waits until that piece is due. Nothing is read meanwhile, so the
//! pipe and then the connection's flow control hold the other side back; nothing is kept in memory.

use std::{
    num::NonZeroU64,
    time::{Duration, Instant},
};

/// Bytes in a second; none for 0, as curl has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitRate(pub(crate) Option<NonZeroU64>);

/// Parses `200000`, `100K`, `1.5M`: K, M, G, T are powers of 1024.
///
/// # Errors
/// It is no such number.
pub(crate) fn parse(text: &str) -> Result<LimitRate, String> {
    let wrong = || "write bytes per second, as 200000, 100K or 1.5M".to_owned();
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(number.len()..).unwrap_or_default() {
        "" | "b" | "B" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        "t" | "T" => 1 << 40,
        _ => return Err(wrong()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    // Millionths are as fine as anybody asks for.
    let millionths: u64 = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(6)
        .fold(0, |sum, digit| 10 * sum + u64::from(digit - b'0'));
    let rate = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit));
    let part = u128::from(millionths) * u128::from(unit) / 1_000_000;
    let part = u64::try_from(part).map_err(|_| wrong())?;
    let rate = rate.and_then(|rate| rate.checked_add(part)).ok_or_else(wrong)?;
    Ok(LimitRate(NonZeroU64::new(rate)))
}

/// How far a transfer may catch up with its rate after the other side stalled. More would be a burst that
/// nobody with a limit wants.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The largest piece that passes at once, where the rate allows it.
const PIECE: u64 = 64 * 1024;

/// One transfer's rate: the average from its beginning on, less what was lost to stalls.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: NonZeroU64,
    /// When everything that passed so far should have passed.
    due: Instant,
}

impl Pace {
    pub(crate) fn new(rate: NonZeroU64, now: Instant) -> Self {
        Self { rate, due: now }
    }

    /// The most that should pass at once, so that a slow transfer crawls instead of jumping.
    pub(crate) fn piece(&self) -> usize {
        let tenth_of_a_second = (self.rate.get() / 10).clamp(1, PIECE);
        usize::try_from(tenth_of_a_second).unwrap_or(usize::MAX)
    }

    /// So many bytes passed. Answers when the next may.
    pub(crate) fn pass(&mut self, bytes: usize, now: Instant) -> Instant {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.rate.get());
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(self.due);
        let from = self.due.max(earliest);
        self.due = from.checked_add(takes).unwrap_or(from);
        self.due
    }
}

#[cfg(test)]
mod tests {
    use socket_transport::Clock;

    use super::*;

    fn rate(text: &str) -> u64 {
        parse(text).unwrap().0.map_or(0, NonZeroU64::get)
    }

    #[test]
    fn curls_suffixes() {
        assert_eq!(rate("200000"), 200_000);
        assert_eq!(rate("3B"), 3);
        assert_eq!(rate("100K"), 102_400);
        assert_eq!(rate("1.5m"), 1_572_864);
        assert_eq!(rate("2G"), 2 << 30);
        assert_eq!(rate("0"), 0);
        for wrong in
            ["", "K", "fast", "1KK", "-1", "1.", ".5", "1e6", "99999999999999999999", "9999999999T"]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_average_is_the_rate_and_pieces_are_a_tenth_of_a_second() {
        let start = Clock::system().now();
        let mut pace = Pace::new(NonZeroU64::new(1000).unwrap(), start);
        assert_eq!(pace.piece(), 100);
        let mut now = start;
        for _ in 0..50 {
            now = pace.pass(100, now);
        }
        assert_eq!(now - start, Duration::from_secs(5));
        assert_eq!(Pace::new(NonZeroU64::new(5).unwrap(), start).piece(), 1);
        assert_eq!(Pace::new(NonZeroU64::new(u64::MAX).unwrap(), start).piece(), 65_536);
    }

    #[test]
    fn a_stall_is_caught_up_with_for_a_second_only() {
        let start = Clock::system().now();
        let mut pace = Pace::new(NonZeroU64::new(1000).unwrap(), start);
        let later = start + Duration::from_mins(10);
        // A second's worth at once, and from then on by the clock.
        for _ in 0..10 {
            assert!(pace.pass(100, later) <= later);
        }
        assert_eq!(pace.pass(100, later) - later, Duration::from_millis(100));
    }
}
