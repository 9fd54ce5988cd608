//! The application's handle of a session.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::header;

use super::{
    datagrams::PendingOutcome,
    opening::{PendingStream, StreamPair, StreamRequest},
    session_exchange::{CloseInfo, SessionExchange, SessionStats, State},
    stream::{RecvStream, SendStream},
    stream_half::StreamKind,
};
use crate::{Canceller, HttpTransaction, NetError, PendingResponse, ResponseHead, SharedTimings};

/// A session that is asked for: a future, independent of any runtime, that can also block.
///
/// Dropping it gives the session up.
#[derive(Debug)]
#[must_use = "dropping it gives the session up"]
pub struct PendingSession {
    response: PendingResponse,
    session: Option<WebTransportSession>,
}

impl PendingSession {
    /// Makes `transaction` a request for a session; `response` is its application's half.
    pub fn new(transaction: &mut HttpTransaction, response: PendingResponse) -> Self {
        let exchange = SessionExchange::new();
        transaction.set_web_transport(Arc::clone(&exchange));
        let session = Some(WebTransportSession(Arc::new(CloseOnDrop(exchange))));
        Self { response, session }
    }

    /// What gives it up from elsewhere, until the session is there.
    pub fn canceller(&self) -> Canceller {
        self.response.canceller()
    }

    /// When what happened, now and later.
    pub fn timings(&self) -> SharedTimings {
        self.response.timings()
    }

    /// Blocks until the server has answered.
    ///
    /// # Errors
    /// [`NetError::WebTransportUnsupported`], [`NetError::WebTransportRefused`], or how it failed.
    pub fn wait(self) -> Result<(WebTransportSession, ResponseHead), NetError> {
        let Self { response, session } = self;
        let (head, _) = response.wait()?.into_parts();
        answered(session, head)
    }
}

impl Future for PendingSession {
    type Output = Result<(WebTransportSession, ResponseHead), NetError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.response).poll(cx).map(|response| {
            let (head, _) = response?.into_parts();
            answered(self.session.take(), head)
        })
    }
}

fn answered(
    session: Option<WebTransportSession>,
    head: ResponseHead,
) -> Result<(WebTransportSession, ResponseHead), NetError> {
    if head.status.is_success() {
        let session = session.ok_or(NetError::Internal("polled after completion"))?;
        return Ok((session, head));
    }
    let location = head.headers.get(header::LOCATION).filter(|_| head.status.is_redirection());
    let location = location.map(|location| String::from_utf8_lossy(location.as_bytes()).into());
    Err(NetError::WebTransportRefused { status: head.status.as_u16(), location })
}

/// A WebTransport session. Any thread; clones are the same session.
///
/// It is closed by [`close`](Self::close), or when the last clone is dropped (with code 0 and no words). With it
/// end all of its streams.
#[derive(Debug, Clone)]
pub struct WebTransportSession(Arc<CloseOnDrop>);

#[derive(Debug)]
struct CloseOnDrop(Arc<SessionExchange>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(0, "");
    }
}

/// Streams.
impl WebTransportSession {
    fn exchange(&self) -> &SessionExchange {
        &self.0.0
    }

    /// Opens a stream that goes both ways. It waits while the server allows no more.
    ///
    /// # Errors
    /// The session is closed, or too many streams wait to be opened.
    pub fn open_bi(&self) -> Result<PendingStream<(SendStream, RecvStream)>, NetError> {
        let (request, pending) = StreamRequest::bidirectional();
        self.exchange().ask_for(request)?;
        Ok(pending)
    }

    /// Opens a stream that goes to the server.
    ///
    /// # Errors
    /// As [`open_bi`](Self::open_bi).
    pub fn open_uni(&self) -> Result<PendingStream<SendStream>, NetError> {
        let (request, pending) = StreamRequest::unidirectional();
        self.exchange().ask_for(request)?;
        Ok(pending)
    }

    async fn accept(&self, kind: StreamKind) -> Result<StreamPair, NetError> {
        self.exchange().until(|state| state.accept(kind)).await
    }

    /// The next stream of the server's that goes both ways.
    ///
    /// # Errors
    /// The session is closed.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), NetError> {
        self.accept(StreamKind::Bidirectional).await?.both()
    }

    /// As [`accept_bi`](Self::accept_bi), blocking.
    ///
    /// # Errors
    /// The session is closed.
    pub fn wait_accept_bi(&self) -> Result<(SendStream, RecvStream), NetError> {
        self.exchange().wait(|state| state.accept(StreamKind::Bidirectional))?.both()
    }

    /// A stream of the server's that goes both ways, if one is there.
    pub fn try_accept_bi(&self) -> Option<(SendStream, RecvStream)> {
        self.exchange().look(|state| state.accept(StreamKind::Bidirectional))?.both().ok()
    }

    /// The next stream of the server's on which it alone sends.
    ///
    /// # Errors
    /// The session is closed.
    pub async fn accept_uni(&self) -> Result<RecvStream, NetError> {
        self.accept(StreamKind::Unidirectional).await?.receiving()
    }

    /// As [`accept_uni`](Self::accept_uni), blocking.
    ///
    /// # Errors
    /// The session is closed.
    pub fn wait_accept_uni(&self) -> Result<RecvStream, NetError> {
        self.exchange().wait(|state| state.accept(StreamKind::Unidirectional))?.receiving()
    }

    /// A stream of the server's on which it alone sends, if one is there.
    pub fn try_accept_uni(&self) -> Option<RecvStream> {
        self.exchange().look(|state| state.accept(StreamKind::Unidirectional))?.receiving().ok()
    }
}

/// Datagrams.
impl WebTransportSession {
    /// Sends a datagram, if there is time: it may be lost on the way, and it makes room when newer ones are given
    /// faster than the network takes them.
    ///
    /// # Errors
    /// It is larger than [`max_datagram_size`](Self::max_datagram_size), or the session is closed.
    pub fn send_datagram(&self, datagram: impl Into<Bytes>) -> Result<(), NetError> {
        self.exchange().send_datagram(datagram.into(), false).map(|_| ())
    }

    /// As [`send_datagram`](Self::send_datagram), and tells what became of it.
    ///
    /// # Errors
    /// As [`send_datagram`](Self::send_datagram).
    pub fn track_datagram(&self, datagram: impl Into<Bytes>) -> Result<PendingOutcome, NetError> {
        let outcome = self.exchange().send_datagram(datagram.into(), true)?;
        outcome.ok_or(NetError::Internal("a datagram that is tracked has an outcome"))
    }

    /// How long a datagram may be, in bytes, as of the last one that left: it changes with what is known of the way.
    pub fn max_datagram_size(&self) -> usize {
        self.exchange().max_datagram_size()
    }

    /// The next datagram.
    ///
    /// # Errors
    /// The session is closed.
    pub async fn recv_datagram(&self) -> Result<Bytes, NetError> {
        self.exchange().until(State::datagram).await
    }

    /// As [`recv_datagram`](Self::recv_datagram), blocking.
    ///
    /// # Errors
    /// The session is closed.
    pub fn wait_recv_datagram(&self) -> Result<Bytes, NetError> {
        self.exchange().wait(State::datagram)
    }

    /// A datagram, if one is there.
    pub fn try_recv_datagram(&self) -> Option<Bytes> {
        self.exchange().look(State::datagram)
    }
}

/// The end.
impl WebTransportSession {
    /// Closes the session. The server is told code and words (of which it gets 1,024 bytes at most); what waits to
    /// be sent is dropped, and nothing comes any more. Closing what is closed does nothing.
    pub fn close(&self, code: u32, reason: &str) {
        self.exchange().close(code, reason);
    }

    /// Waits for the session's end.
    ///
    /// # Errors
    /// How it broke off.
    pub async fn closed(&self) -> Result<CloseInfo, NetError> {
        self.exchange().until(State::closed).await?
    }

    /// As [`closed`](Self::closed), blocking.
    ///
    /// # Errors
    /// How it broke off.
    pub fn wait_closed(&self) -> Result<CloseInfo, NetError> {
        self.exchange().wait(State::closed)?
    }

    /// How it ended, if it has.
    pub fn try_closed(&self) -> Option<Result<CloseInfo, NetError>> {
        self.exchange().look(State::closed)
    }

    /// Waits until the server wants to see the session end (`GOAWAY`): what runs goes on.
    ///
    /// # Errors
    /// The session is closed.
    pub async fn draining(&self) -> Result<(), NetError> {
        self.exchange().until(State::draining).await
    }

    /// Whether the server wants to see it end.
    pub fn is_draining(&self) -> bool {
        self.exchange().look(State::draining).is_some()
    }

    /// What it has carried.
    pub fn stats(&self) -> SessionStats {
        self.exchange().stats()
    }

    /// A witness of what it shares with the socket thread.
    pub fn witness(&self) -> crate::Witness {
        crate::Witness::of(&self.0.0)
    }
}
