//! HTTP/1.1 over one byte stream, without sockets: one exchange after the other.
//!
//! ```text
//!              activate                    final head                 the body's end
//!  Idle ───────────────► Head, interim ──────────────► Body of the ───────────────► Idle, if both sides
//!   ▲                    heads            │            response                      said all they announced
//!   │                                     └── no body ─────────────────────────────► and want to go on;
//!   └───────────────────────────────────────────────────────────────────────────────  else never used again
//!
//!  meanwhile:  Head sent ─► (Expecting: 100, a final head, or a second) ─► Body sent ─► Done
//! ```
//!
//! [`Http1Session`] is what [`http3_session`] is for HTTP/3: it drives an `HttpTransaction` between a connection
//! and its application. It takes decrypted bytes and gives bytes to be encrypted; sockets, TLS ([`TlsConn`]) and
//! time belong to the connection above.
//!
//! [`http3_session`]: https://docs.rs/necko
//!
//! Heads are parsed by `httparse`. (`ureq-proto`, which is built on it, has a state machine for the rest as well,
//! but drops trailers and the interim heads other than 100, and wants bodies to be read where here they go to
//! a pipe that holds the server back.)
//!
//! # What can't happen
//!
//! * A request that is two (request splitting): [`writer`](mod@writer) writes what `RequestHead` has checked, and
//!   leaves out every byte that could end a line all the same.
//! * A response that is another one's (response splitting, smuggling): the end of a body is known from one source,
//!   or the connection isn't used again. Both `Content-Length` and `Transfer-Encoding`, several that differ, a
//!   coding other than `chunked`, a bare line feed inside of chunks: each is an error. What comes behind a
//!   response belongs to nobody, and ends the connection.
//! * A head, a chunk's extension or trailers without end: each has its limit.
//!
//! | file | what |
//! |---|---|
//! | `session` | [`Http1Session`]: exchanges, and whether there may be another |
//! | `exchange` | one request and its response |
//! | `writer` | the request's head, and chunks of its body |
//! | `head` | the response's head |
//! | `framing`, `chunked` | where a body ends |
//! | `keep_alive` | whether and how long the server keeps the connection |
//! | `tls_conn` | the trait that `rustls_glue` implements |

mod chunked;
mod exchange;
mod framing;
mod head;
mod keep_alive;
mod session;
mod tls_conn;
pub mod writer;

pub use keep_alive::KeepAlive;
pub use session::{Finished, Http1Session};
pub use tls_conn::{PlainRead, TlsConn, TlsConnFactory, TlsParameters, TlsState};
