//! How exchanges end early, and what ends with the connection.

use transaction::NetError;

use crate::common::*;

const UNTIL_CLOSE: [&str; 2] =
    ["HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello"];

#[test]
fn a_body_until_close_is_whole_only_with_close_notify() {
    for text in UNTIL_CLOSE {
        let mut peer = Peer::new();
        let response = peer.ask(get());
        peer.receive(text);
        assert!(peer.session.take_finished().is_none());
        peer.end(true);
        peer.over();
        assert_eq!(whole(response), (200, "hello".into()));
        assert!(!peer.session.may_be_reused());

        let mut peer = Peer::new();
        let response = peer.ask(get());
        peer.receive(text);
        peer.end(false);
        peer.over();
        let (_, body, error) = outcome(response).unwrap();
        assert_eq!(body, b"hello");
        assert!(is_partial(&error.unwrap()), "somebody may have cut it off");
        assert!(!peer.session.may_be_reused());
    }
}

#[test]
fn a_body_that_breaks_off_is_partial_even_with_close_notify() {
    for (fields, expected) in [
        ("Content-Length: 10\r\n\r\nhello", Some(10)),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", None),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", None),
    ] {
        for clean in [true, false] {
            let mut peer = Peer::new();
            let response = peer.ask(get());
            peer.receive(format!("HTTP/1.1 200 OK\r\n{fields}"));
            peer.end(clean);
            peer.over();
            match failure(response) {
                NetError::PartialTransfer { received: 5, expected: found, .. } => {
                    assert_eq!(found, expected);
                }
                error => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_failure_in_a_body_is_partial() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    peer.reset();
    peer.over();
    assert!(is_partial(&failure(response)));
}

#[test]
fn an_idle_connection_that_ends_is_not_used_again() {
    for clean in [true, false] {
        let mut peer = Peer::new();
        peer.end(clean);
        assert!(peer.session.take_finished().is_none());
        assert!(!peer.session.can_activate() && !peer.session.may_be_reused());
    }
    let mut peer = Peer::new();
    peer.reset();
    assert!(peer.session.take_finished().is_none());
    assert!(!peer.session.can_activate() && !peer.session.may_be_reused());
}

#[test]
fn an_abort_ends_the_exchange_for_good() {
    for received in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"] {
        let mut peer = Peer::new();
        let response = peer.ask(get());
        peer.receive(received);
        peer.session.abort(NetError::ShuttingDown);
        peer.over();
        assert_eq!(failure(response), NetError::ShuttingDown);
        assert!(!peer.session.may_be_reused());
        assert_eq!(peer.receive("hello"), 5, "what still comes is nobody's");
        assert!(!peer.session.wants_send());
    }
}

#[test]
fn a_consumer_that_lets_go_is_a_wish_to_cancel() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    assert!(!peer.session.take_wishes().cancel);
    drop(response);
    assert!(peer.session.take_wishes().cancel);
}

#[test]
fn a_session_that_is_dropped_leaves_nobody_waiting() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    drop(peer);
    assert_eq!(failure(response), NetError::ShuttingDown);
}
