//! Encrypted Client Hello against real servers that can do it, can't, or have other keys by now.

use connection_mgr::Event;
use tests::simulated::{Ask, Bench, EchKeys, Fetch, HOST, Http3ServerPeer, Peer, SECOND};
use transaction::{CertificateProblem, EchConfigList, NetError};

const PUBLIC: &str = "public.necko.test";

/// A client that knows this configuration of [`HOST`].
fn bench(seed: u64, config: EchConfigList) -> (Bench, Peer<Http3ServerPeer>) {
    let (bench, server) = Bench::with_server(seed);
    bench.submit(Event::EchConfig { host: HOST.to_owned(), config: Some(config) });
    (bench, server)
}

/// Whether ECH was accepted on each connection that is there.
fn accepted(bench: &mut Bench) -> Vec<bool> {
    let entries = bench.snapshot().entries;
    let connections = entries.into_iter().flat_map(|entry| entry.connections);
    let sessions = connections.filter(|connection| connection.active).filter_map(|one| one.session);
    sessions.map(|session| session.ech_accepted).collect()
}

fn connections(bench: &mut Bench) -> u64 {
    bench.snapshot().lifetime.connections
}

#[test]
fn a_server_with_the_keys_takes_it() {
    let keys = EchKeys::new(PUBLIC);
    let (mut bench, server) = bench(1, keys.config());
    server.tell(|server, _| server.enable_ech(&keys));
    let fetch = bench.fetch("/1000");
    fetch.expect_pattern(1000);
    assert_eq!((accepted(&mut bench), connections(&mut bench)), (vec![true], 1));
    assert_eq!(bench.verifications(), 1);
}

#[test]
fn a_server_that_has_other_keys_by_now_is_asked_again_with_those() {
    let (mut bench, server) = bench(2, EchKeys::new(PUBLIC).config());
    server.tell(|server, _| server.enable_ech(&EchKeys::new(PUBLIC)));
    let mut fetches: Vec<Fetch> = (0..3).map(|_| bench.get("/1000")).collect();
    fetches.push(bench.ask(Ask::post("/post", vec![b'x'; 50_000])));
    bench.finish(&mut fetches);
    for fetch in &fetches[..3] {
        fetch.expect_pattern(1000);
    }
    assert_eq!(fetches[3].result(), Ok(()));
    assert_eq!((accepted(&mut bench), connections(&mut bench)), (vec![true], 2));
    assert_eq!(bench.verifications(), 2, "for the public name, and for the host");
    assert_eq!(server.look(|server| server.requests.len()), 4, "none was sent twice");
}

#[test]
fn a_server_that_can_not_do_it_any_more_is_asked_without() {
    let (mut bench, server) = bench(3, EchKeys::new(PUBLIC).config());
    let fetch = bench.fetch("/1000");
    fetch.expect_pattern(1000);
    assert_eq!((accepted(&mut bench), connections(&mut bench)), (vec![false], 2));
    assert_eq!(server.look(Http3ServerPeer::connections), 1);
}

#[test]
fn a_server_that_refuses_twice_fails_the_request() {
    let (mut bench, server) = bench(4, EchKeys::new(PUBLIC).config());
    server.tell(|server, _| server.enable_ech(&EchKeys::new(PUBLIC)));
    let mut fetch = bench.get("/1000");
    bench.run_until("it is asked again", |client| {
        client.call(|mgr, ctx| mgr.snapshot(ctx)).lifetime.connections == 2
    });
    server.tell(|server, _| server.enable_ech(&EchKeys::new(PUBLIC)));
    bench.finish([&mut fetch]);
    let NetError::EchRejected { host, .. } = fetch.error() else { panic!("{:?}", fetch.error()) };
    assert_eq!((host.as_str(), connections(&mut bench)), (HOST, 2));
    let waited = bench.run_until_empty();
    assert!(waited < 5 * SECOND, "{waited:?}");
    assert_eq!(server.look(|server| server.requests.len()), 0);
}

/// Somebody between us and the server, who would learn the host's name if he were believed.
#[test]
fn a_refusal_by_somebody_who_is_not_the_public_name_is_an_error_of_its_certificate() {
    let (mut bench, server) = bench(5, EchKeys::new("public.example").config());
    server.tell(|server, _| server.enable_ech(&EchKeys::new(PUBLIC)));
    let fetch = bench.fetch("/1000");
    let NetError::Certificate { host, problem, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert_eq!((host.as_str(), *problem), ("public.example", CertificateProblem::WrongHost));
    assert_eq!((connections(&mut bench), bench.verifications()), (1, 1));
}

#[test]
fn grease_means_nothing_to_servers_with_and_without_keys() {
    for with_keys in [false, true] {
        let (mut bench, server) = Bench::with_server(6);
        if with_keys {
            server.tell(|server, _| server.enable_ech(&EchKeys::new(PUBLIC)));
        }
        let fetch = bench.fetch("/1000");
        fetch.expect_pattern(1000);
        assert_eq!((accepted(&mut bench), connections(&mut bench)), (vec![false], 1));
    }
}

#[test]
fn m27_a_configuration_that_comes_while_connecting_is_used_at_once() {
    let (mut bench, server) = Bench::with_server(7);
    let keys = EchKeys::new(PUBLIC);
    server.tell(|server, _| server.enable_ech(&keys));
    let mut fetches = [bench.get("/1000"), bench.get("/1000")];
    bench.run_until("a connection is begun", |client| {
        client.call(|mgr, ctx| mgr.snapshot(ctx)).lifetime.connections == 1
    });
    bench.submit(Event::EchConfig { host: HOST.to_owned(), config: Some(keys.config()) });
    bench.finish(&mut fetches);
    for fetch in &fetches {
        fetch.expect_pattern(1000);
    }
    assert_eq!((accepted(&mut bench), connections(&mut bench)), (vec![true], 2));
}
