//! One request and its response.

use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use http::{HeaderMap, StatusCode, header};
use transaction::{HttpTransaction, NetError, PipeFull, ResponseHead, Sending, Writing};

use crate::{
    KeepAlive,
    chunked::Chunk,
    framing::Framing,
    head::{Collected, HeadReader},
    keep_alive::goes_on,
    writer::{BodyFraming, LAST_CHUNK, write_chunk, write_head},
};

/// How long a body waits for a server that was asked whether it wants it (RFC 9110 §10.1.1: not for ever).
const EXPECTATION: Duration = Duration::from_secs(1);

/// The largest piece of a chunked body; it is copied once, to stand beside its length.
const CHUNK: usize = 16 * 1024;

/// What is left of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// The head, and then the body if the server wants it.
    Expecting { until: Option<Instant>, framing: BodyFraming },
    /// The head, and then the body.
    Body(BodyFraming),
    /// What is in `out`.
    Rest,
    /// Nobody wants the rest, which was not sent: the connection is not fit for another request.
    Stopped,
}

/// What is left of the response.
#[derive(Debug)]
enum Response {
    Head(HeadReader),
    Body(Framing),
}

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum End {
    /// In good order: the response is whole.
    Whole,
    /// With this.
    Failed(NetError),
}

/// A request and its response.
pub(crate) struct Exchange {
    pub(crate) transaction: Box<HttpTransaction>,
    request: Request,
    response: Response,
    /// What goes out before anything else: the head, a chunk.
    out: BytesMut,
    /// The head is on its way.
    begun: bool,
    /// The body has nothing for now.
    source_waits: bool,
    /// The server goes on after it.
    goes_on: bool,
    pub(crate) keep_alive: KeepAlive,
}

impl Exchange {
    pub(crate) fn new(transaction: Box<HttpTransaction>) -> Self {
        let framing = match transaction.body_length() {
            Some(0) => BodyFraming::None,
            Some(_) => BodyFraming::Length,
            None => BodyFraming::Chunked,
        };
        let head = transaction.request();
        // An empty body that is announced is announced here as well.
        let announced = framing == BodyFraming::None && head.content_length() == Some(0);
        let written = if announced { BodyFraming::Length } else { framing };
        let expects = head.headers().contains_key(header::EXPECT);
        let request = match framing {
            BodyFraming::None => Request::Rest,
            _ if expects => Request::Expecting { until: None, framing },
            _ => Request::Body(framing),
        };
        Self {
            out: write_head(head, written),
            transaction,
            request,
            response: Response::Head(HeadReader::default()),
            begun: false,
            source_waits: false,
            goes_on: false,
            keep_alive: KeepAlive::default(),
        }
    }

    /// Whether another request may follow on the connection: both sides have said all that they announced,
    /// and the server goes on.
    pub(crate) fn leaves_a_usable_connection(&self) -> bool {
        self.goes_on && self.request == Request::Rest && self.out.is_empty()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.request {
            Request::Expecting { until, .. } => until,
            _ => None,
        }
    }

    /// A server that was asked and says nothing gets the body.
    pub(crate) fn on_deadline(&mut self, now: Instant) {
        if let Request::Expecting { until: Some(until), framing } = self.request
            && until <= now
        {
            self.request = Request::Body(framing);
        }
    }

    /// The body may have something again.
    pub(crate) fn resume_body(&mut self) {
        self.source_waits = false;
    }

    // Sending.

    pub(crate) fn wants_send(&self) -> bool {
        !self.out.is_empty() || matches!(self.request, Request::Body(_)) && !self.source_waits
    }

    /// Gives what there is to `send`, until it takes no more.
    ///
    /// # Errors
    /// The body can't be had.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        send: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Result<(), NetError> {
        self.begin(now);
        while flush(&mut self.out, send) {
            let Request::Body(framing) = self.request else {
                self.begin_to_wait(now);
                return Ok(());
            };
            let (out, transaction) = (&mut self.out, &mut self.transaction);
            let sending = transaction.read_segments(|piece| {
                Ok(match framing {
                    BodyFraming::Chunked => put_chunk(out, piece, send),
                    _ => send(piece),
                })
            })?;
            match sending {
                Sending::Blocked => {
                    if !self.out.is_empty() {
                        continue;
                    }
                    return Ok(());
                }
                Sending::Wait => {
                    self.source_waits = true;
                    return Ok(());
                }
                Sending::End => {
                    if framing == BodyFraming::Chunked {
                        self.out.extend_from_slice(LAST_CHUNK);
                    }
                    self.request = Request::Rest;
                }
            }
            self.transaction.timings().active(now);
        }
        Ok(())
    }

    fn begin(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.begun, true) {
            self.transaction.head_sent();
            self.transaction.timings().request_start(now);
        }
    }

    fn begin_to_wait(&mut self, now: Instant) {
        if let Request::Expecting { until, .. } = &mut self.request {
            until.get_or_insert_with(|| now.checked_add(EXPECTATION).unwrap_or(now));
        }
    }

    // Receiving.

    /// Takes bytes; answers how many, and the end if it is there. Fewer than all: the consumer has no room for
    /// more, or they belong to nobody.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant) -> (usize, Option<End>) {
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            match self.receive_part(rest, now) {
                Ok(Part::Taken(count)) if count > 0 => taken += count,
                Ok(Part::Taken(_)) => return (taken, None),
                Ok(Part::End(count)) => return (taken + count, Some(End::Whole)),
                Err(error) => return (taken, Some(End::Failed(error))),
            }
        }
    }

    fn receive_part(&mut self, bytes: &[u8], now: Instant) -> Result<Part, NetError> {
        match &mut self.response {
            Response::Head(_) if bytes.is_empty() => Ok(Part::Taken(0)),
            Response::Head(reader) => {
                match reader.collect(bytes).map_err(NetError::MalformedResponse)? {
                    Collected::Incomplete => Ok(Part::Taken(bytes.len())),
                    Collected::Whole(head, taken) => self.take_head(head, taken, now),
                }
            }
            Response::Body(_) => self.receive_body(bytes, now),
        }
    }

    fn take_head(
        &mut self,
        head: ResponseHead,
        taken: usize,
        now: Instant,
    ) -> Result<Part, NetError> {
        self.transaction.timings().response_start(now);
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(NetError::MalformedResponse("101, which nobody asked for".into()));
        }
        if head.is_interim() {
            if head.status == StatusCode::CONTINUE
                && let Request::Expecting { framing, .. } = self.request
            {
                self.request = Request::Body(framing);
            }
            self.transaction.set_response_head(head)?;
            return Ok(Part::Taken(taken));
        }
        let framing = Framing::of(&head, self.transaction.request().method())
            .map_err(NetError::MalformedResponse)?;
        self.goes_on = goes_on(&head) && !matches!(framing, Framing::UntilClose);
        self.keep_alive = KeepAlive::of(&head.headers);
        let unwanted = head.status.is_client_error() || head.status.is_server_error();
        self.transaction.set_response_head(head)?;
        if unwanted || !self.goes_on || matches!(self.request, Request::Expecting { .. }) {
            self.stop_sending();
        }
        let is_empty = matches!(framing, Framing::Length(0));
        self.response = Response::Body(framing);
        Ok(if is_empty { Part::End(taken) } else { Part::Taken(taken) })
    }

    /// The server has answered and wants no more of the body.
    fn stop_sending(&mut self) {
        if self.request != Request::Rest {
            self.request = Request::Stopped;
            self.out.clear();
            self.transaction.discard_body();
        }
    }

    fn receive_body(&mut self, bytes: &[u8], now: Instant) -> Result<Part, NetError> {
        let Response::Body(framing) = &mut self.response else { return Ok(Part::Taken(0)) };
        let received = self.transaction.body_received();
        match framing {
            Framing::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let data = bytes.get(..most).unwrap_or_default();
                let count = deliver(&mut self.transaction, data, now)?;
                *left = left.saturating_sub(count as u64);
                Ok(if *left == 0 { Part::End(count) } else { Part::Taken(count) })
            }
            Framing::UntilClose => Ok(Part::Taken(deliver(&mut self.transaction, bytes, now)?)),
            Framing::Chunked(decoder) => {
                let (consumed, chunk) =
                    decoder.next(bytes).map_err(|what| broken(received, &what))?;
                match chunk {
                    Chunk::NeedMore => Ok(Part::Taken(consumed)),
                    Chunk::Data(data) => {
                        let count = deliver(&mut self.transaction, data, now)?;
                        decoder.took(count);
                        Ok(Part::Taken(consumed + count))
                    }
                    Chunk::End(trailers) => {
                        self.take_trailers(trailers);
                        Ok(Part::End(consumed))
                    }
                }
            }
        }
    }

    fn take_trailers(&mut self, trailers: HeaderMap) {
        if !trailers.is_empty() {
            self.transaction.set_trailers(trailers);
        }
    }

    /// The byte stream has ended; `clean` says that the server said so itself.
    pub(crate) fn receive_end(&mut self, clean: bool) -> End {
        let reset = |reason: &str| End::Failed(NetError::NetReset { reason: reason.into() });
        match &self.response {
            Response::Head(reader) if reader.is_empty() => {
                reset("the server closed the connection without an answer")
            }
            Response::Head(_) => {
                let what = "the connection ended inside of the head";
                End::Failed(NetError::MalformedResponse(what.into()))
            }
            Response::Body(Framing::UntilClose) if clean => End::Whole,
            Response::Body(_) if clean => reset("the server closed the connection before the end"),
            Response::Body(_) => reset("the connection was cut off"),
        }
    }
}

/// What was received.
enum Part {
    /// So many bytes were used. None: there was nothing, or no room.
    Taken(usize),
    /// With so many bytes the response is whole.
    End(usize),
}

/// Puts bytes into the response's pipe; answers how many it took.
fn deliver(
    transaction: &mut HttpTransaction,
    data: &[u8],
    now: Instant,
) -> Result<usize, NetError> {
    let mut taken = 0;
    while let Some(rest) = data.get(taken..).filter(|rest| !rest.is_empty()) {
        let written = transaction.write_segments(|buffer| {
            let count = buffer.len().min(rest.len());
            for (to, from) in buffer.iter_mut().zip(rest) {
                *to = *from;
            }
            Ok(Writing::Bytes(count))
        })?;
        match written {
            Ok(Writing::Bytes(count) | Writing::End(count)) if count > 0 => taken += count,
            Ok(_) | Err(PipeFull) => break,
        }
    }
    if taken > 0 {
        transaction.timings().active(now);
    }
    Ok(taken)
}

/// The body can't be read on: what was delivered of it was not all.
fn broken(received: u64, what: &str) -> NetError {
    let reason = format!("the chunked coding is broken: {what}");
    NetError::PartialTransfer { received, expected: None, reason }
}

/// Gives away what waits; whether nothing is left.
fn flush(out: &mut BytesMut, send: &mut dyn FnMut(&[u8]) -> usize) -> bool {
    while !out.is_empty() {
        let taken = send(out).min(out.len());
        if taken == 0 {
            return false;
        }
        out.advance(taken);
    }
    true
}

/// Frames a piece of the body, once what was framed before is gone; answers how much of it.
fn put_chunk(out: &mut BytesMut, piece: &[u8], send: &mut dyn FnMut(&[u8]) -> usize) -> usize {
    if !flush(out, send) || piece.is_empty() {
        return 0;
    }
    let piece = piece.get(..CHUNK.min(piece.len())).unwrap_or_default();
    write_chunk(out, piece);
    flush(out, send);
    piece.len()
}
