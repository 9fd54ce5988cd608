//! What servers of other making may do to a connection: Retry, GOAWAY, a stateless reset, an end after so
//! many requests or so much silence.

use std::time::Duration;

use http::{Method, StatusCode};
use necko::{HttpHandler, NetError, PendingResponse, Request};
use socket_transport::Clock;
use tests::loopback::{
    Client, QuinnOptions, QuinnServer, ServerEvent, TestCa, block_on, fetch, read_to_end,
    wait_until, wait_until_empty,
};

/// Far less than any timeout of these connections, which are 30 seconds.
const AT_ONCE: Duration = Duration::from_secs(10);

fn request(path: &str) -> impl Fn(&ServerEvent) -> Option<()> {
    move |event| (*event == ServerEvent::Request(path.to_owned())).then_some(())
}

fn post(handler: &HttpHandler, url: &str) -> PendingResponse {
    let request = Request::new(Method::POST, url).unwrap().body("once");
    handler.fetch(request).unwrap()
}

/// Fetches a kilobyte. Answers how long it took.
fn a_kilobyte(handler: &HttpHandler, server: &QuinnServer) -> Duration {
    let clock = Clock::system();
    let begin = clock.now();
    assert_eq!(read_to_end(fetch(handler.get(&server.url("/1000"))).unwrap()), Ok(1000));
    clock.now() - begin
}

#[test]
fn a_server_that_wants_retry_gets_it_once_a_connection() {
    let ca = TestCa::new();
    let options = QuinnOptions { retry: true, ..QuinnOptions::new(ca.localhost()) };
    let server = QuinnServer::start_with(options);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    for _ in 0..2 {
        a_kilobyte(&handler, &server);
        a_kilobyte(&handler, &server);
        handler.close_persistent_connections().unwrap();
        assert_eq!(server.wait_for_close(), Some(0x100));
    }
    assert_eq!(wait_until_empty(&handler).lifetime.connections, 2);
}

#[test]
fn each_retry_is_seen_before_the_connection_that_it_makes() {
    let ca = TestCa::new();
    let options = QuinnOptions { retry: true, ..QuinnOptions::new(ca.localhost()) };
    let server = QuinnServer::start_with(options);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    a_kilobyte(&handler, &server);
    let first = server.wait_for(|event| Some(event.clone()));
    let second = server.wait_for(|event| Some(event.clone()));
    assert_eq!((first, second), (ServerEvent::Retried, ServerEvent::Connected));
}

#[test]
fn h19_after_goaway_of_h3_what_runs_finishes_and_what_comes_dials_anew() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    let running = fetch(handler.get(&server.url("/20000000"))).unwrap();
    // What it has taken until then runs on. A request that meets the GOAWAY on its way is rejected.
    server.go_away(1);
    // Before, in between and after: each is answered, and from then on elsewhere.
    wait_until(AT_ONCE, "a second connection", || {
        let next = fetch(handler.get(&server.url("/status/200"))).unwrap();
        assert_eq!(next.status(), StatusCode::OK);
        (handler.snapshot().unwrap().lifetime.connections == 2).then_some(())
    });
    assert_eq!(read_to_end(running), Ok(20_000_000));
    // The last stream that ran on it is over, so it goes, in good order.
    assert_eq!(server.wait_for_close(), Some(0x100));
    wait_until(AT_ONCE, "one connection is left", || {
        (handler.snapshot().unwrap().connections() == 1).then_some(())
    });
}

#[test]
fn h18_an_idle_connection_that_gets_goaway_of_h3_closes_at_once() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    a_kilobyte(&handler, &server);
    server.go_away(1);
    let clock = Clock::system();
    let begin = clock.now();
    wait_until_empty(&handler);
    assert!(clock.now() - begin < AT_ONCE);
}

#[test]
fn a_stateless_reset_ends_the_connection_and_safe_requests_go_again() {
    let ca = TestCa::new();
    let options = QuinnOptions::new(ca.localhost());
    let endpoint = options.endpoint.clone();
    let mut server = QuinnServer::start_with(options);
    let address = server.address();
    let handler = Client::trusting(&ca.file()).to(address).start();
    let safe = handler.get(&server.url("/hang")).unwrap();
    server.wait_for(request("/hang"));
    let unsafe_one = post(&handler, &server.url("/hang"));
    server.wait_for(request("/hang"));
    server.die();
    // The same machine, started anew: it has the key, and knows nothing of the connection.
    let options = QuinnOptions { address, endpoint, ..QuinnOptions::new(ca.localhost()) };
    let server = QuinnServer::start_with(options);
    // What this sends on the old connection is answered with the reset, and then it goes again.
    assert!(a_kilobyte(&handler, &server) < AT_ONCE);
    let error = block_on(AT_ONCE, unsafe_one).unwrap_err();
    assert!(matches!(error, NetError::NetReset { .. }), "{error:?}");
    server.wait_for(request("/hang"));
    drop(safe);
    handler.close_persistent_connections().unwrap();
    let lifetime = wait_until_empty(&handler).lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed), (2, 2));
    // One only: what can't be sent again was not.
    let again = |event: &ServerEvent| *event == ServerEvent::Request("/hang".into());
    assert_eq!(server.count(again), 0);
}

/// A request that comes when the server has just forgotten the connection, and the client has not yet, is
/// answered with a stateless reset and goes again.
///
/// <https://github.com/lexiforest/curl_cffi/issues/797>
#[test]
fn d2_2_a_request_after_the_servers_idle_timeout_dials_and_does_not_hang() {
    let ca = TestCa::new();
    let idle_timeout = Duration::from_secs(1);
    let options = QuinnOptions { idle_timeout, ..QuinnOptions::new(ca.localhost()) };
    let server = QuinnServer::start_with(options);
    // The client's own timeout is 30 seconds.
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    for connections in 1..=3 {
        assert!(a_kilobyte(&handler, &server) < AT_ONCE);
        assert_eq!(handler.snapshot().unwrap().lifetime.connections, connections);
        // From here on the server knows nothing of the connection.
        assert_eq!(server.wait_for_close(), None);
    }
    assert_eq!(wait_until_empty(&handler).lifetime.reclaimed, 3);
}

/// <https://github.com/curl/curl/issues/6606>
#[test]
fn d2_9_when_the_server_closes_after_some_requests_the_others_go_again_or_fail_at_once() {
    let ca = TestCa::new();
    let closes_at_request = Some(5);
    let options = QuinnOptions { closes_at_request, ..QuinnOptions::new(ca.localhost()) };
    let server = QuinnServer::start_with(options);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    let safe = handler.get(&server.url("/hang")).unwrap();
    server.wait_for(request("/hang"));
    let unsafe_one = post(&handler, &server.url("/hang"));
    server.wait_for(request("/hang"));
    for _ in 0..2 {
        a_kilobyte(&handler, &server);
    }
    // The fifth: it is not answered there but on the next connection.
    assert!(a_kilobyte(&handler, &server) < AT_ONCE);
    let error = block_on(AT_ONCE, unsafe_one).unwrap_err();
    assert!(matches!(error, NetError::NetReset { .. }), "{error:?}");
    server.wait_for(request("/hang"));
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 2);
    drop(safe);
    handler.close_persistent_connections().unwrap();
    wait_until_empty(&handler);
    let again = |event: &ServerEvent| *event == ServerEvent::Request("/hang".into());
    assert_eq!(server.count(again), 0);
}
