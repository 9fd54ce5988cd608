//! From the first datagram to `Connected`, or not.

use std::time::Duration;

use http3_session::{
    CloseReason, FetchError, Http3Conn as _, Http3ConnFactory as _, Http3Event, Http3Settings,
};
use neqo_http3::{Http3Server, Http3ServerEvent, Http3State};
use neqo_transport::{CloseReason as NeqoReason, ConnectionParameters, Error, StreamType};
use transaction::{CertificateProblem, ErrorCode, NetError};

use crate::{
    NeqoHttp3ConnFactory,
    testing::{
        nss_db,
        pair::{Pair, get, parameters, start},
        peers::{http3_server, raw_peer},
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// A pair whose client waits for a verdict about the certificate.
fn waiting() -> Pair<Http3Server> {
    let server = http3_server(ConnectionParameters::default());
    let mut pair = Pair::new(Http3Settings::default(), server);
    pair.trusting = false;
    pair.run(SECOND / 5);
    assert!(matches!(pair.events[..], [Http3Event::AuthenticationNeeded]), "{:?}", pair.events);
    pair.events.clear();
    pair
}

#[test]
fn the_certificate_is_asked_about_once_and_the_verdict_may_take_its_time() {
    let mut pair = waiting();
    assert_eq!(pair.client.peer_certificates()[0], nss_db::certificate(nss_db::SERVER_KEY));
    pair.run(5 * SECOND);
    assert!(pair.events.is_empty(), "{:?}", pair.events);

    pair.client.authenticated(Ok(()), pair.now);
    pair.run(SECOND);
    // The peer's limit of streams was known before, but told only now.
    assert!(matches!(pair.events[0], Http3Event::Connected), "{:?}", pair.events);
}

#[test]
fn a_verdict_that_nobody_waits_for_changes_nothing() {
    let server = http3_server(ConnectionParameters::default());
    let mut pair = Pair::new(Http3Settings::default(), server);
    let refusal = Err(CertificateProblem::Revoked);
    pair.client.authenticated(refusal, pair.now);
    pair.run(SECOND);
    pair.client.authenticated(refusal, pair.now);
    pair.run(SECOND);
    assert!(matches!(pair.events[0], Http3Event::Connected), "{:?}", pair.events);
    assert!(!pair.take(|event| matches!(event, Http3Event::Closing(_))), "{:?}", pair.events);
}

#[test]
fn a_verdict_after_our_own_close_changes_nothing() {
    let mut pair = waiting();
    pair.client.close(ErrorCode::REQUEST_CANCELLED, "", pair.now);
    pair.client.authenticated(Ok(()), pair.now);
    pair.run(5 * SECOND);
    assert!(
        matches!(pair.events[..], [Http3Event::Closing(_), Http3Event::Closed(_)]),
        "{:?}",
        pair.events
    );
}

#[test]
fn a_verdict_after_the_peers_close_changes_nothing_even_before_the_event_is_taken() {
    let mut pair = Pair::new(Http3Settings::default(), raw_peer("h3"));
    pair.trusting = false;
    pair.run(SECOND / 5);
    pair.peer.connection.close(pair.now, 0x102, "");
    let crate::testing::peers::RawPeer { connection, .. } = &mut pair.peer;
    let neqo_http3::Output::Datagram(mut close) = connection.process_output(pair.now) else {
        panic!("a close has a datagram");
    };
    let datagram: &mut [u8] = &mut close;
    let source = crate::testing::pair::server_address();
    let ecn = socket_transport::Ecn::NotEct;
    pair.client.input(source, ecn, std::iter::once(datagram), pair.now);
    pair.client.authenticated(Ok(()), pair.now);
    pair.run(5 * SECOND);
    let last = pair.events.pop();
    assert!(matches!(last, Some(Http3Event::Closed(_))), "{:?}, {last:?}", pair.events);
}

/// Neqo forgot such a token; set-up mends it.
#[test]
fn a_token_that_comes_before_the_settings_is_told_after_them() {
    let is_token = |event: &Http3Event| matches!(event, Http3Event::ResumptionToken(_));
    let mut pair = Pair::connected(Http3Settings::default(), raw_peer("h3"));
    pair.peer.connection.send_ticket(pair.now, &[]).unwrap();
    pair.run(SECOND);
    // Without a proof of address neqo keeps the ticket for a while, until something comes: a stream of no known type.
    let stream = pair.peer.connection.stream_create(StreamType::UniDi).unwrap();
    pair.peer.connection.stream_send(stream, &[0x21, 0x00]).unwrap();
    pair.run(SECOND);
    assert!(!pair.take(is_token), "it is told with the settings");
    pair.peer.send_control(&[]);
    pair.run(SECOND);
    assert!(pair.take(is_token), "{:?}", pair.events);
    assert!(!pair.take(is_token), "once");
}

/// The alert that each problem sends, as both sides see it.
#[test]
fn a_refused_certificate_ends_the_handshake_with_its_alert() {
    for (problem, alert) in [
        (CertificateProblem::Expired, 45),
        (CertificateProblem::NotYetValid, 45),
        (CertificateProblem::UnknownIssuer, 48),
        (CertificateProblem::WrongHost, 42),
        (CertificateProblem::Revoked, 44),
        (CertificateProblem::Missing, 46),
        (CertificateProblem::Invalid, 46),
    ] {
        let mut pair = waiting();
        pair.client.authenticated(Err(problem), pair.now);
        pair.run(5 * SECOND);
        let expected = CloseReason::TlsAlert { alert, by_peer: false };
        let Some(Http3Event::Closed(reason)) = pair.events.last() else {
            panic!("{problem:?}: {:?}", pair.events);
        };
        assert_eq!(*reason, expected, "{problem:?}");
        let seen = pair.peer.events().any(|event| {
            let error = Error::PeerError(0x100 + u64::from(alert));
            let closing = Http3State::Closing(NeqoReason::Transport(error));
            matches!(event, Http3ServerEvent::StateChange { state, .. } if state == closing)
        });
        assert!(seen, "{problem:?}");
    }
}

#[test]
fn an_alert_of_the_peer_is_told_as_the_peers() {
    let mut pair = Pair::new(Http3Settings::default(), raw_peer("h2"));
    pair.run(5 * SECOND);
    let Some(Http3Event::Closed(reason)) = pair.events.last() else { panic!("{:?}", pair.events) };
    // no_application_protocol
    assert_eq!(*reason, CloseReason::TlsAlert { alert: 120, by_peer: true });
}

#[test]
fn a_silent_network_ends_in_the_idle_timeout() {
    nss_db::init();
    let server = http3_server(ConnectionParameters::default());
    let mut pair = Pair::new(Http3Settings::default(), server);
    let mut waited = Duration::ZERO;
    while pair.events.is_empty() && waited < 60 * SECOND {
        pair.client_flight();
        pair.now += SECOND;
        waited += SECOND;
        pair.collect();
    }
    assert!(
        matches!(pair.events[..], [Http3Event::Closed(CloseReason::IdleTimeout)]),
        "{:?}",
        pair.events
    );
}

#[test]
fn requests_wait_for_the_handshake() {
    let mut pair = waiting();
    assert_eq!(pair.client.fetch(&get("/"), pair.now), Err(FetchError::NotConnected));
}

#[test]
fn key_exchange_and_cipher_have_their_names() {
    for (ml_kem, name, flight) in [(true, "X25519MLKEM768", 2), (false, "x25519", 1)] {
        let settings = Http3Settings { ml_kem, ..Http3Settings::default() };
        let server = http3_server(ConnectionParameters::default());
        let mut pair = Pair::new(settings, server);
        assert_eq!(pair.client.stats().key_exchange, "");
        assert_eq!(pair.client_flight().0.len(), flight, "the ClientHello's datagrams");

        let server = http3_server(ConnectionParameters::default());
        let settings = Http3Settings { ml_kem, ..Http3Settings::default() };
        let pair = Pair::connected(settings, server);
        let stats = pair.client.stats();
        assert_eq!(stats.key_exchange, name);
        assert!(stats.cipher.starts_with("TLS_"), "{stats:?}");
        assert!(stats.packets_sent > 2 && stats.packets_received > 2, "{stats:?}");
        assert!(stats.round_trip_time >= Duration::from_millis(10), "{stats:?}");
        assert_eq!(stats.packets_lost, 0);
    }
}

/// A server that knows only P-256 is answered without another round trip: its share is there already.
#[test]
fn the_first_flight_has_shares_for_x25519_and_p_256() {
    use neqo_crypto::{TLS_GRP_EC_SECP256R1, TLS_GRP_EC_SECP384R1, TLS_GRP_EC_X25519};
    for ml_kem in [true, false] {
        let turns = |group| {
            let settings = Http3Settings { ml_kem, ..Http3Settings::default() };
            let mut pair = Pair::new(settings, raw_peer("h3"));
            pair.peer.connection.set_groups(&[group]).unwrap();
            (1..20).find(|_| {
                pair.turn();
                !pair.client.stats().key_exchange.is_empty()
            })
        };
        let quick = turns(TLS_GRP_EC_X25519);
        assert_eq!(turns(TLS_GRP_EC_SECP256R1), quick);
        // The comparison works: P-384 has none and takes longer.
        assert!(quick.is_some() && turns(TLS_GRP_EC_SECP384R1) > quick);
    }
}

/// The server's defaults would upgrade a willing client to version 2.
#[test]
fn the_version_stays_1() {
    let server = http3_server(ConnectionParameters::default());
    let pair = Pair::connected(Http3Settings::default(), server);
    let long_headers = pair.sent.iter().filter(|datagram| datagram[0] & 0x80 != 0);
    for datagram in long_headers {
        assert_eq!(datagram[1..5], [0, 0, 0, 1]);
    }
}

#[test]
fn the_factory_refuses_a_host_that_tls_can_not_name() {
    nss_db::init();
    let mut parameters = parameters(Http3Settings::default());
    parameters.host = "a\0b".to_owned();
    let refused = NeqoHttp3ConnFactory.connect(&parameters, start());
    assert!(matches!(refused, Err(NetError::InvalidUrl(_))));
    parameters.host = "127.0.0.1".to_owned();
    assert!(NeqoHttp3ConnFactory.connect(&parameters, start()).is_ok());
}
