//! Each way to fail is an error of its own, comes when it should, and leaves nothing behind.

use std::{
    net::{Ipv4Addr, Ipv6Addr, UdpSocket},
    time::Duration,
};

use necko::{CertificateProblem, HttpHandler, NetError, TimeoutPhase};
use socket_transport::Clock;
use tests::loopback::{
    Client, DEADLINE, DeadPort, QuinnOptions, QuinnServer, ServerProcess, TestCa, block_on, fetch,
    ipv6_loopback, pattern, read_to_end, wait_until_empty,
};

/// Far less than the idle timeout, which is 30 seconds.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The problem that a handler has with a server's certificate.
fn certificate_problem(handler: &HttpHandler, url: &str) -> CertificateProblem {
    let error = fetch(handler.get(url)).unwrap_err();
    let NetError::Certificate { host, problem, .. } = error else { panic!("{error:?}") };
    assert_eq!(host, "localhost");
    wait_until_empty(handler);
    problem
}

#[test]
fn a_certificate_that_nobody_known_signed_is_refused() {
    let (known, unknown) = (TestCa::new(), TestCa::new());
    let server = QuinnServer::start(&unknown);
    let handler = Client::trusting(&known.file()).to(server.address()).start();
    let problem = certificate_problem(&handler, &server.url("/1"));
    assert_eq!(problem, CertificateProblem::UnknownIssuer);
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let ca = TestCa::new();
    let identity = ca.issue(&["another.example"]);
    let server = QuinnServer::start_with(QuinnOptions::new(identity));
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    let problem = certificate_problem(&handler, &server.url("/1"));
    assert_eq!(problem, CertificateProblem::WrongHost);
}

#[test]
fn an_expired_certificate_is_refused() {
    let ca = TestCa::new();
    let server = QuinnServer::start_with(QuinnOptions::new(ca.expired()));
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    let problem = certificate_problem(&handler, &server.url("/1"));
    assert_eq!(problem, CertificateProblem::Expired);
}

#[test]
fn a_bad_certificate_fails_every_request_that_waits_for_it() {
    let (known, unknown) = (TestCa::new(), TestCa::new());
    let server = QuinnServer::start(&unknown);
    let handler = Client::trusting(&known.file()).to(server.address()).start();
    let pending: Vec<_> = (0..10).map(|_| handler.get(&server.url("/1"))).collect();
    for pending in pending {
        let error = fetch(pending).unwrap_err();
        assert!(matches!(error, NetError::Certificate { .. }), "{error:?}");
    }
    wait_until_empty(&handler);
}

#[test]
fn a_refused_port_is_an_error_at_once() {
    let mut ports = vec![DeadPort::on(Ipv4Addr::LOCALHOST.into())];
    ports.extend(ipv6_loopback().then(|| DeadPort::on(Ipv6Addr::LOCALHOST.into())));
    for address in ports.iter().map(DeadPort::address) {
        let handler = Client::trusting(&TestCa::new().file()).start();
        let pending = handler.get(&format!("https://{address}/")).unwrap();
        let error = block_on(AT_ONCE, pending).unwrap_err();
        assert_eq!(error, NetError::ConnectionRefused { peer: address });
        assert_eq!(wait_until_empty(&handler).lifetime.reclaimed, 1);
    }
}

#[test]
fn a_host_without_an_address_is_unknown() {
    let handler = Client::trusting(&TestCa::new().file()).start();
    let error = fetch(handler.get("https://no-such-host.invalid/")).unwrap_err();
    let NetError::UnknownHost { host, .. } = error else { panic!("{error:?}") };
    assert_eq!(host, "no-such-host.invalid");
    assert_eq!(wait_until_empty(&handler).lifetime.connections, 0);
}

#[test]
fn a_silent_server_is_given_up_after_the_idle_timeout() {
    // Bound, so that nothing is refused; and nobody reads.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let timeout = Duration::from_secs(1);
    let handler = Client::trusting(&TestCa::new().file()).idle_timeout(timeout).start();
    let clock = Clock::system();
    let start = clock.now();
    let error = fetch(handler.get(&url)).unwrap_err();
    assert_eq!(error, NetError::NetTimeout(TimeoutPhase::Connect));
    assert!(clock.now() - start >= timeout);
    wait_until_empty(&handler);
}

#[test]
fn a_server_that_dies_in_mid_transfer_leaves_a_partial_transfer() {
    let mut server = ServerProcess::start();
    let client = Client::trusting(&server.ca()).to(server.address());
    let handler = client.idle_timeout(Duration::from_secs(2)).start();
    let length = 4_000_000_000;
    let response = fetch(handler.get(&server.url(&format!("/bytes/{length}")))).unwrap();
    let mut body = response.into_body();
    let mut check = pattern::Check::new();
    while check.length() < 1_000_000 {
        check.take(&block_on(DEADLINE, body.chunk()).unwrap().unwrap());
    }
    server.kill();
    // What had arrived is delivered; then comes the error, and it says how much that was.
    let error = loop {
        match block_on(DEADLINE, body.chunk()) {
            Ok(piece) => check.take(&piece.unwrap()),
            Err(error) => break error,
        }
    };
    let NetError::PartialTransfer { received, expected, .. } = error else { panic!("{error:?}") };
    assert_eq!((received, expected), (check.length(), Some(length)));
    drop(body);
    wait_until_empty(&handler);
}

#[test]
fn after_a_failure_the_same_handler_connects_anew() {
    let ca = TestCa::new();
    let dead = DeadPort::on(Ipv4Addr::LOCALHOST.into());
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    fetch(handler.get(&format!("https://{}/", dead.address()))).unwrap_err();
    assert_eq!(read_to_end(fetch(handler.get(&server.url("/1000"))).unwrap()), Ok(1000));
    drop(server);
    let ended = |handler: &HttpHandler| handler.snapshot().unwrap().lifetime.reclaimed == 2;
    tests::loopback::wait_until(DEADLINE, "the server's farewell", || {
        ended(&handler).then_some(())
    });
    wait_until_empty(&handler);
}
