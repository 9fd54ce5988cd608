//! What a client may cost: each limit has a clear answer, leaves nothing behind, and disturbs nobody
//! else.

use crate::common::{Client, Fixture};

const EXCESSIVE_LOAD: u64 = 0x107;

/// Another connection that works as if nothing had happened, and then nothing is left of either.
fn nothing_else_happened(server: &Fixture, mut sibling: Client) -> server::Snapshot {
    sibling.fetch("/bytes/100000").assert_pattern(100_000);
    sibling.close();
    server.wait_until_empty()
}

/// Waits for room for a stream. False if the connection has ended.
fn room(client: &mut Client) -> bool {
    client.drive("room for a stream", |client| {
        client.quic.peer_streams_left_bidi() > 0 || client.quic.is_draining()
    });
    !client.quic.is_draining()
}

/// A client that may say much at once: the engine sends no part of a head.
fn wide(config: &mut quiche::Config) {
    config.set_initial_congestion_window_packets(100);
}

/// CVE-2023-44487.
#[test]
fn a_rapid_reset_ends_the_connection() {
    let server = Fixture::new();
    let mut sibling = server.client();
    sibling.fetch("/bytes/1").assert_pattern(1);
    let mut client = server.client();
    let mut cancelled = 0;
    // The server sees nothing of a request that is taken back before it has looked: on a busy machine most.
    while !client.quic.is_draining() && cancelled < 100_000 {
        if !room(&mut client) {
            break;
        }
        let stream = client.get("/bytes/1000000");
        client.flush();
        client.cancel(stream);
        cancelled += 1;
    }
    let (code, reason) = client.closed();
    assert_eq!(
        (code, reason.as_str()),
        (EXCESSIVE_LOAD, "too many requests were taken back or malformed")
    );
    assert!(cancelled > 1000, "{cancelled}");
    let snapshot = nothing_else_happened(&server, sibling);
    assert_eq!(snapshot.limits.excessive, 1);
    assert!(snapshot.limits.cancels > 1000);
}

/// CVE-2025-8671: the same, where the client makes the server end its requests.
#[test]
fn a_flood_of_malformed_requests_ends_the_connection() {
    let server = Fixture::new();
    let sibling = server.client();
    let mut client = server.client();
    let mut sent = 0;
    while !client.quic.is_draining() && sent < 5000 {
        if !room(&mut client) {
            break;
        }
        client.request("GET", "/", &[("connection", "close")], true);
        sent += 1;
    }
    assert_eq!(client.closed().0, EXCESSIVE_LOAD);
    assert!(sent > 1000, "{sent}");
    assert_eq!(nothing_else_happened(&server, sibling).limits.excessive, 1);
}

#[test]
fn headers_beyond_the_limits_are_answered_with_431() {
    let server = Fixture::new();
    let mut client = server.client_with(wide);
    let long = "v".repeat(40_000);
    for (more, reason) in [
        (vec![("a", "b"); 200], "431: there are too many headers"),
        (vec![("a", long.as_str())], "431: the headers are too large"),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let stream = client.request(method, "/bytes/10", &more, method != "POST");
            let answer = client.answer(stream);
            assert_eq!((answer.status(), answer.text.trim_end()), (431, reason), "{method}");
        }
    }
    client.fetch("/bytes/10").assert_pattern(10);
    client.close();
    assert_eq!(server.wait_until_empty().limits.heads_too_large, 6);
}

/// Beyond what was advertised, the connection ends.
#[test]
fn headers_far_beyond_the_limit_close_the_connection() {
    let server = Fixture::new();
    let sibling = server.client();
    // Small on the wire, large when decoded: each counts 32 bytes more than its letters (RFC 9114,
    // 4.2.2).
    let mut client = server.client();
    client.request("GET", "/", &vec![("a", "b"); 2000], true);
    assert_eq!(client.closed().0, EXCESSIVE_LOAD);
    nothing_else_happened(&server, sibling);
}

/// CVE-2025-64702: two bytes on the wire that decode to a hundred, thousands of times.
#[test]
fn a_header_bomb_closes_the_connection() {
    let server = Fixture::new();
    let sibling = server.client();
    let mut client = server.client_with(wide);
    let fields = 10_000;
    // HEADERS, its length in four bytes, the two zeroes in front of the fields.
    let length = 0x8000_0000_u32 | (2 * fields + 2);
    let mut bomb = [&[0x01][..], &length.to_be_bytes(), &[0, 0]].concat();
    // Static table, entry 85: content-security-policy.
    bomb.extend([0xff, 85 - 63].repeat(fields as usize));
    assert_eq!(client.raw(0, &bomb, true), bomb.len());
    assert_eq!(client.closed().0, EXCESSIVE_LOAD);
    nothing_else_happened(&server, sibling);
}

/// Sends an endless body of frames like this one.
fn flood(server: &Fixture, frame: &[u8]) -> (u64, usize) {
    let mut client = server.client();
    let stream = client.request("POST", "/upload", &[], false);
    let frames = frame.repeat(3000);
    let (mut at, mut sent) = (0, 0);
    while !client.quic.is_draining() && sent < 20_000_000 {
        let count = client.raw(stream, &frames[at..], false);
        at = (at + count) % frames.len();
        sent += count;
        if count == 0 {
            client.drive("room", |client| {
                client.quic.stream_capacity(stream).unwrap_or(1) > 0 || client.quic.is_draining()
            });
        }
    }
    let (code, reason) = client.closed();
    assert_eq!(reason, "too many tiny or empty DATA frames");
    (code, sent)
}

/// Source: h2 0.4.16 to 0.4.18.
#[test]
fn tiny_data_frames_end_the_connection() {
    let server = Fixture::new();
    let sibling = server.client();
    let (code, sent) = flood(&server, &[0, 1, b'x']);
    assert_eq!(code, EXCESSIVE_LOAD);
    assert!(sent > 400_000, "{sent}");
    assert_eq!(nothing_else_happened(&server, sibling).limits.excessive, 1);
}

/// Sources: h2 0.4.16 to 0.4.18, <https://github.com/cloudflare/quiche/commit/c73ceef2>.
#[test]
fn d2_44_empty_data_frames_end_the_connection() {
    let server = Fixture::new();
    let sibling = server.client();
    let (code, sent) = flood(&server, &[0, 0]);
    assert_eq!(code, EXCESSIVE_LOAD);
    assert!(sent > 8000, "{sent}");
    assert_eq!(nothing_else_happened(&server, sibling).limits.excessive, 1);
}

/// Some frames may be empty: what is behind them arrives, and nothing goes round.
/// Sources: <https://github.com/cloudflare/quiche/commit/54cefab4>,
/// <https://github.com/cloudflare/quiche/commit/c73ceef2>.
#[test]
fn d2_44_a_body_goes_on_behind_empty_frames() {
    let server = Fixture::new();
    let mut client = server.client();
    for frames in [
        &[0, 0, 0, 5, b'h', b'e', b'l', b'l', b'o'][..],
        &[0, 2, b'h', b'e', 0, 0, 0, 0, 0, 3, b'l', b'l', b'o', 0, 0],
        // With trailers: none.
        &[0, 5, b'h', b'e', b'l', b'l', b'o', 0, 0, 1, 2, 0, 0],
    ] {
        let stream = client.request("POST", "/upload", &[("content-length", "5")], false);
        client.raw(stream, frames, true);
        let answer = client.answer(stream);
        assert_eq!(answer.field("x-data-received-length"), Some("5"), "{frames:?}");
    }
    // Without an end nothing moves, and nobody looks.
    let stream = client.request("POST", "/upload", &[], false);
    client.raw(stream, &[0, 0], false);
    client.drive("the upload", |_| server.snapshot().uploads == 1);
    let before = server.snapshot().service.turns;
    client.drive_for(std::time::Duration::from_millis(300));
    assert!(server.snapshot().service.turns - before < 50);
    client.raw(stream, &[], true);
    assert_eq!(client.answer(stream).field("x-data-received-length"), Some("0"));
    client.close();
    assert_eq!(server.wait_until_empty().limits.excessive, 0);
}

#[test]
fn the_number_of_streams_can_be_set() {
    let server = Fixture::with(|config| config.max_streams = 3);
    let mut client = server.client();
    assert_eq!(client.quic.peer_streams_left_bidi(), 3);
    for _ in 0..20 {
        client.fetch("/bytes/10").assert_pattern(10);
    }
}
