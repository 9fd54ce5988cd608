//! Workers: jobs that must not run on the socket thread, because they block.
//!
//! Looking a name up, verifying a certificate, reading from a disk. A job brings its result back with
//! [`Poster::post`](crate::Poster::post), or wakes a [waker](crate::Poster::waker).
//!
//! ```text
//!   socket thread                 worker threads (a few, started on demand)
//!   workers.run(job) ──▶ queue ──▶ job() ── poster.post(result) ──▶ on_event
//! ```
//!
//! In a simulation a job runs on the test thread, a virtual delay later.

use std::{
    fmt,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::worker_pool::Pool;

/// Work for a worker.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs off the socket thread. Clones share the same threads; with the last of them, or with
/// the service, the threads end.
///
/// Thread: the socket thread.
#[derive(Clone)]
pub struct Workers(Kind);

#[derive(Clone)]
enum Kind {
    Threads(Rc<Crew>),
    Simulated { run: Rc<dyn Fn(Job)>, in_flight: Arc<AtomicUsize> },
}

impl Workers {
    /// Threads of a service of the operating system: Firefox has as many for name look-ups that
    /// somebody waits for.
    pub const DEFAULT_THREADS: usize = 4;

    /// At most `max` threads, named "necko worker", each started when a job finds no idle one.
    pub fn threads(max: usize) -> Self {
        Self(Kind::Threads(Rc::new(Crew(Arc::new(Pool::new(max.max(1)))))))
    }

    /// Hands jobs to `run`, which runs each of them once, later.
    pub(crate) fn simulated(run: impl Fn(Job) + 'static) -> Self {
        Self(Kind::Simulated { run: Rc::new(run), in_flight: Arc::default() })
    }

    /// Runs the job soon. The number of jobs is bounded by the caller: one for each of its objects
    /// that waits for one. After the end of the service the job is dropped.
    pub fn run(&self, job: Job) {
        match &self.0 {
            Kind::Threads(crew) => Pool::run(&crew.0, job),
            Kind::Simulated { run, in_flight } => {
                let flight = Flight::new(Arc::clone(in_flight));
                run(Box::new(move || {
                    job();
                    drop(flight);
                }));
            }
        }
    }

    /// Jobs that were given and have not ended.
    pub fn in_flight(&self) -> usize {
        match &self.0 {
            Kind::Threads(crew) => crew.0.in_flight(),
            Kind::Simulated { in_flight, .. } => in_flight.load(Ordering::Relaxed),
        }
    }

    /// Ends the threads: jobs that have not begun are dropped, those that run are not interrupted.
    pub(crate) fn stop(&self) {
        if let Kind::Threads(crew) = &self.0 {
            crew.0.stop();
        }
    }

    /// Waits until no thread is left, at most `patience`; says whether that is so.
    pub fn wait_for_end(&self, patience: Duration) -> bool {
        match &self.0 {
            Kind::Threads(crew) => crew.0.wait_for_end(patience),
            Kind::Simulated { .. } => true,
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

/// Counts a simulated job until it has run, or was dropped.
struct Flight(Arc<AtomicUsize>);

impl Flight {
    fn new(in_flight: Arc<AtomicUsize>) -> Self {
        in_flight.fetch_add(1, Ordering::Relaxed);
        Self(in_flight)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The socket thread's hold on the pool: dropping it ends the threads.
struct Crew(Arc<Pool>);

impl Drop for Crew {
    fn drop(&mut self) {
        self.0.stop();
    }
}
