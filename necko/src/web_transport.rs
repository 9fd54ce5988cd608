//! Requests for WebTransport sessions.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use http3_session::CertificateVerifier;
use transaction::{
    AddressFamily, ClassOfService, ConnectionInfo, Isolation, NetError, RequestHead, Route,
    TimeLimits, WebTransportUse,
};

use crate::{
    request::Request,
    verifier::{CertificateHashes, HashVerifier},
};

/// The header field by which servers of the present drafts know which of them is spoken.
const DRAFT: (&str, &str) = ("sec-webtransport-http3-draft02", "1");

/// How long a server may take with its answer, unless the application says otherwise.
const ANSWER: Duration = Duration::from_secs(30);

/// A request for a WebTransport session that is being put together.
///
/// ```
/// let request = necko::WebTransportRequest::new("https://example.org/chat")?
///     .header("origin", "https://example.org")?;
/// # Ok::<(), necko::NetError>(())
/// ```
#[derive(Debug)]
pub struct WebTransportRequest {
    request: Request,
    pooled: bool,
    hashes: Option<CertificateHashes>,
}

/// What goes to the connection manager.
pub(crate) struct Parts {
    pub(crate) info: ConnectionInfo,
    pub(crate) head: RequestHead,
    pub(crate) limits: TimeLimits,
    pub(crate) deadline: Option<Instant>,
    pub(crate) class: ClassOfService,
    pub(crate) verifier: Option<Arc<dyn CertificateVerifier>>,
}

impl WebTransportRequest {
    /// A request for a session at `url`, which must be `https`.
    ///
    /// # Errors
    /// [`NetError::InvalidUrl`] says what is wrong with it.
    pub fn new(url: &str) -> Result<Self, NetError> {
        let request = Request::new(Method::GET, url)?.first_byte_timeout(ANSWER);
        Ok(Self { request, pooled: false, hashes: None })
    }

    fn change(self, change: impl FnOnce(Request) -> Request) -> Self {
        Self { request: change(self.request), ..self }
    }

    /// Adds a header field, such as `Origin`.
    ///
    /// # Errors
    /// [`NetError::InvalidRequest`] if name or value can't be sent.
    pub fn header(self, name: &str, value: &str) -> Result<Self, NetError> {
        Ok(Self { request: self.request.header(name, value)?, ..self })
    }

    /// Whose connection it is.
    #[must_use]
    pub fn isolation(self, isolation: Isolation) -> Self {
        self.change(|request| request.isolation(isolation))
    }

    /// Where it stands in the queue for a connection.
    #[must_use]
    pub fn class_of_service(self, class: ClassOfService) -> Self {
        self.change(|request| request.class(class))
    }

    /// Which of the host's addresses are used.
    #[must_use]
    pub fn address_family(self, family: AddressFamily) -> Self {
        self.change(|request| request.address_family(family))
    }

    /// Connects to another host than the origin, which must prove to be the origin.
    #[must_use]
    pub fn route(self, route: Route) -> Self {
        self.change(|request| request.route(route))
    }

    /// How long the server may take with its answer, from when it was asked (30 seconds).
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        self.change(|request| request.first_byte_timeout(limit))
    }

    /// Shares a connection with other sessions to the same origin that may share one. Without it each session has a
    /// connection of its own, and that ends with it.
    #[must_use]
    pub fn pooled(mut self) -> Self {
        self.pooled = true;
        self
    }

    /// Trusts certificates by their hashes, and nothing else (`serverCertificateHashes`).
    #[must_use]
    pub fn certificate_hashes(mut self, hashes: CertificateHashes) -> Self {
        self.hashes = Some(hashes);
        self
    }

    pub(crate) fn into_parts(self, number: u64, now: Instant) -> Result<Parts, NetError> {
        if self.pooled && self.hashes.is_some() {
            let what = "a session whose certificate is trusted by its hash shares no connection";
            return Err(NetError::InvalidRequest(what.into()));
        }
        let request = self.request.header(DRAFT.0, DRAFT.1)?;
        let mut info = request.connection_info();
        info.web_transport =
            if self.pooled { WebTransportUse::Pooled } else { WebTransportUse::Dedicated(number) };
        Ok(Parts {
            info,
            head: request.web_transport_head()?,
            limits: request.time_limits(),
            deadline: request.deadline(now),
            class: request.class_of_service(),
            verifier: self.hashes.map(|hashes| Arc::new(HashVerifier(hashes)) as _),
        })
    }
}
