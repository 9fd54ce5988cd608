//! What the HTTP/3 peer answers, by path: the paths of Firefox's own test server, and some more.
//!
//! | path | answer |
//! |---|---|
//! | `/N` | N bytes of the [pattern](crate::loopback::pattern) |
//! | `/post` | when the request's body has ended: its length in `x-data-received-length` |
//! | `/upload…` | the same; the body must be the pattern |
//! | `/no_body`, `/no_content` | 200 and the end; 204 and the end |
//! | `/no_content_length` | 4000 bytes without `Content-Length` |
//! | `/content_length_smaller` | says 4000 and sends 8000 bytes |
//! | `/content_length_larger` | says 8000 and sends 4000 bytes |
//! | `/RequestCancelled`, `/RequestRejected`, `/VersionFallback` | `STOP_SENDING` and `RESET_STREAM` |
//! | `/EarlyResponse` | at once `STOP_SENDING(H3_NO_ERROR)`, then 200 and 1000 bytes |
//! | `/103_response` | two interim heads, then 200 and 1000 bytes |
//! | `/drip/N/PIECE/MS` | N bytes, PIECE at a time, MS milliseconds apart |
//! | `/reset_after/N` | says twice N, sends N bytes; [a later call](super::Http3ServerPeer::reset) resets it |
//! | `/silent` | nothing |
//! | `/missing` | 404 with a short text |

use std::time::Duration;

use neqo_common::Header;

/// Where request bodies are the pattern.
pub(super) const UPLOAD: &str = "/upload";

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) interim: Vec<Vec<Header>>,
    pub(super) head: Vec<Header>,
    /// Bytes of the pattern.
    pub(super) body: u64,
    /// At most so many bytes at a time, and so long between them.
    pub(super) drip: Option<(u64, Duration)>,
    /// `STOP_SENDING` before anything else.
    pub(super) stop_sending: Option<u64>,
    pub(super) end: End,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Fin,
    /// Instead of any answer.
    Reset(u64),
    /// None for now.
    Open,
}

/// When a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    Now(Answer),
    /// When its body has ended, with that body's length.
    AfterBody,
    Never,
}

/// What the path says.
pub(super) fn plan(method: &str, path: &str) -> Plan {
    let mut parts = path.trim_start_matches('/').split('/');
    let name = parts.next().unwrap_or_default();
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok()).unwrap_or_default();
    let mut answer = match name {
        "post" | "upload" => return Plan::AfterBody,
        "silent" => return Plan::Never,
        "no_body" => Answer { head: head("200", None), ..Answer::default() },
        "no_content" => Answer { head: head("204", None), ..Answer::default() },
        "no_content_length" => Answer { body: 4000, head: head("200", None), ..Answer::default() },
        "content_length_smaller" => stating(4000, 8000),
        "content_length_larger" => stating(8000, 4000),
        "RequestCancelled" => reset(0x10c),
        "RequestRejected" => reset(0x10b),
        "VersionFallback" => reset(0x110),
        "EarlyResponse" => Answer { stop_sending: Some(0x100), ..stating(1000, 1000) },
        "103_response" => Answer { interim: vec![head("103", None); 2], ..stating(1000, 1000) },
        "drip" => {
            let (length, piece, pause) = (number(), number(), number());
            let drip = Some((piece.max(1), Duration::from_millis(pause)));
            Answer { drip, ..stating(length, length) }
        }
        "reset_after" => {
            let length = number();
            Answer { end: End::Open, ..stating(2 * length, length) }
        }
        "missing" => Answer { head: head("404", Some(9)), body: 9, ..Answer::default() },
        digits => {
            let length = digits.parse().unwrap_or_default();
            stating(length, length)
        }
    };
    if method == "HEAD" {
        answer.body = 0;
    }
    Plan::Now(answer)
}

/// The answer to a request that was not meant for this server.
pub(super) fn misdirected() -> Answer {
    Answer { head: head("421", Some(0)), ..Answer::default() }
}

/// The answer to a request that the server wants after the handshake.
pub(super) fn too_early() -> Answer {
    Answer { head: head("425", Some(0)), ..Answer::default() }
}

/// The answer to a request with a body.
pub(super) fn received(length: u64) -> Answer {
    let mut head = head("200", Some(0));
    head.push(Header::new("x-data-received-length", length.to_string()));
    Answer { head, ..Answer::default() }
}

fn head(status: &str, content_length: Option<u64>) -> Vec<Header> {
    let mut head = vec![Header::new(":status", status), Header::new("server", "neqo")];
    head.extend(content_length.map(|length| Header::new("content-length", length.to_string())));
    head
}

fn stating(content_length: u64, body: u64) -> Answer {
    Answer { head: head("200", Some(content_length)), body, ..Answer::default() }
}

fn reset(code: u64) -> Answer {
    Answer { stop_sending: Some(code), end: End::Reset(code), ..Answer::default() }
}
