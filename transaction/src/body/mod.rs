//! Request bodies, and how they get to the socket thread.
//!
//! ```text
//!             application                          socket thread                       engine
//!  Empty  ─────────────────────────────────────►┐
//!  Bytes  ── all of them at once ──────────────►│
//!  Pipe   ── BodyWriter ──► bounded pipe ──────►├─ BodyReader::next ─► read_segments ─► send_data
//!  File   ── (a worker) ──► one chunk ahead ───►┘        │
//!                 ▲                                      │ nothing there: the stream rests, and
//!                 └── BodyRead, a job for a worker ◄─────┘ the next bytes wake its owner
//! ```
//!
//! A body says whether it can be sent again from its start, which decides whether a request may be
//! restarted (necko §8.5): memory and files can, a pipe only until its first byte has left.
//!
//! In necko these are the `nsIInputStream`s of `nsHttpTransaction`'s request stream; a pipe is one that
//! answers `WOULD_BLOCK` and calls `OnInputStreamReady`, a file one that the stream transport service
//! reads on its own threads.

mod file;
mod pipe;
mod reader;

use std::{fs::File, io};

use bytes::Bytes;

pub use file::{BodyRead, FileBody};
pub use pipe::{BodyWriter, PipeBody};
pub(crate) use reader::BodyReader;

use crate::witness::Witness;

/// What an application sends with a request.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum RequestBody {
    /// Nothing: the request ends with its head.
    #[default]
    Empty,
    /// Bytes in memory; can be sent again from the start.
    Bytes(Bytes),
    /// A file, read piece by piece off the socket thread; can be sent again from the start.
    File(FileBody),
    /// What a [`BodyWriter`] is given while the request runs.
    Pipe(PipeBody),
}

impl RequestBody {
    /// The content of a regular file, from its start. Its length is what it is now: a file that becomes
    /// shorter before it was sent ends the request with an error, bytes that are appended are not sent.
    ///
    /// # Errors
    /// The system doesn't tell the file's length, or it is no regular file: use a [`pipe`](Self::pipe).
    pub fn file(file: File) -> io::Result<Self> {
        Ok(match FileBody::new(file)? {
            file if file.length() == 0 => Self::Empty,
            file => Self::File(file),
        })
    }

    /// A body that the application writes while the request runs. `length` is what will be written, if
    /// that is known; it becomes the request's `Content-Length`, and the body must keep to it.
    pub fn pipe(length: Option<u64>) -> (BodyWriter, Self) {
        let (writer, body) = pipe::pipe(length);
        (writer, Self::Pipe(body))
    }

    /// How many bytes it has, where that is known before it is sent.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File(file) => Some(file.length()),
            Self::Pipe(pipe) => pipe.length(),
        }
    }

    /// The same body for another request; none of a pipe, which has one writer and one reader.
    pub fn try_clone(&self) -> Option<Self> {
        Some(match self {
            Self::Empty => Self::Empty,
            Self::Bytes(bytes) => Self::Bytes(bytes.clone()),
            Self::File(file) => Self::File(file.clone()),
            Self::Pipe(_) => return None,
        })
    }

    /// A witness of a pipe; none of other bodies.
    pub fn witness(&self) -> Option<Witness> {
        match self {
            Self::Pipe(pipe) => Some(pipe.witness()),
            Self::Empty | Self::Bytes(_) | Self::File(_) => None,
        }
    }

    /// Holds a pipe to the length that the request's head states.
    pub fn expect_length(&self, length: u64) {
        if let Self::Pipe(pipe) = self {
            pipe.expect_length(length);
        }
    }
}

impl<T: Into<Bytes>> From<T> for RequestBody {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() { Self::Empty } else { Self::Bytes(bytes) }
    }
}

#[cfg(test)]
mod tests;
