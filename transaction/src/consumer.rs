//! The application's half of an exchange: a response that is awaited, then read.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};

use crate::{
    canceller::Canceller,
    early_data::EarlyData,
    error::NetError,
    exchange::Exchange,
    head::{Priority, ResponseHead},
    timings::{SharedTimings, Timings},
    witness::Witness,
};

/// A response that has not begun: a future, independent of any runtime, that can also block.
///
/// Dropping it cancels the request.
#[derive(Debug)]
#[must_use = "dropping it cancels the request"]
pub struct PendingResponse {
    exchange: Option<CancelOnDrop>,
}

impl PendingResponse {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange: Some(CancelOnDrop(exchange)) }
    }

    /// The next 103 head (early hints, RFC 8297): what the server expects the response to need. `None` when
    /// there will be no more, because the response has begun or failed.
    pub async fn early_hints(&mut self) -> Option<ResponseHead> {
        let exchange = &self.exchange.as_ref()?.0;
        poll_fn(|cx| exchange.poll_early_hints(cx.waker())).await
    }

    /// As [`early_hints`](Self::early_hints), blocking.
    pub fn wait_early_hints(&mut self) -> Option<ResponseHead> {
        self.exchange.as_ref()?.0.wait_early_hints()
    }

    /// Changes how urgent the response is: in the request, or by `PRIORITY_UPDATE` when that has left.
    pub fn set_priority(&self, priority: Priority) {
        if let Some(exchange) = &self.exchange {
            exchange.0.set_priority(priority);
        }
    }

    pub(crate) fn exchange(&self) -> Option<&Arc<Exchange>> {
        self.exchange.as_ref().map(|exchange| &exchange.0)
    }

    /// What cancels it from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.exchange().map(Canceller::of).unwrap_or_default()
    }

    /// When what happened, now and later: it outlives this, and tells of failures too.
    pub fn timings(&self) -> SharedTimings {
        self.exchange().map(|exchange| exchange.timings().clone()).unwrap_or_default()
    }

    /// A witness of the response's pipe; none after the response was taken.
    pub fn witness(&self) -> Option<Witness> {
        self.exchange.as_ref().map(|exchange| Witness::of(&exchange.0))
    }

    /// Blocks until the response head arrives.
    ///
    /// # Errors
    /// How the request failed.
    pub fn wait(mut self) -> Result<Response, NetError> {
        let exchange = self.exchange.take().ok_or(NetError::Internal("polled after completion"))?;
        let head = exchange.0.wait_head()?;
        Ok(Response { head, body: ResponseBody { exchange, rest: Bytes::new() } })
    }
}

impl Future for PendingResponse {
    type Output = Result<Response, NetError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(exchange) = self.exchange.take() else {
            return Poll::Ready(Err(NetError::Internal("polled after completion")));
        };
        match exchange.0.poll_head(cx.waker()) {
            Poll::Ready(head) => Poll::Ready(head.map(|head| Response {
                head,
                body: ResponseBody { exchange, rest: Bytes::new() },
            })),
            Poll::Pending => {
                self.exchange = Some(exchange);
                Poll::Pending
            }
        }
    }
}

/// A response: its head, and its body as it arrives.
#[derive(Debug)]
pub struct Response {
    head: ResponseHead,
    body: ResponseBody,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The version it came over.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// What became of the request as early data (0-RTT): whether it was sent before the handshake was complete,
    /// and whether the server took it.
    pub fn early_data(&self) -> EarlyData {
        self.body.exchange.0.early_data()
    }

    /// When what happened so far.
    pub fn timings(&self) -> Timings {
        self.body.timings()
    }

    /// What cancels the rest from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.body.canceller()
    }

    /// The body.
    pub fn body_mut(&mut self) -> &mut ResponseBody {
        &mut self.body
    }

    /// The body alone.
    pub fn into_body(self) -> ResponseBody {
        self.body
    }

    /// Head and body.
    pub fn into_parts(self) -> (ResponseHead, ResponseBody) {
        (self.head, self.body)
    }
}

/// A response body: [`io::Read`] that blocks, or [`chunk`](Self::chunk) that doesn't.
///
/// Reading slowly holds the server back; it never fills memory. Dropping the body before its end cancels
/// the stream with `H3_REQUEST_CANCELLED` and nothing else.
#[derive(Debug)]
pub struct ResponseBody {
    exchange: CancelOnDrop,
    /// What [`io::BufRead`] shows and nobody consumed.
    rest: Bytes,
}

impl ResponseBody {
    /// What comes into the pipe of `exchange`.
    pub(crate) fn reading(exchange: Arc<Exchange>) -> Self {
        Self { exchange: CancelOnDrop(exchange), rest: Bytes::new() }
    }

    pub(crate) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange.0
    }

    /// The next piece of at most `wanted` bytes, or the end; registers the task if there is neither.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub fn poll_chunk(
        &mut self,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, NetError>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(self.rest.split_to(wanted.min(self.rest.len())))));
        }
        self.exchange.0.poll_read(wanted, cx.waker())
    }
}

/// The most that one chunk holds.
pub const CHUNK: usize = 64 * 1024;

impl ResponseBody {
    /// The next piece of the body, `None` at its end.
    ///
    /// # Errors
    /// How the response broke off. Everything that arrived before was delivered before.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        poll_fn(|cx| self.poll_chunk(CHUNK, cx)).await
    }

    /// Blocks for the next piece, `None` at the end.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub fn wait_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        self.exchange.0.wait_read(CHUNK)
    }

    /// What can be had without waiting: `None` is nothing yet, `Some(Ok(None))` the end.
    pub fn try_chunk(&mut self) -> Option<Result<Option<Bytes>, NetError>> {
        if !self.rest.is_empty() {
            return Some(Ok(Some(std::mem::take(&mut self.rest))));
        }
        self.exchange.0.try_read(CHUNK)
    }
}

impl ResponseBody {
    /// Changes how urgent the rest is, by `PRIORITY_UPDATE` (RFC 9218).
    pub fn set_priority(&self, priority: Priority) {
        self.exchange.0.set_priority(priority);
    }

    /// When what happened so far: all of it, after the end was read.
    pub fn timings(&self) -> Timings {
        self.exchange.0.timings().get()
    }

    /// What cancels the rest from elsewhere.
    pub fn canceller(&self) -> Canceller {
        Canceller::of(&self.exchange.0)
    }

    /// The fields that came behind the body, once: none before the body was read to its end. (The engine
    /// for HTTP/3, neqo 0.13.4, drops them.)
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.exchange.0.take_trailers()
    }
}

impl io::BufRead for ResponseBody {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.rest = self.exchange.0.wait_read(CHUNK).map_err(into_io)?.unwrap_or_default();
        }
        Ok(&self.rest)
    }

    fn consume(&mut self, amount: usize) {
        let _ = self.rest.split_to(amount.min(self.rest.len()));
    }
}

impl io::Read for ResponseBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = io::BufRead::fill_buf(self)?;
        let count = io::Read::read(&mut available, buffer)?;
        io::BufRead::consume(self, count);
        Ok(count)
    }
}

/// As a reader tells of it.
pub fn into_io(error: NetError) -> io::Error {
    let kind = match &error {
        NetError::PartialTransfer { .. } => io::ErrorKind::UnexpectedEof,
        NetError::NetTimeout(_) => io::ErrorKind::TimedOut,
        NetError::Aborted => io::ErrorKind::ConnectionAborted,
        NetError::NetReset { .. } | NetError::NetInterrupt { .. } => io::ErrorKind::ConnectionReset,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Tells the socket thread when the last of the consumer's halves is gone. After a response that is
/// complete that is a wish nobody hears.
#[derive(Debug)]
struct CancelOnDrop(Arc<Exchange>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
