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
//!
//! A [`WebTransportSession`] goes the same way. All of its calls exist as futures and blocking:
//!
//! ```no_run
//! # use necko::{HttpHandler, Settings};
//! # let handler = HttpHandler::new(Settings::default())?;
//! let (session, _head) = handler.web_transport("https://example.org/chat")?.wait()?;
//!
//! let (mut send, mut receive) = session.open_bi()?.wait()?;
//! send.wait_send("hello")?;
//! send.finish();   // dropping it would reset the stream
//! std::io::copy(&mut receive, &mut std::io::stdout())?;
//!
//! session.send_datagram("now or never")?;
//! println!("{:?}", session.wait_recv_datagram()?);
//! session.close(0, "done");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(any(feature = "futures-io", feature = "http-body"))]
mod adapters;
mod decoding;
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod host_text;
mod pending;
mod redirect;
mod request;
mod resolver;
mod response;
mod routes;
mod session_file;
mod settings;
mod submitter;
mod verifier;
mod web_transport;

pub use connection_mgr::{
    ConnectionLimits, ConnectionSnapshot, EntrySnapshot, HalfOpenState, Lifetime, Resolve,
    Snapshot, SystemResolver,
};
pub use handler::HttpHandler;
pub use http3_session::{
    CertificateVerifier, Http3Settings, SessionSnapshot, SessionState, VerificationError,
    VerificationRequest,
};
pub use pending::PendingResponse;
pub use redirect::Redirect;
pub use request::Request;
pub use resolver::{FixedAddresses, ResolveRule};
pub use response::{Response, ResponseBody};
pub use routes::{ConnectTo, Routes};
pub use settings::{Settings, Verification};
pub use transaction::web_transport::{
    CloseInfo, DatagramOutcome, PendingOutcome, PendingSession, PendingStream, RecvStream,
    SendStream, SessionStats, StreamStats, WebTransportSession,
};
pub use transaction::{
    AddressFamily, Alpn, BodyWriter, Canceller, CertificateProblem, ClassOfService, ConnectTimings,
    EarlyData, EchConfigList, ErrorCode, Fault, InvalidEchConfig, Isolation, NetError, Priority,
    RedirectProblem, RequestBody, RequestHead, ResponseHead, Route, SharedTimings, TabId,
    TimeoutPhase, Timings, Witness,
};
pub use verifier::{AcceptAnyCertificate, CertificateHashes, PinnedKeys, RootVerifier};
pub use web_transport::WebTransportRequest;
