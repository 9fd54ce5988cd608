//! Where a response ends, wherever its bytes are divided.

use http::HeaderMap;

use crate::common::*;

/// Responses to a GET, with what the consumer is to get of them.
const RESPONSES: [(&str, &str); 8] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", ""),
    ("HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 5\n\nhello", "hello"),
    (
        "HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "hello",
    ),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=\"b;c\"\r\nhe\r\n0003 ;x\r\nllo\r\n\
         00\r\nX-Sum: 1\r\nx-sum: 2\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
        "hello",
    ),
];

#[test]
fn a_response_is_the_same_wherever_it_is_divided() {
    for (text, expected) in RESPONSES {
        let bytes = text.as_bytes();
        for at in 0..=bytes.len() {
            let mut peer = Peer::new();
            let response = peer.ask(get());
            for piece in [&bytes[..at], &bytes[at..]] {
                assert_eq!(peer.receive(piece), piece.len());
            }
            peer.over();
            assert_eq!(whole(response), (200, expected.into()), "{text} at {at}");
            assert!(peer.session.can_activate(), "{text} at {at}");
        }
        let mut peer = Peer::new();
        let response = peer.ask(get());
        peer.receive_in_pieces(bytes, 1);
        peer.over();
        assert_eq!(whole(response), (200, expected.into()), "{text} byte by byte");
    }
}

/// With every byte but the last one, none of them is over.
#[test]
fn a_response_is_not_over_before_its_last_byte() {
    for (text, _) in RESPONSES {
        let mut peer = Peer::new();
        let response = peer.ask(get());
        peer.receive(&text.as_bytes()[..text.len() - 1]);
        assert!(peer.session.take_finished().is_none(), "{text}");
        peer.end(true);
        peer.over();
        let error = failure(response);
        assert!(is_partial(&error), "{text}: {error}");
    }
}

#[test]
fn trailers_are_delivered_without_those_that_mean_something_else() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    peer.receive_in_pieces(RESPONSES[7].0.as_bytes(), 3);
    let mut body = response.wait().unwrap().into_body();
    assert_eq!(drain(&mut body), b"hello");
    let trailers: HeaderMap = body.take_trailers().unwrap();
    let sums: Vec<_> = trailers.get_all("x-sum").iter().collect();
    assert_eq!(sums, ["1", "2"]);
    assert_eq!(trailers.len(), 2);
}

#[test]
fn a_head_has_a_largest_size_and_a_largest_number_of_fields() {
    let fill = |size: usize| {
        let (start, end) = ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: ", "\r\n\r\n");
        format!("{start}{}{end}", "x".repeat(size - start.len() - end.len()))
    };
    let fields = |count: usize| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", "a: b\r\n".repeat(count - 1))
    };
    let cases = [
        (fill(384 * 1024), true),
        (fill(384 * 1024 + 1), false),
        (fields(256), true),
        (fields(257), false),
    ];
    for (text, good) in cases {
        let mut peer = Peer::new();
        let response = peer.ask(get());
        for piece in text.as_bytes().chunks(16_000) {
            peer.receive(piece);
            assert!(peer.session.buffered() <= 384 * 1024);
        }
        peer.over();
        match outcome(response) {
            Ok((200, _, None)) => assert!(good),
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(!good && is_malformed(&error), "{error}"),
        }
    }
}

/// A head of the largest size, byte by byte, costs time in proportion to its size, and no more.
#[test]
fn a_head_that_trickles_is_read_once() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    peer.receive("HTTP/1.1 200 OK\r\n");
    let line = format!("A: {}\r\n", "x".repeat(1994));
    for _ in 0..190 {
        peer.receive_in_pieces(line.as_bytes(), 1);
    }
    peer.receive("Content-Length: 0\r\n\r\n");
    peer.over();
    assert_eq!(whole(response).0, 200);
}

#[test]
fn extensions_and_trailers_of_a_chunked_body_are_bounded() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let many_extensions = "1;a=b\r\nx\r\n".repeat(5000);
    let long_extension = format!("1;{}", "x".repeat(17_000));
    let long_trailer = format!("0\r\nA: {}", "x".repeat(70_000));
    let many_trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(300));
    for body in [many_extensions, long_extension, long_trailer, many_trailers] {
        let mut peer = Peer::new();
        let response = peer.ask(get());
        peer.receive(head);
        peer.receive(&body);
        peer.over();
        assert!(is_malformed(&failure(response)), "{}", &body[..10]);
        assert!(!peer.session.may_be_reused());
    }
}

/// What came before a mistake is the consumer's.
#[test]
fn bytes_before_a_mistake_are_delivered() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    peer.receive("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n");
    peer.over();
    let (status, body, error) = outcome(response).unwrap();
    assert_eq!((status, &body[..]), (200, &b"hello"[..]));
    assert!(is_malformed(&error.unwrap()));
}
