//! Requests as bytes.

use bytes::{BufMut as _, BytesMut};
use http::{HeaderName, header};
use transaction::RequestHead;

/// How the server finds the end of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is none.
    None,
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// The head, with the empty line. Whatever could end a line early is left out: `RequestHead` lets nothing of
/// that kind through, so this is the second lock on the same door.
pub fn write_head(head: &RequestHead, framing: BodyFraming) -> BytesMut {
    let mut out = BytesMut::with_capacity(512);
    put(&mut out, head.method().as_str().as_bytes(), true);
    out.put_u8(b' ');
    put(&mut out, head.path().as_bytes(), true);
    out.put_slice(b" HTTP/1.1\r\nHost: ");
    put(&mut out, head.authority().as_bytes(), true);
    out.put_slice(b"\r\n");
    for (name, value) in head.headers() {
        if !is_framing(name) || (framing == BodyFraming::Length && *name == header::CONTENT_LENGTH)
        {
            field(&mut out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if framing == BodyFraming::Chunked {
        field(&mut out, b"Transfer-Encoding", b"chunked");
    }
    out.put_slice(b"\r\n");
    out
}

/// Fields that say where a message ends, or how the connection goes on: they are this program's to say.
fn is_framing(name: &HeaderName) -> bool {
    [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::HOST,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
    ]
    .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

fn field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    put(out, name, true);
    out.put_slice(b": ");
    put(out, value, false);
    out.put_slice(b"\r\n");
}

/// Without line breaks and NUL, and where it is one word without spaces.
fn put(out: &mut BytesMut, text: &[u8], word: bool) {
    let harmful = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0) || word && *byte == b' ';
    if text.iter().any(harmful) {
        out.extend(text.iter().filter(|byte| !harmful(byte)));
    } else {
        out.put_slice(text);
    }
}

/// Frames a piece of a chunked body, which must not be empty: an empty chunk is the last.
pub fn write_chunk(out: &mut BytesMut, piece: &[u8]) {
    out.put_slice(format!("{:x}\r\n", piece.len()).as_bytes());
    out.put_slice(piece);
    out.put_slice(b"\r\n");
}

/// The end of a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};
    use proptest::prelude::*;

    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> RequestHead {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        RequestHead::new(Method::POST, "https", "a.example:8443", "/p?q", &headers).unwrap()
    }

    #[test]
    fn a_head_is_written_in_the_usual_order() {
        let head = head(&[("accept", "*/*"), ("content-length", "5"), ("x-a", "b")]);
        let text = write_head(&head, BodyFraming::Length);
        let expected = "POST /p?q HTTP/1.1\r\nHost: a.example:8443\r\naccept: */*\r\n\
                        content-length: 5\r\nx-a: b\r\n\r\n";
        assert_eq!(text, expected.as_bytes());
    }

    #[test]
    fn fields_that_say_where_a_message_ends_are_never_the_applications() {
        let head = head(&[
            ("content-length", "5"),
            ("transfer-encoding", "gzip, chunked"),
            ("connection", "x-a"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAA"),
            ("trailer", "x"),
            ("host", "b.example"),
        ]);
        let chunked = write_head(&head, BodyFraming::Chunked);
        let expected =
            "POST /p?q HTTP/1.1\r\nHost: a.example:8443\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(chunked, expected.as_bytes());
        let none = write_head(&head, BodyFraming::None);
        assert_eq!(none, &b"POST /p?q HTTP/1.1\r\nHost: a.example:8443\r\n\r\n"[..]);
    }

    proptest! {
        #[test]
        fn whatever_is_put_into_a_head_it_stays_one_head(
            path in "\\PC*",
            authority in "\\PC*",
            fields in prop::collection::vec(("[!-9;-~]{1,12}", prop::collection::vec(any::<u8>(), 0..40)), 0..8),
        ) {
            let mut headers = HeaderMap::new();
            let mut expected = 0;
            for (name, value) in fields {
                let name = HeaderName::from_bytes(name.as_bytes());
                if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&value)) {
                    headers.append(name, value);
                }
            }
            if let Ok(head) = RequestHead::new(Method::GET, "https", &authority, &path, &headers) {
                expected += head.headers().keys().filter(|name| !is_framing(name)).map(|name| head.headers().get_all(name).iter().count()).sum::<usize>();
                let bytes = write_head(&head, BodyFraming::None);
                let lines: Vec<_> = bytes[..].split(|byte| *byte == b'\n').collect();
                // The request line, Host, the fields, the empty line, and nothing behind it.
                prop_assert_eq!(lines.len(), 2 + expected + 2);
                let (last, lines) = lines.split_last().unwrap();
                prop_assert!(last.is_empty());
                for line in lines {
                    let (end, line) = line.split_last().unwrap();
                    prop_assert_eq!(*end, b'\r');
                    prop_assert!(!line.contains(&b'\r') && !line.contains(&0));
                }
                prop_assert_eq!(lines[0].iter().filter(|byte| **byte == b' ').count(), 2);
            }
        }

        #[test]
        fn the_second_lock_holds_without_the_first(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut out = BytesMut::new();
            put(&mut out, &text, true);
            let is_harmful = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0 | b' ');
            prop_assert!(!out.iter().any(is_harmful));
            let kept: Vec<_> = text.into_iter().filter(|byte| !is_harmful(byte)).collect();
            prop_assert_eq!(&out[..], &kept[..]);
        }
    }
}
