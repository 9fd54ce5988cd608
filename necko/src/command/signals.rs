//! Signals. SIGINT and SIGTERM end the run in an orderly way; SIGUSR1 writes a snapshot.

use std::{io, process, sync::Arc, thread, time::Duration};

use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ},
    iterator::Signals,
};

use super::{exit_code::ExitCode, snapshot::SnapshotFile, temporary::Unfinished, wait::Stop};

/// How long an orderly end may take; what blocks longer (a reader that doesn't read) is left to itself.
const GRACE: Duration = Duration::from_secs(2);

/// Watches on a thread of its own, until the process ends.
///
/// # Errors
/// The system refuses a handler or a thread.
pub(crate) fn watch(
    stop: Arc<Stop>,
    unfinished: Arc<Unfinished>,
    snapshot: Option<Arc<SnapshotFile>>,
) -> io::Result<()> {
    // With a handler of its own, a file that gets too large is an error of the write that can be reported.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGXFSZ])?;
    if snapshot.is_some() {
        signals.handle().add_signal(SIGUSR1)?;
    }
    thread::Builder::new().name("Signals".into()).spawn(move || {
        for signal in signals.forever() {
            match (signal, &snapshot) {
                (SIGUSR1, Some(snapshot)) => snapshot.write_or_complain(),
                (SIGXFSZ, _) => {}
                _ => end(signal, &stop, &unfinished),
            }
        }
    })?;
    Ok(())
}

/// The first signal asks everybody to stop; the second one, or too long a wait, ends the process.
fn end(signal: i32, stop: &Stop, unfinished: &Arc<Unfinished>) {
    let code = if signal == SIGTERM { ExitCode::Terminated } else { ExitCode::Interrupted };
    if !stop.wish(code) {
        exit(code, unfinished);
    }
    let unfinished = Arc::clone(unfinished);
    let last_resort = move || {
        thread::park_timeout(GRACE);
        exit(code, &unfinished);
    };
    // Without that thread a second signal does it.
    let _ = thread::Builder::new().name("Grace period".into()).spawn(last_resort);
}

fn exit(code: ExitCode, unfinished: &Unfinished) {
    unfinished.remove_all();
    process::exit(code.value().into());
}
