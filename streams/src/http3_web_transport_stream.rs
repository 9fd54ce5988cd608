//! One stream of a WebTransport session. Necko's class is `Http3WebTransportStream`.
//!
//! Two machines, one for each direction; a unidirectional stream has one of them. Neither ends the other. One
//! that the application gives up before it was opened is not opened.
//!
//! ```text
//! sending    WaitingToActivate ──► Sending ──► Done
//!                                   ↺  │ ▲      ▲
//!     blocked, or nothing is written ──┘ │      │ STOP_SENDING
//!                       given up ──► Resetting ─┘
//!
//! receiving  Reading ──► Done
//!               │ RESET_STREAM, or nobody wants more
//!               └─────────►
//! ```

use std::task::Waker;

use transaction::{
    ErrorCode, NetError, PipeFull, Sending, Wishes, Writing,
    web_transport::{SendOrder, StreamHalf, StreamKind, StreamPair, StreamRequest, to_http3},
};

use crate::{ActivateError, Received, Sent, StreamId, WebTransportIo};

/// A stream on its way through one HTTP/3 session.
#[derive(Debug)]
pub struct Http3WebTransportStream {
    session: StreamId,
    kind: StreamKind,
    half: StreamHalf,
    id: Option<StreamId>,
    send: SendState,
    receive: ReceiveState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendState {
    WaitingToActivate,
    Sending,
    /// What could leave is with the engine, and leaves before the reset does.
    Resetting(u32),
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReceiveState {
    Reading,
    Done,
}

impl Http3WebTransportStream {
    /// A stream that the application wants in a session.
    pub fn outgoing(session: StreamId, request: StreamRequest) -> Self {
        let StreamRequest { kind, half } = request;
        let receive = match kind {
            StreamKind::Bidirectional => ReceiveState::Reading,
            StreamKind::Unidirectional => ReceiveState::Done,
        };
        let send = SendState::WaitingToActivate;
        Self { session, kind, half, id: None, send, receive }
    }

    /// A stream that the server opened, and what the application gets of it.
    pub fn incoming(session: StreamId, id: StreamId) -> (Self, StreamKind, StreamPair) {
        let kind = if id.is_bidirectional() {
            StreamKind::Bidirectional
        } else {
            StreamKind::Unidirectional
        };
        let send = match kind {
            StreamKind::Bidirectional => SendState::Sending,
            StreamKind::Unidirectional => SendState::Done,
        };
        let (half, pair) = StreamHalf::incoming(kind);
        let receive = ReceiveState::Reading;
        (Self { session, kind, half, id: Some(id), send, receive }, kind, pair)
    }

    /// Its QUIC stream, once it has one.
    pub fn id(&self) -> Option<StreamId> {
        self.id
    }

    /// Which ways it goes.
    pub fn kind(&self) -> StreamKind {
        self.kind
    }

    /// The session that it belongs to, by the stream of its request.
    pub fn session(&self) -> StreamId {
        self.session
    }

    /// Whether nothing of it is left to do.
    pub fn is_done(&self) -> bool {
        self.send == SendState::Done && self.receive == ReceiveState::Done
    }

    /// Whether something may still come on it.
    pub fn is_receiving(&self) -> bool {
        self.receive == ReceiveState::Reading
    }

    /// Bytes that wait in its pipes.
    pub fn buffered(&self) -> usize {
        self.half.buffered()
    }

    /// Bytes that were read from the engine.
    pub fn bytes_read(&self) -> u64 {
        self.half.bytes_read()
    }

    /// Whether its application keeps up.
    pub fn keeps_up(&self) -> bool {
        self.half.keeps_up()
    }

    /// Who is woken when the application wishes something of it.
    pub fn set_owner(&self, waker: Waker) {
        self.half.set_owner(waker);
    }

    /// What the application wishes.
    pub fn take_wishes(&self) -> Wishes {
        self.half.take_wishes()
    }

    /// Opens the stream, and gives the engine what the application wrote.
    ///
    /// # Errors
    /// It never will be opened; to be closed with this.
    pub fn read_segments(&mut self, io: &mut impl WebTransportIo) -> Result<Sent, NetError> {
        if self.send == SendState::WaitingToActivate
            && let Some(waiting) = self.activate(io)?
        {
            return Ok(waiting);
        }
        let Some(id) = self.id else { return Ok(Sent::All) };
        match self.send {
            SendState::Sending => Ok(self.send(id, io)),
            SendState::Resetting(code) => {
                io.engine().reset_stream(id, to_http3(code));
                self.end_sending(NetError::StreamReset { code });
                Ok(Sent::All)
            }
            SendState::WaitingToActivate | SendState::Done => Ok(Sent::All),
        }
    }

    fn activate(&mut self, io: &mut impl WebTransportIo) -> Result<Option<Sent>, NetError> {
        if self.half.is_unwanted() {
            // The server need not hear of it.
            (self.send, self.receive) = (SendState::Done, ReceiveState::Done);
            return Ok(Some(Sent::All));
        }
        match io.create_stream(self.session, self.kind) {
            Ok(id) => {
                self.id = Some(id);
                self.send = SendState::Sending;
                self.half.opened();
                Ok(None)
            }
            Err(ActivateError::StreamLimit) => Ok(Some(Sent::StreamLimit)),
            Err(ActivateError::NotConnected) => Ok(Some(Sent::NotConnected)),
            Err(ActivateError::Failed(error)) => Err(error),
        }
    }

    fn send(&mut self, id: StreamId, io: &mut impl WebTransportIo) -> Sent {
        match self.half.read_segments(|data| io.send_request_body(id, data)) {
            Ok(Sending::Blocked) => Sent::Blocked,
            Ok(Sending::Wait) => Sent::WaitsForBody,
            Ok(Sending::End) => {
                io.close_send(id);
                self.end_sending(NetError::Internal("the stream was finished"));
                Sent::All
            }
            Err(NetError::StreamReset { code }) => {
                self.send = SendState::Resetting(code);
                Sent::Again
            }
            Err(_) => {
                self.send = SendState::Resetting(0);
                Sent::Again
            }
        }
    }

    fn end_sending(&mut self, why: NetError) {
        self.send = SendState::Done;
        self.half.end_sending(why);
    }

    /// Moves bytes from the engine into the pipe, until one of them has no more.
    ///
    /// # Errors
    /// None so far.
    pub fn write_segments(&mut self, io: &mut impl WebTransportIo) -> Result<Received, NetError> {
        let Some(id) = self.id else { return Ok(Received::WouldBlock) };
        loop {
            if self.receive == ReceiveState::Done {
                return Ok(Received::End);
            }
            let read = |buffer: &mut [u8]| io.read_response_data(id, buffer);
            match self.half.write_segments(read)? {
                Err(PipeFull) => return Ok(Received::PipeFull),
                Ok(Writing::Bytes(_)) => {}
                Ok(Writing::WouldBlock) => return Ok(Received::WouldBlock),
                Ok(Writing::End(_)) => self.end_receiving(Ok(())),
            }
        }
    }

    fn end_receiving(&mut self, end: Result<(), NetError>) {
        self.receive = ReceiveState::Done;
        self.half.end_receiving(end);
    }

    /// The server gave up what it was sending.
    pub fn reset_received(&mut self, code: ErrorCode) {
        let code = transaction::web_transport::from_http3(code);
        self.end_receiving(Err(NetError::StreamReset { code }));
    }

    /// The server wants no more of what it is sent. (The engine has answered it.)
    pub fn stop_sending_received(&mut self, code: ErrorCode) {
        let code = transaction::web_transport::from_http3(code);
        self.end_sending(NetError::StreamStopped { code });
    }

    /// The application wants no more of what comes.
    pub fn stop_receiving(&mut self, io: &mut impl WebTransportIo) {
        if self.receive == ReceiveState::Done {
            return;
        }
        if let Some(id) = self.id {
            io.engine().stop_sending(id, to_http3(self.half.stop_code()));
        }
        self.end_receiving(Err(NetError::Aborted));
    }

    /// What the application wants to know of it, and its place among the others.
    pub fn serve(&mut self, io: &mut impl WebTransportIo) {
        let Some(id) = self.id else { return };
        if let Some(SendOrder(order)) = self.half.take_send_order() {
            io.engine().set_send_order(id, order);
        }
        if self.half.wants_stats() {
            self.half.give_stats(io.engine().stream_stats(id));
        }
    }

    /// Ends what is open of it in the engine.
    pub fn cancel(&self, io: &mut impl WebTransportIo, code: ErrorCode) {
        let Some(id) = self.id else { return };
        if self.send != SendState::Done {
            io.engine().reset_stream(id, code);
        }
        if self.receive != ReceiveState::Done {
            io.engine().stop_sending(id, code);
        }
    }

    /// Ends it for the application.
    pub fn close(mut self, why: &NetError) {
        self.half.end(why);
    }
}
