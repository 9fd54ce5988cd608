//! How connections live and end, and that nothing of them is left.

use std::{fs, net::UdpSocket, time::Duration};

use crate::common::{Client, Fixture, PATIENCE, now};
use server::byte_at;

/// A client whose window is too small for the response, and that does not read.
fn stalled(server: &Fixture, path: &str) -> Client {
    let mut client = server.client_with(|config| {
        config.set_initial_max_stream_data_bidi_local(65_536);
    });
    client.paused = true;
    client.get(path);
    client.drive("the transfer to be stuck", |client| {
        let snapshot = server.snapshot();
        snapshot.transfers == 1 && snapshot.responses.body_bytes > 60_000 || client.quic.is_closed()
    });
    client
}

#[test]
fn a_client_that_vanishes_is_forgotten_after_the_idle_timeout() {
    let server = Fixture::with(|config| config.idle_timeout = Duration::from_millis(500));
    fs::write(server.root().join("f"), vec![0; 5_000_000]).unwrap();
    let client = stalled(&server, "/f");
    assert_eq!(server.snapshot().files_open, 1);
    let start = now();
    drop(client);
    let snapshot = server.wait_until_empty();
    assert!(now() - start < Duration::from_secs(20));
    assert_eq!((snapshot.responses.cancelled, snapshot.responses.completed), (1, 0));
}

/// A client that does not read, but is there, is kept: pings see to it. Then everything arrives.
#[test]
fn a_slow_reader_is_kept_beyond_the_idle_timeout() {
    let server = Fixture::with(|config| config.idle_timeout = Duration::from_millis(600));
    fs::write(server.root().join("f"), (0..5_000_000).map(byte_at).collect::<Vec<_>>()).unwrap();
    let mut client = stalled(&server, "/f");
    let held = server.snapshot().buffered_bytes;
    client.drive_for(Duration::from_secs(2));
    let snapshot = server.snapshot();
    assert_eq!((snapshot.transfers, snapshot.connections), (1, 1));
    assert_eq!(snapshot.buffered_bytes, held, "what is not read is not buffered either");
    client.paused = false;
    client.answer(0).assert_pattern(5_000_000);
}

/// A client that is there, but wants nothing, is not kept.
#[test]
fn an_idle_connection_ends_although_its_client_is_there() {
    let server = Fixture::with(|config| config.idle_timeout = Duration::from_millis(400));
    let mut client = server.client();
    client.fetch("/bytes/1000").assert_pattern(1000);
    let start = now();
    client.drive_for(PATIENCE);
    assert!(client.quic.is_timed_out());
    assert!(now() - start < Duration::from_secs(10));
    assert_eq!(server.wait_until_empty().responses.completed, 1);
}

#[test]
fn the_close_of_a_client_ends_its_transfers_at_once() {
    let server = Fixture::new();
    fs::write(server.root().join("f"), vec![0; 5_000_000]).unwrap();
    let client = stalled(&server, "/f");
    client.close();
    // The connection lingers for its draining period, but holds nothing. (A worker that reads at this
    // moment closes the file when it has read.)
    let snapshot = loop {
        let snapshot = server.snapshot();
        if snapshot.transfers == 0 && snapshot.files_open == 0 {
            break snapshot;
        }
    };
    assert_eq!((snapshot.buffered_bytes, snapshot.streams), (0, 0));
    server.wait_until_empty();
}

/// Sources: <https://github.com/cloudflare/quiche/pull/1631>,
/// <https://github.com/quinn-rs/quinn/pull/1062>.
#[test]
fn d2_20_d2_21_more_cancels_than_streams_are_allowed() {
    let server = Fixture::new();
    let mut client = server.client();
    for round in 0..400 {
        client.drive("room for a stream", |client| client.quic.peer_streams_left_bidi() > 0);
        let path = if round % 2 == 0 { "/bytes/1000000" } else { "/missing" };
        let stream = client.get(path);
        if round % 3 == 0 {
            client.flush();
        }
        client.cancel(stream);
    }
    client.fetch("/bytes/1000").assert_pattern(1000);
    client.close();
    server.wait_until_empty();
}

/// Source: <https://github.com/aiortc/aioquic/pull/590>.
#[test]
fn d2_25_ten_thousand_requests_leave_no_streams() {
    let server = Fixture::new();
    let mut client = server.client();
    let mut left = 10_000;
    while left > 0 {
        client.drive("room for streams", |client| client.quic.peer_streams_left_bidi() > 0);
        let room = client.quic.peer_streams_left_bidi().min(left);
        let streams: Vec<u64> = (0..room).map(|_| client.get("/bytes/100")).collect();
        for stream in streams {
            client.answer(stream).assert_pattern(100);
        }
        left -= room;
    }
    let snapshot = server.snapshot();
    assert_eq!(snapshot.responses.completed, 10_000);
    assert!(snapshot.streams <= 232, "{}", snapshot.streams);
    assert_eq!((snapshot.transfers, snapshot.buffered_bytes), (0, 0));
}

#[test]
fn a_graceful_shutdown_finishes_what_runs() {
    let mut server = Fixture::with(|config| config.shutdown_timeout = Duration::from_secs(30));
    let mut busy = stalled(&server, "/bytes/3000000");
    let mut idle = server.client();
    idle.fetch("/bytes/1").assert_pattern(1);
    server.control.shut_down();

    // D2 6: the idle client is told with a frame. <https://github.com/oven-sh/bun/pull/34038>
    idle.drive("the end", |client| client.quic.is_draining());
    let error = idle.quic.peer_error().unwrap();
    assert_eq!((error.is_app, error.error_code), (true, 0x100));

    // A request that crosses the GOAWAY is rejected, and may be tried elsewhere.
    let late = busy.get("/bytes/1");
    busy.drive("GOAWAY", |client| client.goaway.is_some());
    assert_eq!(busy.goaway, Some(4));
    busy.drive("the rejection", |client| client.answers[&late].reset.is_some());
    assert_eq!(busy.answers[&late].reset, Some(0x10b));
    // A new client is refused at once.
    let mut new = Client::new(server.address, server.directory.path(), |_| {});
    new.drive("the refusal", |client| client.quic.is_draining());
    assert_eq!(new.quic.peer_error().map(|e| (e.is_app, e.error_code)), Some((false, 2)));

    busy.paused = false;
    busy.answer(0).assert_pattern(3_000_000);
    busy.drive("the end", |client| client.quic.is_draining());
    assert_eq!(busy.quic.peer_error().unwrap().error_code, 0x100);
    assert_eq!(server.join().responses.completed, 2);
}

/// Uploads finish as well, and what comes after the GOAWAY is rejected, so that it is safe to try it
/// elsewhere.
#[test]
fn a_graceful_shutdown_finishes_uploads_too() {
    let mut server = Fixture::with(|config| config.shutdown_timeout = Duration::from_secs(30));
    let mut client = server.client();
    let running = client.upload(&[("content-length", "300000")], 100_000, false);
    client.drive("the upload to begin", |_| server.snapshot().requests.upload_bytes == 100_000);
    server.control.shut_down();
    client.drive("GOAWAY", |client| client.goaway.is_some());
    assert_eq!(client.goaway, Some(running + 4));

    // quiche's own client opens no stream after that; one that has not heard it yet would.
    let late = running + 4;
    client.raw(late, &[0x01, 7, 0, 0, 0xd1, 0xd7, 0xc1, 0x50, 0], true);
    client.drive("the rejection", |client| {
        client.answers.get(&late).is_some_and(|answer| answer.reset == Some(0x10b))
    });
    client.go_on(running, 200_000, true);
    assert_eq!(client.answer(running).field("x-data-received-length"), Some("300000"));
    assert_eq!(client.closed(), (0x100, "the server is shutting down".to_owned()));
    let snapshot = server.join();
    assert_eq!((snapshot.requests.requests, snapshot.requests.uploads), (1, 1));
}

/// An upload that does not end has until the deadline.
#[test]
fn a_shutdown_does_not_wait_for_uploads_for_ever() {
    let mut server = Fixture::with(|config| config.shutdown_timeout = Duration::from_millis(300));
    let mut client = server.client();
    client.upload(&[], 1000, false);
    client.drive("the upload to begin", |_| server.snapshot().uploads == 1);
    server.control.shut_down();
    assert_eq!(client.closed(), (0x100, "the server is shutting down".to_owned()));
    assert_eq!(server.join().requests.uploads_cancelled, 1);
}

#[test]
fn a_shutdown_does_not_wait_for_ever() {
    let mut server = Fixture::with(|config| config.shutdown_timeout = Duration::from_millis(300));
    let mut client = stalled(&server, "/bytes/3000000");
    let start = now();
    server.control.shut_down();
    client.drive("the end", |client| client.quic.is_draining());
    assert_eq!(client.quic.peer_error().map(|e| (e.is_app, e.error_code)), Some((true, 0x100)));
    assert_eq!(server.join().responses.cancelled, 1);
    assert!(now() - start >= Duration::from_millis(300));
}

/// Source: <https://github.com/threefoldtech/mycelium/issues/309>.
#[test]
fn d2_13_a_handshake_that_never_ends_is_dropped() {
    let server = Fixture::with(|config| config.idle_timeout = Duration::from_millis(400));
    let mut client = Client::new(server.address, server.directory.path(), |_| {});
    client.flush();
    while server.snapshot().handshaking == 0 {}
    drop(client);
    server.wait_until_empty();
}

/// Nonsense, also empty, neither disturbs the server nor makes it keep anything.
/// Sources: <https://github.com/curl/curl/pull/21869>, <https://github.com/mozilla/neqo/pull/3895>.
#[test]
fn d2_46_d2_48_foreign_datagrams_are_dropped() {
    let server = Fixture::new();
    let mut client = server.client();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let long = [0xc3; 1300];
    for junk in [&b""[..], b"x", b"\x40 short header", &long, &[0xff; 1200], &[0; 1200]] {
        for _ in 0..200 {
            socket.send_to(junk, server.address).unwrap();
        }
    }
    // An answer to this peer, which is not there any more, comes back as an ICMP error.
    drop(socket);
    client.fetch("/bytes/100000").assert_pattern(100_000);
    let snapshot = server.snapshot();
    assert_eq!((snapshot.connections, snapshot.accepted), (1, 1));
    assert!(snapshot.datagrams_dropped > 0);
}
