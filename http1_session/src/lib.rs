//! HTTP/1.1 over one byte stream: the other half of necko's manager.
//!
//! [`Http1Session`] is a client without sockets and without a clock: bytes of the peer go in, bytes for the peer
//! come out, and a [`transaction::HttpTransaction`] is driven as HTTP/3's streams drive it. Whoever owns it
//! (the connection manager's connection over TCP and [TLS](TlsConn)) moves the bytes and passes the time.
//!
//! ```text
//!               activate                 request and response whole, persistent, nothing left over
//!    Idle ────────────────► Exchange ──────────────────────────────────────────────────► Idle
//!     │                     │      │
//!     │ bytes or the end,   │      │ error, abort, end of the stream, "close", a request that broke off,
//!     │ unasked             │      │ bytes left over
//!     └────► Closed ◄───────┴──────┘
//!
//!    an Exchange:  RequestWriter   Head ► AwaitingContinue ► Body ► LastChunk ► Done | Stopped
//!                  ResponseReader  Head (↺ 1xx) ► Body ► Done
//! ```
//!
//! Heads are parsed by `httparse`. (`ureq-proto`, a whole client of this kind, drops trailers, and interim heads
//! other than 100.) Everything around them is here and strict: a response that two readers could understand in two
//! ways is refused, because on a connection that is used again the difference becomes somebody else's response.
//!
//! | what a server may send | what becomes of it |
//! |---|---|
//! | a head of more than 384 KiB or 256 fields, a folded line, CR alone, a space before a colon | refused |
//! | HTTP/0.9, 101 | refused |
//! | HTTP/1.0 | understood; persistent if it says `keep-alive` |
//! | `Content-Length` several times | one if they are equal, otherwise refused |
//! | `Content-Length` and `Transfer-Encoding` | refused |
//! | a `Transfer-Encoding` other than exactly `chunked`, or one in HTTP/1.0 | refused |
//! | neither | until `close_notify`; an end without it is a `PartialTransfer` |
//! | bytes behind a response, or before a request has left | dropped; the connection is not used again |
//! | a final status while the request's body leaves | the body goes on if it is 2xx, otherwise it stops there; unless it was whole, the connection is not used again |
//!
//! What the application sets of [a connection's own fields](self#requests) never leaves.
//!
//! # Requests
//! In origin form, `Host` first. `Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`,
//! `Transfer-Encoding` and `Upgrade` are not copied; `Content-Length` is written from the body's length, and a body
//! without one goes in chunks. With `Expect: 100-continue` the body waits for 100, for a final status, or for one
//! second; after 417 the request goes again without it.

mod chunk_decoder;
mod chunk_encoder;
mod exchange;
mod head_buffer;
mod keep_alive;
mod request_head;
mod request_writer;
mod response_head;
mod response_reader;
mod session;
mod tls_conn;

pub use keep_alive::KeepAlive;
pub use session::{Finished, Http1Session};
pub use tls_conn::{PlainRead, TlsConn, TlsConnFactory, TlsParameters, TlsState};

/// The response breaks HTTP, in these words.
fn malformed(what: impl Into<String>) -> transaction::NetError {
    transaction::NetError::MalformedResponse(what.into())
}
