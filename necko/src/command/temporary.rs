//! Files under a temporary name, which are gone when they are not completed.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

/// The names of files that are being written, for the case that the process has to end at once.
#[derive(Debug, Default)]
pub(crate) struct Unfinished(pub(super) Mutex<BTreeSet<PathBuf>>);

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
pub(crate) struct Temporary {
    path: PathBuf,
    unfinished: Arc<Unfinished>,
    named: bool,
}

impl Temporary {
    /// A new file next to `destination`.
    pub(crate) fn create(
        destination: &Path,
        unfinished: &Arc<Unfinished>,
    ) -> io::Result<(Self, File)> {
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

    /// Gives it its own name.
    pub(crate) fn rename(self, destination: &Path) -> io::Result<()> {
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
