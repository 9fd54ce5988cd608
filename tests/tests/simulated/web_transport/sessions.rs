//! Firefox's own tests of WebTransport (`test_webtransport_simple.js`), on the simulated network.

use std::time::Duration;

use bytes::Bytes;
use tests::{
    loopback::pattern,
    simulated::{Bench, Connect, MS, OTHER, SECOND, SERVER},
};
use transaction::{
    NetError,
    web_transport::{CloseInfo, DatagramOutcome, to_http3},
};

const MIB: u64 = 1024 * 1024;

fn code(code: u32) -> u64 {
    to_http3(code).value()
}

#[test]
fn wt_connect_is_ready_and_says_what_was_asked() {
    let (mut bench, server) = Bench::with_web_transport(1);
    let session = bench.session(Connect::to("/success?x=1"));
    server.look(|server| {
        let seen = &server.web_transport.sessions[0];
        let field = |name: &str| {
            seen.headers.iter().find(|field| field.name() == name).map(neqo_http3::Header::value)
        };
        assert_eq!(seen.path, "/success?x=1");
        assert_eq!(field(":method"), Some("CONNECT"));
        assert_eq!(field(":protocol"), Some("webtransport"));
        assert_eq!(field(":scheme"), Some("https"));
        assert_eq!(field(":authority"), Some("necko.test:443"));
    });
    assert!(session.max_datagram_size() > 1000);
    drop(session);
    bench.run_until_empty();
}

#[test]
fn wt_redirect_is_an_error_that_says_where_to() {
    let (mut bench, _server) = Bench::with_web_transport(2);
    let pending = bench.connect(Connect::to("/redirect"));
    let error = bench.answer(pending).unwrap_err();
    let location = Some("/elsewhere".to_owned());
    assert_eq!(error, NetError::WebTransportRefused { status: 302, location });
    assert!(error.to_string().contains("/elsewhere"));
    assert!(bench.run_until_empty() < 20 * SECOND);
}

#[test]
fn wt_reject_is_an_error_with_the_status() {
    for (status, path) in [(404, "/reject/404"), (500, "/reject/500"), (421, "/reject/421")] {
        for connect in [Connect::to(path), Connect::to(path).pooled()] {
            let (mut bench, server) = Bench::with_web_transport(3);
            let pending = bench.connect(connect);
            let error = bench.answer(pending).unwrap_err();
            assert_eq!(error, NetError::WebTransportRefused { status, location: None });
            assert_eq!(server.look(|server| server.web_transport.sessions.len()), 1, "once");
        }
    }
}

/// In necko it hangs until the idle timeout.
#[test]
fn wt_a_server_without_it_is_told_of_at_once() {
    let (mut bench, _server) = Bench::with_server(4);
    let then = bench.elapsed();
    let pending = bench.connect(Connect::to("/"));
    assert_eq!(bench.answer(pending).unwrap_err(), NetError::WebTransportUnsupported);
    assert!(bench.since(then) < SECOND);
    assert!(bench.run_until_empty() < 20 * SECOND);
}

#[test]
fn wt_nobody_there_a_wrong_certificate_and_an_unknown_host_are_errors() {
    let (mut bench, _server) = Bench::with_web_transport(5);
    let pending = bench.connect(Connect::to("/").host("unknown.test"));
    assert!(matches!(bench.answer(pending), Err(NetError::UnknownHost { .. })));
    bench.bare_machine(OTHER);
    bench.name("refused.necko.test", [OTHER]);
    let pending = bench.connect(Connect::to("/").host("refused.necko.test"));
    assert!(matches!(bench.answer(pending), Err(NetError::ConnectionRefused { .. })));
    bench.name("other.example", [SERVER]);
    let pending = bench.connect(Connect::to("/").host("other.example"));
    assert!(matches!(bench.answer(pending), Err(NetError::Certificate { .. })));
}

#[test]
fn wt_closed_0ms_and_100ms() {
    for (path, least) in [("/closeafter/0", 0), ("/closeafter/100", 100)] {
        let (mut bench, _server) = Bench::with_web_transport(6);
        let session = bench.session(Connect::to(path));
        let then = bench.elapsed();
        let end = bench.wait("the session is over", || session.try_closed());
        assert_eq!(end, Ok(CloseInfo { code: 0, reason: String::new(), by_peer: true }));
        let took = bench.since(then);
        assert!(took >= least * MS && took < 100 * MS + least * MS, "{took:?}");
        drop(session);
        assert!(bench.run_until_empty() < 20 * SECOND);
    }
}

#[test]
fn w2_w3_closing_tells_code_and_words_both_ways() {
    let (mut bench, _server) = Bench::with_web_transport(7);
    let session = bench.session(Connect::to("/close/7/done"));
    let end = bench.wait("the session is over", || session.try_closed());
    assert_eq!(end, Ok(CloseInfo { code: 7, reason: "done".into(), by_peer: true }));
    drop(session);
    bench.run_until_empty();

    let (mut bench, server) = Bench::with_web_transport(7);
    let session = bench.session(Connect::to("/echo"));
    session.close(u32::MAX, "good bye");
    assert_eq!(session.try_closed().unwrap().unwrap().code, u32::MAX, "at once");
    bench.run_until("the server knows", |_| {
        server.look(|server| server.web_transport.sessions[0].closed.is_some())
    });
    let told = server.look(|server| server.web_transport.sessions[0].closed.clone().unwrap());
    assert!(told.contains("4294967295") && told.contains("good bye"), "{told}");
    drop(session);
    assert!(bench.run_until_empty() < 20 * SECOND);
}

/// The packet with the close is lost, and its connection does not go without it.
#[test]
fn a_close_that_is_lost_is_sent_again() {
    let (mut bench, server) = Bench::with_web_transport(8);
    let session = bench.session(Connect::to("/echo"));
    bench.run_for(SECOND);
    bench.cut(SERVER, true);
    session.close(9, "words");
    bench.run_for(5 * MS);
    bench.cut(SERVER, false);
    bench.run_for(SECOND);
    let told = server.look(|server| server.web_transport.sessions[0].closed.clone().unwrap());
    assert!(told.contains("words"), "{told}");
    drop(session);
    bench.run_until_empty();
}

#[test]
fn wt_datagrams_of_the_largest_size_and_one_byte_more() {
    let (mut bench, server) = Bench::with_web_transport(9);
    let session = bench.session(Connect::to("/echo"));
    let max = session.max_datagram_size();
    let content = Bytes::from((0..max).map(|n| n.to_le_bytes()[0]).collect::<Vec<_>>());
    let sent = session.track_datagram(content.clone()).unwrap();
    assert_eq!(bench.wait("it has left", || sent.get()), DatagramOutcome::Sent);
    assert_eq!(bench.wait("it comes back", || session.try_recv_datagram()), content);
    assert_eq!(server.look(|server| server.web_transport.sessions[0].datagrams.len()), 1);
    let refused = session.send_datagram(vec![0; max + 1]).unwrap_err();
    assert_eq!(refused, NetError::DatagramTooLarge { size: max + 1, max });
    let mut back = 0;
    for n in 0..1000_u32 {
        session.send_datagram(n.to_be_bytes().to_vec()).unwrap();
        if n % 20 == 0 {
            bench.run_for(MS);
            back += std::iter::from_fn(|| session.try_recv_datagram()).count();
        }
    }
    bench.run_until("all came back", |_| {
        back += std::iter::from_fn(|| session.try_recv_datagram()).count();
        back == 1000
    });
    drop(session);
    bench.run_until_empty();
}

#[test]
fn wt_stream_create_and_send_and_stats() {
    let (mut bench, server) = Bench::with_web_transport(10);
    let session = bench.session(Connect::to("/echo"));
    let mut stream = bench.open_bi(&session);
    let send = stream.send.as_mut().unwrap();
    send.try_send(&mut Bytes::from_static(b"hello")).unwrap();
    bench.run_for(SECOND);
    let mut asked = Box::pin(stream.send.as_ref().unwrap().stats());
    let stats = bench.wait("figures", || tests::simulated::now(asked.as_mut()));
    assert_eq!((stats.bytes_written, stats.bytes_sent, stats.bytes_acknowledged), (5, 5, 5));
    assert_eq!((stats.bytes_received, stats.bytes_read), (5, 5));
    drop(asked);
    stream.send_all("");
    bench.finish_streams([&mut stream]);
    assert_eq!((&stream.received[..], &stream.end), (&b"hello"[..], &Some(Ok(()))));
    let mut one_way = bench.open_uni(&session);
    one_way.send_all("one way");
    bench.finish_streams([&mut one_way]);
    let mut back = bench.accept_uni(&session);
    bench.finish_streams([&mut back]);
    assert_eq!(back.received, b"one way");
    assert_eq!(server.look(|server| server.web_transport.streams.len()), 3);
    let stats = session.stats();
    assert_eq!((stats.streams_opened, stats.streams_accepted), (2, 1));
    drop((stream, one_way, back, session));
    bench.run_until_empty();
}

#[test]
fn wt_incoming_unidirectional_and_bidirectional() {
    let (mut bench, _server) = Bench::with_web_transport(11);
    let session = bench.session(Connect::to("/uni/qwerty"));
    let mut stream = bench.accept_uni(&session);
    bench.finish_streams([&mut stream]);
    assert_eq!(stream.received, b"qwerty");
    drop((stream, session));
    bench.run_until_empty();
    let session = bench.session(Connect::to("/bi/asdfg"));
    let mut stream = bench.accept_bi(&session);
    stream.send_all("answer");
    bench.finish_streams([&mut stream]);
    assert_eq!(stream.received, b"asdfg");
    drop((stream, session));
    bench.run_until_empty();
}

#[test]
fn streams_with_nothing_on_them_are_streams() {
    let (mut bench, server) = Bench::with_web_transport(18);
    let session = bench.session(Connect::to("/empty"));
    let (mut one_way, mut both) = (bench.accept_uni(&session), bench.accept_bi(&session));
    both.send_all("answer");
    bench.finish_streams([&mut one_way, &mut both]);
    assert_eq!((one_way.end.clone(), one_way.received.len()), (Some(Ok(())), 0));
    assert_eq!((both.end.clone(), both.received.len()), (Some(Ok(())), 0));
    let mut opened = bench.open_uni(&session);
    opened.send_all("");
    bench.finish_streams([&mut opened]);
    bench.run_until("the server has seen all", |_| {
        server
            .look(|server| server.web_transport.streams.iter().filter(|seen| seen.fin).count() == 2)
    });
    assert!(session.try_closed().is_none());
    drop((one_way, both, opened, session));
    bench.run_until_empty();
}

#[test]
fn wt_outgoing_bidirectional_echoes_32_mib() {
    let (mut bench, _server) = Bench::with_web_transport(12);
    let session = bench.session(Connect::to("/echo"));
    let mut stream = bench.open_bi(&session);
    let content = pattern::body(32 * MIB);
    stream.send_all(content.clone());
    bench.finish_streams([&mut stream]);
    assert!(stream.received == content, "{} bytes came back", stream.received.len());
    drop((stream, session));
    bench.run_until_empty();
}

#[test]
fn wt_incoming_bidirectional_brings_32_mib() {
    let (mut bench, _server) = Bench::with_web_transport(13);
    let session = bench.session(Connect::to(&format!("/large/{}", 32 * MIB)));
    let mut stream = bench.accept_bi(&session);
    stream.send_all("");
    bench.finish_streams([&mut stream]);
    assert!(stream.received == pattern::body(32 * MIB), "{} bytes came", stream.received.len());
    drop((stream, session));
    bench.run_until_empty();
}

#[test]
fn w1_several_sessions_at_once_each_on_its_own_connection_beside_requests() {
    let (mut bench, server) = Bench::with_web_transport(14);
    let mut fetch = bench.get("/100000");
    let pending: Vec<_> = (0..5).map(|_| bench.connect(Connect::to("/echo"))).collect();
    let sessions: Vec<_> =
        pending.into_iter().map(|pending| bench.answer(pending).expect("a session")).collect();
    bench.finish([&mut fetch]);
    fetch.expect_pattern(100_000);
    assert_eq!(server.look(tests::simulated::Http3ServerPeer::connections), 6);
    // A second request goes to the first one's.
    bench.fetch("/1").expect_pattern(1);
    assert_eq!(server.look(tests::simulated::Http3ServerPeer::connections), 6);
    let mut streams: Vec<_> = sessions.iter().map(|session| bench.open_bi(session)).collect();
    for (n, stream) in streams.iter_mut().enumerate() {
        stream.send_all(vec![n.to_le_bytes()[0]; 50_000]);
    }
    bench.finish_streams(&mut streams);
    for (n, stream) in streams.iter().enumerate() {
        assert!(stream.received == vec![n.to_le_bytes()[0]; 50_000]);
    }
    drop((streams, sessions));
    bench.run_for(10 * SECOND);
    assert_eq!(bench.snapshot().connections(), 1, "that of the requests");
}

#[test]
fn w1_a_session_joins_no_connection_and_nobody_joins_its_own() {
    let (mut bench, server) = Bench::with_web_transport(21);
    let connections = tests::simulated::Http3ServerPeer::connections;
    // All go to one address, and one certificate would do for all.
    let own = bench.session(Connect::to("/echo"));
    let shared = bench.session(Connect::to("/echo").pooled());
    assert_eq!(server.look(connections), 2);
    bench.fetch("/1").expect_pattern(1);
    assert_eq!(server.look(connections), 3, "a request joins none of them");
    let another = bench.session(Connect::to("/echo"));
    assert_eq!(server.look(connections), 4, "nor does a session join that of the request");
    drop((own, shared, another));
    bench.run_for(10 * SECOND);
    assert_eq!(bench.snapshot().connections(), 2, "those of the request and of the pooled session");
}

#[test]
fn sessions_that_may_share_a_connection_do() {
    let (mut bench, server) = Bench::with_web_transport(15);
    let sessions: Vec<_> = (0..3).map(|_| bench.session(Connect::to("/echo").pooled())).collect();
    assert_eq!(server.look(tests::simulated::Http3ServerPeer::connections), 1);
    let mut streams: Vec<_> = sessions.iter().map(|session| bench.open_bi(session)).collect();
    // One of them ends, with its streams and without the others'.
    let mut sessions = sessions;
    sessions.remove(0).close(1, "");
    for stream in &mut streams {
        stream.send_all("hello");
    }
    let mut own = streams.remove(0);
    bench.finish_streams(&mut streams);
    assert!(streams.iter().all(|stream| stream.received == b"hello"));
    bench.run_until("its stream has ended", |_| {
        own.poll();
        own.end.is_some()
    });
    assert!(matches!(own.end, Some(Err(NetError::WebTransportClosed { code: 1, .. }))));
    for session in &sessions {
        session.send_datagram("x").unwrap();
        assert_eq!(&bench.wait("it comes back", || session.try_recv_datagram())[..], b"x");
    }
    // A fourth comes, and requests are kept off.
    let fourth = bench.session(Connect::to("/echo").pooled());
    assert_eq!(server.look(tests::simulated::Http3ServerPeer::connections), 1);
    bench.fetch("/1").expect_pattern(1);
    assert_eq!(server.look(tests::simulated::Http3ServerPeer::connections), 2);
    drop((own, streams, sessions, fourth));
}

#[test]
fn w6_w5_codes_are_mapped_both_ways_and_one_direction_ends_alone() {
    let (mut bench, server) = Bench::with_web_transport(16);
    let session = bench.session(Connect::to("/echo"));
    let mut stream = bench.open_bi(&session);
    stream.send.as_mut().unwrap().try_send(&mut Bytes::from_static(b"last words")).unwrap();
    stream.send.take().unwrap().reset(42);
    bench.run_until("the server knows", |_| {
        server.look(|server| server.web_transport.streams.iter().any(|seen| seen.reset.is_some()))
    });
    server.look(|server| {
        let seen = &server.web_transport.streams[0];
        assert_eq!((seen.reset, &seen.first[..]), (Some(code(42)), &b"last words"[..]));
    });
    bench.run_until("the other direction goes on", |_| {
        stream.poll();
        stream.received == b"last words"
    });
    assert_eq!(stream.end, None);
    server.tell(|server, _| server.web_transport.give_up(0, Some(code(255)), None));
    bench.run_until("its end has come", |_| {
        stream.poll();
        stream.end.is_some()
    });
    assert_eq!(stream.end, Some(Err(NetError::StreamReset { code: 255 })));

    let mut stream = bench.open_bi(&session);
    stream.send.as_mut().unwrap().try_send(&mut Bytes::from_static(b"x")).unwrap();
    stream.take_receive().unwrap().stop(7);
    bench.run_until("the server knows", |_| {
        server.look(|server| server.web_transport.streams.iter().any(|seen| seen.stopped.is_some()))
    });
    let stopped = server.look(|server| server.web_transport.streams.last().unwrap().stopped);
    assert_eq!(stopped, Some(code(7)));
    server.tell(|server, _| server.web_transport.give_up(1, None, Some(code(8))));
    let mut send = stream.send.take().unwrap();
    let why = bench.wait("nobody wants more", || tests::simulated::now(send.stopped()));
    assert_eq!(why, NetError::StreamStopped { code: 8 });
    // What is no application's code is 0.
    let mut stream = bench.open_bi(&session);
    stream.send.as_mut().unwrap().try_send(&mut Bytes::from_static(b"x")).unwrap();
    bench.run_for(SECOND);
    server.tell(|server, _| server.web_transport.give_up(2, Some(0x10c), None));
    bench.run_until("its end has come", |_| {
        stream.poll();
        stream.end.is_some()
    });
    assert_eq!(stream.end, Some(Err(NetError::StreamReset { code: 0 })));
    drop((send, stream, session));
    bench.run_until_empty();
}

#[test]
fn streams_wait_while_the_server_allows_no_more() {
    let (mut bench, server) = Bench::with_web_transport(17);
    let session = bench.session(Connect::to("/echo"));
    let bidirectional: Vec<_> = (0..250).map(|_| session.open_bi().unwrap()).collect();
    let unidirectional: Vec<_> = (0..250).map(|_| session.open_uni().unwrap()).collect();
    let (mut done, mut waiting) = (0, (bidirectional, unidirectional));
    bench.run_until("all were there", |_| {
        waiting.0.retain_mut(|pending| match tests::simulated::now(pending) {
            Some(stream) => {
                let (send, receive) = stream.expect("a stream");
                send.finish();
                receive.stop(0);
                done += 1;
                false
            }
            None => true,
        });
        waiting.1.retain_mut(|pending| match tests::simulated::now(pending) {
            Some(stream) => {
                stream.expect("a stream").finish();
                done += 1;
                false
            }
            None => true,
        });
        while session.try_accept_uni().is_some() {}
        done == 500
    });
    bench.run_until("the server has seen them", |_| {
        while session.try_accept_uni().is_some() {}
        server.look(|server| server.web_transport.streams.len() >= 500)
    });
    drop(session);
    bench.run_until_empty();
}

#[test]
fn w9_streams_that_overtake_the_answer_are_there_after_it() {
    // The network reorders: what the server sends with its answer may come first.
    for seed in 0..20 {
        let (mut bench, _server) = Bench::with_web_transport(seed);
        let link =
            socket_transport::simulated::LinkConfig::new().reorder(0.5, Duration::from_millis(30));
        bench.network().both(tests::simulated::CLIENT.into(), SERVER, link);
        let session = bench.session(Connect::to("/early/10"));
        let mut streams: Vec<_> = (0..10).map(|_| bench.accept_uni(&session)).collect();
        bench.finish_streams(&mut streams);
        let mut numbers: Vec<_> = streams
            .iter()
            .map(|stream| String::from_utf8_lossy(&stream.received).parse::<u32>().unwrap())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>(), "seed {seed}");
        drop((streams, session));
        bench.run_until_empty();
    }
}
