//! `-T`: a file, or standard input, as the request's body.
//!
//! ```text
//!   regular file ─────────────────────────────► read by the library, which can send it again if it must
//!   the same, counted or with a rate ─┐
//!   standard input, pipe, device ─────┴─ a thread ─ BodyWriter ─► a pipe of 96 KiB
//! ```
//!
//! Whatever it is and however long, no more than a few pieces of it are in memory.

use std::{
    fs::File,
    io::{self, Read},
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use necko::{BodyWriter, RequestBody};
use socket_transport::Clock;
use url::Url;

use super::{
    exit_code::ExitCode,
    progress::Progress,
    rate_limit::Pace,
    report::{Failure, cause},
    wait::park_until,
};

/// The argument of one `-T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    pub(crate) fn new(path: &Path) -> Self {
        match path.to_str() {
            // To curl the second is a standard input that doesn't block; none does here.
            Some("-" | ".") => Self::Stdin,
            _ => Self::File(path.to_owned()),
        }
    }

    /// `url`, with the file's name appended where it names none.
    ///
    /// # Errors
    /// The name is no text.
    pub(crate) fn place(&self, mut url: Url) -> Result<Url, Failure> {
        let Self::File(path) = self else { return Ok(url) };
        let Some(name) = path.file_name() else { return Ok(url) };
        if !url.path().ends_with('/') || url.query().is_some() {
            return Ok(url);
        }
        let name = name.to_str().ok_or_else(|| {
            let message =
                format!("the name of {} is no text; write one into the URL", path.display());
            Failure::new(ExitCode::MalformedUrl, message)
        })?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(name);
        }
        Ok(url)
    }

    /// The body, and what fills it unless the library does. `counted` is whether somebody wants to know how
    /// far it is, or how fast it may be.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn open(&self, counted: bool) -> Result<(RequestBody, Option<Feeder>), Failure> {
        let path = match self {
            Self::Stdin => {
                return Ok(Feeder::new(Box::new(io::stdin()), None, "standard input".into()));
            }
            Self::File(path) => path,
        };
        let name = path.display().to_string();
        let open = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if metadata.is_file() && !counted {
                return Ok((RequestBody::file(file)?, None));
            }
            let length = metadata.is_file().then_some(metadata.len());
            Ok(Feeder::new(Box::new(file), length, name.clone()))
        };
        open().map_err(|error| unreadable(&name, &error))
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    let message = format!("{name} can't be read: {}", cause(error));
    Failure::new(ExitCode::ReadError, message)
}

/// What moves bytes from a source into a request.
pub(crate) struct Feeder {
    source: Box<dyn Read + Send>,
    /// For messages.
    name: String,
    /// How many there will be, if that is known.
    length: Option<u64>,
    writer: BodyWriter,
}

/// How far an upload is. Any thread.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    bytes: AtomicU64,
    failure: OnceLock<Failure>,
}

impl Sent {
    /// Bytes that the request took.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Why the source gave no more, if that is how it ended.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.get().cloned()
    }
}

const PIECE: usize = 64 * 1024;

impl Feeder {
    fn new(
        source: Box<dyn Read + Send>,
        length: Option<u64>,
        name: String,
    ) -> (RequestBody, Option<Self>) {
        let (writer, body) = RequestBody::pipe(length);
        (body, Some(Self { source, name, length, writer }))
    }

    /// Feeds on a thread of its own: a read of standard input can take for ever, and must not keep the
    /// transfer from seeing an early response, a signal, or the end of its time. The thread ends when the
    /// request wants no more, or with the process.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(
        self,
        rate: Option<NonZeroU64>,
        progress: Arc<Progress>,
        moved: Arc<AtomicU64>,
    ) -> Result<Arc<Sent>, Failure> {
        let sent = Arc::<Sent>::default();
        let of_thread = Arc::clone(&sent);
        progress.begin(self.length);
        let feed = move || self.feed(rate, &progress, &of_thread, &moved);
        thread::Builder::new().name("Upload".into()).spawn(feed).map_err(|error| {
            let message = format!("no thread for the upload: {error}");
            Failure::new(ExitCode::FailedInit, message)
        })?;
        Ok(sent)
    }

    /// When it fails, the writer is dropped unfinished: the server never takes a part for the whole.
    fn feed(
        mut self,
        rate: Option<NonZeroU64>,
        progress: &Progress,
        sent: &Sent,
        moved: &AtomicU64,
    ) {
        let clock = Clock::system();
        let mut pace = rate.map(|rate| Pace::new(rate, clock.now()));
        let mut buffer = vec![0; pace.as_ref().map_or(PIECE, Pace::piece).max(1)];
        loop {
            let piece = match self.read(&mut buffer, sent.bytes()) {
                Ok([]) => return self.writer.finish(),
                Ok(piece) => piece,
                Err(failure) => {
                    let _ = sent.failure.set(failure);
                    return;
                }
            };
            let length = piece.len();
            if io::Write::write_all(&mut self.writer, piece).is_err() {
                // The response says why.
                return;
            }
            sent.bytes.fetch_add(length as u64, Ordering::Relaxed);
            moved.fetch_add(length as u64, Ordering::Relaxed);
            progress.add(length as u64);
            if let Some(pace) = &mut pace {
                park_until(&clock, pace.pass(length, clock.now()));
            }
        }
    }

    /// The next bytes, none at the end. What is appended to a file meanwhile is not sent, as with curl.
    fn read<'a>(&mut self, buffer: &'a mut [u8], sent: u64) -> Result<&'a [u8], Failure> {
        let left = self.length.map_or(u64::MAX, |length| length.saturating_sub(sent));
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let space = buffer.get_mut(..wanted).unwrap_or_default();
        let length = loop {
            match self.source.read(space) {
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&self.name, &error)),
            }
        };
        if length == 0 && wanted > 0 && self.length.is_some() {
            let message =
                format!("{} became shorter while it was sent, after {sent} bytes", self.name);
            return Err(Failure::new(ExitCode::ReadError, message));
        }
        Ok(space.get(..length).unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
