//! What goes again after its connection failed.

use std::io::Write as _;

use http::Method;
use transaction::NetError;

use crate::common::*;

/// Uses the connection once.
fn use_once(peer: &mut Peer) {
    let response = peer.ask(get());
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    peer.over();
    assert_eq!(whole(response).0, 200);
}

/// Ends the connection, in one of the ways in which that happens.
fn ends(peer: &mut Peer, way: u8) {
    match way {
        0 => peer.end(true),
        1 => peer.end(false),
        _ => peer.reset(),
    }
}

#[test]
fn without_an_answer_a_safe_request_goes_again_and_another_one_only_from_a_used_connection() {
    for way in 0..3 {
        for (reused, method, again) in [
            (false, Method::GET, true),
            (false, Method::HEAD, true),
            (false, Method::POST, false),
            (false, Method::DELETE, false),
            (true, Method::GET, true),
            (true, Method::PUT, true),
            (true, Method::POST, true),
        ] {
            let mut peer = Peer::new();
            if reused {
                use_once(&mut peer);
            }
            let response = peer.ask(get().method(method.clone()));
            ends(&mut peer, way);
            let restart = peer.restart();
            assert_eq!(restart.is_some(), again, "{method} {reused} {way}");
            assert!(!peer.session.may_be_reused());
            if !again {
                assert!(matches!(failure(response), NetError::NetReset { .. }));
            }
        }
    }
}

/// The first byte of an answer is an answer: nothing goes again after it.
#[test]
fn with_part_of_an_answer_nothing_goes_again() {
    for part in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early\r\n\r\n", "\r"] {
        for way in 0..3 {
            let mut peer = Peer::new();
            use_once(&mut peer);
            let response = peer.ask(post("x"));
            peer.receive(part);
            ends(&mut peer, way);
            peer.over();
            let error = failure(response);
            assert!(is_partial(&error), "{part} {way}: {error}");
        }
    }
}

#[test]
fn a_body_that_is_gone_does_not_go_again() {
    let mut peer = Peer::new();
    use_once(&mut peer);
    let (mut writer, request) = upload(None);
    let response = peer.ask(request);
    writer.write_all(b"x").unwrap();
    peer.send();
    peer.reset();
    peer.over();
    assert!(matches!(failure(response), NetError::BodyNotRewindable(_)));
}

#[test]
fn a_body_goes_again_from_its_start() {
    let mut peer = Peer::new();
    use_once(&mut peer);
    peer.credit = 100;
    let body = "0123456789".repeat(20);
    let response = peer.ask(post(body.clone()));
    peer.reset();
    let transaction = peer.restart().expect("it goes again");
    let mut peer = Peer::new();
    peer.activate_transaction(transaction);
    peer.send();
    assert!(peer.text().ends_with(&format!("\r\n\r\n{body}")));
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(whole(response).0, 200);
}

#[test]
fn a_408_on_a_used_connection_goes_again_and_is_an_answer_on_a_new_one() {
    let text = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\nslow";
    let mut peer = Peer::new();
    use_once(&mut peer);
    let response = peer.ask(post("x"));
    peer.receive(text);
    let transaction = peer.restart().expect("it goes again");
    assert!(!peer.session.may_be_reused());
    let mut peer = Peer::new();
    peer.activate_transaction(transaction);
    peer.send();
    peer.receive(text);
    peer.over();
    assert_eq!(whole(response), (408, "slow".into()));
}

#[test]
fn a_421_goes_again_elsewhere() {
    let mut peer = Peer::new();
    let response = peer.ask(post("x"));
    peer.receive("HTTP/1.1 421 Misdirected\r\nContent-Length: 0\r\n\r\n");
    let transaction = peer.restart().expect("it goes again");
    assert!(transaction.was_misdirected());
    assert!(!peer.session.may_be_reused());
    drop(transaction);
    assert_eq!(failure(response), NetError::ShuttingDown);
}

/// An error that is not the connection's end (a time limit, TLS) is what the consumer gets.
#[test]
fn what_is_no_reset_is_delivered() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    let error = NetError::Tls { alert: 80, by_peer: true };
    peer.session.fail(error.clone());
    peer.over();
    assert_eq!(failure(response), error);
}
