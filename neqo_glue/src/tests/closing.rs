//! How connections end.

use std::time::Duration;

use http3_session::{CloseReason, Http3Conn as _, Http3Event, Http3Settings};
use neqo_http3::{Http3ServerEvent, Http3State};
use neqo_transport::{CloseReason as NeqoReason, ConnectionParameters, Error, State};
use transaction::ErrorCode;

use super::{raw_server, server, server_events};
use crate::testing::{
    pair::{Pair, get},
    peers::http3_server,
};

const SECOND: Duration = Duration::from_secs(1);

/// The two events of an end, which must be the only ones.
fn end(events: &[Http3Event]) -> CloseReason {
    let [Http3Event::Closing(closing), Http3Event::Closed(closed)] = events else {
        panic!("{events:?}");
    };
    assert_eq!(closing, closed);
    closed.clone()
}

#[test]
fn our_close_reaches_the_server_with_its_code() {
    for (code, expected) in [
        (ErrorCode::NO_ERROR, CloseReason::NoError { by_peer: false }),
        (
            ErrorCode::INTERNAL_ERROR,
            CloseReason::Application {
                code: ErrorCode::INTERNAL_ERROR,
                by_peer: false,
                reason: "words".to_owned(),
            },
        ),
    ] {
        let mut pair = server();
        let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
        pair.run(SECOND / 10);
        pair.events.clear();
        pair.client.close(code, "words", pair.now);
        // The second close is none.
        pair.client.close(ErrorCode::MESSAGE_ERROR, "other words", pair.now);
        pair.run(5 * SECOND);
        assert_eq!(end(&pair.events), expected);
        let reason = NeqoReason::Transport(Error::PeerApplicationError(code.value()));
        let closing = Http3State::Closing(reason);
        assert!(server_events(&pair).into_iter().any(|event| {
            matches!(event, Http3ServerEvent::StateChange { state, .. } if state == closing)
        }));
        assert!(pair.client.read_data(stream, &mut [0; 1], pair.now).is_err());
    }
}

#[test]
fn the_peers_close_comes_with_its_code() {
    for (code, expected) in [
        (0x100, CloseReason::NoError { by_peer: true }),
        (
            0x102,
            CloseReason::Application {
                code: ErrorCode::INTERNAL_ERROR,
                by_peer: true,
                reason: String::new(),
            },
        ),
    ] {
        let mut pair = raw_server();
        pair.run(SECOND / 10);
        pair.events.clear();
        pair.peer.connection.close(pair.now, code, "");
        pair.run(5 * SECOND);
        assert_eq!(end(&pair.events), expected);
    }
}

/// Events about streams that were not taken before the close are gone; the close itself is not.
#[test]
fn a_close_ends_all_other_events() {
    let mut pair = raw_server();
    pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.client.close(ErrorCode::NO_ERROR, "", pair.now);
    pair.events.clear();
    pair.run(5 * SECOND);
    assert_eq!(end(&pair.events), CloseReason::NoError { by_peer: false });
}

#[test]
fn silence_ends_a_connection_without_requests() {
    let mut pair = server();
    pair.events.clear();
    pair.run(29 * SECOND);
    assert!(pair.events.is_empty(), "{:?}", pair.events);
    pair.run(2 * SECOND);
    let timeout = CloseReason::IdleTimeout;
    assert!(
        matches!(&pair.events[..], [Http3Event::Closed(reason)] if *reason == timeout),
        "{:?}",
        pair.events
    );
    assert!(pair.client_flight().1.is_none());
}

/// A shorter setting than the server's counts, and an open request keeps the connection alive.
#[test]
fn the_setting_bounds_the_silence_and_an_open_request_breaks_it() {
    let settings = Http3Settings { idle_timeout: 5 * SECOND, ..Http3Settings::default() };
    let server = http3_server(ConnectionParameters::default());
    let mut pair = Pair::connected(settings, server);
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.events.clear();
    pair.run(60 * SECOND);
    assert!(!pair.take(|event| matches!(event, Http3Event::Closed(_))), "{:?}", pair.events);
    pair.client.cancel_fetch(stream, ErrorCode::REQUEST_CANCELLED);
    pair.run(6 * SECOND);
    assert!(pair.take(|event| matches!(event, Http3Event::Closed(CloseReason::IdleTimeout))));
}

#[test]
fn a_close_before_the_first_datagram_ends_the_connection() {
    let server = http3_server(ConnectionParameters::default());
    let mut pair = Pair::new(Http3Settings::default(), server);
    pair.client.close(ErrorCode::REQUEST_CANCELLED, "", pair.now);
    pair.run(5 * SECOND);
    let closed = pair.events.last();
    assert!(matches!(closed, Some(Http3Event::Closed(_))), "{:?}", pair.events);
}

/// Neither an odd length nor a cut inside a character harms.
#[test]
fn a_long_reason_phrase_is_cut_between_characters() {
    let mut pair = raw_server();
    pair.run(SECOND / 10);
    pair.client.close(ErrorCode::INTERNAL_ERROR, &format!("x{}", "ü".repeat(1000)), pair.now);
    pair.run(SECOND / 10);
    let told = format!("x{}", "ü".repeat(99));
    assert!(pair.take(|event| matches!(event,
        Http3Event::Closing(CloseReason::Application { reason, .. }) if *reason == told)));
    let state = pair.peer.connection.state().clone();
    assert!(matches!(state, State::Draining { .. } | State::Closed(_)), "{state:?}");
}
