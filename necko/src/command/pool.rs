//! Many transfers at once, on a few threads.

use std::{
    collections::BTreeMap,
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
    record::Record,
    report::{Failure, Summary, complain, printable, version_name},
    transfer::{Shared, Transfer},
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

    fn add(&mut self, record: &Record) {
        let Some(failure) = &record.failure else {
            self.summary.complete += 1;
            self.summary.bytes += record.downloaded;
            self.summary.sent += record.uploaded;
            let version = record.response.as_ref().map(|response| version_name(response.version));
            if let Some(version) = version.filter(|name| !self.summary.versions.contains(name)) {
                self.summary.versions.push(version);
            }
            return;
        };
        match self.failure {
            // Whoever was given up because of another one is not to blame.
            None | Some(ExitCode::Aborted) => self.failure = Some(failure.code),
            Some(_) => {}
        }
    }
}

/// What one thread does in sequence: transfers by number.
type Job = Vec<usize>;

/// One after the other, they are one job. In parallel, a file is a job of its own. Bodies for standard output come one after the other, so they are one job:
/// were they fetched at once, the later ones would use up the connection's window while they wait.
fn jobs(transfers: &[Transfer], parallel: bool) -> Vec<Job> {
    if !parallel {
        return vec![(0..transfers.len()).collect()];
    }
    let mut jobs: Vec<Job> = Vec::new();
    let mut stdout = None;
    for (n, transfer) in transfers.iter().enumerate() {
        let to_stdout =
            transfer.plan.as_ref().is_ok_and(|plan| matches!(plan.target, Target::Stdout { .. }));
        match stdout.and_then(|job: usize| jobs.get_mut(job)) {
            Some(job) if to_stdout => job.push(n),
            _ => {
                stdout = if to_stdout { Some(jobs.len()) } else { stdout };
                jobs.push(vec![n]);
            }
        }
    }
    jobs
}

/// Runs all transfers: one after the other, or with `-Z` several at once.
pub(crate) fn run_all(transfers: &[Transfer], shared: &Shared<'_>, stop: &Stop) -> Outcome {
    let clock = Clock::system();
    let start = clock.now();
    let summary = Summary { wanted: transfers.len(), ..Summary::default() };
    let mut outcome = Outcome { summary, failure: None };
    let jobs = jobs(transfers, shared.options.parallel);
    let next_job = AtomicUsize::new(0);
    shared.progress.show();
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for n in 0..jobs.len().min(shared.options.parallel_max.get()) {
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
    shared: &Shared<'_>,
    stop: &Stop,
    results: &mpsc::Sender<(usize, Record)>,
) {
    let mut waiter = Waiter::new(stop);
    while let Some(job) = jobs.get(next_job.fetch_add(1, Ordering::Relaxed)) {
        for &n in job {
            let Some(transfer) = transfers.get(n) else { continue };
            let record = transfer.run(shared, &mut waiter);
            shared.progress.end_one();
            let failed = record.failure.is_some();
            // The receiver outlives this thread.
            let _ = results.send((n, record));
            if failed && shared.options.fail_early {
                stop.wish(ExitCode::Aborted);
                return;
            }
        }
    }
}

/// Reports each transfer as soon as all before it have ended.
fn report_in_order(
    results: &mpsc::Receiver<(usize, Record)>,
    transfers: &[Transfer],
    shared: &Shared<'_>,
    outcome: &mut Outcome,
) {
    let mut ended = BTreeMap::new();
    let mut signal_reported = false;
    let mut next = 0;
    for (n, record) in results {
        ended.insert(n, record);
        while let Some(record) = ended.remove(&next) {
            next += 1;
            outcome.add(&record);
            let signal = record.failure.as_ref().is_some_and(Failure::by_signal);
            if !(signal && std::mem::replace(&mut signal_reported, signal)) {
                shared
                    .progress
                    .aside(|| report(&record, transfers.len() > 1, shared.options.silent));
            }
        }
    }
    // With --fail-early, some before them never began.
    for record in ended.into_values() {
        outcome.add(&record);
        shared.progress.aside(|| report(&record, true, shared.options.silent));
    }
}

/// The line of one transfer: why it failed, or, of several, what it came to.
fn report(record: &Record, several: bool, silent: bool) {
    match &record.failure {
        Some(failure) if several && !failure.by_signal() => complain(&failure.of_url(&record.url)),
        Some(failure) => complain(failure),
        None if several && !silent => eprintln!("{}", printable(&record.to_string())),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use http::Method;

    use super::*;
    use crate::command::options::{Command, Options};

    fn transfers(arguments: &[&str]) -> Vec<Transfer> {
        let line = ["necko", "fetch"].iter().chain(arguments);
        let Command::Fetch(fetch) = Options::parse_from(line).command else {
            panic!("another subcommand")
        };
        fetch.urls.iter().enumerate().map(|(n, url)| Transfer::new(n, url, &fetch)).collect()
    }

    #[test]
    fn standard_output_is_one_job_and_each_file_another() {
        let url = "https://example.org/";
        let transfers = transfers(&["-oa", "-o-", "-oa", url, url, url, url]);
        assert_eq!(jobs(&transfers, true), [vec![0], vec![1, 3], vec![2]]);
        assert_eq!(jobs(&transfers, false), [vec![0, 1, 2, 3]]);
    }

    fn failed(code: ExitCode) -> Record {
        let mut record = Record::new(0, "", Method::GET);
        record.failure = Some(Failure::new(code, ""));
        record
    }

    #[test]
    fn the_first_failure_on_the_command_line_decides() {
        let mut outcome = Outcome { summary: Summary::default(), failure: None };
        assert_eq!(outcome.code(), ExitCode::Success);
        let mut done = Record::new(0, "", Method::GET);
        (done.downloaded, done.uploaded) = (5, 7);
        outcome.add(&done);
        outcome.add(&failed(ExitCode::Aborted));
        outcome.add(&failed(ExitCode::CouldNotResolve));
        outcome.add(&failed(ExitCode::Timeout));
        assert_eq!(outcome.code(), ExitCode::CouldNotResolve, "not what was given up for it");
        let summary = &outcome.summary;
        assert_eq!((summary.complete, summary.bytes, summary.sent), (1, 5, 7));
    }
}
