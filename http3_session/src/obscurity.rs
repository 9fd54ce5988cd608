//! What a peer sends without anything coming of it.
//!
//! neqo 0.13.4 collects some frames before it looks at them, whatever length they announce: a response head,
//! trailers, a `PUSH_PROMISE`, what is on a control stream. It reads those bytes as they come, so that no
//! window holds the sender back, and nothing tells how many there are. The session can't look into the
//! engine; but it sees what comes from the network, and what it is given of it:
//!
//! ```text
//!   datagrams ──► + their lengths, less what QUIC adds to each ──┐
//!   body bytes read   − half as much again, and a frame's head ──┤
//!   response heads    − their fields ────────────────────────────┼─► level > allowed: an attack
//!   body bytes sent   − a sixteenth, for acknowledgements ───────┤
//!   cut short         − the window of a stream ──────────────────┤
//!   time              − 4 KiB a second ──────────────────────────┘
//!
//!   allowed = what the streams that there are may hold unread, and a mebibyte
//! ```
//!
//! Datagrams in which the engine found nothing of the peer's are not counted (once there is a reason to ask):
//! anybody can send them.
//!
//! An honest peer's bytes are in the engine's buffers, for consumers that don't read or behind a packet that
//! was lost, and no more of them than the windows allow; or they have been given to the session. (What
//! remains: a peer may hide half as much as is read of its responses, and a window for each request that was
//! cut short.)

use std::time::Instant;

/// More than the windows hold may come to nothing by so much: a head, which is let grow beyond its limit to be
/// an error of its request alone. (Firefox takes heads of up to 384 KiB.)
const HEADS: u64 = 1024 * 1024;

/// So much is counted without a look at whose it was.
const SUSPICIOUS: i64 = 256 * 1024;

/// So much is forgotten in a second: acknowledgements and PINGs of a connection that lives long.
const FORGOTTEN_PER_SECOND: i64 = 4 * 1024;

/// The least that QUIC adds to what a datagram carries: flags, our connection id, packet number and tag.
const QUIC_OVERHEAD: usize = 1 + 3 + 1 + 16;

/// What HTTP/3 and QUIC add to a piece of a body: the heads of a `DATA` and of a `STREAM` frame.
const FRAME_OVERHEAD: u64 = 16;

/// One byte of acknowledgements for so many bytes sent.
const SENT_PER_ACKNOWLEDGED: u64 = 16;

/// How much may lie unread in the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    /// For the whole connection.
    pub(crate) connection: u64,
    /// For a stream that has no response head.
    pub(crate) before_head: u64,
    /// For one that has.
    pub(crate) after_head: u64,
}

impl Windows {
    /// For streams of which so many wait for their heads and so many have them.
    pub(crate) fn hold(&self, before_head: usize, after_head: usize) -> u64 {
        let all = |count: usize, window: u64| window.saturating_mul(count as u64);
        let streams =
            all(before_head, self.before_head).saturating_add(all(after_head, self.after_head));
        streams.min(self.connection)
    }
}

/// Counts what comes to nothing: a bucket that leaks, and that may owe.
#[derive(Debug)]
pub(crate) struct Obscurity {
    pub(crate) windows: Windows,
    level: i64,
    at: Option<Instant>,
}

impl Obscurity {
    /// On a connection with such windows.
    pub(crate) fn new(windows: Windows) -> Self {
        Self { windows, level: 0, at: None }
    }

    /// So many datagrams came, with so many bytes in all.
    pub(crate) fn received(&mut self, bytes: usize, datagrams: usize, now: Instant) {
        let elapsed = self.at.map(|at| now.saturating_duration_since(at).as_secs());
        if elapsed != Some(0) {
            self.at = Some(now);
        }
        let elapsed = i64::try_from(elapsed.unwrap_or_default()).unwrap_or(i64::MAX);
        // Time forgives what was done, and nothing that is still to come.
        let forgotten = elapsed.saturating_mul(FORGOTTEN_PER_SECOND).min(self.level.max(0));
        let content = bytes.saturating_sub(datagrams.saturating_mul(QUIC_OVERHEAD));
        let content = i64::try_from(content).unwrap_or(i64::MAX);
        self.level = self.level.saturating_sub(forgotten).saturating_add(content);
    }

    /// So many bytes of a body were read.
    pub(crate) fn read(&mut self, bytes: u64) {
        if bytes > 0 {
            let cost = bytes.saturating_add(bytes / 2).saturating_add(FRAME_OVERHEAD);
            self.explain(cost, 0);
        }
    }

    /// A head came whose fields have this size.
    pub(crate) fn head(&mut self, size: u64) {
        self.explain(size, 0);
    }

    /// So many bytes of a body were taken by the engine, because the peer acknowledges others.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.explain(bytes / SENT_PER_ACKNOWLEDGED, 0);
    }

    /// A stream ended before its response: what the engine had of it is gone, and what is on its way will be
    /// dropped when it comes.
    pub(crate) fn cut_short(&mut self, had_head: bool) {
        let Windows { connection, before_head, after_head } = self.windows;
        self.explain(if had_head { after_head } else { before_head }, connection);
    }

    fn explain(&mut self, bytes: u64, in_advance: u64) {
        let number = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        let lowest = number(in_advance).saturating_neg().min(self.level);
        self.level = self.level.saturating_sub(number(bytes)).max(lowest.min(0));
    }

    /// Whether it is time to tell the peer's packets from those that others send under its name.
    pub(crate) fn is_suspicious(&self) -> bool {
        self.level > SUSPICIOUS
    }

    /// Whether it was so little that nobody needs to count streams.
    pub(crate) fn is_little(&self) -> bool {
        self.level <= i64::try_from(HEADS).unwrap_or(i64::MAX)
    }

    /// Whether that was more than an honest peer sends whose streams hold so much at most.
    pub(crate) fn is_too_much(&self, held: u64) -> bool {
        let allowed = held.saturating_add(HEADS);
        u64::try_from(self.level).is_ok_and(|level| level > allowed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket_transport::Clock;

    use super::*;

    const MIB: u64 = 1024 * 1024;
    const WINDOWS: Windows =
        Windows { connection: 32 * MIB, before_head: 256 * 1024, after_head: 10 * MIB };

    /// Comes full packets until it is too much; says how many bytes.
    fn flood(
        obscurity: &mut Obscurity,
        held: u64,
        mut meanwhile: impl FnMut(&mut Obscurity),
    ) -> u64 {
        let now = Clock::system().now();
        for packet in 1..100_000 {
            obscurity.received(1200, 1, now);
            meanwhile(obscurity);
            if obscurity.is_too_much(held) {
                return packet * 1200;
            }
        }
        u64::MAX
    }

    #[test]
    fn streams_may_hold_their_windows_and_no_more_than_the_connections() {
        assert_eq!(WINDOWS.hold(0, 0), 0);
        assert_eq!(WINDOWS.hold(2, 1), 10 * MIB + 512 * 1024);
        assert_eq!(WINDOWS.hold(2, 100), 32 * MIB);
        assert_eq!(WINDOWS.hold(usize::MAX, usize::MAX), 32 * MIB);
    }

    #[test]
    fn what_comes_to_nothing_is_bounded_by_what_the_streams_may_hold() {
        for held in [0, MIB / 4, 32 * MIB] {
            let bytes = flood(&mut Obscurity::new(WINDOWS), held, |_| ());
            assert!((held + MIB..held + MIB + held / 16 + 100_000).contains(&bytes), "{bytes}");
        }
    }

    #[test]
    fn something_small_now_and_then_buys_nothing() {
        let bytes = flood(&mut Obscurity::new(WINDOWS), 0, |obscurity| {
            obscurity.read(1);
            obscurity.head(100);
        });
        assert!(bytes < MIB + MIB / 4, "{bytes}");
    }

    #[test]
    fn what_is_read_explains_what_came() {
        let read = |obscurity: &mut Obscurity| obscurity.read(1000);
        assert_eq!(flood(&mut Obscurity::new(WINDOWS), 0, read), u64::MAX);
        let mut small = Obscurity::new(WINDOWS);
        let now = Clock::system().now();
        for _ in 0..100_000 {
            // A byte in a packet of its own.
            small.received(QUIC_OVERHEAD + 3 + 2 + 1, 1, now);
            small.read(1);
        }
        assert!(!small.is_too_much(0), "{small:?}");
    }

    /// Others cancel a thousand large responses, of which all came that could.
    #[test]
    fn what_was_cut_short_may_have_come_before_or_come_later() {
        let now = Clock::system().now();
        let window = usize::try_from(WINDOWS.after_head).unwrap();
        for before in [true, false] {
            let mut obscurity = Obscurity::new(WINDOWS);
            for _ in 0..1000 {
                if before {
                    obscurity.received(window, 8000, now);
                    assert!(!obscurity.is_too_much(WINDOWS.after_head));
                }
                obscurity.cut_short(true);
                if !before {
                    obscurity.received(window, 8000, now);
                }
                assert!(!obscurity.is_too_much(0), "{obscurity:?}");
            }
        }
        // But there is an end to what may come later.
        let mut obscurity = Obscurity::new(WINDOWS);
        (0..1000).for_each(|_| obscurity.cut_short(true));
        assert!(flood(&mut obscurity, 0, |_| ()) < 36 * MIB);
    }

    #[test]
    fn as_much_as_an_honest_peer_sends_is_not_too_much_and_a_byte_more_is() {
        let now = Clock::system().now();
        let mut obscurity = Obscurity::new(WINDOWS);
        let honest = usize::try_from(1000 + HEADS).unwrap();
        obscurity.received(honest + QUIC_OVERHEAD, 1, now);
        assert!(!obscurity.is_too_much(1000), "{obscurity:?}");
        obscurity.received(1 + QUIC_OVERHEAD, 1, now);
        assert!(obscurity.is_too_much(1000), "{obscurity:?}");
    }

    #[test]
    fn a_long_life_of_acknowledgements_is_forgotten() {
        let start = Clock::system().now();
        let mut obscurity = Obscurity::new(WINDOWS);
        for second in 0..100_000 {
            for packet in 0..40 {
                let now = start + Duration::from_millis(second * 1000 + packet * 25);
                obscurity.received(100, 1, now);
            }
        }
        assert!(!obscurity.is_too_much(0), "{obscurity:?}");
        // A gigabyte of an upload, each packet of which is acknowledged at length.
        for _ in 0..900_000 {
            obscurity.received(80, 1, start);
            obscurity.sent(1200);
        }
        assert!(!obscurity.is_too_much(0), "{obscurity:?}");
    }
}
