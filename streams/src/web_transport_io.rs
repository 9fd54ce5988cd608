//! What WebTransport asks of the session's engine, beside what all streams do.

use transaction::{
    ErrorCode, RequestHead,
    web_transport::{CloseInfo, StreamKind, StreamStats},
};

use crate::{ActivateError, SessionIo, StreamId};

/// Why the engine didn't take a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatagramRefused {
    /// It fits into no packet.
    TooLarge,
    /// Its session is not there any more.
    SessionGone,
}

/// The session's engine as sessions and streams of WebTransport may use it.
pub trait WebTransportIo: SessionIo {
    /// Asks the server for a session. Not before [`ActivateError::NotConnected`] is over, which is here also when
    /// the server has not said yet whether it takes any.
    fn create_session(&mut self, head: &RequestHead) -> Result<StreamId, ActivateError>;

    /// Tells the server that the session is closed, and why. Its streams are void. Unknown: no-op.
    fn close_session(&mut self, session: StreamId, info: &CloseInfo);

    /// Opens a stream in a session.
    fn create_stream(
        &mut self,
        session: StreamId,
        kind: StreamKind,
    ) -> Result<StreamId, ActivateError>;

    /// The engine itself, for what needs nothing of the session.
    fn engine(&mut self) -> &mut dyn WebTransportEngine;
}

/// What an engine does with streams and datagrams of WebTransport. A session's engine and its streams' are the same.
pub trait WebTransportEngine {
    /// Gives up what is sent (`RESET_STREAM`). An ended or unknown stream: no-op.
    fn reset_stream(&mut self, stream: StreamId, code: ErrorCode);

    /// Wants no more of what comes (`STOP_SENDING`). An ended or unknown stream: no-op.
    fn stop_sending(&mut self, stream: StreamId, code: ErrorCode);

    /// Says where a stream stands among the others. An ended or unknown stream: no-op.
    fn set_send_order(&mut self, stream: StreamId, order: Option<i64>);

    /// A stream's figures.
    fn stream_stats(&mut self, stream: StreamId) -> StreamStats;

    /// How long a datagram may be at present.
    fn max_datagram_size(&self, session: StreamId) -> usize;

    /// How many datagrams can be given to the engine before one has to be dropped.
    fn datagram_room(&self) -> usize;

    /// Sends a datagram.
    fn send_datagram(&mut self, session: StreamId, datagram: &[u8]) -> Result<(), DatagramRefused>;
}
