//! A file as a request body, read by workers, one chunk ahead of the one that is being sent.
//!
//! ```text
//!            take_read            BodyRead::run (a worker)             next
//!   Idle ───────────────► Reading ─────────────────────────► Ready ──────────► Idle
//!                            │ error, or the file is shorter
//!                            └──────────────────────────────► Failed
//! ```
//!
//! So an upload holds two chunks and no more, whatever the length of the file.

use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::reader::Piece;
use crate::{error::NetError, exchange::Exchange};

/// What is read at once.
const CHUNK: usize = 256 * 1024;

/// A regular file whose content is sent. Clones share the open file.
#[derive(Debug, Clone)]
pub struct FileBody {
    file: Arc<File>,
    length: u64,
}

impl FileBody {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let what = "not a regular file: its length is unknown";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Ok(Self { file: Arc::new(file), length: metadata.len() })
    }

    /// Bytes that will be sent.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn reader(self, exchange: &Arc<Exchange>) -> FileReader {
        FileReader {
            file: self,
            exchange: Arc::clone(exchange),
            at: 0,
            state: Arc::default(),
            spare: BytesMut::new(),
        }
    }
}

/// See the picture on top.
#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Reading,
    Ready(Bytes),
    Failed(NetError),
}

/// The socket thread's end of a file.
#[derive(Debug)]
pub(super) struct FileReader {
    file: FileBody,
    exchange: Arc<Exchange>,
    /// How much of the file has been read or is being read.
    at: u64,
    /// Shared with the worker; a fresh one after [`rewind`](Self::rewind), so that what an old job reads
    /// goes nowhere.
    state: Arc<Mutex<State>>,
    /// A chunk that was sent, to be filled again.
    spare: BytesMut,
}

impl FileReader {
    pub(super) fn next(&mut self) -> Result<Piece, NetError> {
        let mut state = self.state.lock();
        match std::mem::take(&mut *state) {
            State::Ready(chunk) => Ok(Piece::Ready(chunk)),
            State::Idle if self.at == self.file.length => Ok(Piece::End),
            State::Idle => Ok(Piece::Wait),
            State::Reading => {
                *state = State::Reading;
                Ok(Piece::Wait)
            }
            State::Failed(error) => {
                *state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    pub(super) fn take_read(&mut self) -> Option<BodyRead> {
        let left = self.file.length - self.at;
        let mut state = self.state.lock();
        if left == 0 || !matches!(*state, State::Idle) {
            return None;
        }
        *state = State::Reading;
        let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let read = BodyRead {
            file: Arc::clone(&self.file.file),
            at: self.at,
            length,
            buffer: std::mem::take(&mut self.spare),
            state: Arc::clone(&self.state),
            exchange: Arc::clone(&self.exchange),
        };
        self.at += length as u64;
        Some(read)
    }

    /// Takes a chunk back of which everything was sent.
    pub(super) fn recycle(&mut self, chunk: Bytes) {
        if let Ok(buffer) = chunk.try_into_mut() {
            self.spare = buffer;
        }
    }

    pub(super) fn rewind(&mut self) {
        self.at = 0;
        self.state = Arc::default();
    }

    pub(super) fn buffered(&self) -> usize {
        match &*self.state.lock() {
            State::Ready(chunk) => chunk.len(),
            State::Idle | State::Reading | State::Failed(_) => 0,
        }
    }
}

/// A read for a worker to do. Dropped undone, as at the end of the service, it changes nothing.
#[derive(Debug)]
pub struct BodyRead {
    file: Arc<File>,
    at: u64,
    length: usize,
    buffer: BytesMut,
    state: Arc<Mutex<State>>,
    exchange: Arc<Exchange>,
}

impl BodyRead {
    /// Reads, and wakes the owner of the transaction. Thread: a worker; it waits for the disk.
    pub fn run(mut self) {
        // Costs nothing when the buffer comes back from the last chunk.
        self.buffer.resize(self.length, 0);
        let result = self.file.read_exact_at(&mut self.buffer, self.at);
        *self.state.lock() = match result {
            Ok(()) => State::Ready(self.buffer.freeze()),
            Err(error) => State::Failed(failure(&error, self.at)),
        };
        self.exchange.wish_to_send();
    }
}

fn failure(error: &io::Error, at: u64) -> NetError {
    NetError::RequestBody(if error.kind() == io::ErrorKind::UnexpectedEof {
        format!("the file became shorter while it was sent: it ends behind byte {at}")
    } else {
        format!("reading the file at byte {at} failed: {error}")
    })
}
