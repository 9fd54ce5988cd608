//! Where the bytes of a body come from: memory, the generated pattern, or a file that workers read.
//!
//! A file is read in chunks, off the socket thread, at most one ahead of the one that is being sent:
//!
//! ```text
//!               start_read             finish_read                       chunk used up
//!   Idle(file) ───────────▶ Reading ─────────────────▶ Ahead(file, next) ─────────────▶ Idle(file)
//!                              │      last chunk
//!                              ├─────────────────────▶ Complete(next)      (the file is closed)
//!                              │      error
//!                              └─────────────────────▶ Failed(error)       (the file is closed)
//! ```
//!
//! So a transfer holds two chunks and no more, whatever the length of the file.

use std::{
    fs::File,
    io::{self, Read},
    mem,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::pattern::Pattern;

/// The bytes of one body, consumed from front to back.
pub(crate) enum Source {
    /// A short body in memory; what was sent is counted in `at`.
    Bytes { bytes: Vec<u8>, at: usize },
    /// Positions `at..end` of the pattern.
    Generated { pattern: Rc<Pattern>, at: u64, end: u64 },
    /// A file.
    File(FileSource),
}

/// What a source has at the moment.
pub(crate) enum Piece<'a> {
    /// The next bytes; `last` if nothing comes after them.
    Ready { data: &'a [u8], last: bool },
    /// The next bytes are being read.
    Wait,
    /// The rest can't be had.
    Failed,
}

/// How much a source may read at once, and whether it may read before it has to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) chunk: usize,
    pub(crate) ahead: bool,
}

impl Source {
    pub(crate) fn empty() -> Self {
        Self::Bytes { bytes: Vec::new(), at: 0 }
    }

    /// Whether the body has no bytes at all, so that the head is the end of the response.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Bytes { bytes, at } => *at == bytes.len(),
            Self::Generated { at, end, .. } => at == end,
            Self::File(file) => file.unsent == 0,
        }
    }

    /// The bytes to send next. Not to be called after the last were consumed.
    pub(crate) fn piece(&mut self) -> Piece<'_> {
        match self {
            Self::Bytes { bytes, at } => {
                Piece::Ready { data: bytes.get(*at..).unwrap_or_default(), last: true }
            }
            Self::Generated { pattern, at, end } => {
                let left = *end - *at;
                let data = pattern.piece(*at, left);
                Piece::Ready { data, last: data.len() as u64 == left }
            }
            Self::File(file) => file.piece(),
        }
    }

    /// Notes that the first `count` bytes of the last piece are done with.
    pub(crate) fn consume(&mut self, count: usize) {
        match self {
            Self::Bytes { at, .. } => *at += count,
            Self::Generated { at, .. } => *at += count as u64,
            Self::File(file) => {
                file.at += count;
                file.unsent = file.unsent.saturating_sub(count as u64);
            }
        }
    }

    /// Memory that this source holds.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Bytes { bytes, .. } => bytes.capacity(),
            Self::Generated { .. } => 0,
            Self::File(file) => file.chunk.capacity() + file.reader.held(),
        }
    }

    /// What a worker should read now, if anything.
    pub(crate) fn start_read(&mut self, allowance: Allowance) -> Option<ReadJob> {
        match self {
            Self::Bytes { .. } | Self::Generated { .. } => None,
            Self::File(file) => file.start_read(allowance),
        }
    }

    /// Takes back what [`start_read`](Self::start_read) gave away.
    pub(crate) fn finish_read(&mut self, done: ReadDone) {
        if let Self::File(file) = self {
            file.finish_read(done);
        }
    }
}

/// A file on its way out.
pub(crate) struct FileSource {
    /// The chunk that is being sent, and how much of it was sent.
    chunk: Vec<u8>,
    at: usize,
    /// Bytes of the body that were not sent, and those of them that no chunk holds yet.
    unsent: u64,
    unread: u64,
    reader: Reader,
}

/// See the picture on top.
enum Reader {
    Idle { file: OpenFile, spare: Vec<u8> },
    Reading { length: usize },
    Ahead { file: OpenFile, next: Vec<u8> },
    Complete { next: Option<Vec<u8>> },
    Failed,
}

impl Reader {
    fn held(&self) -> usize {
        match self {
            Self::Idle { spare: bytes, .. } | Self::Ahead { next: bytes, .. } => bytes.capacity(),
            Self::Reading { length } => *length,
            Self::Complete { next } => next.as_ref().map_or(0, Vec::capacity),
            Self::Failed => 0,
        }
    }
}

impl FileSource {
    /// The next `length` bytes of `file`.
    pub(crate) fn new(file: OpenFile, length: u64) -> Self {
        let reader = Reader::Idle { file, spare: Vec::new() };
        Self { chunk: Vec::new(), at: 0, unsent: length, unread: length, reader }
    }

    fn piece(&mut self) -> Piece<'_> {
        if self.at >= self.chunk.len() {
            self.turn_over();
        }
        match (self.chunk.get(self.at..), &self.reader) {
            (Some(data), _) if !data.is_empty() => {
                Piece::Ready { data, last: data.len() as u64 == self.unsent }
            }
            (_, Reader::Failed) => Piece::Failed,
            _ => Piece::Wait,
        }
    }

    /// Goes on to the chunk that was read ahead, if there is one.
    fn turn_over(&mut self) {
        let reader = mem::replace(&mut self.reader, Reader::Complete { next: None });
        self.reader = match reader {
            Reader::Ahead { file, next } => {
                let spare = mem::replace(&mut self.chunk, next);
                self.at = 0;
                Reader::Idle { file, spare }
            }
            Reader::Complete { next: Some(next) } => {
                self.chunk = next;
                self.at = 0;
                Reader::Complete { next: None }
            }
            other => other,
        };
    }

    fn start_read(&mut self, allowance: Allowance) -> Option<ReadJob> {
        let used_up = self.at >= self.chunk.len();
        // Ahead only of a chunk that has begun to go out: a stream that waits for its turn behind
        // others keeps one chunk, not two.
        if self.unread == 0 || !(used_up || allowance.ahead && self.at > 0) {
            return None;
        }
        let length = usize::try_from(self.unread).unwrap_or(usize::MAX).min(allowance.chunk);
        match mem::replace(&mut self.reader, Reader::Reading { length }) {
            Reader::Idle { file, spare } => {
                let buffer = if spare.capacity() <= 2 * length { spare } else { Vec::new() };
                Some(ReadJob { file, buffer, length })
            }
            other => {
                self.reader = other;
                None
            }
        }
    }

    fn finish_read(&mut self, done: ReadDone) {
        self.reader = match done.result {
            Ok(next) => {
                self.unread = self.unread.saturating_sub(next.len() as u64);
                if self.unread == 0 {
                    Reader::Complete { next: Some(next) }
                } else {
                    Reader::Ahead { file: done.file, next }
                }
            }
            Err(error) => {
                log::warn!("reading a file failed: {error}");
                Reader::Failed
            }
        };
    }
}

/// A file that counts as open until it is dropped, wherever that happens.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    count: OpenFiles,
}

/// How many [`OpenFile`]s exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenFiles(Arc<AtomicUsize>);

impl OpenFiles {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl OpenFile {
    pub(crate) fn new(file: File, count: &OpenFiles) -> Self {
        count.0.fetch_add(1, Ordering::Relaxed);
        Self { file, count: count.clone() }
    }
}

#[cfg(test)]
impl OpenFile {
    pub(crate) fn read_to_string(&self) -> String {
        io::read_to_string(&self.file).unwrap()
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.count.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A read for a worker to do.
#[derive(Debug)]
pub(crate) struct ReadJob {
    file: OpenFile,
    buffer: Vec<u8>,
    length: usize,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct ReadDone {
    file: OpenFile,
    result: io::Result<Vec<u8>>,
}

impl ReadJob {
    /// Reads. Thread: a worker; it waits for the disk.
    ///
    /// A file that has become shorter is an error: its length was promised to the client.
    pub(crate) fn run(mut self) -> ReadDone {
        // Costs nothing when the buffer comes back from the previous chunk.
        self.buffer.resize(self.length, 0);
        let result = self.file.file.read_exact(&mut self.buffer).map(|()| self.buffer);
        ReadDone { file: self.file, result }
    }
}
