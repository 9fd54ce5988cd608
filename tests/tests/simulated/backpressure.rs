//! Slow consumers, blocked sockets and withheld credit: nothing spins, nothing is lost, nothing grows.

use http3_session::SessionSnapshot;
use tests::simulated::{Ask, Bench, CLIENT, MINUTE, MS, SECOND, SERVER, Setup};
use transaction::pipe::CAPACITY;

fn session(bench: &mut Bench) -> SessionSnapshot {
    let snapshot = bench.snapshot();
    snapshot.entries[0].connections[0].session.clone().expect("a session")
}

/// <https://github.com/curl/curl/issues/4939>
#[test]
fn r3_d2_38_what_a_slow_consumer_does_not_read_stays_with_the_server() {
    let mut bench =
        Setup::new(1).settings(|settings| settings.initial_max_stream_data = 100_000).build();
    let server = bench.http3_server(SERVER, |parameters| parameters);
    let mut fetch = bench.get("/1000000");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    bench.run_for(10 * SECOND);
    let buffered = session(&mut bench).buffered;
    assert!((1..=CAPACITY).contains(&buffered), "{buffered} bytes in the pipe");
    let traffic = bench.snapshot().service.traffic;
    assert!(traffic.bytes_received < 400_000, "{} bytes came all the same", traffic.bytes_received);

    // Nothing moves while nobody reads.
    let turns = bench.snapshot().service.turns;
    bench.run_for(10 * SECOND);
    assert_eq!(session(&mut bench).buffered, buffered);
    let turns = bench.snapshot().service.turns - turns;
    assert!(turns < 100, "{turns} turns in ten idle seconds");

    bench.finish([&mut fetch]);
    fetch.expect_pattern(1_000_000);
    assert_eq!(server.look(|server| server.requests.len()), 1);
}

#[test]
fn r3_a_consumer_that_reads_now_and_then_gets_every_byte_in_order() {
    let (mut bench, _server) = Bench::with_server(2);
    let mut fetch = bench.get("/1000000");
    let mut pauses = 0;
    while !fetch.is_done() {
        fetch.read_once();
        bench.run_for(20 * MS);
        pauses += 1;
        assert!(pauses < 1000, "stuck after {} bytes", fetch.body().len());
    }
    fetch.expect_pattern(1_000_000);
}

#[test]
fn a_slow_consumer_holds_no_sibling_up() {
    let (mut bench, _server) = Bench::with_server(3);
    let mut slow = bench.get("/400000");
    bench.run_until("the head arrives", |_| slow.poll_head());
    bench.run_for(SECOND);
    bench.fetch("/1000000").expect_pattern(1_000_000);
    assert!(session(&mut bench).buffered > 0, "the slow one has not read");
    bench.finish([&mut slow]);
    slow.expect_pattern(400_000);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn u7_u8_a_blocked_socket_delays_and_loses_nothing() {
    let (mut bench, server) = Bench::with_server(4);
    bench.network().write_delay(3 * MS);
    let mut fetches = Vec::new();
    for _ in 0..20 {
        bench.network().would_block_next(CLIENT.into(), 1);
        fetches.push(bench.ask(Ask::post("/post", vec![b'x'; 20_000])));
        bench.run_for(30 * MS);
    }
    bench.finish(&mut fetches);
    for fetch in &fetches {
        assert_eq!(fetch.header("x-data-received-length"), Some("20000"));
    }
    let traffic = bench.snapshot().service.traffic;
    assert!(traffic.would_blocks >= 15, "it was blocked {} times", traffic.would_blocks);
    assert_eq!(traffic.dropped_sends, 0);
    let counts = bench.network().counts(CLIENT.into(), SERVER);
    assert_eq!(counts.sent, traffic.datagrams_sent, "each datagram went out once");
    assert_eq!(server.look(|server| server.requests.len()), 20);
}

#[test]
fn u5_a_socket_that_stays_blocked_is_not_asked_again_and_again() {
    let (mut bench, _server) = Bench::with_server(5);
    bench.fetch("/1").expect_pattern(1);
    bench.run_for(SECOND);
    bench.network().write_delay(5 * SECOND);
    bench.network().would_block_next(CLIENT.into(), 1);
    let mut fetch = bench.get("/2");
    bench.run_for(MS);
    let before = bench.snapshot().service;
    assert_eq!(before.blocked_sockets, 1);
    bench.run_for(4 * SECOND);
    let after = bench.snapshot().service;
    assert_eq!(after.traffic.datagrams_sent, before.traffic.datagrams_sent);
    assert!(after.turns - before.turns < 50, "{} turns", after.turns - before.turns);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(2);
}

#[test]
fn r2_an_upload_without_credit_waits_without_a_turn_too_many() {
    let mut bench = Bench::new(6);
    let server = bench.raw_server(SERVER, |parameters| {
        parameters.max_stream_data(neqo_transport::StreamType::BiDi, true, 10_000)
    });
    let mut fetch = bench.ask(Ask::post("/", vec![b'x'; 100_000]));
    bench.run_until("the handshake is done", |_| {
        server.tell(|server, _| match server.connections.first_mut() {
            Some(connection) => {
                connection.reads = false;
                !connection.requests.is_empty()
            }
            None => false,
        })
    });
    bench.run_for(SECOND);
    let turns = bench.snapshot().service.turns;
    bench.run_for(10 * SECOND);
    let turns = bench.snapshot().service.turns - turns;
    assert!(turns < 50, "{turns} turns in ten blocked seconds");
    assert_eq!(server.look(|server| server.connections[0].requests[0].body), 0);

    server.tell(|server, _| server.connection().read_everything());
    bench.run_until("the upload ends", |_| {
        server.look(|server| server.connections[0].requests[0].fin)
    });
    server.tell(|server, _| server.connection().answer(0, b"thanks"));
    bench.finish([&mut fetch]);
    assert_eq!(fetch.body(), b"thanks");
    assert_eq!(server.look(|server| server.connections[0].requests[0].body), 100_000);
}

/// <https://github.com/curl/curl/issues/18905>
#[test]
fn d2_36_a_blocked_upload_holds_no_sibling_up() {
    let mut bench = Bench::new(7);
    let server = bench.raw_server(SERVER, |parameters| {
        parameters.max_stream_data(neqo_transport::StreamType::BiDi, true, 10_000)
    });
    let mut upload = bench.ask(Ask::post("/upload", vec![b'x'; 100_000]));
    bench.run_until("the handshake is done", |_| {
        server.tell(|server, _| match server.connections.first_mut() {
            Some(connection) => {
                connection.reads = false;
                !connection.requests.is_empty()
            }
            None => false,
        })
    });
    bench.run_for(SECOND);
    let mut fetch = bench.get("/download");
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 2));
    server.tell(|server, _| server.connection().answer(1, b"here"));
    bench.finish([&mut fetch]);
    assert_eq!(fetch.body(), b"here");
    server.tell(|server, _| {
        server.on_request(|connection, request| connection.answer(request, b"thanks"));
        server.connection().read_everything();
    });
    bench.finish([&mut upload]);
    assert_eq!(upload.body(), b"thanks");
}

/// <https://github.com/curl/curl/issues/11982>
#[test]
fn d2_39_a_paused_body_without_content_length_is_not_complete() {
    let (mut bench, server) = Bench::with_raw(8);
    let mut fetch = bench.get("/");
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
    server.tell(|server, _| {
        server.connection().head(0, &[(":status", "200")]);
        server.connection().data(0, &vec![7; 300_000]);
        server.connection().finish(0);
    });
    bench.run_for(MINUTE / 4);
    assert!(fetch.poll_head() && !fetch.is_done());
    assert_eq!(session(&mut bench).streams, 1, "the end is not read before what precedes it");
    bench.finish([&mut fetch]);
    assert_eq!((fetch.result(), fetch.body().len()), (Ok(()), 300_000));
}
