//! A body on its way out: what it is and how far it got.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};

use super::{
    RequestBody,
    file::{BodyRead, FileReader},
    pipe::PipeReader,
};
use crate::{error::NetError, exchange::Exchange, http_transaction::Sending};

/// What a source has at the moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Ready(Bytes),
    /// The owner of the exchange will be woken when there is more.
    Wait,
    End,
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// These bytes; [`BodyReader::advance`] says how many were taken.
    Bytes(&'a [u8]),
    /// Nothing yet.
    Wait,
    /// Nothing more.
    End,
}

/// The socket thread's end of a request body.
#[derive(Debug)]
pub(crate) struct BodyReader {
    source: Source,
    /// The piece that is being sent, without what was sent of it.
    piece: Bytes,
    /// Bytes that the engine took.
    sent: u64,
    /// How many bytes it has, if that is known.
    length: Option<u64>,
}

#[derive(Debug)]
enum Source {
    Empty,
    /// What is left is in `piece`; this is all of it.
    Bytes(Bytes),
    File(FileReader),
    Pipe(PipeReader),
    /// Nobody wanted the rest, and it was let go of: it can't be sent a second time.
    Gone,
}

impl BodyReader {
    pub(crate) fn new(body: RequestBody, exchange: &Arc<Exchange>) -> Self {
        let mut piece = Bytes::new();
        let length = body.length();
        let source = match body {
            RequestBody::Empty => Source::Empty,
            RequestBody::Bytes(bytes) => {
                piece = bytes.clone();
                Source::Bytes(bytes)
            }
            RequestBody::File(file) => Source::File(file.reader(exchange)),
            RequestBody::Pipe(pipe) => Source::Pipe(pipe.into_reader(exchange)),
        };
        Self { source, piece, sent: 0, length }
    }

    /// What comes next.
    ///
    /// # Errors
    /// The body can't be had: a file can't be read, or the application gave its pipe up. It must not
    /// look complete then.
    pub(super) fn next(&mut self) -> Result<Next<'_>, NetError> {
        if self.piece.is_empty() {
            let piece = match &mut self.source {
                Source::Empty | Source::Bytes(_) | Source::Gone => Piece::End,
                Source::File(file) => file.next()?,
                Source::Pipe(pipe) => pipe.next()?,
            };
            match piece {
                Piece::Ready(piece) => {
                    let used = std::mem::replace(&mut self.piece, piece);
                    if let Source::File(file) = &mut self.source {
                        file.recycle(used);
                    }
                }
                Piece::Wait => return Ok(Next::Wait),
                Piece::End => return Ok(Next::End),
            }
        }
        Ok(Next::Bytes(&self.piece))
    }

    /// Gives it to `send` until that takes no more.
    ///
    /// # Errors
    /// `send`'s own, or those of [`next`](Self::next).
    pub(crate) fn send(
        &mut self,
        mut send: impl FnMut(&[u8]) -> Result<usize, NetError>,
    ) -> Result<Sending, NetError> {
        loop {
            let taken = match self.next()? {
                Next::Bytes(bytes) => send(bytes)?,
                Next::Wait => return Ok(Sending::Wait),
                Next::End => return Ok(Sending::End),
            };
            if taken == 0 {
                return Ok(Sending::Blocked);
            }
            self.advance(taken);
        }
    }

    /// Notes that so many of the last bytes were taken.
    pub(super) fn advance(&mut self, taken: usize) {
        let taken = taken.min(self.piece.len());
        self.piece.advance(taken);
        self.sent += taken as u64;
    }

    /// What a worker should read now, if anything.
    pub(crate) fn take_read(&mut self) -> Option<BodyRead> {
        match &mut self.source {
            Source::File(file) => file.take_read(),
            Source::Empty | Source::Bytes(_) | Source::Pipe(_) | Source::Gone => None,
        }
    }

    /// How many bytes it has, if that was known from the start.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether it can be sent again from its start.
    pub(crate) fn can_rewind(&self) -> bool {
        match &self.source {
            Source::Empty | Source::Bytes(_) | Source::File(_) => true,
            Source::Pipe(_) => self.sent == 0,
            Source::Gone => false,
        }
    }

    /// Whether it can be rewound whatever was sent of it.
    pub(crate) fn is_repeatable(&self) -> bool {
        !matches!(self.source, Source::Pipe(_) | Source::Gone)
    }

    /// Goes back to the start. Only what [can be](Self::can_rewind) rewound.
    pub(crate) fn rewind(&mut self) {
        match &mut self.source {
            Source::Bytes(all) => self.piece = all.clone(),
            Source::File(file) => {
                self.piece = Bytes::new();
                file.rewind();
            }
            // Nothing of a pipe was sent: what was taken from it is still in `piece`.
            Source::Empty | Source::Pipe(_) | Source::Gone => {}
        }
        self.sent = 0;
    }

    /// Nobody wants more of it: whoever writes it is told why.
    pub(crate) fn close(&mut self, why: NetError) {
        if let Source::Pipe(pipe) = &mut self.source {
            pipe.close(why);
        }
        if !matches!(self.source, Source::Empty) {
            self.source = Source::Gone;
        }
        self.piece = Bytes::new();
    }

    /// Why its writer gave it up, if it did.
    pub(crate) fn aborted(&self) -> Option<NetError> {
        match &self.source {
            Source::Pipe(pipe) => pipe.aborted(),
            Source::Empty | Source::Bytes(_) | Source::File(_) | Source::Gone => None,
        }
    }

    /// Bytes that wait to be sent.
    pub(crate) fn buffered(&self) -> usize {
        let ahead = match &self.source {
            Source::Empty | Source::Bytes(_) | Source::Gone => return 0,
            Source::File(file) => file.buffered(),
            Source::Pipe(pipe) => pipe.buffered(),
        };
        self.piece.len() + ahead
    }
}
