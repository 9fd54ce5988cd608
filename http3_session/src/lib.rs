//! The session: a bridge between a QUIC and HTTP/3 engine and transactions.
//!
//! [`Http3Session`] owns an engine ([`Http3Conn`]) and the streams that run over it. It is driven by its
//! connection through three methods, and no other way leads to the engine:
//!
//! ```text
//!  recv_data ──► slow consumers ─► process_input ─► process_events ─┐
//!                                                                   ▼
//!  send_data ─────────────────────► commands ─► ready_for_write ─► process_output ─► process_events
//!                                                                   ▲
//!  process_output_and_events ───────────────────────────────────────┘      (the engine's timer)
//! ```
//!
//! # The engine-entry rule
//!
//! Necko says: whoever touches the engine must have `RecvData`, `SendData` or `OnQuicTimeoutExpired` on
//! the stack, because only these turn a failure into a close. Here the compiler says it. The engine is a
//! private field:
//!
//! ```compile_fail,E0616
//! fn touch(session: &mut http3_session::Http3Session<()>) {
//!     session.engine.close();
//! }
//! ```
//!
//! the three methods answer an [`Outcome`] that can't be ignored:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! fn drive(session: &mut http3_session::Http3Session<()>, io: &mut socket_transport::SocketIo<'_>) {
//!     session.recv_data(io);
//! }
//! ```
//!
//! and entering twice is borrowing twice (necko's C11, without the counter):
//!
//! ```compile_fail,E0499
//! fn nested(session: &mut http3_session::Http3Session<()>, io: &mut socket_transport::SocketIo<'_>) {
//!     let again = || drop(session.send_data(io));
//!     drop(session.recv_data(io));
//!     again();
//! }
//! ```
//!
//! (The right way compiles:)
//!
//! ```
//! # use http3_session::{CloseCause, Http3Session, Outcome};
//! # use socket_transport::SocketIo;
//! fn drive(session: &mut Http3Session<()>, io: &mut SocketIo<'_>) -> Option<CloseCause> {
//!     match session.recv_data(io) {
//!         Outcome::Open => None,
//!         Outcome::Close(cause) => Some(cause),
//!     }
//! }
//! ```
//!
//! Everything else that an application or the manager wants (cancel, a certificate's verdict, close) is a
//! command that the session keeps until the next `send_data`. Necko lets such calls reach the engine
//! directly and only forbids network progress; this is stricter.

mod bootstrap;
mod close;
mod early;
mod ech;
mod engine_io;
mod events;
mod http3_conn;
mod obscurity;
mod outcome;
pub mod scripted;
mod session;
mod ssl_tokens_cache;
mod stream_table;
mod turn;
mod web_transport;
mod web_transport_conn;

pub use http3_conn::{
    CertificateVerdict, CloseReason, ConnStats, ConnectParameters, EngineOutput, FetchError,
    Http3Conn, Http3ConnFactory, Http3Event, Http3Settings, StreamGone,
};
pub use outcome::{CloseCause, Outcome};
pub use session::{Http3Session, SessionSnapshot, SessionState};
pub use ssl_tokens_cache::{
    PeerId, ResumptionToken, SslTokensCache, TokensFileError, TokensLimits,
};
pub use stream_table::StreamKey;
pub use streams::{DatagramRefused, StreamId, WebTransportEngine};
pub use transaction::{
    CertificateVerifier, Ech, EchConfigList, VerificationError, VerificationRequest,
};
pub use web_transport_conn::{WebTransportConn, WebTransportEvent};
