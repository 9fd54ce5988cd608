//! The worker threads of a service that runs on the operating system.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use crate::workers::Job;

/// Threads and the jobs that wait for them.
pub(crate) struct Pool {
    state: Mutex<State>,
    /// A job came, or the end.
    work: Condvar,
    /// A thread ended.
    ended: Condvar,
    max: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    running: usize,
    stopping: bool,
}

impl Pool {
    pub(crate) fn new(max: usize) -> Self {
        let (work, ended) = (Condvar::new(), Condvar::new());
        Self { state: Mutex::default(), work, ended, max }
    }

    pub(crate) fn run(pool: &Arc<Self>, job: Job) {
        let mut state = pool.state.lock();
        if state.stopping {
            drop(state);
            drop(job);
            return;
        }
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() || state.threads >= pool.max {
            pool.work.notify_one();
            return;
        }
        state.threads += 1;
        drop(state);
        pool.start_thread();
    }

    fn start_thread(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        let builder = thread::Builder::new().name("necko worker".to_owned());
        let Err(error) = builder.spawn(move || pool.work()) else { return };
        let mut state = self.state.lock();
        state.threads -= 1;
        log::error!("no thread for a job: {error}");
        // The other threads do it. Without any, blocking here is better than never an answer.
        if state.threads == 0
            && let Some(job) = state.jobs.pop_front()
        {
            drop(state);
            job();
        }
    }

    /// A thread's life.
    fn work(&self) {
        let mut state = self.state.lock();
        while !state.stopping {
            let Some(job) = state.jobs.pop_front() else {
                state.idle += 1;
                self.work.wait(&mut state);
                state.idle -= 1;
                continue;
            };
            state.running += 1;
            drop(state);
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                log::error!("a job panicked");
            }
            state = self.state.lock();
            state.running -= 1;
        }
        state.threads -= 1;
        self.ended.notify_all();
    }

    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        let jobs = mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
        self.work.notify_all();
    }

    pub(crate) fn in_flight(&self) -> usize {
        let state = self.state.lock();
        state.jobs.len() + state.running
    }

    pub(crate) fn wait_for_end(&self, patience: Duration) -> bool {
        let mut state = self.state.lock();
        let running = |state: &mut State| state.threads > 0;
        !self.ended.wait_while_for(&mut state, running, patience).timed_out()
    }
}
