//! The heads of a request and of a response, in the field's own types (`http`).

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use thiserror::Error;

/// What a request asks for: the pseudo-header fields of RFC 9114 §4.3.1 and the header fields.
///
/// It is valid by construction: names are lower case, values hold no line break, and the fields that
/// HTTP/3 forbids (RFC 9114 §4.2) are gone, so nothing that an application passes can split a request.
#[derive(Debug, Clone)]
pub struct RequestHead {
    method: Method,
    scheme: String,
    authority: String,
    path: String,
    headers: HeaderMap,
    /// How urgent the response is.
    pub priority: Priority,
}

/// Why a request can't be sent; the caller's mistake, found before anything left the machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidRequest(pub String);

/// Fields of HTTP/1 connections, meaningless or forbidden in HTTP/3 (the list of `neqo_glue`).
const CONNECTION_FIELDS: [&str; 8] = [
    "connection",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "sec-websocket-key",
];

impl RequestHead {
    /// Makes a request head.
    ///
    /// `authority` is host and, where it isn't the default, port; `path` includes the query. Header
    /// fields that belong to HTTP/1 connections are left out.
    ///
    /// # Errors
    /// `CONNECT`, an empty authority, a path that doesn't begin with `/` (or isn't `*` for `OPTIONS`), a
    /// control character or space in either, and a header value that isn't UTF-8 (the engine takes text).
    pub fn new(
        method: Method,
        scheme: &str,
        authority: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Self, InvalidRequest> {
        if method == Method::CONNECT {
            return Err(InvalidRequest("CONNECT is not supported: it needs a proxy".into()));
        }
        Self::checked(method, scheme, authority, path, headers)
    }

    /// Makes the head of a request for a WebTransport session (RFC 8441's extended `CONNECT`).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn web_transport(
        authority: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Self, InvalidRequest> {
        Self::checked(Method::CONNECT, "https", authority, path, headers)
    }

    fn checked(
        method: Method,
        scheme: &str,
        authority: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Self, InvalidRequest> {
        check_text("authority", authority)?;
        check_text("path", path)?;
        if !(path.starts_with('/') || (path == "*" && method == Method::OPTIONS)) {
            return Err(InvalidRequest(format!("the path {path:?} does not begin with '/'")));
        }
        let mut kept = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            if CONNECTION_FIELDS.contains(&name.as_str()) {
                continue;
            }
            if value.to_str().is_err() && std::str::from_utf8(value.as_bytes()).is_err() {
                return Err(InvalidRequest(format!("the value of header {name} is not UTF-8")));
            }
            kept.append(name.clone(), value.clone());
        }
        Ok(Self {
            method,
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            headers: kept,
            priority: Priority::default(),
        })
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// `:scheme`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// `:authority`, with the port where it isn't the scheme's default.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// `:path`, with the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The header fields that go out.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Adds `name: value` unless the application gave that field itself.
    pub fn set_default(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.entry(name).or_insert(value);
    }

    /// Leaves a field out.
    pub fn remove(&mut self, name: &HeaderName) {
        self.headers.remove(name);
    }

    /// The request's `Content-Length`, if it states one.
    pub fn content_length(&self) -> Option<u64> {
        content_length(&self.headers).ok().flatten()
    }
}

/// No control character and no space: nothing in a pseudo-header field may look like a second field.
fn check_text(what: &str, text: &str) -> Result<(), InvalidRequest> {
    if text.is_empty() {
        return Err(InvalidRequest(format!("the {what} is empty")));
    }
    match text.chars().find(|c| c.is_control() || *c == ' ') {
        Some(c) => Err(InvalidRequest(format!("the {what} {text:?} contains {c:?}"))),
        None => Ok(()),
    }
}

/// Urgency and incremental flag of RFC 9218.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority {
    urgency: u8,
    incremental: bool,
}

impl Priority {
    /// `urgency` from 0 (first) to 7 (background); larger numbers count as 7.
    pub fn new(urgency: u8, incremental: bool) -> Self {
        Self { urgency: urgency.min(7), incremental }
    }

    /// 0 to 7.
    pub fn urgency(self) -> u8 {
        self.urgency
    }

    /// Whether the response is of use piece by piece.
    pub fn incremental(self) -> bool {
        self.incremental
    }
}

impl Default for Priority {
    /// The protocol's default: urgency 3, not incremental; it sends no `priority` field.
    fn default() -> Self {
        Self::new(3, false)
    }
}

/// A response head as it came from the peer, already checked.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// The status code.
    pub status: StatusCode,
    /// HTTP version that it came over.
    pub version: Version,
    /// The header fields.
    pub headers: HeaderMap,
}

impl ResponseHead {
    /// A 1xx head, which announces but doesn't answer.
    pub fn is_interim(&self) -> bool {
        self.status.is_informational()
    }

    /// The length of the body that this head announces for a request with `method`: none where the
    /// response has no body by its nature (RFC 9110 §6.4.1).
    ///
    /// # Errors
    /// Several differing `Content-Length` values, or one that is no number.
    pub fn body_length(&self, method: &Method) -> Result<Option<u64>, String> {
        let bodyless = *method == Method::HEAD
            || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodyless { Ok(Some(0)) } else { content_length(&self.headers) }
    }
}

/// The one value of `Content-Length`; equal repetitions are one (RFC 9110 §8.6).
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let mut found = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        let text = value.to_str().map_err(|_| "Content-Length is not text".to_owned())?;
        for part in text.split(',') {
            let part = part.trim();
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let number: u64 = part
                .parse()
                .ok()
                .filter(|_| digits)
                .ok_or_else(|| format!("Content-Length {part:?} is not a number"))?;
            if found.is_some_and(|earlier| earlier != number) {
                return Err("several different Content-Length values".to_owned());
            }
            found = Some(number);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(path: &str, headers: &HeaderMap) -> Result<RequestHead, InvalidRequest> {
        RequestHead::new(Method::GET, "https", "example.org", path, headers)
    }

    #[test]
    fn a_path_can_not_smuggle_a_second_field() {
        assert!(head("/a\r\nx: y", &HeaderMap::new()).is_err());
        assert!(head("/a b", &HeaderMap::new()).is_err());
        assert!(head("a", &HeaderMap::new()).is_err());
        assert!(head("/a?b=c", &HeaderMap::new()).is_ok());
    }

    #[test]
    fn fields_of_http1_connections_are_left_out() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("close"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let head = head("/", &headers).unwrap();
        assert_eq!(head.headers().len(), 1);
    }

    #[test]
    fn content_length_must_be_one_number() {
        let mut headers = HeaderMap::new();
        headers.append("content-length", HeaderValue::from_static("5"));
        headers.append("content-length", HeaderValue::from_static("5"));
        assert_eq!(content_length(&headers), Ok(Some(5)));
        headers.append("content-length", HeaderValue::from_static("6"));
        assert!(content_length(&headers).is_err());
        headers.insert("content-length", HeaderValue::from_static("+5"));
        assert!(content_length(&headers).is_err());
    }
}
