//! Encrypted Client Hello: taken, refused, and only pretended.

use std::time::{Duration, Instant};

use http3_session::{CloseReason, ConnectParameters, Http3Conn as _, Http3Event, Http3Settings};
use neqo_common::event::Provider as _;
use neqo_crypto::{PrivateKey, PublicKey, generate_ech_keys};
use neqo_http3::{Http3ClientEvent, Http3Server};
use neqo_transport::ConnectionParameters;
use transaction::{CertificateProblem, Ech, EchConfigList};

use crate::{
    NeqoHttp3Conn,
    testing::{
        nss_db,
        pair::{Pair, parameters},
        peers::http3_server,
    },
};

const SECOND: Duration = Duration::from_secs(1);
const PUBLIC: &str = "public.example";

/// Keys, and the configuration that is published of them.
fn keys(public_name: &str) -> (PrivateKey, PublicKey, EchConfigList) {
    nss_db::init();
    let (private, public) = generate_ech_keys().unwrap();
    let encoded = neqo_crypto::encode_ech_config(7, public_name, &public).unwrap();
    (private, public, EchConfigList::parse(encoded).unwrap())
}

/// A server with these keys.
fn server(private: PrivateKey, public: PublicKey) -> impl FnOnce(Instant) -> Http3Server {
    move |now| {
        let mut server = http3_server(ConnectionParameters::default())(now);
        server.enable_ech(7, PUBLIC, &private, &public).unwrap();
        server
    }
}

fn with(ech: Ech) -> ConnectParameters {
    ConnectParameters { ech, ..parameters(Http3Settings::default()) }
}

fn is_connected(pair: &mut Pair<Http3Server>) -> bool {
    pair.take(|event| matches!(event, Http3Event::Connected))
}

/// A pair whose server has other keys than the client was told, or none.
fn refused(server_has_keys: bool) -> (Pair<Http3Server>, Option<EchConfigList>) {
    let (.., stale) = keys("stale.example");
    let parameters = with(Ech::Config(stale));
    let (mut pair, fresh) = if server_has_keys {
        let (private, public, fresh) = keys(PUBLIC);
        (Pair::of(&parameters, server(private, public)), Some(fresh))
    } else {
        (Pair::of(&parameters, http3_server(ConnectionParameters::default())), None)
    };
    pair.trusting = false;
    pair.run(SECOND);
    let [Http3Event::EchFallbackAuthenticationNeeded { public_name }] = &pair.events[..] else {
        panic!("{:?}", pair.events)
    };
    assert_eq!(public_name, "stale.example");
    assert_eq!(pair.client.peer_certificates()[0], nss_db::certificate(nss_db::SERVER_KEY));
    pair.events.clear();
    (pair, fresh)
}

#[test]
fn an_encrypted_hello_is_taken_and_the_figures_say_so() {
    let (private, public, config) = keys(PUBLIC);
    let mut pair = Pair::of(&with(Ech::Config(config)), server(private, public));
    pair.run(SECOND);
    assert!(is_connected(&mut pair), "{:?}", pair.events);
    assert!(pair.client.stats().ech_accepted);
}

#[test]
fn a_server_that_refuses_is_believed_when_it_is_the_public_name_and_tells_what_to_use() {
    for server_has_keys in [true, false] {
        let (mut pair, fresh) = refused(server_has_keys);
        pair.client.authenticated(Ok(()), pair.now);
        pair.run(5 * SECOND);
        let config = fresh.map(|fresh| fresh.as_bytes().to_vec()).unwrap_or_default();
        let expected = CloseReason::EchRetry { config };
        let told = |event: &Http3Event| matches!(event, Http3Event::Closing(reason) | Http3Event::Closed(reason) if *reason == expected);
        assert!(!pair.events.is_empty() && pair.events.iter().all(told), "{:?}", pair.events);
    }
}

#[test]
fn a_server_that_refuses_and_is_not_the_public_name_is_told_so() {
    let (mut pair, _) = refused(true);
    pair.client.authenticated(Err(CertificateProblem::WrongHost), pair.now);
    pair.run(5 * SECOND);
    let expected = CloseReason::TlsAlert { alert: 42, by_peer: false };
    let Some(Http3Event::Closed(reason)) = pair.events.last() else { panic!("{:?}", pair.events) };
    assert_eq!(*reason, expected);
}

#[test]
fn h27_authentication_of_the_public_name_is_asked_for_once() {
    let (mut pair, _) = refused(true);
    pair.run(5 * SECOND);
    assert!(pair.events.is_empty(), "{:?}", pair.events);
}

#[test]
fn grease_changes_nothing_for_servers_with_and_without_keys() {
    let (private, public, _) = keys(PUBLIC);
    for (ech, with_keys) in [(Ech::Off, false), (Ech::Grease, false), (Ech::Grease, true)] {
        let parameters = with(ech.clone());
        let mut pair = if with_keys {
            Pair::of(&parameters, server(private.clone(), public.clone()))
        } else {
            Pair::of(&parameters, http3_server(ConnectionParameters::default()))
        };
        pair.run(SECOND);
        assert!(is_connected(&mut pair), "{ech:?}: {:?}", pair.events);
        assert!(!pair.client.stats().ech_accepted);
    }
}

/// The reverse order is neqo's issue 2442: a ticket names who it is for, and must not go into the outer hello.
#[test]
fn h13_ech_is_set_before_the_resumption_token_and_both_count() {
    let (private, public, config) = keys(PUBLIC);
    let parameters = with(Ech::Config(config.clone()));
    let mut pair = Pair::of(&parameters, server(private, public));
    pair.trusting = false;
    while pair.events.is_empty() {
        pair.turn();
    }
    // The token is among the events from then on.
    (pair.trusting, pair.deaf) = (true, true);
    pair.client.authenticated(Ok(()), pair.now);
    pair.run(SECOND);
    let token = pair.client.neqo().events().find_map(|event| match event {
        Http3ClientEvent::ResumptionToken(token) => Some(token),
        _ => None,
    });
    let token = token.expect("the server gives tickets");
    (pair.deaf, pair.events) = (false, Vec::new());

    pair.client = NeqoHttp3Conn::new(&parameters, pair.now).unwrap();
    pair.client.neqo().enable_resumption(pair.now, &token).unwrap();
    pair.run(SECOND);
    assert!(is_connected(&mut pair), "{:?}", pair.events);
    assert!(pair.client.neqo().tls_info().unwrap().resumed());
    assert!(pair.client.stats().ech_accepted);

    // That the order counts: the token's hello is made at once.
    pair.client = NeqoHttp3Conn::new(&with(Ech::Off), pair.now).unwrap();
    pair.client.neqo().enable_resumption(pair.now, &token).unwrap();
    let _ = pair.client.neqo().enable_ech(config.as_bytes());
    pair.run(SECOND);
    assert!(!pair.client.stats().ech_accepted);
}
