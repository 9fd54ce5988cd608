//! Necko's engine: [`NeqoHttp3Conn`] implements [`http3_session::Http3Conn`] on Mozilla's neqo and NSS.
//!
//! ```text
//!   http3_session ── Http3Conn (trait) ◄── NeqoHttp3Conn
//!                                            │ construct   knobs, key exchange groups, qlog
//!                                            │ input       received datagrams, decrypted in place
//!                                            │ output      datagrams for one send, the one kept back
//!                                            │ events      Http3ClientEvent → Http3Event
//!                                            │ headers     heads, checked in both directions
//!                                            │ web_transport   sessions, their streams, datagrams
//!                                            │ close_reason, certificate
//!                                            ▼
//!                                          neqo_http3::Http3Client ── neqo_transport ── NSS
//! ```
//!
//! This crate is the only one that names neqo or NSS, so another version of them, or another engine, is
//! one crate's work. It holds no socket, no clock and no policy: when to read, what to retry and when to
//! close is the session's business.
//!
//! neqo trusts its caller in many places: a call in the wrong state is an assertion, a header with a line
//! break goes out as it is. What the caller may not do is refused here, and what the peer sends is
//! checked here, so that nothing above has to know neqo's rules.
//!
//! Its namesakes in Firefox are the class `NeqoHttp3Conn` and the crate `neqo_glue`.

mod certificate;
mod close_reason;
mod conn;
mod construct;
mod events;
mod headers;
mod input;
mod nss;
mod output;
mod qlog;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tls_names;
mod web_transport;

pub use conn::NeqoHttp3Conn;
pub use construct::NeqoHttp3ConnFactory;
pub use nss::{TokenKey, token_key};
