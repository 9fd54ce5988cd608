//! Response heads that a server should not send.

use std::time::Duration;

use http3_session::{CloseReason, Http3Conn as _, Http3Event, StreamId};
use neqo_http3::{Header, Http3ServerEvent};
use transaction::ErrorCode;

use super::{raw_server, server, server_events};
use crate::testing::{pair::get, peers::headers_frame};

const SHORT: Duration = Duration::from_millis(100);

/// The event for a response head that neqo's server was made to send.
fn answered(fields: &[(&str, &str)]) -> Http3Event {
    let mut pair = server();
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.client.close_send(stream).unwrap();
    pair.run(SHORT);
    pair.events.clear();
    let headers: Vec<_> = fields.iter().map(|(n, v)| Header::new(*n, *v)).collect();
    for event in server_events(&pair) {
        if let Http3ServerEvent::Headers { stream, .. } = event {
            stream.send_headers(&headers).unwrap();
        }
    }
    pair.run(Duration::from_secs(1));
    pair.events.remove(0)
}

/// The events after a response of these bytes, and the request's stream.
fn answered_raw(bytes: &[u8]) -> (Vec<Http3Event>, StreamId) {
    let mut pair = raw_server();
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.client.close_send(stream).unwrap();
    pair.run(SHORT);
    pair.events.clear();
    pair.peer.answer(0, bytes);
    pair.run(SHORT);
    // Whatever it was, the session will reset the stream.
    pair.client.cancel_fetch(stream, ErrorCode::MESSAGE_ERROR);
    (std::mem::take(&mut pair.events), stream)
}

#[test]
fn interim_and_final_heads_are_told_alike() {
    for status in [100, 103, 200, 599] {
        let text = status.to_string();
        let event = answered(&[(":status", &text), ("link", "</a>")]);
        let Http3Event::HeaderReady { status: told, headers, fin, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!((told.as_u16(), headers.len(), fin), (status, 1, false));
    }
}

#[test]
fn heads_that_neqo_lets_pass_are_malformed() {
    let large = "a".repeat(400_000);
    for fields in [
        &[(":status", "200"), ("x", "a\r\nset-cookie: b")][..],
        &[(":status", "200"), ("x", "a\0b")],
        &[(":status", "200"), ("a b", "x")],
        &[(":status", "+200")],
        &[(":status", "600")],
        &[(":status", "099")],
        &[(":status", "200"), ("x", &large)],
    ] {
        let event = answered(fields);
        assert!(matches!(event, Http3Event::MalformedHead { .. }), "{event:?}");
    }
}

#[test]
fn heads_that_neqo_resets_by_itself_are_malformed_too() {
    for bytes in [
        // Upper case, a pseudo-header field of requests, one after a field, two of them, none, 101.
        headers_frame(&[(b":status", b"200"), (b"Content", b"x")]),
        headers_frame(&[(b":status", b"200"), (b":method", b"GET")]),
        headers_frame(&[(b"content", b"x"), (b":status", b"200")]),
        headers_frame(&[(b":status", b"200"), (b":status", b"200")]),
        headers_frame(&[(b"content", b"x")]),
        headers_frame(&[(b":status", b"101")]),
        // The end of the stream before a head, and after an interim one.
        Vec::new(),
        headers_frame(&[(b":status", b"103")]),
    ] {
        let (events, request) = answered_raw(&bytes);
        let malformed = events.iter().any(
            |event| matches!(event, Http3Event::MalformedHead { stream, .. } if *stream == request),
        );
        assert!(malformed, "{bytes:x?}: {events:?}");
    }
}

/// neqo's strings can't hold such a value, and its decoder then gives up the connection.
#[test]
fn a_value_that_is_no_text_ends_the_connection() {
    let (events, _) = answered_raw(&headers_frame(&[(b":status", b"200"), (b"content", b"\xff")]));
    let code = ErrorCode::new(0x200);
    let expected = CloseReason::Application { code, by_peer: false, reason: String::new() };
    assert!(matches!(&events[0], Http3Event::Closing(reason) if *reason == expected), "{events:?}");
}

#[test]
fn a_frame_out_of_place_ends_the_connection() {
    let (events, _) = answered_raw(&[0x00, 0x01, b'x']);
    let code = ErrorCode::new(0x105);
    assert!(
        matches!(&events[0], Http3Event::Closing(CloseReason::Application { code: told, by_peer: false, .. })
            if *told == code),
        "{events:?}"
    );
}
