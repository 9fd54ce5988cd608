//! What can go wrong before a response begins, each with its own error and without a trace left.

use std::io::ErrorKind;

use tests::simulated::{
    Ask, Bench, CLIENT, Fetch, Http3ServerPeer, MS, OTHER, PORT, SECOND, SERVER, SERVER_V6, Setup,
    Trust,
};
use transaction::{CertificateProblem, Fault, NetError, TimeoutPhase};

/// Nothing is left, though nobody closed anything.
#[track_caller]
fn assert_empty(bench: &mut Bench) {
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
    assert_eq!((bench.engines(), bench.transactions()), (0, 0));
}

#[track_caller]
fn assert_certificate(fetch: &Fetch, expected: CertificateProblem) {
    match fetch.error() {
        NetError::Certificate { problem, .. } => assert_eq!(*problem, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_and_not_asked_for_again() {
    let mut bench = Setup::new(1).trust(Trust::AnotherCa).build();
    let server = bench.http3_server(SERVER, |parameters| parameters);
    let mut fetches = [(); 3].map(|()| bench.get("/1"));
    bench.finish(&mut fetches);
    for fetch in &fetches {
        assert_certificate(fetch, CertificateProblem::UnknownIssuer);
    }
    assert_eq!((bench.verifications(), bench.snapshot().lifetime.connections), (1, 1));
    assert_eq!(server.look(|server| (server.connections(), server.requests.len())), (0, 0));
    let waited = bench.run_until_empty();
    assert!(waited < 5 * SECOND, "{waited:?}");
}

#[test]
fn a_certificate_for_another_host_is_refused_at_every_address_alike() {
    let mut bench = Bench::new(2);
    bench.http3_server(SERVER, |parameters| parameters);
    let other = bench.http3_server(OTHER, |parameters| parameters);
    bench.name("elsewhere.example", [SERVER, OTHER]);
    let mut fetch = bench.ask(Ask::get("/1").host("elsewhere.example"));
    bench.finish([&mut fetch]);
    assert_certificate(&fetch, CertificateProblem::WrongHost);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
    assert_eq!(other.look(Http3ServerPeer::connections), 0);
}

#[test]
fn an_unknown_host_is_told_without_a_socket() {
    let mut bench = Bench::new(3);
    let mut fetch = bench.ask(Ask::get("/1").host("nowhere.example"));
    bench.finish([&mut fetch]);
    let NetError::UnknownHost { host, reason } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert_eq!((host.as_str(), reason.is_empty()), ("nowhere.example", false));
    assert_eq!(bench.snapshot().lifetime.connections, 0);
    assert_empty(&mut bench);
}

#[test]
fn a_host_without_addresses_is_unknown() {
    let mut bench = Bench::new(4);
    bench.name("empty.example", []);
    let mut fetch = bench.ask(Ask::get("/1").host("empty.example"));
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::UnknownHost { .. }));
    assert_empty(&mut bench);
}

#[test]
fn a_refused_port_is_told_at_once() {
    let mut bench = Bench::new(5);
    bench.bare_machine(SERVER);
    let mut fetches = [(); 3].map(|()| bench.get("/1"));
    bench.finish(&mut fetches);
    assert!(bench.elapsed() < SECOND, "{:?}", bench.elapsed());
    let peer = (SERVER, PORT).into();
    for fetch in &fetches {
        assert_eq!(fetch.error(), &NetError::ConnectionRefused { peer });
    }
    bench.run_for(MS);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
    assert_empty(&mut bench);
}

#[test]
fn c13_the_unspecified_address_is_refused_without_a_socket() {
    let mut bench = Bench::new(6);
    bench.name("zero.example", [[0, 0, 0, 0].into()]);
    let mut fetch = bench.ask(Ask::get("/1").host("zero.example"));
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::ConnectionRefused { .. }), "{:?}", fetch.error());
    assert_eq!(bench.network().total_counts().sent, 0);
    assert_empty(&mut bench);
}

#[test]
fn after_a_refused_address_comes_the_next() {
    let (mut bench, server) = Bench::with_server(7);
    bench.bare_machine(OTHER);
    bench.name("necko.test", [OTHER, SERVER]);
    let mut fetches = [bench.get("/10"), bench.ask(Ask::post("/post", vec![b'x'; 1000]))];
    bench.finish(&mut fetches);
    fetches[0].expect_pattern(10);
    assert_eq!(fetches[1].header("x-data-received-length"), Some("1000"));
    assert!(bench.elapsed() < SECOND, "{:?}", bench.elapsed());
    assert_eq!(server.look(|server| server.requests.len()), 2);
    let lifetime = bench.snapshot().lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed), (2, 1));
    assert_eq!(bench.names().lookups(), 1);
}

#[test]
fn after_a_refused_address_of_one_family_comes_one_of_the_other() {
    for (first, second) in [(SERVER_V6, SERVER), (SERVER, SERVER_V6)] {
        let mut bench = Bench::new(20);
        bench.bare_machine(first);
        let server = bench.http3_server(second, |parameters| parameters);
        bench.name("necko.test", [first, second]);
        bench.fetch("/10").expect_pattern(10);
        assert_eq!(server.look(Http3ServerPeer::connections), 1);
        assert!(bench.elapsed() < SECOND, "{:?}", bench.elapsed());
    }
}

#[test]
fn after_a_silent_address_comes_the_next() {
    let (mut bench, _server) = Bench::with_server(8);
    bench.silent_server(OTHER);
    bench.name("necko.test", [OTHER, SERVER]);
    bench.fetch("/10").expect_pattern(10);
    assert_eq!(bench.snapshot().lifetime.connections, 2);
}

#[test]
fn when_all_addresses_fail_one_error_tells_of_each() {
    let mut bench = Bench::new(9);
    bench.bare_machine(SERVER);
    bench.bare_machine(OTHER);
    bench.name("necko.test", [OTHER, SERVER]);
    let fetch = bench.fetch("/1");
    let attempts = [OTHER, SERVER].map(|address| {
        let peer = (address, PORT).into();
        (peer, NetError::ConnectionRefused { peer })
    });
    let host = "necko.test".into();
    let expected = NetError::NoAddressAnswered { host, attempts: attempts.into() };
    assert_eq!(fetch.error(), &expected);
    bench.run_for(MS);
    assert_eq!(bench.snapshot().lifetime.connections, 2);
    assert_empty(&mut bench);
}

#[test]
fn a_silent_server_is_a_timeout_while_connecting() {
    let mut bench = Bench::new(10);
    let server = bench.silent_server(SERVER);
    let mut fetches = [(); 3].map(|()| bench.get("/1"));
    bench.finish(&mut fetches);
    for fetch in &fetches {
        assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Connect));
    }
    let elapsed = bench.elapsed();
    assert!((29 * SECOND..35 * SECOND).contains(&elapsed), "{elapsed:?}");
    assert!(server.look(|server| server.heard) > 3, "it was asked again and again");
    assert_eq!(bench.snapshot().lifetime.connections, 1);
    bench.run_for(MS);
    assert_empty(&mut bench);
}

#[test]
fn an_address_where_nobody_is_is_a_timeout_as_well() {
    let mut bench = Bench::new(11);
    let fetch = bench.fetch("/1");
    assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Connect));
    bench.run_for(MS);
    assert_empty(&mut bench);
}

/// <https://github.com/dotnet/runtime/issues/113030>
#[test]
fn d2_12_dials_that_fail_leave_nothing_behind_and_the_next_one_can_succeed() {
    let mut bench = Bench::new(12);
    bench.bare_machine(SERVER);
    for _ in 0..50 {
        let fetch = bench.fetch("/1");
        assert!(matches!(fetch.error(), NetError::ConnectionRefused { .. }));
        drop(fetch);
        bench.run_for(MS);
        assert_empty(&mut bench);
    }
    bench.http3_server(SERVER, |parameters| parameters);
    bench.fetch("/1").expect_pattern(1);
}

#[test]
fn c1_a_socket_that_can_not_be_bound_fails_the_request_and_leaves_nothing() {
    let (mut bench, _server) = Bench::with_server(13);
    bench.network().fail_next_bind(CLIENT.into(), ErrorKind::AddrInUse);
    let fetch = bench.fetch("/1");
    let NetError::Socket { kind, .. } = fetch.error() else { panic!("{:?}", fetch.error()) };
    assert_eq!((*kind, fetch.error().fault()), (ErrorKind::AddrInUse, Fault::Local));
    assert_empty(&mut bench);
    bench.fetch("/1").expect_pattern(1);
}

#[test]
fn a_send_without_a_route_is_a_refusal_while_connecting() {
    let (mut bench, _server) = Bench::with_server(15);
    bench.network().fail_next_send(CLIENT.into(), ErrorKind::NetworkUnreachable);
    let fetch = bench.fetch("/1");
    assert!(matches!(fetch.error(), NetError::ConnectionRefused { .. }), "{:?}", fetch.error());
    bench.run_for(MS);
    assert_empty(&mut bench);
}

#[test]
fn a_send_that_the_system_forbids_fails_the_connection() {
    let (mut bench, _server) = Bench::with_server(16);
    bench.network().fail_next_send(CLIENT.into(), ErrorKind::PermissionDenied);
    let fetch = bench.fetch("/1");
    let NetError::Socket { kind, .. } = fetch.error() else { panic!("{:?}", fetch.error()) };
    assert_eq!(*kind, ErrorKind::PermissionDenied);
    bench.run_for(MS);
    assert_empty(&mut bench);
}

#[test]
fn a_server_of_another_protocol_is_a_failed_handshake() {
    let mut bench = Bench::new(17);
    bench.foreign_server(SERVER);
    let fetch = bench.fetch("/1");
    let error = fetch.error();
    assert!(matches!(error, NetError::Tls { alert: 120, .. }), "{error:?}");
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn a_handshake_that_the_server_ends_is_told_with_its_code() {
    let (mut bench, server) = Bench::with_raw(18);
    let mut fetch = bench.get("/1");
    bench.network().job_delay(SECOND);
    bench.run_until("it has begun", |_| server.look(|server| !server.connections.is_empty()));
    bench.run_for(SECOND / 10);
    server.tell(|server, _| server.connection().close(0x102));
    bench.finish([&mut fetch]);
    let error = fetch.error();
    assert!(
        matches!(
            error,
            NetError::Http3Protocol { .. } | NetError::QuicTransport { by_peer: true, .. }
        ),
        "{error:?}"
    );
}
