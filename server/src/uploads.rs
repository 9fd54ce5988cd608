//! Request bodies on their way in.
//!
//! A body is pulled: what is not read stays in the engine, whose flow control then holds the client
//! back. For now a body is counted and thrown away.

use crate::{priority::Priority, requests::Request};

/// One request body.
#[derive(Debug)]
pub(crate) struct Upload {
    received: u64,
    expected: Option<u64>,
    pub(crate) priority: Priority,
    /// The engine has reported bytes that were not all read: it will not report them again.
    pub(crate) readable: bool,
}

/// What is wrong with a body (RFC 9114, 4.1.2).
pub(crate) type Malformed = &'static str;

impl Upload {
    pub(crate) fn new(request: &Request) -> Self {
        Self {
            received: 0,
            expected: request.content_length,
            priority: request.priority,
            readable: false,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.received += bytes.len() as u64;
        match self.expected {
            Some(expected) if self.received > expected => {
                Err("the body is longer than content-length says")
            }
            _ => Ok(()),
        }
    }

    /// The end has come. Returns the length of the body.
    pub(crate) fn finish(&self) -> Result<u64, Malformed> {
        match self.expected {
            Some(expected) if self.received < expected => {
                Err("the body is shorter than content-length says")
            }
            _ => Ok(self.received),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(length: &'static str) -> Upload {
        let mut fields = vec![
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/"),
        ];
        if !length.is_empty() {
            fields.push(("content-length", length));
        }
        Upload::new(&Request::parse(&fields).unwrap())
    }

    #[test]
    fn bytes_are_counted_and_compared_with_what_was_announced() {
        let mut exact = upload("5");
        assert!(exact.take(b"abc").is_ok());
        assert!(exact.finish().is_err(), "too short");
        assert!(exact.take(b"de").is_ok());
        assert_eq!(exact.finish(), Ok(5));
        assert!(exact.take(b"f").is_err(), "too long");

        let mut unknown = upload("");
        assert_eq!(unknown.finish(), Ok(0));
        assert!(unknown.take(&[0; 1000]).is_ok());
        assert_eq!(unknown.finish(), Ok(1000));
    }
}
