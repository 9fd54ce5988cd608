//! What a stream may ask of its session.

use std::fmt;

use transaction::{ErrorCode, NetError, RequestHead, Writing};

/// The number of a QUIC stream (RFC 9000 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// Names stream `id`.
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Whether both sides may send on it.
    pub const fn is_bidirectional(self) -> bool {
        self.0 & 2 == 0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why a request got no stream id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivateError {
    /// The peer allows no more streams for now: the session queues the stream until it does.
    StreamLimit,
    /// The connection isn't ready: the session brings the stream back when it is.
    NotConnected,
    /// It will never get one here.
    Failed(NetError),
}

/// The session's engine as a stream may use it. All calls come from within one of the session's three
/// entry methods, so what they put into the engine leaves with the output of the same turn.
pub trait SessionIo {
    /// Opens a QUIC stream and sends the request head (necko's `TryActivating`).
    fn try_activate(&mut self, head: &RequestHead) -> Result<StreamId, ActivateError>;

    /// Sends body bytes; answers how many were taken. Fewer than given: blocked, and the session will
    /// bring the stream back when there is room for more than a byte or two.
    fn send_request_body(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, NetError>;

    /// Ends the request. An ended or unknown stream: no-op.
    fn close_send(&mut self, stream: StreamId);

    /// Reads response body.
    fn read_response_data(
        &mut self,
        stream: StreamId,
        buffer: &mut [u8],
    ) -> Result<Writing, NetError>;

    /// Gives the stream up in both directions. An ended or unknown stream: no-op.
    fn cancel_fetch(&mut self, stream: StreamId, code: ErrorCode);
}
