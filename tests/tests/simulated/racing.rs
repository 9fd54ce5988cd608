//! The addresses of a host race (RFC 8305), on the real engine.

use std::net::IpAddr;

use tests::simulated::{
    Act, Ask, Bench, HOST, Http3ServerPeer, MS, OTHER, PORT, SECOND, SERVER, SERVER_V6, Setup,
};
use transaction::{NetError, TimeoutPhase};

/// A host with an address of each family, IPv6 first, of which only IPv4 answers.
fn without_v6(setup: Setup) -> (Bench, tests::simulated::Peer<Http3ServerPeer>) {
    let mut bench = setup.build();
    let server = bench.http3_server(SERVER, |parameters| parameters);
    bench.silent_server(SERVER_V6);
    bench.name(HOST, [SERVER_V6, SERVER]);
    (bench, server)
}

/// The first connection of the first entry.
fn peer(bench: &mut Bench) -> String {
    bench.snapshot().entries[0].connections[0].peer.clone()
}

fn at(address: IpAddr) -> String {
    std::net::SocketAddr::from((address, PORT)).to_string()
}

#[test]
fn h23_a_family_that_is_black_holed_costs_less_than_300_milliseconds_and_leaves_nothing() {
    let (mut bench, server) = without_v6(Setup::new(1));
    let start = bench.elapsed();
    let mut fetch = bench.get("/1000");
    bench.run_until("a connection", |client| {
        let snapshot = client.call(|mgr, ctx| mgr.snapshot(ctx));
        snapshot.coalescable == 1
    });
    let waited = bench.since(start);
    assert!(250 * MS < waited && waited < 300 * MS, "{waited:?}");
    bench.finish([&mut fetch]);
    fetch.expect_pattern(1000);
    // Of the loser there is neither socket nor timer, neither session nor handle nor engine.
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.connections(), snapshot.handles, bench.engines()), (1, 1, 1));
    assert_eq!((bench.sockets().len(), snapshot.service.timers), (1, 1));
    assert_eq!((snapshot.lifetime.connections, snapshot.lifetime.reclaimed), (2, 1));
    assert_eq!(peer(&mut bench), at(SERVER));
    assert_eq!(server.look(Http3ServerPeer::connections), 1);
}

#[test]
fn h23_the_family_that_lost_is_tried_last_until_the_network_changes() {
    let (mut bench, _server) = without_v6(Setup::new(2));
    bench.fetch("/1").expect_pattern(1);
    bench.close_persistent_connections();
    bench.run_until_empty();
    let start = bench.elapsed();
    bench.fetch("/2").expect_pattern(2);
    assert!(bench.since(start) < 250 * MS, "{:?}", bench.since(start));
    assert_eq!(bench.snapshot().lifetime.connections, 3, "IPv6 was not tried");
    bench.submit(connection_mgr::Event::NetworkChanged);
    bench.run_until_empty();
    bench.fetch("/3").expect_pattern(3);
    assert_eq!(bench.snapshot().lifetime.connections, 5, "it was tried again");
}

#[test]
fn a_family_that_is_refused_costs_nothing() {
    let mut bench = Bench::new(3);
    bench.http3_server(SERVER, |parameters| parameters);
    bench.bare_machine(SERVER_V6);
    bench.name(HOST, [SERVER_V6, SERVER]);
    let start = bench.elapsed();
    bench.fetch("/1").expect_pattern(1);
    assert!(bench.since(start) < 250 * MS, "{:?}", bench.since(start));
    assert_eq!(bench.snapshot().lifetime.connections, 2);
}

#[test]
fn both_families_work_and_the_first_one_is_used() {
    let mut bench = Bench::new(4);
    let v6 = bench.http3_server(SERVER_V6, |parameters| parameters);
    bench.http3_server(SERVER, |parameters| parameters);
    bench.name(HOST, [SERVER_V6, SERVER]);
    bench.fetch("/1").expect_pattern(1);
    assert_eq!((peer(&mut bench), v6.look(Http3ServerPeer::connections)), (at(SERVER_V6), 1));
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn when_every_address_is_dead_one_error_lists_each_attempt() {
    let mut bench = Setup::new(5).connections(|limits| limits.attempt_timeout = 5 * SECOND).build();
    let dead = [SERVER_V6, SERVER, OTHER];
    bench.silent_server(SERVER_V6);
    bench.bare_machine(SERVER);
    bench.silent_server(OTHER);
    bench.name(HOST, dead);
    let start = bench.elapsed();
    let mut fetches = [bench.get("/1"), bench.get("/2")];
    bench.finish(&mut fetches);
    let waited = bench.since(start);
    assert!(waited < 6 * SECOND, "{waited:?}: they ran side by side");
    for fetch in &fetches {
        let NetError::NoAddressAnswered { host, attempts } = fetch.error() else {
            panic!("{:?}", fetch.error())
        };
        assert_eq!((host.as_str(), attempts.len()), (HOST, 3));
        for (peer, error) in attempts {
            let expected = if peer.ip() == SERVER {
                NetError::ConnectionRefused { peer: *peer }
            } else {
                NetError::NetTimeout(TimeoutPhase::Connect)
            };
            assert_eq!(*error, expected, "{peer}");
        }
    }
    bench.run_until_empty();
}

#[test]
fn a_first_address_that_is_slow_but_wins_keeps_what_was_put_on_it() {
    let mut bench = Bench::new(6);
    let slow = socket_transport::simulated::LinkConfig::new().delay(140 * MS);
    bench.network().both(tests::simulated::CLIENT_V6.into(), SERVER_V6, slow);
    bench.http3_server(SERVER_V6, |parameters| parameters);
    bench.silent_server(SERVER);
    bench.name(HOST, [SERVER_V6, SERVER]);
    let mut fetch = bench.get("/5000");
    bench.finish([&mut fetch]);
    fetch.expect_pattern(5000);
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.connections(), snapshot.lifetime.connections), (1, 2));
    assert_eq!((peer(&mut bench), snapshot.lifetime.dispatched), (at(SERVER_V6), 1));
}

#[test]
fn h23_over_tcp_a_family_that_is_black_holed_costs_no_more_either() {
    let mut bench = Setup::new(7).http1().build();
    let server = bench.http1_server(SERVER, |_| vec![Act::Head, Act::respond("hello")]);
    bench.silent_server(SERVER_V6);
    bench.network().blackhole(tests::simulated::CLIENT_V6.into(), SERVER_V6, true);
    bench.name(HOST, [SERVER_V6, SERVER]);
    let start = bench.elapsed();
    let mut fetch = bench.ask(Ask::get("/").http1());
    bench.run_until("a connection", |client| {
        let snapshot = client.call(|mgr, ctx| mgr.snapshot(ctx));
        snapshot.entries.iter().any(|entry| entry.connections.len() == 1 && entry.connecting == 0)
    });
    let waited = bench.since(start);
    // TCP's round trip and that of TLS.
    assert!(250 * MS < waited && waited < 300 * MS, "{waited:?}");
    bench.finish([&mut fetch]);
    assert_eq!(fetch.body(), b"hello");
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.connections(), snapshot.service.sockets), (1, 1));
    assert_eq!((snapshot.lifetime.connections, server.connections()), (2, 1));
    assert_eq!(peer(&mut bench), at(SERVER));
}

#[test]
fn over_tcp_when_every_address_is_dead_one_error_lists_each_attempt() {
    let mut bench =
        Setup::new(8).http1().connections(|limits| limits.attempt_timeout = 5 * SECOND).build();
    bench.bare_machine(SERVER);
    bench.network().blackhole(tests::simulated::CLIENT.into(), OTHER, true);
    bench.name(HOST, [OTHER, SERVER]);
    let mut fetch = bench.ask(Ask::get("/").http1());
    bench.finish([&mut fetch]);
    let NetError::NoAddressAnswered { attempts, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    let (refused, dead) = ((SERVER, PORT).into(), (OTHER, PORT).into());
    let expected = [
        (refused, NetError::ConnectionRefused { peer: refused }),
        (dead, NetError::NetTimeout(TimeoutPhase::Connect)),
    ];
    assert_eq!(attempts, &expected);
    bench.run_until_empty();
}
