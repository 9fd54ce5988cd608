//! Responses over the real engine and real sockets, byte by byte.

use std::{fs, thread};

use crate::common::{Fixture, now};
use server::byte_at;

#[test]
fn bodies_of_any_size_arrive_byte_by_byte() {
    let server = Fixture::new();
    let mut client = server.client();
    for length in [0, 1, 1350, 65_536, 1_000_000, 20_000_000] {
        client.fetch(&format!("/bytes/{length}")).assert_pattern(length);
    }
    client.close();
    let snapshot = server.wait_until_empty();
    assert_eq!(snapshot.responses.completed, 6);
    assert_eq!(snapshot.responses.body_bytes, 21_066_887);
}

#[test]
fn a_file_arrives_byte_by_byte_and_is_closed() {
    let server = Fixture::new();
    let bytes: Vec<u8> = (0..3_000_001).map(byte_at).collect();
    fs::write(server.root().join("three million.bin"), bytes).unwrap();
    fs::write(server.root().join("empty.txt"), "").unwrap();
    fs::write(server.root().join("index.html"), "<p>hello").unwrap();
    let mut client = server.client();
    let answer = client.fetch("/three%20million.bin?query=is+ignored");
    answer.assert_pattern(3_000_001);
    assert_eq!(answer.field("content-type"), Some("application/octet-stream"));
    assert!(answer.field("last-modified").is_some());

    let index = client.fetch("/");
    assert_eq!((index.status(), index.text.as_str()), (200, "<p>hello"));
    assert_eq!(index.field("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(client.fetch("/empty.txt").length, 0);

    // What the client has already is not sent again.
    let tag = answer.field("etag").unwrap().to_owned();
    let stream = client.request("GET", "/three%20million.bin", &[("if-none-match", &tag)], true);
    let again = client.answer(stream);
    assert_eq!((again.status(), again.length), (304, 0));
    client.close();
    assert_eq!(server.wait_until_empty().files_open, 0);
}

#[test]
fn head_has_the_head_of_get_and_no_body() {
    let server = Fixture::new();
    fs::write(server.root().join("a.txt"), "twelve bytes").unwrap();
    let mut client = server.client();
    for (path, length) in [("/a.txt", "12"), ("/bytes/1000000", "1000000")] {
        let stream = client.request("HEAD", path, &[], true);
        let answer = client.answer(stream);
        assert_eq!((answer.status(), answer.length), (200, 0), "{path}");
        assert_eq!(answer.field("content-length"), Some(length), "{path}");
    }
    for (path, more, status) in
        [("/missing", &[][..], 404), ("/bytes/x", &[], 400), ("/a.txt", &[("te", "x")], 400)]
    {
        let stream = client.request("HEAD", path, more, true);
        let answer = client.answer(stream);
        assert_eq!((answer.status(), answer.length), (status, 0), "{path}");
    }
}

#[test]
fn what_is_not_there_is_refused_with_a_reason() {
    let server = Fixture::new();
    fs::write(server.directory.path().join("root/a.txt"), "a").unwrap();
    let mut client = server.client();
    for (path, status) in [
        ("/missing", 404),
        ("/", 404),
        ("/../cert.pem", 403),
        ("/%2e%2e/key.pem", 403),
        ("/..%2fkey.pem", 400),
        ("/a.txt%00", 400),
        ("/bytes/", 400),
        ("/bytes/-1", 400),
        ("/bytes/1e9", 400),
        ("/bytes/99999999999999999999", 400),
        ("*", 400),
    ] {
        let answer = client.fetch(path);
        assert_eq!(answer.status(), status, "{path}");
        assert!(answer.text.starts_with(&status.to_string()), "{path}: {}", answer.text);
        assert_eq!(answer.field("content-length"), Some(answer.text.len().to_string().as_str()));
    }
    for method in ["DELETE", "OPTIONS", "PATCH", "get"] {
        let stream = client.request(method, "/a.txt", &[], true);
        let answer = client.answer(stream);
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.field("allow"), Some("GET, HEAD, POST, PUT"));
    }
    let stream = client.request("GET", "/a.txt", &[("connection", "close")], true);
    assert_eq!(client.answer(stream).status(), 400);
    let stream = client.send(&[(":method", "GET"), (":scheme", "https")], true);
    assert_eq!(client.answer(stream).status(), 400);
    // The connection has survived all of it.
    assert_eq!(client.fetch("/a.txt").text, "a");
}

#[test]
fn two_connections_share_the_server() {
    let server = Fixture::new();
    fs::write(server.root().join("f"), (0..2_000_000).map(byte_at).collect::<Vec<_>>()).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = server.client();
                let streams =
                    [client.get("/bytes/3000000"), client.get("/f"), client.get("/bytes/7")];
                for (stream, length) in streams.into_iter().zip([3_000_000, 2_000_000, 7]) {
                    client.answer(stream).assert_pattern(length);
                }
                client.close();
            });
        }
    });
    let snapshot = server.wait_until_empty();
    assert_eq!((snapshot.accepted, snapshot.responses.completed), (2, 6));
}

/// A hundred at once, more than the engine's buffers hold together.
#[test]
fn a_hundred_responses_at_once_on_one_connection() {
    let server = Fixture::new();
    fs::write(server.root().join("f"), (0..300_000).map(byte_at).collect::<Vec<_>>()).unwrap();
    let mut client = server.client();
    let streams: Vec<u64> =
        (0..100).map(|n| client.get(if n % 2 == 0 { "/bytes/300000" } else { "/f" })).collect();
    for stream in streams {
        client.answer(stream).assert_pattern(300_000);
    }
    client.close();
    server.wait_until_empty();
}

/// A megabyte over loopback never takes the time of a timeout.
/// Sources: <https://github.com/curl/curl/issues/8523>, <https://github.com/curl/curl/issues/13289>.
#[test]
fn d2_29_a_megabyte_does_not_stall() {
    let server = Fixture::new();
    let mut client = server.client_with(|config| {
        // Many small windows: each has to be opened again and again.
        config.set_initial_max_stream_data_bidi_local(10_000);
        config.set_initial_max_data(20_000);
        config.set_max_stream_window(10_000);
        config.set_max_connection_window(20_000);
    });
    let start = now();
    client.fetch("/bytes/1048576").assert_pattern(1_048_576);
    assert!((now() - start).as_secs() < 15);
}

#[test]
fn urgent_responses_overtake_others() {
    let server = Fixture::new();
    let mut client = server.client();
    let bulk = client.request("GET", "/bytes/8000000", &[("priority", "u=7")], true);
    let urgent = client.request("GET", "/bytes/100000", &[("priority", "u=0")], true);
    client.answer(urgent).assert_pattern(100_000);
    let arrived = client.answers.get(&bulk).unwrap().length;
    assert!(arrived < 8_000_000, "the bulk was first");
    client.answer(bulk).assert_pattern(8_000_000);
}
