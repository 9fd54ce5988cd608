//! The chunked coding (RFC 9112 §7.1), read strictly: a decoder that forgives is a way to smuggle.
//!
//! ```text
//!  Size ─► (Extension) ─► SizeLf ─┬─► Data ─► DataCr ─► DataLf ─► Size …
//!                                 └─ 0 ─► Trailers ─► Done
//! ```

use http::{HeaderMap, header};

use crate::head::fields_of;

/// What extensions of one chunk may take; nobody knows any that is of use.
const MAX_EXTENSION: usize = 1024;

/// What trailers may take, and how many fields they may have.
const MAX_TRAILERS: usize = 64 * 1024;
const MAX_TRAILER_FIELDS: usize = 128;

/// Where the decoder is.
#[derive(Debug)]
enum State {
    /// In a chunk's length, of which so many digits came.
    Size {
        size: u64,
        digits: u8,
    },
    /// Behind the length, in what nobody reads.
    Extension {
        size: u64,
        length: usize,
    },
    /// The line feed behind the length.
    SizeLf {
        size: u64,
    },
    /// So many bytes of the chunk are left.
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// Behind the last chunk.
    Trailers(Vec<u8>),
    Done,
}

/// Decodes a body.
#[derive(Debug)]
pub(crate) struct ChunkedDecoder(State);

/// What is there.
#[derive(Debug)]
pub(crate) enum Chunk<'a> {
    /// Nothing more without more bytes.
    NeedMore,
    /// These bytes of the body; how many of them were used is told by [`ChunkedDecoder::took`].
    Data(&'a [u8]),
    /// That was all, with these fields behind it.
    End(HeaderMap),
}

impl ChunkedDecoder {
    pub(crate) fn new() -> Self {
        Self(State::Size { size: 0, digits: 0 })
    }

    /// Goes on to the next data; answers how many bytes were consumed before it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Chunk<'a>), String> {
        let mut consumed = 0;
        for &byte in bytes {
            if let State::Data { left } = self.0 {
                let rest = bytes.get(consumed..).unwrap_or_default();
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                return Ok((consumed, Chunk::Data(rest.get(..length).unwrap_or_default())));
            }
            consumed += 1;
            if let Some(trailers) = self.step(byte)? {
                return Ok((consumed, Chunk::End(trailers)));
            }
        }
        Ok((consumed, Chunk::NeedMore))
    }

    /// So many bytes of the data were used.
    pub(crate) fn took(&mut self, count: usize) {
        if let State::Data { left } = &mut self.0 {
            *left = left.saturating_sub(count as u64);
            if *left == 0 {
                self.0 = State::DataCr;
            }
        }
    }

    /// One byte outside of data; answers the trailers with the last.
    fn step(&mut self, byte: u8) -> Result<Option<HeaderMap>, String> {
        let next = match (&mut self.0, byte) {
            (State::Size { size, digits }, byte) => in_size(*size, *digits, byte)?,
            (State::Extension { size, .. }, b'\r') => State::SizeLf { size: *size },
            (State::Extension { length, .. }, b'\t' | b' '..) if *length < MAX_EXTENSION => {
                *length += 1;
                return Ok(None);
            }
            (State::SizeLf { size: 0 }, b'\n') => State::Trailers(Vec::new()),
            (State::SizeLf { size }, b'\n') => State::Data { left: *size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::Trailers(bytes), byte) if bytes.len() < MAX_TRAILERS => {
                bytes.push(byte);
                if *bytes != b"\r\n" && !bytes.ends_with(b"\r\n\r\n") {
                    return Ok(None);
                }
                let trailers = trailers_of(bytes)?;
                self.0 = State::Done;
                return Ok(Some(trailers));
            }
            (State::Trailers(_), _) => return Err("trailers without end".into()),
            (State::Extension { .. }, _) => return Err("a chunk's extension without end".into()),
            _ => return Err("a chunk that does not end where it says".into()),
        };
        self.0 = next;
        Ok(None)
    }
}

fn in_size(size: u64, digits: u8, byte: u8) -> Result<State, String> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        // Fifteen digits are a quintillion bytes.
        if digits >= 15 {
            return Err("a chunk that is larger than any".into());
        }
        let size = size.saturating_mul(16).saturating_add(u64::from(digit));
        return Ok(State::Size { size, digits: digits + 1 });
    }
    match byte {
        _ if digits == 0 => Err("a chunk without a length".into()),
        b'\r' => Ok(State::SizeLf { size }),
        b';' | b' ' | b'\t' => Ok(State::Extension { size, length: 0 }),
        _ => Err("a chunk whose length is no number".into()),
    }
}

fn trailers_of(bytes: &[u8]) -> Result<HeaderMap, String> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let parsed = httparse::parse_headers(bytes, &mut fields);
    let Ok(httparse::Status::Complete((length, fields))) = parsed else {
        return Err("trailers that are none".into());
    };
    if length != bytes.len() {
        return Err("trailers that end where they don't".into());
    }
    let mut trailers = fields_of(fields)?;
    // What would say something about the message that is over (RFC 9110 §6.5.1).
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::HOST,
        header::CONNECTION,
        header::SET_COOKIE,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::CONTENT_RANGE,
        header::TRAILER,
    ] {
        trailers.remove(name);
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::writer::{LAST_CHUNK, write_chunk};

    /// Decodes pieces; answers the body, the trailers, and what was left over.
    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, Option<HeaderMap>, usize), String> {
        let mut decoder = ChunkedDecoder::new();
        let mut body = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            let mut rest = *piece;
            loop {
                let (consumed, chunk) = decoder.next(rest)?;
                rest = &rest[consumed..];
                match chunk {
                    Chunk::NeedMore => break,
                    Chunk::Data(data) => {
                        body.extend_from_slice(data);
                        decoder.took(data.len());
                        rest = &rest[data.len()..];
                    }
                    Chunk::End(trailers) => {
                        let later: usize = pieces[n + 1..].iter().map(|piece| piece.len()).sum();
                        return Ok((body, Some(trailers), rest.len() + later));
                    }
                }
            }
        }
        Ok((body, None, 0))
    }

    #[test]
    fn a_body_is_the_same_byte_by_byte() {
        let text = b"5;a=b\r\nhello\r\nA\r\n0123456789\r\n000\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\nHTTP";
        let whole = decode(&[text]).unwrap();
        assert_eq!((&whole.0[..], whole.2), (&b"hello0123456789"[..], 4));
        let trailers = whole.1.clone().unwrap();
        assert_eq!(trailers.len(), 1);
        assert_eq!(trailers["x-sum"], "1");
        let single: Vec<_> = text.chunks(1).collect();
        assert_eq!(decode(&single).unwrap(), whole);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\na\r\n",
            "0x1\r\na\r\n",
            "1\na\r\n",
            "1\r\na\n",
            "1\r\nab\r\n",
            "1\ra\r\n",
            "1\r\na\r0\r\n\r\n",
            "1;\n\r\na\r\n",
            "1000000000000000\r\n",
            "0\r\nA b\r\n\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\n A: b\r\n\r\n",
        ] {
            assert!(decode(&[text.as_bytes()]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_have_an_end() {
        let mut text = b"1;".to_vec();
        text.extend(vec![b'x'; MAX_EXTENSION + 1]);
        assert!(decode(&[&text]).is_err());
        let mut text = b"0\r\n".to_vec();
        text.extend(b"A: b\r\n".repeat(20_000));
        assert!(decode(&[&text]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            cut in 1_usize..50,
        ) {
            let mut text = BytesMut::new();
            for piece in &pieces {
                write_chunk(&mut text, piece);
            }
            text.extend_from_slice(LAST_CHUNK);
            let cut: Vec<_> = text.chunks(cut).collect();
            let (body, trailers, rest) = decode(&cut).unwrap();
            prop_assert_eq!(body, pieces.concat());
            prop_assert_eq!((trailers, rest), (Some(HeaderMap::new()), 0));
        }

        #[test]
        fn garbage_is_decoded_the_same_however_it_is_cut(
            text in "[0-9a-fA-F;\\r\\n :x]{0,60}",
            cut in 1_usize..10,
        ) {
            let whole = decode(&[text.as_bytes()]);
            let cut: Vec<_> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(decode(&cut), whole);
        }
    }
}
