//! The scripted engine's part for WebTransport.

use std::time::Instant;

use streams::{DatagramRefused, StreamId, WebTransportEngine};
use transaction::{
    ErrorCode, RequestHead,
    web_transport::{StreamKind, StreamStats},
};

use super::{Call, Script, ScriptedConn};
use crate::{
    http3_conn::{FetchError, Http3Event},
    web_transport_conn::{WebTransportConn, WebTransportEvent},
};

/// What a scripted engine is told about WebTransport.
#[derive(Debug)]
pub(super) struct State {
    negotiated: bool,
    /// How many streams of the kind on which the peer receives alone it allows.
    unidirectional_allowed: u64,
    unidirectional: u64,
    max_datagram_size: usize,
    room: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            negotiated: false,
            unidirectional_allowed: u64::MAX,
            unidirectional: 0,
            max_datagram_size: 1200,
            room: usize::MAX,
        }
    }
}

impl Script {
    /// Has the engine report what the peer's SETTINGS say of WebTransport.
    pub fn negotiated(&self, enabled: bool) {
        self.0.borrow_mut().web_transport.negotiated = enabled;
        self.event(Http3Event::WebTransport(WebTransportEvent::Negotiated(enabled)));
    }

    /// Lets the peer allow so many streams in all on which it receives alone.
    pub fn allow_unidirectional(&self, streams: u64) {
        self.0.borrow_mut().web_transport.unidirectional_allowed = streams;
    }

    /// What a datagram may have, in bytes, and how many more the engine takes.
    pub fn datagrams(&self, max_size: usize, room: usize) {
        let state = &mut self.0.borrow_mut().web_transport;
        (state.max_datagram_size, state.room) = (max_size, room);
    }
}

impl WebTransportConn for ScriptedConn {
    fn create_session(
        &mut self,
        head: &RequestHead,
        _now: Instant,
    ) -> Result<StreamId, FetchError> {
        let mut state = self.0.borrow_mut();
        if !state.connected || !state.web_transport.negotiated {
            return Err(FetchError::NotConnected);
        }
        let session = state.open_stream()?;
        state.calls.push(Call::CreateSession { path: head.path().to_owned(), session });
        Ok(session)
    }

    fn close_session(&mut self, session: StreamId, code: u32, reason: &str) {
        let reason = reason.to_owned();
        self.0.borrow_mut().calls.push(Call::CloseSession { session, code, reason });
    }

    fn create_stream(
        &mut self,
        session: StreamId,
        kind: StreamKind,
    ) -> Result<StreamId, FetchError> {
        let mut state = self.0.borrow_mut();
        let stream = match kind {
            StreamKind::Bidirectional => state.open_stream()?,
            StreamKind::Unidirectional => {
                let state = &mut state.web_transport;
                if state.unidirectional >= state.unidirectional_allowed {
                    return Err(FetchError::StreamLimit);
                }
                state.unidirectional += 1;
                StreamId::new(state.unidirectional * 4 + 2)
            }
        };
        state.calls.push(Call::CreateStream { session, stream });
        Ok(stream)
    }
}

impl WebTransportEngine for ScriptedConn {
    fn reset_stream(&mut self, stream: StreamId, code: ErrorCode) {
        self.0.borrow_mut().calls.push(Call::ResetStream(stream, code));
    }

    fn stop_sending(&mut self, stream: StreamId, code: ErrorCode) {
        self.0.borrow_mut().calls.push(Call::StopSending(stream, code));
    }

    fn set_send_order(&mut self, stream: StreamId, order: Option<i64>) {
        self.0.borrow_mut().calls.push(Call::SetSendOrder(stream, order));
    }

    fn stream_stats(&mut self, _stream: StreamId) -> StreamStats {
        StreamStats { bytes_written: 1, ..StreamStats::default() }
    }

    fn max_datagram_size(&self, _session: StreamId) -> usize {
        self.0.borrow().web_transport.max_datagram_size
    }

    fn datagram_room(&self) -> usize {
        self.0.borrow().web_transport.room
    }

    fn send_datagram(&mut self, session: StreamId, datagram: &[u8]) -> Result<(), DatagramRefused> {
        let mut state = self.0.borrow_mut();
        if datagram.len() > state.web_transport.max_datagram_size {
            return Err(DatagramRefused::TooLarge);
        }
        state.web_transport.room = state.web_transport.room.saturating_sub(1);
        let datagram = datagram.to_vec();
        state.calls.push(Call::SendDatagram { session, datagram });
        Ok(())
    }
}
