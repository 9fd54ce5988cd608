//! What a session has streams of. Necko's class is `Http3StreamBase`.

use transaction::{BodyRead, HttpTransaction, NetError};

use crate::{
    Http3Stream, Http3WebTransportSession, Http3WebTransportStream, Received, Sent, StreamId,
    WebTransportIo,
};

/// One of the three kinds of streams that a session has.
#[derive(Debug)]
pub enum Http3StreamBase {
    /// A request and its response.
    Http(Http3Stream),
    /// A WebTransport session.
    Session(Http3WebTransportSession),
    /// A stream of a WebTransport session.
    WebTransport(Http3WebTransportStream),
}

impl Http3StreamBase {
    /// What `transaction` asks for.
    pub fn new(transaction: Box<HttpTransaction>) -> Self {
        match Http3WebTransportSession::new(transaction) {
            Ok(session) => Self::Session(session),
            Err(transaction) => Self::Http(Http3Stream::new(transaction)),
        }
    }

    /// Its QUIC stream, once it has one.
    pub fn id(&self) -> Option<StreamId> {
        match self {
            Self::Http(stream) => stream.id(),
            Self::Session(session) => session.id(),
            Self::WebTransport(stream) => stream.id(),
        }
    }

    /// The request that it carries, if it does.
    pub fn transaction(&self) -> Option<&HttpTransaction> {
        match self {
            Self::Http(stream) => Some(stream.transaction()),
            Self::Session(session) => session.transaction(),
            Self::WebTransport(_) => None,
        }
    }

    /// Whether content may come on it: its window is the large one.
    pub fn has_head(&self) -> bool {
        match self {
            Self::Http(stream) => stream.has_head(),
            Self::Session(_) => false,
            Self::WebTransport(stream) => stream.is_receiving(),
        }
    }

    /// Gives the engine what there is to send.
    ///
    /// # Errors
    /// It can't go on and is to be closed with this.
    pub fn read_segments(&mut self, io: &mut impl WebTransportIo) -> Result<Sent, NetError> {
        match self {
            Self::Http(stream) => stream.read_segments(io),
            Self::Session(session) => session.read_segments(io),
            Self::WebTransport(stream) => stream.read_segments(io),
        }
    }

    /// Moves what came from the engine to the consumer.
    ///
    /// # Errors
    /// It can't go on and is to be closed with this.
    pub fn write_segments(&mut self, io: &mut impl WebTransportIo) -> Result<Received, NetError> {
        match self {
            Self::Http(stream) => stream.write_segments(io),
            // What comes for it comes as events.
            Self::Session(_) => Ok(Received::WouldBlock),
            Self::WebTransport(stream) => stream.write_segments(io),
        }
    }

    /// What a worker should read for it, if anything.
    pub fn take_body_read(&mut self) -> Option<BodyRead> {
        match self {
            Self::Http(stream) => stream.take_body_read(),
            Self::Session(_) | Self::WebTransport(_) => None,
        }
    }

    /// Bytes of content that were read from the engine.
    pub fn bytes_read(&self) -> u64 {
        match self {
            Self::Http(stream) => stream.transaction().body_received(),
            Self::Session(_) => 0,
            Self::WebTransport(stream) => stream.bytes_read(),
        }
    }

    /// Whether its consumer keeps up.
    pub fn keeps_up(&self) -> bool {
        match self {
            Self::Http(stream) => stream.transaction().keeps_up(),
            Self::Session(_) => false,
            Self::WebTransport(stream) => stream.keeps_up(),
        }
    }

    /// What waits in its pipes: bytes, of a session streams and datagrams.
    pub fn buffered(&self) -> usize {
        match self {
            Self::Http(stream) => stream.transaction().buffered(),
            Self::Session(session) => session.buffered(),
            Self::WebTransport(stream) => stream.buffered(),
        }
    }
}
