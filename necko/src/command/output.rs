//! Where bodies go. A file appears under its name when it is complete, and not before.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, IsTerminal as _, Write as _},
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    exit_code::ExitCode,
    report::{Failure, write_failure},
};

/// What the user wants of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Standard output; asked for by `-o -`, or for want of an `-o`.
    Stdout {
        asked_for: bool,
    },
    File(PathBuf),
}

impl Target {
    /// The n-th `-o`, or that there is none.
    pub(crate) fn new(output: Option<&PathBuf>) -> Self {
        match output {
            None => Self::Stdout { asked_for: false },
            Some(path) if path.as_os_str() == "-" => Self::Stdout { asked_for: true },
            Some(path) => Self::File(path.clone()),
        }
    }

    /// Whether a person sees it, so that nothing else should be drawn.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout { .. }) && io::stdout().is_terminal()
    }
}

/// The names of files that are being written, for the case that the process has to end at once.
#[derive(Debug, Default)]
pub(crate) struct Unfinished(Mutex<BTreeSet<PathBuf>>);

impl Unfinished {
    /// Removes them from the disk.
    pub(crate) fn remove_all(&self) {
        for path in self.0.lock().iter() {
            // It may not have come into being yet, or just got its name.
            let _ = fs::remove_file(path);
        }
    }
}

/// A file under a temporary name: removed when dropped, unless it got its own name.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    unfinished: Arc<Unfinished>,
    named: bool,
}

impl Temporary {
    /// A new file next to `destination`.
    fn create(destination: &Path, unfinished: &Arc<Unfinished>) -> io::Result<(Self, File)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = destination.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = destination.with_file_name(temporary_name(name, number));
        unfinished.0.lock().insert(path.clone());
        let temporary = Self { path, unfinished: Arc::clone(unfinished), named: false };
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary.path);
        match file {
            Ok(file) => Ok((temporary, file)),
            Err(error) => {
                // Whatever has that name, this process didn't make it.
                temporary.forget();
                Err(error)
            }
        }
    }

    fn forget(mut self) {
        self.named = true;
    }

    fn rename(self, destination: &Path) -> io::Result<()> {
        fs::rename(&self.path, destination)?;
        self.forget();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.named {
            let _ = fs::remove_file(&self.path);
        }
        self.unfinished.0.lock().remove(&self.path);
    }
}

/// `.NAME.PID-NUMBER.part`, with as much of the name as file systems allow.
fn temporary_name(name: &OsStr, number: u64) -> OsString {
    const MAX: usize = 200;
    let start = name.as_bytes().get(..MAX).map_or(name, OsStr::from_bytes);
    let mut temporary = OsString::from(".");
    temporary.push(start);
    temporary.push(format!(".{}-{number}.part", process::id()));
    temporary
}

/// An open output.
#[derive(Debug)]
pub(crate) struct Sink {
    writer: BufWriter<File>,
    kind: Kind,
    written: usize,
}

#[derive(Debug)]
enum Kind {
    Stdout {
        /// Bytes that aren't text would confuse a terminal.
        text_only: bool,
    },
    /// A device or a pipe with a name: written as it is.
    Special(PathBuf),
    File {
        temporary: Temporary,
        destination: PathBuf,
    },
}

const BUFFER: usize = 128 * 1024;

/// How much of an output decides whether it is text, as with curl.
const LOOKED_AT: usize = 2000;

impl Sink {
    /// Opens what the user wants.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn open(target: &Target, unfinished: &Arc<Unfinished>) -> Result<Self, Failure> {
        match target {
            Target::Stdout { asked_for } => {
                let file = io::stdout().as_fd().try_clone_to_owned().map(File::from);
                let file =
                    file.map_err(|error| write_failure("opening standard output failed", &error))?;
                let text_only = !asked_for && file.is_terminal();
                Ok(Self::new(file, Kind::Stdout { text_only }))
            }
            Target::File(path) => Self::open_file(path, unfinished),
        }
    }

    /// Opens a file by its name. What has that name now stays until [`finish`](Self::finish).
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn open_file(path: &Path, unfinished: &Arc<Unfinished>) -> Result<Self, Failure> {
        let open = || {
            let Ok(present) = fs::metadata(path) else {
                let (temporary, file) = Temporary::create(path, unfinished)?;
                let destination = path.to_owned();
                return Ok(Self::new(file, Kind::File { temporary, destination }));
            };
            // Whoever may not write to what is there may not replace it either.
            let old = OpenOptions::new().write(true).open(path)?;
            if !present.is_file() {
                return Ok(Self::new(old, Kind::Special(path.to_owned())));
            }
            // A link stays a link, and the new file is as private as the old one.
            let destination = fs::canonicalize(path)?;
            let (temporary, file) = Temporary::create(&destination, unfinished)?;
            file.set_permissions(present.permissions())?;
            Ok(Self::new(file, Kind::File { temporary, destination }))
        };
        open().map_err(|error| write_failure(&format!("opening {} failed", path.display()), &error))
    }

    fn new(file: File, kind: Kind) -> Self {
        Self { writer: BufWriter::with_capacity(BUFFER, file), kind, written: 0 }
    }

    /// Writes all of it, now or soon.
    ///
    /// # Errors
    /// It can't be written, or is nothing for a terminal.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let text_only = matches!(self.kind, Kind::Stdout { text_only: true });
        if text_only && self.written < LOOKED_AT && bytes.contains(&0) {
            return Err(Failure::new(
                ExitCode::WriteError,
                "binary output can confuse a terminal; write it to a file with -o FILE, or insist with -o -",
            ));
        }
        self.written += bytes.len();
        self.writer.write_all(bytes).map_err(|error| self.failure(&error))
    }

    /// Brings what was written to whoever reads along. A file waits for its end.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if matches!(self.kind, Kind::File { .. }) {
            return Ok(());
        }
        self.writer.flush().map_err(|error| self.failure(&error))
    }

    /// The output is complete: a file gets its name.
    ///
    /// # Errors
    /// It can't be written. A file is gone then.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(|error| self.failure(&error))?;
        if let Kind::File { temporary, destination } = self.kind {
            temporary.rename(&destination).map_err(|error| {
                write_failure(&format!("giving {} its name failed", destination.display()), &error)
            })?;
        }
        Ok(())
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let name = match &self.kind {
            Kind::Stdout { .. } => "standard output".into(),
            Kind::Special(path) | Kind::File { destination: path, .. } => {
                path.display().to_string()
            }
        };
        write_failure(&format!("writing to {name} failed"), error)
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
