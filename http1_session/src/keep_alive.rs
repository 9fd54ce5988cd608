//! Whether the server keeps a connection, and how long.

use std::time::Duration;

use http::{HeaderMap, Version, header};
use transaction::ResponseHead;

/// What the last response said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeepAlive {
    /// The server closes an unused connection after so long (`Keep-Alive: timeout`).
    pub timeout: Option<Duration>,
    /// It takes so many more requests (`Keep-Alive: max`).
    pub max: Option<u64>,
}

impl KeepAlive {
    /// From a response's fields; what is malformed says nothing.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for value in headers.get_all("keep-alive") {
            for parameter in value.to_str().unwrap_or_default().split(',') {
                let Some((name, number)) = parameter.split_once('=') else { continue };
                let Ok(number) = number.trim().trim_matches('"').parse::<u32>() else { continue };
                match name.trim().to_ascii_lowercase().as_str() {
                    "timeout" => found.timeout = Some(Duration::from_secs(number.into())),
                    "max" => found.max = Some(number.into()),
                    _ => {}
                }
            }
        }
        found
    }
}

/// Whether the connection goes on after this response (RFC 9112 §9.3).
pub(crate) fn goes_on(head: &ResponseHead) -> bool {
    let says = |what: &str| {
        let values = head.headers.get_all(header::CONNECTION).iter();
        let mut tokens = values.flat_map(|value| value.to_str().unwrap_or("close").split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case(what))
    };
    if says("close") || KeepAlive::of(&head.headers).max == Some(0) {
        return false;
    }
    head.version == Version::HTTP_11 || says("keep-alive")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, StatusCode};

    use super::*;

    fn head(version: Version, fields: &[(&'static str, &'static str)]) -> ResponseHead {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        ResponseHead { status: StatusCode::OK, version, headers }
    }

    #[test]
    fn m5_whether_a_connection_goes_on_is_the_versions_and_the_fields_to_say() {
        let (v10, v11) = (Version::HTTP_10, Version::HTTP_11);
        for (version, fields, expected) in [
            (v11, &[][..], true),
            (v10, &[], false),
            (v10, &[("connection", "Keep-Alive")], true),
            (v11, &[("connection", "close")], false),
            (v11, &[("connection", "x, CLOSE ")], false),
            (v11, &[("connection", "x"), ("connection", "close")], false),
            (v10, &[("connection", "keep-alive, close")], false),
            (v11, &[("connection", "closer")], true),
            (v11, &[("keep-alive", "timeout=5, max=0")], false),
            (v11, &[("keep-alive", "timeout=5, max=1")], true),
        ] {
            assert_eq!(goes_on(&head(version, fields)), expected, "{version:?} {fields:?}");
        }
    }

    #[test]
    fn what_is_malformed_says_nothing() {
        let of = |value| KeepAlive::of(&head(Version::HTTP_11, &[("keep-alive", value)]).headers);
        let timeout = Some(Duration::from_secs(5));
        assert_eq!(of("timeout=5, max=100"), KeepAlive { timeout, max: Some(100) });
        assert_eq!(of("Timeout = \"5\""), KeepAlive { timeout, max: None });
        for value in ["", "timeout", "timeout=", "timeout=-1", "timeout=99999999999", "max=x"] {
            assert_eq!(of(value), KeepAlive::default(), "{value:?}");
        }
    }
}
