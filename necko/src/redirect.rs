//! What a redirect means: which URL, which method, and what must not go along.
//!
//! The rules are those of RFC 9110 §15.4 as browsers and curl keep them:
//!
//! | status | the next request |
//! |---|---|
//! | 301, 302 | a `POST` becomes a `GET` without a body; others stay |
//! | 303 | a `GET` without a body, a `HEAD` stays one |
//! | 307, 308 | the same method and body |

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use transaction::{RedirectProblem, RequestHead, Timings};
use url::Url;

/// A response that led on to another URL.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// The URL that answered so.
    pub url: String,
    /// Where it led.
    pub next_url: String,
    /// The request that it led to.
    pub next_request: RequestHead,
    /// The answer's status code.
    pub status: StatusCode,
    /// The version that it came over.
    pub version: Version,
    /// Its header fields.
    pub headers: HeaderMap,
    /// When what happened to its request.
    pub timings: Timings,
    /// Bytes of its body that were read, and dropped.
    pub received: u64,
}

/// What describes a body, and goes when the body does.
pub(crate) const OF_BODIES: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
];

/// What is for one origin alone; so is every value that is marked as sensitive.
pub(crate) const CREDENTIALS: [HeaderName; 3] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// Where a response leads, if it is a redirect. Without a `Location` it is an answer like others.
pub(crate) fn location(status: StatusCode, headers: &HeaderMap) -> Option<&HeaderValue> {
    let leads_on = matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    headers.get(header::LOCATION).filter(|_| leads_on)
}

/// The method of the next request.
pub(crate) fn next_method(status: StatusCode, method: &Method) -> Method {
    match status {
        StatusCode::SEE_OTHER if *method != Method::HEAD => Method::GET,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if *method == Method::POST => Method::GET,
        _ => method.clone(),
    }
}

/// The URL that a `Location` names, seen from `base`. Without a fragment of its own it keeps that of `base`.
///
/// # Errors
/// It is no URL, or not one that may be followed.
pub(crate) fn resolve(base: &Url, location: &HeaderValue) -> Result<Url, RedirectProblem> {
    let location = String::from_utf8_lossy(location.as_bytes());
    let mut url = base.join(&location).map_err(|_| RedirectProblem::Malformed)?;
    if url.scheme() != "https" {
        return Err(RedirectProblem::Protocol);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RedirectProblem::Malformed);
    }
    if url.fragment().is_none() {
        url.set_fragment(base.fragment());
    }
    Ok(url)
}

/// Takes out what is for one origin alone.
pub(crate) fn drop_credentials(headers: &mut HeaderMap) {
    let names: Vec<_> = headers
        .iter()
        .filter(|(name, value)| value.is_sensitive() || CREDENTIALS.contains(name))
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

    #[test]
    fn five_statuses_with_a_location_lead_on() {
        let mut headers = HeaderMap::new();
        let leads = |code: u16, headers: &HeaderMap| {
            location(StatusCode::from_u16(code).unwrap(), headers).is_some()
        };
        assert!(STATUSES.iter().all(|code| !leads(*code, &headers)));
        headers.insert("location", HeaderValue::from_static("/x"));
        assert!(STATUSES.iter().all(|code| leads(*code, &headers)));
        assert!([200, 201, 300, 304, 305, 306, 404].iter().all(|code| !leads(*code, &headers)));
    }

    #[test]
    fn methods_change_as_with_browsers_and_curl() {
        let next = |method: Method| {
            STATUSES.map(|code| {
                next_method(StatusCode::from_u16(code).unwrap(), &method).as_str().to_owned()
            })
        };
        assert_eq!(next(Method::GET), ["GET", "GET", "GET", "GET", "GET"]);
        assert_eq!(next(Method::HEAD), ["HEAD", "HEAD", "HEAD", "HEAD", "HEAD"]);
        assert_eq!(next(Method::POST), ["GET", "GET", "GET", "POST", "POST"]);
        assert_eq!(next(Method::PUT), ["PUT", "PUT", "GET", "PUT", "PUT"]);
        assert_eq!(next(Method::DELETE), ["DELETE", "DELETE", "GET", "DELETE", "DELETE"]);
    }

    fn resolved(location: &[u8]) -> Result<String, RedirectProblem> {
        let base = Url::parse("https://a.test:1/b/c?d#e").unwrap();
        resolve(&base, &HeaderValue::from_bytes(location).unwrap()).map(Into::into)
    }

    #[test]
    fn locations_may_be_relative_and_keep_the_fragment() {
        for (location, url) in [
            ("/x", "https://a.test:1/x#e"),
            ("x", "https://a.test:1/b/x#e"),
            ("?y", "https://a.test:1/b/c?y#e"),
            ("../../..", "https://a.test:1/#e"),
            ("", "https://a.test:1/b/c?d#e"),
            ("#f", "https://a.test:1/b/c?d#f"),
            ("//other.test/x", "https://other.test/x#e"),
            ("https://other.test#g", "https://other.test/#g"),
            ("HTTPS://Other.Test:443/", "https://other.test/#e"),
            ("/ü \u{1f600}", "https://a.test:1/%C3%BC%20%F0%9F%98%80#e"),
        ] {
            assert_eq!(resolved(location.as_bytes()).as_deref(), Ok(url), "{location}");
        }
        assert!(resolved(b"/\xff").is_ok());
    }

    #[test]
    fn where_nobody_may_be_led() {
        for (location, problem) in [
            ("http://a.test/", RedirectProblem::Protocol),
            ("file:///etc/passwd", RedirectProblem::Protocol),
            ("javascript:alert(1)", RedirectProblem::Protocol),
            ("data:,x", RedirectProblem::Protocol),
            ("https://", RedirectProblem::Malformed),
            ("https://a b/", RedirectProblem::Malformed),
            ("https://a.test:99999/", RedirectProblem::Malformed),
            ("https://user:word@a.test/", RedirectProblem::Malformed),
        ] {
            assert_eq!(resolved(location.as_bytes()), Err(problem), "{location}");
        }
    }

    #[test]
    fn credentials_and_what_is_marked_stay_behind() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "proxy-authorization", "accept", "x-key"] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let mut secret = HeaderValue::from_static("secret");
        secret.set_sensitive(true);
        headers.append("x-key", secret);
        drop_credentials(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }
}
