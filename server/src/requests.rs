//! From a header section to a request, or to the reason why it is none (RFC 9114, 4.2 and 4.3).
//!
//! The engine decodes and bounds the header section, and leaves its meaning to us: "the application
//! should validate pseudo-headers and headers". Nothing that reaches [`Request`] needs a second look.

use quiche::h3::NameValue;

use crate::{conditions::Conditions, files::Target, priority::Priority};

/// What is wrong with a request; sent to the client in a response with status 400.
pub(crate) type Malformed = &'static str;

/// A well-formed request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// POST and not PUT: the server chooses the name.
    pub(crate) is_post: bool,
    /// Without the query.
    pub(crate) path: Vec<u8>,
    /// What the client says about the length of its body.
    pub(crate) content_length: Option<u64>,
    /// The body is a part of something.
    pub(crate) is_partial: bool,
    pub(crate) conditions: Conditions,
    pub(crate) priority: Priority,
}

/// The methods that the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    /// POST and PUT: a body comes, the answer waits for its end.
    Upload,
    /// Everything else: answered with 405.
    Unknown,
}

impl Request {
    /// Reads a header section.
    pub(crate) fn parse<T: NameValue>(fields: &[T]) -> Result<Self, Malformed> {
        let mut pseudo = Pseudo::default();
        let mut regular = Regular::default();
        let mut past_pseudo = false;
        for field in fields {
            let (name, value) = (field.name(), field.value());
            if value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
                return Err("a header value contains a line break or NUL");
            }
            if name.starts_with(b":") {
                if past_pseudo {
                    return Err("a pseudo-header follows a header");
                }
                pseudo.take(name, value)?;
            } else {
                past_pseudo = true;
                regular.take(name, value)?;
            }
        }
        let is_post = pseudo.method.as_deref() == Some(b"POST");
        let (method, path) = pseudo.finish(regular.host.as_deref())?;
        let Regular { content_length, is_partial, conditions, priority, .. } = regular;
        Ok(Self { method, is_post, path, content_length, is_partial, conditions, priority })
    }

    /// For the log.
    pub(crate) fn summary(&self) -> String {
        format!("{:?} {}", self.method, self.path.escape_ascii())
    }

    /// The file that the path names.
    pub(crate) fn target(&self) -> Result<Target, crate::files::Refusal> {
        Target::parse(&self.path)
    }
}

/// The method of a request that is malformed otherwise: the answer to HEAD must not have a body.
pub(crate) fn stated_method<T: NameValue>(fields: &[T]) -> Method {
    let is_head = |field: &T| field.name() == b":method" && field.value() == b"HEAD";
    if fields.iter().any(is_head) { Method::Head } else { Method::Unknown }
}

/// Checks a trailer section.
pub(crate) fn check_trailers<T: NameValue>(fields: &[T]) -> Result<(), Malformed> {
    if fields.iter().any(|field| field.name().starts_with(b":")) {
        return Err("a pseudo-header stands in the trailers");
    }
    Ok(())
}

/// The pseudo-headers, each allowed once.
#[derive(Default)]
struct Pseudo {
    method: Option<Vec<u8>>,
    scheme: Option<Vec<u8>>,
    authority: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
}

impl Pseudo {
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let place = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            _ => return Err("an unknown pseudo-header"),
        };
        if place.replace(value.to_vec()).is_some() {
            return Err("a pseudo-header stands twice");
        }
        Ok(())
    }

    fn finish(self, host: Option<&[u8]>) -> Result<(Method, Vec<u8>), Malformed> {
        let method = match self.method.as_deref().ok_or("there is no :method")? {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" | b"PUT" => Method::Upload,
            // CONNECT has neither scheme nor path; it is refused like all unknown methods.
            b"CONNECT" => return Ok((Method::Unknown, Vec::new())),
            name if is_token(name) => Method::Unknown,
            _ => return Err(":method is not a method's name"),
        };
        if self.scheme.is_none_or(|scheme| scheme.is_empty()) {
            return Err("there is no :scheme");
        }
        match (self.authority.as_deref(), host) {
            (None, None) | (Some(b""), _) => return Err("there is no :authority"),
            (Some(authority), Some(host)) if authority != host => {
                return Err(":authority and host differ");
            }
            _ => {}
        }
        let mut path = self.path.ok_or("there is no :path")?;
        if path.is_empty() || !path.iter().all(u8::is_ascii_graphic) || path.contains(&b'#') {
            return Err(":path is not a path");
        }
        if let Some(query) = path.iter().position(|byte| *byte == b'?') {
            path.truncate(query);
        }
        Ok((method, path))
    }
}

/// The headers that mean something to the server.
#[derive(Default)]
struct Regular {
    host: Option<Vec<u8>>,
    content_length: Option<u64>,
    is_partial: bool,
    conditions: Conditions,
    priority: Priority,
}

impl Regular {
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if !is_token(name) || name.iter().any(u8::is_ascii_uppercase) {
            return Err("a header's name is not valid");
        }
        match name {
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding"
            | b"upgrade" => return Err("a header belongs to HTTP/1.1"),
            b"te" if value != b"trailers" => return Err("te is not \"trailers\""),
            b"host" if self.host.is_some() => return Err("host stands twice"),
            b"host" => self.host = Some(value.to_vec()),
            b"content-length" => {
                let length = parse_length(value).ok_or("content-length is not a length")?;
                if self.content_length.replace(length).is_some_and(|other| other != length) {
                    return Err("content-length stands twice, with different values");
                }
            }
            b"priority" => self.priority = Priority::parse(value),
            b"content-range" => self.is_partial = true,
            _ => self.conditions.take(name, value),
        }
        Ok(())
    }
}

/// Digits only: "+5", "5 " and "5, 5" are refused. At most what a stream can carry.
fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(value).ok()?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?.filter(|length| *length < 1 << 62)
}

/// RFC 9110, 5.6.2.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
