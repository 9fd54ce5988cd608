//! One call of `necko fetch`, from its options to its exit code.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use bytes::Bytes;
use necko::HttpHandler;

use super::{
    exit_code::ExitCode,
    handler::{Choices, with_settings},
    heads::Dump,
    options::Fetch,
    pool::run_all,
    progress::Progress,
    report::{Failure, Summary, complain},
    signals,
    snapshot::SnapshotFile,
    temporary::Unfinished,
    transfer::{Shared, Transfer},
    verbose,
    wait::Stop,
};

/// `necko fetch`.
pub(crate) fn fetch(options: &Fetch) -> ExitCode {
    verbose::start(options.verbose);
    run(options).unwrap_or_else(|failure| {
        complain(&failure);
        failure.code
    })
}

fn run(options: &Fetch) -> Result<ExitCode, Failure> {
    let data = Bytes::from(options.data.read()?);
    let write_out = options.write_out.as_deref().map(str::parse).transpose()?;
    let transfers = transfers(options);
    let handler = Arc::new(handler(options)?);
    warn_of_session_file(&handler);
    let (stop, unfinished) = (Arc::<Stop>::default(), Arc::<Unfinished>::default());
    let snapshot = options.snapshot.clone().map(|path| {
        Arc::new(SnapshotFile::new(path, Arc::clone(&handler), Arc::clone(&unfinished)))
    });
    signals::watch(Arc::clone(&stop), Arc::clone(&unfinished), snapshot.clone()).map_err(
        |error| Failure::new(ExitCode::FailedInit, format!("signals can't be watched: {error}")),
    )?;
    let shared = Shared {
        options,
        data,
        write_out,
        handler: Arc::clone(&handler),
        progress: Arc::new(progress(options, &transfers)),
        unfinished,
        dump: options.following.dump_header.as_deref().map(Dump::open).transpose()?,
    };
    let outcome = run_all(&transfers, &shared, &stop);
    let mut code = outcome.code();
    if let Some(snapshot) = snapshot
        && let Err(failure) = snapshot.write()
    {
        complain(&failure);
        code = if code == ExitCode::Success { failure.code } else { code };
    }
    close(&handler, outcome.summary, options.silent);
    Ok(code)
}

/// The closing line, and the end of the connections.
fn close(handler: &HttpHandler, mut summary: Summary, silent: bool) {
    summary.connections = handler.snapshot().ok().map(|snapshot| snapshot.lifetime.connections);
    handler.shutdown();
    warn_of_session_file(handler);
    verbose::finish();
    if summary.complete > 0 && !silent {
        eprintln!("{summary}");
    }
}

fn warn_of_session_file(handler: &HttpHandler) {
    if let Some(problem) = handler.take_session_file_problem() {
        complain(&format!("warning: {problem}"));
    }
}

fn transfers(options: &Fetch) -> Vec<Transfer> {
    for (count, what) in [(options.outputs.count(), "-o or -O"), (options.upload_file.len(), "-T")]
    {
        if count > options.urls.len() {
            complain(&format!("warning: there are more {what} than URLs"));
        }
    }
    let urls = options.urls.iter().enumerate();
    urls.map(|(number, url)| Transfer::new(number, url, options)).collect()
}

fn handler(options: &Fetch) -> Result<HttpHandler, Failure> {
    let mut settings = Choices {
        cacert: options.cacert.as_deref(),
        insecure: options.insecure,
        connecting: &options.connecting,
        qlog_dir: options.qlog_dir.as_deref(),
    }
    .settings()?;
    settings.pinned_keys.clone_from(&options.pinnedpubkey);
    options.resuming.apply(&mut settings);
    if let Some(ech) = &options.ech {
        ech.apply(&mut settings, &options.urls);
    }
    with_settings(settings)
}

/// A bar is for a person who would see nothing else.
fn progress(options: &Fetch, transfers: &[Transfer]) -> Progress {
    let visible = io::stderr().is_terminal()
        && !options.silent
        && options.verbose == 0
        && !transfers.iter().any(Transfer::is_on_terminal);
    Progress::new(transfers.len(), visible)
}
