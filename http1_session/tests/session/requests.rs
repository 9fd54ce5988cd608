//! What leaves.

use std::{io::Write as _, time::Duration};

use bytes::Bytes;
use http::Method;
use transaction::{NetError, RequestBody};

use crate::common::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

#[test]
fn a_head_is_in_origin_form_with_host_first_and_no_fields_of_the_connection() {
    let mut peer = Peer::new();
    let request = get()
        .header("accept", "*/*")
        .header("connection", "x-hop")
        .header("keep-alive", "300")
        .header("proxy-connection", "keep-alive")
        .header("te", "trailers")
        .header("trailer", "x")
        .header("transfer-encoding", "gzip")
        .header("upgrade", "websocket")
        .header("host", "other.example")
        .header("content-length", "7")
        .header("x-a", "1")
        .header("x-a", "2");
    let _response = peer.ask(request);
    assert_eq!(
        peer.text(),
        "GET /a?b HTTP/1.1\r\nHost: example.org\r\naccept: */*\r\nx-a: 1\r\nx-a: 2\r\n\r\n"
    );
    assert!(!peer.session.wants_send());
}

#[test]
fn the_asterisk_of_options_is_a_path() {
    let mut peer = Peer::new();
    let _response = peer.ask(get().method(Method::OPTIONS).path("*"));
    assert!(peer.text().starts_with("OPTIONS * HTTP/1.1\r\nHost: example.org\r\n"));
}

#[test]
fn a_body_of_known_length_is_announced_whatever_the_application_says() {
    let cases: [(Request, &str); 5] = [
        (post("hello"), "content-length: 5\r\n\r\nhello"),
        (post("hello").header("content-length", "5"), "content-length: 5\r\n\r\nhello"),
        (post("hello").header("content-length", "50"), "content-length: 5\r\n\r\nhello"),
        (post("hello").header("transfer-encoding", "chunked"), "content-length: 5\r\n\r\nhello"),
        (post(RequestBody::Empty), "content-length: 0\r\n\r\n"),
    ];
    for (request, expected) in cases {
        let mut peer = Peer::new();
        let response = peer.ask(request);
        let text = peer.text();
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(text.matches("content-length").count(), 1, "{text}");
        assert!(!text.contains("transfer-encoding"), "{text}");
        peer.receive(OK);
        assert_eq!(whole(response), (200, String::new()));
        peer.over();
        assert!(peer.session.can_activate());
    }
}

#[test]
fn a_body_of_unknown_length_goes_in_chunks_as_it_comes() {
    let (mut writer, request) = upload(None);
    let mut peer = Peer::new();
    let response = peer.ask(request);
    assert!(peer.text().ends_with("transfer-encoding: chunked\r\n\r\n"), "{}", peer.text());
    assert!(!peer.session.wants_send(), "there is nothing yet");
    writer.write_all(b"0123456789abcdefg").unwrap();
    assert!(peer.session.take_wishes().send);
    assert!(peer.session.wants_send());
    assert_eq!(peer.send(), b"11\r\n0123456789abcdefg\r\n");
    assert!(!peer.session.wants_send());
    writer.finish();
    assert!(peer.session.take_wishes().send);
    assert_eq!(peer.send(), b"0\r\n\r\n");
    peer.receive(OK);
    assert_eq!(whole(response).0, 200);
    peer.over();
    assert!(peer.session.can_activate());
}

/// Whatever the network takes at a time, the same bytes leave.
#[test]
fn a_network_that_takes_single_bytes_gets_the_same() {
    let pieces = ["a", "bcd", "0123456789012345678901234567890"];
    let everything = |size: usize| {
        let (mut writer, request) = upload(None);
        let mut peer = Peer::new();
        peer.credit = size;
        let _response = peer.activate(request);
        for piece in pieces {
            writer.write_all(piece.as_bytes()).unwrap();
            peer.session.take_wishes();
            while !peer.send().is_empty() {
                assert!(peer.session.buffered() < 300);
                peer.credit = size;
            }
            peer.credit = size;
        }
        writer.finish();
        peer.session.take_wishes();
        while peer.session.wants_send() {
            peer.send();
            peer.credit = size;
        }
        peer.sent
    };
    let whole = everything(usize::MAX);
    for size in [1, 2, 3, 7, 50] {
        assert_eq!(everything(size), whole, "{size} bytes at a time");
    }
}

#[test]
fn a_large_body_leaves_in_chunks_of_one_record_each() {
    let (mut writer, request) = upload(None);
    let mut peer = Peer::new();
    let _response = peer.ask(request);
    let head = peer.sent.len();
    writer.try_send(&mut Bytes::from(vec![b'x'; 40_000])).unwrap();
    let mut calls = Vec::new();
    let now = peer.now;
    peer.session.send(now, &mut |bytes| {
        calls.push(bytes.len());
        bytes.len()
    });
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert!(calls.iter().all(|length| *length <= 16 * 1024), "{calls:?}");
    assert!(head > 0 && peer.session.buffered() == 0);
}

#[test]
fn a_request_that_was_not_begun_is_not_known_to_have_been_sent() {
    let mut peer = Peer::new();
    peer.credit = 0;
    let _response = peer.ask(post("x"));
    assert!(peer.session.wants_send());
    peer.reset();
    assert!(peer.restart().is_some(), "nothing of it has left");
}

#[test]
fn a_body_shorter_than_announced_never_looks_whole() {
    let (mut writer, request) = upload(Some(10));
    let mut peer = Peer::new();
    let response = peer.ask(request);
    writer.write_all(b"01234").unwrap();
    peer.send();
    writer.finish();
    peer.send();
    peer.over();
    assert!(!peer.session.may_be_reused(), "the server waits for the rest");
    assert!(matches!(failure(response), NetError::RequestBody(_)));
}

#[test]
fn a_body_that_is_given_up_has_no_last_chunk() {
    let (mut writer, request) = upload(None);
    let mut peer = Peer::new();
    let response = peer.ask(request);
    writer.write_all(b"01234").unwrap();
    peer.send();
    drop(writer);
    peer.send();
    peer.over();
    assert!(peer.text().ends_with("\r\n5\r\n01234\r\n"), "{}", peer.text());
    assert!(!peer.session.may_be_reused());
    assert!(matches!(failure(response), NetError::RequestBody(_)));
}

#[test]
fn a_body_waits_for_100_if_the_server_is_asked() {
    let mut peer = Peer::new();
    let response = peer.ask(post("hello").header("expect", "100-continue"));
    assert!(peer.text().ends_with("\r\n\r\n"), "{}", peer.text());
    assert!(peer.text().contains("\r\nexpect: 100-continue\r\n"));
    assert!(!peer.session.wants_send());
    assert_eq!(peer.session.deadline(), Some(peer.now + Duration::from_secs(1)));
    peer.receive(CONTINUE);
    assert!(peer.session.wants_send());
    assert_eq!(peer.session.deadline(), None);
    assert_eq!(peer.send(), b"hello");
    peer.receive(OK);
    assert_eq!(whole(response).0, 200);
    peer.over();
    assert!(peer.session.can_activate());
}

#[test]
fn a_body_waits_a_second_and_no_longer() {
    let mut peer = Peer::new();
    let _response = peer.ask(post("hello").header("expect", "100-continue"));
    peer.after(Duration::from_millis(999));
    assert!(!peer.session.wants_send());
    peer.after(Duration::from_millis(1));
    assert!(peer.session.wants_send());
    assert_eq!(peer.send(), b"hello");
    assert_eq!(peer.session.deadline(), None);
}

#[test]
fn a_final_status_ends_the_wait() {
    // One that takes it lets the body go; after another one nothing of it leaves.
    let mut peer = Peer::new();
    let _response = peer.ask(post("hello").header("expect", "100-continue"));
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(peer.send(), b"hello");

    let mut peer = Peer::new();
    let response = peer.ask(post("hello").header("expect", "100-continue"));
    peer.receive("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    peer.over();
    assert_eq!(peer.send(), b"");
    assert_eq!(whole(response), (403, "no".into()));
    assert!(!peer.session.may_be_reused(), "the server may wait for the body");
}

#[test]
fn only_a_body_is_waited_with() {
    let mut peer = Peer::new();
    let _response = peer.ask(get().header("expect", "100-continue"));
    assert!(!peer.text().contains("expect"));
    assert_eq!(peer.session.deadline(), None);
}

#[test]
fn a_417_goes_again_without_the_expectation_once() {
    let mut peer = Peer::new();
    let response = peer.ask(post("hello").header("expect", "100-continue"));
    peer.receive("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    let transaction = peer.restart().expect("it goes again");
    assert!(!peer.session.may_be_reused());
    let mut peer = Peer::new();
    peer.activate_transaction(transaction);
    peer.send();
    assert!(!peer.text().contains("expect"));
    assert!(peer.text().ends_with("\r\n\r\nhello"));
    peer.receive("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    peer.over();
    assert_eq!(whole(response).0, 417);
}

#[test]
fn a_417_is_the_answer_if_the_body_is_gone() {
    let (mut writer, request) = upload(None);
    let mut peer = Peer::new();
    let response = peer.ask(request.header("expect", "100-continue"));
    writer.write_all(b"01234").unwrap();
    peer.after(Duration::from_secs(1));
    peer.send();
    peer.receive("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    peer.over();
    assert_eq!(whole(response).0, 417);
}

#[test]
fn a_refusal_in_the_midst_of_a_body_stops_it() {
    let (mut writer, request) = upload(None);
    let mut peer = Peer::new();
    let response = peer.ask(request);
    writer.write_all(b"01234").unwrap();
    peer.send();
    peer.receive("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\n");
    assert!(writer.write_all(b"more").is_err(), "nobody wants it");
    assert_eq!(peer.send(), b"", "not even the last chunk, which would make it whole");
    peer.receive("no, ");
    peer.over();
    assert_eq!(whole(response), (413, "no, ".into()));
    assert!(!peer.session.may_be_reused());
}

#[test]
fn a_body_goes_on_under_a_good_answer_and_stops_with_its_end() {
    let (mut writer, request) = upload(None);
    let mut peer = Peer::new();
    let response = peer.ask(request);
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nec");
    writer.write_all(b"01234").unwrap();
    peer.session.take_wishes();
    assert_eq!(peer.send(), b"5\r\n01234\r\n");
    peer.receive("ho");
    peer.over();
    assert_eq!(whole(response), (200, "echo".into()));
    assert!(writer.write_all(b"more").is_err());
    assert!(!peer.session.may_be_reused(), "the request was not whole");
}

#[test]
fn timings_are_recorded() {
    let mut peer = Peer::new();
    let response = peer.activate(get());
    let timings = response.timings();
    assert_eq!(timings.get().request_start, None);
    let at = |peer: &mut Peer| {
        peer.now += Duration::from_millis(5);
        Some(peer.now)
    };
    let start = at(&mut peer);
    peer.send();
    let head = at(&mut peer);
    peer.receive("HTTP/1.1 103 Early\r\n\r\n");
    at(&mut peer);
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    let end = at(&mut peer);
    peer.receive("x");
    let found = timings.get();
    assert_eq!((found.request_start, found.response_start, found.response_end), (start, head, end));
}
