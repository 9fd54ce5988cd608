//! Content decoding: what a body's `Content-Encoding` did to it is undone, as far as is read.
//!
//! ```text
//!   Content-Encoding: gzip, br          (applied in this order, so undone from the right)
//!
//!   pipe ──► Stage br ──► Stage gzip ──► ResponseBody::chunk
//!        pull       ◄── pull      ◄── pull
//! ```
//!
//! It runs on the thread of whoever reads, and only when nothing decoded is left. A stage takes no more input
//! than what it makes a piece of at most [`PIECE`] bytes from, so a bomb costs its reader time, if he reads
//! on, and nobody memory: what a stage keeps is bounded by its window (32 KiB, 16 MiB for br, 8 MiB for
//! zstd) and a block.

mod brotli;
mod gzip;
mod zstd;

use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use transaction::NetError;

/// What is asked for.
pub(crate) const ACCEPT_ENCODING: &str = "gzip, br, zstd";

/// The most that is decoded at once.
const PIECE: usize = 64 * 1024;

/// More codings one upon the other are nonsense.
const MAX_CODINGS: usize = 4;

/// What a decoder made of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// So many bytes, at least one; there may be more without further input.
    Bytes(usize),
    /// Nothing: it wants more input.
    Nothing,
}

/// One coding. It takes from the front of `input` what it needs, and leaves the rest.
trait Decoder: Send + Sync {
    /// Decodes into `output`. `last` says that `input` is all that is to come.
    ///
    /// # Errors
    /// The input is not in this coding.
    fn decode(
        &mut self,
        input: &mut BytesMut,
        last: bool,
        output: &mut [u8],
    ) -> Result<Made, String>;

    /// Whether the input may end here.
    fn is_complete(&self) -> bool;
}

/// A coding, by its names in RFC 9110 §8.4.1, RFC 7932 and RFC 8878.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Brotli,
    Zstd,
}

impl Coding {
    /// None for one that does nothing.
    fn parse(name: &str) -> Result<Option<Self>, NetError> {
        Ok(Some(match name.to_ascii_lowercase().as_str() {
            "identity" | "" => return Ok(None),
            "gzip" | "x-gzip" => Self::Gzip,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return Err(NetError::ContentEncoding(format!("{name:?} is not known"))),
        }))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn decoder(self) -> Box<dyn Decoder> {
        match self {
            Self::Gzip => Box::new(gzip::Gzip::new()),
            Self::Brotli => Box::new(brotli::Brotli::new()),
            Self::Zstd => Box::new(zstd::Zstd::new()),
        }
    }
}

/// The codings that the fields name, in the order in which they are undone.
fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, NetError> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text =
            value.to_str().map_err(|_| NetError::ContentEncoding("its name is no text".into()))?;
        for name in text.split(',') {
            codings.extend(Coding::parse(name.trim())?);
            if codings.len() > MAX_CODINGS {
                let what = format!("more than {MAX_CODINGS} codings, one upon the other");
                return Err(NetError::ContentEncoding(what));
            }
        }
    }
    codings.reverse();
    Ok(codings)
}

/// A body's codings, and where decoding stands.
pub(crate) struct Decoding {
    stages: Result<Vec<Stage>, NetError>,
    /// Encoded bytes that came.
    received: u64,
}

/// Pulls the next piece from where it comes.
type Pull<'a> = dyn FnMut() -> Poll<Result<Option<Bytes>, NetError>> + 'a;

impl Decoding {
    /// None where there is nothing to decode. What is wrong with the fields is said when the body is read,
    /// if there is one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Box<Self>> {
        let stages = match codings(headers) {
            Ok(codings) if codings.is_empty() => return None,
            Ok(codings) => Ok(codings.into_iter().map(Stage::new).collect()),
            Err(error) => Err(error),
        };
        Some(Box::new(Self { stages, received: 0 }))
    }

    /// The next decoded piece.
    ///
    /// # Errors
    /// What `pull` says, or the body is not in its coding.
    pub(crate) fn next(&mut self, pull: &mut Pull<'_>) -> Poll<Result<Option<Bytes>, NetError>> {
        let Self { stages, received } = self;
        let mut pull = || {
            let piece = pull();
            if let Poll::Ready(Ok(Some(piece))) = &piece {
                *received += piece.len() as u64;
            }
            piece
        };
        match stages {
            Ok(stages) => next_of(stages, &mut pull),
            // A response without a body may say what it likes (HEAD, 304).
            Err(error) => Poll::Ready(match ready!(pull())? {
                None => Ok(None),
                Some(_) => Err(error.clone()),
            }),
        }
        .map_err(|error| with_count(error, *received))
    }
}

fn with_count(error: NetError, count: u64) -> NetError {
    match error {
        NetError::PartialTransfer { received: 0, expected: None, reason } => {
            NetError::PartialTransfer { received: count, expected: None, reason }
        }
        error => error,
    }
}

/// The next piece that the last of these stages makes.
fn next_of(stages: &mut [Stage], pull: &mut Pull<'_>) -> Poll<Result<Option<Bytes>, NetError>> {
    let Some((stage, before)) = stages.split_last_mut() else { return pull() };
    loop {
        if let Some(piece) = stage.decode()? {
            return Poll::Ready(Ok(Some(piece)));
        }
        if stage.input_ended {
            return Poll::Ready(stage.end().map(|()| None));
        }
        match ready!(next_of(before, pull))? {
            Some(input) => stage.take(&input),
            None => stage.input_ended = true,
        }
    }
}

/// One coding at work.
struct Stage {
    coding: Coding,
    decoder: Box<dyn Decoder>,
    input: BytesMut,
    input_ended: bool,
    /// Anything came.
    begun: bool,
    output: Vec<u8>,
}

impl Stage {
    fn new(coding: Coding) -> Self {
        let decoder = coding.decoder();
        let (input, output) = (BytesMut::new(), Vec::new());
        Self { coding, decoder, input, input_ended: false, begun: false, output }
    }

    /// What is left of the input before is less than a block.
    fn take(&mut self, input: &[u8]) {
        self.begun |= !input.is_empty();
        self.input.extend_from_slice(input);
    }

    /// The next piece, if there is enough input for one.
    fn decode(&mut self) -> Result<Option<Bytes>, NetError> {
        if !self.begun {
            return Ok(None);
        }
        self.output.resize(PIECE, 0);
        let made = self
            .decoder
            .decode(&mut self.input, self.input_ended, &mut self.output)
            .map_err(|what| self.malformed(&what))?;
        match made {
            Made::Nothing => Ok(None),
            Made::Bytes(count) => {
                Ok(Some(Bytes::copy_from_slice(self.output.get(..count).unwrap_or_default())))
            }
        }
    }

    /// The input has ended.
    fn end(&self) -> Result<(), NetError> {
        // No byte at all is what a response without a body has.
        if !self.begun || self.decoder.is_complete() && self.input.is_empty() {
            return Ok(());
        }
        let reason = format!("its {} encoding has no end", self.coding.name());
        Err(NetError::PartialTransfer { received: 0, expected: None, reason })
    }

    fn malformed(&self, what: &str) -> NetError {
        NetError::ContentEncoding(format!("the body is not {}: {what}", self.coding.name()))
    }
}

impl std::fmt::Debug for Decoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let codings = self.stages.iter().flatten().map(|stage| stage.coding);
        f.debug_list().entries(codings).finish()
    }
}

#[cfg(test)]
#[path = "decoding/tests.rs"]
mod tests;
