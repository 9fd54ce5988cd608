//! One exchange after another.

use std::time::Duration;

use http::Method;
use http1_session::KeepAlive;
use transaction::HttpTransaction;

use crate::common::*;

#[test]
fn one_exchange_follows_another() {
    let mut peer = Peer::new();
    for n in 1..=3 {
        let response = peer.ask(get());
        assert!(!peer.session.can_activate());
        peer.receive(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}"));
        assert_eq!(whole(response), (200, n.to_string()));
        assert!(!peer.session.can_activate(), "the handle of the last one is still there");
        peer.over();
        assert!(peer.session.may_be_reused() && peer.session.can_activate());
        assert_eq!(peer.session.exchanges(), n);
        assert_eq!(peer.session.buffered(), 0);
    }
    assert_eq!(peer.sent.len() % 3, 0);
    assert_eq!(peer.session.bytes_read(), 3 * 39);
}

#[test]
fn m5_version_and_connection_decide_on_another_one() {
    let cases = [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: x, close , y\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Proxy-Connection: close\r\n", true),
        ("1.1", "Keep-Alive: max=0\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Keep-Alive: timeout=5\r\n", false),
    ];
    for (version, fields, expected) in cases {
        let mut peer = Peer::new();
        let response = peer.ask(get());
        peer.receive(format!("HTTP/{version} 200 OK\r\n{fields}Content-Length: 2\r\n\r\nab"));
        peer.over();
        assert_eq!(whole(response), (200, "ab".into()));
        assert_eq!(peer.session.may_be_reused(), expected, "HTTP/{version} {fields}");
        assert_eq!(peer.session.can_activate(), expected);
    }
}

#[test]
fn a_server_says_how_long_it_waits() {
    let seconds = |n| Some(Duration::from_secs(n));
    let cases = [
        ("", KeepAlive::default()),
        ("Keep-Alive: timeout=5, max=100\r\n", KeepAlive { timeout: seconds(5), max: Some(100) }),
        (
            "keep-alive: MAX=7\r\nKeep-Alive: x=1,Timeout = \"30\"\r\n",
            KeepAlive { timeout: seconds(30), max: Some(7) },
        ),
        ("Keep-Alive: timeout=-1, max=, =3, timeout\r\n", KeepAlive::default()),
    ];
    for (fields, expected) in cases {
        let mut peer = Peer::new();
        let _response = peer.ask(get());
        peer.receive(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n"));
        assert_eq!(peer.session.keep_alive(), expected, "{fields}");
    }
}

#[test]
fn a_response_without_a_body_by_its_nature_ends_with_its_head() {
    for (method, head) in [
        (Method::HEAD, "200 OK\r\nContent-Length: 100"),
        (Method::HEAD, "200 OK\r\nTransfer-Encoding: chunked"),
        (Method::HEAD, "200 OK"),
        (Method::GET, "204 No Content"),
        (Method::GET, "204 No Content\r\nContent-Length: 100"),
        (Method::GET, "304 Not Modified\r\nContent-Length: 100"),
        (Method::GET, "304 Not Modified\r\nTransfer-Encoding: chunked"),
    ] {
        let mut peer = Peer::new();
        let response = peer.ask(get().method(method));
        peer.receive(format!("HTTP/1.1 {head}\r\n\r\n"));
        peer.over();
        assert_eq!(whole(response).1, "", "{head}");
        assert!(peer.session.can_activate(), "{head}");
    }
}

#[test]
fn interim_heads_are_passed_on_and_change_nothing() {
    let mut peer = Peer::new();
    let mut response = peer.ask(get());
    peer.receive("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    peer.receive("HTTP/1.1 102 Processing\r\nConnection: close\r\nContent-Length: 7\r\n\r\n");
    let hints = response.wait_early_hints().unwrap();
    assert_eq!(hints.status.as_u16(), 103);
    assert_eq!(hints.headers["link"], "</a>");
    peer.receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    peer.over();
    assert_eq!(whole(response), (200, String::new()));
    assert!(peer.session.can_activate());
}

#[test]
fn interim_heads_have_a_number() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    peer.receive("HTTP/1.1 102 Processing\r\n\r\n".repeat(33));
    peer.over();
    assert!(is_malformed(&failure(response)));
    assert!(!peer.session.may_be_reused());
}

#[test]
fn a_slow_consumer_holds_the_server_back_and_loses_nothing() {
    for chunked in [false, true] {
        let mut peer = Peer::new();
        let response = peer.ask(get());
        let data: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let body = if chunked {
            let frame = |piece: &[u8]| {
                [format!("{:X}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
            };
            [data.chunks(1000).flat_map(frame).collect(), b"0\r\n\r\n".to_vec()].concat()
        } else {
            data.clone()
        };
        let length = if chunked {
            "Transfer-Encoding: chunked".into()
        } else {
            format!("Content-Length: {}", body.len())
        };
        assert!(peer.receive(format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n")) > 40);
        let mut response = response.wait().unwrap();
        let (mut at, mut got, mut blocked) = (0, Vec::new(), 0);
        while at < body.len() {
            let rest = &body[at..];
            let taken = peer.receive(rest);
            at += taken;
            let full = taken < rest.len();
            assert_eq!(peer.session.is_blocked_on_consumer(), full);
            let held = peer.session.transaction().map_or(0, HttpTransaction::buffered);
            assert!(held <= 96 * 1024, "{held}");
            blocked += u32::from(full);
            got.extend(drain(response.body_mut()));
            if full {
                assert!(peer.session.take_wishes().receive, "the consumer made space");
            }
        }
        got.extend(drain(response.body_mut()));
        assert!(blocked >= 3);
        assert!(got == data);
        peer.over();
        assert!(peer.session.can_activate());
    }
}

/// A chunk of a single byte costs the consumer no piece of its own.
#[test]
fn small_chunks_are_joined() {
    let mut peer = Peer::new();
    let response = peer.ask(get());
    peer.receive("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    peer.receive("1\r\nx\r\n".repeat(2000));
    let mut response = response.wait().unwrap();
    let chunk = response.body_mut().try_chunk().unwrap().unwrap().unwrap();
    assert_eq!(chunk.len(), 2000);
}
