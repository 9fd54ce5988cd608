//! Servers that answer badly: each request gets a clear error, and nothing is left behind. What is wrong
//! with single frames and fields is in `framing.rs`.

use neqo_common::Encoder;
use tests::simulated::{Ask, Bench, Fetch, Peer, RawConnection, RawPeer, SECOND, header_block};
use transaction::{ErrorCode, NetError};

const MIB: usize = 1024 * 1024;

/// A server that answers to `/good`, and a request to it that waits for what the test does.
fn waiting(seed: u64) -> (Bench, Peer<RawPeer>, Fetch) {
    let (mut bench, server) = Bench::with_raw(seed);
    server.tell(|server, _| {
        server.on_request(|connection, request| {
            if connection.requests[request].path() == "/good" {
                connection.answer(request, b"good");
            }
        });
    });
    let fetch = bench.get("/");
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
    (bench, server, fetch)
}

/// The request is gone, and the connection serves the next one.
#[track_caller]
fn assert_only_that_one(bench: &mut Bench) {
    let good = bench.fetch("/good");
    assert_eq!((good.result(), good.body()), (Ok(()), &b"good"[..]));
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.transactions(), bench.transactions()), (0, 0));
    assert_eq!(snapshot.lifetime.connections, 1);
}

/// A `HEADERS` frame with one field of this length beside the status.
fn head_with(length: usize) -> Vec<u8> {
    let value = vec![b'v'; length];
    let mut frame = Encoder::default();
    frame.encode_varint(1_u64);
    frame.encode_vvec(&header_block([(&b":status"[..], &b"200"[..]), (b"x", &value)]));
    frame.into()
}

/// A `HEADERS` frame in which the block breaks off.
fn half_a_head(connection: &mut RawConnection) {
    connection.send(0, &head_with(100)[..50]);
}

fn whole_head(connection: &mut RawConnection) {
    connection.head(0, &[(":status", "200"), ("content-length", "10")]);
}

/// What comes before the reset, how much of the body that is, and whether the consumer has a head.
type Region = (&'static str, fn(&mut RawConnection), u64, bool);

const REGIONS: [Region; 7] = [
    ("before anything", |_| {}, 0, false),
    ("inside the type of a frame", |connection| connection.send(0, &[0x40]), 0, false),
    ("inside the head", half_a_head, 0, false),
    ("after the head", whole_head, 0, true),
    (
        "inside the head of a DATA frame",
        |connection| {
            whole_head(connection);
            connection.send(0, &[0]);
        },
        0,
        true,
    ),
    (
        "inside the body",
        |connection| {
            whole_head(connection);
            connection.send(0, &[0, 10, 1, 2, 3, 4]);
        },
        4,
        true,
    ),
    (
        "after the last byte, before the end",
        |connection| {
            whole_head(connection);
            connection.data(0, &[7; 10]);
        },
        10,
        true,
    ),
];

#[test]
fn r7_a_reset_at_each_region_is_an_interrupt_before_the_head_and_a_partial_transfer_after() {
    for (region, send, bytes, has_head) in REGIONS {
        let (mut bench, server, mut fetch) = waiting(1);
        server.tell(|server, _| send(server.connection()));
        bench.run_for(SECOND);
        fetch.poll();
        assert!(!fetch.is_done(), "{region}");
        server.tell(|server, _| server.connection().reset(0, 0x102));
        bench.finish([&mut fetch]);
        match fetch.error() {
            NetError::NetInterrupt { code } if !has_head => {
                assert_eq!(*code, ErrorCode::INTERNAL_ERROR, "{region}");
            }
            NetError::PartialTransfer { received, expected, reason } if has_head => {
                assert_eq!((*received, *expected), (bytes, Some(10)), "{region}");
                assert!(reason.contains("H3_INTERNAL_ERROR"), "{region}: {reason}");
            }
            other => panic!("{region}: {other:?}"),
        }
        assert_eq!((fetch.has_head(), fetch.received()), (has_head, bytes), "{region}");
        assert_only_that_one(&mut bench);
    }
}

#[test]
fn r7_a_rejection_before_the_head_sends_the_request_again_on_the_same_connection() {
    let (mut bench, server, mut fetch) = waiting(2);
    server.tell(|server, _| {
        server.on_request(|connection, request| connection.answer(request, b"good"));
        server.connection().reset(0, 0x10b);
    });
    bench.finish([&mut fetch]);
    assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"good"[..]));
    assert_eq!(server.look(RawPeer::requests), 2);
    assert_only_that_one(&mut bench);
}

/// The client of these tests speaks HTTP/3 alone, so that the code is told.
#[test]
fn r7_a_fallback_that_is_asked_for_is_told_with_its_code() {
    let (mut bench, server, mut fetch) = waiting(3);
    server.tell(|server, _| server.connection().reset(0, 0x110));
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &NetError::NetInterrupt { code: ErrorCode::VERSION_FALLBACK });
    assert_eq!(server.look(RawPeer::requests), 1);
    assert_only_that_one(&mut bench);
}

#[test]
fn a_content_length_that_lies_in_either_direction_is_an_error() {
    for (stated, sent) in [(10, 0_usize), (10, 9), (10, 11), (0, 1)] {
        let (mut bench, server, mut fetch) = waiting(4);
        server.tell(|server, _| {
            let connection = server.connection();
            let stated = stated.to_string();
            connection.head(0, &[(":status", "200"), ("content-length", &stated)]);
            if sent > 0 {
                connection.data(0, &vec![7; sent]);
            }
            connection.finish(0);
        });
        bench.finish([&mut fetch]);
        let what = format!("{sent} of {stated}");
        match fetch.error() {
            NetError::PartialTransfer { received, expected, .. } if sent < stated => {
                assert_eq!((*received, *expected), (sent as u64, Some(stated as u64)), "{what}");
                assert_eq!(fetch.received(), sent as u64, "what arrived can be read");
            }
            NetError::MalformedResponse(_) if sent > stated => {}
            other => panic!("{what}: {other:?}"),
        }
        assert_only_that_one(&mut bench);
    }
}

#[test]
fn a_head_above_the_limit_is_an_error_of_its_request_alone() {
    for length in [400_000, MIB] {
        let (mut bench, server, mut fetch) = waiting(5);
        server.tell(|server, _| server.connection().send(0, &head_with(length)));
        bench.finish([&mut fetch]);
        let NetError::MalformedResponse(what) = fetch.error() else {
            panic!("{length}: {:?}", fetch.error())
        };
        assert!(what.contains("larger than"), "{what}");
        bench.run_for(SECOND);
        let stopped = server.look(|server| server.connections[0].requests[0].stopped);
        assert_eq!(stopped, Some(ErrorCode::MESSAGE_ERROR.value()), "the server is told");
        assert_only_that_one(&mut bench);
    }
}

#[test]
fn r5_interim_heads_that_never_end_are_an_error_of_their_request_alone() {
    let (mut bench, server, mut fetch) = waiting(6);
    let mut heads = 0;
    while !fetch.poll() {
        server
            .tell(|server, _| server.connection().head(0, &[(":status", "103"), ("link", "<a>")]));
        bench.run_for(SECOND / 10);
        heads += 1;
        assert!(heads < 1000, "it goes on and on");
    }
    assert!(matches!(fetch.error(), NetError::MalformedResponse(_)), "{:?}", fetch.error());
    bench.run_for(SECOND);
    let stopped = server.look(|server| server.connections[0].requests[0].stopped);
    assert_eq!(stopped, Some(ErrorCode::MESSAGE_ERROR.value()));
    assert_only_that_one(&mut bench);
}

#[test]
fn a_server_that_never_answers_is_left_when_its_application_has_waited_enough() {
    let (mut bench, server, fetch) = waiting(7);
    let mut upload = bench.ask(Ask::post("/", "body"));
    bench.run_for(100 * SECOND);
    assert!(!upload.poll());
    drop((fetch, upload));
    bench.run_for(SECOND);
    server.look(|server| {
        let stopped: Vec<_> =
            server.connections[0].requests.iter().map(|one| one.stopped).collect();
        assert_eq!(stopped, [Some(0x10c), Some(0x10c)]);
    });
    assert_only_that_one(&mut bench);
}
