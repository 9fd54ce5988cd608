//! The receiving half of an exchange.
//!
//! ```text
//!          1xx
//!         ┌───┐
//!         ▼   │          length, last chunk,
//!        Head ┴──► Body ───────────────────► Done
//!          │         ↺ pipe full  close_notify ▲
//!          └────── no body by its nature ──────┘
//! ```

use transaction::{HttpTransaction, NetError, PipeFull, ResponseHead, Writing};

use crate::{
    chunk_decoder::ChunkDecoder,
    head_buffer::HeadBuffer,
    response_head::{self, BodyFraming},
};

/// Reads one response.
#[derive(Debug)]
pub(crate) enum ResponseReader {
    Head(HeadBuffer),
    Body(Body),
    Done,
}

/// A body that has not come whole.
#[derive(Debug)]
pub(crate) enum Body {
    /// So many bytes are to come still.
    Length(u64),
    Chunked(ChunkDecoder),
    UntilClose,
}

/// What a step brought.
#[derive(Debug)]
pub(crate) enum Read {
    /// So many bytes were taken.
    Bytes(usize),
    /// So many bytes were taken, and with them a head is whole; [`ResponseReader::after_head`] says how to
    /// go on.
    Head(usize, ResponseHead),
    /// The consumer is slow; nothing was taken.
    PipeFull,
}

impl ResponseReader {
    pub(crate) fn new() -> Self {
        Self::Head(HeadBuffer::default())
    }

    /// Whether the final head has come.
    pub(crate) fn has_head(&self) -> bool {
        !matches!(self, Self::Head(_))
    }

    /// Whether the response is whole.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Whether the end of the connection would make the response whole.
    pub(crate) fn is_until_close(&self) -> bool {
        matches!(self, Self::Body(Body::UntilClose))
    }

    /// Bytes that it keeps.
    pub(crate) fn buffered(&self) -> usize {
        match self {
            Self::Head(buffer) => buffer.len(),
            Self::Body(Body::Chunked(decoder)) => decoder.buffered(),
            Self::Body(_) | Self::Done => 0,
        }
    }

    /// Takes some of `bytes`, which are not empty.
    ///
    /// # Errors
    /// They are no response.
    pub(crate) fn read(
        &mut self,
        transaction: &mut HttpTransaction,
        bytes: &[u8],
    ) -> Result<Read, NetError> {
        match self {
            Self::Head(buffer) => {
                let (taken, ended) = buffer.take(bytes)?;
                if !ended {
                    return Ok(Read::Bytes(taken));
                }
                let head = response_head::parse(buffer.bytes())?;
                *self = Self::new();
                Ok(Read::Head(taken, head))
            }
            Self::Body(body) => {
                let Some(taken) = body.read(transaction, bytes)? else {
                    return Ok(Read::PipeFull);
                };
                if body.is_done() {
                    *self = Self::Done;
                }
                Ok(Read::Bytes(taken))
            }
            Self::Done => Ok(Read::Bytes(0)),
        }
    }

    /// A final head came, with a body of this kind.
    pub(crate) fn after_head(&mut self, framing: BodyFraming) {
        *self = match framing {
            BodyFraming::Length(0) => Self::Done,
            BodyFraming::Length(length) => Self::Body(Body::Length(length)),
            BodyFraming::Chunked => Self::Body(Body::Chunked(ChunkDecoder::new())),
            BodyFraming::UntilClose => Self::Body(Body::UntilClose),
        };
    }
}

impl Body {
    fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(decoder) => decoder.is_done(),
            Self::UntilClose => false,
        }
    }

    /// Moves bytes into the pipe. Answers how many were taken; none if the pipe is full.
    fn read(
        &mut self,
        transaction: &mut HttpTransaction,
        bytes: &[u8],
    ) -> Result<Option<usize>, NetError> {
        let mut taken = 0;
        let written = transaction.write_segments(|buffer| {
            let given;
            (taken, given) = match self {
                Self::Length(left) => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX);
                    let count = copy(bytes.get(..most).unwrap_or(bytes), buffer);
                    *left -= count as u64;
                    (count, count)
                }
                Self::Chunked(decoder) => decoder.decode(bytes, buffer)?,
                Self::UntilClose => {
                    let count = copy(bytes, buffer);
                    (count, count)
                }
            };
            Ok(Writing::Bytes(given))
        })?;
        if written == Err(PipeFull) {
            return Ok(None);
        }
        if let Self::Chunked(decoder) = self {
            let trailers = decoder.take_trailers();
            if !trailers.is_empty() {
                transaction.set_trailers(trailers);
            }
        }
        Ok(Some(taken))
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    count
}
