//! WebTransport (draft-ietf-webtrans-http3): sessions and their streams, between application and socket thread.
//!
//! ```text
//!   application threads                           socket thread
//!   -------------------                           -------------
//!   PendingSession ── head ◄──────── HttpTransaction (CONNECT) ◄─┐
//!   WebTransportSession ◄───────── SessionExchange ◄──────────── Http3WebTransportSession
//!     │    streams, datagrams,        │
//!     └─── wishes: open, send,  ─────►┘
//!          close
//!   SendStream ── pipe (96 KiB) ──► StreamHalf ───────────────── Http3WebTransportStream
//!   RecvStream ◄─ pipe (96 KiB) ────┘
//! ```
//!
//! A session begins as the [transaction](crate::HttpTransaction) that asks for it, which takes the way of all
//! others through queue and connection. When the server says yes, the transaction ends, and the
//! [`SessionExchange`] is what is left between the two sides.
//!
//! Necko's classes are `WebTransportSessionProxy` and `WebTransportStreamProxy`; where they pass events from
//! thread to thread, here both sides look at the same state.

mod code;
mod datagrams;
mod opening;
mod session;
mod session_exchange;
mod stream;
mod stream_half;
mod stream_stats;
mod waiters;

pub use code::{from_http3, to_http3};
pub use datagrams::{DatagramOutcome, PendingOutcome};
pub use opening::{PendingStream, StreamPair, StreamRequest};
pub use session::{PendingSession, WebTransportSession};
pub use session_exchange::{CloseInfo, SessionExchange, SessionStats, SessionWishes};
pub use stream::{RecvStream, SendOrder, SendStream};
pub use stream_half::{StreamHalf, StreamKind};
pub use stream_stats::StreamStats;
