//! The streams of a session: each maps one transaction onto one QUIC stream.
//!
//! A stream never sees the engine. It talks to [`SessionIo`], which the session implements on its
//! engine half, so a test can play every state with a fake of ten lines and no cryptography.

mod http3_stream;
mod http3_web_transport_session;
mod http3_web_transport_stream;
mod session_io;
mod stream;
mod web_transport_io;

pub use http3_stream::{Http3Stream, Received, Sent};
pub use http3_web_transport_session::Http3WebTransportSession;
pub use http3_web_transport_stream::Http3WebTransportStream;
pub use session_io::{ActivateError, SessionIo, StreamId};
pub use stream::Http3StreamBase;
pub use web_transport_io::{DatagramRefused, WebTransportEngine, WebTransportIo};
