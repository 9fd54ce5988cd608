//! A response, and its body as it arrives, decoded where that was asked for.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use transaction::{
    Canceller, NetError, Priority, ResponseHead, Timings,
    consumer::{self, CHUNK, into_io},
};

use crate::{decoding::Decoding, redirect::Redirect};

/// A response: its head, and its body as it arrives.
#[derive(Debug)]
pub struct Response {
    head: ResponseHead,
    body: ResponseBody,
    url: String,
    redirects: Vec<Redirect>,
}

impl Response {
    pub(crate) fn new(
        response: consumer::Response,
        url: String,
        redirects: Vec<Redirect>,
        decode: bool,
    ) -> Self {
        let (head, body) = response.into_parts();
        let decoding = decode.then(|| Decoding::of(&head.headers)).flatten();
        let body = ResponseBody { source: body, decoding, received: 0, rest: Bytes::new() };
        Self { head, body, url, redirects }
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The version it came over.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The header fields, as they came.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The URL that answered, after all redirects.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The redirects that led to it, in order.
    pub fn redirects(&self) -> &[Redirect] {
        &self.redirects
    }

    /// When what happened so far, to the last request.
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
/// Reading slowly holds the server back; it never fills memory, also where a little that came becomes much
/// by decoding: that is done for who reads, and as far as is read. Dropping the body before its end cancels
/// the stream with `H3_REQUEST_CANCELLED` and nothing else.
#[derive(Debug)]
pub struct ResponseBody {
    source: consumer::ResponseBody,
    /// Only for a body that is encoded, and asked for decoded.
    decoding: Option<Box<Decoding>>,
    received: u64,
    /// What was had from there and nobody consumed.
    rest: Bytes,
}

type Chunk = Result<Option<Bytes>, NetError>;

impl ResponseBody {
    /// The next piece of at most `wanted` bytes, or the end; `pull` gets more from the server.
    fn next(
        &mut self,
        wanted: usize,
        mut pull: impl FnMut(&mut consumer::ResponseBody) -> Poll<Chunk>,
    ) -> Poll<Chunk> {
        if self.rest.is_empty() {
            let Self { source, decoding, received, .. } = self;
            let mut pull = || {
                let chunk = pull(source);
                if let Poll::Ready(Ok(Some(piece))) = &chunk {
                    *received += piece.len() as u64;
                }
                chunk
            };
            let chunk = match decoding {
                Some(decoding) => decoding.next(&mut pull),
                None => pull(),
            };
            match chunk {
                Poll::Ready(Ok(Some(piece))) => self.rest = piece,
                ended_or_pending => return ended_or_pending,
            }
        }
        Poll::Ready(Ok(Some(self.rest.split_to(wanted.min(self.rest.len())))))
    }

    /// The next piece of at most `wanted` bytes, or the end; registers the task if there is neither.
    pub(crate) fn poll_chunk(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<Chunk> {
        self.next(wanted, |source| source.poll_chunk(CHUNK, cx))
    }

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
        match self.next(CHUNK, |source| Poll::Ready(source.wait_chunk())) {
            Poll::Ready(chunk) => chunk,
            Poll::Pending => Err(NetError::Internal("a blocking read had nothing")),
        }
    }

    /// What can be had without waiting: `None` is nothing yet, `Some(Ok(None))` the end.
    pub fn try_chunk(&mut self) -> Option<Result<Option<Bytes>, NetError>> {
        let pull = |source: &mut consumer::ResponseBody| match source.try_chunk() {
            Some(chunk) => Poll::Ready(chunk),
            None => Poll::Pending,
        };
        match self.next(CHUNK, pull) {
            Poll::Ready(chunk) => Some(chunk),
            Poll::Pending => None,
        }
    }

    /// Bytes that were taken from the server, before decoding.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Changes how urgent the rest is, by `PRIORITY_UPDATE` (RFC 9218).
    pub fn set_priority(&self, priority: Priority) {
        self.source.set_priority(priority);
    }

    /// When what happened so far: all of it, after the end was read.
    pub fn timings(&self) -> Timings {
        self.source.timings()
    }

    /// What cancels the rest from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.source.canceller()
    }

    /// The fields that came behind the body, once: none before the body was read to its end. (The engine
    /// for HTTP/3, neqo 0.13.4, drops them.)
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.source.take_trailers()
    }
}

impl io::BufRead for ResponseBody {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.rest = self.wait_chunk().map_err(into_io)?.unwrap_or_default();
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
