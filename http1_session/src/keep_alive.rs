//! Whether, and for how long, a connection may be used again (RFC 9112 §9.3).

use std::time::Duration;

use http::{HeaderMap, Version, header};
use transaction::ResponseHead;

/// What a server says about its patience (`Keep-Alive: timeout=5, max=100`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeepAlive {
    /// It closes a connection that was idle for so long.
    pub timeout: Option<Duration>,
    /// It takes so many more requests.
    pub max: Option<u64>,
}

/// What the final head of a response says: nothing if the connection ends with the response.
pub(crate) fn of(head: &ResponseHead) -> Option<KeepAlive> {
    let persistent = if has_token(&head.headers, "close") {
        false
    } else {
        head.version > Version::HTTP_10 || has_token(&head.headers, "keep-alive")
    };
    let keep_alive = parse(&head.headers);
    (persistent && keep_alive.max != Some(0)).then_some(keep_alive)
}

/// Whether a `Connection` field has this token.
fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The parameters; what is no number is not there.
fn parse(headers: &HeaderMap) -> KeepAlive {
    let mut keep_alive = KeepAlive::default();
    let values = headers.get_all("keep-alive").iter().filter_map(|value| value.to_str().ok());
    for parameter in values.flat_map(|value| value.split(',')) {
        let Some((name, number)) = parameter.split_once('=') else { continue };
        let Ok(number) = number.trim().trim_matches('"').parse::<u64>() else { continue };
        match name.trim().to_ascii_lowercase().as_str() {
            "timeout" => keep_alive.timeout = Some(Duration::from_secs(number)),
            "max" => keep_alive.max = Some(number),
            _ => {}
        }
    }
    keep_alive
}
