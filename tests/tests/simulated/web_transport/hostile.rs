//! What a server may send of WebTransport that no server should.

use neqo_common::Encoder;
use tests::simulated::{Bench, Connect, Peer, RawConnection, RawPeer, SECOND, SERVER, Setup};
use transaction::{
    ErrorCode, NetError,
    web_transport::{CloseInfo, WebTransportSession},
};

const CLOSE: u64 = 0x2843;
const UNIDIRECTIONAL: u64 = 0x54;
const BIDIRECTIONAL: u64 = 0x41;

/// A server that takes sessions, and a client that asks for one.
fn asked(
    seed: u64,
    connect: Connect,
) -> (Bench, Peer<RawPeer>, transaction::web_transport::PendingSession) {
    let mut bench = Setup::new(seed).build();
    let server = bench.raw_server(SERVER, |parameters| {
        parameters.datagram_size(65_535).outgoing_datagram_queue(10_000)
    });
    server.tell(|server, _| server.web_transport = true);
    let pending = bench.connect(connect);
    bench.run_until("the request has arrived", |_| server.look(|server| server.requests() > 0));
    (bench, server, pending)
}

/// A session that is there, on a connection of its own.
fn session(seed: u64) -> (Bench, Peer<RawPeer>, WebTransportSession) {
    let (mut bench, server, pending) = asked(seed, Connect::to("/"));
    server.tell(|server, _| server.connection().accept(0));
    let session = bench.answer(pending).expect("a session");
    (bench, server, session)
}

/// The beginning of a stream: what it is, and whose.
fn preface(kind: u64, session: u64) -> Vec<u8> {
    let mut preface = Encoder::default();
    preface.encode_varint(kind);
    preface.encode_varint(session);
    preface.into()
}

fn tell(server: &Peer<RawPeer>, tell: impl FnOnce(&mut RawConnection)) {
    server.tell(|server, _| tell(server.connection()));
}

#[track_caller]
fn assert_nothing_left(bench: &mut Bench, session: WebTransportSession) {
    drop(session);
    bench.run_until_empty();
    assert_eq!((bench.web_transport(), bench.transactions(), bench.engines()), (0, 0, 0));
}

#[test]
fn streams_of_an_unknown_type_are_refused_and_the_session_lives() {
    let (mut bench, server, session) = session(1);
    tell(&server, |connection| {
        for kind in [0x3f, 0x55, 0x1f * 7 + 0x21] {
            connection.open_unidirectional(&preface(kind, 0));
        }
        connection.open_unidirectional(&[&preface(UNIDIRECTIONAL, 0)[..], b"good"].concat());
    });
    let mut good = bench.accept_uni(&session);
    bench.run_until("it is read", |_| {
        good.poll();
        good.received == b"good"
    });
    assert!(session.try_accept_uni().is_none() && session.try_closed().is_none());
    drop(good);
    assert_nothing_left(&mut bench, session);
}

/// Only WebTransport lets a server open such a stream.
#[test]
fn a_bidirectional_stream_of_another_type_is_a_fault_of_the_connection() {
    let (mut bench, server, session) = session(2);
    tell(&server, |connection| connection.open_bidirectional(&preface(0x1, 0)));
    let end = bench.wait("the session is over", || session.try_closed());
    let Err(NetError::Http3Protocol { by_peer: false, .. }) = &end else { panic!("{end:?}") };
    assert_nothing_left(&mut bench, session);
}

#[test]
fn streams_of_a_session_that_is_not_there_are_refused() {
    let (mut bench, server, session) = session(3);
    tell(&server, |connection| {
        for other in [4, 400, (1 << 62) - 4] {
            connection.open_unidirectional(&[&preface(UNIDIRECTIONAL, other)[..], b"bad"].concat());
            connection.open_bidirectional(&[&preface(BIDIRECTIONAL, other)[..], b"bad"].concat());
        }
        connection.open_unidirectional(&[&preface(UNIDIRECTIONAL, 0)[..], b"good"].concat());
    });
    let mut good = bench.accept_uni(&session);
    bench.run_for(SECOND);
    good.poll();
    assert_eq!(good.received, b"good");
    assert!(session.try_accept_uni().is_none() && session.try_accept_bi().is_none());
    assert_eq!(session.stats().streams_accepted, 1);
    drop(good);
    assert_nothing_left(&mut bench, session);
}

/// Where the number is none of a request's stream.
#[test]
fn a_session_number_that_can_be_none_harms_nobody() {
    for other in [1, 2, 3, 7] {
        let (mut bench, server, session) = session(4);
        tell(&server, |connection| {
            connection.open_unidirectional(&preface(UNIDIRECTIONAL, other));
            connection.open_bidirectional(&preface(BIDIRECTIONAL, other));
        });
        bench.run_for(SECOND);
        assert!(session.try_accept_uni().is_none() && session.try_accept_bi().is_none());
        assert_nothing_left(&mut bench, session);
    }
}

#[test]
fn streams_before_the_answer_are_kept_up_to_a_limit_and_the_rest_refused() {
    let (mut bench, server, pending) = asked(5, Connect::to("/"));
    tell(&server, |connection| {
        for n in 0..40_u8 {
            let content = [&preface(UNIDIRECTIONAL, 0)[..], &[n]].concat();
            let stream = connection.open_unidirectional(&content);
            connection.end(stream);
        }
    });
    bench.run_for(SECOND);
    let snapshot = bench.snapshot();
    let kept = snapshot.entries[0].connections[0].session.as_ref().expect("a session");
    // What has been read is with the application's ends of them, and what came later was refused.
    assert!(kept.web_transport_streams <= 16, "{kept:?}");
    tell(&server, |connection| connection.accept(0));
    let session = bench.answer(pending).expect("a session");
    let mut numbers = Vec::new();
    while let Some(stream) = session.try_accept_uni() {
        let mut stream = tests::simulated::Stream::new(None, Some(stream));
        bench.finish_streams([&mut stream]);
        numbers.extend(stream.received);
    }
    assert_eq!(numbers, (0..16).collect::<Vec<u8>>());
    assert_nothing_left(&mut bench, session);
}

#[test]
fn datagrams_before_the_answer_or_of_no_session_are_dropped() {
    let (mut bench, server, pending) = asked(6, Connect::to("/"));
    tell(&server, |connection| connection.datagram(b"\0early"));
    bench.run_for(SECOND);
    tell(&server, |connection| connection.accept(0));
    let session = bench.answer(pending).expect("a session");
    tell(&server, |connection| {
        connection.datagram(b"");
        connection.datagram(b"\x05other");
        connection.datagram(b"\xff\xff\xff\xff\xff\xff\xff\xffother");
        connection.datagram(b"\0");
        connection.datagram(b"\0good");
    });
    assert_eq!(bench.wait("a datagram", || session.try_recv_datagram()).len(), 0);
    assert_eq!(bench.wait("a datagram", || session.try_recv_datagram()), &b"good"[..]);
    assert!(session.try_recv_datagram().is_none());
    assert_nothing_left(&mut bench, session);
}

#[test]
fn a_flood_of_datagrams_displaces_itself() {
    let (mut bench, server, session) = session(7);
    for round in 0..50_u8 {
        tell(&server, |connection| {
            for n in 0..100_u8 {
                connection.datagram(&[&[0, round, n][..], &[7; 1000]].concat());
            }
        });
        bench.run_for(SECOND / 10);
    }
    let stats = session.stats();
    assert!(stats.datagrams_received > 4000, "{stats:?}");
    let kept = std::iter::from_fn(|| session.try_recv_datagram()).count();
    assert_eq!(kept as u64, 128);
    assert_eq!(stats.datagrams_displaced, stats.datagrams_received - 128);
    assert!(session.try_closed().is_none(), "{:?}", session.try_closed());
    assert_nothing_left(&mut bench, session);
}

#[test]
fn a_close_with_as_many_words_as_are_allowed_is_told_in_full() {
    let (mut bench, server, session) = session(8);
    let words = "x".repeat(1024);
    let content = [&7_u32.to_be_bytes()[..], words.as_bytes()].concat();
    tell(&server, |connection| connection.capsule(0, CLOSE, &content));
    let end = bench.wait("the session is over", || session.try_closed());
    assert_eq!(end, Ok(CloseInfo { code: 7, reason: words, by_peer: true }));
    assert_nothing_left(&mut bench, session);
}

#[test]
fn a_close_that_is_none_breaks_the_session_off() {
    let too_long = [&7_u32.to_be_bytes()[..], &[b'x'; 1025]].concat();
    let no_text = [&7_u32.to_be_bytes()[..], b"\xff\xfe"].concat();
    for content in [&too_long[..], &no_text, b"abc", b""] {
        let (mut bench, server, session) = session(9);
        let mut opened = bench.open_bi(&session);
        tell(&server, |connection| connection.capsule(0, CLOSE, content));
        let end = bench.wait("the session is over", || session.try_closed());
        let Err(error) = &end else { panic!("{end:?}") };
        assert!(matches!(error, NetError::NetInterrupt { .. }), "{error:?}");
        assert!(opened.poll() && matches!(opened.end, Some(Err(_))), "{:?}", opened.end);
        drop(opened);
        assert_nothing_left(&mut bench, session);
    }
}

#[test]
fn a_close_without_end_is_cut_off() {
    static KIB_64: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    let (mut bench, server, session) = session(10);
    let mut head = Encoder::default();
    head.encode_varint(CLOSE);
    head.encode_varint(100_000_000_u64);
    tell(&server, |connection| connection.data(0, head.as_ref()));
    let mut bytes = 0;
    while session.try_closed().is_none() && bytes < 100_000_000 {
        tell(&server, |connection| connection.data(0, &KIB_64));
        bytes += KIB_64.len();
        bench.run_for(SECOND / 50);
    }
    let Some(Err(NetError::Http3Protocol { code, .. })) = session.try_closed() else {
        panic!("{bytes}: {:?}", session.try_closed());
    };
    assert_eq!(code, ErrorCode::EXCESSIVE_LOAD);
    assert!(bytes < 4 * 1024 * 1024, "{bytes} bytes were taken");
    assert_nothing_left(&mut bench, session);
}

#[test]
fn capsules_that_nobody_knows_are_passed_over() {
    let (mut bench, server, session) = session(11);
    tell(&server, |connection| {
        connection.capsule(0, 0x78ae, b"");
        connection.capsule(0, 0x190b_4d3f, b"whatever");
        connection.capsule(0, CLOSE, &[0, 0, 0, 1, b'!']);
    });
    let end = bench.wait("the session is over", || session.try_closed());
    assert_eq!(end, Ok(CloseInfo { code: 1, reason: "!".into(), by_peer: true }));
    assert_nothing_left(&mut bench, session);
}

#[test]
fn the_request_s_stream_ends_without_a_word() {
    let (mut bench, server, session) = session(12);
    tell(&server, |connection| connection.finish(0));
    let end = bench.wait("the session is over", || session.try_closed());
    assert_eq!(end, Ok(CloseInfo { code: 0, reason: String::new(), by_peer: true }));
    assert_nothing_left(&mut bench, session);

    let (mut bench, server, session) = self::session(12);
    tell(&server, |connection| connection.reset(0, 0x10c));
    let end = bench.wait("the session is over", || session.try_closed());
    assert_eq!(end, Err(NetError::NetInterrupt { code: ErrorCode::REQUEST_CANCELLED }));
    assert_nothing_left(&mut bench, session);
}

#[test]
fn w2_a_session_that_was_refused_or_reset_before_it_was_there_is_an_error_at_once() {
    let (mut bench, server, pending) = asked(13, Connect::to("/"));
    tell(&server, |connection| connection.reset(0, ErrorCode::REQUEST_REJECTED.value()));
    let error = bench.answer(pending).unwrap_err();
    assert_eq!(error, NetError::NetInterrupt { code: ErrorCode::REQUEST_REJECTED }, "not again");
    assert!(bench.run_until_empty() < 20 * SECOND);

    let (mut bench, server, pending) = asked(13, Connect::to("/"));
    tell(&server, |connection| {
        connection.head(0, &[(":status", "200")]);
        connection.finish(0);
    });
    let session = bench.answer(pending).expect("it was one for a moment");
    assert_eq!(bench.wait("its end", || session.try_closed()).unwrap().code, 0);
    assert_nothing_left(&mut bench, session);

    let (mut bench, server, pending) = asked(13, Connect::to("/"));
    tell(&server, |connection| connection.close(ErrorCode::VERSION_FALLBACK.value()));
    let error = bench.answer(pending).unwrap_err();
    assert!(error.is_version_fallback(), "no session over HTTP/1.1: {error:?}");
    assert!(bench.run_until_empty() < 20 * SECOND);
}

/// The window of a stream that nobody reads is all that it can fill, and those of all streams together no more than
/// the connection's.
#[test]
fn streams_that_nobody_takes_hold_the_server_back() {
    let (mut bench, server, session) = session(14);
    let content = [&preface(UNIDIRECTIONAL, 0)[..], &vec![7; 2_000_000]].concat();
    tell(&server, |connection| {
        for _ in 0..200 {
            if connection.try_open_unidirectional(&content).is_none() {
                break;
            }
        }
    });
    bench.run_for(20 * SECOND);
    let taken = bench.snapshot();
    let taken = taken.entries[0].connections[0].session.as_ref().expect("a session");
    assert_eq!(taken.web_transport_streams, 102, "as many as it may open, and the control stream");
    assert!(taken.buffered < 102 * 96 * 1024 + 1000, "{}", taken.buffered);
    assert!(session.try_closed().is_none(), "{:?}", session.try_closed());
    assert_nothing_left(&mut bench, session);
}
