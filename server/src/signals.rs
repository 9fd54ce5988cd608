//! Signals of the operating system, on a thread of their own.
//!
//! ```text
//!   SIGINT, SIGTERM   first: graceful shutdown       second: the process ends at once
//!   SIGUSR1           writes the snapshot, if a file was named
//! ```

use std::{io, path::PathBuf, process, thread};

use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};

use crate::Control;

/// Handles signals from now on.
///
/// # Errors
/// When the system does not let us.
pub fn handle(control: Control, snapshot: Option<PathBuf>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
    thread::Builder::new().name("necko signals".to_owned()).spawn(move || {
        let mut leaving = false;
        for signal in signals.forever() {
            if signal == SIGUSR1 {
                write_snapshot(&control, snapshot.as_ref());
            } else if leaving {
                // As a shell reports a death by signal.
                process::exit(128 + signal);
            } else {
                leaving = true;
                log::warn!("shutting down; a second signal ends at once");
                control.shut_down();
            }
        }
    })?;
    Ok(())
}

fn write_snapshot(control: &Control, path: Option<&PathBuf>) {
    let (Some(path), Some(snapshot)) = (path, control.snapshot()) else { return };
    if let Err(error) = snapshot.write(path) {
        log::error!("the snapshot {} can't be written: {error}", path.display());
    }
}
