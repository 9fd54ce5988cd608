//! What the session asks of an engine for WebTransport.

use bytes::Bytes;
use std::time::Instant;

use streams::{StreamId, WebTransportEngine};
use transaction::{
    ErrorCode, RequestHead, ResponseHead,
    web_transport::{CloseInfo, StreamKind},
};

use crate::http3_conn::FetchError;

/// What the engine reports of WebTransport.
#[derive(Debug, Clone)]
pub enum WebTransportEvent {
    /// The peer's SETTINGS have come: whether it takes sessions.
    Negotiated(bool),
    /// The answer to a request for a session, which is there if it was a success.
    Session {
        /// The request's stream.
        session: StreamId,
        /// The response's head.
        head: ResponseHead,
    },
    /// The peer ended a session, or broke it off.
    SessionClosed {
        /// The request's stream.
        session: StreamId,
        /// What it said, or the code with which the request's stream ended.
        end: Result<CloseInfo, ErrorCode>,
    },
    /// The peer opened a stream in a session, which may not have been answered yet.
    NewStream {
        /// The stream.
        stream: StreamId,
        /// The request's stream.
        session: StreamId,
    },
    /// A datagram came.
    Datagram {
        /// The request's stream.
        session: StreamId,
        /// Its content.
        datagram: Bytes,
    },
}

/// The part of an engine's connection that is for WebTransport, sessions above all. What is said of
/// [`Http3Conn`](crate::Http3Conn) holds here too: socket thread, no panics, and what a call puts on the wire leaves
/// with the next output.
///
/// Streams of a session are read and written as those of requests are; resets have calls of their own, because one
/// direction may end without the other.
pub trait WebTransportConn: WebTransportEngine {
    /// Asks for a session. [`FetchError::NotConnected`] is the answer also until
    /// [`WebTransportEvent::Negotiated`].
    fn create_session(&mut self, head: &RequestHead, now: Instant) -> Result<StreamId, FetchError>;

    /// Ends a session with code and words. Its streams are void. Unknown: no-op.
    fn close_session(&mut self, session: StreamId, code: u32, reason: &str);

    /// Opens a stream in a session that is there.
    fn create_stream(
        &mut self,
        session: StreamId,
        kind: StreamKind,
    ) -> Result<StreamId, FetchError>;
}
