//! qlog: one file per connection, in the form that qvis and other viewers read.

use std::{
    fs::{self, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use neqo_common::{
    Role,
    qlog::{NeqoQlog, new_trace},
};
use qlog::{QLOG_VERSION, events::EventImportance, streamer::QlogStreamer};

/// Opens `{dir}/{host}_{id}.sqlog`, and the folder if need be. Without a log the connection goes on: a
/// failure is only told to the user.
pub(crate) fn open(dir: &Path, host: &str, id: &str, now: Instant) -> NeqoQlog {
    let path = dir.join(format!("{}_{id}.sqlog", file_name(host)));
    match create(dir, &path) {
        Ok(file) => start(BufWriter::new(file), path, now),
        Err(error) => {
            log::warn!("no qlog in {}: {error}", path.display());
            NeqoQlog::disabled()
        }
    }
}

fn create(dir: &Path, path: &Path) -> io::Result<fs::File> {
    fs::create_dir_all(dir)?;
    OpenOptions::new().write(true).create_new(true).open(path)
}

pub(crate) fn start(
    file: impl Write + Send + Sync + 'static,
    path: PathBuf,
    now: Instant,
) -> NeqoQlog {
    let writer = QuietWriter { file: Some(file), path: path.clone() };
    let streamer = QlogStreamer::new(
        QLOG_VERSION.to_owned(),
        None,
        None,
        None,
        now,
        new_trace(Role::Client),
        // The streamer answers an event above its level with an error, so the level is the highest.
        EventImportance::Extra,
        Box::new(writer),
    );
    NeqoQlog::enabled(streamer, path).unwrap_or_else(|error| {
        log::warn!("no qlog: {error}");
        NeqoQlog::disabled()
    })
}

/// The host as a part of a file name: whatever else than letters, digits, `.` and `-` becomes `_`.
fn file_name(host: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    host.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

/// Writes until the first error, reports that one, and then swallows what comes.
///
/// neqo answers a failed write by closing the log from inside a borrow of it, and that panics: a full
/// disk would end the program. So this writer never fails.
struct QuietWriter<W: Write> {
    /// None after the first error.
    file: Option<W>,
    path: PathBuf,
}

impl<W: Write> QuietWriter<W> {
    fn attempt(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = write(file) {
            log::warn!("the qlog {} ends here: {error}", self.path.display());
            self.file = None;
        }
    }
}

impl<W: Write> Write for QuietWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|file| file.write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(Write::flush);
        Ok(())
    }
}

impl<W: Write> Drop for QuietWriter<W> {
    /// The buffer's own drop would keep an error to itself.
    fn drop(&mut self) {
        self.attempt(Write::flush);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// A disk with room for so many bytes; counts the attempts.
    struct SmallDisk {
        room: usize,
        attempts: Arc<AtomicUsize>,
    }

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            if bytes.len() > self.room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_the_first_error_nothing_more_is_tried() {
        let attempts = Arc::new(AtomicUsize::new(0));
        let disk = SmallDisk { room: 4, attempts: Arc::clone(&attempts) };
        let mut writer = QuietWriter { file: Some(disk), path: "test".into() };
        writer.write_all(b"1234").unwrap();
        writer.write_all(b"5").unwrap();
        writer.write_all(b"6").unwrap();
        writer.flush().unwrap();
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
        assert!(writer.file.is_none());
    }

    #[test]
    fn a_host_can_not_lead_out_of_the_folder() {
        assert_eq!(file_name("example.org"), "example.org");
        assert_eq!(file_name("::1"), "__1");
        assert_eq!(file_name("../a/b"), ".._a_b");
    }
}
