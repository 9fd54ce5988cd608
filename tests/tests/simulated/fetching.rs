//! Requests that are answered, in full or with a wrong length.

use http::Method;
use tests::simulated::{Ask, Bench, HOST, Http3ServerPeer, MINUTE, MS, OTHER, SECOND, SERVER};
use transaction::NetError;

#[test]
fn bodies_of_no_byte_one_byte_and_a_megabyte_arrive_whole() {
    let (mut bench, server) = Bench::with_server(1);
    for length in [0, 1, 1_000_000] {
        let fetch = bench.fetch(&format!("/{length}"));
        fetch.expect_pattern(length);
        assert_eq!(fetch.header("content-length"), Some(length.to_string().as_str()));
    }
    assert_eq!(server.look(Http3ServerPeer::connections), 1);
}

#[test]
fn twenty_megabytes_arrive_whole() {
    let (mut bench, _server) = Bench::with_server(2);
    bench.fetch("/20000000").expect_pattern(20_000_000);
    assert!(bench.snapshot().service.traffic.bytes_received > 20_000_000);
}

#[test]
fn a_head_request_brings_the_head_alone() {
    let (mut bench, server) = Bench::with_server(3);
    let mut fetch = bench.ask(Ask::new(Method::HEAD, "/4000"));
    bench.finish([&mut fetch]);
    fetch.expect_pattern(0);
    assert_eq!(fetch.header("content-length"), Some("4000"));
    assert_eq!(server.look(|server| server.seen("/4000").method.clone()), "HEAD");
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    let (mut bench, _server) = Bench::with_server(4);
    bench.fetch("/no_body").expect_pattern(0);
    let fetch = bench.fetch("/no_content");
    assert_eq!((fetch.result(), fetch.status(), fetch.body().len()), (Ok(()), 204, 0));
}

#[test]
fn a_status_that_is_no_success_is_a_response_like_any_other() {
    let (mut bench, _server) = Bench::with_server(5);
    let fetch = bench.fetch("/missing");
    assert_eq!((fetch.result(), fetch.status(), fetch.body().len()), (Ok(()), 404, 9));
}

#[test]
fn r1_posted_bodies_are_received_whole_and_ended_once() {
    let (mut bench, server) = Bench::with_server(6);
    // The last one is larger than the server's window of a stream.
    for length in [0, 1, 1000, 3_000_000] {
        let mut fetch = bench.ask(Ask::post("/post", vec![b'x'; length]));
        bench.finish([&mut fetch]);
        assert_eq!(fetch.result(), Ok(()));
        assert_eq!(fetch.header("x-data-received-length"), Some(length.to_string().as_str()));
        let seen = server.look(|server| server.requests.last().cloned().unwrap());
        assert_eq!((seen.body, seen.fin, seen.reset), (length as u64, true, None));
    }
}

#[test]
fn r4_an_early_response_ends_the_upload_and_arrives_whole() {
    let (mut bench, server) = Bench::with_server(7);
    let mut fetch = bench.ask(Ask::post("/EarlyResponse", vec![b'x'; 5_000_000]));
    bench.finish([&mut fetch]);
    fetch.expect_pattern(1000);
    let sent = server.look(|server| server.seen("/EarlyResponse").body);
    assert!(sent < 5_000_000, "{sent} bytes were sent all the same");
}

#[test]
fn r5_interim_responses_never_reach_the_consumer() {
    let (mut bench, _server) = Bench::with_server(8);
    bench.fetch("/103_response").expect_pattern(1000);
}

#[test]
fn a_body_without_content_length_ends_with_its_stream() {
    let (mut bench, _server) = Bench::with_server(9);
    let fetch = bench.fetch("/no_content_length");
    fetch.expect_pattern(4000);
    assert_eq!(fetch.header("content-length"), None);
}

#[test]
fn r6_more_than_content_length_announced_is_an_error() {
    let (mut bench, _server) = Bench::with_server(10);
    let fetch = bench.fetch("/content_length_smaller");
    assert!(matches!(fetch.error(), NetError::MalformedResponse(_)), "{:?}", fetch.error());
    bench.fetch("/1").expect_pattern(1);
    assert_eq!(bench.snapshot().lifetime.connections, 1, "it is that stream's fault alone");
}

#[test]
fn less_than_content_length_announced_is_a_partial_transfer() {
    let (mut bench, _server) = Bench::with_server(11);
    let fetch = bench.fetch("/content_length_larger");
    let NetError::PartialTransfer { received, expected, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert_eq!((*received, *expected, fetch.body().len()), (4000, Some(8000), 4000));
}

#[test]
fn m12_a_hundred_requests_at_once_share_one_connection() {
    let mut bench = Bench::new(12);
    let server = bench.http3_server(SERVER, |parameters| {
        parameters.max_streams(neqo_transport::StreamType::BiDi, 100)
    });
    let mut fetches: Vec<_> = (1..=100).map(|n| bench.get(&format!("/{}", n * 100))).collect();
    bench.finish(&mut fetches);
    for (n, fetch) in (1..=100).zip(&fetches) {
        fetch.expect_pattern(n * 100);
    }
    let lifetime = bench.snapshot().lifetime;
    assert_eq!((lifetime.connections, lifetime.dispatched), (1, 100));
    assert_eq!(server.look(|server| (server.connections(), server.requests.len())), (1, 100));
    assert_eq!(bench.names().lookups(), 1);
    assert_eq!(bench.verifications(), 1);
}

#[test]
fn m11_requests_that_come_during_the_handshake_wait_for_it() {
    let (mut bench, server) = Bench::with_server(23);
    let mut fetches = vec![bench.get("/1")];
    bench.run_until("the handshake has begun", |client| {
        client.call(|mgr, ctx| mgr.snapshot(ctx)).connections() == 1
    });
    for _ in 0..5 {
        fetches.push(bench.get("/1"));
        bench.run_for(5 * MS);
    }
    bench.finish(&mut fetches);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
    assert_eq!(server.look(|server| server.requests.len()), 6);
}

#[test]
fn h5_requests_beyond_the_stream_limit_wait_and_are_all_served() {
    // neqo's server allows 16 streams at a time.
    let (mut bench, server) = Bench::with_server(13);
    bench.fetch("/1").expect_pattern(1);
    let mut fetches: Vec<_> = (0..100).map(|_| bench.get("/1000")).collect();
    bench.run_until("streams are queued", |client| {
        let snapshot = client.call(|mgr, ctx| mgr.snapshot(ctx));
        let session = snapshot.entries[0].connections[0].session.as_ref().unwrap();
        session.queued_streams == 84
    });
    bench.finish(&mut fetches);
    for fetch in &fetches {
        fetch.expect_pattern(1000);
    }
    assert_eq!(bench.snapshot().lifetime.connections, 1);
    assert_eq!(server.look(|server| server.requests.len()), 101);
}

/// <https://github.com/mozilla/neqo/issues/674>
#[test]
fn h5_d2_49_two_thousand_requests_share_sixteen_streams_in_the_order_of_asking() {
    let (mut bench, server) = Bench::with_server(24);
    bench.fetch("/1").expect_pattern(1);
    bench.run_for(SECOND);
    let mut fetches = Vec::new();
    for n in 0..2000 {
        fetches.push(bench.get(&format!("/10/{n}")));
        if n % 500 == 0 {
            // The event queue is not for two thousand at once; no answer comes in that time.
            bench.run_for(MS);
        }
    }
    let queued = |bench: &mut Bench| {
        let snapshot = bench.snapshot();
        snapshot.entries[0].connections[0].session.as_ref().unwrap().queued_streams
    };
    bench.run_for(MS);
    // neqo's server allows 16 streams at a time.
    assert_eq!(queued(&mut bench), 2000 - 16);
    bench.finish(&mut fetches);
    for fetch in &fetches {
        fetch.expect_pattern(10);
    }
    assert_eq!(queued(&mut bench), 0);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
    let paths: Vec<_> = (0..2000).map(|n| format!("/10/{n}")).collect();
    server.look(|server| {
        assert!(server.requests[1..].iter().map(|request| &request.path).eq(&paths));
    });
}

#[test]
fn two_origins_have_two_connections() {
    let (mut bench, server) = Bench::with_server(14);
    let other = bench.http3_server(OTHER, |parameters| parameters);
    bench.name("other.necko.test", [OTHER]);
    let mut here = bench.get("/100");
    let mut there = bench.ask(Ask::get("/200").host("other.necko.test"));
    bench.finish([&mut here, &mut there]);
    here.expect_pattern(100);
    there.expect_pattern(200);
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.connections(), snapshot.entries.len()), (2, 2));
    assert_eq!(server.look(|server| server.count("/100")), 1);
    assert_eq!(other.look(|server| server.count("/200")), 1);
}

#[test]
fn two_names_of_one_machine_do_not_share_a_connection() {
    let (mut bench, _server) = Bench::with_server(15);
    bench.name("a.necko.test", [SERVER]);
    let mut fetches = [HOST, "a.necko.test"].map(|host| bench.ask(Ask::get("/10").host(host)));
    bench.finish(&mut fetches);
    for fetch in &fetches {
        fetch.expect_pattern(10);
    }
    assert_eq!(bench.snapshot().connections(), 2);
}

/// <https://github.com/aiortc/aioquic/pull/590>
#[test]
fn d2_25_the_streams_of_many_requests_in_a_row_are_all_given_back() {
    let (mut bench, _server) = Bench::with_server(16);
    for _ in 0..20 {
        let mut fetches: Vec<_> = (0..16).map(|_| bench.get("/10")).collect();
        bench.finish(&mut fetches);
        for fetch in &fetches {
            fetch.expect_pattern(10);
        }
    }
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.lifetime.connections, snapshot.transactions()), (1, 0));
}

/// <https://github.com/mozilla/neqo/issues/2087>
#[test]
fn d2_41_an_answer_that_takes_minutes_is_waited_for() {
    let (mut bench, _server) = Bench::with_server(17);
    // Three pieces, each after a pause longer than both idle timeouts: PINGs keep the connection.
    let mut fetch = bench.get("/drip/30/10/50000");
    bench.run_for(MINUTE + 50 * SECOND);
    assert!(fetch.poll());
    fetch.expect_pattern(30);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

/// <https://github.com/cloudflare/quiche/issues/740>
#[test]
fn d2_26_an_empty_fin_long_after_the_last_byte_ends_the_body() {
    let (mut bench, server) = Bench::with_raw(20);
    let mut fetch = bench.get("/");
    bench.run_until("the request arrives", |_| server.look(|server| server.requests() == 1));
    server.tell(|server, _| {
        server.connection().head(0, &[(":status", "200")]);
        server.connection().data(0, b"all of it");
    });
    bench.run_for(SECOND);
    assert!(!fetch.poll());
    assert_eq!(fetch.body(), b"all of it");
    server.tell(|server, _| server.connection().finish(0));
    bench.finish([&mut fetch]);
    assert_eq!(fetch.result(), Ok(()));
}

/// <https://github.com/curl/curl/issues/8523>
/// <https://github.com/curl/curl/issues/13289>
#[test]
fn d2_29_a_response_in_many_small_pieces_arrives_whole() {
    let (mut bench, server) = Bench::with_raw(21);
    let mut fetch = bench.get("/");
    bench.run_until("the request arrives", |_| server.look(|server| server.requests() == 1));
    server.tell(|server, _| server.connection().head(0, &[(":status", "200")]));
    for piece in 0..200_u8 {
        server.tell(|server, _| server.connection().data(0, &[piece]));
        bench.run_for(SECOND / 100);
    }
    server.tell(|server, _| server.connection().finish(0));
    bench.finish([&mut fetch]);
    assert_eq!((fetch.result(), fetch.body()), (Ok(()), &(0..200).collect::<Vec<u8>>()[..]));
}
