//! Requests, from a URL.

mod redirected;

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use transaction::{
    AddressFamily, Alpn, ClassOfService, ConnectionInfo, Isolation, NetError, Priority,
    RequestBody, RequestHead, Route, TimeLimits,
};
use url::Url;

use crate::decoding::ACCEPT_ENCODING;

/// A request that is being put together.
///
/// ```
/// let request = necko::Request::new(http::Method::POST, "https://example.org/form?x=1")?
///     .header("content-type", "application/x-www-form-urlencoded")?
///     .body("name=necko");
/// # Ok::<(), necko::NetError>(())
/// ```
#[derive(Debug)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    without: Vec<HeaderName>,
    body: RequestBody,
    priority: Priority,
    isolation: Isolation,
    class: ClassOfService,
    version: Alpn,
    address_family: AddressFamily,
    route: Option<Route>,
    limits: Limits,
    redirects: Redirects,
    /// It had one that could be sent once, and that was.
    body_is_gone: bool,
    decode_content: bool,
}

/// Whether redirects are followed.
#[derive(Debug, Clone, Copy, Default)]
struct Redirects {
    max: Option<u32>,
    /// Credentials go along.
    trusted: bool,
}

/// How long it may take; counted from when it is fetched.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    whole: Option<Duration>,
    first_byte: Option<Duration>,
    read: Option<Duration>,
}

impl Request {
    /// A request for `url`, which must be `https`.
    ///
    /// # Errors
    /// [`NetError::InvalidUrl`] says what is wrong with it.
    pub fn new(method: Method, url: &str) -> Result<Self, NetError> {
        let url = Url::parse(url)
            .map_err(|error| NetError::InvalidUrl(format!("{url:?} is not a URL: {error}")))?;
        if url.scheme() != "https" {
            return Err(NetError::InvalidUrl(format!(
                "{url}: only https can be fetched over HTTP/3, not {}",
                url.scheme()
            )));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NetError::InvalidUrl(
                "the URL carries credentials; send them in an Authorization header".into(),
            ));
        }
        Ok(Self {
            method,
            url,
            headers: HeaderMap::new(),
            without: Vec::new(),
            body: RequestBody::Empty,
            priority: Priority::default(),
            isolation: Isolation::default(),
            class: ClassOfService::default(),
            version: Alpn::default(),
            address_family: AddressFamily::default(),
            route: None,
            limits: Limits::default(),
            redirects: Redirects::default(),
            body_is_gone: false,
            decode_content: false,
        })
    }

    /// The same request once more; none if its body is a pipe, which can be sent once.
    pub fn try_clone(&self) -> Option<Self> {
        Some(self.with_body(self.body.try_clone()?))
    }

    fn with_body(&self, body: RequestBody) -> Self {
        Self {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            without: self.without.clone(),
            body,
            priority: self.priority,
            isolation: self.isolation.clone(),
            class: self.class,
            version: self.version,
            address_family: self.address_family,
            route: self.route.clone(),
            limits: self.limits,
            redirects: self.redirects,
            body_is_gone: self.body_is_gone,
            decode_content: self.decode_content,
        }
    }

    /// Adds a header field.
    ///
    /// # Errors
    /// [`NetError::InvalidRequest`] for a name or value that HTTP doesn't allow.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, NetError> {
        let (name, value) = field(name, value)?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// Adds a header field that is for this origin alone, as `Authorization` and `Cookie` are: a redirect to
    /// another origin goes without it.
    ///
    /// # Errors
    /// As [`header`](Self::header).
    pub fn sensitive_header(mut self, name: &str, value: &str) -> Result<Self, NetError> {
        let (name, mut value) = field(name, value)?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(self)
    }

    /// Leaves out a header field that would be added by itself.
    #[must_use]
    pub fn without_header(mut self, name: HeaderName) -> Self {
        self.without.push(name);
        self
    }

    /// Sends `body` with it.
    #[must_use]
    pub fn body(mut self, body: impl Into<RequestBody>) -> Self {
        self.body = body.into();
        self.body_is_gone = false;
        self
    }

    /// Follows at most so many redirects, one after the other. One more is an error, and so is one that leads
    /// to another protocol than https. What is for one origin alone stays behind when another one is led to.
    #[must_use]
    pub fn follow_redirects(mut self, max: u32) -> Self {
        self.redirects.max = Some(max);
        self
    }

    /// Takes credentials along to whatever origin redirects lead to.
    #[must_use]
    pub fn trust_redirects(mut self, trusted: bool) -> Self {
        self.redirects.trusted = trusted;
        self
    }

    /// Asks for a compressed body (gzip, br, zstd) and decodes it as it is read. The response's fields are
    /// shown as they came, `Content-Length` and `Content-Encoding` among them.
    #[must_use]
    pub fn decode_content(mut self, decode: bool) -> Self {
        self.decode_content = decode;
        self
    }

    /// Says how urgent it is (RFC 9218).
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Keeps it apart from requests of other contexts, sites or without credentials: they never share a
    /// connection.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Says where it stands among those that wait for a connection.
    #[must_use]
    pub fn class(mut self, class: ClassOfService) -> Self {
        self.class = class;
        self
    }

    /// Says over which version of HTTP it goes: HTTP/3 unless this says otherwise.
    #[must_use]
    pub fn version(mut self, version: Alpn) -> Self {
        self.version = version;
        self
    }

    /// Uses the host's addresses of one family alone.
    #[must_use]
    pub fn address_family(mut self, family: AddressFamily) -> Self {
        self.address_family = family;
        self
    }

    /// Connects to another host than the URL's, which must prove to be the URL's. It goes before the
    /// handler's [`routes`](crate::Settings::routes).
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.route = Some(route);
        self
    }

    /// Ends it when all of it takes longer than this: looking the name up, connecting, waiting, sending,
    /// and receiving to the last byte, with all redirects that are followed.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limits.whole = Some(limit);
        self
    }

    /// Ends it when the response does not begin in this time, counted from the last byte of the request
    /// that could be sent. (Connecting has a limit of its own, the handler's.)
    #[must_use]
    pub fn first_byte_timeout(mut self, limit: Duration) -> Self {
        self.limits.first_byte = Some(limit);
        self
    }

    /// Ends it when the response has begun and no more of it comes for so long. A consumer that does not
    /// read what is there may be as slow as it likes.
    #[must_use]
    pub fn read_timeout(mut self, limit: Duration) -> Self {
        self.limits.read = Some(limit);
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The head as it will be sent, with what is added by itself.
    ///
    /// # Errors
    /// [`NetError::InvalidRequest`] if it can't be sent.
    pub fn head(&self) -> Result<RequestHead, NetError> {
        let mut head = RequestHead::new(
            self.method.clone(),
            "https",
            self.url.authority(),
            &path_and_query(&self.url),
            &self.headers,
        )
        .map_err(|invalid| NetError::InvalidRequest(invalid.0))?;
        head.priority = self.priority;
        let wanted = |name| !self.without.contains(name);
        if wanted(&header::CONTENT_LENGTH) {
            set_content_length(&mut head, &self.body)?;
        }
        head = self.with_product(head);
        if wanted(&header::ACCEPT) {
            head.set_default(header::ACCEPT, HeaderValue::from_static("*/*"));
        }
        if self.decode_content && wanted(&header::ACCEPT_ENCODING) {
            head.set_default(header::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPT_ENCODING));
        }
        Ok(head)
    }

    /// What goes to the connection manager.
    pub(crate) fn into_parts(self) -> Result<(ConnectionInfo, RequestHead, RequestBody), NetError> {
        Ok((self.connection_info(), self.head()?, self.body))
    }

    /// The head of a request for a WebTransport session, with what is added by itself.
    pub(crate) fn web_transport_head(&self) -> Result<RequestHead, NetError> {
        let path = path_and_query(&self.url);
        RequestHead::web_transport(self.url.authority(), &path, &self.headers)
            .map_err(|invalid| NetError::InvalidRequest(invalid.0))
            .map(|head| self.with_product(head))
    }

    fn with_product(&self, mut head: RequestHead) -> RequestHead {
        if !self.without.contains(&header::USER_AGENT) {
            let product = HeaderValue::from_static(concat!("necko/", env!("CARGO_PKG_VERSION")));
            head.set_default(header::USER_AGENT, product);
        }
        head
    }

    pub(crate) fn max_redirects(&self) -> Option<u32> {
        self.redirects.max
    }

    pub(crate) fn decodes_content(&self) -> bool {
        self.decode_content
    }

    /// The URL, as it is asked for.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn set_priority(&mut self, priority: Priority) {
        self.priority = priority;
    }

    /// When all of it must be done, if it is fetched now. A limit that no clock reaches is none.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.limits.whole.and_then(|limit| now.checked_add(limit))
    }

    /// Its other time limits.
    pub(crate) fn time_limits(&self) -> TimeLimits {
        let Limits { first_byte, read, .. } = self.limits;
        TimeLimits { deadline: None, first_byte, read }
    }

    /// Where it stands in the queue.
    pub(crate) fn class_of_service(&self) -> ClassOfService {
        self.class
    }

    /// Where it goes.
    pub(crate) fn connection_info(&self) -> ConnectionInfo {
        let host = self.url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut info = ConnectionInfo::new(host, self.url.port_or_known_default().unwrap_or(443));
        info.isolation = self.isolation.clone();
        info.alpn = self.version;
        info.address_family = self.address_family;
        info.route.clone_from(&self.route);
        info
    }
}

fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), NetError> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| NetError::InvalidRequest(format!("{name:?} is no header name")))?;
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        NetError::InvalidRequest(format!("the value of header {name} has a control character"))
    })?;
    Ok((name, value))
}

/// What the application states must be what is sent; what it doesn't state is added where there is a body
/// or the method means one.
fn set_content_length(head: &mut RequestHead, body: &RequestBody) -> Result<(), NetError> {
    let Some(length) = body.length() else {
        if let Some(stated) = head.content_length() {
            body.expect_length(stated);
        }
        return Ok(());
    };
    if let Some(stated) = head.content_length()
        && stated != length
    {
        return Err(NetError::InvalidRequest(format!(
            "Content-Length says {stated}, but the body has {length} bytes"
        )));
    }
    if length > 0 || matches!(*head.method(), Method::POST | Method::PUT | Method::PATCH) {
        head.set_default(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(())
}

fn path_and_query(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_and_query_are_kept() {
        let request = Request::new(Method::GET, "https://Example.org:4433/a b?c=d#e").unwrap();
        let (info, head, _) = request.into_parts().unwrap();
        assert_eq!(info.to_string(), "example.org:4433");
        assert_eq!(head.authority(), "example.org:4433");
        assert_eq!(head.path(), "/a%20b?c=d");
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets_in_the_key_only() {
        let (info, head, _) =
            Request::new(Method::GET, "https://[::1]:4433/").unwrap().into_parts().unwrap();
        assert_eq!(info.host(), "::1");
        assert_eq!(head.authority(), "[::1]:4433");
    }

    #[test]
    fn how_to_connect_is_part_of_the_key() {
        let route = Route { host: "other.test".into(), port: 1 };
        let request = Request::new(Method::GET, "https://example.org/")
            .unwrap()
            .version(Alpn::Http11)
            .address_family(AddressFamily::V6)
            .route(route.clone());
        let info = request.try_clone().unwrap().connection_info();
        assert_eq!(info.alpn, Alpn::Http11);
        assert_eq!(info.address_family, AddressFamily::V6);
        assert_eq!(info.route, Some(route));
    }

    #[test]
    fn what_can_not_be_fetched_is_said_at_once() {
        for url in ["http://example.org/", "example.org", "https://u:p@example.org/", "https://"] {
            assert!(
                matches!(Request::new(Method::GET, url), Err(NetError::InvalidUrl(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_added_by_itself_can_be_left_out_or_replaced() {
        let request = Request::new(Method::POST, "https://example.org/").unwrap();
        assert_eq!(request.head().unwrap().headers().len(), 3);
        let request = request
            .header("User-Agent", "me")
            .unwrap()
            .without_header(header::ACCEPT)
            .without_header(header::CONTENT_LENGTH);
        let head = request.head().unwrap();
        assert_eq!(head.headers().len(), 1);
        assert_eq!(head.headers()["user-agent"], "me");
    }

    #[test]
    fn a_stated_content_length_must_be_the_bodys() {
        let request = |length: &str| {
            Request::new(Method::POST, "https://example.org/")
                .unwrap()
                .header("Content-Length", length)
                .unwrap()
                .body("12345")
                .into_parts()
        };
        assert!(request("5").is_ok());
        assert!(matches!(request("6"), Err(NetError::InvalidRequest(_))));
    }
}
