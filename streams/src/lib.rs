//! The streams of a session: each maps one transaction onto one QUIC stream.
//!
//! A stream never sees the engine. It talks to [`SessionIo`], which the session implements on its
//! engine half, so a test can play every state with a fake of ten lines and no cryptography.

mod http3_stream;
mod session_io;

pub use http3_stream::{Http3Stream, Received, Sent};
pub use session_io::{ActivateError, SessionIo, StreamId};
