//! A response body in chunks, taken apart strictly (RFC 9112 §7.1).
//!
//! ```text
//!   Size ──► Extension ──► SizeLf ──► Data ──► DataCr ──► DataLf ──► Size …
//!                             │ 0
//!                             └──► Trailers ──► Done
//! ```
//!
//! A size is one to sixteen hexadecimal digits and nothing else; lines end in CRLF and nothing less. Extensions
//! are skipped, and there may not be many of them; trailers are kept.

use http::HeaderMap;
use transaction::NetError;

use crate::{
    malformed,
    response_head::{MAX_FIELDS, field_map},
};

/// Bytes of extensions in one body: nobody uses them but to keep a client busy.
const MAX_EXTENSIONS: u32 = 16 * 1024;

/// Bytes of trailers.
const MAX_TRAILERS: usize = 64 * 1024;

/// Fields that mean nothing behind a body, or would mean something dangerous (RFC 9110 §6.5.1).
const NO_TRAILERS: [&str; 9] = [
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

/// Takes one body apart.
#[derive(Debug)]
pub(crate) struct ChunkDecoder {
    state: State,
    extensions: u32,
}

#[derive(Debug)]
enum State {
    Size {
        size: u64,
        digits: u8,
    },
    /// `name` says that the semicolon was there; before it only space may stand.
    Extension {
        size: u64,
        name: bool,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    Trailers {
        bytes: Vec<u8>,
        line: Line,
    },
    Done {
        trailers: HeaderMap,
    },
}

/// What the present line of the trailers has so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Nothing,
    Text,
    /// CR; `empty` says that nothing stood before it.
    Cr {
        empty: bool,
    },
}

/// The start of a chunk.
const CHUNK: State = State::Size { size: 0, digits: 0 };

impl ChunkDecoder {
    pub(crate) fn new() -> Self {
        Self { state: CHUNK, extensions: 0 }
    }

    /// Whether the end was there.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done { .. })
    }

    /// The trailers, after the end; once.
    pub(crate) fn take_trailers(&mut self) -> HeaderMap {
        match &mut self.state {
            State::Done { trailers } => std::mem::take(trailers),
            _ => HeaderMap::new(),
        }
    }

    /// Bytes that it keeps.
    pub(crate) fn buffered(&self) -> usize {
        match &self.state {
            State::Trailers { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// Takes `input` apart and puts the data in it into `output`, until one of them is used up or the body is
    /// done. Answers how many bytes it took and how many it gave.
    ///
    /// # Errors
    /// It is no chunk. What was good before that is answered first; the next call has the error.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(usize, usize), NetError> {
        let (mut taken, mut given) = (0, 0);
        while let Some(byte) = input.get(taken)
            && !self.is_done()
        {
            if let State::Data { left } = &mut self.state {
                let count = copy(*left, input, taken, output, given);
                if count == 0 {
                    break;
                }
                *left -= count as u64;
                if *left == 0 {
                    self.state = State::DataCr;
                }
                (taken, given) = (taken + count, given + count);
                continue;
            }
            match self.frame(*byte) {
                Ok(()) => taken += 1,
                Err(_) if given > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok((taken, given))
    }

    /// Takes one byte that is no data. A byte that is refused changes nothing.
    fn frame(&mut self, byte: u8) -> Result<(), NetError> {
        let next = match (&mut self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if *digits == 16 {
                    return Err(malformed("a chunk size of more than sixteen digits"));
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                State::Size { size: (*size << 4) | u64::from(digit), digits: *digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(malformed("a chunk without a size")),
            (State::Size { size, .. } | State::Extension { size, name: true }, b'\r') => {
                State::SizeLf { size: *size }
            }
            (State::Size { size, .. } | State::Extension { size, .. }, b';') => {
                let size = *size;
                self.count_extension()?;
                State::Extension { size, name: true }
            }
            (State::Size { size, .. } | State::Extension { size, name: false }, b' ' | b'\t') => {
                let size = *size;
                self.count_extension()?;
                State::Extension { size, name: false }
            }
            (State::Extension { size, name: true }, _) if byte == b'\t' || is_text(byte) => {
                let size = *size;
                self.count_extension()?;
                State::Extension { size, name: true }
            }
            (State::Size { .. } | State::Extension { .. }, _) => {
                return Err(malformed("a chunk size with something behind it"));
            }
            (State::SizeLf { size: 0 }, b'\n') => {
                State::Trailers { bytes: Vec::new(), line: Line::Nothing }
            }
            (State::SizeLf { size }, b'\n') => State::Data { left: *size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => CHUNK,
            (State::Trailers { bytes, line }, _) => {
                return match trailer(bytes, line, byte)? {
                    Some(trailers) => {
                        self.state = State::Done { trailers };
                        Ok(())
                    }
                    None => Ok(()),
                };
            }
            (State::SizeLf { .. } | State::DataCr | State::DataLf, _) => {
                return Err(malformed("a chunk that does not end in CRLF"));
            }
            (State::Data { .. } | State::Done { .. }, _) => {
                return Err(NetError::Internal("data taken for a chunk's frame"));
            }
        };
        self.state = next;
        Ok(())
    }

    fn count_extension(&mut self) -> Result<(), NetError> {
        if self.extensions >= MAX_EXTENSIONS {
            return Err(malformed(format!("more than {MAX_EXTENSIONS} bytes of chunk extensions")));
        }
        self.extensions += 1;
        Ok(())
    }
}

/// Copies what is data in the input and fits. Answers how much that was.
fn copy(left: u64, input: &[u8], taken: usize, output: &mut [u8], given: usize) -> usize {
    let from = input.get(taken..).unwrap_or_default();
    let to = output.get_mut(given..).unwrap_or_default();
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(from.len()).min(to.len());
    if let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    count
}

/// Takes one byte of the trailers. Answers them when that was the last one.
fn trailer(bytes: &mut Vec<u8>, line: &mut Line, byte: u8) -> Result<Option<HeaderMap>, NetError> {
    let next = match (*line, byte) {
        (Line::Cr { .. }, b'\n') => Line::Nothing,
        (Line::Cr { .. }, _) | (_, b'\n') => {
            return Err(malformed("a trailer that does not end in CRLF"));
        }
        (Line::Nothing, b'\r') => Line::Cr { empty: true },
        (Line::Text, b'\r') => Line::Cr { empty: false },
        (Line::Nothing | Line::Text, _) => Line::Text,
    };
    if bytes.len() >= MAX_TRAILERS {
        return Err(malformed(format!("more than {MAX_TRAILERS} bytes of trailers")));
    }
    bytes.push(byte);
    let ended = *line == Line::Cr { empty: true } && byte == b'\n';
    *line = next;
    if ended { parse_trailers(bytes).map(Some) } else { Ok(None) }
}

fn parse_trailers(bytes: &[u8]) -> Result<HeaderMap, NetError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let parsed = match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete((length, parsed))) if length == bytes.len() => parsed,
        Ok(_) => return Err(malformed("trailers that end where they should not")),
        Err(error) => return Err(malformed(format!("the trailers: {error}"))),
    };
    let mut trailers = field_map(parsed)?;
    for name in NO_TRAILERS {
        trailers.remove(name);
    }
    Ok(trailers)
}

/// Anything but a control character.
fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}
