//! A request's head as bytes.
//!
//! Everything in it was checked when the [`RequestHead`] was made; it is checked once more here, where a line
//! break would become a second field, or a second request. What can't be sent safely is refused, never repaired.

use http::{Method, header};
use transaction::{HttpTransaction, NetError, RequestHead};

/// How the server learns where the request's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// In chunks, the last of which is empty.
    Chunked,
}

/// What is to be sent, and how to go on after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Serialised {
    pub(crate) bytes: Vec<u8>,
    pub(crate) framing: BodyFraming,
    /// The body waits for 100.
    pub(crate) expects_continue: bool,
}

/// Fields that are the connection's affair, or that say where the body ends: written here or not at all.
const NEVER_COPIED: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Turns a request's head into bytes.
///
/// # Errors
/// Something in it would not arrive as what it is.
pub(crate) fn serialise(transaction: &HttpTransaction) -> Result<Serialised, NetError> {
    let head = transaction.request();
    let framing = framing(head.method(), transaction.body_length());
    write(head, framing)
}

/// A length is stated where there is a body, or where the method means one (RFC 9110 §8.6).
fn framing(method: &Method, length: Option<u64>) -> BodyFraming {
    match length {
        Some(0) if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {
            BodyFraming::None
        }
        Some(length) => BodyFraming::Length(length),
        None => BodyFraming::Chunked,
    }
}

fn write(head: &RequestHead, framing: BodyFraming) -> Result<Serialised, NetError> {
    let has_body = !matches!(framing, BodyFraming::None | BodyFraming::Length(0));
    let mut lines = Lines(Vec::with_capacity(512));
    lines.request_line(head.method().as_str(), head.path())?;
    lines.field("Host", host(head.authority()))?;
    let mut expects_continue = false;
    for (name, value) in head.headers() {
        if NEVER_COPIED.contains(&name.as_str()) {
            continue;
        }
        if *name == header::EXPECT {
            // Without a body there is nothing to wait with (RFC 9110 §10.1.1).
            if !has_body {
                continue;
            }
            expects_continue |= value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        }
        lines.field(name.as_str(), value.as_bytes())?;
    }
    match framing {
        BodyFraming::None => {}
        BodyFraming::Length(length) => {
            lines.field("content-length", length.to_string().as_bytes())?;
        }
        BodyFraming::Chunked => lines.field("transfer-encoding", b"chunked")?,
    }
    lines.0.extend_from_slice(b"\r\n");
    Ok(Serialised { bytes: lines.0, framing, expects_continue })
}

/// Host and port; what stands before an `@` is nobody's business but the application's.
fn host(authority: &str) -> &[u8] {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host).as_bytes()
}

/// The lines that were written.
struct Lines(Vec<u8>);

impl Lines {
    fn request_line(&mut self, method: &str, path: &str) -> Result<(), NetError> {
        check("method", method.as_bytes(), |byte| byte > b' ' && byte != 0x7f)?;
        check("path", path.as_bytes(), |byte| byte > b' ' && byte != 0x7f)?;
        for part in [method, " ", path, " HTTP/1.1\r\n"] {
            self.0.extend_from_slice(part.as_bytes());
        }
        Ok(())
    }

    fn field(&mut self, name: &str, value: &[u8]) -> Result<(), NetError> {
        check("field name", name.as_bytes(), |byte| byte > b' ' && byte < 0x7f && byte != b':')?;
        check("field value", value, |byte| (byte >= b' ' && byte != 0x7f) || byte == b'\t')?;
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.0.extend_from_slice(part);
        }
        Ok(())
    }
}

fn check(what: &str, bytes: &[u8], allowed: impl Fn(u8) -> bool) -> Result<(), NetError> {
    match bytes.iter().find(|byte| !allowed(**byte)) {
        Some(byte) => Err(NetError::InvalidRequest(format!("the byte 0x{byte:02x} in a {what}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_byte_that_would_end_a_line_is_refused_wherever_it_stands() {
        for bad in ["\r", "\n", "\0", "\r\nx: y", "\u{7f}"] {
            let text = format!("a{bad}b");
            let mut lines = Lines(Vec::new());
            assert!(lines.request_line(&text, "/").is_err(), "{text:?}");
            assert!(lines.request_line("GET", &text).is_err(), "{text:?}");
            assert!(lines.field(&text, b"x").is_err(), "{text:?}");
            assert!(lines.field("x", text.as_bytes()).is_err(), "{text:?}");
            assert_eq!(lines.0, b"", "nothing of it is written");
        }
        let mut lines = Lines(Vec::new());
        assert!(lines.request_line("GET", "/a b").is_err(), "it would end the path");
        assert!(lines.field("a b", b"x").is_err());
        assert!(lines.field("a:b", b"x").is_err());
    }

    #[test]
    fn who_asks_is_not_told_to_the_host_field() {
        assert_eq!(host("user:word@a.example:8443"), b"a.example:8443");
        assert_eq!(host("a.example"), b"a.example");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_one_line(
            name in prop::collection::vec(any::<u8>(), 0..10),
            value in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut lines = Lines(Vec::new());
            let name = String::from_utf8_lossy(&name).into_owned();
            let written = lines.field(&name, &value).is_ok();
            let (request, path) = (name, String::from_utf8_lossy(&value).into_owned());
            let written = usize::from(written) + usize::from(lines.request_line(&request, &path).is_ok());
            let breaks = lines.0.iter().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
            prop_assert_eq!(breaks, 2 * written);
            prop_assert!(written == 0 || lines.0.ends_with(b"\r\n"));
        }
    }
}
