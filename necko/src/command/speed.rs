//! `--speed-limit` and `--speed-time`: transfers that have become too slow.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{exit_code::ExitCode, report::Failure};

/// So many bytes per second, at least, over this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpeedLimit {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

/// How many looks the time is divided into.
const LOOKS: u32 = 10;

/// Looks at a transfer now and then, from the moment on when its request has left.
#[derive(Debug)]
pub(crate) struct SpeedGuard {
    limit: SpeedLimit,
    /// When it looked, and how much had moved by then; [`LOOKS`] and a few at most.
    looks: VecDeque<(Instant, u64)>,
}

impl SpeedGuard {
    pub(crate) fn new(limit: SpeedLimit) -> Self {
        Self { limit, looks: VecDeque::new() }
    }

    /// So much has moved by now. Answers when to look again.
    ///
    /// # Errors
    /// Less than the limit moved in the last of its time.
    pub(crate) fn look(&mut self, now: Instant, moved: u64) -> Result<Duration, Failure> {
        let pause = (self.limit.time / LOOKS).max(Duration::from_millis(1));
        if let Some((last, _)) = self.looks.back() {
            let left = pause.saturating_sub(now.saturating_duration_since(*last));
            if !left.is_zero() {
                return Ok(left);
            }
        }
        // The last look that is old enough is what is compared with.
        let old_enough =
            |(at, _): &(Instant, u64)| now.saturating_duration_since(*at) >= self.limit.time;
        while self.looks.get(1).is_some_and(old_enough) {
            self.looks.pop_front();
        }
        if let Some((at, before)) = self.looks.front().filter(|look| old_enough(look)) {
            let millis = now.saturating_duration_since(*at).as_millis();
            let wanted = u128::from(self.limit.bytes) * millis;
            if u128::from(moved.saturating_sub(*before)) * 1000 < wanted {
                return Err(self.failure());
            }
        }
        self.looks.push_back((now, moved));
        Ok(pause)
    }

    fn failure(&self) -> Failure {
        let SpeedLimit { bytes, time } = self.limit;
        let message = format!(
            "too slow: less than {bytes} bytes per second (--speed-limit) in {time:?} (--speed-time)"
        );
        Failure::new(ExitCode::Timeout, message)
    }
}

#[cfg(test)]
mod tests {
    use socket_transport::Clock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Looks every half second while this many bytes per second move; answers after how long it gave up.
    fn gives_up(
        guard: &mut SpeedGuard,
        start: Instant,
        speed: u64,
        halves: u32,
    ) -> Option<Duration> {
        (0..halves).find_map(|half| {
            let time = SECOND / 2 * half;
            guard.look(start + time, speed * u64::from(half) / 2).err().map(|failure| {
                assert_eq!(failure.code, ExitCode::Timeout);
                time
            })
        })
    }

    #[test]
    fn a_speed_below_the_limit_is_given_up_after_the_time() {
        let start = Clock::system().now();
        let guard = || SpeedGuard::new(SpeedLimit { bytes: 1000, time: 5 * SECOND });
        assert_eq!(gives_up(&mut guard(), start, 1000, 1000), None);
        assert_eq!(gives_up(&mut guard(), start, 999, 1000), Some(5 * SECOND));
        assert_eq!(gives_up(&mut guard(), start, 0, 1000), Some(5 * SECOND));
    }

    #[test]
    fn a_stall_counts_from_its_beginning_and_looks_are_few() {
        let start = Clock::system().now();
        let mut guard = SpeedGuard::new(SpeedLimit { bytes: 100, time: 10 * SECOND });
        assert_eq!(gives_up(&mut guard, start, 1000, 200), None);
        assert!(guard.looks.len() <= 12, "{}", guard.looks.len());
        // 100,000 bytes in 100 seconds; then nothing.
        let stalled = start + 100 * SECOND;
        let given_up =
            (0..100).find(|half| guard.look(stalled + SECOND / 2 * *half, 99_500).is_err());
        // The second before is forgotten when less than 1000 bytes are in the last ten.
        assert!((16..=21).contains(&given_up.unwrap()), "{given_up:?}");
    }

    #[test]
    fn it_says_when_to_look_again() {
        let start = Clock::system().now();
        let mut guard = SpeedGuard::new(SpeedLimit { bytes: 1, time: 10 * SECOND });
        assert_eq!(guard.look(start, 0), Ok(SECOND));
        assert_eq!(guard.look(start + SECOND / 4, 0), Ok(SECOND * 3 / 4));
    }
}
