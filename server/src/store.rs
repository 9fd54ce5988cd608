//! The folder for uploads, and what workers do there.
//!
//! ```text
//!   Open ──▶ .NAME.PID-N.part ── Write… ──▶ Finish: write, close, check again, rename ──▶ NAME
//!                 │                            │
//!                 └── Discard, any error, dropped anywhere: removed
//! ```
//!
//! A name only ever stands for a whole body: the bytes are collected under a temporary name beside it.
//! [`Partial`] is that temporary file, and takes it along when it goes, whatever the reason. (A process
//! that is killed leaves it behind; its name tells.)

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use boring::rand::rand_bytes;

use crate::{
    buffer::Buffer,
    conditions::{Conditions, Validators, Verdict},
    connection::Connection,
    counter::Counted,
    files::{self, Refusal, Target, UNFINISHED},
    keyed::Key,
    source::{OpenFile, OpenFiles},
};

/// Whose upload: connection and stream, which never name a second one.
pub(crate) type Place = (Key<Connection>, u64);

/// Takes jobs to where the disk may be waited for.
pub(crate) trait Store {
    /// What becomes of the job comes back to the upload at `place`.
    fn submit(&mut self, place: Place, job: Job);
}

/// Work for a worker. A job that is dropped leaves nothing behind either.
#[derive(Debug)]
pub(crate) enum Job {
    /// Checks where the body is to go, and makes the temporary file.
    Open(Box<Destination>),
    /// Appends.
    Write { partial: Box<Partial>, bytes: Buffer },
    /// Appends the last bytes and gives the file its name.
    Finish { partial: Box<Partial>, bytes: Buffer },
    /// Removes the temporary file.
    Discard(Box<Partial>),
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Done {
    /// The temporary file can take more. The buffer, now empty, comes back if there was one.
    Ready { partial: Box<Partial>, spare: Option<Buffer> },
    /// The file has its name.
    Stored(Stored),
    /// It can't be; nothing is left.
    Failed(Failure),
    /// Nothing is left, as it was wanted.
    Discarded,
}

/// A stored body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Under a name that did not exist.
    pub(crate) created: bool,
    /// The path of that name, if the server has chosen it.
    pub(crate) location: Option<String>,
    pub(crate) length: u64,
    /// The entity tag.
    pub(crate) tag: String,
}

/// Why a body is not taken: for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) text: &'static str,
}

/// Where a body is to go.
#[derive(Debug)]
pub(crate) struct Destination {
    /// The folder, canonical.
    pub(crate) root: Arc<Path>,
    pub(crate) target: Target,
    /// The target is a folder, and the name in it is to be chosen.
    pub(crate) is_post: bool,
    pub(crate) conditions: Conditions,
    pub(crate) open_files: OpenFiles,
    /// Counts the upload among the unfinished ones.
    pub(crate) counted: Counted,
}

/// A file that is not complete.
#[derive(Debug)]
pub(crate) struct Partial {
    // In this order, which is the one in which they are dropped: what counts as gone is gone.
    temporary: Temporary,
    file: OpenFile,
    path: PathBuf,
    location: Option<String>,
    conditions: Conditions,
    length: u64,
    counted: Counted,
}

/// A name that is removed with this, unless it has become another one.
#[derive(Debug)]
struct Temporary(Option<PathBuf>);

impl Job {
    /// Thread: a worker; it waits for the disk.
    pub(crate) fn run(self) -> Done {
        let result = match self {
            Self::Open(destination) => destination.open().map(|partial| {
                let partial = Box::new(partial);
                Done::Ready { partial, spare: None }
            }),
            Self::Write { mut partial, mut bytes } => partial.append(bytes.as_slice()).map(|()| {
                bytes.clear();
                Done::Ready { partial, spare: Some(bytes) }
            }),
            Self::Finish { partial, bytes } => partial.finish(bytes.as_slice()).map(Done::Stored),
            Self::Discard(partial) => {
                drop(partial);
                Ok(Done::Discarded)
            }
        };
        result.unwrap_or_else(Done::Failed)
    }
}

impl Destination {
    fn open(self) -> Result<Partial, Failure> {
        let (path, location) = if self.is_post { self.fresh_name()? } else { self.named()? };
        check(&path, &self.conditions)?;
        let (file, temporary) = create_beside(&path)?;
        Ok(Partial {
            temporary,
            file: OpenFile::new(file, &self.open_files),
            path,
            location,
            conditions: self.conditions,
            length: 0,
            counted: self.counted,
        })
    }

    /// The file that a PUT names.
    fn named(&self) -> Result<(PathBuf, Option<String>), Failure> {
        let relative = self.target.relative();
        let Some(name) = relative.file_name().filter(|_| !self.target.must_be_folder()) else {
            return Err(Failure::conflict("a folder can't be replaced; PUT needs a file's name"));
        };
        if files::is_unfinished_upload(name) {
            return Err(Failure {
                status: 403,
                text: "such names are kept for unfinished uploads",
            });
        }
        let parent = relative.parent().unwrap_or(Path::new(""));
        let folder = match files::inside(&self.root, &self.root.join(parent)) {
            Err(Refusal::NotFound) => return Err(Failure::conflict("there is no such folder")),
            other => other?,
        };
        let path = folder.join(name);
        match fs::symlink_metadata(&path) {
            // What the link leads to is what is meant. It has to exist, or else nobody knows where it
            // will lead once it does.
            Ok(metadata) if metadata.is_symlink() => match files::inside(&self.root, &path) {
                Err(Refusal::NotFound) => {
                    Err(Failure { status: 403, text: "the path is a link that leads nowhere" })
                }
                other => Ok((other?, None)),
            },
            Ok(_) => Ok((path, None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((path, None)),
            Err(error) => Err(Failure::of(&path, &error)),
        }
    }

    /// A name in the folder to which a POST goes.
    fn fresh_name(&self) -> Result<(PathBuf, Option<String>), Failure> {
        let folder = files::inside(&self.root, &self.root.join(self.target.relative()))?;
        if !folder.is_dir() {
            return Err(Failure::conflict("POST stores into a folder; use PUT for a file"));
        }
        // Two of them are never equal; so this is no race.
        let name = format!("upload-{:016x}", random_u64());
        let mut location = self.target.url_path();
        if !location.ends_with('/') {
            location.push('/');
        }
        location.push_str(&name);
        Ok((folder.join(name), Some(location)))
    }
}

impl Partial {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.as_file().write_all(bytes).map_err(|error| Failure::of(&self.path, &error))?;
        self.length = self.length.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn finish(mut self, bytes: &[u8]) -> Result<Stored, Failure> {
        self.append(bytes)?;
        // Dropped last, should anything fail.
        let _counted = self.counted;
        let mut temporary = self.temporary;
        let path = self.path;
        let failure = |error: &io::Error| Failure::of(&path, error);
        let metadata = self.file.as_file().metadata().map_err(|error| failure(&error))?;
        self.file.close().map_err(|error| failure(&error))?;
        // Others may have been here since.
        let existed = check(&path, &self.conditions)?;
        temporary.rename(&path).map_err(|error| failure(&error))?;
        Ok(Stored {
            created: !existed,
            location: self.location,
            length: self.length,
            tag: Validators::of_file(metadata.len(), metadata.modified().ok()).tag,
        })
    }
}

impl Temporary {
    fn rename(&mut self, path: &Path) -> io::Result<()> {
        if let Some(temporary) = &self.0 {
            fs::rename(temporary, path)?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::remove_file(path)
        {
            log::warn!("the unfinished upload {} stays behind: {error}", path.display());
        }
    }
}

/// Whether a body may go to `path`, and whether something is there already.
fn check(path: &Path, conditions: &Conditions) -> Result<bool, Failure> {
    let current = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            Some(Validators::of_file(metadata.len(), metadata.modified().ok()))
        }
        Ok(metadata) if metadata.is_dir() => return Err(Failure::conflict("this is a folder")),
        Ok(_) => return Err(Failure::conflict("this is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::of(path, &error)),
    };
    match conditions.judge(current.as_ref(), false) {
        Verdict::Perform => Ok(current.is_some()),
        Verdict::NotModified | Verdict::Failed => Err(Failure {
            status: 412,
            text: "the file is not in the state that the request asks for",
        }),
    }
}

/// Makes the temporary file for `path`, beside it: only there is renaming one step.
fn create_beside(path: &Path) -> Result<(fs::File, Temporary), Failure> {
    let mut error = io::Error::from(io::ErrorKind::AlreadyExists);
    // Others of the same name may be there, of a process that was killed.
    for _ in 0..8 {
        let temporary = path.with_file_name(temporary_name(path));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, Temporary(Some(temporary)))),
            Err(other) => error = other,
        }
        if error.kind() != io::ErrorKind::AlreadyExists {
            break;
        }
    }
    Err(Failure::of(path, &error))
}

/// `.NAME.PID-N.part`, of which NAME is the beginning: the whole may be too long.
fn temporary_name(path: &Path) -> OsString {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().take(40).collect();
    // The upper half, so that the numbers look like those of processes.
    let number = random_u64() >> 32;
    format!(".{name}.{}-{number}{UNFINISHED}", process::id()).into()
}

fn random_u64() -> u64 {
    let mut random = [0; 8];
    if rand_bytes(&mut random).is_err() {
        // Then names repeat, which is noticed: files are only ever made anew.
        log::error!("the system has no random numbers");
    }
    u64::from_be_bytes(random)
}

impl Failure {
    /// The body is longer than bodies may be.
    pub(crate) fn too_large() -> Self {
        Self { status: 413, text: "the body is larger than this server takes" }
    }

    fn conflict(text: &'static str) -> Self {
        Self { status: 409, text }
    }

    /// What the system does not let us do, also for the log.
    fn of(path: &Path, error: &io::Error) -> Self {
        log::warn!("an upload can't be stored as {}: {error}", path.display());
        let (status, text) = match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => (507, "there is no room for the file"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (403, "the server may not write there")
            }
            io::ErrorKind::InvalidFilename => (400, "the file system does not take the name"),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                (409, "there is no such folder")
            }
            _ => (500, "the file can't be stored at present"),
        };
        Self { status, text }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (status, text) = match refusal {
            Refusal::Malformed(reason) => (400, reason),
            Refusal::Forbidden(reason) => (403, reason),
            Refusal::NotFound | Refusal::Moved(_) => (404, "there is no such folder"),
            Refusal::Unavailable(error) => return Self::of(Path::new("a file"), &error),
        };
        Self { status, text }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
