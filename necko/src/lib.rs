//! The front door: an [`HttpHandler`] fetches URLs over HTTP/3, the way Firefox's network stack does.
//!
//! ```no_run
//! use necko::{HttpHandler, Settings};
//!
//! let handler = HttpHandler::new(Settings::default())?;
//! let mut response = handler.get("https://example.org/")?.wait()?;
//! println!("{} {:?}", response.status(), response.headers());
//! std::io::copy(response.body_mut(), &mut std::io::stdout())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A response is a future as well: `handler.get(url)?.await?`, then [`ResponseBody::chunk`]. It needs no
//! particular runtime, because a socket thread of the handler does the work:
//!
//! ```text
//!  HttpHandler ──submit──► socket thread: SocketTransportService ► ConnectionMgr ► HttpConnectionUdp
//!  Response ◄──head, pipe──────────────── HttpTransaction ◄ Http3Stream ◄ Http3Session ◄─┘
//! ```

mod handler;
mod host_text;
mod request;
mod resolver;
mod routes;
mod settings;
mod verifier;

pub use connection_mgr::{
    ConnectionLimits, ConnectionSnapshot, EntrySnapshot, HalfOpenState, Lifetime, Resolve,
    Snapshot, SystemResolver,
};
pub use handler::HttpHandler;
pub use http3_session::{
    CertificateVerifier, Http3Settings, SessionSnapshot, SessionState, VerificationError,
    VerificationRequest,
};
pub use request::Request;
pub use resolver::{FixedAddresses, ResolveRule};
pub use routes::{ConnectTo, Routes};
pub use settings::{Settings, Verification};
pub use transaction::{
    AddressFamily, Alpn, BodyWriter, Canceller, CertificateProblem, ClassOfService, ConnectTimings,
    ErrorCode, Fault, Isolation, NetError, PendingResponse, Priority, RequestBody, RequestHead,
    Response, ResponseBody, ResponseHead, Route, SharedTimings, TabId, TimeoutPhase, Timings,
};
pub use verifier::{AcceptAnyCertificate, CertificateHashes, PinnedKeys, RootVerifier};
