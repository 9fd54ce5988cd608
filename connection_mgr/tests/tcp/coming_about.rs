//! From an address to a connection that is ready, and what may come between.

use std::time::Duration;

use connection_mgr::{Event, TcpState};
use http::Method;
use transaction::{CertificateProblem, NetError, RequestBody, TimeoutPhase};

use crate::{
    fixture::{CLIENT, Fixture, OK, SECOND, SERVER, error, poll, whole},
    server::{Hello, Script as _},
};

#[test]
fn nothing_of_a_request_leaves_before_the_certificate_is_accepted() {
    let mut http = Fixture::new();
    http.network().job_delay(10 * SECOND);
    let mut response = http.get();
    http.pass(15 * SECOND);
    assert_eq!(http.connection().state, TcpState::Verifying);
    assert_eq!((http.server.line(0).hellos, http.server.heard(0)), (1, String::new()));
    http.pass(10 * SECOND);
    assert!(http.server.heard(0).starts_with("GET /1 HTTP/1.1\r\nHost: one.example\r\n"));
    http.server.say(0, OK);
    http.settle();
    assert_eq!((whole(&mut response).as_str(), http.verified()), ("ok", 1));
}

/// Some servers give no tickets, and none of TLS 1.2 says anything behind its handshake: the verdict is the last
/// thing that happens until the request leaves.
#[test]
fn a_server_with_nothing_to_say_behind_its_handshake_gets_the_request() {
    for certificate in [b"good" as &[u8], b""] {
        let mut http = Fixture::new();
        http.server.app_mut().hello = Hello::Certificate(certificate, None);
        let mut response = http.get();
        http.settle();
        assert_eq!(http.connection().state, TcpState::Ready);
        assert!(http.server.heard(0).starts_with("GET /1 "), "{certificate:?}");
        http.server.say(0, OK);
        http.settle();
        assert_eq!(whole(&mut response), "ok");
        assert_eq!(http.verified(), usize::from(!certificate.is_empty()), "not when it goes on");
    }
}

#[test]
fn a_certificate_that_is_not_accepted_ends_it_with_a_farewell() {
    let mut http = Fixture::new();
    http.server.app_mut().hello = Hello::Certificate(b"bad", Some(b"a ticket"));
    let mut response = http.get();
    http.settle();
    assert!(matches!(
        error(&mut response),
        NetError::Certificate { problem: CertificateProblem::UnknownIssuer, .. }
    ));
    assert_eq!((http.server.made(), http.server.heard(0)), (1, String::new()));
    assert!(http.server.line(0).farewell && http.server.line(0).ended);
    http.assert_nothing_left();
}

/// <https://github.com/threefoldtech/mycelium/issues/309>
#[test]
fn d2_13_whoever_does_not_answer_is_given_up_in_time_at_each_step() {
    type Hinder = fn(&mut Fixture);
    let hindrances: [(Hinder, TcpState); 3] = [
        (|http| http.network().blackhole(SERVER, CLIENT, true), TcpState::Connecting),
        (|http| http.server.app_mut().hello = Hello::Silence, TcpState::Handshaking),
        (|http| http.network().job_delay(Duration::from_mins(2)), TcpState::Verifying),
    ];
    for (hinder, state) in hindrances {
        let mut http = Fixture::new();
        // The name is known by then.
        let mut first = http.get();
        http.pass(Duration::from_millis(1));
        hinder(&mut http);
        http.pass(29 * SECOND);
        assert_eq!(http.connection().state, state);
        assert!(poll(&mut first).is_none());
        http.pass(2 * SECOND);
        assert_eq!(error(&mut first), NetError::NetTimeout(TimeoutPhase::Connect), "{state:?}");
        // A verdict may be on its way still; it finds nobody.
        http.pass(Duration::from_mins(3));
        http.assert_nothing_left();
    }
}

#[test]
fn what_ends_a_handshake_is_the_error_of_the_request() {
    let mut http = Fixture::new();
    http.server.app_mut().hello = Hello::Alert(40);
    let mut refused = http.get();
    http.settle();
    assert_eq!(error(&mut refused), NetError::Tls { alert: 40, by_peer: true });
    http.assert_nothing_left();

    http.server.app_mut().hello = Hello::HangUp;
    let mut hung_up = http.send(Method::POST, &[], RequestBody::from("a body"));
    http.pass(60 * SECOND);
    let told = error(&mut hung_up);
    assert!(matches!(told, NetError::NetReset { .. }), "{told:?}");
    http.assert_nothing_left();

    http.server.stop_listening();
    let mut nobody = http.get();
    http.settle();
    assert!(matches!(error(&mut nobody), NetError::ConnectionRefused { .. }));
    http.assert_nothing_left();
}

#[test]
fn m15_a_request_that_is_cancelled_while_its_connection_is_made_leaves_nothing() {
    for (before, hello) in [(0, Hello::Silence), (15, Hello::Silence), (500, Hello::Silence)] {
        let mut http = Fixture::new();
        http.server.app_mut().hello = hello;
        let response = http.get();
        http.pass(Duration::from_millis(before));
        drop(response);
        http.settle();
        http.assert_nothing_left();
    }
}

#[test]
fn m18_a_connection_made_ahead_of_time_serves_whoever_comes_and_is_given_up_if_nobody_does() {
    let mut http = Fixture::new();
    let mut info = connection_mgr::ConnectionInfo::new("one.example", 443);
    info.alpn = transaction::Alpn::Http11;
    http.post(Event::SpeculativeConnect(info.clone()));
    http.settle();
    assert_eq!((http.connection().state, http.lists()[0]), (TcpState::Ready, 1));
    http.answered(0);
    assert_eq!((http.server.made(), http.connection().exchanges), (1, 1));
    http.pass(116 * SECOND);
    http.assert_nothing_left();

    http.post(Event::SpeculativeConnect(info));
    http.pass(114 * SECOND);
    assert_eq!(http.lists(), [1, 0, 0]);
    http.pass(3 * SECOND);
    assert!(http.server.line(1).farewell);
    http.assert_nothing_left();
}
