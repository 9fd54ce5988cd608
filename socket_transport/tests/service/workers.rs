//! Jobs off the socket thread.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use socket_transport::Workers;

use crate::app::{App, Call, service, turn_until};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_job_brings_its_result_back_as_an_event() {
    let mut service = service();
    let poster = service.poster();
    let socket_thread = thread::current().id();
    service.with_context(|ctx| {
        ctx.workers().run(Box::new(move || {
            assert_ne!(thread::current().id(), socket_thread);
            assert_eq!(thread::current().name(), Some("necko worker"));
            poster.post(7);
        }));
    });
    let mut app = App::new(|_, _| ());
    turn_until(&mut service, &mut app, |app| app.calls == [Call::Event(7)]);
}

#[test]
fn as_many_jobs_run_at_once_as_there_may_be_threads() {
    let workers = Workers::threads(3);
    let all_here = Arc::new(Barrier::new(4));
    for _ in 0..3 {
        let all_here = Arc::clone(&all_here);
        workers.run(Box::new(move || {
            all_here.wait();
        }));
    }
    assert_eq!(workers.in_flight(), 3);
    all_here.wait();
}

#[test]
fn a_job_that_panics_takes_nothing_with_it() {
    let workers = Workers::threads(1);
    let done = Arc::new(Barrier::new(2));
    let last = Arc::clone(&done);
    workers.run(Box::new(|| panic!("this panic is part of the test")));
    workers.run(Box::new(move || {
        last.wait();
    }));
    done.wait();
}

#[test]
fn threads_end_with_the_service() {
    let mut service = service();
    let workers = service.with_context(|ctx| {
        ctx.workers().run(Box::new(|| ()));
        ctx.stop();
        ctx.workers().clone()
    });
    let mut app = App::new(|_, _| ());
    service.run(&mut app).unwrap();
    assert!(workers.wait_for_end(PATIENCE));
    assert_eq!(workers.in_flight(), 0);
    // Late jobs are dropped.
    workers.run(Box::new(|| panic!("not run")));
    assert_eq!(workers.in_flight(), 0);
}
