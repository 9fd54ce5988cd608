//! What one connection may cost, and what happened to those that cost more.
//!
//! - **Cancelled requests** (CVE-2023-44487, CVE-2025-8671): a request that is taken back, or that is
//!   malformed, cost work and brought nothing. [`CANCELS`] of them may come at once and one more each
//!   [`CANCEL_INTERVAL`]: nghttp2's numbers. A person who leaves a page with a hundred pictures is far
//!   below; the attack, thousands in a second, is not.
//! - **Tiny DATA frames**: the engine's work is per frame, so a body in frames of one byte costs a
//!   hundred times as much as it should. The engine does not report frames, but how many bytes a
//!   stream has consumed can be seen from outside (what was readable before and after a read), and
//!   what of it was no body is the frames' headers. Up to a quarter of the body is free, which frames
//!   of nine bytes stay below; [`FRAMING`] bytes beyond that close the connection. Honest reads pay
//!   the debt back, and so does time, for clients that send a byte now and then.
//! - **Empty DATA frames** bring nothing at all: each costs [`EMPTY_FRAME`] bytes of the same budget.
//!
//! A connection beyond its budget is closed with `H3_EXCESSIVE_LOAD` and the reason in words. What the
//! engine bounds by itself: unknown frames are skipped by it in one go, at most a flow-control window
//! of them; frames of any kind on the control stream cost no more than their bytes.

use std::{
    ops::AddAssign,
    time::{Duration, Instant},
};

use crate::budget::Budget;

/// Requests that may be taken back at once.
const CANCELS: u32 = 1000;
/// ... and the time after which one more may be: 33 in a second.
const CANCEL_INTERVAL: Duration = Duration::from_millis(30);
/// Bytes of DATA frame headers beyond a quarter of the body.
const FRAMING: u32 = 256 * 1024;
/// ... and the time after which one more may come: a kilobyte in a second.
const FRAMING_INTERVAL: Duration = Duration::from_millis(1);
/// What an empty DATA frame costs of that.
const EMPTY_FRAME: u32 = 64;
/// Request body bytes that a connection may have read in a visit, and one whose frames are tiny.
const BODY_BYTES: usize = 512 * 1024;
const STRAINED_BODY_BYTES: usize = 16 * 1024;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Cancels,
    Framing,
    /// Streams that were ended for their slowness, and that the client does not let go.
    Undead,
}

impl Excess {
    /// For the frame, and for the log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Cancels => "too many requests were taken back or malformed",
            Self::Framing => "too many tiny or empty DATA frames",
            Self::Undead => "a stream that was ended for its slowness is not let go",
        }
    }
}

/// What limits did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitTotals {
    /// Connections closed with `H3_EXCESSIVE_LOAD` by the server's own budgets.
    pub excessive: u64,
    /// Requests that ended before their answer did: taken back, or malformed.
    pub cancels: u64,
    /// Requests rejected because too many cancelled ones still had work going on.
    pub rejected: u64,
    /// Requests answered with 431.
    pub heads_too_large: u64,
    /// Requests whose head did not come in time.
    pub heads_stalled: u64,
    /// Request bodies that stopped coming, or came too slowly: answered with 408.
    pub uploads_stalled: u64,
    /// Responses that the client did not take.
    pub downloads_stalled: u64,
}

impl LimitTotals {
    fn any_stall(&self) -> bool {
        self.heads_stalled + self.uploads_stalled + self.downloads_stalled > 0
    }
}

impl AddAssign for LimitTotals {
    fn add_assign(&mut self, more: Self) {
        self.excessive += more.excessive;
        self.cancels += more.cancels;
        self.rejected += more.rejected;
        self.heads_too_large += more.heads_too_large;
        self.heads_stalled += more.heads_stalled;
        self.uploads_stalled += more.uploads_stalled;
        self.downloads_stalled += more.downloads_stalled;
    }
}

/// One connection's budgets.
pub(crate) struct Guard {
    cancels: Budget,
    framing: Budget,
    excess: Option<Excess>,
    /// What happened since it was last asked for.
    pub(crate) totals: LimitTotals,
    has_warned: bool,
}

impl Guard {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            cancels: Budget::new(CANCELS, CANCEL_INTERVAL, now),
            framing: Budget::new(FRAMING, FRAMING_INTERVAL, now),
            excess: None,
            totals: LimitTotals::default(),
            has_warned: false,
        }
    }

    /// A request was taken back, or was malformed.
    pub(crate) fn on_cancel(&mut self, now: Instant) {
        self.totals.cancels += 1;
        if !self.cancels.spend(1, now) {
            self.exceed(Excess::Cancels);
        }
    }

    /// Request bodies were read: `body` bytes, for which `raw` bytes of the streams were used up.
    pub(crate) fn on_body(&mut self, raw: usize, body: usize, now: Instant) {
        let units = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let framing = raw.saturating_sub(body);
        let free = body / 4;
        self.framing.give_back(units(free.saturating_sub(framing)), now);
        if !self.framing.spend(units(framing.saturating_sub(free)), now) {
            self.exceed(Excess::Framing);
        }
    }

    /// A DATA frame was empty.
    pub(crate) fn on_empty_frame(&mut self, now: Instant) {
        if !self.framing.spend(EMPTY_FRAME, now) {
            self.exceed(Excess::Framing);
        }
    }

    /// How much of request bodies may be read in a visit.
    pub(crate) fn body_bytes(&self, now: Instant) -> usize {
        if self.framing.is_strained(now) { STRAINED_BODY_BYTES } else { BODY_BYTES }
    }

    pub(crate) fn exceed(&mut self, excess: Excess) {
        if self.excess.replace(excess).is_none() {
            self.totals.excessive += 1;
        }
    }

    /// Whether the connection is to be closed, and why.
    pub(crate) fn excess(&self) -> Option<Excess> {
        self.excess
    }

    /// What to say about the connection in the log: once, for there may be many reasons to.
    pub(crate) fn warning(&mut self) -> Option<&'static str> {
        let text = match self.excess {
            Some(excess) => excess.reason(),
            None if self.totals.any_stall() => "it is too slow: streams were ended",
            None if self.totals.rejected > 0 => "requests were rejected: too many cancelled before",
            None => return None,
        };
        (!std::mem::replace(&mut self.has_warned, true)).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use socket_transport::Clock;

    use super::*;

    #[test]
    fn hundreds_of_cancels_are_no_attack_and_thousands_are() {
        let start = Clock::system().now();
        let mut guard = Guard::new(start);
        for _ in 0..CANCELS {
            guard.on_cancel(start);
        }
        assert_eq!(guard.excess(), None);
        // Twenty in a second, for ever.
        for n in 0..100_000 {
            guard.on_cancel(start + Duration::from_millis(50 * (600 + n)));
        }
        assert_eq!(guard.excess(), None);
        for _ in 0..=CANCELS {
            guard.on_cancel(start);
        }
        assert_eq!(guard.excess(), Some(Excess::Cancels));
        assert_eq!(guard.totals.excessive, 1);
        assert!(guard.warning().is_some());
        assert!(guard.warning().is_none(), "once");
    }

    #[test]
    fn tiny_frames_are_counted_and_honest_ones_are_not() {
        let start = Clock::system().now();
        let mut guard = Guard::new(start);
        for _ in 0..10_000 {
            // Sixteen bytes in a frame, which is already odd.
            guard.on_body(72 * 1024, 64 * 1024, start);
        }
        assert_eq!((guard.excess(), guard.body_bytes(start)), (None, BODY_BYTES));
        // One byte in a frame.
        let frames = (1..10_000).find(|_| {
            guard.on_body(3 * 1024, 1024, start);
            guard.excess().is_some()
        });
        assert_eq!(guard.body_bytes(start), STRAINED_BODY_BYTES);
        assert_eq!(frames, Some(147));

        let mut guard = Guard::new(start);
        let empty = (1..10_000).find(|_| {
            guard.on_empty_frame(start);
            guard.excess().is_some()
        });
        assert_eq!(empty, Some(4097));
        // A byte now and then is an honest way to use HTTP.
        let mut guard = Guard::new(start);
        for second in 0..1_000_000 {
            guard.on_body(30, 10, start + Duration::from_secs(second));
        }
        assert_eq!(guard.excess(), None);
    }
}
