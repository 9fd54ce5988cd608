//! The bytes of a response's head, until all of them are there.
//!
//! A head that comes byte by byte is looked at once, not once for each byte: only the end is searched for here.

use transaction::NetError;

use crate::malformed;

/// What a head may have (necko's `network.http.max_response_header_size`).
pub(crate) const MAX_HEAD: usize = 384 * 1024;

/// A server that says no version speaks HTTP/0.9, or something else.
const START: &[u8] = b"HTTP/1.";

/// Empty lines that may stand before a head: some servers send one behind a body (RFC 9112 §2.2).
const MAX_EMPTY_LINES: u8 = 4;

/// Collects one head.
#[derive(Debug, Default)]
pub(crate) struct HeadBuffer {
    bytes: Vec<u8>,
    line: Line,
    empty_lines: u8,
}

/// What the present line has so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    #[default]
    Nothing,
    Cr,
    Text,
}

impl HeadBuffer {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes bytes up to the end of the head. Answers how many, and whether that was the end.
    ///
    /// # Errors
    /// It is no head of HTTP/1, or larger than one may be.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), NetError> {
        for (taken, byte) in (1..).zip(bytes) {
            if self.take_byte(*byte)? {
                return Ok((taken, true));
            }
        }
        Ok((bytes.len(), false))
    }

    fn take_byte(&mut self, byte: u8) -> Result<bool, NetError> {
        if self.bytes.is_empty() && (matches!(byte, b'\r' | b'\n') || self.line == Line::Cr) {
            return self.empty_line(byte).map(|()| false);
        }
        if START.get(self.bytes.len()).is_some_and(|expected| *expected != byte) {
            return Err(malformed(
                "it does not begin with a status line of HTTP/1 (HTTP/0.9 is not spoken)",
            ));
        }
        if self.bytes.len() >= MAX_HEAD {
            return Err(malformed(format!("a head of more than {MAX_HEAD} bytes")));
        }
        self.bytes.push(byte);
        let (line, ended) = match (byte, self.line) {
            (b'\n', Line::Nothing | Line::Cr) => (Line::Nothing, true),
            (b'\n', Line::Text) => (Line::Nothing, false),
            (b'\r', Line::Nothing) => (Line::Cr, false),
            _ => (Line::Text, false),
        };
        self.line = line;
        Ok(ended)
    }

    /// Takes one byte of the lines before the head.
    fn empty_line(&mut self, byte: u8) -> Result<(), NetError> {
        self.line = match (byte, self.line) {
            (b'\n', _) => Line::Nothing,
            (b'\r', Line::Nothing) => Line::Cr,
            _ => return Err(malformed("CR alone before the status line")),
        };
        self.empty_lines += u8::from(byte == b'\n');
        if self.empty_lines > MAX_EMPTY_LINES {
            return Err(malformed("empty lines where a status line should be"));
        }
        Ok(())
    }

    /// The head, after its end.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
