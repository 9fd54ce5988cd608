//! One HTTP exchange, from the application's request to the last byte of the response.
//!
//! ```text
//!   application thread                      socket thread
//!   ------------------                      -------------
//!   PendingResponse ── head ◄──────────┐
//!   ResponseBody    ◄─ pipe (96 KiB) ◄─┤ HttpTransaction ◄── Http3Stream::write_segments
//!        │                             │        │
//!        └─ wishes: cancel, space ────►┘        └─ request head and body ──► Http3Stream::read_segments
//!                                                        ▲
//!   BodyWriter ── pipe (96 KiB), or a file's chunks ─────┘
//! ```
//!
//! An [`HttpTransaction`] has exactly one owner at any time: the event that submits or restarts it,
//! the pending queue of one connection entry, or one stream of one session. It moves from one to the
//! next and can't be in two places (necko checks that with assertions; here ownership says it). What
//! the application holds, [`PendingResponse`] and then [`ResponseBody`], shares with it only an
//! [`exchange`]: the response head, the bounded response pipe, and the application's wishes.
//!
//! Necko's class is `nsHttpTransaction`.

#[cfg(any(feature = "futures-io", feature = "http-body"))]
mod adapters;
pub mod body;
mod canceller;
mod class_of_service;
mod connection_info;
pub mod consumer;
mod early_data;
mod ech;
pub mod error;
pub mod exchange;
pub mod head;
mod http_transaction;
pub mod pipe;
mod restart;
mod segment;
mod time_limits;
mod timings;
mod verifier;
pub mod web_transport;
mod wishing;
mod witness;

pub use body::{BodyRead, BodyWriter, RequestBody};
pub use canceller::Canceller;
pub use class_of_service::{ClassOfService, TabId};
pub use connection_info::{AddressFamily, Alpn, ConnectionInfo, Isolation, Route, WebTransportUse};
pub use consumer::{PendingResponse, Response, ResponseBody};
pub use early_data::EarlyData;
pub use ech::{Ech, EchConfigList, InvalidEchConfig};
pub use error::{CertificateProblem, ErrorCode, Fault, NetError, RedirectProblem, TimeoutPhase};
pub use exchange::Wishes;
pub use head::{InvalidRequest, Priority, RequestHead, ResponseHead};
pub use http_transaction::{
    Closed, HttpTransaction, PipeFull, Restarts, Sending, TransactionId, Writing,
};
pub use time_limits::{TimeLimits, Watch};
pub use timings::{ConnectTimings, SharedTimings, Timings};
pub use verifier::{CertificateVerifier, VerificationError, VerificationRequest};
pub use witness::Witness;
