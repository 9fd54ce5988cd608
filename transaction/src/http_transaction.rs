//! The socket thread's half of an exchange.
//!
//! ```text
//!             ┌────────── restart: nothing reached the consumer ─────────┐
//!             ▼                                                          │
//!   Waiting ──► Sending (read_segments) ──► head ──► body (write_segments) ──► closed
//!             └──────────────── close(error): consumer sees it ────────────────┘
//! ```

use std::{fmt, sync::Arc, task::Waker};

use bytes::Bytes;
use http::{HeaderMap, Method, header};

use crate::{
    Alpn, CertificateVerifier, ClassOfService, ConnectionInfo, RequestBody,
    body::{BodyRead, BodyReader},
    consumer::PendingResponse,
    early_data::EarlyData,
    error::{Fault, NetError},
    exchange::{Exchange, Wishes},
    head::{RequestHead, ResponseHead},
    restart::{Earlier, Unserved, next_protocol},
    segment::Segment,
    time_limits::{TimeLimits, Watch},
    timings::SharedTimings,
    web_transport::SessionExchange,
};

/// A transaction's number, for logs and for finding it in a queue. Unique within a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transaction {}", self.0)
    }
}

/// How often a request is tried before its last error is delivered (`request.max-attempts`).
const MAX_ATTEMPTS: u32 = 6;

/// A server has a few things to say before it answers, not any number of them.
const MAX_INTERIM_HEADS: u32 = 32;

/// 103 (RFC 8297); `http` has no name for it.
const EARLY_HINTS: u16 = 103;

/// The pipe takes no more; the consumer will wake the transaction's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipeFull;

/// How far a request body got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// The engine takes no more for now.
    Blocked,
    /// The body has nothing for now; its source will wake the transaction's owner.
    Wait,
    /// That was all of it.
    End,
}

/// What a stream got when it read for the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// So many bytes.
    Bytes(usize),
    /// Nothing is there now.
    WouldBlock,
    /// So many bytes, and they were the last.
    End(usize),
}

/// What became of a transaction that was closed.
#[derive(Debug)]
#[must_use = "a transaction that asks to be restarted must go back to the manager"]
pub enum Closed {
    /// The consumer has the result.
    Finished,
    /// Nobody saw anything of this attempt: it is to be dispatched again.
    Restart(Box<HttpTransaction>),
}

/// One HTTP exchange on the socket thread. Necko's class is `nsHttpTransaction`.
///
/// `Send`, because it is made on an application's thread and moves to the socket thread; only one place
/// owns it at a time. Dropping it unclosed ends the exchange with [`NetError::ShuttingDown`], so a consumer
/// never waits for ever.
pub struct HttpTransaction {
    id: TransactionId,
    /// Where it goes; it keeps this through restarts, on whichever connection they were, except for the
    /// protocol if the server wants another one.
    info: ConnectionInfo,
    class: ClassOfService,
    head: RequestHead,
    body: BodyReader,
    exchange: Arc<Exchange>,
    progress: Progress,
    attempts: u32,
    earlier: Earlier,
    /// What became of it as early data.
    early_data: EarlyData,
    /// It may not be sent as early data (necko's `mDoNotTryEarlyData`).
    not_early: bool,
    segment: Segment,
    limits: TimeLimits,
    /// Kept until the exchange ends; its drop tells whoever watches the time.
    watched: Option<Box<dyn Send>>,
    /// What it is to become when the server says yes, if it asks for a WebTransport session.
    web_transport: Option<Arc<SessionExchange>>,
    /// Who verifies the certificate of a connection that is its own.
    verifier: Option<Arc<dyn CertificateVerifier>>,
}

/// Transactions that are to be dispatched again.
pub type Restarts = Vec<Box<HttpTransaction>>;

/// How far the present attempt got.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// The head was given to an engine that can send.
    sent: bool,
    /// The connection has served other requests before, one after the other.
    reused: bool,
    received: Received,
    interim_heads: u32,
    body_received: u64,
    body_expected: Option<u64>,
    /// The consumer has been told the end.
    finished: bool,
}

/// What arrived of the response's head.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Received {
    #[default]
    Nothing,
    /// Interim heads only; no restart from then on either.
    Interim,
    /// The final head.
    Head,
}

/// What is to become of a transaction that an error ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It goes again.
    Restart,
    /// It would, but for its body.
    BodyIsGone,
    /// The consumer gets the error.
    Deliver,
}

impl HttpTransaction {
    /// Makes an exchange: the half for the socket thread and the half for the application.
    pub fn new(
        id: TransactionId,
        info: ConnectionInfo,
        head: RequestHead,
        body: RequestBody,
    ) -> (Box<Self>, PendingResponse) {
        let exchange = Exchange::new();
        let transaction = Self {
            id,
            info,
            class: ClassOfService::default(),
            head,
            body: BodyReader::new(body, &exchange),
            exchange: Arc::clone(&exchange),
            progress: Progress::default(),
            attempts: 1,
            earlier: Earlier::default(),
            early_data: EarlyData::NotTried,
            not_early: false,
            segment: Segment::default(),
            limits: TimeLimits::default(),
            watched: None,
            web_transport: None,
            verifier: None,
        };
        (Box::new(transaction), PendingResponse::new(exchange))
    }

    /// Its number.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Where it goes.
    pub fn connection_info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Where it stands in the queue for a connection.
    pub fn class_of_service(&self) -> ClassOfService {
        self.class
    }

    /// Says where it is to stand in the queue; to be called before it is submitted.
    pub fn set_class_of_service(&mut self, class: ClassOfService) {
        self.class = class;
    }

    /// Says how long it may take; to be called before it is submitted.
    pub fn set_time_limits(&mut self, limits: TimeLimits) {
        self.limits = limits;
    }

    /// What looks after its limits, if it has some; for the manager, which keeps it.
    pub fn watch(&self) -> Option<Watch> {
        Watch::new(Arc::downgrade(&self.exchange), self.limits)
    }

    /// Takes something into keeping that is dropped when the exchange ends.
    pub fn set_watched(&mut self, until_the_end: Box<dyn Send>) {
        self.watched = Some(until_the_end);
    }

    /// Where those who drive it record when what happened. (Restarts are recorded here.)
    pub fn timings(&self) -> &SharedTimings {
        self.exchange.timings()
    }

    /// Whether it is restarted because a server refused it as not meant for it: it is to go to a fresh
    /// connection of its own origin.
    pub fn was_misdirected(&self) -> bool {
        self.earlier.just_misdirected
    }

    /// What is asked for.
    pub fn request(&self) -> &RequestHead {
        &self.head
    }

    /// Names who is woken when the application wishes something; whoever takes the transaction over
    /// calls this. If a wish was made before, the waker is woken at once.
    pub fn set_owner(&self, waker: Waker) {
        self.exchange.set_owner(Some(waker));
    }

    /// What the application wishes. A new priority is noted in the head as well, for a request that has not
    /// left yet.
    pub fn take_wishes(&mut self) -> Wishes {
        let wishes = self.exchange.take_wishes();
        if let Some(priority) = wishes.priority {
            self.head.priority = priority;
        }
        wishes
    }

    /// Bytes that wait in the pipe for the consumer, and of the request body for the engine.
    pub fn buffered(&self) -> usize {
        self.exchange.buffered() + self.body.buffered()
    }

    /// How many bytes the request's body has, if that was known from the start.
    pub fn body_length(&self) -> Option<u64> {
        self.body.length()
    }

    /// Bytes of the response's body that arrived in this attempt.
    pub fn body_received(&self) -> u64 {
        self.progress.body_received
    }

    /// Whether the consumer has read a good part of the response and leaves little in the pipe: it is worth
    /// a larger window.
    pub fn keeps_up(&self) -> bool {
        self.exchange.keeps_up(self.progress.body_received)
    }

    // WebTransport.

    /// Makes it a request for a WebTransport session; to be called before it is submitted.
    pub fn set_web_transport(&mut self, session: Arc<SessionExchange>) {
        self.web_transport = Some(session);
    }

    /// The server has answered the request for a session: what comes now is not the response's.
    pub fn answered(mut self: Box<Self>) {
        self.finish(Ok(()));
    }

    /// The session that it asks for, if it asks for one.
    pub fn web_transport(&self) -> Option<&Arc<SessionExchange>> {
        self.web_transport.as_ref()
    }

    /// Has the certificate verified by this instead of by what the others are verified by. Only for a key of its
    /// own: everything with that key is verified so.
    pub fn set_verifier(&mut self, verifier: Arc<dyn CertificateVerifier>) {
        self.verifier = Some(verifier);
    }

    /// Who verifies the certificate, if not who verifies all others.
    pub fn verifier(&self) -> Option<&Arc<dyn CertificateVerifier>> {
        self.verifier.as_ref()
    }

    // Early data (0-RTT).

    /// Whether it may be sent before the handshake is complete: whoever records it then can have the server do
    /// it twice, and if the server refuses it has to be sent again from its first byte (necko's `Do0RTT`).
    pub fn may_go_early(&self) -> bool {
        !self.not_early && self.head.method().is_safe() && self.body.is_repeatable()
    }

    /// Keeps it from being sent before the handshake is complete.
    pub fn forbid_early_data(&mut self) {
        self.not_early = true;
    }

    /// What became of it as early data.
    pub fn early_data(&self) -> EarlyData {
        self.early_data
    }

    /// It was sent before the handshake is complete.
    pub fn sent_early(&mut self) {
        self.early_data = EarlyData::Sent;
    }

    /// The server takes what was sent early.
    pub fn early_data_accepted(&mut self) {
        if self.early_data == EarlyData::Sent {
            self.early_data = EarlyData::Accepted;
        }
    }

    /// The server threw away what was sent early: everything begins anew, and nobody notices (necko's
    /// `Finish0RTT`).
    ///
    /// # Errors
    /// Part of a response was delivered already, from a server that can't have read the request.
    pub fn early_data_rejected(&mut self) -> Result<(), NetError> {
        if self.progress.received != Received::Nothing || !self.body.can_rewind() {
            let reason = "the server refused early data that it had answered".into();
            return Err(NetError::NetReset { reason });
        }
        self.early_data = EarlyData::Rejected;
        self.body.rewind();
        self.progress = Progress::default();
        Ok(())
    }

    /// Whether it was tried before: a connection that is made for it had better be like those of old, in case
    /// something new about them was the trouble (necko's `IS_RETRY`).
    pub fn is_retry(&self) -> bool {
        self.attempts > 1
    }

    /// The head was handed to a connection: from now on only a safe request may go again.
    pub fn head_sent(&mut self) {
        self.progress.sent = true;
    }

    /// Says that the connection has served another request before and was idle since (HTTP/1.1): it may have
    /// been closing when this one came, so that one without any answer goes again, whatever its method. To be
    /// called with each activation. A connection that got the first byte of an answer must not end the
    /// transaction with [`NetError::NetReset`] any more.
    pub fn set_reused_connection(&mut self, reused: bool) {
        self.progress.reused = reused;
    }

    /// Gives request body to `send` until it takes no more (necko's `ReadSegments`).
    ///
    /// # Errors
    /// `send`'s own, or the body can't be had: the stream is to be reset and the transaction closed.
    pub fn read_segments(
        &mut self,
        send: impl FnMut(&[u8]) -> Result<usize, NetError>,
    ) -> Result<Sending, NetError> {
        self.exchange.set_body_waits(false);
        let sending = self.body.send(send)?;
        if sending == Sending::Wait {
            self.exchange.set_body_waits(true);
        }
        Ok(sending)
    }

    /// What a worker should read for the request body, if anything; to be asked after each
    /// [`read_segments`](Self::read_segments).
    pub fn take_body_read(&mut self) -> Option<BodyRead> {
        self.body.take_read()
    }

    /// Nobody wants the rest of the request body.
    pub fn discard_body(&mut self) {
        self.body.close(NetError::RequestBody("the server wants no more of it".into()));
    }

    /// Takes a response head. An interim one is noted and dropped.
    ///
    /// # Errors
    /// The head contradicts itself; the stream is to be reset and the transaction closed with this.
    pub fn set_response_head(&mut self, head: ResponseHead) -> Result<(), NetError> {
        if self.progress.received == Received::Head {
            return Err(NetError::MalformedResponse("a head after the final response head".into()));
        }
        if head.is_interim() {
            return self.note_interim_head(head);
        }
        let reused = self.progress.reused;
        if let Some(error) = self.earlier.error_of(&head, &self.head, reused, self.early_data)
            && self.verdict(&error) == Verdict::Restart
        {
            return Err(error);
        }
        self.progress.body_expected =
            head.body_length(self.head.method()).map_err(NetError::MalformedResponse)?;
        self.progress.received = Received::Head;
        self.exchange.deliver_head(head, self.early_data);
        Ok(())
    }

    fn note_interim_head(&mut self, head: ResponseHead) -> Result<(), NetError> {
        self.progress.received = Received::Interim;
        self.progress.interim_heads += 1;
        if self.progress.interim_heads > MAX_INTERIM_HEADS {
            let what = format!("more than {MAX_INTERIM_HEADS} interim heads");
            return Err(NetError::MalformedResponse(what));
        }
        if head.status == EARLY_HINTS {
            self.exchange.deliver_early_hints(head);
        }
        Ok(())
    }

    /// Takes the trailer fields, which come before the end.
    pub fn set_trailers(&mut self, trailers: HeaderMap) {
        self.exchange.deliver_trailers(trailers);
    }

    /// Lets `read` fill a piece of the pipe (necko's `WriteSegments`).
    ///
    /// # Errors
    /// `Ok(Err(PipeFull))` when the consumer is slow; otherwise `read`'s error, or a body that is longer
    /// than its head announced.
    pub fn write_segments(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Result<Writing, NetError>,
    ) -> Result<Result<Writing, PipeFull>, NetError> {
        let space = self.exchange.space();
        if space == 0 {
            return Ok(Err(PipeFull));
        }
        let (written, piece) = self.segment.fill(space, read)?;
        self.deliver(piece)?;
        Ok(Ok(written))
    }

    /// Passes a piece of the body on.
    fn deliver(&mut self, piece: Bytes) -> Result<(), NetError> {
        self.progress.body_received += piece.len() as u64;
        if let Some(expected) = self.progress.body_expected
            && self.progress.body_received > expected
        {
            return Err(NetError::MalformedResponse(format!(
                "more than the {expected} bytes that Content-Length announced"
            )));
        }
        self.exchange.write(piece);
        Ok(())
    }

    /// Ends this attempt. `Ok` says that the peer ended the response in good order.
    ///
    /// An error becomes [`NetError::PartialTransfer`] where part of a response had been delivered, and is
    /// not delivered at all where the request can go again: see [`Closed`].
    pub fn close(mut self: Box<Self>, reason: Result<(), NetError>) -> Closed {
        let end = match reason {
            Ok(()) => self.complete(),
            Err(error) => match self.verdict(&error) {
                Verdict::Restart => {
                    self.restart(&error);
                    return Closed::Restart(self);
                }
                Verdict::BodyIsGone => Err(NetError::BodyNotRewindable(Box::new(error))),
                Verdict::Deliver => Err(self.describe(error)),
            },
        };
        log::debug!(target: "necko::transaction", "{} closed: {end:?}", self.id);
        self.finish(end);
        Closed::Finished
    }

    /// Ends the exchange with `error`, restart or not: for cancellation and shutdown.
    pub fn fail(mut self: Box<Self>, error: NetError) {
        let error = self.describe(error);
        self.finish(Err(error));
    }

    fn finish(&mut self, end: Result<(), NetError>) {
        self.progress.finished = true;
        // Whoever cancels on its behalf need not know why.
        let end = self.exchange.ended_early().map_or(end, Err);
        match &end {
            Ok(()) => self.discard_body(),
            Err(error) => self.body.close(error.clone()),
        }
        self.exchange.set_owner(None);
        self.exchange.finish(end);
        self.watched = None;
    }

    /// The stream ended in good order: was that all?
    fn complete(&self) -> Result<(), NetError> {
        let Progress { received, body_received, body_expected, .. } = self.progress;
        match body_expected {
            _ if received != Received::Head => {
                Err(NetError::MalformedResponse("the stream ended before a response head".into()))
            }
            Some(expected) if body_received < expected => Err(NetError::PartialTransfer {
                received: body_received,
                expected: body_expected,
                reason: "the server ended it early".into(),
            }),
            _ => Ok(()),
        }
    }

    /// An error as the consumer is to see it.
    fn describe(&self, error: NetError) -> NetError {
        let own =
            matches!(error, NetError::PartialTransfer { .. } | NetError::MalformedResponse(_))
                || (error.fault() == Fault::Local && !matches!(error, NetError::Socket { .. }));
        if own || self.progress.received != Received::Head {
            return error;
        }
        NetError::PartialTransfer {
            received: self.progress.body_received,
            expected: self.progress.body_expected,
            reason: error.to_string(),
        }
    }

    /// Whether this attempt left no trace with the consumer and may leave a second one with the server: see
    /// [`restart`](crate::restart).
    fn verdict(&self, error: &NetError) -> Verdict {
        let Progress { sent, reused, received, .. } = self.progress;
        let again = match error.unserved() {
            // A session is bound to its connection (necko: "sticky").
            _ if self.web_transport.is_some() && (sent || error.is_version_fallback()) => false,
            Unserved::Yes if error.is_version_fallback() => self.info.alpn == Alpn::Http3,
            Unserved::Yes => true,
            Unserved::Perhaps => !sent || reused || self.head.method().is_safe(),
            Unserved::No => false,
        };
        if !again || received != Received::Nothing || self.attempts >= MAX_ATTEMPTS {
            Verdict::Deliver
        } else if self.body.can_rewind() {
            Verdict::Restart
        } else {
            Verdict::BodyIsGone
        }
    }

    fn restart(&mut self, error: &NetError) {
        log::debug!(target: "necko::transaction", "{} will be restarted", self.id);
        self.earlier.note(error);
        if *error == NetError::ExpectationFailed {
            self.head.remove(&header::EXPECT);
        }
        self.info.alpn = next_protocol(self.info.alpn, error);
        self.early_data = match error {
            NetError::TooEarly => EarlyData::TooEarly,
            _ => EarlyData::NotTried,
        };
        self.attempts += 1;
        self.not_early = true;
        self.body.rewind();
        self.progress = Progress::default();
        self.exchange.timings().restart();
        self.exchange.set_owner(None);
    }

    /// Whether the response can have no body (its request was a `HEAD`).
    pub fn is_head(&self) -> bool {
        *self.head.method() == Method::HEAD
    }
}

impl Drop for HttpTransaction {
    fn drop(&mut self) {
        if !self.progress.finished {
            self.finish(Err(NetError::ShuttingDown));
        }
    }
}

impl fmt::Debug for HttpTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.id, self.head.method(), self.head.path())
    }
}
