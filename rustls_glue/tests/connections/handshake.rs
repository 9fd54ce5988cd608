//! Handshakes.

use http1_session::{PlainRead, TlsConnFactory as _, TlsParameters, TlsState};
use rustls::{
    HandshakeKind,
    version::{TLS12, TLS13},
};
use transaction::{ConnectionInfo, NetError};

use crate::support::{Pair, Server, VERSIONS, factory, info, read_all};

#[test]
fn a_handshake_byte_by_byte() {
    for version in VERSIONS {
        let server = Server::http(version);
        let mut pair = Pair::new(&factory(), info(), &server);
        pair.piece = 1;
        assert_eq!(pair.client.state(), TlsState::Handshaking);
        assert!(pair.client.wants_write(), "the first output waits at once");
        pair.exchange().unwrap();
        assert_eq!(pair.client.state(), TlsState::AuthenticationNeeded);
        assert_eq!(pair.client.peer_certificates(), [server.certificate.to_vec()]);
        assert!(!pair.client.is_resumed());
        pair.client.authenticated(Ok(()));
        assert_eq!(pair.client.write_plain(b"hello"), 5);
        pair.exchange().unwrap();
        assert_eq!(pair.received(), b"hello");
        assert_eq!(pair.server.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(pair.server.server_name(), Some("example.org"));
        assert_eq!(pair.server.handshake_kind(), Some(HandshakeKind::Full));
        pair.respond(b"world");
        assert_eq!(read_all(&mut *pair.client).unwrap(), (b"world".to_vec(), PlainRead::Blocked));
    }
}

#[test]
fn a_server_without_alpn_will_do() {
    let mut pair = Pair::connected(&Server::new(&[&TLS13], &[]));
    assert_eq!(pair.server.alpn_protocol(), None);
    pair.respond(b"x");
    assert_eq!(read_all(&mut *pair.client).unwrap().0, b"x");
}

#[test]
fn a_server_that_speaks_something_else_is_an_error() {
    for version in VERSIONS {
        let server = Server::new(&[version], &[b"h2"]);
        let mut pair = Pair::new(&factory(), info(), &server);
        let no_application_protocol = NetError::Tls { alert: 120, by_peer: true };
        assert_eq!(pair.exchange(), Err(no_application_protocol.clone()));
        assert_eq!(pair.client.state(), TlsState::Closed);
        assert_eq!(pair.client.read_tls(b"more"), Err(no_application_protocol.clone()));
        assert_eq!(pair.client.read_plain(&mut [0; 8]), Err(no_application_protocol));
        assert_eq!(pair.client.write_plain(b"x"), 0);
    }
}

/// The server's choice stands where a choice of TLS 1.2 is in the clear: it is changed on the way.
#[test]
fn a_server_that_chooses_a_protocol_which_was_not_offered_is_an_error() {
    let server = Server::http(&TLS12);
    let mut pair = Pair::new(&factory(), info(), &server);
    pair.carry_up();
    let mut flight = Vec::new();
    while pair.server.wants_write() {
        pair.server.write_tls(&mut flight).unwrap();
    }
    let place = flight.windows(8).position(|window| window == b"http/1.1").unwrap();
    flight[place + 7] = b'0';
    assert!(matches!(pair.client.read_tls(&flight), Err(NetError::TlsProtocol(_))));
    assert!(pair.client.wants_write(), "the server is told");
}

#[test]
fn an_address_is_reached_without_a_server_name() {
    for host in ["192.0.2.1", "2001:db8::1"] {
        let server = Server::http(&TLS13);
        let mut pair = Pair::new(&factory(), ConnectionInfo::new(host, 443), &server);
        pair.exchange().unwrap();
        assert_eq!(pair.client.state(), TlsState::AuthenticationNeeded);
        assert_eq!(pair.server.server_name(), None);
    }
}

#[test]
fn a_host_that_no_server_can_have_is_an_error() {
    let info = ConnectionInfo::new("not a name", 443);
    let result = factory().connect(&TlsParameters { info });
    assert!(matches!(result.err(), Some(NetError::InvalidUrl(_))));
}

#[test]
fn an_alert_of_the_server_is_told_as_its() {
    // It has no certificate for this name.
    let server = Server::http(&TLS12);
    let mut config = (*server.config).clone();
    config.alpn_protocols.clear();
    config.cert_resolver = std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new());
    let server = Server { config: config.into(), certificate: server.certificate };
    let mut pair = Pair::new(&factory(), info(), &server);
    let error = pair.exchange().unwrap_err();
    assert!(matches!(error, NetError::Tls { by_peer: true, alert } if alert > 0), "{error}");
}
