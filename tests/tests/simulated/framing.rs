//! What a server may put into its frames, and what it may not.

use tests::simulated::{Bench, Fetch, RawConnection, SECOND, SERVER, Setup, header_block};
use transaction::{ErrorCode, NetError};

/// A raw server's answer to one request: the given fields.
fn answered_with(seed: u64, fields: &'static [(&str, &str)]) -> (Bench, Fetch) {
    let (mut bench, server) = Bench::with_raw(seed);
    server.tell(|server, _| {
        server.on_request(|connection, request| {
            if connection.requests[request].path() == "/good" {
                connection.answer(request, b"good");
            } else {
                connection.head(request, fields);
                connection.finish(request);
            }
        });
    });
    let fetch = bench.fetch("/bad");
    (bench, fetch)
}

#[test]
fn heads_that_break_http_end_their_request_and_no_other() {
    const HEADS: [&[(&str, &str)]; 8] = [
        &[(":status", "200"), ("x", "a\r\nset-cookie: b")],
        &[(":status", "200"), ("x", "a\nb")],
        &[(":status", "200"), ("x", "a\0b")],
        &[(":status", "200"), ("x y", "a")],
        &[(":status", "200"), (":path", "/")],
        &[(":status", "abc")],
        &[(":status", "200"), ("content-length", "ten")],
        &[("server", "raw")],
    ];
    for fields in HEADS {
        let (mut bench, fetch) = answered_with(18, fields);
        let error = fetch.error();
        assert!(matches!(error, NetError::MalformedResponse(_)), "{fields:?}: {error:?}");
        let good = bench.fetch("/good");
        assert_eq!((good.result(), good.body()), (Ok(()), &b"good"[..]), "{fields:?}");
        assert_eq!(bench.snapshot().lifetime.connections, 1, "{fields:?}");
    }
}

#[test]
fn a_field_that_is_no_text_ends_the_connection_with_a_qpack_error() {
    let (mut bench, server) = Bench::with_raw(19);
    server.tell(|server, _| {
        server.on_request(|connection, request| {
            let fields = [(&b":status"[..], &b"200"[..]), (b"x", b"\xff\xfe")];
            let block = header_block(fields);
            let length = u8::try_from(block.len()).unwrap();
            connection.send(request, &[&[1, length][..], &block].concat());
        });
    });
    let fetch = bench.fetch("/");
    let NetError::Http3Protocol { code, by_peer, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert_eq!((*code, *by_peer), (ErrorCode::new(0x200), false));
}

#[test]
fn unknown_frames_are_passed_over() {
    let (mut bench, server) = Bench::with_raw(22);
    server.tell(|server, _| {
        server.on_request(|connection, request| {
            let unknown = [0x21, 3, 1, 2, 3];
            connection.send(request, &unknown);
            connection.head(request, &[(":status", "200")]);
            connection.send(request, &unknown);
            connection.data(request, b"known");
            connection.send(request, &unknown);
            connection.finish(request);
        });
    });
    let fetch = bench.fetch("/");
    assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"known"[..]));
}

/// What the server sends instead of an answer, and the code with which the client closes for it.
type Breach = (&'static str, u64, fn(&mut RawConnection, usize));

#[test]
fn a_server_that_breaks_http3_is_told_so_and_requests_get_that_code() {
    let breaches: [Breach; 9] = [
        ("DATA before HEADERS", 0x105, |connection, n| connection.data(n, b"early")),
        ("SETTINGS on a request", 0x105, |connection, n| connection.send(n, &[4, 0])),
        ("a frame type of HTTP/2", 0x105, |connection, n| connection.send(n, &[6, 0])),
        ("a second SETTINGS", 0x105, |connection, _| connection.control(&[4, 0])),
        ("DATA on the control stream", 0x105, |connection, _| connection.control(&[0, 1, 7])),
        ("a second control stream", 0x103, |connection, _| {
            connection.open_unidirectional(&[0, 4, 0]);
        }),
        ("a push that has no credit", 0x108, |connection, _| {
            connection.open_unidirectional(&[1, 0]);
        }),
        // RFC 9114 §5.2 has H3_ID_ERROR for it.
        ("a GOAWAY with a larger number", 0x101, |connection, _| {
            connection.goaway(4);
            connection.goaway(8);
        }),
        ("an end inside a frame", 0x106, |connection, n| {
            connection.head(n, &[(":status", "200")]);
            connection.send(n, &[0, 10, 1, 2, 3]);
            connection.finish(n);
        }),
    ];
    for (what, expected, breach) in breaches {
        let (mut bench, server) = Bench::with_raw(17);
        let mut fetch = bench.get("/");
        bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
        server.tell(|server, _| breach(server.connection(), 0));
        bench.finish([&mut fetch]);
        let text = fetch.error().to_string();
        let code = ErrorCode::new(expected);
        assert!(text.contains(&code.to_string()), "{what}: {text}");
        bench.run_for(SECOND / 10);
        let closed = server.look(|server| server.connections[0].closed().cloned());
        let told = neqo_transport::Error::PeerApplicationError(expected);
        assert_eq!(closed, Some(neqo_transport::CloseReason::Transport(told)), "{what}");
    }
}

/// What comes before the end, and what body was there if that is a place for an end.
type Ending = (&'static str, &'static [u8], Option<&'static [u8]>);

/// An end alone, behind a whole frame, is the end of the response; inside a frame it is an error of the
/// connection.
///
/// <https://github.com/benoitc/erlang_quic/pull/244>
#[test]
fn d2_27_an_end_at_a_frame_boundary_is_one_and_inside_a_frame_it_is_an_error() {
    let endings: [Ending; 9] = [
        ("after the head", &[], Some(b"")),
        ("after an empty frame", &[0, 0], Some(b"")),
        ("after a frame", &[0, 3, b'a', b'b', b'c'], Some(b"abc")),
        ("after an unknown frame", &[0, 1, b'a', 0x21, 1, 9], Some(b"a")),
        ("inside a type", &[0x40], None),
        ("after a type", &[0], None),
        ("inside a length", &[0, 0x40], None),
        ("after a length", &[0, 3], None),
        ("inside a payload", &[0, 3, b'a'], None),
    ];
    for (place, bytes, body) in endings {
        let (mut bench, server) = Bench::with_raw(23);
        let mut fetch = bench.get("/");
        bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
        server.tell(|server, _| {
            server.connection().head(0, &[(":status", "200")]);
            server.connection().send(0, bytes);
        });
        bench.run_for(SECOND);
        fetch.poll();
        assert!(!fetch.is_done(), "{place}");
        // The end comes in a packet of its own.
        server.tell(|server, _| server.connection().finish(0));
        bench.finish([&mut fetch]);
        if let Some(body) = body {
            assert_eq!((fetch.result(), fetch.body()), (Ok(()), body), "{place}");
        } else {
            let text = fetch.error().to_string();
            assert!(text.contains("H3_FRAME_ERROR (0x106)"), "{place}: {text}");
            bench.run_for(SECOND / 10);
            let closed = server.look(|server| server.connections[0].closed().cloned());
            let told = neqo_transport::Error::PeerApplicationError(0x106);
            assert_eq!(closed, Some(neqo_transport::CloseReason::Transport(told)), "{place}");
        }
    }
}

/// neqo collects a head of any length; the session closes when nothing comes of what arrives.
#[test]
fn a_head_without_end_is_cut_off_before_it_fills_the_memory() {
    let mut bench = Setup::new(23).settings(|settings| settings.max_data = 1024 * 1024).build();
    let server = bench.raw_server(SERVER, |parameters| parameters);
    let mut fetch = bench.get("/");
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
    server.tell(|server, _| {
        // HEADERS of 64 MiB, of which ever more comes.
        let length = [0x84, 0, 0, 0];
        server.connection().send(0, &[&[1][..], &length].concat());
        server.connection().send(0, &vec![0; 8 * 1024 * 1024]);
    });
    bench.finish([&mut fetch]);
    let NetError::Http3Protocol { code, by_peer: false, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert_eq!(*code, ErrorCode::EXCESSIVE_LOAD);
    let received = bench.snapshot().service.traffic.bytes_received;
    assert!(received < 3 * 1024 * 1024, "{received} bytes were taken");
    bench.run_for(SECOND / 10);
    let closed = server.look(|server| server.connections[0].closed().cloned());
    let told = neqo_transport::Error::PeerApplicationError(code.value());
    assert_eq!(closed, Some(neqo_transport::CloseReason::Transport(told)));
}

#[test]
fn a_head_of_a_hundred_kilobytes_is_taken() {
    let (mut bench, server) = Bench::with_raw(24);
    server.tell(|server, _| {
        server.on_request(|connection, request| {
            let value = "v".repeat(1000);
            let mut fields = vec![(":status", "200")];
            fields.extend(std::iter::repeat_n(("x-long", value.as_str()), 100));
            connection.head(request, &fields);
            connection.finish(request);
        });
    });
    let fetch = bench.fetch("/");
    assert_eq!((fetch.result(), fetch.head().headers.len()), (Ok(()), 100));
}
