//! A server that is killed and started again while connections to it are open. It sends no farewell, and
//! afterwards knows nothing of them: only their idle timeout can tell.

use std::time::Duration;

use necko::{HttpHandler, NetError, Response, TimeoutPhase};
use socket_transport::Clock;
use tests::loopback::{
    Caddy, Client, DEADLINE, QuinnOptions, QuinnServer, ServerProcess, TestCa, block_on, fetch,
    lasting_address, pattern, read_to_end, wait_until_empty,
};

/// The idle timeout of these connections. Silence while something is awaited is broken by PINGs, of which
/// each begins the timeout anew at most once.
const IDLE: Duration = Duration::from_secs(2);
/// A dead connection is known as one by then, on a busy machine too.
const BOUND: Duration = Duration::from_secs(30);
const LENGTH: u64 = 40_000_000;

/// Kills the server in the middle of a body, starts it again with `restart`, and fetches until that
/// succeeds.
fn survives(handler: &HttpHandler, url: &str, restart: impl FnOnce()) {
    let half_read = begin(handler, url);
    restart();
    let clock = Clock::system();
    let begin = clock.now();
    let attempts = until_it_succeeds(handler, url);
    let waited = clock.now() - begin;
    assert!(waited < BOUND, "{waited:?}");
    // One request at most goes to the dead connection, and says so when it is known to be dead.
    assert!(attempts <= 2, "{attempts} attempts");
    breaks_off(half_read);
    handler.close_persistent_connections().unwrap();
    let lifetime = wait_until_empty(handler).lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed), (2, 2));
}

/// A response of which the beginning has arrived, and the rest can't have.
fn begin(handler: &HttpHandler, url: &str) -> Response {
    fetch(handler.get(url)).unwrap()
}

fn until_it_succeeds(handler: &HttpHandler, url: &str) -> usize {
    for attempt in 1..10 {
        match fetch(handler.get(url)) {
            Ok(response) => {
                assert_eq!(read_to_end(response), Ok(LENGTH));
                return attempt;
            }
            Err(error) => assert_eq!(error, NetError::NetTimeout(TimeoutPhase::Idle)),
        }
    }
    panic!("no attempt succeeded");
}

/// What had arrived is delivered; then comes the error. The rest of the body is not fetched in secret.
fn breaks_off(response: Response) {
    let (mut body, mut check) = (response.into_body(), pattern::Check::new());
    let error = loop {
        match block_on(DEADLINE, body.chunk()) {
            Ok(piece) => check.take(&piece.expect("it can't be complete")),
            Err(error) => break error,
        }
    };
    let NetError::PartialTransfer { received, expected, .. } = error else { panic!("{error:?}") };
    assert_eq!((received, expected), (check.length(), Some(LENGTH)));
}

#[test]
fn quinn_is_killed_and_started_again() {
    let ca = TestCa::new();
    let address = lasting_address();
    // Each time with another key: what it knows nothing of it can't reset.
    let start =
        || QuinnServer::start_with(QuinnOptions { address, ..QuinnOptions::new(ca.localhost()) });
    let mut server = start();
    let url = server.url(&format!("/{LENGTH}"));
    let handler = Client::trusting(&ca.file()).to(address).idle_timeout(IDLE).start();
    survives(&handler, &url, || {
        server.die();
        server = start();
    });
}

#[test]
fn necko_server_is_killed_and_started_again() {
    let mut server = ServerProcess::start_lasting();
    let client = Client::trusting(&server.ca()).to(server.address()).idle_timeout(IDLE);
    let handler = client.start();
    let url = server.url(&format!("/bytes/{LENGTH}"));
    survives(&handler, &url, || server.kill_and_restart());
}

#[test]
fn caddy_is_killed_and_started_again() {
    let Some(mut caddy) = Caddy::start() else { return };
    caddy.put("file", &pattern::body(LENGTH));
    let client = Client::trusting(&caddy.ca()).to(caddy.address()).idle_timeout(IDLE);
    let handler = client.start();
    let url = caddy.url("/file");
    survives(&handler, &url, || caddy.kill_and_restart());
}
