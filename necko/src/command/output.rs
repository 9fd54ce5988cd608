//! Where bodies go. A file appears under its name when it is complete, and not before.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufWriter, IsTerminal as _, Write as _},
    os::{fd::AsFd as _, unix::fs::DirBuilderExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    exit_code::ExitCode,
    part::{Part, UnfinishedPart},
    report::{Failure, write_failure},
    temporary::{Temporary, Unfinished},
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
    /// Whether a person sees it, so that nothing else should be drawn.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout { .. }) && io::stdout().is_terminal()
    }
}

/// An open output.
#[derive(Debug)]
pub(crate) struct Sink {
    writer: BufWriter<File>,
    kind: Kind,
    written: u64,
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
    /// A file that can be gone on with when it breaks off.
    Part {
        part: UnfinishedPart,
        /// Where the first byte that is written goes.
        offset: u64,
        /// The length of the whole, if it is known.
        total: Option<u64>,
    },
}

const BUFFER: usize = 128 * 1024;

/// How much of an output decides whether it is text, as with curl.
const LOOKED_AT: u64 = 2000;

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

    /// Writes what follows the first `offset` bytes of `part`.
    pub(crate) fn part(part: Part, offset: u64, total: Option<u64>) -> Self {
        let (file, part) = part.into_writer();
        Self::new(file, Kind::Part { part, offset, total })
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
        self.written += bytes.len() as u64;
        self.writer.write_all(bytes).map_err(|error| self.failure(&error))
    }

    /// Brings what was written to whoever reads along. A file waits for its end.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if matches!(self.kind, Kind::File { .. } | Kind::Part { .. }) {
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
        match self.kind {
            Kind::Stdout { .. } | Kind::Special(_) => Ok(()),
            Kind::File { temporary, destination } => {
                temporary.rename(&destination).map_err(|error| {
                    write_failure(
                        &format!("giving {} its name failed", destination.display()),
                        &error,
                    )
                })
            }
            Kind::Part { part, offset, total } => {
                check_length(offset.saturating_add(self.written), total)?;
                part.complete()
            }
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let name = match &self.kind {
            Kind::Stdout { .. } => "standard output".into(),
            Kind::Special(path) | Kind::File { destination: path, .. } => {
                path.display().to_string()
            }
            Kind::Part { part, .. } => part.destination().display().to_string(),
        };
        write_failure(&format!("writing to {name} failed"), error)
    }
}

/// A server may send less of a range than was asked for.
fn check_length(length: u64, total: Option<u64>) -> Result<(), Failure> {
    match total {
        Some(total) if total != length => Err(Failure::new(
            ExitCode::PartialTransfer,
            format!("the server sent the bytes up to {length} of {total}; go on with -C -"),
        )),
        _ => Ok(()),
    }
}

/// Makes the folder that `path` is to be in, and those above it.
///
/// # Errors
/// It can't be made.
pub(crate) fn create_dirs(path: &Path) -> Result<(), Failure> {
    let Some(dir) = path.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o750).create(dir).map_err(|error| {
        write_failure(&format!("making the directory {} failed", dir.display()), &error)
    })
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
