//! Requests and responses of one connection.
//!
//! ```text
//!                    Headers                      Finished
//!    (stream) ─┬── GET, HEAD ──▶ transfer            │
//!              ├── POST, PUT ──▶ upload ── stored ───▶ transfer ──▶ (FIN is with the engine)
//!              ├── others, malformed ──▶ transfer (405, 400)                │ collected
//!              ├── too large ──▶ transfer (431)                            │
//!              └── after GOAWAY ──▶ rejected                                ▼
//!                                                                       forgotten
//!    Reset by the client, or stopped: upload and transfer are dropped at once
//! ```
//!
//! The engine's events are edges: "readable" and "writable" come once, and not again before all was
//! read or the stream was blocked. So whatever a budget interrupts is remembered here.
//!
//! What a client may cost is in [`guard`](crate::guard), how slow it may be in `patience`.

mod patience;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use quiche::h3::{self, Event};

pub(crate) use self::patience::Limits;
use self::patience::Patience;
use crate::{
    connection::Connection,
    engine::{
        H3_EXCESSIVE_LOAD, H3_NO_ERROR, H3_REQUEST_CANCELLED, H3_REQUEST_INCOMPLETE,
        H3_REQUEST_REJECTED, Quiche, TransferEngine,
    },
    guard::{Guard, LimitTotals},
    heads,
    intake::Intake,
    keyed::Key,
    origin::Origin,
    priority::Priority,
    requests::{Method, Request, check_trailers, stated_method},
    store::{Done, Failure},
    transfers::Progress,
    uploads::{End, Next, Upload},
};

/// The budgets of a visit: events, bytes of response bodies (those of request bodies are the guard's).
/// The latter is a little less than what a visit sends ([`DATAGRAMS`](crate::output::DATAGRAMS)), so
/// that the bytes do not pile up in the engine.
const EVENTS: usize = 128;
/// What an empty DATA frame takes of the budget for request bodies.
const EMPTY_FRAME: usize = 64;
const BODY_BYTES: usize = 122_000;

/// What goes on, on which streams.
pub(crate) struct Exchange {
    owner: Key<Connection>,
    /// Request streams that the engine has not collected: those that are being read or answered, and
    /// those whose answer has not arrived as a whole.
    open: BTreeSet<u64>,
    /// How many were left when `open` was last compared with the engine.
    swept: usize,
    /// The lowest request stream that has not been seen.
    next_stream: u64,
    /// After GOAWAY, requests from this stream on are rejected.
    first_rejected: Option<u64>,
    uploads: BTreeMap<u64, Upload>,
    /// Uploads with bytes to read, in the order in which they are served.
    readable: VecDeque<u64>,
    /// Uploads with something to read that was no body.
    no_body: Vec<u64>,
    /// What workers say about uploads, for the next visit: one for each job.
    replies: Vec<(u64, Done)>,
    /// Streams whose response can go on although the engine has not said so.
    runnable: Vec<u64>,
    unfinished: bool,
    guard: Guard,
    patience: Patience,
    max_streams: u64,
    /// The time of the visit.
    now: Instant,
    /// How many streams the client had stopped when that was last looked at.
    stops_seen: u64,
}

impl Exchange {
    pub(crate) fn new(owner: Key<Connection>, limits: Limits, now: Instant) -> Self {
        Self {
            owner,
            open: BTreeSet::new(),
            swept: 0,
            next_stream: 0,
            first_rejected: None,
            uploads: BTreeMap::new(),
            readable: VecDeque::new(),
            no_body: Vec::new(),
            replies: Vec::new(),
            runnable: Vec::new(),
            unfinished: false,
            guard: Guard::new(now),
            patience: Patience::new(limits, now),
            max_streams: limits.max_streams,
            now,
            stops_seen: 0,
        }
    }

    /// Whether no stream is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn open_streams(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn uploads(&self) -> usize {
        self.uploads.len()
    }

    /// Whether a budget has interrupted the last visit.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// When streams are to be looked at that do not move: a visit has to come then.
    pub(crate) fn next_round(&self) -> Option<Instant> {
        self.patience.next_round()
    }

    /// What limits did since this was last asked for.
    pub(crate) fn take_limit_totals(&mut self) -> LimitTotals {
        if let Some(cause) = self.guard.warning() {
            log::warn!("connection {:?}: {cause}", self.owner);
        }
        std::mem::take(&mut self.guard.totals)
    }

    /// The response on a stream can go on for a reason that the engine does not know.
    pub(crate) fn continue_stream(&mut self, stream: u64) {
        self.runnable.push(stream);
    }

    /// A worker has done something for the upload on a stream.
    pub(crate) fn stored(&mut self, stream: u64, done: Done) {
        self.replies.push((stream, done));
    }

    pub(crate) fn reject_new_requests(&mut self) {
        self.first_rejected = Some(self.next_stream);
    }

    pub(crate) fn first_rejected(&self) -> u64 {
        self.first_rejected.unwrap_or(self.next_stream)
    }

    /// Takes requests, pulls request bodies, and unless the engine is `full` pushes responses, each
    /// within its budget. A client that costs too much is sent away.
    pub(crate) fn run(
        &mut self,
        mut engine: Quiche<'_>,
        origin: &mut Origin,
        full: bool,
        now: Instant,
    ) {
        self.now = now;
        self.note_new_streams(&engine);
        let (mut events, mut bytes) = (EVENTS, self.guard.body_bytes(now));
        self.take_replies(&mut engine, origin);
        loop {
            self.take_events(&mut engine, origin, &mut events);
            self.skip_empty_frames(&engine, &mut bytes);
            if self.readable.is_empty() || bytes == 0 || events == 0 {
                break;
            }
            // May bring the end of a body to light, which is an event.
            self.pull_bodies(&mut engine, origin, &mut bytes);
        }
        self.drop_stopped(&mut engine, origin);
        self.end_stalled(&mut engine, origin);
        if let Some(excess) = self.guard.excess() {
            let reason = excess.reason().as_bytes();
            let _ = engine.quic.close(true, H3_EXCESSIVE_LOAD, reason);
            return;
        }
        self.unfinished = full;
        if !full {
            self.push_responses(&mut engine, origin);
        }
        self.unfinished |= events == 0 || !self.readable.is_empty() || !self.no_body.is_empty();
        // Looking at all streams costs as much as there are: done when they may have doubled.
        if self.open.len() > 2 * self.swept + 16 {
            self.forget_collected(&mut engine, origin);
        }
    }

    /// The connection has ended, and everything on it.
    pub(crate) fn abandon(&mut self, origin: &mut Origin) {
        for stream in std::mem::take(&mut self.open) {
            origin.transfers.cancel(self.owner, stream);
            self.cancel_upload(origin, stream);
        }
        for (stream, done) in self.replies.drain(..) {
            Intake::nobody_waits((self.owner, stream), done, &mut origin.disk);
        }
        self.readable.clear();
        self.no_body.clear();
        self.runnable.clear();
        self.patience.clear();
        self.unfinished = false;
    }

    /// Forgets the streams of which the engine says that everything has arrived.
    pub(crate) fn forget_collected(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin) {
        self.open.retain(|stream| {
            let is_collected = engine.is_collected(*stream);
            if is_collected {
                self.patience.forget(*stream);
                // One that the client stopped may be over before its response had its turn.
                if origin.transfers.cancel(self.owner, *stream) {
                    self.guard.on_cancel(self.now);
                }
            }
            !is_collected
        });
        self.swept = self.open.len();
    }
}

/// Requests.
impl Exchange {
    fn take_events(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin, budget: &mut usize) {
        while *budget > 0 {
            *budget -= 1;
            match engine.http.poll(engine.quic) {
                Ok((stream, event)) => self.on_event(engine, origin, stream, event),
                Err(h3::Error::Done) => return *budget = (*budget).max(1),
                // The engine has closed the connection with the code that belongs to the error.
                Err(error) => return log::debug!("connection {:?}: {error}", self.owner),
            }
        }
    }

    fn on_event(
        &mut self,
        engine: &mut Quiche<'_>,
        origin: &mut Origin,
        stream: u64,
        event: Event,
    ) {
        match event {
            Event::Headers { list, more_frames } if self.open.insert(stream) => {
                self.patience.start(stream, self.now);
                self.next_stream = self.next_stream.max(stream + 4);
                self.on_request(engine, origin, stream, &list, more_frames);
            }
            Event::Headers { list, .. } => {
                let checked = check_trailers(&list).map_err(|reason| (400, reason));
                if let Err(why) = checked.and_then(|()| heads::check_size(&list)) {
                    self.refuse_with(engine, origin, stream, Method::Upload, why);
                }
            }
            Event::Data => match self.uploads.get_mut(&stream) {
                Some(upload) if !upload.readable => {
                    upload.readable = true;
                    self.readable.push_back(stream);
                }
                Some(_) => {}
                // A body that nobody asked for: the client may keep the rest of it.
                None => engine.stop_reading(stream, H3_NO_ERROR),
            },
            Event::Finished => self.on_upload_finished(engine, origin, stream),
            Event::Reset(code) => {
                log::debug!("connection {:?}, stream {stream}: reset, code {code:#x}", self.owner);
                // One that was taken back before its head was read cost a stream at least. It is over
                // only when the server's half is.
                if self.open.insert(stream) {
                    self.guard.on_cancel(self.now);
                    self.patience.start(stream, self.now);
                    engine.reset(stream, H3_REQUEST_INCOMPLETE);
                }
                self.on_cancelled(engine, origin, stream);
            }
            Event::PriorityUpdate => self.on_priority_update(engine, origin, stream),
            Event::GoAway => {}
        }
    }

    fn on_request(
        &mut self,
        engine: &mut Quiche<'_>,
        origin: &mut Origin,
        stream: u64,
        fields: &[h3::Header],
        more_frames: bool,
    ) {
        if self.first_rejected.is_some_and(|first| stream >= first) {
            engine.stop_reading(stream, H3_REQUEST_REJECTED);
            return engine.reset(stream, H3_REQUEST_REJECTED);
        }
        origin.totals.requests += 1;
        if !engine.takes_more(stream) {
            // The client has changed its mind before anything was done.
            return self.guard.on_cancel(self.now);
        }
        if self.has_too_many(engine, origin) {
            self.guard.totals.rejected += 1;
            engine.stop_reading(stream, H3_REQUEST_REJECTED);
            return engine.reset(stream, H3_REQUEST_REJECTED);
        }
        if let Err(why) = heads::check_size(fields) {
            self.guard.totals.heads_too_large += 1;
            return self.refuse_with(engine, origin, stream, stated_method(fields), why);
        }
        let request = match Request::parse(fields) {
            Ok(request) => request,
            Err(reason) => {
                return self.refuse(engine, origin, stream, stated_method(fields), reason);
            }
        };
        log::info!("connection {:?}, stream {stream}: {}", self.owner, request.summary());
        match request.method {
            Method::Get | Method::Head => {
                let update = engine.http.take_last_priority_update(stream).ok();
                let priority = update.map_or(request.priority, |value| Priority::parse(&value));
                origin.serve(self.owner, stream, Request { priority, ..request });
                self.runnable.push(stream);
            }
            Method::Upload => {
                let Origin { intake, disk, .. } = origin;
                match intake.begin((self.owner, stream), &request, disk) {
                    Ok(upload) => drop(self.uploads.insert(stream, upload)),
                    Err(failure) => return self.decline(engine, origin, stream, failure),
                }
                if !more_frames {
                    self.on_upload_finished(engine, origin, stream);
                }
            }
            Method::Unknown => {
                let text = "this server only knows GET, HEAD, POST, PUT";
                origin.text(self.owner, stream, Method::Unknown, 405, text);
                self.runnable.push(stream);
            }
        }
    }

    /// A cancelled request counts until its work stops (the worker's job), or else a client could
    /// have any number of jobs going on. Twice the limit, so that one that takes back everything may
    /// ask for as much again.
    fn has_too_many(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin) -> bool {
        let cancelled = origin.transfers.abandoned_jobs(self.owner);
        if cancelled == 0 {
            return false;
        }
        self.forget_collected(engine, origin);
        (cancelled + self.open.len()) as u64 > self.max_streams.saturating_mul(2)
    }

    /// A malformed request, or body.
    fn refuse(
        &mut self,
        engine: &mut Quiche<'_>,
        origin: &mut Origin,
        stream: u64,
        method: Method,
        reason: &'static str,
    ) {
        self.guard.on_cancel(self.now);
        self.refuse_with(engine, origin, stream, method, (400, reason));
    }

    /// Answers with a status and a reason, instead of what was asked for.
    fn refuse_with(
        &mut self,
        engine: &mut Quiche<'_>,
        origin: &mut Origin,
        stream: u64,
        method: Method,
        (status, reason): (u16, &'static str),
    ) {
        log::info!("connection {:?}, stream {stream}: {status}: {reason}", self.owner);
        let was_upload = self.drop_upload(origin, stream);
        if was_upload {
            engine.stop_reading(stream, H3_NO_ERROR);
        }
        // An answer that is under way is not taken back.
        if was_upload || !origin.transfers.contains(self.owner, stream) {
            origin.text(self.owner, stream, method, status, reason);
            self.runnable.push(stream);
        }
    }

    /// The client takes its request back, or wants no answer.
    fn on_cancelled(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin, stream: u64) {
        let had_upload = self.cancel_upload(origin, stream);
        if origin.transfers.cancel(self.owner, stream) || had_upload {
            self.guard.on_cancel(self.now);
            engine.reset(stream, H3_REQUEST_CANCELLED);
            engine.stop_reading(stream, H3_REQUEST_CANCELLED);
        }
    }

    fn on_priority_update(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin, stream: u64) {
        // For a stream that is still to come the value waits in the engine.
        if self.open.contains(&stream)
            && let Ok(value) = engine.http.take_last_priority_update(stream)
        {
            let priority = Priority::parse(&value);
            origin.transfers.set_priority(self.owner, stream, priority);
            engine.set_priority(stream, priority);
        }
    }
}

/// Request bodies.
impl Exchange {
    /// Reads in turns, so that one fast client's upload leaves room for its others.
    fn pull_bodies(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin, budget: &mut usize) {
        let waiting = |stream: u64, engine: &Quiche<'_>| {
            (stream, engine.quic.stream_readable_len(stream, usize::MAX))
        };
        let before: Vec<(u64, usize)> =
            self.readable.iter().map(|stream| waiting(*stream, engine)).collect();
        let body = self.pull_pieces(engine, origin, budget);
        // What is gone from streams that were refused meanwhile was thrown away, and not read.
        let raw = before.into_iter().filter(|(stream, _)| self.uploads.contains_key(stream));
        let raw =
            raw.map(|(stream, before)| before.saturating_sub(waiting(stream, engine).1)).sum();
        self.guard.on_body(raw, body, self.now);
    }

    /// Returns how many bytes of bodies that were.
    fn pull_pieces(
        &mut self,
        engine: &mut Quiche<'_>,
        origin: &mut Origin,
        budget: &mut usize,
    ) -> usize {
        let mut body = 0;
        while *budget > 0
            && let Some(stream) = self.readable.pop_front()
        {
            let Some(upload) = self.uploads.get_mut(&stream) else { continue };
            let Origin { scratch, intake, disk, totals, .. } = origin;
            let allowance = intake.allowance();
            let room = upload.room(allowance).min(scratch.len()).min(*budget);
            let Some(scratch) = scratch.get_mut(..room).filter(|scratch| !scratch.is_empty())
            else {
                // Out of the line until a worker's reply puts it back.
                continue;
            };
            match engine.http.recv_body(engine.quic, stream, scratch) {
                Ok(count) => {
                    self.patience.on_uploaded(stream, count, self.now);
                    body += count;
                    *budget = budget.saturating_sub(count);
                    totals.upload_bytes += count as u64;
                    self.readable.push_back(stream);
                    let bytes = scratch.get(..count).unwrap_or_default();
                    if let Err(failure) = upload.take(bytes, allowance, disk) {
                        self.decline(engine, origin, stream, failure);
                    }
                }
                Err(h3::Error::Done) if engine.quic.stream_readable(stream) => {
                    self.no_body.push(stream);
                }
                Err(h3::Error::Done) => upload.drained(disk),
                Err(error) => {
                    log::debug!("connection {:?}, stream {stream}: {error}", self.owner);
                    self.on_cancelled(engine, origin, stream);
                }
            }
        }
        body
    }

    /// The engine takes an empty frame for the end of what is there, and does not report what is behind
    /// it before it was asked once more. (Trailers are no body either, but those it has reported by
    /// now.)
    fn skip_empty_frames(&mut self, engine: &Quiche<'_>, budget: &mut usize) {
        for stream in std::mem::take(&mut self.no_body) {
            let Some(upload) = self.uploads.get_mut(&stream) else { continue };
            upload.readable = !engine.quic.stream_finished(stream);
            if upload.readable {
                *budget = budget.saturating_sub(EMPTY_FRAME);
                self.guard.on_empty_frame(self.now);
                self.stand_in_line(stream);
            }
        }
    }

    /// Has a stream read, in its turn. It may stand in line already: a worker's reply comes while there is
    /// room for more as well. Twice in line, its bytes would count twice.
    fn stand_in_line(&mut self, stream: u64) {
        if !self.readable.contains(&stream) {
            self.readable.push_back(stream);
        }
    }

    /// What workers have done since the last visit.
    fn take_replies(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin) {
        for (stream, done) in std::mem::take(&mut self.replies) {
            let Origin { intake, disk, .. } = origin;
            let Some(upload) = self.uploads.get_mut(&stream) else {
                Intake::nobody_waits((self.owner, stream), done, disk);
                continue;
            };
            match upload.on_done(done, intake.allowance(), disk) {
                Next::GoOn if upload.readable => self.stand_in_line(stream),
                Next::GoOn => {}
                Next::Stored(stored) => {
                    let priority = upload.priority;
                    self.uploads.remove(&stream);
                    origin.stored(self.owner, stream, &stored, priority);
                    self.runnable.push(stream);
                }
                Next::Failed(failure) => self.decline(engine, origin, stream, failure),
            }
        }
    }

    /// Answers that a body is not taken. The client may keep what is left of it.
    fn decline(
        &mut self,
        engine: &mut Quiche<'_>,
        origin: &mut Origin,
        stream: u64,
        failure: Failure,
    ) {
        let Failure { status, text } = failure;
        log::info!("connection {:?}, stream {stream}: {status}: {text}", self.owner);
        self.drop_upload(origin, stream);
        engine.stop_reading(stream, H3_NO_ERROR);
        origin.text(self.owner, stream, Method::Upload, status, text);
        self.runnable.push(stream);
    }

    /// Ends an upload that will not be complete. False if there is none.
    fn cancel_upload(&mut self, origin: &mut Origin, stream: u64) -> bool {
        let existed = self.drop_upload(origin, stream);
        origin.totals.uploads_cancelled += u64::from(existed);
        existed
    }

    /// Removes an upload, and what is stored of it.
    fn drop_upload(&mut self, origin: &mut Origin, stream: u64) -> bool {
        let upload = self.uploads.remove(&stream);
        upload.map(|upload| upload.abandon(&mut origin.disk)).is_some()
    }

    /// A client that wants no answer ends its upload, or its download. The engine reports a stopped
    /// stream as writable, but not if it has been reported as writable before, nor while the connection
    /// has no room; and by then it may have collected the stream, and given the client credit for
    /// another one. So all are asked as soon as the engine has counted a stop.
    fn drop_stopped(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin) {
        let stops = engine.quic.stats().stopped_stream_count_remote;
        if std::mem::replace(&mut self.stops_seen, stops) == stops {
            return;
        }
        let is_stopped = |stream: &u64| !engine.takes_more(*stream);
        let stopped: Vec<u64> = self.open.iter().copied().filter(is_stopped).collect();
        for stream in stopped {
            if self.uploads.contains_key(&stream) || origin.transfers.contains(self.owner, stream) {
                self.on_cancelled(engine, origin, stream);
                engine.release(stream);
            }
        }
    }

    fn on_upload_finished(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin, stream: u64) {
        // The end of a GET request, for one, needs no answer of its own.
        let Some(upload) = self.uploads.get_mut(&stream) else { return };
        match upload.end(&mut origin.disk) {
            Ok(End::Counted(length)) => {
                let priority = upload.priority;
                self.uploads.remove(&stream);
                origin.received(self.owner, stream, length, priority);
                self.runnable.push(stream);
            }
            Ok(End::Storing) => {}
            Err(failure) => self.decline(engine, origin, stream, failure),
        }
    }
}

/// Response bodies.
impl Exchange {
    fn push_responses(&mut self, engine: &mut Quiche<'_>, origin: &mut Origin) {
        let mut budget = BODY_BYTES;
        for stream in std::mem::take(&mut self.runnable) {
            self.push_response(engine, origin, stream, &mut budget);
        }
        while budget > 0
            && let Some(stream) = engine.quic.stream_writable_next()
        {
            self.push_response(engine, origin, stream, &mut budget);
        }
        self.unfinished |= budget == 0;
    }

    fn push_response(
        &mut self,
        engine: &mut Quiche<'_>,
        origin: &mut Origin,
        stream: u64,
        budget: &mut usize,
    ) {
        let Origin { transfers, disk, .. } = origin;
        let sent_before = transfers.totals().body_bytes;
        let progress = transfers.advance(self.owner, stream, engine, disk, budget);
        if transfers.totals().body_bytes != sent_before || progress == Progress::Done {
            self.patience.on_sent(stream, self.now);
        }
        match progress {
            Progress::Failed => engine.release(stream),
            Progress::Waiting | Progress::Blocked | Progress::Done => {}
            Progress::Budget => {
                self.runnable.push(stream);
                self.unfinished = true;
            }
            // A stream without a response: the client may have stopped it, which the engine reports
            // in this way alone. (And for a finished one, a late event.)
            Progress::Unknown if engine.takes_more(stream) => {}
            Progress::Unknown | Progress::Ended => {
                if progress == Progress::Ended {
                    self.guard.on_cancel(self.now);
                }
                self.on_cancelled(engine, origin, stream);
                engine.release(stream);
            }
        }
    }
}
