//! Which connection a request gets: the entry's own, another host's, or a new one.

use connection_mgr::{ConnectionInfo, Event};
use tests::simulated::{
    Ask, Bench, Fetch, HOST, Http3ServerPeer, MS, OTHER, PORT, Peer, SECOND, SERVER, Setup,
};
use transaction::{CertificateProblem, Isolation, NetError, TimeoutPhase};

/// Another name of [`SERVER`], which its certificate covers.
const SIBLING: &str = "a.necko.test";

fn served() -> (Bench, Peer<Http3ServerPeer>) {
    let (bench, server) = Bench::with_server(1);
    bench.name(SIBLING, [SERVER]);
    (bench, server)
}

fn ask(bench: &mut Bench, host: &str, path: &str) -> Fetch {
    let mut fetch = bench.ask(Ask::get(path).host(host));
    bench.finish([&mut fetch]);
    fetch
}

#[track_caller]
fn assert_connections(bench: &mut Bench, server: &Peer<Http3ServerPeer>, count: u64) {
    assert_eq!(bench.snapshot().lifetime.connections, count);
    assert_eq!(server.look(Http3ServerPeer::connections) as u64, count);
}

// Coalescing.

#[test]
fn m13_a_host_at_the_same_address_and_in_the_certificate_joins_the_connection() {
    let (mut bench, server) = served();
    bench.fetch("/1").expect_pattern(1);
    ask(&mut bench, SIBLING, "/2").expect_pattern(2);
    ask(&mut bench, SIBLING, "/3").expect_pattern(3);
    assert_connections(&mut bench, &server, 1);
    assert_eq!(bench.verifications(), 2, "the certificate was verified for each host, once");
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.service.sockets, snapshot.handles, snapshot.coalescable), (1, 1, 1));
    let joined = snapshot.entries.iter().find(|entry| entry.coalesced).expect("one has joined");
    assert!(joined.info.starts_with(SIBLING) && joined.connections.is_empty());
}

#[test]
fn a_host_that_the_certificate_does_not_name_gets_a_connection_of_its_own_and_fails_there() {
    let (mut bench, server) = served();
    bench.name("stranger.example", [SERVER]);
    bench.fetch("/1").expect_pattern(1);
    let fetch = ask(&mut bench, "stranger.example", "/2");
    let NetError::Certificate { problem, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert_eq!(*problem, CertificateProblem::WrongHost);
    assert_eq!(bench.snapshot().lifetime.connections, 2);
    assert_eq!(server.look(|server| server.requests.len()), 1, "it saw nothing of it");
    // Asked once for the join and once by its own handshake; the next one knows.
    assert_eq!(bench.verifications(), 3);
    ask(&mut bench, "stranger.example", "/2").error();
    assert_eq!(bench.verifications(), 4);
}

#[test]
fn nothing_joins_across_isolation_addresses_or_ports() {
    let (mut bench, server) = served();
    let other = bench.http3_server(OTHER, |parameters| parameters);
    bench.name("b.necko.test", [OTHER]);
    bench.fetch("/1").expect_pattern(1);
    let partition = Isolation { partition: "site.example".into(), ..Isolation::default() };
    let anonymous = Isolation { anonymous: true, ..Isolation::default() };
    let private = Isolation { private: true, ..Isolation::default() };
    for isolation in [partition, anonymous, private] {
        let mut fetch = bench.ask(Ask::get("/2").host(SIBLING).isolated(isolation));
        bench.finish([&mut fetch]);
        fetch.expect_pattern(2);
    }
    assert_connections(&mut bench, &server, 4);
    ask(&mut bench, "b.necko.test", "/3").expect_pattern(3);
    assert_eq!(other.look(Http3ServerPeer::connections), 1, "not at the same address");
    let mut fetch = bench.ask(Ask::get("/4").host(SIBLING).port(PORT + 1));
    bench.names().set(SIBLING, PORT + 1, [(SERVER, PORT + 1).into()]);
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::ConnectionRefused { .. }), "{:?}", fetch.error());
    assert_eq!(bench.verifications(), 5, "no certificate was looked at for a join");
}

#[test]
fn who_has_joined_a_connection_dials_when_that_is_over() {
    let (mut bench, server) = served();
    bench.fetch("/1").expect_pattern(1);
    let mut running = bench.ask(Ask::get("/drip/50/10/100").host(SIBLING));
    bench.run_until("it is on the connection", |_| running.poll_head());
    bench.close_persistent_connections();
    bench.run_for(10 * MS);
    ask(&mut bench, SIBLING, "/2").expect_pattern(2);
    assert_connections(&mut bench, &server, 2);
    bench.finish([&mut running]);
    running.expect_pattern(50);
}

#[test]
fn a_request_that_has_joined_and_must_go_again_goes_to_its_own_host() {
    let (mut bench, server) = served();
    let other = bench.http3_server(OTHER, |parameters| parameters);
    bench.name(SIBLING, [SERVER, OTHER]);
    bench.fetch("/1").expect_pattern(1);
    let mut waiting = bench.ask(Ask::get("/silent").host(SIBLING));
    bench.run_until("it arrives", |_| server.look(|server| server.count("/silent") == 1));
    bench.cut(SERVER, true);
    bench.name(SIBLING, [OTHER]);
    bench.submit(Event::NetworkChanged);
    ask(&mut bench, SIBLING, "/5").expect_pattern(5);
    assert_eq!(other.look(Http3ServerPeer::connections), 1);
    bench.finish([&mut waiting]);
    assert_eq!(waiting.error(), &NetError::NetTimeout(TimeoutPhase::Idle));
    bench.cut(SERVER, false);
}

#[test]
fn a_verdict_on_joining_that_never_comes_is_not_waited_for() {
    let mut bench = Setup::new(2).connections(|limits| limits.attempt_timeout = 3 * SECOND).build();
    let server = bench.http3_server(SERVER, |parameters| parameters);
    bench.name(SIBLING, [SERVER]);
    bench.fetch("/1").expect_pattern(1);
    let start = bench.elapsed();
    let mut fetch = bench.ask(Ask::get("/2").host(SIBLING));
    bench.run_until("its certificate is looked at", |client| {
        client
            .call(|mgr, ctx| mgr.snapshot(ctx))
            .entries
            .iter()
            .any(|entry| entry.half_open == connection_mgr::HalfOpenState::Resolving)
    });
    bench.network().job_delay(2 * SECOND);
    bench.run_until("the join waits", |client| {
        client
            .call(|mgr, ctx| mgr.snapshot(ctx))
            .entries
            .iter()
            .any(|entry| entry.half_open == connection_mgr::HalfOpenState::Joining)
    });
    drop(bench.snapshot());
    bench.finish([&mut fetch]);
    fetch.expect_pattern(2);
    assert!(bench.since(start) < 10 * SECOND);
    drop(server);
}

// Misdirected requests.

#[test]
fn t11_a_421_on_a_joined_connection_goes_to_a_connection_of_its_own() {
    let (mut bench, server) = served();
    bench.fetch("/1").expect_pattern(1);
    server.tell(|server, _| server.misdirected = 1);
    ask(&mut bench, SIBLING, "/2").expect_pattern(2);
    assert_connections(&mut bench, &server, 2);
    ask(&mut bench, SIBLING, "/3").expect_pattern(3);
    bench.fetch("/4").expect_pattern(4);
    assert_connections(&mut bench, &server, 2);
}

#[test]
fn t11_a_421_on_the_own_connection_goes_to_a_fresh_one_and_what_runs_there_goes_on() {
    let (mut bench, server) = served();
    let mut running = bench.get("/drip/50/10/100");
    bench.run_until("it runs", |_| running.poll_head());
    server.tell(|server, _| server.misdirected = 1);
    bench.fetch("/2").expect_pattern(2);
    assert_connections(&mut bench, &server, 2);
    bench.finish([&mut running]);
    running.expect_pattern(50);
}

#[test]
fn t11_a_second_421_is_the_answer() {
    let (mut bench, server) = served();
    server.tell(|server, _| server.misdirected = 2);
    let fetch = bench.fetch("/2");
    assert_eq!((fetch.result(), fetch.status()), (Ok(()), 421));
    assert_eq!(server.look(|server| server.count("/2")), 2);
    assert_connections(&mut bench, &server, 2);
}

// Speculative connects.

#[test]
fn m18_a_connection_made_ahead_of_time_serves_whoever_comes_first() {
    let (mut bench, server) = served();
    bench.submit(Event::SpeculativeConnect(ConnectionInfo::new(HOST, PORT)));
    // Who comes meanwhile and goes again leaves it to the next one.
    drop(bench.get("/1"));
    bench.run_for(SECOND);
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.connections(), snapshot.transactions(), snapshot.handles), (1, 0, 1));
    bench.submit(Event::SpeculativeConnect(ConnectionInfo::new(HOST, PORT)));
    let start = bench.elapsed();
    bench.fetch("/2").expect_pattern(2);
    assert!(bench.since(start) < 60 * MS, "one round trip: the handshake was over");
    assert_connections(&mut bench, &server, 1);
}

#[test]
fn a_speculative_connect_to_nowhere_says_nothing_and_leaves_nothing() {
    let mut bench = Bench::new(3);
    bench.bare_machine(SERVER);
    bench.submit(Event::SpeculativeConnect(ConnectionInfo::new(HOST, PORT)));
    bench.submit(Event::SpeculativeConnect(ConnectionInfo::new("unknown.example", PORT)));
    bench.run_for(SECOND);
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
}

#[test]
fn no_more_than_a_few_connections_are_made_ahead_of_time() {
    let (mut bench, server) = Bench::with_server(4);
    for n in 0..20 {
        let host = format!("s{n}.necko.test");
        bench.name(&host, [SERVER]);
        bench.submit(Event::SpeculativeConnect(ConnectionInfo::new(&host, PORT)));
    }
    bench.run_for(SECOND);
    let connections = bench.snapshot().lifetime.connections;
    assert_eq!(connections, 6);
    drop(server);
}

// The network changes.

#[test]
fn m21_m7_after_a_network_change_old_connections_finish_and_new_requests_dial_anew() {
    let (mut bench, server) = served();
    let mut running = bench.get("/drip/50/10/1000");
    bench.run_until("it runs", |_| running.poll_head());
    bench.submit(Event::NetworkChanged);
    bench.fetch("/2").expect_pattern(2);
    assert_connections(&mut bench, &server, 2);
    let active = |snapshot: &connection_mgr::Snapshot| {
        let connections = snapshot.entries.iter().flat_map(|entry| &entry.connections);
        connections.filter(|connection| connection.active).count()
    };
    let snapshot = bench.snapshot();
    assert_eq!((active(&snapshot), snapshot.connections(), snapshot.handles), (1, 2, 2));
    bench.finish([&mut running]);
    running.expect_pattern(50);
    bench.run_for(5 * SECOND);
    let snapshot = bench.snapshot();
    assert_eq!((active(&snapshot), snapshot.connections()), (1, 1));
    assert_eq!(snapshot.lifetime.reclaimed, 1, "the old one, from the draining list, once");
}

#[test]
fn m22_m14_a_network_change_forgets_who_may_be_joined() {
    let (mut bench, server) = served();
    bench.fetch("/1").expect_pattern(1);
    ask(&mut bench, SIBLING, "/2").expect_pattern(2);
    assert_eq!(bench.snapshot().coalescable, 1);
    bench.submit(Event::NetworkChanged);
    bench.run_for(5 * SECOND);
    assert_eq!(bench.snapshot().expect_empty(), Ok(()), "nothing ran on it");
    ask(&mut bench, SIBLING, "/3").expect_pattern(3);
    assert_connections(&mut bench, &server, 2);
}

#[test]
fn a_network_change_during_look_up_or_handshake_looks_up_and_dials_again() {
    let (mut bench, _server) = served();
    let other = bench.http3_server(OTHER, |parameters| parameters);
    // On the old network the host has an address that nobody answers at.
    bench.name(HOST, [[10, 0, 0, 9].into()]);
    bench.silent_server([10, 0, 0, 9].into());
    let mut stuck = bench.get("/1");
    bench.run_for(SECOND);
    let mut waiting = bench.get("/2");
    bench.run_for(SECOND);
    bench.name(HOST, [OTHER]);
    let changed = bench.elapsed();
    bench.submit(Event::NetworkChanged);
    bench.finish([&mut waiting, &mut stuck]);
    waiting.expect_pattern(2);
    stuck.expect_pattern(1);
    assert_eq!(other.look(Http3ServerPeer::connections), 1);
    assert!(bench.since(changed) < SECOND, "who waited for a handshake waits no longer");
}

#[test]
fn offline_ends_what_runs_and_refuses_what_comes_until_online_again() {
    let (mut bench, server) = served();
    let mut running = bench.get("/drip/50/10/1000");
    bench.run_until("it runs", |_| running.poll_head());
    bench.client().poster().set_offline(true);
    bench.finish([&mut running]);
    assert!(matches!(running.error(), NetError::PartialTransfer { .. }), "{:?}", running.error());
    let refused = bench.fetch("/1");
    let NetError::Socket { kind, .. } = refused.error() else { panic!("{:?}", refused.error()) };
    assert_eq!(*kind, std::io::ErrorKind::NetworkDown);
    bench.run_for(MS);
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
    bench.client().poster().set_offline(false);
    bench.fetch("/2").expect_pattern(2);
    assert_connections(&mut bench, &server, 2);
}

#[test]
fn m26_improved_aborting_all_ends_every_request_and_restarts_none() {
    let (mut bench, server) = served();
    let mut running = bench.get("/drip/50/10/1000");
    bench.run_until("it runs", |_| running.poll_head());
    let mut unanswered = bench.get("/silent");
    bench.run_until("it arrives", |_| server.look(|server| server.count("/silent") == 1));
    bench.name("c.necko.test", [OTHER]);
    let mut waiting = bench.ask(Ask::get("/1").host("c.necko.test"));
    bench.submit(Event::AbortAllConnections);
    bench.finish([&mut running, &mut unanswered, &mut waiting]);
    for fetch in [&running, &unanswered, &waiting] {
        assert_eq!(fetch.error(), &NetError::Aborted);
    }
    let waited = bench.run_until_empty();
    assert!(waited < 5 * SECOND, "{waited:?}");
    bench.fetch("/2").expect_pattern(2);
}
