//! All transfers of one call.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use necko::{FixedAddresses, HttpHandler, NetError, RequestBody, Settings, Verification};
use socket_transport::Clock;

use super::{
    exit_code::ExitCode,
    options::Fetch,
    output::{Target, Unfinished},
    progress::Progress,
    report::{Failure, Summary, complain, version_name},
    signals,
    snapshot::SnapshotFile,
    transfer::{Done, Shared, Transfer},
    verbose,
    wait::{Stop, Waiter},
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
    let body = RequestBody::from(options.data.read()?);
    let transfers = transfers(options, &body);
    let handler = Arc::new(handler(options)?);
    let (stop, unfinished) = (Arc::<Stop>::default(), Arc::<Unfinished>::default());
    let snapshot = options.snapshot.clone().map(|path| {
        Arc::new(SnapshotFile::new(path, Arc::clone(&handler), Arc::clone(&unfinished)))
    });
    signals::watch(Arc::clone(&stop), Arc::clone(&unfinished), snapshot.clone()).map_err(
        |error| Failure::new(ExitCode::FailedInit, format!("signals can't be watched: {error}")),
    )?;
    let shared = Shared {
        handler: Arc::clone(&handler),
        progress: progress(options, &transfers),
        unfinished,
        max_time: options.max_time.and_then(|max_time| max_time.0),
        include: options.include || options.head,
        fail: options.fail,
        verbose: options.verbose > 0,
    };
    let outcome = run_all(&transfers, &shared, &stop, options.parallel_max);
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
    verbose::finish();
    if summary.complete > 0 && !silent {
        eprintln!("{summary}");
    }
}

fn transfers(options: &Fetch, body: &RequestBody) -> Vec<Transfer> {
    if options.output.len() > options.urls.len() {
        complain(&"warning: there are more -o than URLs");
    }
    let targets = (0..options.urls.len()).map(|n| Target::new(options.output.get(n)));
    let urls = options.urls.iter().zip(targets);
    urls.map(|(url, target)| Transfer::new(url, options, body, target)).collect()
}

fn handler(options: &Fetch) -> Result<HttpHandler, Failure> {
    let mut settings = Settings::default();
    if let Some(path) = &options.cacert {
        settings.verification = Verification::RootsFile(path.clone());
    }
    if options.insecure {
        settings.verification = Verification::DangerAcceptAny;
    }
    if let Some(timeout) = options.idle_timeout {
        settings.http3.idle_timeout = timeout;
    }
    if let Some(dir) = options.qlog_dir() {
        make_directory(&dir)?;
        settings.http3.qlog_dir = Some(dir);
    }
    let mut addresses = FixedAddresses::new();
    for fixed in &options.resolve {
        addresses.set(&fixed.host, fixed.port, fixed.addresses.clone());
    }
    settings.resolver = Arc::new(addresses);
    HttpHandler::new(settings).map_err(|error| match error {
        NetError::InvalidRequest(what) => Failure::new(ExitCode::CaCertFile, what),
        error => Failure::new(ExitCode::FailedInit, error.to_string()),
    })
}

fn make_directory(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|error| {
        super::report::write_failure(
            &format!("making the directory {} failed", dir.display()),
            &error,
        )
    })
}

/// A bar is for a person who would see nothing else.
fn progress(options: &Fetch, transfers: &[Transfer]) -> Progress {
    let visible = io::stderr().is_terminal()
        && !options.silent
        && options.verbose == 0
        && !transfers.iter().any(|transfer| transfer.target.is_terminal());
    Progress::new(transfers.len(), visible)
}

/// What all transfers came to.
struct Outcome {
    summary: Summary,
    /// Of the first one on the command line that failed.
    failure: Option<ExitCode>,
}

impl Outcome {
    fn code(&self) -> ExitCode {
        self.failure.unwrap_or(ExitCode::Success)
    }

    fn add(&mut self, result: &Result<Done, Failure>) {
        match result {
            Ok(done) => {
                self.summary.complete += 1;
                self.summary.bytes += done.bytes;
                let version = version_name(done.version);
                if !self.summary.versions.contains(&version) {
                    self.summary.versions.push(version);
                }
            }
            Err(failure) => {
                self.failure.get_or_insert(failure.code);
            }
        }
    }
}

/// What one thread does in sequence: transfers by number.
type Job = Vec<usize>;

/// A file is a job of its own. Bodies for standard output come one after the other, so they are one job:
/// were they fetched at once, the later ones would use up the connection's window while they wait.
fn jobs(transfers: &[Transfer]) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut stdout = None;
    for (n, transfer) in transfers.iter().enumerate() {
        match (&transfer.target, stdout.and_then(|job: usize| jobs.get_mut(job))) {
            (Target::Stdout { .. }, Some(job)) => job.push(n),
            (Target::Stdout { .. }, None) => {
                stdout = Some(jobs.len());
                jobs.push(vec![n]);
            }
            (Target::File(_), _) => jobs.push(vec![n]),
        }
    }
    jobs
}

fn run_all(
    transfers: &[Transfer],
    shared: &Shared,
    stop: &Stop,
    parallel_max: NonZeroUsize,
) -> Outcome {
    let clock = Clock::system();
    let start = clock.now();
    let summary = Summary { wanted: transfers.len(), ..Summary::default() };
    let mut outcome = Outcome { summary, failure: None };
    let jobs = jobs(transfers);
    let next_job = AtomicUsize::new(0);
    shared.progress.show();
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for n in 0..jobs.len().min(parallel_max.get()) {
            let (jobs, next_job, sender) = (&jobs, &next_job, sender.clone());
            let work = move || work(jobs, next_job, transfers, shared, stop, &sender);
            let spawned =
                thread::Builder::new().name(format!("Transfer {n}")).spawn_scoped(scope, work);
            if let Err(error) = spawned {
                complain(&format!("warning: only {n} transfers at once: {error}"));
                break;
            }
        }
        drop(sender);
        report_in_order(&results, transfers, shared, &mut outcome);
    });
    shared.progress.clear();
    outcome.summary.elapsed = clock.now().saturating_duration_since(start);
    if outcome.summary.complete < transfers.len() {
        // Not one thread could be had: nothing was tried.
        outcome.failure.get_or_insert(ExitCode::FailedInit);
    }
    outcome
}

/// Takes jobs until none is left.
fn work(
    jobs: &[Job],
    next_job: &AtomicUsize,
    transfers: &[Transfer],
    shared: &Shared,
    stop: &Stop,
    results: &mpsc::Sender<(usize, Result<Done, Failure>)>,
) {
    let mut waiter = Waiter::new(stop);
    while let Some(job) = jobs.get(next_job.fetch_add(1, Ordering::Relaxed)) {
        for &n in job {
            let Some(transfer) = transfers.get(n) else { continue };
            let result = transfer.run(shared, &mut waiter);
            shared.progress.end_one();
            // The receiver outlives this thread.
            let _ = results.send((n, result));
        }
    }
}

/// Reports each failure as soon as all transfers before it have ended.
fn report_in_order(
    results: &mpsc::Receiver<(usize, Result<Done, Failure>)>,
    transfers: &[Transfer],
    shared: &Shared,
    outcome: &mut Outcome,
) {
    let mut ended = BTreeMap::new();
    let mut signal_reported = false;
    let mut numbered = transfers.iter().enumerate().peekable();
    for (n, result) in results {
        ended.insert(n, result);
        while let Some((n, transfer)) = numbered.peek()
            && let Some(result) = ended.remove(n)
        {
            outcome.add(&result);
            if let Err(failure) = result {
                let signal = failure.by_signal();
                let named = transfers.len() > 1 && !signal;
                let failure = if named { failure.of_url(&transfer.url) } else { failure };
                if !(signal && std::mem::replace(&mut signal_reported, signal)) {
                    shared.progress.aside(|| complain(&failure));
                }
            }
            numbered.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(target: Target) -> Transfer {
        let request = Err(Failure::new(ExitCode::MalformedUrl, ""));
        Transfer { url: String::new(), request, target }
    }

    #[test]
    fn standard_output_is_one_job_and_each_file_another() {
        let (stdout, asked) =
            (Target::Stdout { asked_for: false }, Target::Stdout { asked_for: true });
        let file = || Target::File("a".into());
        let transfers = [file(), stdout, file(), asked].map(transfer);
        assert_eq!(jobs(&transfers), [vec![0], vec![1, 3], vec![2]]);
    }

    #[test]
    fn the_first_failure_on_the_command_line_decides() {
        let mut outcome = Outcome { summary: Summary::default(), failure: None };
        assert_eq!(outcome.code(), ExitCode::Success);
        outcome.add(&Ok(Done { bytes: 5, version: http::Version::HTTP_3 }));
        outcome.add(&Err(Failure::new(ExitCode::CouldNotResolve, "")));
        outcome.add(&Err(Failure::new(ExitCode::Timeout, "")));
        assert_eq!(outcome.code(), ExitCode::CouldNotResolve);
        assert_eq!((outcome.summary.complete, outcome.summary.bytes), (1, 5));
    }
}
