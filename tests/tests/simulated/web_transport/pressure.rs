//! Slow applications and slow servers: nothing fills memory, nothing is lost, nobody else waits.

use std::time::Duration;

use bytes::Bytes;
use http3_session::SessionSnapshot;
use socket_transport::simulated::LinkConfig;
use tests::{
    loopback::pattern,
    simulated::{Ask, Bench, CLIENT, Connect, SECOND, SERVER, Setup},
};
use transaction::{pipe::CAPACITY, web_transport::DatagramOutcome as Outcome};

const MIB: u64 = 1024 * 1024;

fn figures(bench: &mut Bench) -> SessionSnapshot {
    bench.snapshot().entries[0].connections[0].session.clone().expect("a session")
}

#[test]
fn an_application_that_does_not_read_holds_the_server_back_and_then_loses_nothing() {
    let (mut bench, server) = Bench::with_web_transport(1);
    let session = bench.session(Connect::to(&format!("/large/{}", 16 * MIB)));
    let mut slow = bench.accept_bi(&session);
    bench.run_for(60 * SECOND);
    assert!(figures(&mut bench).buffered <= CAPACITY, "{:?}", figures(&mut bench));
    // Another stream has its share meanwhile.
    let mut other = bench.open_bi(&session);
    other.send_all(pattern::body(MIB));
    // (The server sends nothing back on this path.)
    bench.run_until("it has arrived", |_| {
        other.poll();
        server.look(|server| server.web_transport.streams.iter().any(|seen| seen.received == MIB))
    });
    slow.send_all("");
    bench.finish_streams([&mut slow]);
    assert!(slow.received == pattern::body(16 * MIB), "{}", slow.received.len());
    drop((slow, other, session));
    bench.run_until_empty();
}

#[test]
fn a_server_that_does_not_read_holds_the_application_back() {
    let mut bench = Setup::new(2).build();
    let server = bench.raw_server(SERVER, |parameters| parameters.datagram_size(65_535));
    server.tell(|server, _| {
        server.web_transport = true;
        server.on_request(|connection, request| {
            if connection.requests[request].field(":protocol").is_some() {
                connection.accept(request);
                connection.reads = false;
            }
        });
    });
    let session = bench.session(Connect::to("/"));
    let mut stream = bench.open_uni(&session);
    let mut piece = Bytes::from(pattern::body(32 * MIB));
    let all = piece.len();
    for _ in 0..60 {
        stream.send.as_mut().unwrap().try_send(&mut piece).unwrap();
        bench.run_for(SECOND);
    }
    let taken = all - piece.len();
    // neqo keeps up to 10 MiB of a stream that is to be sent, and the server allows one.
    assert!(taken < 11 * 1024 * 1024 + 2 * CAPACITY, "{taken} bytes were taken");
    assert!(figures(&mut bench).buffered <= 2 * CAPACITY);
    stream.send.take().unwrap().reset(1);
    drop((stream, session));
    bench.run_until_empty();
}

#[test]
fn datagrams_overtake_a_full_pipe() {
    let (mut bench, _server) = Bench::with_web_transport(3);
    let link = LinkConfig::new().rate_bits_per_second(20_000_000).delay(Duration::from_millis(10));
    bench.network().both(CLIENT.into(), SERVER, link);
    let session = bench.session(Connect::to("/echo"));
    let mut stream = bench.open_bi(&session);
    stream.send_all(pattern::body(8 * MIB));
    let (mut sent, mut back) = (0, 0);
    bench.run_until("all is done", |_| {
        if sent < 200 && session.send_datagram(vec![1; 100]).is_ok() {
            sent += 1;
        }
        back += std::iter::from_fn(|| session.try_recv_datagram()).count();
        stream.poll() && sent == 200
    });
    bench.run_for(SECOND);
    back += std::iter::from_fn(|| session.try_recv_datagram()).count();
    assert!(stream.received.len() as u64 == 8 * MIB && back > 150, "{back} of 200 came back");
    drop((stream, session));
    bench.run_until_empty();
}

/// More datagrams than the network takes: the newest win, and every one has an outcome.
#[test]
fn w7_every_datagram_that_is_tracked_has_an_outcome() {
    let (mut bench, _server) = Bench::with_web_transport(4);
    let link = LinkConfig::new().rate_bits_per_second(1_000_000);
    bench.network().both(CLIENT.into(), SERVER, link);
    let session = bench.session(Connect::to("/echo"));
    let mut outcomes = Vec::new();
    for _ in 0..50 {
        outcomes.extend((0..50).map(|_| session.track_datagram(vec![0; 1000]).unwrap()));
        bench.run_for(SECOND / 20);
        while session.try_recv_datagram().is_some() {}
    }
    bench.run_for(10 * SECOND);
    session.close(0, "");
    let count = |wanted| outcomes.iter().filter(|outcome| outcome.get() == Some(wanted)).count();
    let (sent, displaced) = (count(Outcome::Sent), count(Outcome::Displaced));
    assert_eq!(sent + displaced, 2500, "{sent} sent, {displaced} displaced");
    assert!(sent > 200 && displaced > 500, "{sent} sent, {displaced} displaced");
    assert_eq!(session.stats().datagrams_sent, sent as u64);
    drop((outcomes, session));
    bench.run_until_empty();
}

/// A stream with a higher place goes first.
#[test]
fn the_order_of_streams_is_the_application_s() {
    let (mut bench, _server) = Bench::with_web_transport(5);
    let link = LinkConfig::new().rate_bits_per_second(50_000_000).delay(Duration::from_millis(5));
    bench.network().both(CLIENT.into(), SERVER, link);
    let session = bench.session(Connect::to("/echo"));
    let mut streams: Vec<_> = (0..2).map(|_| bench.open_bi(&session)).collect();
    streams[0].send.as_ref().unwrap().set_send_order(Some(1));
    streams[1].send.as_ref().unwrap().set_send_order(Some(9));
    for stream in &mut streams {
        stream.send_all(pattern::body(4 * MIB));
    }
    bench.run_until("the preferred one is done", |_| {
        streams[0].poll();
        streams[1].poll() && streams[1].received.len() as u64 == 4 * MIB
    });
    let other = streams[0].received.len() as u64;
    assert!(other < 3 * MIB, "{other} bytes of the other were there as well");
    bench.finish_streams(&mut streams);
    drop((streams, session));
    bench.run_until_empty();
}

/// Beside requests on the same machine's network, with packets lost: everything arrives.
#[test]
fn everything_arrives_over_a_bad_network() {
    for seed in 0..5 {
        let (mut bench, _server) = Bench::with_web_transport(seed);
        let link = LinkConfig::new()
            .loss(0.05)
            .duplicate(0.05)
            .reorder(0.1, Duration::from_millis(20))
            .delay(Duration::from_millis(15));
        bench.network().both(CLIENT.into(), SERVER, link);
        let session = bench.session(Connect::to("/echo"));
        let mut fetch = bench.ask(Ask::get("/300000"));
        let mut streams: Vec<_> = (0..10).map(|_| bench.open_bi(&session)).collect();
        let mut one_way: Vec<_> = (0..10).map(|_| bench.open_uni(&session)).collect();
        for (n, stream) in streams.iter_mut().chain(&mut one_way).enumerate() {
            stream.send_all(vec![n.to_le_bytes()[0]; 100_000 + n]);
        }
        bench.finish_streams(streams.iter_mut().chain(&mut one_way));
        bench.finish([&mut fetch]);
        fetch.expect_pattern(300_000);
        let mut back: Vec<_> = (0..10).map(|_| bench.accept_uni(&session)).collect();
        bench.finish_streams(&mut back);
        for (n, stream) in streams.iter().enumerate() {
            assert!(stream.received == vec![n.to_le_bytes()[0]; 100_000 + n]);
        }
        let mut numbers: Vec<_> =
            back.iter().map(|stream| stream.received.len() - 100_000).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (10..20).collect::<Vec<_>>());
        drop((streams, one_way, back, session));
        bench.run_for(20 * SECOND);
    }
}
