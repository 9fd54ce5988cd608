//! Who gets in, and how the others are told.

use std::{net::UdpSocket, time::Duration};

use crate::common::{Client, Fixture};

#[test]
fn retry_proves_the_address_and_then_everything_works() {
    let server = Fixture::with(|config| config.retry = true);
    let mut client = server.client();
    client.fetch("/bytes/100000").assert_pattern(100_000);
    assert_eq!(client.quic.stats().retrans, 0);
    client.close();
    assert_eq!(server.wait_until_empty().accepted, 1);
}

#[test]
fn a_client_that_never_comes_back_with_its_token_costs_nothing() {
    let server = Fixture::with(|config| config.retry = true);
    let mut client = Client::new(server.address, server.directory.path(), |_| {});
    client.flush();
    let mut buffer = [0; 1500];
    client.socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (len, _) = client.socket.recv_from(&mut buffer).unwrap();
    // A long header of type Retry, shorter than what it answers.
    assert_eq!(buffer[0] & 0xf0, 0xf0);
    assert!(len < 1200);
    assert!(server.snapshot().is_empty());
}

#[test]
fn another_version_is_negotiated() {
    let server = Fixture::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut packet = vec![0xc0, 0xba, 0xba, 0xba, 0xba, 8];
    packet.extend_from_slice(b"dest-id!");
    packet.push(7);
    packet.extend_from_slice(b"src-id!");
    // Too short to be answered: it could be somebody else's address.
    socket.send_to(&packet, server.address).unwrap();
    packet.resize(1200, 0);
    socket.send_to(&packet, server.address).unwrap();
    let mut answer = [0; 1500];
    let (len, _) = socket.recv_from(&mut answer).unwrap();
    let expected = [&[0, 0, 0, 0, 7][..], b"src-id!", &[8], b"dest-id!"].concat();
    assert_eq!(&answer[1..=expected.len()], expected);
    let versions = &answer[1 + expected.len()..len];
    assert!(versions.chunks(4).any(|version| version == [0, 0, 0, 1]), "{versions:?}");
    // One packet was answered, and nothing was kept.
    let snapshot = server.snapshot();
    assert!(snapshot.is_empty());
    assert_eq!(snapshot.service.traffic.datagrams_sent, 1);
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    let server = Fixture::with(|config| config.max_connections = 2);
    let first = server.client();
    let _second = server.client();
    let mut third = Client::new(server.address, server.directory.path(), |_| {});
    third.drive("the refusal", |client| client.quic.is_draining());
    let error = third.quic.peer_error().unwrap();
    assert_eq!((error.is_app, error.error_code), (false, 2));
    assert_eq!(server.snapshot().connections, 2);

    // When one goes, another may come.
    first.close();
    while server.snapshot().connections == 2 {}
    server.client().fetch("/bytes/1").assert_pattern(1);
}

#[test]
fn transfers_beyond_the_limit_are_answered_with_503() {
    let server = Fixture::with(|config| config.max_transfers = 1);
    let mut client =
        server.client_with(|config| config.set_initial_max_stream_data_bidi_local(10_000));
    client.paused = true;
    let first = client.get("/bytes/1000000");
    client.drive("the first", |_| server.snapshot().transfers == 1);
    let second = client.get("/bytes/10");
    client.drive("the second", |client| client.answers[&second].status() != 0);
    assert_eq!(client.answers[&second].status(), 503);
    client.paused = false;
    client.answer(first).assert_pattern(1_000_000);
}

/// Stream credit is held back until streams are done: the client can't open more than a hundred.
#[test]
fn streams_beyond_the_limit_wait_at_the_client() {
    let server = Fixture::new();
    let mut client =
        server.client_with(|config| config.set_initial_max_stream_data_bidi_local(10_000));
    client.paused = true;
    while client.quic.peer_streams_left_bidi() > 0 {
        client.get("/bytes/100000");
    }
    client.drive("all requests", |_| server.snapshot().transfers == 100);
    assert_eq!(client.quic.peer_streams_left_bidi(), 0);
    client.paused = false;
    let streams: Vec<u64> = client.answers.keys().copied().collect();
    for stream in streams {
        client.answer(stream).assert_pattern(100_000);
    }
    client.drive("new credit", |client| client.quic.peer_streams_left_bidi() >= 50);
}
