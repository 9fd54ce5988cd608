//! Where the bytes of a body come from: memory, the generated pattern, a file that workers read, or
//! several of these, one after the other.
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
//! So a transfer holds two chunks and no more, whatever the length of the file. A body made of parts
//! reads for its first part alone, and shares one open file among them.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    mem,
    rc::Rc,
    sync::Arc,
};

use crate::{
    counter::{Counted, Counter},
    pattern::Pattern,
};

/// The bytes of one body, consumed from front to back.
pub(crate) enum Source {
    /// A short body in memory; what was sent is counted in `at`.
    Bytes { bytes: Vec<u8>, at: usize },
    /// Positions `at..end` of the pattern.
    Generated { pattern: Rc<Pattern>, at: u64, end: u64 },
    /// Bytes of a file.
    File(FileSource),
    /// What is left of several bodies in a row, the first of which is not used up.
    Parts(VecDeque<Source>),
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

    /// A short body.
    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes { bytes: bytes.into(), at: 0 }
    }

    /// The bodies of all parts in a row.
    pub(crate) fn parts(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::Parts(parts.into_iter().filter(|part| !part.is_empty()).collect())
    }

    /// Whether the body has no bytes at all, so that the head is the end of the response.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Bytes { bytes, at } => *at == bytes.len(),
            Self::Generated { at, end, .. } => at == end,
            Self::File(file) => file.unsent == 0,
            Self::Parts(parts) => parts.iter().all(Self::is_empty),
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
            Self::Parts(parts) => {
                let is_last = parts.len() <= 1;
                match parts.front_mut().map(Self::piece) {
                    Some(Piece::Ready { data, last }) => {
                        Piece::Ready { data, last: last && is_last }
                    }
                    Some(other) => other,
                    None => Piece::Ready { data: &[], last: true },
                }
            }
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
            Self::Parts(parts) => {
                if let Some(first) = parts.front_mut() {
                    first.consume(count);
                    if first.is_empty() {
                        parts.pop_front();
                    }
                }
            }
        }
    }

    /// Memory that this source holds.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Bytes { bytes, .. } => bytes.capacity(),
            Self::Generated { .. } => 0,
            Self::File(file) => file.chunk.capacity() + file.reader.held(),
            Self::Parts(parts) => parts.iter().map(Self::held).sum(),
        }
    }

    /// What a worker should read now, if anything.
    pub(crate) fn start_read(&mut self, allowance: Allowance) -> Option<ReadJob> {
        match self {
            Self::Bytes { .. } | Self::Generated { .. } => None,
            Self::File(file) => file.start_read(allowance),
            Self::Parts(parts) => parts.front_mut()?.start_read(allowance),
        }
    }

    /// Takes back what [`start_read`](Self::start_read) gave away.
    pub(crate) fn finish_read(&mut self, done: ReadDone) {
        match self {
            Self::Bytes { .. } | Self::Generated { .. } => {}
            Self::File(file) => file.finish_read(done),
            // A part with a read under way is not used up, so it is still the first.
            Self::Parts(parts) => {
                if let Some(first) = parts.front_mut() {
                    first.finish_read(done);
                }
            }
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
    /// Where in the file the next chunk begins.
    position: u64,
    reader: Reader,
}

/// See the picture on top.
enum Reader {
    Idle { file: Arc<OpenFile>, spare: Vec<u8> },
    Reading { length: usize },
    Ahead { file: Arc<OpenFile>, next: Vec<u8> },
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
    /// `length` bytes of `file` from `start` on. The same file may be given to several sources, of
    /// which only one may read at a time.
    pub(crate) fn new(file: Arc<OpenFile>, start: u64, length: u64) -> Self {
        let reader = Reader::Idle { file, spare: Vec::new() };
        let (chunk, at) = (Vec::new(), 0);
        Self { chunk, at, unsent: length, unread: length, position: start, reader }
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
                Some(ReadJob { file, buffer, position: self.position, length })
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
                self.position = self.position.saturating_add(next.len() as u64);
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
    counted: Counted,
}

/// How many [`OpenFile`]s exist.
pub(crate) type OpenFiles = Counter;

impl OpenFile {
    pub(crate) fn new(file: File, count: &OpenFiles) -> Self {
        Self { file, counted: count.add(1) }
    }

    pub(crate) fn as_file(&self) -> &File {
        &self.file
    }

    /// Closes the file and says what the system says about it: some file systems report only then
    /// that they could not write.
    pub(crate) fn close(self) -> io::Result<()> {
        let Self { file, counted } = self;
        #[cfg(unix)]
        let result = nix::unistd::close(file).map_err(io::Error::from);
        // Elsewhere nobody tells, unless asked to do more.
        #[cfg(not(unix))]
        let result = file.sync_all();
        drop(counted);
        result
    }
}

#[cfg(test)]
impl OpenFile {
    pub(crate) fn read_to_string(&self) -> String {
        io::read_to_string(&self.file).unwrap()
    }
}

/// A read for a worker to do.
#[derive(Debug)]
pub(crate) struct ReadJob {
    file: Arc<OpenFile>,
    buffer: Vec<u8>,
    position: u64,
    length: usize,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct ReadDone {
    file: Arc<OpenFile>,
    result: io::Result<Vec<u8>>,
}

impl ReadJob {
    /// Reads. Thread: a worker; it waits for the disk.
    ///
    /// A file that has become shorter is an error: its length was promised to the client.
    pub(crate) fn run(mut self) -> ReadDone {
        // Costs nothing when the buffer comes back from the previous chunk.
        self.buffer.resize(self.length, 0);
        let mut file = &self.file.file;
        let result = file
            .seek(SeekFrom::Start(self.position))
            .and_then(|_| file.read_exact(&mut self.buffer))
            .map(|()| self.buffer);
        ReadDone { file: self.file, result }
    }
}
