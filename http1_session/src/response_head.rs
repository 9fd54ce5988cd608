//! A response's head from its bytes, and where its body ends (RFC 9112 §6.3).

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use transaction::{NetError, ResponseHead};

use crate::malformed;

/// How many fields a head, or the trailers, may have.
pub(crate) const MAX_FIELDS: usize = 256;

/// How a response says where its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// There is none, or so many bytes.
    Length(u64),
    Chunked,
    /// The end of the connection is the end.
    UntilClose,
}

/// Reads a whole head. A line may end in LF alone (RFC 9112 §2.2); CR alone, a folded line, and a space before
/// a colon are refused, because another reader would see other fields in them.
///
/// # Errors
/// It is none.
pub(crate) fn parse(bytes: &[u8]) -> Result<ResponseHead, NetError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(malformed("a head that ends where it should not")),
        Err(error) => return Err(malformed(format!("the head: {error}"))),
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| malformed("a status code below 100"))?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(malformed("another protocol (101), which was not asked for"));
    }
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    Ok(ResponseHead { status, version, headers: field_map(parsed.headers)? })
}

/// The fields, with their values as they are.
pub(crate) fn field_map(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, NetError> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(malformed(format!("the field {:?}", field.name)));
        };
        map.append(name, value);
    }
    Ok(map)
}

/// Where the body of this final response to a request with `method` ends.
///
/// # Errors
/// The head says two different things, or something that this reader doesn't understand: whoever guesses takes
/// somebody else's bytes for a response.
pub(crate) fn framing(head: &ResponseHead, method: &Method) -> Result<BodyFraming, NetError> {
    let length = head.body_length(method).map_err(NetError::MalformedResponse)?;
    let bodyless = *method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bodyless {
        return Ok(BodyFraming::Length(0));
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(length.map_or(BodyFraming::UntilClose, BodyFraming::Length));
    };
    if length.is_some() {
        return Err(malformed("both Content-Length and Transfer-Encoding"));
    }
    if head.version == Version::HTTP_10 {
        return Err(malformed("Transfer-Encoding in HTTP/1.0"));
    }
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(malformed("a Transfer-Encoding other than chunked"));
    }
    Ok(BodyFraming::Chunked)
}
