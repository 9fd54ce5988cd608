//! What can go wrong once a connection is made.

use tests::simulated::{Ask, Bench, CLIENT, Fetch, MS, Peer, RawPeer, SECOND, SERVER};
use transaction::{ErrorCode, Fault, NetError, TimeoutPhase};

const CANCELLED: ErrorCode = ErrorCode::REQUEST_CANCELLED;
const REJECTED: ErrorCode = ErrorCode::REQUEST_REJECTED;

/// A raw server with a request that is under way, or, with `begun`, half answered.
fn under_way(seed: u64, begun: bool) -> (Bench, Peer<RawPeer>, Fetch) {
    let (mut bench, server) = Bench::with_raw(seed);
    let mut fetch = bench.get("/");
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
    if begun {
        server.tell(|server, _| {
            server.connection().head(0, &[(":status", "200"), ("content-length", "100")]);
            server.connection().data(0, b"half an answer");
        });
        bench.run_until("half of it", |_| fetch.read_once().is_some());
    }
    (bench, server, fetch)
}

#[track_caller]
fn assert_partial(fetch: &Fetch, bytes: u64) {
    let NetError::PartialTransfer { received, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert_eq!((*received, fetch.body().len() as u64), (bytes, bytes));
}

#[test]
fn h24_a_server_that_vanishes_in_mid_transfer_leaves_a_partial_one() {
    let (mut bench, _server) = Bench::with_server(1);
    let mut fetch = bench.get("/drip/100/10/1000");
    bench.run_until("three pieces", |_| {
        fetch.read_once();
        fetch.body().len() == 30
    });
    let then = bench.elapsed();
    bench.cut(SERVER, true);
    bench.finish([&mut fetch]);
    assert_partial(&fetch, 30);
    // 15 s of silence, then PINGs, which begin the idle timeout anew (RFC 9000 §10.1).
    let waited = bench.since(then);
    assert!((44 * SECOND..48 * SECOND).contains(&waited), "{waited:?}");
    bench.run_for(MS);
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
}

#[test]
fn h24_a_server_that_vanishes_before_it_answers_is_a_timeout_and_nobody_is_asked_twice() {
    let (mut bench, server, mut fetch) = under_way(2, false);
    bench.cut(SERVER, true);
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Idle));
    bench.run_for(MS);
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
    assert_eq!(server.look(|server| server.connections.len()), 1);
}

#[test]
fn a_port_that_begins_to_refuse_does_not_end_a_connection_before_its_time() {
    // Anybody can send ICMP, so a made connection does not believe it.
    let (mut bench, server) = Bench::with_server(3);
    let mut fetch = bench.get("/drip/100/10/1000");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    bench.run_for(3 * SECOND);
    server.kill();
    // Something for the client to send, so that it is refused.
    let mut other = bench.get("/1");
    bench.run_for(5 * SECOND);
    assert!(bench.network().counts(CLIENT.into(), SERVER).refused > 0);
    assert!(!fetch.poll() && !other.poll());
    bench.finish([&mut fetch, &mut other]);
    assert_partial(&fetch, 40);
    assert_eq!(other.error(), &NetError::NetTimeout(TimeoutPhase::Idle));
}

#[test]
fn h25_an_orderly_close_before_the_answer_sends_a_safe_request_again() {
    let (mut bench, server, mut fetch) = under_way(4, false);
    server.tell(|server, _| {
        server.on_request(|connection, request| connection.answer(request, b"again"));
        server.connection().close(0x100);
    });
    bench.finish([&mut fetch]);
    assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"again"[..]));
    assert_eq!(server.look(|server| server.connections.len()), 2);
    assert_eq!(bench.snapshot().lifetime.connections, 2);
}

#[test]
fn t5_an_orderly_close_before_the_answer_does_not_send_a_post_again() {
    let (mut bench, server) = Bench::with_raw(5);
    let mut fetch = bench.ask(Ask::post("/", "once"));
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
    server.tell(|server, _| server.connection().close(0x100));
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::NetReset { .. }), "{:?}", fetch.error());
    assert_eq!(server.look(RawPeer::requests), 1);
}

#[test]
fn t4_an_orderly_close_in_mid_transfer_is_a_partial_one_and_nothing_is_sent_again() {
    let (mut bench, server, mut fetch) = under_way(6, true);
    server.tell(|server, _| server.connection().close(0x100));
    bench.finish([&mut fetch]);
    assert_partial(&fetch, 14);
    assert!(bench.elapsed() < SECOND, "at once: {:?}", bench.elapsed());
    assert_eq!(server.look(|server| server.connections.len()), 1);
}

/// <https://github.com/curl/curl/issues/13439>
#[test]
fn d2_8_a_close_with_an_error_ends_every_request_with_that_code_at_once() {
    let (mut bench, server, mut fetch) = under_way(7, false);
    let mut second = bench.get("/second");
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 2));
    server.tell(|server, _| server.connection().close(0x102));
    bench.finish([&mut fetch, &mut second]);
    for fetch in [&fetch, &second] {
        let NetError::Http3Protocol { code, by_peer, .. } = fetch.error() else {
            panic!("{:?}", fetch.error())
        };
        assert_eq!((*code, *by_peer), (ErrorCode::INTERNAL_ERROR, true));
    }
    assert!(bench.elapsed() < SECOND, "at once: {:?}", bench.elapsed());
    let waited = bench.run_until_empty();
    assert!(waited < 5 * SECOND, "{waited:?}");
}

#[test]
fn a_close_with_an_error_in_mid_transfer_is_a_partial_one_that_says_why() {
    let (mut bench, server, mut fetch) = under_way(8, true);
    server.tell(|server, _| server.connection().close(0x102));
    bench.finish([&mut fetch]);
    assert_partial(&fetch, 14);
    let text = fetch.error().to_string();
    assert!(text.contains("H3_INTERNAL_ERROR"), "{text}");
}

#[test]
fn a_close_that_arrives_together_with_data_is_told_as_what_it_is() {
    let (mut bench, server, mut fetch) = under_way(19, true);
    bench.run_for(SECOND);
    // Two datagrams at one time, the second one shorter: the client gets them in one piece.
    server.tell(|server, _| server.connection().data(0, &[7; 80]));
    server.tell(|server, _| server.connection().close(0x102));
    bench.finish([&mut fetch]);
    let text = fetch.error().to_string();
    assert!(text.contains("H3_INTERNAL_ERROR"), "{text}");
    assert!(bench.elapsed() < 3 * SECOND, "{:?}", bench.elapsed());
}

#[test]
fn a_new_request_after_a_close_by_the_server_dials_at_once() {
    let (mut bench, server, mut fetch) = under_way(9, false);
    server.tell(|server, _| server.connection().close(0x102));
    bench.finish([&mut fetch]);
    server.tell(|server, _| server.on_request(|connection, n| connection.answer(n, b"anew")));
    let then = bench.elapsed();
    let fetch = bench.fetch("/");
    assert_eq!(fetch.body(), b"anew");
    assert!(bench.since(then) < SECOND / 4, "it waited for the closing period");
}

#[test]
fn r7_a_cancelled_request_is_interrupted_with_its_code_and_siblings_complete() {
    let (mut bench, server) = Bench::with_server(10);
    let mut sibling = bench.get("/drip/50/10/100");
    let mut cancelled = bench.get("/RequestCancelled");
    bench.finish([&mut sibling, &mut cancelled]);
    assert_eq!(cancelled.error(), &NetError::NetInterrupt { code: CANCELLED });
    assert_eq!(cancelled.error().fault(), Fault::Peer);
    sibling.expect_pattern(50);
    assert_eq!(server.look(|server| server.count("/RequestCancelled")), 1);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

/// <https://github.com/cloudflare/quiche/issues/2277>
#[test]
fn d2_28_a_reset_in_mid_body_never_looks_like_an_end() {
    let (mut bench, server) = Bench::with_server(11);
    let mut fetch = bench.get("/reset_after/1000");
    let mut sibling = bench.get("/drip/50/10/100");
    bench.run_until("what there is", |_| {
        fetch.read_once();
        fetch.body().len() == 1000
    });
    server.tell(|server, _| server.reset("/reset_after/1000", 0x102));
    bench.finish([&mut fetch, &mut sibling]);
    assert_partial(&fetch, 1000);
    sibling.expect_pattern(50);
}

#[test]
fn t3_a_rejected_request_is_tried_six_times_in_all() {
    let (mut bench, server) = Bench::with_server(12);
    let fetch = bench.fetch("/RequestRejected");
    assert_eq!(fetch.error(), &NetError::NetInterrupt { code: REJECTED });
    assert_eq!(server.look(|server| server.count("/RequestRejected")), 6);
}

#[test]
fn a_post_that_was_rejected_is_sent_again_whole() {
    let (mut bench, server) = Bench::with_raw(13);
    server.tell(|server, _| {
        let mut attempts = 0;
        server.on_request(move |connection, request| {
            attempts += 1;
            if attempts == 1 {
                connection.reset(request, 0x10b);
                connection.stop_sending(request, 0x10b);
            } else {
                connection.answer(request, b"now");
            }
        });
    });
    let mut fetch = bench.ask(Ask::post("/", vec![b'x'; 50_000]));
    bench.finish([&mut fetch]);
    assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"now"[..]));
    bench.run_for(SECOND);
    let bodies: Vec<_> = server.look(|server| {
        let requests = server.connections.iter().flat_map(|connection| &connection.requests);
        requests.map(|request| (request.body, request.fin)).collect()
    });
    assert_eq!(bodies.last(), Some(&(50_000, true)), "{bodies:?}");
}

#[test]
fn a_rejection_after_the_head_is_a_partial_transfer() {
    let (mut bench, server, mut fetch) = under_way(14, true);
    server.tell(|server, _| server.connection().reset(0, 0x10b));
    bench.finish([&mut fetch]);
    assert_partial(&fetch, 14);
    assert_eq!(server.look(RawPeer::requests), 1);
}

/// <https://github.com/curl/curl/issues/9122>
#[test]
fn d2_34_an_upload_that_is_stopped_with_an_error_ends_with_it() {
    let (mut bench, server) = Bench::with_raw(15);
    server.tell(|server, _| {
        server.on_request(|connection, request| connection.stop_sending(request, 0x102));
    });
    let mut fetch = bench.ask(Ask::post("/", vec![b'x'; 5_000_000]));
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &NetError::NetInterrupt { code: ErrorCode::INTERNAL_ERROR });
    bench.run_for(SECOND);
    server.look(|server| {
        let request = &server.connections[0].requests[0];
        assert!(!request.fin && request.body < 5_000_000, "{request:?}");
    });
}

#[test]
fn send_errors_of_the_path_do_not_end_a_connection_that_is_made() {
    let (mut bench, _server) = Bench::with_server(16);
    bench.fetch("/1").expect_pattern(1);
    for kind in [std::io::ErrorKind::NetworkUnreachable, std::io::ErrorKind::HostUnreachable] {
        bench.network().fail_next_send(CLIENT.into(), kind);
        bench.fetch("/1000").expect_pattern(1000);
    }
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

/// <https://github.com/curl/curl/commit/283af039c8>
#[test]
fn d2_50_a_server_that_closes_at_once_is_asked_again_six_times_in_all() {
    let (mut bench, server) = Bench::with_raw(18);
    server.tell(|server, _| {
        // In good order, but always before it answers. (In the handshake, QUIC would not tell the code.)
        server.on_request(|connection, _| connection.close_after(SECOND / 4, 0x100));
    });
    let fetch = bench.fetch("/");
    assert!(matches!(fetch.error(), NetError::NetReset { .. }), "{:?}", fetch.error());
    assert_eq!(server.look(RawPeer::requests), 6);
}
