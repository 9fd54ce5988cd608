//! Where a response's body ends (RFC 9112 §6.3).

use http::{HeaderMap, Method, StatusCode, Version, header};
use transaction::ResponseHead;

use crate::chunked::ChunkedDecoder;

/// How the end of a body is found.
#[derive(Debug)]
pub(crate) enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// By the chunked coding.
    Chunked(ChunkedDecoder),
    /// With the connection's.
    UntilClose,
}

impl Framing {
    /// The framing of a final response.
    ///
    /// # Errors
    /// What is wrong, in words: whatever two readers could read differently.
    pub(crate) fn of(head: &ResponseHead, method: &Method) -> Result<Self, String> {
        if *method == Method::HEAD
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Ok(Self::Length(0));
        }
        let length = head.body_length(method)?;
        let coded = head.headers.contains_key(header::TRANSFER_ENCODING);
        match length {
            Some(_) if coded => Err("both Content-Length and Transfer-Encoding".into()),
            Some(length) => Ok(Self::Length(length)),
            None if coded => {
                if head.version == Version::HTTP_10 {
                    return Err("Transfer-Encoding in HTTP/1.0".into());
                }
                check_coding(&head.headers)?;
                Ok(Self::Chunked(ChunkedDecoder::new()))
            }
            None => Ok(Self::UntilClose),
        }
    }
}

/// Exactly `chunked`, once.
fn check_coding(headers: &HeaderMap) -> Result<(), String> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next().map(|coding| coding.as_bytes().trim_ascii());
    if first.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
    {
        Ok(())
    } else {
        Err("a Transfer-Encoding other than chunked".into())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn framing(
        status: u16,
        version: Version,
        fields: &[(&'static str, &'static str)],
        method: &Method,
    ) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let status = StatusCode::from_u16(status).unwrap();
        match Framing::of(&ResponseHead { status, version, headers }, method) {
            Ok(Framing::Length(length)) => length.to_string(),
            Ok(Framing::Chunked(_)) => "chunked".into(),
            Ok(Framing::UntilClose) => "close".into(),
            Err(_) => "error".into(),
        }
    }

    #[test]
    fn the_end_of_a_body_has_one_source_or_is_an_error() {
        const CL: &str = "content-length";
        const TE: &str = "transfer-encoding";
        let (get, head) = (&Method::GET, &Method::HEAD);
        let (v10, v11) = (Version::HTTP_10, Version::HTTP_11);
        type Case<'a> = (u16, Version, &'a [(&'static str, &'static str)], &'a Method, &'a str);
        let cases: [Case<'_>; 22] = [
            (200, v11, &[], get, "close"),
            (200, v11, &[(CL, "5")], get, "5"),
            (200, v10, &[(CL, "5")], get, "5"),
            (200, v11, &[(CL, "5"), (CL, "5")], get, "5"),
            (200, v11, &[(CL, "5, 5")], get, "5"),
            (200, v11, &[(CL, "5"), (CL, "6")], get, "error"),
            (200, v11, &[(CL, "5, 6")], get, "error"),
            (200, v11, &[(CL, "-5")], get, "error"),
            (200, v11, &[(CL, "5 5")], get, "error"),
            (200, v11, &[(CL, "")], get, "error"),
            (200, v11, &[(CL, "99999999999999999999")], get, "error"),
            (200, v11, &[(TE, "chunked")], get, "chunked"),
            (200, v11, &[(TE, "Chunked ")], get, "chunked"),
            (200, v10, &[(TE, "chunked")], get, "error"),
            (200, v11, &[(TE, "chunked"), (CL, "5")], get, "error"),
            (200, v11, &[(TE, "gzip, chunked")], get, "error"),
            (200, v11, &[(TE, "identity")], get, "error"),
            (200, v11, &[(TE, "chunked"), (TE, "chunked")], get, "error"),
            (200, v11, &[(TE, "xchunked")], get, "error"),
            (200, v11, &[(CL, "5")], head, "0"),
            (204, v11, &[(TE, "chunked")], get, "0"),
            (304, v11, &[(CL, "5")], get, "0"),
        ];
        for (status, version, fields, method, expected) in cases {
            let found = framing(status, version, fields, method);
            assert_eq!(found, expected, "{status} {version:?} {fields:?} {method}");
        }
    }
}
