//! How handlers and connections end.

use std::net::UdpSocket;

use http::StatusCode;
use necko::NetError;
use tests::loopback::{
    Client, DEADLINE, QuinnServer, ServerEvent, TestCa, block_on, fetch, read_to_end,
    wait_until_empty, within,
};

fn request(path: &str) -> impl Fn(&ServerEvent) -> Option<()> {
    move |event| (*event == ServerEvent::Request(path.to_owned())).then_some(())
}

#[test]
fn shutdown_ends_what_is_in_flight_and_the_server_is_told() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    let reading = fetch(handler.get(&server.url("/900000000"))).unwrap();
    let waiting = handler.get(&server.url("/hang")).unwrap();
    server.wait_for(request("/hang"));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let connecting = handler.get(&format!("https://{}/", silent.local_addr().unwrap())).unwrap();
    let handler = within(DEADLINE, move || {
        handler.shutdown();
        handler
    });
    for pending in [waiting, connecting] {
        assert_eq!(block_on(DEADLINE, pending).unwrap_err(), NetError::ShuttingDown);
    }
    let mut body = reading.into_body();
    let error = loop {
        match block_on(DEADLINE, body.chunk()) {
            Ok(piece) => assert!(piece.is_some(), "the body ended as if it were complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, NetError::ShuttingDown);
    assert_eq!(server.wait_for_close(), Some(0x100));
    // From here on it refuses.
    assert_eq!(handler.get(&server.url("/1")).unwrap_err(), NetError::ShuttingDown);
    assert_eq!(handler.snapshot().unwrap_err(), NetError::ShuttingDown);
    within(DEADLINE, move || handler.shutdown());
}

#[test]
fn dropping_a_handler_closes_its_connections_without_an_error() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    assert_eq!(read_to_end(fetch(handler.get(&server.url("/1"))).unwrap()), Ok(1));
    within(DEADLINE, move || drop(handler));
    assert_eq!(server.wait_for_close(), Some(0x100));
}

#[test]
fn closing_persistent_connections_lets_running_requests_finish() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    let running = fetch(handler.get(&server.url("/20000000"))).unwrap();
    handler.close_persistent_connections().unwrap();
    // A connection of its own: the first one takes no more.
    let next = fetch(handler.get(&server.url("/status/200"))).unwrap();
    assert_eq!(next.status(), StatusCode::OK);
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 2);
    assert_eq!(read_to_end(running), Ok(20_000_000));
    assert_eq!(server.wait_for_close(), Some(0x100));
    drop(next);
    handler.close_persistent_connections().unwrap();
    let lifetime = wait_until_empty(&handler).lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed), (2, 2));
}

#[test]
fn a_response_outlives_the_handler_that_it_came_through() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    let complete = fetch(handler.get(&server.url("/50000"))).unwrap();
    server.wait_for(|event| (*event == ServerEvent::Answered("/50000".into())).then_some(()));
    tests::loopback::wait_until(DEADLINE, "the stream is over", || {
        (handler.snapshot().unwrap().transactions() == 0).then_some(())
    });
    within(DEADLINE, move || drop(handler));
    assert_eq!(read_to_end(complete), Ok(50_000));
}
