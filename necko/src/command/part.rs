//! `FILE.part`: an unfinished download that can be gone on with (`-C`).
//!
//! ```text
//!   FILE          appears, by renaming, when the last byte is there
//!   FILE.part     the bytes so far; locked while a process writes to it
//!   FILE.part.of  what they are part of: the URL, and the ETag or Last-Modified date to ask with (If-Range)
//! ```
//!
//! The note is what keeps bytes of two versions of a resource apart, so its order of writing matters: bytes of
//! one version never lie beside the note of another, whenever the process is killed. Without a note the bytes
//! are of unknown origin and are not gone on with.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::report::{Failure, write_failure};

/// What the bytes are part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) url: String,
    /// For `If-Range`: a strong `ETag`, or a `Last-Modified` date that is as good as one.
    pub(crate) validator: Option<String>,
    /// The length of the whole, if it was announced.
    pub(crate) total: Option<u64>,
}

/// A `FILE.part` of which this process is the only writer. What it holds stays when this is dropped.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    paths: Paths,
}

/// The names that belong to one destination.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) destination: PathBuf,
    part: PathBuf,
    note: PathBuf,
}

impl Paths {
    /// A link stays a link: what it leads to is the destination.
    pub(crate) fn of(destination: &Path) -> Self {
        let destination = fs::canonicalize(destination).unwrap_or_else(|_| destination.to_owned());
        let with = |more: &str| {
            let mut name = destination.file_name().map(OsStr::to_owned).unwrap_or_default();
            name.push(more);
            destination.with_file_name(name)
        };
        Self { part: with(".part"), note: with(".part.of"), destination }
    }

    /// The unfinished download that is there, and what it is part of.
    pub(crate) fn present(&self) -> Result<Option<(Part, Note)>, Failure> {
        let Some(note) = self.note() else { return Ok(None) };
        match Part::open(self, OpenOptions::new().write(true)) {
            Ok(part) => Ok(Some((part, note))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failure("opening", &error)),
        }
    }

    /// A note that can't be read is none.
    fn note(&self) -> Option<Note> {
        serde_json::from_slice(&fs::read(&self.note).ok()?).ok()
    }

    /// Begins anew, with what is part of `note`.
    pub(crate) fn begin(&self, note: &Note) -> Result<Part, Failure> {
        let begin = || {
            let part =
                Part::open(self, OpenOptions::new().write(true).create(true).truncate(false))?;
            part.begin_anew(note)?;
            if let Ok(present) = fs::metadata(&self.destination) {
                part.file.set_permissions(present.permissions())?;
            }
            Ok(part)
        };
        begin().map_err(|error| self.failure("opening", &error))
    }

    /// The file itself turns out to be unfinished: it becomes the part, and has its own name no longer.
    pub(crate) fn adopt(&self, note: &Note) -> Result<Part, Failure> {
        let adopt = || {
            remove_if_there(&self.note)?;
            fs::rename(&self.destination, &self.part)?;
            let part = Part::open(self, OpenOptions::new().write(true))?;
            self.write_note(note)?;
            Ok(part)
        };
        adopt().map_err(|error| self.failure("opening", &error))
    }

    fn write_note(&self, note: &Note) -> io::Result<()> {
        // A note that is cut short can't be parsed, and so is none.
        fs::write(&self.note, serde_json::to_vec(note)?)
    }

    fn failure(&self, doing: &str, error: &io::Error) -> Failure {
        write_failure(&format!("{doing} {} failed", self.part.display()), error)
    }
}

impl Part {
    fn open(paths: &Paths, options: &OpenOptions) -> io::Result<Self> {
        let file = options.open(&paths.part)?;
        let busy = || io::Error::new(io::ErrorKind::ResourceBusy, "another transfer writes to it");
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Whoever had the lock may have finished in between: then this is the complete file by now.
        let (held, named) = (file.metadata()?, fs::metadata(&paths.part)?);
        if (held.dev(), held.ino()) != (named.dev(), named.ino()) {
            return Err(busy());
        }
        Ok(Self { file, paths: paths.clone() })
    }

    /// How many bytes there are, and when the last one was written.
    pub(crate) fn state(&self) -> Result<(u64, SystemTime), Failure> {
        let state = |found: fs::Metadata| Ok((found.len(), found.modified()?));
        self.file.metadata().and_then(state).map_err(|error| self.paths.failure("reading", &error))
    }

    /// Keeps the first `offset` bytes, behind which the next ones are written.
    pub(crate) fn go_on_at(&mut self, offset: u64) -> Result<(), Failure> {
        let go_on = |file: &mut File| {
            file.set_len(offset)?;
            file.seek(SeekFrom::Start(offset))
        };
        go_on(&mut self.file).map_err(|error| self.paths.failure("opening", &error))?;
        Ok(())
    }

    /// Throws away what there is, for the bytes of another version.
    pub(crate) fn begin_anew(&self, note: &Note) -> io::Result<()> {
        // The old note first: it must not stand beside new bytes.
        remove_if_there(&self.paths.note)?;
        self.file.set_len(0)?;
        self.paths.write_note(note)
    }

    /// As [`begin_anew`](Self::begin_anew), with the failure in words.
    pub(crate) fn replace(&mut self, note: &Note) -> Result<(), Failure> {
        self.begin_anew(note).map_err(|error| self.paths.failure("opening", &error))?;
        self.go_on_at(0)
    }

    /// It is of no use any more.
    pub(crate) fn discard(self) {
        let _ = fs::remove_file(&self.paths.note);
        let _ = fs::remove_file(&self.paths.part);
    }

    /// For the one who writes, and what is to be done at the end.
    pub(crate) fn into_writer(self) -> (File, UnfinishedPart) {
        (self.file, UnfinishedPart { paths: self.paths, complete: false })
    }

    /// All of it is there.
    pub(crate) fn complete(self) -> Result<(), Failure> {
        self.into_writer().1.complete()
    }
}

/// The names of a part that is being written. Dropped before it is complete, they stay, unless nothing came.
#[derive(Debug)]
pub(crate) struct UnfinishedPart {
    paths: Paths,
    complete: bool,
}

impl UnfinishedPart {
    pub(crate) fn destination(&self) -> &Path {
        &self.paths.destination
    }

    /// Gives the file its own name.
    pub(crate) fn complete(mut self) -> Result<(), Failure> {
        let Paths { destination, part, note } = &self.paths;
        fs::rename(part, destination).map_err(|error| {
            write_failure(&format!("giving {} its name failed", destination.display()), &error)
        })?;
        self.complete = true;
        // A note without a part is of no use and does no harm.
        let _ = fs::remove_file(note);
        Ok(())
    }
}

impl Drop for UnfinishedPart {
    fn drop(&mut self) {
        let nothing = |path| fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0);
        if !self.complete && nothing(&self.paths.part) {
            let _ = fs::remove_file(&self.paths.note);
            let _ = fs::remove_file(&self.paths.part);
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "part_tests.rs"]
mod tests;
