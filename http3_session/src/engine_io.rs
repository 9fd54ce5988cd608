//! The engine as streams may use it.

use std::time::Instant;

use streams::{ActivateError, SessionIo, StreamId, WebTransportEngine, WebTransportIo};
use transaction::{
    ErrorCode, NetError, RequestHead, Writing,
    web_transport::{CloseInfo, StreamKind},
};

use crate::http3_conn::{FetchError, Http3Conn};

/// The engine half, as streams may use it.
pub(crate) struct EngineIo<'e> {
    engine: &'e mut dyn Http3Conn,
    now: Instant,
    /// Bytes of request bodies that it took.
    pub(crate) body_taken: u64,
}

impl<'e> EngineIo<'e> {
    pub(crate) fn new(engine: &'e mut dyn Http3Conn, now: Instant) -> Self {
        Self { engine, now, body_taken: 0 }
    }
}

impl SessionIo for EngineIo<'_> {
    fn try_activate(&mut self, head: &RequestHead) -> Result<StreamId, ActivateError> {
        self.engine.fetch(head, self.now).map_err(not_activated)
    }

    fn send_request_body(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, NetError> {
        // A stream that is gone has its reset among the events: it ends there, with the right error.
        let taken = self.engine.send_data(stream, data).unwrap_or(0);
        self.body_taken = self.body_taken.saturating_add(taken as u64);
        Ok(taken)
    }

    fn close_send(&mut self, stream: StreamId) {
        // Likewise.
        let _ = self.engine.close_send(stream);
    }

    fn read_response_data(
        &mut self,
        stream: StreamId,
        buffer: &mut [u8],
    ) -> Result<Writing, NetError> {
        match self.engine.read_data(stream, buffer, self.now) {
            Ok((count, true)) => Ok(Writing::End(count)),
            Ok((0, false)) | Err(_) => Ok(Writing::WouldBlock),
            Ok((count, false)) => Ok(Writing::Bytes(count)),
        }
    }

    fn cancel_fetch(&mut self, stream: StreamId, code: ErrorCode) {
        self.engine.cancel_fetch(stream, code);
    }
}

impl WebTransportIo for EngineIo<'_> {
    fn create_session(&mut self, head: &RequestHead) -> Result<StreamId, ActivateError> {
        self.engine.create_session(head, self.now).map_err(not_activated)
    }

    fn close_session(&mut self, session: StreamId, info: &CloseInfo) {
        self.engine.close_session(session, info.code, &info.reason);
    }

    fn create_stream(
        &mut self,
        session: StreamId,
        kind: StreamKind,
    ) -> Result<StreamId, ActivateError> {
        self.engine.create_stream(session, kind).map_err(not_activated)
    }

    fn engine(&mut self) -> &mut dyn WebTransportEngine {
        self.engine
    }
}

fn not_activated(error: FetchError) -> ActivateError {
    match error {
        FetchError::StreamLimit => ActivateError::StreamLimit,
        FetchError::NotConnected => ActivateError::NotConnected,
        FetchError::Closing => ActivateError::Failed(NetError::NetReset {
            reason: "it was closing when the request came".into(),
        }),
        FetchError::Rejected(what) => ActivateError::Failed(NetError::InvalidRequest(what)),
    }
}
