//! What an application can say about connections, over a real network.

use http::Method;
use necko::{ConnectionLimits, HttpHandler, Isolation, NetError, Request, Snapshot};
use tests::loopback::{
    Client, DEADLINE, QuinnServer, TestCa, fetch, read_to_end, wait_until, wait_until_empty,
};

fn server_and_handler() -> (QuinnServer, HttpHandler) {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    (server, handler)
}

fn connected(snapshot: &Snapshot) -> bool {
    let connections = snapshot.entries.iter().flat_map(|entry| &entry.connections);
    let mut sessions = connections.filter_map(|connection| connection.session.as_ref());
    sessions.any(|session| session.state == necko::SessionState::Connected)
}

#[test]
fn a_connection_made_ahead_of_time_is_there_when_the_request_comes() {
    let (server, handler) = server_and_handler();
    let request = Request::new(Method::GET, &server.url("/10")).unwrap();
    handler.speculative_connect(&request).unwrap();
    wait_until(DEADLINE, "it is connected", || {
        let snapshot = handler.snapshot().unwrap();
        assert_eq!(snapshot.transactions(), 0);
        connected(&snapshot).then_some(())
    });
    assert_eq!(read_to_end(fetch(handler.fetch(request)).unwrap()), Ok(10));
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn isolated_requests_have_connections_of_their_own() {
    let (server, handler) = server_and_handler();
    for (anonymous, partition) in [(false, ""), (true, ""), (false, "a"), (false, "b"), (true, "")]
    {
        let isolation = Isolation { anonymous, private: false, partition: partition.into() };
        let request = Request::new(Method::GET, &server.url("/10")).unwrap().isolation(isolation);
        assert_eq!(read_to_end(fetch(handler.fetch(request)).unwrap()), Ok(10));
    }
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 4);
}

#[test]
fn m21_a_network_change_lets_what_runs_finish_and_dials_anew_for_the_rest() {
    let (server, handler) = server_and_handler();
    let running = fetch(handler.get(&server.url("/5000000"))).unwrap();
    handler.network_changed().unwrap();
    assert_eq!(read_to_end(fetch(handler.get(&server.url("/10"))).unwrap()), Ok(10));
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 2);
    assert_eq!(read_to_end(running), Ok(5_000_000));
}

#[test]
fn aborting_everything_ends_what_runs_and_leaves_nothing() {
    let (server, handler) = server_and_handler();
    let running = fetch(handler.get(&server.url("/50000000"))).unwrap();
    handler.abort_all_connections().unwrap();
    assert_eq!(read_to_end(running), Err(NetError::Aborted));
    wait_until_empty(&handler);
    assert_eq!(read_to_end(fetch(handler.get(&server.url("/10"))).unwrap()), Ok(10));
}

#[test]
fn beyond_a_limit_of_connections_requests_wait_and_all_are_served() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let limits = ConnectionLimits { max_connections: 2, ..ConnectionLimits::default() };
    let client = Client::trusting(&ca.file()).to(server.address()).connections(limits);
    let handler = client.start();
    let responses: Vec<_> = (0..6)
        .map(|n| {
            let isolation = Isolation { partition: format!("{n}"), ..Isolation::default() };
            let request = Request::new(Method::GET, &server.url("/10")).unwrap();
            handler.fetch(request.isolation(isolation)).unwrap()
        })
        .collect();
    for response in responses {
        assert_eq!(read_to_end(fetch(Ok(response)).unwrap()), Ok(10));
        assert!(handler.snapshot().unwrap().service.sockets <= 2);
    }
}
