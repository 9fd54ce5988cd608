//! How connections, sessions and requests end, and that they do.

use connection_mgr::Snapshot;
use neqo_http3::Http3State;
use neqo_transport::{CloseReason, ConnectionParameters, StreamType};
use tests::simulated::{
    Ask, Bench, Fetch, Http3ServerPeer, MINUTE, MS, OTHER, Peer, SECOND, SERVER, Setup,
};
use transaction::{NetError, TimeoutPhase};

/// The server saw so many orderly closes, and no other.
#[track_caller]
fn assert_orderly_closes(server: &Peer<Http3ServerPeer>, count: usize) {
    server.look(|server| {
        let no_error = |state: &Http3State| {
            let code = neqo_transport::Error::PeerApplicationError(0x100);
            *state == Http3State::Closing(CloseReason::Transport(code))
        };
        assert_eq!(server.closed.len(), count, "{:?}", server.closed);
        assert!(server.closed.iter().all(no_error), "{:?}", server.closed);
    });
}

fn states(snapshot: &Snapshot) -> Vec<bool> {
    let connections = snapshot.entries.iter().flat_map(|entry| &entry.connections);
    connections.map(|connection| connection.active).collect()
}

/// <https://github.com/curl/curl/issues/8764>
#[test]
fn d2_1_an_idle_connection_ends_with_its_timeout_and_the_next_request_dials_anew() {
    let (mut bench, server) = Bench::with_server(1);
    bench.fetch("/1").expect_pattern(1);
    bench.run_for(29 * SECOND);
    assert_eq!(bench.snapshot().connections(), 1, "before its time");
    let waited = bench.run_until_empty();
    assert!(waited < 3 * SECOND, "{waited:?}");
    bench.fetch("/2").expect_pattern(2);
    let lifetime = bench.snapshot().lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed), (2, 1));
    // The request went before the handshake was done.
    bench.run_for(SECOND);
    assert_eq!(server.look(Http3ServerPeer::connections), 2);
}

#[test]
fn h17_an_idle_connection_that_must_not_be_used_again_closes_at_once() {
    let (mut bench, server) = Bench::with_server(2);
    bench.fetch("/1").expect_pattern(1);
    bench.close_persistent_connections();
    bench.run_for(20 * MS);
    assert_orderly_closes(&server, 1);
    let waited = bench.run_until_empty();
    assert!(waited < SECOND, "three probe timeouts, not {waited:?}");
}

#[test]
fn h16_h17_a_busy_connection_that_must_not_be_used_again_closes_after_its_last_stream() {
    let (mut bench, server) = Bench::with_server(3);
    let mut old = [bench.get("/drip/20/10/3000"), bench.get("/drip/30/10/3000")];
    bench.run_until("the heads arrive", |_| old.iter_mut().all(Fetch::poll_head));
    bench.close_persistent_connections();
    bench.run_for(SECOND);
    assert_eq!(states(&bench.snapshot()), [false], "it is no longer on the active list");
    assert_orderly_closes(&server, 0);

    // A new request has a connection of its own.
    bench.fetch("/5").expect_pattern(5);
    assert_eq!(states(&bench.snapshot()), [true, false]);

    bench.finish(&mut old);
    old[0].expect_pattern(20);
    old[1].expect_pattern(30);
    bench.run_for(20 * MS);
    assert_orderly_closes(&server, 1);
    bench.run_for(5 * SECOND);
    assert_eq!(states(&bench.snapshot()), [true]);
}

#[test]
fn h18_improved_an_idle_connection_that_gets_goaway_closes() {
    let (mut bench, server) = Bench::with_raw(4);
    server.tell(|server, _| server.on_request(|connection, n| connection.answer(n, b"answer")));
    assert_eq!(bench.fetch("/").result(), Ok(()));
    server.tell(|server, _| server.connection().goaway(4));
    let waited = bench.run_until_empty();
    assert!(waited < 5 * SECOND, "{waited:?}");
    server.look(|server| {
        let closed = server.connections[0].closed().cloned();
        let code = neqo_transport::Error::PeerApplicationError(0x100);
        assert_eq!(closed, Some(CloseReason::Transport(code)));
    });
    assert_eq!(bench.fetch("/").result(), Ok(()), "on a new connection");
    assert_eq!(bench.snapshot().lifetime.connections, 2);
}

#[test]
fn h19_after_goaway_refused_requests_go_elsewhere_and_the_others_finish() {
    let (mut bench, server) = Bench::with_raw(5);
    let mut fetches = ["/a", "/b", "/c"].map(|path| bench.get(path));
    bench.run_until("they arrive", |_| server.look(|server| server.requests() == 3));
    server.tell(|server, _| {
        server.on_request(|connection, n| connection.answer(n, b"second connection"));
        server.connection().head(0, &[(":status", "200")]);
        // The first request is on stream 0, the second on stream 4.
        server.connection().goaway(4);
    });
    bench.finish(&mut fetches[1..]);
    for fetch in &fetches[1..] {
        assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"second connection"[..]));
    }
    assert!(!fetches[0].poll(), "the first one runs on");
    server.tell(|server, _| {
        server.connection().data(0, b"first connection");
        server.connection().finish(0);
    });
    bench.finish(&mut fetches[..1]);
    assert_eq!(fetches[0].body(), b"first connection");
    bench.run_for(5 * SECOND);
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.lifetime.connections, snapshot.lifetime.reclaimed), (2, 1));
    assert_eq!(states(&snapshot), [true]);
}

#[test]
fn h19_after_goaway_requests_that_wait_for_a_stream_go_elsewhere_and_the_others_finish() {
    let mut bench = Bench::new(5);
    let one_stream = |parameters: ConnectionParameters| parameters.max_streams(StreamType::BiDi, 1);
    let server = bench.raw_server(SERVER, one_stream);
    let mut fetches = ["/a", "/b"].map(|path| bench.get(path));
    bench.run_until("one arrives", |_| server.look(|server| server.requests() == 1));
    server.tell(|server, _| {
        server.on_request(|connection, n| connection.answer(n, b"second connection"));
        server.connection().goaway(4);
    });
    bench.finish(&mut fetches[1..]);
    assert_eq!((fetches[1].result(), fetches[1].body()), (Ok(()), &b"second connection"[..]));
    assert!(!fetches[0].poll(), "the first one runs on");
    server.tell(|server, _| server.connection().answer(0, b"first connection"));
    bench.finish(&mut fetches[..1]);
    assert_eq!(fetches[0].body(), b"first connection");
}

#[test]
fn m2_m3_every_connection_is_reclaimed_exactly_once() {
    let (mut bench, _server) = Bench::with_server(6);
    for n in 1..=10 {
        bench.fetch("/1").expect_pattern(1);
        bench.close_persistent_connections();
        bench.run_until_empty();
        let lifetime = bench.snapshot().lifetime;
        assert_eq!((lifetime.connections, lifetime.reclaimed), (n, n));
        assert_eq!(bench.engines(), 0);
    }
}

#[test]
fn c5_a_broken_socket_ends_its_connection_at_once() {
    let (mut bench, server) = Bench::with_server(7);
    let mut fetch = bench.get("/drip/100/10/1000");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    let client = "10.0.0.1:49152".parse().unwrap();
    bench.network().break_socket(client);
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::PartialTransfer { .. }), "{:?}", fetch.error());
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
    bench.run_for(MINUTE);
    assert_orderly_closes(&server, 0);
}

#[test]
fn h21_a_receive_error_that_is_no_icmp_ends_the_connection() {
    let (mut bench, _server) = Bench::with_server(8);
    let mut fetch = bench.get("/drip/100/10/1000");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    let client = "10.0.0.1:49152".parse().unwrap();
    bench.network().fail_next_receive(client, std::io::ErrorKind::PermissionDenied);
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::PartialTransfer { .. }), "{:?}", fetch.error());
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
}

#[test]
fn going_offline_ends_everything_and_coming_back_starts_anew() {
    let (mut bench, _server) = Bench::with_server(9);
    let mut fetch = bench.get("/drip/100/10/1000");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    bench.client().poster().set_offline(true);
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::PartialTransfer { .. }), "{:?}", fetch.error());
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
    let fetch = bench.fetch("/1");
    assert!(matches!(fetch.error(), NetError::Socket { .. }), "{:?}", fetch.error());
    bench.client().poster().set_offline(false);
    bench.fetch("/2").expect_pattern(2);
}

#[test]
fn m20_shutdown_ends_what_runs_and_what_waits_and_says_goodbye() {
    let (mut bench, server) = Bench::with_server(10);
    bench.silent_server(OTHER);
    bench.name("silent.necko.test", [OTHER]);
    let mut with_head = bench.get("/drip/100/10/1000");
    let without_head = bench.get("/silent");
    let uploading = bench.ask(Ask::post("/post", vec![b'x'; 20_000_000]));
    bench.run_until("the head arrives", |_| with_head.poll_head());
    // One connects, one is looked up, one has not even been taken.
    let connecting = bench.ask(Ask::get("/").host("silent.necko.test"));
    bench.run_for(SECOND / 10);
    let resolving = bench.ask(Ask::get("/").host("unknown.test"));
    let late = bench.get("/1");
    bench.shutdown();

    for mut fetch in [with_head, without_head, uploading, connecting, resolving, late] {
        assert!(fetch.poll());
        assert_eq!(fetch.error(), &NetError::ShuttingDown);
    }
    bench.run_for(SECOND);
    assert_orderly_closes(&server, 1);
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
}

#[test]
fn m20_shutdown_in_the_closing_period_ends_it() {
    let (mut bench, server) = Bench::with_server(11);
    bench.fetch("/1").expect_pattern(1);
    bench.close_persistent_connections();
    bench.run_for(2 * MS);
    assert_eq!(bench.snapshot().connections(), 1);
    bench.shutdown();
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
    bench.run_for(SECOND);
    assert_orderly_closes(&server, 1);
}

#[test]
fn shutdown_without_any_connection_ends_at_once() {
    let mut bench = Bench::new(12);
    bench.shutdown();
    assert_eq!(bench.elapsed(), std::time::Duration::ZERO);
}

/// <https://github.com/quinn-rs/quinn/issues/2147>
#[test]
fn d2_5_a_peer_that_never_answers_does_not_hold_a_shutdown_up() {
    let mut bench = Bench::new(13);
    bench.silent_server(SERVER);
    let mut fetch = bench.get("/1");
    bench.run_for(SECOND);
    let before = bench.elapsed();
    bench.shutdown();
    assert_eq!(bench.elapsed(), before);
    assert!(fetch.poll());
    assert_eq!(fetch.error(), &NetError::ShuttingDown);
}

#[test]
fn h26_a_verdict_that_comes_after_the_connection_is_ignored() {
    let mut bench = Setup::new(14).settings(|settings| settings.idle_timeout = 5 * SECOND).build();
    bench.http3_server(SERVER, |parameters| parameters);
    let mut fetch = bench.get("/1");
    bench.run_until("the connection is begun", |client| {
        client.call(|mgr, ctx| mgr.snapshot(ctx)).connections() == 1
    });
    bench.network().job_delay(20 * SECOND);
    bench.run_for(SECOND);
    assert_eq!((bench.snapshot().service.jobs_in_flight, bench.verifications()), (1, 0));
    bench.cut(SERVER, true);
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Connect));
    bench.run_for(MS);
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.connections(), snapshot.service.jobs_in_flight), (0, 1));
    bench.run_until_empty();
    assert_eq!(bench.verifications(), 1, "the job could not be taken back");
    bench.network().job_delay(MS);
    bench.cut(SERVER, false);
    bench.fetch("/1").expect_pattern(1);
}
