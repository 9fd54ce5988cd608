//! The response pipe: a bounded queue of bytes between the socket thread and a consumer.
//!
//! This is the plain data structure; [`crate::exchange`] puts it under a lock and wakes the two ends.
//! Necko's class is `nsPipe`, and its size is necko's: 24 segments of 4 KiB.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use crate::error::NetError;

/// How many bytes a pipe holds (necko's default).
pub const CAPACITY: usize = 24 * 4096;

/// What each piece costs beside its bytes, so that a peer who sends single bytes can't make a pipe of
/// [`CAPACITY`] bytes hold a hundred thousand pieces.
const PIECE_COST: usize = 64;

/// A bounded queue of bytes with an end.
///
/// Bytes come out in the order in which they went in, then the end: the first one that was set.
#[derive(Debug, Default)]
pub struct Pipe {
    pieces: VecDeque<Bytes>,
    held: usize,
    end: Option<Result<(), NetError>>,
    writer_waits: bool,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// A piece of at most the wanted length.
    Data(Bytes),
    /// Nothing yet.
    Empty,
    /// The end, and how it came to be.
    End(Result<(), NetError>),
}

impl Pipe {
    /// How many bytes may be written now.
    pub fn space(&self) -> usize {
        (CAPACITY).saturating_sub(self.cost())
    }

    /// Bytes that wait for the reader.
    pub fn buffered(&self) -> usize {
        self.held
    }

    /// Notes that the writer stopped for want of space and must be woken.
    pub fn writer_waits(&mut self) {
        self.writer_waits = true;
    }

    /// Adds bytes; the writer asked [`space`](Self::space) before. Dropped after the end.
    pub fn write(&mut self, piece: Bytes) {
        if self.end.is_none() && !piece.is_empty() {
            self.held += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Sets the end. What was written stays readable. The first end wins.
    pub fn finish(&mut self, end: Result<(), NetError>) {
        self.end.get_or_insert(end);
    }

    /// Whether an end was set.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Throws away what was written and has not been read: its reader is gone.
    pub fn discard(&mut self) {
        self.pieces.clear();
        self.held = 0;
    }

    /// Takes at most `wanted` bytes.
    pub fn read(&mut self, wanted: usize) -> Read {
        let Some(front) = self.pieces.front_mut() else {
            return self.end.clone().map_or(Read::Empty, Read::End);
        };
        let piece = front.split_to(wanted.min(front.len()));
        let drained = !front.has_remaining();
        if drained {
            self.pieces.pop_front();
        }
        self.held -= piece.len();
        Read::Data(piece)
    }

    /// Whether the writer is to be woken now; answers `true` once for each time that it waited.
    ///
    /// Only half a pipe of free space is worth a wake-up: a reader that takes single bytes would
    /// otherwise cause one for each. A reader is never stuck behind that rule, because what keeps the
    /// pipe more than half full is there for it to read.
    pub fn take_writer_wakeup(&mut self) -> bool {
        let wake = self.writer_waits && self.space() >= CAPACITY / 2;
        if wake {
            self.writer_waits = false;
        }
        wake
    }

    fn cost(&self) -> usize {
        self.held + self.pieces.len() * PIECE_COST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(length: usize) -> Bytes {
        Bytes::from(vec![7; length])
    }

    #[test]
    fn p1_holds_at_most_its_capacity_and_wakes_the_writer_once_when_space_returns() {
        let mut pipe = Pipe::default();
        while pipe.space() > 0 {
            pipe.write(piece(pipe.space().min(4096)));
        }
        assert!(pipe.buffered() <= CAPACITY);
        pipe.writer_waits();
        assert!(matches!(pipe.read(1), Read::Data(_)));
        assert!(!pipe.take_writer_wakeup(), "one byte is no space");
        while pipe.space() < CAPACITY / 2 {
            pipe.read(4096);
        }
        assert!(pipe.take_writer_wakeup());
        assert!(!pipe.take_writer_wakeup(), "once");
    }

    #[test]
    fn p3_what_was_written_is_read_before_the_end() {
        let mut pipe = Pipe::default();
        pipe.write(piece(10));
        pipe.finish(Err(NetError::Aborted));
        pipe.finish(Ok(()));
        assert_eq!(pipe.read(4), Read::Data(piece(4)));
        assert_eq!(pipe.read(100), Read::Data(piece(6)));
        assert_eq!(pipe.read(100), Read::End(Err(NetError::Aborted)));
    }

    #[test]
    fn single_bytes_fill_a_pipe_before_their_bookkeeping_fills_the_memory() {
        let mut pipe = Pipe::default();
        let mut pieces = 0;
        while pipe.space() > 0 {
            pipe.write(piece(1));
            pieces += 1;
        }
        assert!(pieces < 2000);
    }
}
