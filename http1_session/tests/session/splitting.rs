//! Responses that two readers could understand in two ways: request smuggling and response splitting, by class.

use crate::common::*;

/// A GET that gets this fails, and nothing follows on its connection.
fn refused(text: &str) {
    for size in [usize::MAX, 1] {
        let mut peer = Peer::new();
        let response = peer.ask(get());
        for piece in text.as_bytes().chunks(size.min(text.len())) {
            peer.receive(piece);
        }
        let finished = peer.session.take_finished();
        let finished = finished.unwrap_or_else(|| panic!("{text:?} waits for more"));
        assert!(finished.restart.is_none(), "{text:?}");
        assert!(!peer.session.may_be_reused(), "{text:?}");
        let error = failure(response);
        assert!(is_malformed(&error), "{text:?}: {error}");
    }
}

/// With a body that is one by every reading.
fn refused_head(fields: &str) {
    refused(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n0\r\n\r\n"));
}

fn refused_chunks(body: &str) {
    refused(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
}

#[test]
fn lengths_that_differ_or_are_none() {
    for length in ["5, 6", "5,", ",5", "+5", "-5", "0x5", "5 5", "5;", "", "99999999999999999999"] {
        refused_head(&format!("Content-Length: {length}"));
    }
    refused_head("Content-Length: 5\r\nContent-Length: 6");
    refused_head("Content-Length: 5\r\ncontent-length: x");
}

#[test]
fn a_length_and_a_coding() {
    refused_head("Content-Length: 5\r\nTransfer-Encoding: chunked");
    refused_head("Transfer-Encoding: chunked\r\nContent-Length: 5");
    refused_head("Transfer-Encoding: identity\r\nContent-Length: 5");
}

#[test]
fn a_coding_other_than_exactly_chunked() {
    for coding in [
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked,",
        "chunked;x=1",
        "xchunked",
        "chunked\u{b}",
        "\"chunked\"",
        "",
    ] {
        refused_head(&format!("Transfer-Encoding: {coding}"));
    }
    refused_head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked");
    refused_head("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked");
    refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

#[test]
fn fields_that_hide_from_one_of_two_readers() {
    for fields in [
        "Content-Length : 5",
        "Content-Length\t: 5",
        " Content-Length: 5",
        "A: b\r\n Content-Length: 5",
        "A: b\r\n\tc",
        "A: b\rContent-Length: 5",
        "A: b\r\r\nContent-Length: 5",
        "A: b\0c",
        "A: b\u{1}c",
        "A\0: b",
        "A b: c",
        "no colon",
        ": no name",
        "A(: b",
    ] {
        refused_head(fields);
    }
}

#[test]
fn what_is_no_status_line_of_http_1() {
    for text in [
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "<html>hello",
        "x",
        "\rHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\n\r\n",
    ] {
        refused(text);
    }
}

#[test]
fn another_protocol() {
    refused("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n");
}

#[test]
fn chunks_that_are_none() {
    for body in [
        "\r\n",
        "x\r\n",
        "-1\r\nx\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "1 \r\nx\r\n",
        "1 1\r\nx\r\n",
        "1_0\r\nx\r\n",
        "1,\r\nx\r\n",
        "11111111111111111\r\n",
        "00000000000000001\r\n",
        ";a=b\r\n",
        // Line ends.
        "1\nx\r\n",
        "1\r\nx\n0\r\n",
        "1\rx\r\n",
        "1\r\r\nx\r\n",
        "1;a\nx\r\n",
        "1;a\rb\r\nx\r\n",
        "1;a\0\r\nx\r\n",
        "1;\u{7f}\r\nx\r\n",
        // More or less data than the size says.
        "1\r\nxy\r\n0\r\n\r\n",
        "2\r\nx\r\n0\r\n\r\n",
        // Trailers.
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\nC: d\r\n\r\n",
        "0\r\n\n",
        "0\r\nA: b\rC: d\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nA: b\0\r\n\r\n",
    ] {
        refused_chunks(body);
    }
}

/// A second response in the body of the first, or behind it, is never anybody's.
#[test]
fn bytes_behind_a_response_belong_to_nobody() {
    let second = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let firsts = [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
        "HTTP/1.1 304 Not\r\n\r\n",
    ];
    for first in firsts {
        for surplus in [second, "x", "\r\n"] {
            // With the response, or after it.
            for together in [true, false] {
                let mut peer = Peer::new();
                let response = peer.ask(get());
                if together {
                    peer.receive(format!("{first}{surplus}"));
                    peer.over();
                } else {
                    peer.receive(first);
                    peer.over();
                    assert!(peer.session.may_be_reused());
                    peer.receive(surplus);
                    assert!(peer.session.take_finished().is_none());
                }
                assert!(!whole(response).1.contains("evil"));
                assert!(!peer.session.may_be_reused(), "{first} {surplus}");
                assert!(!peer.session.can_activate());
            }
        }
    }
}

/// The response to a `HEAD` has no body; a server that sends one all the same sends it to nobody.
#[test]
fn a_body_behind_the_head_of_a_head_belongs_to_nobody() {
    let mut peer = Peer::new();
    let response = peer.ask(get().method(http::Method::HEAD));
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    peer.over();
    assert_eq!(whole(response), (200, String::new()));
    assert!(!peer.session.may_be_reused());
}

/// A response that is there before its request has left was meant for another one.
#[test]
fn a_response_before_its_request_is_not_believed() {
    let mut peer = Peer::new();
    let first = peer.ask(get());
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
    peer.over();
    assert_eq!(whole(first).1, "good");
    peer.credit = 0;
    let second = peer.ask(post("x"));
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    let transaction = peer.restart().expect("it goes again, elsewhere");
    assert!(!peer.session.may_be_reused());
    let mut peer = Peer::new();
    peer.activate_transaction(transaction);
    peer.send();
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
    assert_eq!(whole(second).1, "good");
}

/// Empty lines before a status line are an old server's habit (RFC 9112 §2.2), and a few of them are harmless.
#[test]
fn a_few_empty_lines_before_a_head_are_passed_over() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    peer.receive_in_pieces(b"\r\n\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1);
    peer.over();
    assert_eq!(whole(response).0, 200);
}
