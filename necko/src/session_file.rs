//! What connections leave for later ones, on disk between the runs of a program.
//!
//! Read and written on the application's threads: when a handler is made and when it is shut down. The file is
//! replaced as a whole, so that whoever reads it meanwhile sees the old one or the new one, and of two programs
//! that write it the last one wins.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use http3_session::{SslTokensCache, TokensFileError};
use socket_transport::Clock;

/// For the owner alone: it holds secrets, and who can change it can pretend to be any server in it.
const MODE: u32 = 0o600;
const MAY_BE_WRITTEN_BY_OTHERS: u32 = 0o022;

/// Where tokens are kept.
#[derive(Debug)]
pub(crate) struct SessionFile {
    path: PathBuf,
    /// What is there is somebody else's, and stays.
    untouchable: bool,
}

impl SessionFile {
    /// The file, what is in it, and what is wrong with it if it can't be used. No file is an empty one.
    pub(crate) fn open(path: PathBuf) -> (Self, SslTokensCache, Option<String>) {
        let mut file = Self { path, untouchable: false };
        let (tokens, problem) = match file.read() {
            Ok(tokens) => (tokens, None),
            Err(problem) => (SslTokensCache::default(), Some(problem)),
        };
        let problem = problem
            .map(|what| format!("the session file {} is ignored: {what}", file.path.display()));
        (file, tokens, problem)
    }

    fn read(&mut self) -> Result<SslTokensCache, String> {
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(SslTokensCache::default());
            }
            Err(error) => return Err(error.to_string()),
        };
        // Not opened: that could take for ever.
        if !metadata.is_file() {
            self.untouchable = true;
            return Err("it is not a regular file".into());
        }
        let file = File::open(&self.path).map_err(|error| error.to_string())?;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        check_owner(&metadata)?;
        let mut bytes = Vec::new();
        let limit = SslTokensCache::MAX_FILE as u64 + 1;
        file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.is_empty() {
            return Ok(SslTokensCache::default());
        }
        let clock = Clock::system();
        SslTokensCache::from_bytes(&bytes, clock.now(), clock.wall()).map_err(|error| {
            self.untouchable = error == TokensFileError::Foreign;
            error.to_string()
        })
    }

    /// Replaces what is there.
    ///
    /// # Errors
    /// What went wrong. What was there before is still there.
    pub(crate) fn write(&self, tokens: &SslTokensCache) -> Result<(), String> {
        if self.untouchable {
            return Ok(());
        }
        let clock = Clock::system();
        let bytes = tokens.to_bytes(clock.now(), clock.wall());
        replace(&self.path, &bytes)
            .map_err(|error| format!("the session file {}: {error}", self.path.display()))
    }
}

/// Who else may write there could give us tokens of his own making.
fn check_owner(metadata: &Metadata) -> Result<(), String> {
    if metadata.mode() & MAY_BE_WRITTEN_BY_OTHERS != 0 {
        return Err("others may write to it".into());
    }
    // The owner of a process is that of its folder in /proc.
    match fs::metadata("/proc/self") {
        Ok(process) if process.uid() != metadata.uid() => Err("it belongs to somebody else".into()),
        _ => Ok(()),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a link points to, not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = temporary_name(&path)?;
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
    if let Err(error) = written {
        // It may not have come into being.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    // So that the new name outlives a loss of power. Some file systems don't know how.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// In the same folder, and nobody else's.
fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::IsADirectory)?);
    name.push(format!(".{}.{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    Ok(path.with_file_name(name))
}

#[cfg(test)]
#[path = "session_file_tests.rs"]
mod tests;
