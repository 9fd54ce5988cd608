//! How connections end in the company of requests: GOAWAY wherever it may come, closing periods, errors of the
//! socket, dropped handles; and when they must not end.

use std::io::ErrorKind;

use neqo_transport::CloseReason;
use socket_transport::simulated::LinkConfig;
use tests::simulated::{
    Ask, Bench, CLIENT, Fetch, Http3ServerPeer, MS, OTHER, Peer, RawPeer, SECOND, SERVER, Setup,
};
use transaction::NetError;

/// Where the client's first socket is.
fn client() -> std::net::SocketAddr {
    (CLIENT, 49152).into()
}

/// What the server found in the client's `CONNECTION_CLOSE`.
fn told(code: u64) -> CloseReason {
    CloseReason::Transport(neqo_transport::Error::PeerApplicationError(code))
}

fn closed(server: &Peer<RawPeer>, connection: usize) -> Option<CloseReason> {
    server.look(|server| server.connections[connection].closed().cloned())
}

/// Dropping one handle, or all but one, closes nothing; the connection goes with the last stream when nobody
/// will use it again.
///
/// <https://github.com/cloudflare/quiche/pull/2333>
#[test]
fn d2_3_a_dropped_handle_kills_no_live_stream() {
    let (mut bench, server) = Bench::with_server(1);
    let mut fetches: Vec<_> = (0..5).map(|_| bench.get("/drip/50/10/500")).collect();
    bench.run_until("the heads arrive", |_| fetches.iter_mut().all(Fetch::poll_head));
    bench.close_persistent_connections();
    fetches.truncate(2);
    bench.run_for(SECOND);
    drop(fetches.pop());
    bench.run_for(SECOND / 2);
    assert_eq!((bench.snapshot().transactions(), bench.snapshot().handles), (1, 1));
    assert!(server.look(|server| server.closed.is_empty()));
    bench.finish(&mut fetches);
    fetches[0].expect_pattern(50);
    bench.run_for(20 * MS);
    assert_eq!(server.look(|server| server.closed.len()), 1);
}

/// The last handle's drop wakes the driver: the server learns of it now, and not with the next timer.
///
/// <https://github.com/hyperium/h3/commit/a55fd56>
#[test]
fn d2_4_the_last_handle_that_is_dropped_wakes_the_driver() {
    let (mut bench, server) = Bench::with_server(2);
    let mut fetch = bench.get("/drip/100/10/60000");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    bench.run_for(5 * SECOND);
    bench.close_persistent_connections();
    bench.run_for(SECOND);
    drop(fetch);
    bench.run_for(20 * MS);
    assert_eq!(server.look(|server| server.closed.len()), 1, "its connection had nothing else");
    assert!(bench.run_until_empty() < SECOND);
}

/// A manager that is dropped with its service, in the midst of everything, without a shutdown.
///
/// <https://github.com/quinn-rs/quinn/commit/07ce61cc>
#[test]
fn d2_15_what_is_dropped_frees_everything() {
    let (mut bench, _server) = Bench::with_server(3);
    bench.silent_server(OTHER);
    bench.name("silent.necko.test", [OTHER]);
    let mut reading = bench.get("/drip/100/10/1000");
    bench.run_until("the head arrives", |_| reading.poll_head());
    let uploading = bench.ask(Ask::post("/post", vec![b'x'; 20_000_000]));
    let connecting = bench.ask(Ask::get("/").host("silent.necko.test"));
    bench.run_for(SECOND / 10);
    let resolving = bench.ask(Ask::get("/").host("unknown.test"));
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.connections(), snapshot.handles, bench.engines()), (2, 2, 2));
    assert!(bench.transactions() >= 4);

    bench.shutdown();
    assert_eq!((bench.engines(), bench.snapshot().handles), (0, 0));
    bench.run_for(SECOND);
    // The application's halves hold none of it.
    assert_eq!(bench.transactions(), 0);
    drop((reading, uploading, connecting, resolving));
}

/// Data is expected, and most of what is sent is lost: that is no silence.
///
/// <https://github.com/ngtcp2/ngtcp2/issues/1367>
#[test]
fn d2_42_a_lossy_link_is_no_idle_one() {
    let (mut bench, server) = Bench::with_server(4);
    bench.fetch("/1").expect_pattern(1);
    bench.network().both(CLIENT.into(), SERVER, LinkConfig::new().loss(0.4));
    let mut fetch = bench.get("/drip/60/10/15000");
    bench.finish([&mut fetch]);
    fetch.expect_pattern(60);
    assert!(bench.elapsed() > 70 * SECOND, "{:?}", bench.elapsed());
    assert_eq!(server.look(Http3ServerPeer::connections), 1);
    bench.network().both(CLIENT.into(), SERVER, LinkConfig::new());
}

/// The outage: a length in another case than a look-up expected left a loop with nothing to do and no end.
///
/// <https://hacks.mozilla.org/2022/02/retrospective-and-technical-details-on-the-recent-firefox-outage/>
#[test]
fn d2_45_a_length_in_any_case_is_one() {
    let (mut bench, server) = Bench::with_server(5);
    for name in ["content-length", "Content-Length", "CONTENT-LENGTH", "cOnTeNt-lEnGtH"] {
        let turns = bench.snapshot().service.turns;
        let mut fetch = bench.ask(Ask::post("/post", vec![b'x'; 5000]).header_as(name, "5000"));
        bench.finish([&mut fetch]);
        assert_eq!(fetch.header("x-data-received-length"), Some("5000"), "{name}");
        let turns = bench.snapshot().service.turns - turns;
        assert!(turns < 200, "{name}: {turns} turns");
    }
    let sent = server.look(|server| server.seen("/post").headers.clone());
    assert_eq!(sent.iter().filter(|header| header.name() == "content-length").count(), 1);
    // And one that lies is found out in any case.
    let short = Ask::post("/post", vec![b'x'; 10]).header_as("Content-LENGTH", "5000");
    let mut fetch = bench.ask(short);
    bench.run_for(5 * SECOND);
    let turns = bench.snapshot().service.turns;
    bench.run_for(10 * SECOND);
    let turns = bench.snapshot().service.turns - turns;
    assert!(turns < 100, "{turns} turns in ten seconds");
    let _ = fetch.poll();
}

/// Upper case is malformed in HTTP/3 (RFC 9114 §4.2): an error, and no loop.
#[test]
fn d2_45_a_response_length_in_upper_case_is_an_error() {
    let (mut bench, server) = Bench::with_raw(6);
    server.tell(|server, _| {
        server.on_request(|connection, request| {
            connection.head(request, &[(":status", "200"), ("Content-Length", "3")]);
            connection.data(request, b"abc");
            connection.finish(request);
        });
    });
    let fetch = bench.fetch("/");
    assert!(matches!(fetch.error(), NetError::MalformedResponse(_)), "{:?}", fetch.error());
    assert!(bench.snapshot().service.turns < 200);
}

/// Before any request was taken: all go elsewhere, and the first connection closes.
#[test]
fn h19_a_goaway_before_any_request_sends_all_elsewhere() {
    let (mut bench, server) = Bench::with_raw(7);
    let mut fetches = ["/a", "/b"].map(|path| bench.get(path));
    bench.run_until("they arrive", |_| server.look(|server| server.requests() == 2));
    server.tell(|server, _| {
        server.on_request(|connection, n| connection.answer(n, b"there"));
        server.connection().goaway(0);
    });
    bench.finish(&mut fetches);
    for fetch in &fetches {
        assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"there"[..]));
    }
    assert_eq!(closed(&server, 0), Some(told(0x100)));
    bench.run_for(5 * SECOND);
    let lifetime = bench.snapshot().lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed), (2, 1));
}

/// Twice, the second time with a lower number: what the first one spared is refused by the second.
#[test]
fn h19_a_second_goaway_may_refuse_more() {
    let (mut bench, server) = Bench::with_raw(8);
    let mut fetches = ["/a", "/b", "/c"].map(|path| bench.get(path));
    bench.run_until("they arrive", |_| server.look(|server| server.requests() == 3));
    server.tell(|server, _| {
        server.on_request(|connection, n| connection.answer(n, b"second"));
        server.connection().goaway(8);
    });
    bench.finish(&mut fetches[2..]);
    assert!(!fetches[0].poll() && !fetches[1].poll());
    server.tell(|server, _| server.connection().goaway(4));
    bench.finish(&mut fetches[1..2]);
    assert!(!fetches[0].poll());
    server.tell(|server, _| server.connection().answer(0, b"first"));
    bench.finish(&mut fetches[..1]);
    assert_eq!(fetches.each_ref().map(|fetch| fetch.body()), [&b"first"[..], b"second", b"second"]);
    bench.run_for(20 * MS);
    assert_eq!(closed(&server, 0), Some(told(0x100)));
    assert_eq!(bench.snapshot().lifetime.connections, 2);
}

/// After the last request was answered, with a number that refuses nothing; and a request that comes with it.
#[test]
fn h18_a_goaway_after_the_requests_closes_and_the_next_one_dials() {
    let (mut bench, server) = Bench::with_raw(9);
    server.tell(|server, _| server.on_request(|connection, n| connection.answer(n, b"answer")));
    assert_eq!(bench.fetch("/").result(), Ok(()));
    server.tell(|server, _| {
        server.connection().goaway(400);
        server.connection().goaway(400);
    });
    // Its packet and the request cross each other.
    bench.run_for(9 * MS);
    let mut crossing = bench.get("/crossing");
    bench.finish([&mut crossing]);
    assert_eq!((crossing.result(), crossing.body()), (Ok(()), &b"answer"[..]));
    bench.run_for(SECOND);
    assert_eq!(closed(&server, 0), Some(told(0x100)));
    assert_eq!(bench.snapshot().connections(), 0);
}

/// The server doesn't hear the client's `CONNECTION_CLOSE` and goes on: it is told again for what it sends, not
/// more often than that, and only for the closing period.
#[test]
fn h16_late_packets_are_answered_while_closing_and_not_for_ever() {
    let (mut bench, server) = Bench::with_raw(10);
    let mut fetch = bench.get("/");
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
    server.tell(|server, _| server.connection().head(0, &[(":status", "200")]));
    bench.run_until("the head arrives", |_| fetch.poll_head());
    bench.run_for(SECOND);
    bench.network().blackhole(CLIENT.into(), SERVER, true);
    // A second control stream, for which the client closes.
    server.tell(|server, _| {
        server.connection().open_unidirectional(&[0, 4, 0]);
    });
    bench.finish([&mut fetch]);
    let sent = |bench: &mut Bench| bench.snapshot().service.traffic.datagrams_sent;
    let (first, start) = (sent(&mut bench), bench.elapsed());
    let mut late = 0;
    while bench.snapshot().connections() == 1 {
        server.tell(|server, _| server.connection().data(0, &[7; 100]));
        bench.run_for(5 * MS);
        late += 1;
        assert!(late < 1000, "it never ends");
    }
    let again = sent(&mut bench) - first;
    assert!((1..=late).contains(&again), "{again} answers to {late} packets");
    assert!(bench.since(start) < SECOND, "{:?}", bench.since(start));
    // Nobody is at home any more.
    let before = sent(&mut bench);
    server.tell(|server, _| server.connection().data(0, &[7; 100]));
    bench.run_for(SECOND);
    assert_eq!(sent(&mut bench), before);
    bench.network().blackhole(CLIENT.into(), SERVER, false);
}

/// Errors of the socket in a made connection, when receiving and when sending: ICMP's are not believed, because
/// anybody can send them; others end it in the same turn.
#[test]
fn h21_errors_of_the_socket_end_a_made_connection_unless_anybody_can_cause_them() {
    use ErrorKind as Kind;
    let believed = [Kind::PermissionDenied, Kind::NotConnected, Kind::InvalidInput];
    let not = [
        Kind::ConnectionRefused,
        Kind::ConnectionReset,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
        Kind::NetworkDown,
    ];
    let kinds = believed.map(|kind| (kind, true)).into_iter().chain(not.map(|kind| (kind, false)));
    for (kind, ends) in kinds {
        for sending in [true, false] {
            let what = format!("{kind:?}, sending: {sending}");
            let (mut bench, server) = Bench::with_server(11);
            let mut fetch = bench.get("/drip/30/10/1000");
            bench.run_until("the head arrives", |_| fetch.poll_head());
            bench.run_for(SECOND / 2);
            if sending {
                bench.network().fail_next_send(CLIENT.into(), kind);
            } else {
                bench.network().fail_next_receive(client(), kind);
            }
            bench.finish([&mut fetch]);
            if ends {
                let Err(NetError::PartialTransfer { reason, .. }) = fetch.result() else {
                    panic!("{what}: {:?}", fetch.result())
                };
                assert!(reason.contains("network"), "{what}: {reason}");
                bench.run_for(MS);
                assert_eq!(bench.snapshot().expect_empty(), Ok(()), "{what}");
                bench.run_for(SECOND);
                assert!(server.look(|server| server.closed.is_empty()), "h20: no last words");
            } else {
                fetch.expect_pattern(30);
                assert_eq!(bench.snapshot().lifetime.connections, 1, "{what}");
            }
        }
    }
}

/// What is told, by the way in which a connection ends: the other half of `h20_…`.
#[test]
fn h20_whoever_can_be_told_is_told_once() {
    type End = fn(&mut Bench);
    let ends: [(&str, usize, End); 4] = [
        ("nobody uses it again", 1, |bench| bench.close_persistent_connections()),
        ("shutdown", 1, Bench::shutdown),
        ("the socket is broken", 0, |bench| bench.network().break_socket(client())),
        ("offline", 0, |bench| bench.client().poster().set_offline(true)),
    ];
    for (what, closes, end) in ends {
        let mut bench = Setup::new(12).build();
        let server = bench.http3_server(SERVER, |parameters| parameters);
        bench.fetch("/1").expect_pattern(1);
        bench.run_for(SECOND);
        let before = bench.snapshot().service.traffic.datagrams_sent;
        end(&mut bench);
        bench.run_for(SECOND);
        assert_eq!(server.look(|server| server.closed.len()), closes, "{what}");
        let sent = bench.snapshot().service.traffic.datagrams_sent - before;
        assert!(sent >= closes as u64 && sent <= 2 * closes as u64, "{what}: {sent} datagrams");
        assert_eq!(bench.snapshot().expect_empty(), Ok(()), "{what}");
    }
}
