//! Request bodies whose server gives little credit, or wants no more.

use neqo_transport::StreamType;
use tests::simulated::{Ask, Bench, Fetch, MS, Peer, RawPeer, SECOND, SERVER};

/// A raw server that reads nothing and gives a stream this much credit, and an upload to it.
fn unread(seed: u64, credit: u64, body: usize) -> (Bench, Peer<RawPeer>, Fetch) {
    let mut bench = Bench::new(seed);
    let server = bench.raw_server(SERVER, |parameters| {
        parameters.max_stream_data(StreamType::BiDi, true, credit)
    });
    let fetch = bench.ask(Ask::post("/", vec![b'x'; body]));
    bench.run_until("the request has begun", |_| {
        server.tell(|server, _| {
            let Some(connection) = server.connections.first_mut() else { return false };
            connection.reads = false;
            !connection.requests.is_empty()
        })
    });
    bench.run_for(SECOND / 10);
    (bench, server, fetch)
}

/// One, two, or three bytes of credit at a time: two are too few for a frame, and must neither be a
/// reason to try nor be forgotten.
///
/// <https://github.com/mozilla/neqo/issues/1819>
#[test]
fn d2_33_credit_of_one_to_three_bytes_at_a_time_neither_stalls_nor_spins() {
    const BODY: usize = 300;
    let (mut bench, server, mut fetch) = unread(1, 150, BODY);
    let before = bench.snapshot().service.turns;
    let (mut credit, mut raises) = (150, 0);
    // A frame of its own for each byte, in the worst case, and what the head takes.
    while credit < 150 + 3 * BODY as u64 + 300 {
        credit += 1 + raises % 3;
        raises += 1;
        server.tell(|server, _| server.connection().raise(0, credit));
        bench.run_for(25 * MS);
    }
    let turns = bench.snapshot().service.turns - before;
    assert!(turns < 8 * raises, "{turns} turns for {raises} times a little credit");
    server.tell(|server, _| {
        server.on_request(|connection, request| connection.answer(request, b"thanks"));
        server.connection().read_everything();
    });
    let request = server.look(|server| {
        let request = &server.connections[0].requests[0];
        (request.body, request.fin)
    });
    assert_eq!(request, (BODY as u64, true), "all of it came with that credit");
    bench.finish([&mut fetch]);
    assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"thanks"[..]));
}

/// A server that wants no more of the body and answers is no failed server, whether it says so before
/// its answer, amid it, or when everything was sent already.
///
/// <https://github.com/seanmonstar/reqwest/pull/2978>
#[test]
fn d2_35_a_stop_without_error_is_no_failure_whenever_it_comes() {
    for (seed, body, stop_at) in
        [(2, 5_000_000, 0), (3, 5_000_000, 1), (4, 5_000_000, 2), (5, 10, 0)]
    {
        let (mut bench, server) = Bench::with_raw(seed);
        let mut fetch = bench.ask(Ask::post("/", vec![b'x'; body]));
        bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
        // A large one waits for credit, a small one is there.
        server.tell(|server, _| server.connection().reads = false);
        bench.run_for(SECOND / 2);
        for step in 0..4 {
            server.tell(|server, _| {
                let connection = server.connection();
                if step == stop_at {
                    connection.stop_sending(0, 0x100);
                }
                match step {
                    0 => connection.head(0, &[(":status", "200")]),
                    1 => connection.data(0, b"half "),
                    2 => connection.data(0, b"and half"),
                    _ => connection.finish(0),
                }
            });
            bench.run_for(SECOND);
        }
        bench.finish([&mut fetch]);
        assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"half and half"[..]), "{stop_at}");
        let fin = server.look(|server| server.connections[0].requests[0].fin);
        assert_eq!(fin, body == 10, "a body that was cut must not look like a whole one");
    }
}

/// A response that nobody wants ends its upload too: the server must hear of both.
///
/// <https://github.com/oven-sh/bun/issues/42889>
#[test]
fn d2_37_a_response_dropped_while_the_upload_runs_ends_both_directions() {
    let (mut bench, server) = Bench::with_raw(6);
    let mut fetch = bench.ask(Ask::post("/", vec![b'x'; 5_000_000]));
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
    server.tell(|server, _| {
        server.connection().reads = false;
        server.connection().head(0, &[(":status", "200")]);
        server.connection().data(0, b"the beginning");
    });
    bench.run_until("the answer has begun", |_| fetch.read_once().is_some());
    drop(fetch);
    bench.run_for(SECOND);
    server.look(|server| {
        let request = &server.connections[0].requests[0];
        assert_eq!((request.fin, request.reset), (false, Some(0x10c)));
        assert_eq!(request.stopped, Some(0x10c));
    });
    assert_eq!((bench.snapshot().transactions(), bench.transactions()), (0, 0));
}
