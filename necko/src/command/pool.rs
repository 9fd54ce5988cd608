//! Many transfers at once, on a few threads.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use socket_transport::Clock;

use super::{
    exit_code::ExitCode,
    output::Target,
    report::{Failure, Summary, complain, version_name},
    transfer::{Done, Shared, Transfer},
    wait::{Stop, Waiter},
};

/// What all transfers came to.
pub(crate) struct Outcome {
    pub(crate) summary: Summary,
    /// Of the first one on the command line that failed.
    failure: Option<ExitCode>,
}

impl Outcome {
    pub(crate) fn code(&self) -> ExitCode {
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

/// Runs all transfers, at most `parallel_max` at once.
pub(crate) fn run_all(
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
