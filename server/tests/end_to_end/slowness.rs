//! Clients that are slow, or stand still: how long they are waited for, and what they are told.

use std::{fs, time::Duration};

use crate::common::{Client, Fixture, PATIENCE, now};
use server::byte_at;

const MILLIS: fn(u64) -> Duration = Duration::from_millis;

/// An honest client is not disturbed by what became of the other.
fn nothing_else_happened(server: &Fixture, mut sibling: Client) -> server::Snapshot {
    sibling.fetch("/bytes/100000").assert_pattern(100_000);
    sibling.close();
    server.wait_until_empty()
}

#[test]
fn a_head_that_never_ends_is_reset() {
    let server = Fixture::with(|config| config.head_timeout = MILLIS(300));
    let sibling = server.client();
    let mut client = server.client();
    // HEADERS with a hundred bytes, of which ten come: one by one, as a slow loris does.
    client.raw(0, &[0x01, 100, 0, 0], false);
    let start = now();
    let mut dripping = 0;
    client.drive("the reset", |client| {
        let reset = client.answers.get(&0).and_then(|answer| answer.reset);
        if reset.is_none() && dripping < 10 {
            client.raw(0, &[0xc0], false);
            dripping += 1;
        }
        reset == Some(0x10d)
    });
    assert!(now() - start >= MILLIS(300));
    client.close();
    let snapshot = nothing_else_happened(&server, sibling);
    assert_eq!((snapshot.limits.heads_stalled, snapshot.requests.requests), (1, 1));
}

/// The stream is not lost to a client that behaves afterwards.
#[test]
fn streams_with_a_stalled_head_can_be_opened_again() {
    let server = Fixture::with(|config| {
        config.head_timeout = MILLIS(200);
        config.max_streams = 4;
    });
    let mut client = server.client();
    for stream in [0, 4, 8, 12] {
        client.raw(stream, &[0x01, 100], false);
    }
    client.drive("the credit", |client| client.quic.peer_streams_left_bidi() >= 4);
    assert_eq!(server.snapshot().limits.heads_stalled, 4);
    client.close();
    server.wait_until_empty();
}

#[test]
fn an_upload_that_stalls_is_answered_with_408() {
    let server = Fixture::with(|config| config.stall_timeout = MILLIS(400));
    let sibling = server.client();
    let mut client = server.client();
    let stream = client.upload(&[("content-length", "1000000")], 50_000, false);
    let answer = client.answer(stream);
    assert_eq!((answer.status(), answer.text.as_str()), (408, "408: the body stopped coming\n"));
    client.drive("the server to stop the body", |client| {
        client.quic.stream_capacity(stream).is_err()
    });
    // The connection goes on.
    client.fetch("/bytes/10").assert_pattern(10);
    client.close();
    let snapshot = nothing_else_happened(&server, sibling);
    assert_eq!((snapshot.limits.uploads_stalled, snapshot.requests.uploads), (1, 0));
    assert_eq!(snapshot.limits.excessive, 0);
}

#[test]
fn an_upload_that_is_too_slow_is_answered_with_408() {
    let server = Fixture::with(|config| {
        config.head_timeout = MILLIS(400);
        config.min_upload_rate = 1_000_000_000;
    });
    let sibling = server.client();
    let mut client = server.client();
    let stream = client.upload(&[], 1000, false);
    client.drive("the answer", |client| {
        client.go_on(stream, 100, false);
        client.answers[&stream].finished
    });
    let answer = client.answer(stream);
    assert_eq!((answer.status(), answer.text.as_str()), (408, "408: the body comes too slowly\n"));
    client.close();
    assert_eq!(nothing_else_happened(&server, sibling).limits.uploads_stalled, 1);
}

/// A client that answers pings, but lets nothing come, holds a file and memory.
#[test]
fn a_download_that_is_not_taken_is_reset() {
    let server = Fixture::with(|config| config.stall_timeout = MILLIS(500));
    fs::write(server.root().join("f"), vec![0; 3_000_000]).unwrap();
    let sibling = server.client();
    let mut client = server.client_with(|config| {
        config.set_initial_max_stream_data_bidi_local(50_000);
    });
    client.paused = true;
    let stuck = client.get("/f");
    client.drive("the reset", |client| client.answers[&stuck].reset.is_some());
    assert_eq!(client.answers[&stuck].reset, Some(0x10c));
    let snapshot = server.snapshot();
    assert_eq!((snapshot.transfers, snapshot.files_open, snapshot.buffered_bytes), (0, 0, 0));
    client.paused = false;
    client.fetch("/bytes/10").assert_pattern(10);
    client.close();
    assert_eq!(nothing_else_happened(&server, sibling).limits.downloads_stalled, 1);
}

/// ... also while others of its streams go on.
#[test]
fn a_download_that_is_not_taken_is_reset_beside_one_that_is() {
    let server = Fixture::with(|config| config.stall_timeout = MILLIS(500));
    let mut client = server.client_with(|config| {
        config.set_initial_max_stream_data_bidi_local(50_000);
    });
    client.paused = true;
    let stuck = client.get("/bytes/3000000");
    let start = now();
    while client.answers[&stuck].reset != Some(0x10c) {
        assert!(now() - start < PATIENCE);
        client.drive_for(MILLIS(20));
        let running = client.answers.keys().any(|stream| *stream != stuck);
        if !running {
            client.get("/bytes/1000");
        }
        let http = client.http.as_mut().unwrap();
        for stream in client.answers.keys().filter(|stream| **stream != stuck) {
            let _ = http.recv_body(&mut client.quic, *stream, &mut [0; 2000]);
        }
        client.answers.retain(|stream, answer| *stream == stuck || !answer.finished);
    }
    client.close();
    assert_eq!(server.wait_until_empty().limits.downloads_stalled, 1);
}

/// Slow is not stalled.
#[test]
fn a_reader_that_takes_a_little_now_and_then_is_no_stall() {
    let server = Fixture::with(|config| config.stall_timeout = Duration::from_secs(3));
    let length = 800_000;
    fs::write(server.root().join("f"), (0..length).map(byte_at).collect::<Vec<_>>()).unwrap();
    let mut client = server.client_with(|config| {
        config.set_initial_max_stream_data_bidi_local(50_000);
        config.set_max_stream_window(50_000);
    });
    client.paused = true;
    let stream = client.get("/f");
    let start = now();
    let mut read = 0;
    while now() - start < Duration::from_secs(7) {
        client.drive_for(MILLIS(300));
        let http = client.http.as_mut().unwrap();
        read += http.recv_body(&mut client.quic, stream, &mut vec![0; 30_000]).unwrap_or_default();
    }
    assert!(read > 50_000 && (read as u64) < length, "{read}");
    assert_eq!(server.snapshot().transfers, 1);
    client.paused = false;
    client.drive("the end", |client| client.answers[&stream].finished);
    assert_eq!(client.answers[&stream].length + read as u64, length);
    client.close();
    assert_eq!(server.wait_until_empty().limits.downloads_stalled, 0);
}

/// A stream that waits behind a more urgent one is not the client's fault.
#[test]
fn a_response_that_waits_for_its_turn_is_no_stall() {
    let server = Fixture::with(|config| config.stall_timeout = MILLIS(1500));
    let mut client = server.client_with(|config| {
        config.set_initial_max_stream_data_bidi_local(50_000);
        config.set_max_stream_window(50_000);
        // The connection's window is what both share, and the urgent one takes it.
        config.set_initial_max_data(50_000);
        config.set_max_connection_window(50_000);
    });
    client.paused = true;
    let urgent = client.request("GET", "/bytes/3000000", &[("priority", "u=0")], true);
    let patient = client.request("GET", "/bytes/100000", &[("priority", "u=7")], true);
    let start = now();
    let mut read = 0;
    while now() - start < Duration::from_secs(4) {
        client.drive_for(MILLIS(50));
        let http = client.http.as_mut().unwrap();
        read += http.recv_body(&mut client.quic, urgent, &mut vec![0; 30_000]).unwrap_or_default();
    }
    assert_eq!(server.snapshot().transfers, 2, "{read}");
    client.paused = false;
    client.answer(patient).assert_pattern(100_000);
    client.answer(urgent);
    client.close();
    assert_eq!(server.wait_until_empty().limits.downloads_stalled, 0);
}

/// A request of which the end never comes does not keep its stream, and its connection, for ever.
#[test]
fn a_request_without_end_is_not_kept_after_its_answer() {
    let server = Fixture::with(|config| config.stall_timeout = MILLIS(400));
    let mut client = server.client();
    let stream = client.request("GET", "/bytes/1000", &[], false);
    client.answer(stream).assert_pattern(1000);
    client.drive("the server to stop the request", |client| {
        client.quic.stream_capacity(stream).is_err()
    });
    client.close();
    server.wait_until_empty();
}

/// A consumer that pauses its upload for longer than the idle timeout, and then goes on.
#[test]
fn an_upload_may_pause_for_longer_than_the_idle_timeout() {
    let server = Fixture::with(|config| config.idle_timeout = MILLIS(600));
    let mut client = server.client();
    let stream = client.upload(&[("content-length", "200000")], 100_000, false);
    client.drive_for(Duration::from_secs(2));
    assert_eq!(server.snapshot().uploads, 1);
    client.go_on(stream, 100_000, true);
    assert_eq!(client.answer(stream).field("x-data-received-length"), Some("200000"));
}
