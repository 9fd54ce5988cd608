//! Every way in which a stream ends frees it: the server's own state, the engine's, and the client's
//! credit for another one.

use std::{fs, time::Duration};

use crate::common::{Client, Fixture};

/// More than are allowed at once, in all.
const MANY: u64 = 250;

/// Ends streams in this way, more of them than are allowed at once.
fn all_are_freed(end_one: impl Fn(&mut Client)) {
    let server = Fixture::new();
    let mut client = server.client();
    for _ in 0..MANY {
        client.drive("room for a stream", |client| client.quic.peer_streams_left_bidi() > 0);
        end_one(&mut client);
    }
    client.drive("the last to be freed", |_| {
        let snapshot = server.snapshot();
        snapshot.transfers + snapshot.uploads + snapshot.files_open == 0
    });
    client.fetch("/bytes/1000").assert_pattern(1000);
    // The server forgets in heaps: when there may be twice as many as it last found, and sixteen.
    assert!(server.snapshot().streams <= 216 + 16, "{:?}", server.snapshot());
    let before = server.snapshot().service.turns;
    client.drive_for(Duration::from_millis(200));
    assert!(server.snapshot().service.turns - before < 50, "the server goes round");
    client.close();
    assert_eq!(server.wait_until_empty().buffered_bytes, 0);
}

/// The client resets its half before the server has ended its own.
/// Source: <https://github.com/cloudflare/quiche/issues/2524>.
#[test]
fn d2_16_a_reset_before_the_servers_fin_frees_the_stream() {
    all_are_freed(|client| {
        let stream = client.request("GET", "/bytes/3000", &[], false);
        client.flush();
        client.quic.stream_shutdown(stream, quiche::Shutdown::Write, 0x10c).unwrap();
    });
}

/// The server shuts its reading half down after the client has reset it.
/// Source: <https://github.com/cloudflare/quiche/issues/1968>.
#[test]
fn d2_17_a_shutdown_after_the_clients_reset_frees_the_stream() {
    all_are_freed(|client| {
        let stream = client.upload(&[], 3000, false);
        client.drive("the body", |client| client.quic.stream_capacity(stream).is_ok());
        let _ = client.quic.stream_shutdown(stream, quiche::Shutdown::Write, 0x10c);
        client.answers.remove(&stream);
    });
}

/// The answer is over before the request is.
/// Source: <https://github.com/cloudflare/quiche/pull/2191>.
#[test]
fn d2_18_an_answer_before_the_end_of_the_request_frees_the_stream() {
    all_are_freed(|client| {
        let stream = client.request("DELETE", "/x", &[], false);
        assert_eq!(client.answer(stream).status(), 405);
        client.raw(stream, &[], true);
    });
}

/// The end of a request without body comes on its own, after the answer has begun.
/// Source: <https://github.com/cloudflare/quiche/commit/bc8fbb12>.
#[test]
fn d2_19_an_end_that_comes_on_its_own_frees_the_stream() {
    all_are_freed(|client| {
        let stream = client.request("GET", "/bytes/10", &[], false);
        client.flush();
        client.raw(stream, &[], true);
        client.answer(stream).assert_pattern(10);
    });
}

/// The client stops the answer after it has arrived.
/// Source: <https://github.com/quinn-rs/quinn/pull/1062>.
#[test]
fn d2_20_a_stop_after_the_end_frees_the_stream() {
    all_are_freed(|client| {
        let stream = client.get("/bytes/100");
        client.drive("the head", |client| client.answers[&stream].status() == 200);
        client.cancel(stream);
    });
}

/// A client that only stops the answer, and has ended its request.
/// Source: <https://github.com/cloudflare/quiche/pull/1631>.
#[test]
fn d2_21_a_stopped_answer_frees_the_stream() {
    all_are_freed(|client| {
        let stream = client.get("/bytes/10000000");
        client.drive("the head", |client| client.answers[&stream].status() == 200);
        let _ = client.quic.stream_shutdown(stream, quiche::Shutdown::Read, 0x10c);
        client.answers.remove(&stream);
    });
}

/// A reset that comes with bytes that nobody has read.
/// Source: <https://github.com/cloudflare/quiche/pull/1796>.
#[test]
fn d2_22_a_reset_with_unread_bytes_does_not_stay_readable() {
    all_are_freed(|client| {
        let stream = client.request("POST", "/upload", &[], false);
        client.raw(stream, &[&[0x00, 0x7f, 0xff][..], &[0; 8000]].concat(), false);
        client.cancel(stream);
        client.flush();
    });
}

/// A request whose head carries the end.
/// Source: <https://github.com/mozilla/neqo/commit/638d30105>.
#[test]
fn d2_23_a_head_with_the_end_frees_the_stream() {
    all_are_freed(|client| {
        let stream = client.request("PUT", "/x", &[], true);
        assert_eq!(client.answer(stream).field("x-data-received-length"), Some("0"));
    });
}

/// What a worker brings for a stream that is gone by then finds nothing, and the file is closed.
/// Source: <https://github.com/quinn-rs/quinn/pull/2541>.
#[test]
fn d2_24_a_workers_late_answer_finds_nothing() {
    let server = Fixture::new();
    fs::write(server.root().join("f"), vec![0; 2_000_000]).unwrap();
    let mut client = server.client();
    for _ in 0..MANY {
        client.drive("room for a stream", |client| client.quic.peer_streams_left_bidi() > 0);
        let stream = client.get("/f");
        client.flush();
        client.cancel(stream);
    }
    client.drive("the files to be closed", |_| {
        let snapshot = server.snapshot();
        snapshot.files_open + snapshot.transfers + snapshot.buffered_bytes == 0
    });
    client.fetch("/bytes/1000").assert_pattern(1000);
    client.close();
    server.wait_until_empty();
}

/// The connection ends while bodies are on their way in.
/// Source: <https://github.com/hyperium/h3/issues/330>.
#[test]
fn d2_40_a_connection_may_end_amid_its_uploads() {
    // The farewell may stay with the client.
    let server = Fixture::with(|config| config.idle_timeout = Duration::from_secs(5));
    let mut client = server.client();
    for _ in 0..10 {
        client.upload(&[], 500_000, false);
    }
    client.drive("the uploads to begin", |_| server.snapshot().uploads == 10);
    client.close();
    let snapshot = server.wait_until_empty();
    assert_eq!((snapshot.requests.uploads, snapshot.requests.uploads_cancelled), (0, 10));
    server.client().fetch("/bytes/10").assert_pattern(10);
}
