//! What a session shares with its application: streams that come and are asked for, datagrams, and the end.
//!
//! One lock guards all of it. Neither side waits for the other while it holds the lock.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::{
    datagrams::{DatagramOutcome, Leaving, PendingOutcome, Queue, Report},
    opening::{StreamPair, StreamRequest},
    stream_half::StreamKind,
    waiters::{Place, Waiters},
};
use crate::{NetError, wishing::Wishing};

/// How many streams the application may have asked for and not got yet.
const MAX_OPENING: usize = 1024;

/// The most that a close may say, in bytes (draft-ietf-webtrans-http3 §5).
const MAX_REASON: usize = 1024;

/// How a session ended that was ended in good order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseInfo {
    /// The application's code.
    pub code: u32,
    /// The application's words.
    pub reason: String,
    /// Whether the server ended it.
    pub by_peer: bool,
}

impl CloseInfo {
    /// What calls on the session answer from then on.
    pub fn into_error(self) -> NetError {
        let Self { code, reason, by_peer } = self;
        NetError::WebTransportClosed { code, reason, by_peer }
    }
}

/// What a session has carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Datagrams that the engine took.
    pub datagrams_sent: u64,
    /// Datagrams that it didn't: displaced by newer ones, or too large.
    pub datagrams_not_sent: u64,
    /// Datagrams that came.
    pub datagrams_received: u64,
    /// Datagrams of them that made room for newer ones, because nobody took them.
    pub datagrams_displaced: u64,
    /// Streams that the application opened.
    pub streams_opened: u64,
    /// Streams that the server opened.
    pub streams_accepted: u64,
}

/// What the application wants of the session on the socket thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionWishes {
    /// There are streams to be opened, or datagrams to be sent.
    pub send: bool,
    /// It is to be closed.
    pub close: bool,
}

impl SessionWishes {
    const SEND: u8 = 1;
    const CLOSE: u8 = 2;
}

#[derive(Debug)]
enum Phase {
    Open,
    /// The application closed it, and the server has not been told.
    Closing(CloseInfo),
    Closed(Result<CloseInfo, NetError>),
}

/// All of it. To the application's handle it shows what can be taken.
#[derive(Debug)]
pub(super) struct State {
    phase: Phase,
    draining: bool,
    asked_for: VecDeque<StreamRequest>,
    /// What the server opened and nobody took. As many as it may open.
    incoming_bidirectional: VecDeque<StreamPair>,
    incoming_unidirectional: VecDeque<StreamPair>,
    leaving: Queue<Leaving>,
    arrived: Queue<Bytes>,
    max_datagram_size: usize,
    stats: SessionStats,
    /// Tasks that wait for any of it; blocked threads wait on the condition variable.
    waiting: Waiters,
}

/// The shared part of a session. Any thread.
#[derive(Debug)]
pub struct SessionExchange {
    state: Mutex<State>,
    changed: Condvar,
    wishing: Wishing,
}

impl SessionExchange {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                phase: Phase::Open,
                draining: false,
                asked_for: VecDeque::new(),
                incoming_bidirectional: VecDeque::new(),
                incoming_unidirectional: VecDeque::new(),
                leaving: Queue::default(),
                arrived: Queue::default(),
                max_datagram_size: 0,
                stats: SessionStats::default(),
                waiting: Waiters::default(),
            }),
            changed: Condvar::new(),
            wishing: Wishing::default(),
        })
    }

    // The socket thread's side.

    /// Names who is woken when the application wishes something; at once if it has.
    pub fn set_owner(&self, waker: Option<Waker>) {
        self.wishing.set_owner(waker);
    }

    /// What the application wishes.
    pub fn take_wishes(&self) -> SessionWishes {
        // Closing is final: whoever owns the session next sees it too.
        let bits = self.wishing.take(SessionWishes::CLOSE);
        SessionWishes {
            send: bits & SessionWishes::SEND != 0,
            close: bits & SessionWishes::CLOSE != 0,
        }
    }

    /// A stream that the application wants.
    pub fn next_request(&self) -> Option<StreamRequest> {
        let mut state = self.state.lock();
        let request = state.asked_for.pop_front()?;
        state.stats.streams_opened += 1;
        Some(request)
    }

    /// A datagram to be sent.
    pub fn next_datagram(&self) -> Option<Leaving> {
        self.state.lock().leaving.pop()
    }

    /// Says what became of a datagram.
    pub fn datagram_left(&self, datagram: Leaving, outcome: DatagramOutcome) {
        {
            let mut state = self.state.lock();
            if outcome == DatagramOutcome::Sent {
                state.stats.datagrams_sent += 1;
            } else {
                state.stats.datagrams_not_sent += 1;
            }
        }
        datagram.tell(outcome);
    }

    /// Whether datagrams wait to be sent.
    pub fn has_datagrams(&self) -> bool {
        self.state.lock().leaving.len() > 0
    }

    /// What the application closed it with, if it did and the server has not been told.
    pub fn closing(&self) -> Option<CloseInfo> {
        match &self.state.lock().phase {
            Phase::Closing(info) => Some(info.clone()),
            Phase::Open | Phase::Closed(_) => None,
        }
    }

    /// How long a datagram may be at present.
    pub fn set_max_datagram_size(&self, size: usize) {
        self.state.lock().max_datagram_size = size;
    }

    /// The server opened a stream.
    pub fn deliver_stream(&self, kind: StreamKind, pair: StreamPair) {
        let mut refused = None;
        self.change(|state| {
            if !matches!(state.phase, Phase::Open) {
                refused = Some(pair);
                return;
            }
            state.stats.streams_accepted += 1;
            match kind {
                StreamKind::Bidirectional => state.incoming_bidirectional.push_back(pair),
                StreamKind::Unidirectional => state.incoming_unidirectional.push_back(pair),
            }
        });
        drop(refused);
    }

    /// A datagram came.
    pub fn deliver_datagram(&self, datagram: Bytes) {
        self.change(|state| {
            if let Phase::Open = state.phase {
                state.stats.datagrams_received += 1;
                let displaced = state.arrived.push(datagram).is_some();
                state.stats.datagrams_displaced += u64::from(displaced);
            }
        });
    }

    /// The server takes no new sessions on this connection, and wants to see the present ones end.
    pub fn drain(&self) {
        self.change(|state| state.draining = true);
    }

    /// The session has ended; the first end counts. Datagrams that came stay readable, unless the application
    /// ended it.
    pub fn finish(&self, end: Result<CloseInfo, NetError>) {
        let mut dropped = None;
        self.change(|state| {
            let end = match std::mem::replace(&mut state.phase, Phase::Open) {
                Phase::Closed(earlier) => earlier,
                Phase::Closing(info) => Ok(info),
                Phase::Open => end,
            };
            state.phase = Phase::Closed(end);
            dropped = Some(state.take_what_waits());
        });
        self.set_owner(None);
        // Outside of the lock: they tell their own streams.
        if let Some((requests, ..)) = &mut dropped {
            let why = self.error();
            for request in requests {
                request.half.end(&why);
            }
        }
    }

    /// Streams that nobody took, and requests, datagrams included.
    pub fn buffered(&self) -> usize {
        let state = self.state.lock();
        let streams = state.incoming_bidirectional.len() + state.incoming_unidirectional.len();
        streams + state.asked_for.len() + state.leaving.len() + state.arrived.len()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waiting = {
            let mut state = self.state.lock();
            change(&mut state);
            state.waiting.take()
        };
        self.changed.notify_all();
        waiting.for_each(Waker::wake);
    }

    // The application's side.

    /// What calls on a closed session answer.
    pub fn error(&self) -> NetError {
        self.state.lock().error().unwrap_or(NetError::Internal("the session is open"))
    }

    pub(super) fn ask_for(&self, request: StreamRequest) -> Result<(), NetError> {
        {
            let mut state = self.state.lock();
            let refused = state.error().or_else(|| {
                (state.asked_for.len() >= MAX_OPENING).then_some(NetError::TooManyRequests)
            });
            if let Some(why) = refused {
                drop(state);
                let StreamRequest { mut half, .. } = request;
                half.end(&why);
                return Err(why);
            }
            state.asked_for.push_back(request);
        }
        self.wishing.wish(SessionWishes::SEND);
        Ok(())
    }

    pub(super) fn send_datagram(
        &self,
        bytes: Bytes,
        tracked: bool,
    ) -> Result<Option<PendingOutcome>, NetError> {
        let (report, outcome) = if tracked {
            let (report, outcome) = Report::new();
            (Some(report), Some(outcome))
        } else {
            (None, None)
        };
        let displaced = {
            let mut state = self.state.lock();
            if let Some(error) = state.error() {
                return Err(error);
            }
            let (size, max) = (bytes.len(), state.max_datagram_size);
            if size > max {
                return Err(NetError::DatagramTooLarge { size, max });
            }
            let displaced = state.leaving.push(Leaving { bytes, report });
            state.stats.datagrams_not_sent += u64::from(displaced.is_some());
            displaced
        };
        if let Some(displaced) = displaced {
            displaced.tell(DatagramOutcome::Displaced);
        }
        self.wishing.wish(SessionWishes::SEND);
        Ok(outcome)
    }

    /// Closes it, unless it is closed. Nothing comes any more (W3).
    pub(super) fn close(&self, code: u32, reason: &str) {
        let reason = reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or_default();
        let mut dropped = None;
        self.change(|state| {
            if let Phase::Open = state.phase {
                let info = CloseInfo { code, reason: reason.to_owned(), by_peer: false };
                state.phase = Phase::Closing(info);
                dropped = Some(state.take_what_waits());
                state.arrived.clear();
            }
        });
        let Some((mut requests, ..)) = dropped else { return };
        let why = self.error();
        for request in &mut requests {
            request.half.end(&why);
        }
        self.wishing.wish(SessionWishes::CLOSE);
    }

    pub(super) fn max_datagram_size(&self) -> usize {
        self.state.lock().max_datagram_size
    }

    pub(super) fn stats(&self) -> SessionStats {
        self.state.lock().stats
    }

    /// Waits for what `look` finds, or for the session's end where that gives none.
    pub(super) async fn until<T>(
        &self,
        look: impl Fn(&mut State) -> Option<T>,
    ) -> Result<T, NetError> {
        let mut waits = Waits { exchange: self, place: None };
        poll_fn(|cx| waits.poll(cx, &look)).await
    }

    /// As [`until`](Self::until), blocking.
    pub(super) fn wait<T>(
        &self,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, NetError> {
        let mut state = self.state.lock();
        loop {
            if let Some(found) = look(&mut state) {
                return Ok(found);
            }
            if let Some(error) = state.error() {
                return Err(error);
            }
            self.changed.wait(&mut state);
        }
    }

    /// What is there now.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut State) -> Option<T>) -> Option<T> {
        look(&mut self.state.lock())
    }
}

/// A task that waits, until it is dropped.
struct Waits<'a> {
    exchange: &'a SessionExchange,
    place: Place,
}

impl Waits<'_> {
    fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        look: impl FnOnce(&mut State) -> Option<T>,
    ) -> Poll<Result<T, NetError>> {
        let mut state = self.exchange.state.lock();
        if let Some(found) = look(&mut state) {
            return Poll::Ready(Ok(found));
        }
        if let Some(error) = state.error() {
            return Poll::Ready(Err(error));
        }
        state.waiting.register(&mut self.place, cx.waker());
        Poll::Pending
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.exchange.state.lock().waiting.leave(self.place);
        }
    }
}

/// What waited in a session when it ended: dropped, it ends what it is part of.
type Waited = (VecDeque<StreamRequest>, [VecDeque<StreamPair>; 2], Queue<Leaving>);

impl State {
    fn take_what_waits(&mut self) -> Waited {
        let incoming = [
            std::mem::take(&mut self.incoming_bidirectional),
            std::mem::take(&mut self.incoming_unidirectional),
        ];
        (std::mem::take(&mut self.asked_for), incoming, std::mem::take(&mut self.leaving))
    }

    fn error(&self) -> Option<NetError> {
        let (Phase::Closing(info) | Phase::Closed(Ok(info))) = &self.phase else {
            return match &self.phase {
                Phase::Closed(Err(error)) => Some(error.clone()),
                _ => None,
            };
        };
        Some(info.clone().into_error())
    }

    pub(super) fn accept(&mut self, kind: StreamKind) -> Option<StreamPair> {
        match kind {
            StreamKind::Bidirectional => self.incoming_bidirectional.pop_front(),
            StreamKind::Unidirectional => self.incoming_unidirectional.pop_front(),
        }
    }

    pub(super) fn datagram(&mut self) -> Option<Bytes> {
        self.arrived.pop()
    }

    pub(super) fn closed(&mut self) -> Option<Result<CloseInfo, NetError>> {
        match &self.phase {
            Phase::Open => None,
            Phase::Closing(info) => Some(Ok(info.clone())),
            Phase::Closed(end) => Some(end.clone()),
        }
    }

    pub(super) fn draining(&mut self) -> Option<()> {
        self.draining.then_some(())
    }
}
