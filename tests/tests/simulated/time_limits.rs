//! Time limits of requests and cancels from afar, wherever the request is when they come.

use std::{thread, time::Duration};

use http::Method;
use neqo_transport::StreamType;
use tests::simulated::{Ask, Bench, Fetch, MINUTE, MS, SECOND, SERVER};
use transaction::{NetError, RequestBody, TimeLimits, TimeoutPhase};

fn timeout(phase: TimeoutPhase) -> NetError {
    NetError::NetTimeout(phase)
}

/// A `GET` that must be done in so long.
fn get_within(bench: &mut Bench, path: &str, limit: Duration) -> Fetch {
    let deadline = Some(bench.now() + limit);
    bench.ask(Ask::get(path).limits(TimeLimits { deadline, ..TimeLimits::default() }))
}

/// It ends by its deadline.
#[track_caller]
fn expect_deadline_passed(bench: &mut Bench, mut fetch: Fetch) {
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &timeout(TimeoutPhase::Whole));
    bench.run_for(MS);
}

/// It ends by its deadline, `limit` from now, and nothing of it is left on the socket thread.
#[track_caller]
fn expect_deadline(bench: &mut Bench, fetch: Fetch, limit: Duration) {
    let start = bench.elapsed();
    expect_deadline_passed(bench, fetch);
    let took = bench.since(start);
    assert!(took >= limit.saturating_sub(MS) && took <= limit + 2 * MS, "{took:?}");
    assert_eq!(bench.transactions(), 0);
}

#[test]
fn a_deadline_passes_while_the_name_is_looked_up() {
    let mut bench = Bench::new(1);
    bench.network().job_delay(10 * SECOND);
    let fetch = get_within(&mut bench, "/1", 2 * SECOND);
    expect_deadline(&mut bench, fetch, 2 * SECOND);
}

#[test]
fn a_deadline_passes_while_connecting_and_for_one_alone() {
    let mut bench = Bench::new(2);
    bench.silent_server(SERVER);
    let mut other = bench.get("/1");
    let fetch = get_within(&mut bench, "/1", 2 * SECOND);
    expect_deadline_passed(&mut bench, fetch);
    assert_eq!(bench.transactions(), 1);
    bench.finish([&mut other]);
    assert_eq!(other.error(), &timeout(TimeoutPhase::Connect));
}

#[test]
fn a_deadline_passes_while_waiting_for_a_stream() {
    let mut bench = Bench::new(3);
    let server =
        bench.http3_server(SERVER, |parameters| parameters.max_streams(StreamType::BiDi, 1));
    let first = bench.get("/silent");
    bench.run_for(SECOND);
    let waiting = get_within(&mut bench, "/1", 2 * SECOND);
    expect_deadline_passed(&mut bench, waiting);
    assert_eq!(server.look(|server| server.requests.len()), 1);
    drop(first);
}

#[test]
fn a_deadline_passes_while_sending_and_the_writer_is_told() {
    let (mut bench, _server) = Bench::with_server(4);
    let (mut writer, body) = RequestBody::pipe(None);
    let deadline = Some(bench.now() + 2 * SECOND);
    let ask = Ask::new(Method::POST, "/post");
    let ask = ask.limits(TimeLimits { deadline, ..TimeLimits::default() });
    let fetch = bench.ask_with(ask, Some(body));
    expect_deadline(&mut bench, fetch, 2 * SECOND);
    let refused = writer.try_send(&mut bytes::Bytes::from_static(b"more"));
    assert_eq!(refused, Err(timeout(TimeoutPhase::Whole)));
    drop(writer);
}

#[test]
fn a_deadline_passes_while_receiving_and_what_came_can_be_read() {
    let (mut bench, _server) = Bench::with_server(5);
    let mut fetch = get_within(&mut bench, "/drip/1000/10/100", 2 * SECOND);
    bench.run_for(3 * SECOND);
    assert_eq!(bench.transactions(), 0, "nobody has looked at the response");
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &timeout(TimeoutPhase::Whole));
    assert_eq!(fetch.status(), 200);
    assert!(fetch.received() >= 150, "{}", fetch.received());
}

#[test]
fn a_first_byte_that_does_not_come_ends_that_request_and_no_other() {
    let (mut bench, _server) = Bench::with_server(6);
    let limits = TimeLimits { first_byte: Some(2 * SECOND), ..TimeLimits::default() };
    // Connecting does not count, nor does a response that has begun.
    let mut sibling = bench.ask(Ask::get("/drip/100/10/500").limits(limits));
    let mut silent = bench.ask(Ask::get("/silent").limits(limits));
    bench.finish([&mut silent]);
    assert_eq!(silent.error(), &timeout(TimeoutPhase::FirstByte));
    let sent = silent.timings().request_start.unwrap();
    assert_eq!(bench.now().duration_since(sent), 2 * SECOND);
    bench.finish([&mut sibling]);
    sibling.expect_pattern(100);
}

#[test]
fn an_application_that_is_slow_with_its_body_has_the_time_it_takes() {
    let (mut bench, server) = Bench::with_server(12);
    let (mut writer, body) = RequestBody::pipe(None);
    let limits = TimeLimits { first_byte: Some(2 * SECOND), ..TimeLimits::default() };
    let ask = Ask::new(Method::POST, "/post").limits(limits);
    let mut fetch = bench.ask_with(ask, Some(body));
    bench.run_for(10 * SECOND);
    assert_eq!(server.look(|server| server.requests.len()), 1);
    writer.try_send(&mut bytes::Bytes::from_static(b"late")).unwrap();
    writer.finish();
    bench.finish([&mut fetch]);
    assert_eq!(fetch.header("x-data-received-length"), Some("4"));
}

#[test]
fn silence_within_a_response_ends_it_but_not_a_consumer_that_is_slow() {
    let (mut bench, _server) = Bench::with_server(7);
    let limits = TimeLimits { read: Some(2 * SECOND), ..TimeLimits::default() };
    let mut slow = bench.ask(Ask::get("/1000").limits(limits));
    let mut unfinished = bench.ask(Ask::get("/reset_after/1000").limits(limits));
    bench.finish([&mut unfinished]);
    assert_eq!(unfinished.error(), &timeout(TimeoutPhase::Read));
    assert_eq!(unfinished.received(), 1000);
    // More than fits the pipe, and nobody reads.
    let mut large = bench.ask(Ask::get("/1000000").checked().limits(limits));
    bench.run_for(10 * SECOND);
    bench.finish([&mut slow, &mut large]);
    slow.expect_pattern(1000);
    large.expect_pattern(1_000_000);
}

#[test]
fn a_restart_gets_no_more_time() {
    let (mut bench, server) = Bench::with_server(8);
    let fetch = get_within(&mut bench, "/silent", 5 * SECOND);
    bench.run_until("the request is there", |_| server.look(|server| server.requests.len()) == 1);
    bench.run_for(2 * SECOND);
    server.tell(|server, now| server.close(0x100, now));
    bench.run_until("it has come again", |_| server.look(|server| server.requests.len()) == 2);
    let left = (5 * SECOND).saturating_sub(bench.elapsed());
    expect_deadline(&mut bench, fetch, left);
}

#[test]
fn limits_that_are_kept_leave_no_timer_behind() {
    let (mut bench, _server) = Bench::with_server(9);
    let mut fetches: Vec<_> =
        (1..=50_u32).map(|hours| get_within(&mut bench, "/1000", 60 * MINUTE * hours)).collect();
    bench.finish(&mut fetches);
    for fetch in fetches {
        fetch.expect_pattern(1000);
    }
    bench.close_persistent_connections();
    assert!(bench.run_until_empty() < MINUTE);
}

// Cancels.

/// A request that is cancelled after so long, by another thread.
fn cancelled_after(bench: &mut Bench, path: &str, time: Duration) -> Fetch {
    let fetch = bench.get(path);
    bench.run_for(time);
    let canceller = fetch.canceller();
    thread::spawn(move || {
        canceller.cancel();
        canceller.cancel();
    })
    .join()
    .unwrap();
    fetch
}

#[test]
fn a_canceller_ends_a_request_in_any_phase_and_leaves_its_siblings() {
    let (mut bench, _server) = Bench::with_server(10);
    bench.network().job_delay(SECOND);
    let look_up = cancelled_after(&mut bench, "/1", SECOND / 2);
    let mut sibling = bench.get("/drip/100/1/100");
    bench.run_until("the handshake runs", |client| {
        client.call(|mgr, ctx| mgr.snapshot(ctx)).connections() == 1
    });
    let connecting = cancelled_after(&mut bench, "/1", Duration::ZERO);
    bench.run_for(2 * SECOND);
    let awaited = cancelled_after(&mut bench, "/silent", 2 * SECOND);
    let begun = cancelled_after(&mut bench, "/drip/1000/1/100", 2 * SECOND);
    for mut fetch in [look_up, connecting, awaited, begun] {
        bench.finish([&mut fetch]);
        assert_eq!(fetch.error(), &NetError::Aborted);
        assert!(fetch.body().is_empty(), "what nobody wants is not kept");
    }
    bench.finish([&mut sibling]);
    sibling.expect_pattern(100);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn a_canceller_changes_nothing_after_the_end_and_keeps_nothing_alive() {
    let (mut bench, _server) = Bench::with_server(11);
    let mut fetch = cancelled_after(&mut bench, "/1000", 5 * SECOND);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(1000);
    let canceller = fetch.canceller();
    drop(fetch);
    bench.run_for(MS);
    assert_eq!((bench.responses(), bench.transactions()), (0, 0));
    canceller.cancel();
}
