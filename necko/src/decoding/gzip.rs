//! gzip (RFC 1952), of any number of members, by `flate2`.

use std::io::{self, BufRead, Read};

use bytes::{Buf as _, BytesMut};
use flate2::bufread::GzDecoder;

use super::{Decoder, Made};

/// Input for a decoder that reads: what is there, then [`WouldBlock`](io::ErrorKind::WouldBlock) until more
/// comes. `flate2` goes on after that where it was.
#[derive(Debug, Default)]
pub(super) struct Feed {
    input: BytesMut,
    last: bool,
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.input.is_empty() && !self.last {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.input)
    }

    fn consume(&mut self, amount: usize) {
        self.input.advance(amount.min(self.input.len()));
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let count = available.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// ```text
///  BetweenMembers ──► InMember ──► BetweenMembers
/// ```
pub(super) enum Gzip {
    /// The input may end here.
    BetweenMembers,
    InMember(Box<GzDecoder<Feed>>),
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self::BetweenMembers
    }
}

impl Decoder for Gzip {
    fn decode(
        &mut self,
        input: &mut BytesMut,
        last: bool,
        output: &mut [u8],
    ) -> Result<Made, String> {
        loop {
            let member = match self {
                Self::BetweenMembers if input.is_empty() => return Ok(Made::Nothing),
                Self::BetweenMembers => {
                    *self = Self::InMember(Box::new(GzDecoder::new(Feed::default())));
                    continue;
                }
                Self::InMember(member) => member,
            };
            *member.get_mut() = Feed { input: std::mem::take(input), last };
            let read = member.read(output);
            *input = std::mem::take(&mut member.get_mut().input);
            match read {
                Ok(0) => *self = Self::BetweenMembers,
                Ok(count) => return Ok(Made::Bytes(count)),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(Made::Nothing),
                    // That it is incomplete is told by whoever asks.
                    io::ErrorKind::UnexpectedEof if last => return Ok(Made::Nothing),
                    _ => return Err(error.to_string()),
                },
            }
        }
    }

    fn is_complete(&self) -> bool {
        matches!(self, Self::BetweenMembers)
    }
}
