//! One WebTransport session. Necko's class is `Http3WebTransportSession`.
//!
//! ```text
//!  Waiting ──► Requested ──► Active ──► (the application closed it) ──► Over
//!     │            │            │
//!     │            │ not 2xx    └─ the server closed it, or the connection ended ──► Over
//!     └────────────┴─ error, cancel ──► Over
//! ```
//!
//! `Waiting` is until the server has said in its SETTINGS that it takes sessions. Its streams are the session's of
//! HTTP/3, which opens, finds and ends them; here is what belongs to none of them: the request, datagrams, the end.

use std::{sync::Arc, task::Waker};

use bytes::Bytes;
use transaction::{
    Closed, ErrorCode, HttpTransaction, NetError, ResponseHead,
    web_transport::{
        CloseInfo, DatagramOutcome, SessionExchange, StreamKind, StreamPair, StreamRequest,
    },
};

use crate::{ActivateError, DatagramRefused, Sent, StreamId, WebTransportIo};

/// How many streams of a session that the server has not accepted yet are kept: they may overtake the response.
/// More are refused.
const MAX_EARLY_STREAMS: usize = 16;

/// A session on its way through one HTTP/3 session.
#[derive(Debug)]
pub struct Http3WebTransportSession {
    id: Option<StreamId>,
    state: State,
    exchange: Arc<SessionExchange>,
    early: Vec<(StreamKind, StreamPair)>,
}

#[derive(Debug)]
enum State {
    Waiting(Box<HttpTransaction>),
    Requested(Box<HttpTransaction>),
    Active,
    Over,
}

impl Http3WebTransportSession {
    /// A session that `transaction` asks for.
    ///
    /// # Errors
    /// The transaction, if it asks for none.
    pub fn new(transaction: Box<HttpTransaction>) -> Result<Self, Box<HttpTransaction>> {
        match transaction.web_transport().map(Arc::clone) {
            Some(exchange) => {
                let state = State::Waiting(transaction);
                Ok(Self { id: None, state, exchange, early: Vec::new() })
            }
            None => Err(transaction),
        }
    }

    /// The QUIC stream of its request, once it has one.
    pub fn id(&self) -> Option<StreamId> {
        self.id
    }

    /// Its request, until it is answered.
    pub fn transaction(&self) -> Option<&HttpTransaction> {
        match &self.state {
            State::Waiting(transaction) | State::Requested(transaction) => Some(transaction),
            State::Active | State::Over => None,
        }
    }

    /// Whether the server has accepted it.
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active)
    }

    /// Who is woken when the application wishes something of it.
    pub fn set_owner(&self, waker: &Waker) {
        if let Some(transaction) = self.transaction() {
            transaction.set_owner(waker.clone());
        }
        self.exchange.set_owner(Some(waker.clone()));
    }

    /// Takes what the application wishes; answers whether it gave the request up, or closed what is no session
    /// yet. Everything else is done by [`read_segments`](Self::read_segments).
    pub fn take_wishes(&mut self) -> bool {
        let wishes = self.exchange.take_wishes();
        match &mut self.state {
            State::Waiting(transaction) | State::Requested(transaction) => {
                transaction.take_wishes().cancel || wishes.close
            }
            State::Active | State::Over => false,
        }
    }

    /// Asks for the session; sends datagrams, and the close.
    ///
    /// # Errors
    /// It can't go on and is to be closed with this.
    pub fn read_segments(&mut self, io: &mut impl WebTransportIo) -> Result<Sent, NetError> {
        match (&self.state, self.id) {
            (State::Waiting(transaction), _) => {
                let result = io.create_session(transaction.request());
                self.activated(result)
            }
            (State::Active, Some(id)) => Ok(self.send(id, io)),
            (State::Requested(_) | State::Active, _) => Ok(Sent::All),
            (State::Over, _) => Ok(Sent::Over),
        }
    }

    fn activated(&mut self, result: Result<StreamId, ActivateError>) -> Result<Sent, NetError> {
        match result {
            Ok(id) => {
                self.id = Some(id);
                self.state = match std::mem::replace(&mut self.state, State::Over) {
                    State::Waiting(mut transaction) => {
                        transaction.head_sent();
                        State::Requested(transaction)
                    }
                    state => state,
                };
                Ok(Sent::All)
            }
            Err(ActivateError::StreamLimit) => Ok(Sent::StreamLimit),
            Err(ActivateError::NotConnected) => Ok(Sent::NotConnected),
            Err(ActivateError::Failed(error)) => Err(error),
        }
    }

    fn send(&mut self, id: StreamId, io: &mut impl WebTransportIo) -> Sent {
        if let Some(info) = self.exchange.closing() {
            io.close_session(id, &info);
            self.exchange.finish(Ok(info));
            self.state = State::Over;
            return Sent::Over;
        }
        if !self.exchange.has_datagrams() {
            return Sent::All;
        }
        self.exchange.set_max_datagram_size(io.engine().max_datagram_size(id));
        for _ in 0..io.engine().datagram_room() {
            let Some(datagram) = self.exchange.next_datagram() else { break };
            let outcome = match io.engine().send_datagram(id, &datagram.bytes) {
                Ok(()) => DatagramOutcome::Sent,
                Err(DatagramRefused::TooLarge) => DatagramOutcome::TooLarge,
                Err(DatagramRefused::SessionGone) => DatagramOutcome::SessionClosed,
            };
            self.exchange.datagram_left(datagram, outcome);
        }
        if self.exchange.has_datagrams() { Sent::Blocked } else { Sent::All }
    }

    /// A stream that the application wants.
    pub fn next_request(&self) -> Option<StreamRequest> {
        if self.is_active() { self.exchange.next_request() } else { None }
    }

    /// Takes the response's head; answers whether the session goes on.
    ///
    /// # Errors
    /// The head is malformed; the session is to be closed with this.
    pub fn set_response_head(
        &mut self,
        head: ResponseHead,
        io: &mut impl WebTransportIo,
    ) -> Result<bool, NetError> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let (Some(id), State::Requested(mut transaction)) = (self.id, state) else {
            return Err(NetError::MalformedResponse("a head after the final response head".into()));
        };
        let (interim, success) = (head.is_interim(), head.status.is_success());
        // Whoever sees the head may send at once.
        self.exchange.set_max_datagram_size(io.engine().max_datagram_size(id));
        let taken = transaction.set_response_head(head);
        if interim || taken.is_err() {
            self.state = State::Requested(transaction);
            return taken.map(|()| true);
        }
        if success {
            self.state = State::Active;
            for (kind, pair) in std::mem::take(&mut self.early) {
                self.exchange.deliver_stream(kind, pair);
            }
        }
        transaction.answered();
        Ok(success)
    }

    /// The server opened a stream. One that came before the session was there is kept for it.
    ///
    /// # Errors
    /// Too many came before.
    pub fn deliver_stream(&mut self, kind: StreamKind, pair: StreamPair) -> Result<(), ErrorCode> {
        match self.state {
            State::Active => self.exchange.deliver_stream(kind, pair),
            State::Requested(_) if self.early.len() < MAX_EARLY_STREAMS => {
                self.early.push((kind, pair));
            }
            _ => return Err(ErrorCode::BUFFERED_STREAM_REJECTED),
        }
        Ok(())
    }

    /// A datagram came.
    pub fn deliver_datagram(&self, datagram: Bytes) {
        if self.is_active() {
            self.exchange.deliver_datagram(datagram);
        }
    }

    /// The server wants to see it end.
    pub fn drain(&self) {
        self.exchange.drain();
    }

    /// Streams and datagrams that wait for the application or the engine.
    pub fn buffered(&self) -> usize {
        self.exchange.buffered() + self.early.len()
    }

    /// What it ended with.
    pub fn end(&self) -> NetError {
        self.exchange.error()
    }

    /// Gives up in the engine what is open of it.
    pub fn cancel(&self, io: &mut impl WebTransportIo) {
        let open = !matches!(self.state, State::Over);
        if let Some(id) = self.id.filter(|_| open) {
            io.engine().reset_stream(id, ErrorCode::REQUEST_CANCELLED);
            io.engine().stop_sending(id, ErrorCode::REQUEST_CANCELLED);
        }
    }

    /// Ends it. A request that was not answered gets an error, and may go again if nothing of it has left.
    pub fn close(self, end: Result<CloseInfo, NetError>) -> Closed {
        match self.state {
            State::Waiting(transaction) | State::Requested(transaction) => {
                let error = end.map_or_else(|error| error, CloseInfo::into_error);
                let closed = transaction.close(Err(error.clone()));
                if let Closed::Finished = closed {
                    self.exchange.finish(Err(error));
                }
                closed
            }
            State::Active | State::Over => {
                self.exchange.finish(end);
                Closed::Finished
            }
        }
    }

    /// Ends it with `error`, which is the application's or the handler's own.
    pub fn abort(self, error: NetError) {
        if let State::Waiting(transaction) | State::Requested(transaction) = self.state {
            transaction.fail(error.clone());
        }
        self.exchange.finish(Err(error));
    }
}
