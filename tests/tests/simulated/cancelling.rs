//! Applications that lose interest: before, during and after.

use tests::simulated::{Ask, Bench, MS, OTHER, SECOND, SERVER};
use transaction::NetError;

#[test]
fn m15_a_request_dropped_while_its_name_is_looked_up_leaves_nothing() {
    let mut bench = Bench::new(1);
    bench.network().job_delay(SECOND);
    let fetch = bench.get("/1");
    bench.run_for(MS);
    assert_eq!(bench.snapshot().transactions(), 1);
    drop(fetch);
    bench.run_for(MS);
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.entries.len(), snapshot.service.jobs_in_flight), (0, 1));
    assert_eq!(bench.transactions(), 0);
    bench.run_until_empty();
    assert_eq!((bench.names().lookups(), bench.snapshot().lifetime.connections), (1, 0));
}

#[test]
fn m15_an_abandoned_look_up_does_not_answer_for_the_next_request() {
    let (mut bench, _server) = Bench::with_server(2);
    bench.network().job_delay(SECOND);
    let abandoned = bench.get("/1");
    bench.run_for(MS);
    drop(abandoned);
    bench.run_for(MS);
    bench.network().job_delay(2 * SECOND);
    let mut fetch = bench.get("/2");
    // The first answer comes after a second, with an address; the second one says that there is none.
    bench.run_for(SECOND + SECOND / 2);
    assert_eq!((bench.names().lookups(), bench.snapshot().lifetime.connections), (1, 0));
    bench.name("necko.test", []);
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::UnknownHost { .. }), "{:?}", fetch.error());
    assert_eq!(bench.snapshot().lifetime.connections, 0);
}

#[test]
fn m15_a_request_dropped_while_connecting_leaves_the_others_to_connect() {
    let (mut bench, server) = Bench::with_server(3);
    let mut fetches: Vec<_> = (0..3).map(|_| bench.get("/10")).collect();
    bench.run_until("the connection is begun", |client| {
        client.call(|mgr, ctx| mgr.snapshot(ctx)).connections() == 1
    });
    // The one that the connection was made for, and one that waits.
    fetches.drain(..2);
    bench.finish(&mut fetches);
    fetches[0].expect_pattern(10);
    assert_eq!(server.look(|server| server.requests.len()), 1);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn m15_the_last_request_dropped_while_connecting_leaves_a_connection_that_ends() {
    let mut bench = Bench::new(4);
    bench.silent_server(SERVER);
    let fetch = bench.get("/1");
    bench.run_for(SECOND);
    drop(fetch);
    bench.run_for(MS);
    assert_eq!((bench.snapshot().transactions(), bench.transactions()), (0, 0));
    bench.run_until_empty();
    assert_eq!(bench.snapshot().lifetime.reclaimed, 1);
}

#[test]
fn m16_a_dropped_response_resets_its_stream_and_no_other() {
    let (mut bench, server) = Bench::with_server(5);
    let mut dropped = bench.get("/drip/1000/10/100");
    let mut sibling = bench.get("/drip/100/10/100");
    bench.run_until("both have begun", |_| {
        dropped.read_once();
        sibling.read_once();
        !dropped.body().is_empty() && !sibling.body().is_empty()
    });
    drop(dropped);
    bench.finish([&mut sibling]);
    sibling.expect_pattern(100);
    server.look(|server| {
        // Its request was at its end: what is left to give up is the answer.
        let seen = server.seen("/drip/1000/10/100");
        assert_eq!((seen.fin, seen.stopped), (true, Some(0x10c)));
        assert_eq!(server.seen("/drip/100/10/100").stopped, None);
    });
    bench.fetch("/1").expect_pattern(1);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn m16_a_response_dropped_before_its_head_is_given_up_too() {
    let (mut bench, server) = Bench::with_server(6);
    let fetch = bench.get("/silent");
    bench.run_until("it arrives", |_| server.look(|server| server.count("/silent") == 1));
    drop(fetch);
    bench.run_for(SECOND);
    assert_eq!(server.look(|server| server.seen("/silent").stopped), Some(0x10c));
    assert_eq!((bench.snapshot().transactions(), bench.transactions()), (0, 0));
    bench.fetch("/1").expect_pattern(1);
}

/// <https://github.com/saorsa-labs/ant-quic/issues/244>
/// <https://github.com/dfinity/ic/pull/1346>
#[test]
fn d2_31_h30_an_upload_that_is_given_up_is_reset_and_never_ended() {
    let (mut bench, server) = Bench::with_server(7);
    let fetch = bench.ask(Ask::post("/post", vec![b'x'; 5_000_000]));
    bench.run_until("it has begun", |_| {
        server.look(|server| server.requests.first().is_some_and(|request| request.body > 0))
    });
    drop(fetch);
    bench.run_for(SECOND);
    server.look(|server| {
        let seen = server.seen("/post");
        assert_eq!((seen.fin, seen.reset, seen.stopped), (false, Some(0x10c), Some(0x10c)));
        assert!(seen.body < 5_000_000);
    });
    assert_eq!((bench.snapshot().transactions(), bench.transactions()), (0, 0));
}

#[test]
fn a_complete_response_that_is_dropped_unread_gives_nothing_up() {
    let (mut bench, server) = Bench::with_server(8);
    let fetch = bench.get("/1000");
    bench.run_for(SECOND);
    assert_eq!(bench.snapshot().transactions(), 0, "it is in the pipe, and the stream is done");
    drop(fetch);
    bench.run_for(SECOND);
    let seen = server.look(|server| server.seen("/1000").clone());
    assert_eq!((seen.reset, seen.stopped), (None, None));
    bench.fetch("/1").expect_pattern(1);
}

#[test]
fn a_response_that_is_dropped_long_after_its_connection_harms_nobody() {
    let (mut bench, _server) = Bench::with_server(9);
    let mut old = bench.get("/500000");
    bench.run_until("the head arrives", |_| old.poll_head());
    bench.cut(SERVER, true);
    bench.run_until_empty();
    bench.cut(SERVER, false);
    // A new connection takes the old one's place in the manager's table.
    let mut fetch = bench.get("/drip/100/10/100");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    // Reading wakes the writer that is no more; dropping cancels what has ended.
    assert!(old.read_once().is_some());
    drop(old);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(100);
}

/// <https://github.com/quinn-rs/quinn/pull/1062>
#[test]
fn d2_20_cancelled_streams_are_given_back_to_the_limit() {
    // neqo's server allows 16 streams at a time.
    let (mut bench, server) = Bench::with_server(10);
    for _ in 0..4 {
        let fetches: Vec<_> = (0..16).map(|_| bench.get("/silent")).collect();
        bench.run_for(SECOND / 5);
        drop(fetches);
        bench.run_for(SECOND / 5);
    }
    assert_eq!(server.look(|server| server.count("/silent")), 64);
    let mut fetches: Vec<_> = (0..16).map(|_| bench.get("/10")).collect();
    bench.finish(&mut fetches);
    for fetch in &fetches {
        fetch.expect_pattern(10);
    }
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn a_request_dropped_while_it_waits_for_a_stream_is_never_sent() {
    let (mut bench, server) = Bench::with_server(11);
    let mut silent: Vec<_> = (0..16).map(|_| bench.get("/silent")).collect();
    bench.run_until("all streams are taken", |_| {
        server.look(|server| server.count("/silent") == 16)
    });
    let waiting = bench.get("/never");
    let mut next = bench.get("/10");
    bench.run_for(SECOND);
    drop(waiting);
    bench.run_for(SECOND);
    assert_eq!(bench.snapshot().transactions(), 17);
    silent.pop();
    bench.finish([&mut next]);
    next.expect_pattern(10);
    assert_eq!(server.look(|server| server.count("/never")), 0);
}

#[test]
fn m15_a_request_dropped_before_it_was_taken_is_not_even_looked_up() {
    let mut bench = Bench::new(12);
    bench.name("other.test", [OTHER]);
    drop(bench.ask(Ask::get("/1").host("other.test")));
    bench.run_for(SECOND);
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
    assert_eq!(bench.snapshot().lifetime.connections, 0);
}
