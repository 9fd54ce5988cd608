//! Streams that are asked for and not there yet: the server may allow no more for now.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::{Condvar, Mutex};

use super::{
    stream::{RecvStream, SendStream},
    stream_half::{StreamHalf, StreamKind},
};
use crate::NetError;

/// The application's ends of a stream: those that its kind has.
#[derive(Debug, Default)]
pub struct StreamPair {
    /// What is sent; none of a stream on which the server alone sends.
    pub send: Option<SendStream>,
    /// What comes; none of a stream on which the application alone sends.
    pub receive: Option<RecvStream>,
}

impl StreamPair {
    pub(super) fn both(self) -> Result<(SendStream, RecvStream), NetError> {
        match (self.send, self.receive) {
            (Some(send), Some(receive)) => Ok((send, receive)),
            _ => Err(NetError::Internal("a bidirectional stream has two ends")),
        }
    }

    fn sending(self) -> Result<SendStream, NetError> {
        self.send.ok_or(NetError::Internal("an outgoing stream has an end to send on"))
    }

    pub(super) fn receiving(self) -> Result<RecvStream, NetError> {
        self.receive.ok_or(NetError::Internal("an incoming stream has an end to read from"))
    }
}

/// A stream that is being opened: a future that can also block.
///
/// Dropping it gives the stream up.
#[derive(Debug)]
#[must_use = "dropping it gives the stream up"]
pub struct PendingStream<T> {
    opening: Arc<Opening>,
    /// Which ends there are.
    ends: fn(StreamPair) -> Result<T, NetError>,
}

impl<T> PendingStream<T> {
    /// Blocks until the stream is there.
    ///
    /// # Errors
    /// The session was closed before.
    pub fn wait(self) -> Result<T, NetError> {
        let mut state = self.opening.state.lock();
        loop {
            if let Some(result) = state.take() {
                return result.and_then(self.ends);
            }
            self.opening.changed.wait(&mut state);
        }
    }
}

impl<T> Future for PendingStream<T> {
    type Output = Result<T, NetError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.opening.state.lock();
        if let Some(result) = state.take() {
            return Poll::Ready(result.and_then(self.ends));
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// What the application waits for.
#[derive(Debug, Default)]
struct Opening {
    state: Mutex<Open>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Open {
    pair: StreamPair,
    /// Whether there is a stream; said once (W4).
    result: Option<Result<(), NetError>>,
    taken: bool,
    waiting: Option<Waker>,
}

impl Open {
    fn take(&mut self) -> Option<Result<StreamPair, NetError>> {
        if self.taken {
            return Some(Err(NetError::Internal("polled after completion")));
        }
        let result = self.result.take()?;
        self.taken = true;
        Some(result.map(|()| std::mem::take(&mut self.pair)))
    }
}

/// Tells a [`PendingStream`] whether there is a stream.
#[derive(Debug)]
pub(super) struct Answer(Arc<Opening>);

impl Answer {
    pub(super) fn keep(&self, pair: StreamPair) {
        self.0.state.lock().pair = pair;
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_unwanted(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    pub(super) fn give(self, result: Result<(), NetError>) {
        let (waiting, unused) = {
            let mut state = self.0.state.lock();
            let failed = result.is_err();
            state.result.get_or_insert(result);
            (state.waiting.take(), failed.then(|| std::mem::take(&mut state.pair)))
        };
        drop(unused);
        self.0.changed.notify_all();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

/// A stream that the application wants, on its way to the socket thread.
#[derive(Debug)]
pub struct StreamRequest {
    /// Which ways it is to go.
    pub kind: StreamKind,
    /// What it will be there.
    pub half: StreamHalf,
}

impl StreamRequest {
    fn new(kind: StreamKind) -> (Self, Arc<Opening>) {
        let opening = Arc::new(Opening::default());
        let half = StreamHalf::outgoing(kind, Answer(Arc::clone(&opening)));
        (Self { kind, half }, opening)
    }

    pub(super) fn bidirectional() -> (Self, PendingStream<(SendStream, RecvStream)>) {
        let (request, opening) = Self::new(StreamKind::Bidirectional);
        (request, PendingStream { opening, ends: StreamPair::both })
    }

    pub(super) fn unidirectional() -> (Self, PendingStream<SendStream>) {
        let (request, opening) = Self::new(StreamKind::Unidirectional);
        (request, PendingStream { opening, ends: StreamPair::sending })
    }
}
