//! Streams that end in every way that a peer or an application can think of, and what is left of each:
//! nothing. neqo's server allows sixteen streams at a time, so one that either side goes on to count is
//! missed soon.

use http3_session::SessionSnapshot;
use tests::simulated::{Ask, Bench, Fetch, Peer, RawConnection, RawPeer, SECOND};
use transaction::{ErrorCode, NetError};

/// How many streams the server allows.
const ALLOWED: usize = 16;
/// More than the server's window of a stream: such an upload doesn't end by itself.
const LARGE: usize = 2_000_000;

fn session(bench: &mut Bench) -> SessionSnapshot {
    let snapshot = bench.snapshot();
    snapshot.entries[0].connections[0].session.clone().expect("a session")
}

/// A server that answers to `/good`, and has something else for all other requests.
fn with(seed: u64, other: fn(&mut RawConnection, usize)) -> (Bench, Peer<RawPeer>) {
    let (bench, server) = Bench::with_raw(seed);
    server.tell(|server, _| {
        server.on_request(move |connection, request| {
            if connection.requests[request].path() == "/good" {
                connection.answer(request, b"good");
            } else {
                other(connection, request);
            }
        });
    });
    (bench, server)
}

/// Three times all streams end in some way, and then they are there for good requests.
fn three_times(bench: &mut Bench, mut all: impl FnMut(&mut Bench)) {
    for _ in 0..3 {
        all(bench);
        bench.run_for(SECOND);
        let session = session(bench);
        assert_eq!((session.streams, session.queued_streams, session.ready_for_write), (0, 0, 0));
        assert_eq!(bench.transactions(), 0);
    }
    let mut good: Vec<_> = (0..ALLOWED).map(|_| bench.get("/good")).collect();
    bench.finish(&mut good);
    for fetch in &good {
        assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"good"[..]));
    }
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

fn many(bench: &mut Bench, ask: &Ask) -> Vec<Fetch> {
    (0..ALLOWED).map(|_| bench.ask(ask.clone())).collect()
}

/// <https://github.com/cloudflare/quiche/issues/2524>
#[test]
fn d2_16_a_reset_of_the_server_before_our_end_frees_the_stream() {
    let (mut bench, server) = with(1, |connection, request| connection.reset(request, 0x102));
    three_times(&mut bench, |bench| {
        let mut fetches = many(bench, &Ask::post("/reset", vec![b'x'; LARGE]));
        bench.finish(&mut fetches);
        for fetch in &fetches {
            let code = ErrorCode::INTERNAL_ERROR;
            assert_eq!(fetch.error(), &NetError::NetInterrupt { code });
        }
    });
    server.look(|server| {
        let resets = server.connections[0].requests.iter().filter(|one| one.reset == Some(0x10c));
        assert_eq!(resets.count(), 3 * ALLOWED, "an upload that was not at its end is reset");
    });
}

/// <https://github.com/cloudflare/quiche/issues/1968>
#[test]
fn d2_17_a_response_that_is_dropped_after_the_servers_reset_frees_the_stream() {
    let (mut bench, server) = with(2, |connection, request| {
        connection.head(request, &[(":status", "200")]);
        connection.data(request, &vec![7; 150_000]);
    });
    let mut first = 0;
    three_times(&mut bench, |bench| {
        let mut fetches = many(bench, &Ask::get("/half"));
        bench.run_until("they have begun", |_| fetches.iter_mut().all(Fetch::poll_head));
        bench.run_for(SECOND);
        server.tell(|server, _| {
            let connection = server.connection();
            let last = connection.requests.len();
            (first..last).for_each(|request| connection.reset(request, 0x102));
            first = last;
        });
        // Half of them are dropped while the reset is on its way, half when it has come.
        fetches.drain(..ALLOWED / 2);
        bench.run_for(SECOND);
    });
}

/// <https://github.com/cloudflare/quiche/pull/2191>
#[test]
fn d2_18_a_request_that_ends_long_before_its_response_is_freed_with_that() {
    let (mut bench, server) = with(3, |_, _| {});
    three_times(&mut bench, |bench| {
        let begun = server.look(RawPeer::requests);
        let mut fetches = many(bench, &Ask::post("/late", vec![b'x'; 1000]));
        bench.run_for(2 * SECOND);
        server.tell(|server, _| {
            let connection = server.connection();
            assert_eq!(connection.requests.len(), begun + ALLOWED);
            for request in begun..begun + ALLOWED {
                assert!(connection.requests[request].fin);
                connection.answer(request, b"late");
            }
        });
        assert_eq!(session(bench).streams, ALLOWED);
        bench.finish(&mut fetches);
        for fetch in &fetches {
            assert_eq!(fetch.body(), b"late");
        }
    });
}

/// <https://github.com/cloudflare/quiche/commit/bc8fbb12>
#[test]
fn d2_19_a_request_that_ends_with_its_head_is_freed() {
    let (mut bench, server) = with(4, |connection, request| connection.answer(request, b"a body"));
    three_times(&mut bench, |bench| {
        let mut fetches = many(bench, &Ask::post("/", ""));
        bench.finish(&mut fetches);
        for fetch in &fetches {
            assert_eq!(fetch.body(), b"a body");
        }
    });
    server.look(|server| {
        assert!(server.connections[0].requests.iter().all(|one| one.fin && one.body == 0));
    });
}

/// <https://github.com/cloudflare/quiche/pull/1631>
#[test]
fn d2_21_streams_that_the_server_reset_are_given_back_to_the_limit() {
    let (mut bench, server) = with(5, |connection, request| connection.reset(request, 0x10c));
    three_times(&mut bench, |bench| {
        // Four times as many as there may be at once.
        let mut fetches: Vec<_> = (0..4 * ALLOWED).map(|_| bench.get("/reset")).collect();
        bench.finish(&mut fetches);
        for fetch in &fetches {
            let code = ErrorCode::REQUEST_CANCELLED;
            assert_eq!(fetch.error(), &NetError::NetInterrupt { code });
        }
    });
    assert_eq!(server.look(RawPeer::requests), 13 * ALLOWED);
}

/// <https://github.com/mozilla/neqo/commit/638d30105>
#[test]
fn d2_23_a_response_whose_head_carries_the_end_is_freed() {
    let (mut bench, _server) = with(6, |connection, request| {
        connection.head(request, &[(":status", "204")]);
        connection.finish(request);
    });
    three_times(&mut bench, |bench| {
        let mut fetches = many(bench, &Ask::get("/no_content"));
        bench.finish(&mut fetches);
        for fetch in &fetches {
            assert_eq!((fetch.result(), fetch.status(), fetch.received()), (Ok(()), 204, 0));
        }
    });
}

#[test]
fn t2_of_a_request_that_has_ended_nothing_is_left_but_what_its_application_holds() {
    type Ending = (&'static str, fn(&mut RawConnection, usize));
    let endings: [Ending; 6] = [
        ("in good order", |connection, request| connection.answer(request, b"all")),
        ("with a reset", |connection, request| connection.reset(request, 0x102)),
        ("in mid-body", |connection, request| {
            connection.head(request, &[(":status", "200")]);
            connection.data(request, b"a part");
            connection.close_after(SECOND / 10, 0x102);
        }),
        ("too short", |connection, request| {
            connection.head(request, &[(":status", "200"), ("content-length", "10")]);
            connection.finish(request);
        }),
        ("too long", |connection, request| {
            connection.head(request, &[(":status", "200"), ("content-length", "1")]);
            connection.data(request, b"more");
        }),
        ("malformed", |connection, request| {
            connection.head(request, &[(":status", "abc")]);
        }),
    ];
    for (how, ending) in endings {
        let (mut bench, _server) = with(7, ending);
        bench.fetch("/good");
        let wakers = bench.snapshot().service.wakers;
        let fetch = bench.get("/");
        bench.run_for(SECOND);
        let snapshot = bench.snapshot();
        assert_eq!((snapshot.transactions(), bench.transactions()), (0, 0), "{how}");
        assert!(snapshot.service.wakers <= wakers, "{how}: its waker is kept");
        drop(fetch);
    }
}
