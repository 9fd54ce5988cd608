//! One request on one stream. Necko's class is `Http3Stream`.
//!
//! Two machines, one for each direction:
//!
//! ```text
//! sending    WaitingToActivate ──► SendingBody ──► Done
//!                                    ↺  │           ▲
//!      blocked, or the body has nothing │           │
//!                    STOP_SENDING(0x100)└► EarlyResponse
//!
//! receiving  BeforeHeaders ──► ReadingData ──► Done
//!              ▲      │ 1xx         │ reset, error, cancel
//!              └──────┘             └──► the session closes the stream
//! ```

use std::task::Waker;

use http::HeaderMap;
use socket_transport::walk::{Step, step};
use transaction::{
    BodyRead, Closed, ErrorCode, HttpTransaction, NetError, PipeFull, ResponseHead, Sending,
    Wishes, Writing,
};

use crate::session_io::{ActivateError, SessionIo, StreamId};

/// A request and its response, on their way through one session.
#[derive(Debug)]
pub struct Http3Stream {
    transaction: Box<HttpTransaction>,
    send: SendState,
    receive: ReceiveState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendState {
    WaitingToActivate,
    SendingBody(StreamId),
    /// The peer wants no more of the body, but answers.
    EarlyResponse(StreamId),
    Done(StreamId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReceiveState {
    BeforeHeaders,
    ReadingData,
    Done,
}

/// How far `read_segments` came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The request is out.
    All,
    /// Flow control: the engine will tell when to go on.
    Blocked,
    /// The application or a worker is slow with the body: the owner will be woken when there is more.
    WaitsForBody,
    /// No stream yet: to be queued until the peer allows one.
    StreamLimit,
    /// No stream yet: to be tried again when the connection is made.
    NotConnected,
    /// There is more to do, which has to wait until what the engine was given has left.
    Again,
    /// It has ended in good order, and is to be taken away.
    Over,
}

/// How far `write_segments` came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// The engine has nothing more for now, and will tell when it has.
    WouldBlock,
    /// The consumer is slow; the bytes stay in the engine, whose flow control holds the sender back.
    PipeFull,
    /// The response has ended.
    End,
}

impl Http3Stream {
    /// A stream for `transaction`, which has no id yet.
    pub fn new(transaction: Box<HttpTransaction>) -> Self {
        Self {
            transaction,
            send: SendState::WaitingToActivate,
            receive: ReceiveState::BeforeHeaders,
        }
    }

    /// Its QUIC stream, once it has one.
    pub fn id(&self) -> Option<StreamId> {
        match self.send {
            SendState::WaitingToActivate => None,
            SendState::SendingBody(id) | SendState::EarlyResponse(id) | SendState::Done(id) => {
                Some(id)
            }
        }
    }

    /// Whether its response's head has come.
    pub fn has_head(&self) -> bool {
        self.receive != ReceiveState::BeforeHeaders
    }

    /// Who is woken when the application wishes something of this request.
    pub fn set_owner(&self, waker: Waker) {
        self.transaction.set_owner(waker);
    }

    /// What the application wishes.
    pub fn take_wishes(&mut self) -> Wishes {
        self.transaction.take_wishes()
    }

    /// What a worker should read for the request body, if anything.
    pub fn take_body_read(&mut self) -> Option<BodyRead> {
        self.transaction.take_body_read()
    }

    /// The transaction, to be looked at.
    pub fn transaction(&self) -> &HttpTransaction {
        &self.transaction
    }

    /// Sends the head and as much of the body as the engine takes.
    ///
    /// # Errors
    /// The stream can't go on and is to be closed with this.
    pub fn read_segments(&mut self, io: &mut impl SessionIo) -> Result<Sent, NetError> {
        step(Step::ReadSegments);
        if self.send == SendState::WaitingToActivate
            && let Some(waiting) = self.activate(io)?
        {
            return Ok(waiting);
        }
        match self.send {
            SendState::SendingBody(id) => {
                match self.transaction.read_segments(|data| io.send_request_body(id, data))? {
                    Sending::Blocked => return Ok(Sent::Blocked),
                    Sending::Wait => return Ok(Sent::WaitsForBody),
                    Sending::End => {}
                }
                io.close_send(id);
                self.send = SendState::Done(id);
            }
            SendState::EarlyResponse(id) => {
                io.close_send(id);
                self.send = SendState::Done(id);
            }
            SendState::WaitingToActivate | SendState::Done(_) => {}
        }
        Ok(Sent::All)
    }

    fn activate(&mut self, io: &mut impl SessionIo) -> Result<Option<Sent>, NetError> {
        match io.try_activate(self.transaction.request()) {
            Ok(id) => {
                self.transaction.head_sent();
                self.send = SendState::SendingBody(id);
                Ok(None)
            }
            Err(ActivateError::StreamLimit) => Ok(Some(Sent::StreamLimit)),
            Err(ActivateError::NotConnected) => Ok(Some(Sent::NotConnected)),
            Err(ActivateError::Failed(error)) => Err(error),
        }
    }

    /// The connection threw away what was sent as early data, and this stream's id with it: it begins anew
    /// (necko's `Finish0RTT`).
    ///
    /// # Errors
    /// It can't; the stream is to be closed with this.
    pub fn early_data_rejected(&mut self) -> Result<(), NetError> {
        self.send = SendState::WaitingToActivate;
        self.receive = ReceiveState::BeforeHeaders;
        self.transaction.early_data_rejected()
    }

    /// The server takes what was sent as early data.
    pub fn early_data_accepted(&mut self) {
        self.transaction.early_data_accepted();
    }

    /// Its head was sent as early data.
    pub fn sent_early(&mut self) {
        self.transaction.sent_early();
    }

    /// The peer wants no more of the request and answers all the same (`STOP_SENDING` with
    /// `H3_NO_ERROR`, RFC 9114 §4.1). The rest of the body is dropped.
    pub fn stop_sending(&mut self) {
        if let SendState::SendingBody(id) = self.send {
            self.transaction.discard_body();
            self.send = SendState::EarlyResponse(id);
        }
    }

    /// Takes a response head; `fin` says that nothing follows.
    ///
    /// # Errors
    /// The head is malformed; the stream is to be closed with this.
    pub fn set_response_head(&mut self, head: ResponseHead, fin: bool) -> Result<(), NetError> {
        let interim = head.is_interim();
        self.transaction.set_response_head(head)?;
        self.receive = match (interim, fin) {
            (_, true) => ReceiveState::Done,
            (true, false) => self.receive,
            (false, false) => ReceiveState::ReadingData,
        };
        Ok(())
    }

    /// Takes the trailer fields.
    pub fn set_trailers(&mut self, trailers: HeaderMap) {
        self.transaction.set_trailers(trailers);
    }

    /// Moves response bytes from the engine into the pipe, until one of them has no more.
    ///
    /// # Errors
    /// The stream can't go on and is to be closed with this.
    pub fn write_segments(&mut self, io: &mut impl SessionIo) -> Result<Received, NetError> {
        step(Step::WriteSegments);
        let Some(id) = self.id() else { return Ok(Received::WouldBlock) };
        loop {
            match self.receive {
                ReceiveState::Done => return Ok(Received::End),
                // The engine reports a head as an event; there is nothing to read before it.
                ReceiveState::BeforeHeaders => return Ok(Received::WouldBlock),
                ReceiveState::ReadingData => {}
            }
            let read = |buffer: &mut [u8]| io.read_response_data(id, buffer);
            match self.transaction.write_segments(read)? {
                Err(PipeFull) => return Ok(Received::PipeFull),
                Ok(Writing::Bytes(_)) => {}
                Ok(Writing::WouldBlock) => return Ok(Received::WouldBlock),
                Ok(Writing::End(_)) => self.receive = ReceiveState::Done,
            }
        }
    }

    /// Ends the stream: what is still open of it is cancelled in the engine, and the transaction gets the
    /// result.
    pub fn close(self, io: &mut impl SessionIo, result: Result<(), NetError>) -> Closed {
        self.cancel_what_is_open(io, &result);
        self.transaction.close(result)
    }

    /// Ends the stream and the exchange with `error`, which is the application's or the handler's own.
    pub fn abort(self, io: &mut impl SessionIo, error: NetError) {
        self.cancel_what_is_open(io, &Err(error.clone()));
        self.transaction.fail(error);
    }

    fn cancel_what_is_open(&self, io: &mut impl SessionIo, result: &Result<(), NetError>) {
        let sent = matches!(self.send, SendState::Done(_) | SendState::WaitingToActivate);
        if (!sent || self.receive != ReceiveState::Done)
            && let Some(id) = self.id()
        {
            let code = match result {
                Err(NetError::MalformedResponse(_)) => ErrorCode::MESSAGE_ERROR,
                _ => ErrorCode::REQUEST_CANCELLED,
            };
            io.cancel_fetch(id, code);
        }
    }

    /// Ends the transaction of a stream whose connection is gone: there is nothing left to cancel.
    pub fn close_without_engine(self, result: Result<(), NetError>) -> Closed {
        self.transaction.close(result)
    }

    /// As [`abort`](Self::abort), when the connection is gone.
    pub fn abort_without_engine(self, error: NetError) {
        self.transaction.fail(error);
    }
}

#[cfg(test)]
mod tests;
