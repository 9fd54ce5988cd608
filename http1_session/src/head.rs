//! Response heads, collected until they are whole.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use transaction::ResponseHead;

/// What a head may take (necko's `network.http.max_response_header_size`).
const MAX_HEAD: usize = 393_216;

/// How many fields a head may have.
const MAX_FIELDS: usize = 512;

/// A head that is being received.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    bytes: Vec<u8>,
}

/// What came of more bytes.
#[derive(Debug)]
pub(crate) enum Collected {
    /// It is not whole. All bytes were taken.
    Incomplete,
    /// It is, after so many of these bytes.
    Whole(ResponseHead, usize),
}

impl HeadReader {
    /// Whether nothing came of it yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes bytes up to the head's end.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn collect(&mut self, bytes: &[u8]) -> Result<Collected, String> {
        let before = self.bytes.len();
        let room = MAX_HEAD.saturating_sub(before);
        self.bytes.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        self.check_beginning()?;
        // Two line ends in a row, of which one may have been here before.
        let Some(end) = end_of_head(&self.bytes, before.saturating_sub(3)) else {
            if self.bytes.len() >= MAX_HEAD {
                return Err(format!("a head of more than {MAX_HEAD} bytes"));
            }
            return Ok(Collected::Incomplete);
        };
        let head = parse(self.bytes.get(..end).unwrap_or_default())?;
        self.bytes.clear();
        Ok(Collected::Whole(head, end.saturating_sub(before)))
    }

    /// What doesn't even begin like a head is not waited for.
    fn check_beginning(&self) -> Result<(), String> {
        let begins = b"HTTP/1.";
        let length = self.bytes.len().min(begins.len());
        if self.bytes.get(..length) == begins.get(..length) {
            Ok(())
        } else {
            Err("it does not begin with HTTP/1.x".into())
        }
    }
}

/// The length of the head, with its empty line, if it is whole. Looks from `from` on.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').find_map(|(at, _)| {
        let behind = rest.get(at + 1..)?;
        if behind.starts_with(b"\n") {
            Some(from + at + 2)
        } else if behind.starts_with(b"\r\n") {
            Some(from + at + 3)
        } else {
            None
        }
    })
}

fn parse(bytes: &[u8]) -> Result<ResponseHead, String> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err("a head that ends where it doesn't".into()),
        Err(error) => return Err(format!("a head that is none: {error}")),
    }
    let version = match response.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or("a head without a status")?;
    Ok(ResponseHead { status, version, headers: fields_of(response.headers)? })
}

/// Fields, as they may be used.
pub(crate) fn fields_of(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| format!("a field with the name {:?}", field.name))?;
        let value = HeaderValue::from_bytes(field.value)
            .map_err(|_| format!("a control character in the field {name}"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<(ResponseHead, usize), String> {
        match HeadReader::default().collect(text.as_bytes())? {
            Collected::Whole(head, taken) => Ok((head, taken)),
            Collected::Incomplete => Err("incomplete".into()),
        }
    }

    #[test]
    fn a_head_is_the_same_wherever_it_is_divided() {
        let text = "HTTP/1.1 200 OK\r\nA: b\r\na: c\r\n\r\nbody";
        for at in 0..text.len() {
            let mut reader = HeadReader::default();
            let (one, other) = text.as_bytes().split_at(at);
            let (head, taken) = match reader.collect(one).unwrap() {
                Collected::Whole(head, taken) => (head, taken),
                Collected::Incomplete => match reader.collect(other).unwrap() {
                    Collected::Whole(head, taken) => (head, at + taken),
                    Collected::Incomplete => panic!("divided at {at}"),
                },
            };
            assert_eq!((head.status.as_u16(), taken), (200, text.len() - 4));
            let values: Vec<_> = head.headers.get_all("a").iter().collect();
            assert_eq!(values, ["b", "c"]);
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn what_is_no_head_of_http_1_is_refused() {
        for text in [
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "<html>",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 99 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
        ] {
            assert!(whole(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn http_1_0_and_lone_line_feeds_are_understood() {
        let (head, taken) = whole("HTTP/1.0 404 Not\u{e9}\nA: b\n\n").unwrap();
        assert_eq!((head.version, head.status.as_u16(), taken), (Version::HTTP_10, 404, 25));
    }

    #[test]
    fn a_head_has_a_largest_size_and_number_of_fields() {
        let many = "a: b\r\n".repeat(MAX_FIELDS);
        assert!(whole(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).is_ok());
        assert!(whole(&format!("HTTP/1.1 200 OK\r\n{many}a: b\r\n\r\n")).is_err());
        let mut reader = HeadReader::default();
        assert!(matches!(reader.collect(b"HTTP/1.1 200 OK\r\nA: "), Ok(Collected::Incomplete)));
        let piece = vec![b'x'; 100_000];
        for _ in 0..3 {
            assert!(matches!(reader.collect(&piece), Ok(Collected::Incomplete)));
        }
        assert!(reader.collect(&piece).is_err());
        assert!(reader.bytes.len() <= MAX_HEAD);
    }
}
