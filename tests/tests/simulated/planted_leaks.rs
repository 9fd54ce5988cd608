//! The accounting is accounted for: a leak of each kind of object is planted, and the bench's end finds it.

use std::{
    mem,
    panic::{self, AssertUnwindSafe},
};

use bytes::Bytes;
use connection_mgr::{Event, Target};
use http3_session::{Http3Event, scripted::Script};
use socket_transport::UdpOptions;
use streams::Http3Stream;
use tests::simulated::{Ask, Bench, CLIENT, MS, SECOND, Setup};
use transaction::{RequestBody, TransactionId};

/// Whose object nobody asks for.
const NOBODY: Target = Target::Pending(TransactionId(u64::MAX));

/// A bench whose client has been used: what it is found to hold is what was planted.
fn used() -> Bench {
    let (mut bench, _server) = Bench::with_server(1);
    bench.fetch("/1000").expect_pattern(1000);
    bench
}

#[track_caller]
fn assert_found(mut bench: Bench, leak: &str) {
    assert_eq!(bench.end(), Err(leak.to_owned()));
}

#[test]
fn nothing_planted_is_nothing_found() {
    assert_eq!(used().end(), Ok(()));
}

#[test]
fn a_planted_handle_is_found() {
    let mut bench = used();
    mem::forget(bench.client().app().spare_handle());
    if cfg!(debug_assertions) {
        // By the manager's own books, in the next callback.
        let end = panic::catch_unwind(AssertUnwindSafe(move || bench.end()));
        let words = end.expect_err("the books don't add up").downcast::<String>().expect("words");
        assert!(words.ends_with("handles held and handles alive: 1 and 2"), "{words}");
    } else {
        assert_found(bench, "still alive: 1 connection handles");
    }
}

#[test]
fn a_planted_timer_is_found() {
    let mut bench = used();
    bench.client().call(|_, ctx| ctx.create_timer(NOBODY));
    assert_found(bench, "still alive: 1 timers");
}

#[test]
fn a_planted_timer_that_runs_is_found_by_its_deadline_too() {
    let mut bench = used();
    bench.client().call(|_, ctx| {
        let timer = ctx.create_timer(NOBODY);
        ctx.set_timer(timer, Some(ctx.now() + 1000 * SECOND));
    });
    assert_found(bench, "still alive: 1 timers; 1 deadlines of the service");
}

#[test]
fn a_planted_event_is_found() {
    let mut bench = used();
    bench.close_persistent_connections();
    bench.run_until_empty();
    // Nobody gives the client a turn any more.
    bench.submit(Event::ClosePersistentConnections);
    let found = bench.expect_nothing();
    assert_eq!(found, Err("still alive: 1 posted events; 1 deadlines of the service".into()));
    assert_eq!(bench.end(), Ok(()));
}

#[test]
fn a_planted_waker_is_found() {
    let mut bench = used();
    mem::forget(bench.client().poster().waker(NOBODY));
    assert_found(bench, "still alive: 1 wake-ups");
}

#[test]
fn a_planted_job_is_found() {
    let mut bench = used();
    bench.network().job_delay(1000 * SECOND);
    bench.client().call(|_, ctx| ctx.workers().run(Box::new(|| {})));
    assert_found(bench, "still alive: 1 jobs in flight");
}

#[test]
fn a_planted_socket_is_found_twice() {
    let mut bench = used();
    bench
        .client()
        .call(|_, ctx| ctx.open_udp(NOBODY, (CLIENT, 0).into(), UdpOptions::default()).map(|_| ()))
        .unwrap();
    assert_found(bench, "still alive: 1 sockets; 1 sockets, by the network's count");
}

#[test]
fn a_planted_stream_is_found_and_its_pipe_with_it() {
    let mut bench = used();
    let (transaction, fetch) = bench.transaction(Ask::get("/"), None);
    drop(fetch);
    mem::forget(Http3Stream::new(transaction));
    assert_found(
        bench,
        "1 transactions, by what their heads keep; 1 response pipes, by their reference counts",
    );
}

#[test]
fn a_session_that_does_not_end_is_found_by_everybody() {
    let script = Script::default();
    script.callback(Some(MS));
    let mut bench = Setup::new(1).scripts([script.clone()]).build();
    script.event(Http3Event::Connected);
    let fetch = bench.get("/");
    bench.run_for(10 * MS);
    drop(fetch);
    // Nobody tells it to close, and its engine knows no idle timeout.
    bench.run_for(60 * SECOND);
    let found = bench.expect_nothing().unwrap_err();
    let expected = "still alive: 1 sockets, 1 timers, 3 wake-ups, 1 connection entries, \
        1 connections that can be joined, \
        1 connection handles; 1 engines, by their own count; 1 sockets, by the network's count; \
        1 deadlines of the service";
    assert_eq!(found, expected);
    assert_eq!(bench.end(), Ok(()), "shutting down needs no engine's consent");
}

#[test]
fn a_planted_response_pipe_is_found() {
    let mut bench = used();
    let mut fetch = bench.get("/50000");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    bench.run_for(SECOND);
    // Whoever holds it may read on, but the end of a test is no time to.
    assert_found(bench, "1 response pipes, by their reference counts");
    drop(fetch);
}

#[test]
fn a_planted_pipe_of_a_request_body_is_found() {
    let mut bench = used();
    let (mut writer, body) = RequestBody::pipe(None);
    let fetch = bench.upload("/post", body);
    writer.try_send(&mut Bytes::from_static(b"the beginning")).unwrap();
    bench.run_for(SECOND);
    drop(fetch);
    bench.run_for(SECOND);
    assert_found(bench, "1 pipes of request bodies, by their reference counts");
    drop(writer);
}

#[test]
#[should_panic(expected = "at the end of the test: still alive: 1 timers")]
fn what_is_found_fails_the_test() {
    let mut bench = used();
    bench.client().call(|_, ctx| ctx.create_timer(NOBODY));
}

/// An engine that wants to be called again at once, for ever.
#[test]
#[should_panic(expected = "turns, but time does not pass")]
fn a_timer_without_delay_that_is_set_again_and_again_is_found() {
    let script = Script::default();
    script.callback(Some(std::time::Duration::from_nanos(1)));
    let mut bench = Setup::new(1).scripts([script]).build();
    let _fetch = bench.get("/");
    bench.run_for(SECOND);
}
