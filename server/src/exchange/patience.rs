//! Slow and idle clients: how long a stream may stand still before it is ended.
//!
//! ```text
//!    what is awaited                 for how long        answer
//!    the end of the head             head_timeout        RESET_STREAM and STOP_SENDING, H3_REQUEST_INCOMPLETE
//!    the next bytes of a body        stall_timeout       408, and STOP_SENDING
//!    room for the response           stall_timeout       RESET_STREAM, H3_REQUEST_CANCELLED
//!    FIN, acknowledgements           stall_timeout       the same, and STOP_SENDING
//!    after a reset: its end          stall_timeout       the connection is closed, H3_EXCESSIVE_LOAD
//! ```
//!
//! Nobody is blamed for what is not his doing. A response may stand still because a disk is slow or
//! because more urgent ones go first: it only counts as stalled if nothing at all goes out on its
//! connection, or if others could be sent at this moment and this one could not, which then is for
//! want of the client's flow control. A client that reads a little now and then gives credit, and so
//! do pings not.
//!
//! The streams of a connection are looked at together, four times in a timeout; a stream may so get a
//! quarter more than was promised.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::Exchange;
use crate::{
    Config,
    engine::{H3_REQUEST_CANCELLED, H3_REQUEST_INCOMPLETE, Quiche, TransferEngine},
    guard::Excess,
    origin::Origin,
    requests::Method,
};

/// Below this there is not even room for a frame's header.
const NO_ROOM: usize = 16;
/// Looking more often would cost more than it brings.
const SHORTEST_ROUND: Duration = Duration::from_millis(20);
/// The server's control stream: the first of its own (RFC 9114, 6.2).
const CONTROL_STREAM: u64 = 3;

/// The settings that concern one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) head_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    /// Bytes in a second; 0 for none.
    pub(crate) min_upload_rate: u64,
    /// Requests at once.
    pub(crate) max_streams: u64,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self {
            head_timeout: config.head_timeout,
            stall_timeout: config.stall_timeout,
            min_upload_rate: config.min_upload_rate,
            max_streams: config.max_streams,
        }
    }
}

/// When things last moved, on each stream and on all together.
pub(super) struct Patience {
    limits: Limits,
    marks: BTreeMap<u64, Mark>,
    /// When any response last moved.
    sent_at: Instant,
    /// When to look next; none if there is nothing to look at.
    next_round: Option<Instant>,
}

/// One stream.
struct Mark {
    /// When the head was there, or when the stream was first seen.
    since: Instant,
    moved_at: Instant,
    /// Bytes of the request body so far.
    uploaded: u64,
    /// The stream was ended; only the client's part in it is awaited.
    cut: bool,
}

/// What to do about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Forget,
    EndHead,
    EndUpload(&'static str),
    EndDownload,
    EndConnection,
}

impl Patience {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, marks: BTreeMap::new(), sent_at: now, next_round: None }
    }

    /// A stream has bytes for the first time, or its head is there.
    pub(super) fn start(&mut self, stream: u64, now: Instant) {
        let mark = Mark { since: now, moved_at: now, uploaded: 0, cut: false };
        self.marks.insert(stream, mark);
        self.next_round.get_or_insert(now + self.limits.round());
    }

    pub(super) fn knows(&self, stream: u64) -> bool {
        self.marks.contains_key(&stream)
    }

    /// Bytes of a request body have come.
    pub(super) fn on_uploaded(&mut self, stream: u64, count: usize, now: Instant) {
        if let Some(mark) = self.marks.get_mut(&stream) {
            mark.moved_at = now;
            mark.uploaded += count as u64;
        }
    }

    /// A response has moved.
    pub(super) fn on_sent(&mut self, stream: u64, now: Instant) {
        self.sent_at = now;
        self.touch(stream, now);
    }

    fn touch(&mut self, stream: u64, now: Instant) {
        if let Some(mark) = self.marks.get_mut(&stream) {
            mark.moved_at = now;
        }
    }

    pub(super) fn forget(&mut self, stream: u64) {
        self.marks.remove(&stream);
    }

    pub(super) fn clear(&mut self) {
        self.marks.clear();
        self.next_round = None;
    }

    pub(super) fn next_round(&self) -> Option<Instant> {
        self.next_round
    }
}

impl Limits {
    fn round(self) -> Duration {
        (self.head_timeout.min(self.stall_timeout) / 4).max(SHORTEST_ROUND)
    }

    /// Whether a body comes too slowly, on average: judged when it had the time of a head.
    fn is_too_slow(self, mark: &Mark, now: Instant) -> bool {
        let time = now.saturating_duration_since(mark.since);
        time >= self.head_timeout
            && u128::from(mark.uploaded) * 1000
                < u128::from(self.min_upload_rate) * time.as_millis()
    }
}

impl Exchange {
    /// Notes the streams that have begun, of which no head is there yet. To be called before the
    /// engine takes their bytes, for then they show nowhere any more.
    pub(super) fn note_new_streams(&mut self, engine: &Quiche<'_>) {
        for stream in engine.quic.readable() {
            if stream % 4 == 0 && !self.open.contains(&stream) && !self.patience.knows(stream) {
                self.patience.start(stream, self.now);
            }
        }
    }

    /// Looks at all streams, if it is time to.
    pub(super) fn end_stalled(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin) {
        if self.patience.next_round.is_none_or(|at| self.now < at) {
            return;
        }
        self.forget_collected(engine, origin);
        // Whether anything at all could be sent, if its stream had room.
        let has_room = engine.quic.stream_capacity(CONTROL_STREAM).is_ok_and(|room| room > 0);
        let streams: Vec<u64> = self.patience.marks.keys().copied().collect();
        for stream in streams {
            if let Some(verdict) = self.judge(engine, origin, stream, has_room) {
                self.execute(engine, origin, stream, verdict);
            }
        }
        let round = self.patience.limits.round();
        self.patience.next_round = (!self.patience.marks.is_empty()).then(|| self.now + round);
    }

    fn judge(
        &mut self,
        engine: &mut Quiche<'_>,
        origin: &Origin,
        stream: u64,
        has_room: bool,
    ) -> Option<Verdict> {
        let limits = self.patience.limits;
        let mark = self.patience.marks.get(&stream)?;
        let still = self.now.saturating_duration_since(mark.moved_at);
        let is_open = self.open.contains(&stream);
        if let Some(upload) = self.uploads.get(&stream) {
            return match upload.waits_for_server() {
                false if still >= limits.stall_timeout => {
                    Some(Verdict::EndUpload("the body stopped coming"))
                }
                false if limits.is_too_slow(mark, self.now) => {
                    Some(Verdict::EndUpload("the body comes too slowly"))
                }
                _ => None,
            };
        }
        let patience = if is_open || mark.cut { limits.stall_timeout } else { limits.head_timeout };
        if still < patience {
            return None;
        }
        if mark.cut || !is_open {
            return Some(match engine.is_collected(stream) {
                true => Verdict::Forget,
                false if mark.cut => Verdict::EndConnection,
                false => Verdict::EndHead,
            });
        }
        if !origin.transfers.contains(self.owner, stream) {
            return Some(Verdict::EndDownload);
        }
        let room = engine.quic.stream_capacity(stream).unwrap_or_default();
        let nothing_goes = self.now.saturating_duration_since(self.patience.sent_at) >= patience;
        let is_stalled = nothing_goes || has_room && room < NO_ROOM;
        // A busy connection has room only now and then; then the next round will tell.
        (is_stalled && !origin.transfers.has_job(self.owner, stream))
            .then_some(Verdict::EndDownload)
    }

    fn execute(
        &mut self,
        engine: &mut Quiche<'_>,
        origin: &mut Origin,
        stream: u64,
        verdict: Verdict,
    ) {
        if verdict != Verdict::Forget {
            log::debug!("connection {:?}, stream {stream}: stalled: {verdict:?}", self.owner);
        }
        match verdict {
            Verdict::Forget => return self.patience.forget(stream),
            Verdict::EndConnection => return self.guard.exceed(Excess::Undead),
            Verdict::EndUpload(reason) => {
                self.guard.totals.uploads_stalled += 1;
                self.refuse_with(engine, origin, stream, Method::Upload, (408, reason));
                // Its answer has all the time that answers have.
                return self.patience.start(stream, self.now);
            }
            Verdict::EndHead => {
                self.guard.totals.heads_stalled += 1;
                self.open.insert(stream);
                engine.reset(stream, H3_REQUEST_INCOMPLETE);
                engine.stop_reading(stream, H3_REQUEST_INCOMPLETE);
            }
            Verdict::EndDownload => {
                self.guard.totals.downloads_stalled += 1;
                origin.transfers.cancel(self.owner, stream);
                engine.reset(stream, H3_REQUEST_CANCELLED);
                engine.stop_reading(stream, H3_REQUEST_CANCELLED);
            }
        }
        if let Some(mark) = self.patience.marks.get_mut(&stream) {
            mark.cut = true;
            mark.moved_at = self.now;
        }
    }
}
