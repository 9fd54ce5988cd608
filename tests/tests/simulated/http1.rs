//! HTTP/1.1 over TLS and TCP in virtual time, against a server that acts by a script.

use connection_mgr::Snapshot;
use tests::simulated::{Act, Ask, Bench, MINUTE, MS, SECOND, SERVER, ScriptServer, Setup};
use transaction::NetError;

fn bench(seed: u64, script: impl Fn(usize) -> Vec<Act> + 'static) -> (Bench, ScriptServer) {
    let mut bench = Setup::new(seed).http1().build();
    let server = bench.http1_server(SERVER, script);
    (bench, server)
}

fn get(bench: &mut Bench, path: &str) -> Result<Vec<u8>, NetError> {
    let mut fetch = bench.ask(Ask::get(path).http1());
    bench.finish([&mut fetch]);
    fetch.result().map(|()| fetch.body().to_vec()).map_err(Clone::clone)
}

/// Active and idle connections.
fn lists(snapshot: &Snapshot) -> (usize, usize) {
    let connections = || snapshot.entries.iter().flat_map(|entry| &entry.connections);
    (connections().filter(|one| one.active).count(), connections().filter(|one| one.idle).count())
}

#[test]
fn m5_an_idle_connection_is_used_again_and_one_that_the_server_ended_is_not() {
    let (mut bench, server) = bench(1, |number| match number {
        0 => vec![
            Act::Head,
            Act::respond("a"),
            Act::Head,
            Act::respond("b"),
            Act::Wait(SECOND),
            Act::End,
        ],
        _ => vec![Act::Head, Act::respond("c")],
    });
    assert_eq!(get(&mut bench, "/1"), Ok(b"a".to_vec()));
    assert_eq!(lists(&bench.snapshot()), (0, 1));
    assert_eq!(get(&mut bench, "/2"), Ok(b"b".to_vec()));
    assert_eq!(server.connections(), 1);
    assert!(server.heard(0).heads[1].starts_with("GET /2 HTTP/1.1\r\n"));

    bench.run_for(2 * SECOND);
    assert_eq!(lists(&bench.snapshot()), (0, 0));
    assert_eq!(server.heard(0).ended, Some(true), "the client said goodbye as well");
    assert_eq!(get(&mut bench, "/3"), Ok(b"c".to_vec()));
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_body_that_somebody_cuts_off_is_an_error_and_so_is_a_reset() {
    for end in [Act::End, Act::Cut, Act::Reset] {
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort";
        let script = vec![Act::Head, Act::send(short), Act::Wait(SECOND), end];
        let (mut bench, _server) = bench(1, move |_| script.clone());
        assert!(get(&mut bench, "/").is_err());
    }
}

#[test]
fn a_response_over_a_bad_line_arrives_whole() {
    let body = "0123456789".repeat(30_000);
    let expected = body.clone().into_bytes();
    let (mut bench, _server) = bench(3, move |_| vec![Act::Head, Act::respond(&body)]);
    let bad = socket_transport::simulated::LinkConfig::new().loss(0.03).jitter(5 * MS);
    bench.network().both(tests::simulated::CLIENT.into(), SERVER, bad);
    assert_eq!(get(&mut bench, "/"), Ok(expected));
}

#[test]
fn of_a_server_that_vanishes_nothing_is_left_when_the_reader_goes() {
    let (mut bench, _server) = bench(1, |_| {
        vec![Act::Head, Act::send("HTTP/1.1 200 OK\r\n\r\nsome"), Act::Wait(SECOND), Act::Vanish]
    });
    let mut fetch = bench.ask(Ask::get("/").http1());
    bench.run_for(MINUTE);
    assert!(!fetch.poll(), "nobody says that this is all");
    assert_eq!(fetch.body(), b"some");
    drop(fetch);
}

#[test]
fn where_nobody_listens_the_request_is_refused() {
    let mut bench = Setup::new(1).http1().build();
    bench.bare_machine(SERVER);
    assert!(get(&mut bench, "/").is_err());
    assert!(bench.elapsed() < SECOND);
}
