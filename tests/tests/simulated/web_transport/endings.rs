//! Sessions end in every way that there is, and nothing of them is left.

use std::sync::Arc;

use bytes::Bytes;
use http3_session::{CertificateVerifier, VerificationError, VerificationRequest};
use neqo_transport::StreamType;
use tests::{
    loopback::pattern,
    simulated::{Ask, Bench, Connect, MINUTE, MS, SECOND, SERVER, SERVER_V6, Setup, Stream, Trust},
};
use transaction::{
    CertificateProblem, ErrorCode, NetError, TimeLimits, TimeoutPhase,
    web_transport::WebTransportSession,
};

/// A session in full swing: streams of all kinds in both directions, and datagrams.
fn busy(bench: &mut Bench, connect: Connect) -> (WebTransportSession, Vec<Stream>) {
    let session = bench.session(connect);
    let mut streams =
        vec![bench.open_bi(&session), bench.open_bi(&session), bench.open_uni(&session)];
    for stream in &mut streams {
        stream.send_all(pattern::body(3_000_000));
    }
    // One that nobody reads.
    streams[1].paused = true;
    let _waits = session.open_bi().expect("an open session");
    for n in 0..50_u8 {
        session.send_datagram(vec![n; 500]).expect("an open session");
    }
    bench.run_for(20 * MS);
    for stream in &mut streams {
        stream.poll();
    }
    (session, streams)
}

/// Every stream has ended with the session, and what is left is what the test holds.
#[track_caller]
fn assert_over(bench: &mut Bench, session: WebTransportSession, mut streams: Vec<Stream>) {
    assert!(session.try_closed().is_some());
    for stream in &mut streams {
        stream.paused = false;
        stream.poll();
        if let Some(send) = &mut stream.send {
            assert!(send.try_send(&mut Bytes::from_static(b"x")).is_err());
        }
        assert!(stream.end.is_some());
    }
    drop((session, streams));
    bench.run_until_empty();
    assert_eq!((bench.web_transport(), bench.transactions(), bench.engines()), (0, 0, 0));
}

#[test]
fn w8_the_application_closes_in_full_swing() {
    let (mut bench, server) = Bench::with_web_transport(1);
    let (session, streams) = busy(&mut bench, Connect::to("/echo"));
    session.close(3, "enough");
    bench.run_for(SECOND);
    let told = server.look(|server| server.web_transport.sessions[0].closed.clone().unwrap());
    assert!(told.contains("enough"), "{told}");
    assert_over(&mut bench, session, streams);
}

#[test]
fn w8_the_application_drops_all_handles_in_full_swing() {
    let (mut bench, server) = Bench::with_web_transport(2);
    let (session, streams) = busy(&mut bench, Connect::to("/echo"));
    drop((session, streams));
    bench.run_until_empty();
    assert!(server.look(|server| server.web_transport.sessions[0].closed.is_some()));
    assert_eq!((bench.web_transport(), bench.transactions()), (0, 0));
}

#[test]
fn w2_w8_the_server_closes_in_full_swing() {
    for connect in [Connect::to("/echo"), Connect::to("/echo").pooled()] {
        let (mut bench, server) = Bench::with_web_transport(3);
        let (session, streams) = busy(&mut bench, connect);
        server.tell(|server, _| server.web_transport.close(0, 5, "no more"));
        let end = bench.wait("the session is over", || session.try_closed()).unwrap();
        assert_eq!((end.code, &end.reason[..]), (5, "no more"));
        bench.close_persistent_connections();
        assert_over(&mut bench, session, streams);
    }
}

#[test]
fn w2_w8_the_server_closes_the_connection_in_full_swing() {
    let (mut bench, server) = Bench::with_web_transport(4);
    let (session, streams) = busy(&mut bench, Connect::to("/echo"));
    server.tell(|server, now| server.close(0x102, now));
    let end = bench.wait("the session is over", || session.try_closed());
    let code = ErrorCode::INTERNAL_ERROR;
    assert!(
        matches!(end, Err(NetError::Http3Protocol { code: found, by_peer: true, .. }) if found == code),
        "{end:?}"
    );
    assert_over(&mut bench, session, streams);
}

/// Nothing is heard of the server any more.
#[test]
fn w2_w8_the_server_dies_in_full_swing() {
    let (mut bench, _server) = Bench::with_web_transport(5);
    let (session, streams) = busy(&mut bench, Connect::to("/echo"));
    bench.cut(SERVER, true);
    let then = bench.elapsed();
    let end = bench.wait("the session is over", || session.try_closed());
    assert_eq!(end, Err(NetError::NetTimeout(TimeoutPhase::Idle)));
    assert!(bench.since(then) < MINUTE);
    assert_over(&mut bench, session, streams);
}

#[test]
fn w2_w8_the_handler_shuts_down_in_full_swing() {
    let (mut bench, server) = Bench::with_web_transport(6);
    let (session, streams) = busy(&mut bench, Connect::to("/echo"));
    bench.shutdown();
    assert_eq!(session.try_closed(), Some(Err(NetError::ShuttingDown)));
    for mut stream in streams {
        stream.paused = false;
        stream.poll();
        assert!(stream.end.is_some());
    }
    drop(session);
    bench.run_for(SECOND);
    assert!(server.look(|server| server.web_transport.sessions[0].closed.is_some()));
}

#[test]
fn w2_w8_all_connections_are_aborted_and_the_handler_goes_on() {
    let (mut bench, _server) = Bench::with_web_transport(7);
    let (session, streams) = busy(&mut bench, Connect::to("/echo"));
    bench.submit(connection_mgr::Event::AbortAllConnections);
    let end = bench.wait("the session is over", || session.try_closed());
    assert_eq!(end, Err(NetError::Aborted));
    assert_over(&mut bench, session, streams);
    let session = bench.session(Connect::to("/echo"));
    drop(session);
}

#[test]
fn a_session_that_is_given_up_before_it_is_answered_leaves_nothing() {
    // While the name is looked up, while it connects, while the server thinks.
    for wait in [0, 1, 5, 20, 60, 200] {
        for path in ["/hold", "/echo"] {
            for connect in [Connect::to(path), Connect::to(path).pooled()] {
                let (mut bench, _server) = Bench::with_web_transport(8);
                let pending = bench.connect(connect);
                bench.run_for(wait * MS);
                drop(pending);
                bench.close_persistent_connections();
                assert!(bench.run_until_empty() < 20 * SECOND, "{wait} {path}");
            }
        }
    }
}

#[test]
fn a_canceller_gives_a_session_up_that_is_not_there_yet() {
    let (mut bench, _server) = Bench::with_web_transport(9);
    let pending = bench.connect(Connect::to("/hold"));
    let canceller = pending.canceller();
    bench.run_for(SECOND);
    canceller.cancel();
    assert_eq!(bench.answer(pending).unwrap_err(), NetError::Aborted);
    bench.run_until_empty();
}

#[test]
fn a_server_that_does_not_answer_runs_out_of_time() {
    let limits = TimeLimits { first_byte: Some(5 * SECOND), ..TimeLimits::default() };
    let (mut bench, _server) = Bench::with_web_transport(10);
    let pending = bench.connect(Connect::to("/hold").limits(limits));
    let error = bench.answer(pending).unwrap_err();
    assert_eq!(error, NetError::NetTimeout(TimeoutPhase::FirstByte));
    assert!((5 * SECOND..6 * SECOND).contains(&bench.elapsed()), "{:?}", bench.elapsed());
    bench.run_until_empty();
}

/// It completes the handshake, and never sends its SETTINGS.
#[test]
fn h28_a_server_that_does_not_say_whether_it_takes_sessions_runs_out_of_time() {
    let limits = TimeLimits { first_byte: Some(5 * SECOND), ..TimeLimits::default() };
    let mut bench = Setup::new(11).build();
    let server = bench.raw_server(SERVER, |parameters| parameters);
    server.tell(|server, _| server.speechless = true);
    let pending = bench.connect(Connect::to("/").limits(limits));
    let error = bench.answer(pending).unwrap_err();
    assert_eq!(error, NetError::NetTimeout(TimeoutPhase::FirstByte));
    assert!(bench.elapsed() < 7 * SECOND, "{:?}", bench.elapsed());
    bench.run_until_empty();
}

#[test]
fn an_idle_session_is_kept_alive() {
    let (mut bench, _server) = Bench::with_web_transport(12);
    let session = bench.session(Connect::to("/echo"));
    bench.run_for(10 * MINUTE);
    assert!(session.try_closed().is_none(), "{:?}", session.try_closed());
    session.send_datagram("still").unwrap();
    assert_eq!(&bench.wait("it comes back", || session.try_recv_datagram())[..], b"still");
    drop(session);
    bench.run_until_empty();
}

#[test]
fn goaway_drains_a_session_and_it_goes_on() {
    let mut bench = Setup::new(13).build();
    let server = bench.raw_server(SERVER, |parameters| parameters.datagram_size(65_535));
    server.tell(|server, _| {
        server.web_transport = true;
        server.on_request(tests::simulated::RawConnection::accept);
    });
    let session = bench.session(Connect::to("/").pooled());
    server.tell(|server, _| server.connection().goaway_now());
    bench.run_until("the session is told", |_| session.is_draining());
    assert!(session.try_closed().is_none());
    let stream = bench.open_uni(&session);
    server.tell(|server, _| server.connection().datagram(b"\0still"));
    assert_eq!(&bench.wait("it lives", || session.try_recv_datagram())[..], b"still");
    // A new one has a connection of its own, beside.
    let second = bench.session(Connect::to("/").pooled());
    assert_eq!(server.look(|server| server.connections.len()), 2);
    drop((stream, session));
    bench.run_until("the first connection has gone", |_| {
        server.look(|server| server.connections[0].closed().is_some())
    });
    assert!(second.try_closed().is_none());
    drop(second);
}

/// Trusts one certificate, as `serverCertificateHashes` do.
struct Pinned(bool);

impl CertificateVerifier for Pinned {
    fn verify(&self, _: &VerificationRequest) -> Result<(), VerificationError> {
        let problem = CertificateProblem::UnknownHash;
        if self.0 { Ok(()) } else { Err(VerificationError { problem, detail: String::new() }) }
    }

    fn policy(&self) -> String {
        "hashes".into()
    }
}

#[test]
fn a_session_may_have_a_verifier_of_its_own_and_nothing_of_it_is_kept() {
    // The roots don't know the server, the session's own verifier does.
    let mut bench = Setup::new(14).trust(Trust::AnotherCa).build();
    let server = bench.web_transport_server(SERVER);
    for _ in 0..2 {
        let session = bench.session(Connect::to("/echo").verifier(Arc::new(Pinned(true))));
        bench.run_for(5 * SECOND);
        drop(session);
        bench.run_for(5 * SECOND);
    }
    assert_eq!(server.look(tests::simulated::Http3ServerPeer::connections), 2);
    assert_eq!(bench.snapshot().resumption_tokens, 0, "the next one is verified again");
    let pending = bench.connect(Connect::to("/echo"));
    assert!(matches!(bench.answer(pending), Err(NetError::Certificate { .. })));
    let mut fetch = bench.ask(Ask::get("/1"));
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::Certificate { .. }));
    // And the other way round.
    let (mut bench, _server) = Bench::with_web_transport(14);
    let pending = bench.connect(Connect::to("/echo").verifier(Arc::new(Pinned(false))));
    let error = bench.answer(pending).unwrap_err();
    assert!(matches!(
        error,
        NetError::Certificate { problem: CertificateProblem::UnknownHash, .. }
    ));
    bench.run_until_empty();
}

/// The first address is dead: the session goes to the second.
#[test]
fn a_session_races_addresses_as_requests_do() {
    let mut bench = Setup::new(15).build();
    let _silent = bench.silent_server(SERVER_V6);
    let _server = bench.web_transport_server(SERVER);
    bench.name(tests::simulated::HOST, [SERVER_V6, SERVER]);
    let session = bench.session(Connect::to("/echo"));
    assert!(bench.elapsed() < SECOND, "{:?}", bench.elapsed());
    bench.run_for(MINUTE);
    assert!(session.try_closed().is_none());
    assert_eq!(bench.snapshot().connections(), 1);
    drop(session);
    bench.run_until_empty();
}

#[test]
fn the_network_changes_and_the_session_goes_on_where_it_is() {
    let (mut bench, server) = Bench::with_web_transport(16);
    let (session, mut streams) = busy(&mut bench, Connect::to("/echo"));
    bench.submit(connection_mgr::Event::NetworkChanged);
    for stream in &mut streams {
        stream.paused = false;
    }
    bench.finish_streams(&mut streams);
    assert!(streams.iter().all(|stream| stream.end == Some(Ok(()))));
    server.tell(|server, _| server.web_transport.open(0, StreamType::UniDi, b"on", true));
    // The first is the answer to the one-way stream.
    drop(bench.accept_uni(&session));
    drop(bench.accept_uni(&session));
    drop((session, streams));
    bench.run_until_empty();
}
