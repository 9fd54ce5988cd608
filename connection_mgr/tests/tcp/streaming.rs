//! Bodies on their way, slow consumers and slow servers.

use std::{io::Write as _, time::Duration};

use http::Method;
use transaction::{NetError, RequestBody};

use crate::{
    fixture::{Fixture, OK, SECOND, body, poll, read, whole},
    server::Script as _,
};

/// Bytes of which no two neighbours are alike.
fn words(count: usize) -> Vec<u8> {
    (0_u8..251).cycle().take(count).collect()
}

/// Reads a body to its end, and lets time pass between.
fn drain(
    http: &mut Fixture,
    body: &mut transaction::ResponseBody,
) -> (Vec<u8>, Result<(), NetError>) {
    let mut all = Vec::new();
    for _ in 0..10_000 {
        let (bytes, end) = read(body);
        all.extend(bytes);
        if let Some(end) = end {
            return (all, end);
        }
        http.pass(Duration::from_millis(20));
    }
    panic!("no end after {} bytes", all.len());
}

/// <https://github.com/curl/curl/issues/4939>
#[test]
fn d2_38_a_slow_consumer_holds_the_server_back_and_gets_everything_in_the_end() {
    const LENGTH: usize = 3_000_000;
    let framings = [format!("Content-Length: {LENGTH}"), "X: until the end".to_owned()];
    for framing in framings {
        let mut http = Fixture::new();
        let mut response = http.get();
        http.settle();
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        http.server.say(0, [head.into_bytes(), words(LENGTH)].concat());
        http.pass(60 * SECOND);
        let connection = http.connection();
        assert!(
            connection.buffered <= 96 * 1024 && connection.unread <= 64 * 1024,
            "{connection:?}"
        );
        let sent = http.network().counts(crate::fixture::SERVER, crate::fixture::CLIENT);
        assert!(http.server.left(0) > LENGTH / 2, "{} left, {sent:?}", http.server.left(0));
        let mut body = body(&mut response);
        let mut all = Vec::new();
        while http.server.left(0) > 0 {
            all.extend(read(&mut body).0);
            http.pass(Duration::from_millis(50));
        }
        // The end is there long before it is read.
        http.server.end(0, true);
        http.pass(60 * SECOND);
        let (rest, end) = drain(&mut http, &mut body);
        all.extend(rest);
        assert_eq!(end, Ok(()), "{framing}");
        assert!(all == words(LENGTH), "{} bytes", all.len());
        http.settle();
        http.assert_nothing_left();
    }
}

#[test]
fn r3_a_request_that_is_cancelled_with_a_full_pipe_leaves_nothing() {
    let mut http = Fixture::new();
    let mut response = http.get();
    http.settle();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    http.server.say(0, [head, words(1_000_000)].concat());
    http.settle();
    let body = body(&mut response);
    assert!(http.connection().buffered > 64 * 1024);
    drop(body);
    http.settle();
    http.assert_nothing_left();
}

#[test]
fn a_server_that_does_not_read_holds_the_application_back() {
    const LENGTH: usize = 2_000_000;
    let mut http = Fixture::new();
    let mut response = http.send(Method::PUT, &[], RequestBody::from(words(LENGTH)));
    http.pass(SECOND / 20);
    http.server.hear(0, true);
    http.pass(60 * SECOND);
    assert!(http.server.line(0).heard.len() < LENGTH / 2);
    http.server.hear(0, false);
    http.pass(60 * SECOND);
    let heard = &http.server.line(0).heard;
    assert!(heard.len() > LENGTH && heard.ends_with(&words(LENGTH)), "{}", heard.len());
    http.server.say(0, OK);
    http.settle();
    assert_eq!((whole(&mut response).as_str(), http.lists()), ("ok", [0, 1, 0]));
}

#[test]
fn a_body_that_is_written_while_it_leaves_goes_in_chunks() {
    let mut http = Fixture::new();
    let (mut writer, pipe) = RequestBody::pipe(None);
    let mut response = http.send(Method::POST, &[], pipe);
    http.settle();
    let head = http.server.take_heard(0);
    assert!(head.ends_with("transfer-encoding: chunked\r\n\r\n"), "{head}");
    for (piece, chunk) in
        [("hello", "5\r\nhello\r\n"), ("0123456789abcdef", "10\r\n0123456789abcdef\r\n")]
    {
        writer.write_all(piece.as_bytes()).expect("it is taken");
        http.settle();
        assert_eq!(http.server.take_heard(0), chunk);
    }
    writer.finish();
    http.settle();
    assert_eq!(http.server.take_heard(0), "0\r\n\r\n");
    http.server.say(0, OK);
    http.settle();
    assert_eq!((whole(&mut response).as_str(), http.lists()), ("ok", [0, 1, 0]));
}

/// <https://github.com/dfinity/ic/pull/1346>
#[test]
fn d2_31_a_body_that_breaks_off_never_looks_whole() {
    for length in [None, Some(10)] {
        let mut http = Fixture::new();
        let (mut writer, pipe) = RequestBody::pipe(length);
        let mut response = http.send(Method::POST, &[], pipe);
        writer.write_all(b"hello").expect("it is taken");
        http.settle();
        drop(writer);
        http.settle();
        let told = crate::fixture::error(&mut response);
        assert!(matches!(told, NetError::RequestBody(_)), "{told:?}");
        assert!(!http.server.heard(0).contains("\r\n0\r\n"));
        assert!(http.server.line(0).ended);
        http.assert_nothing_left();
    }
}

#[test]
fn a_body_waits_for_100_for_a_second_and_no_longer() {
    let mut http = Fixture::new();
    let expect = [("expect", "100-continue")];
    let mut response = http.send(Method::POST, &expect, RequestBody::from("a body"));
    http.pass(Duration::from_millis(900));
    assert!(http.server.heard(0).ends_with("\r\n\r\n"), "the head alone");
    http.pass(Duration::from_millis(300));
    assert!(http.server.take_heard(0).ends_with("a body"));
    http.server.say(0, OK);
    http.settle();
    assert_eq!((whole(&mut response).as_str(), http.lists()), ("ok", [0, 1, 0]));

    let mut response = http.send(Method::POST, &expect, RequestBody::from("a body"));
    http.pass(SECOND / 10);
    http.server.say(0, "HTTP/1.1 100 Continue\r\n\r\n");
    http.pass(SECOND / 10);
    assert!(http.server.take_heard(0).ends_with("a body"), "at once");
    http.server.say(0, OK);
    http.settle();
    assert_eq!((whole(&mut response).as_str(), http.server.made()), ("ok", 1));

    let mut response = http.send(Method::POST, &expect, RequestBody::from("a body"));
    http.pass(SECOND / 10);
    http.server.say(0, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    http.settle();
    let again = http.server.take_heard(1);
    assert!(again.ends_with("a body") && !again.contains("expect"), "{again}");
    http.server.say(1, OK);
    http.settle();
    assert_eq!(whole(&mut response), "ok");
}

/// The server answers before it has the body, and lets go: its words are there, though nothing can be written
/// any more.
///
/// <https://github.com/curl/curl/issues/9122>
#[test]
fn d2_34_an_answer_before_the_end_of_the_request_arrives_however_the_server_ends() {
    const REFUSED: &str = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!";
    type End = fn(&mut Fixture);
    let ends: [End; 4] = [
        |_| {},
        |http| http.server.end(0, true),
        |http| http.server.end(0, false),
        |http| http.server.reset(0),
    ];
    for (n, end) in ends.into_iter().enumerate() {
        for busy in [false, true] {
            let mut http = Fixture::new();
            let mut response = http.send(Method::POST, &[], RequestBody::from(words(5_000_000)));
            http.pass(SECOND / 20);
            http.server.hear(0, true);
            http.settle();
            assert!(http.server.line(0).heard.len() < 2_500_000, "the body does not get on");
            http.server.say(0, REFUSED);
            http.pass(Duration::from_millis(1));
            end(&mut http);
            if busy {
                // All of it waits for the client's next turn.
                http.pass_without_client(Duration::from_millis(50));
            }
            http.settle();
            let answer = poll(&mut response).expect("an end");
            let answer = answer.unwrap_or_else(|told| panic!("{n}, busy: {busy}: {told:?}"));
            assert_eq!(answer.status(), 413);
            let (bytes, told) = read(&mut answer.into_body());
            assert_eq!((&bytes[..], told), (&b"no!"[..], Some(Ok(()))), "{n}, busy: {busy}");
            assert_eq!(http.server.made(), 1, "it does not go again");
            http.assert_nothing_left();
        }
    }
}

#[test]
fn pieces_of_any_size_make_the_same_response() {
    let response = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\
                    Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nX-Sum: 12\r\n\r\n";
    for limit in [1, 2, 3, 7, 100] {
        let mut http = Fixture::new();
        http.network().stream_call_limit(limit);
        for line in [0, 0] {
            let mut pending = http.get();
            http.pass(60 * SECOND);
            http.server.say(line, response);
            http.pass(60 * SECOND);
            let mut body = body(&mut pending);
            assert_eq!(read(&mut body), (b"hello, world".to_vec(), Some(Ok(()))), "{limit}");
            assert_eq!(body.take_trailers().expect("trailers")["x-sum"], "12");
        }
        assert_eq!((http.server.made(), http.lists()), (1, [0, 1, 0]));
    }
}
