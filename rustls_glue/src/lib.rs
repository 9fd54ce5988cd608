//! TLS over TCP by rustls: beside the front door's verifier, the only layer that names it.
//!
//! ```text
//!   RustlsConnFactory ── makes ──► RustlsConn        one connection
//!          │                          │ its sessions
//!          ▼                          ▼
//!     SessionStore ◄── accepted ── ConnectionSessions
//! ```
//!
//! rustls asks for a verdict on the server's certificate in the middle of the handshake, and wants it at once. Here
//! as in necko the verdict comes from another thread. So the verifier that rustls is given looks at signatures
//! alone: that the peer holds the key of the certificate that it showed. Who that is, is decided
//! afterwards; until then nothing of the application is sent, nothing is read, and no session is kept. So nobody
//! learns more than from the handshake itself: the server's name, and that we wait.
//!
//! | file | what |
//! |---|---|
//! | `conn` | [`RustlsConn`] |
//! | `factory` | [`RustlsConnFactory`] |
//! | `sessions` | sessions that may be resumed: bounded, and each only for its own key |
//! | `signatures` | the verifier that looks at signatures |

mod conn;
mod factory;
mod sessions;
mod signatures;

pub use conn::RustlsConn;
pub use factory::RustlsConnFactory;
pub use sessions::SessionLimits;
