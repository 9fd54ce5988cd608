//! What necko-server holds ends with its clients, and it ends itself in good order.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
    time::Duration,
};

use http::{Method, StatusCode};
use nix::sys::signal::Signal;
use serde_json::Value;
use socket_transport::Clock;
use tests::loopback::{
    Client, NeckoCommand, QuinnClient, ServerProcess, fetch, pattern, read_to_end, wait_until_empty,
};

/// Far less than the idle timeouts, which are 30 seconds.
const AT_ONCE: Duration = Duration::from_secs(10);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn assert_empty(snapshot: &Value) {
    let alive = ["connections", "connection_ids", "streams", "transfers", "uploads", "files_open"];
    for kind in alive {
        assert_eq!(snapshot[kind], 0, "{kind}: {snapshot:#}");
    }
    for kind in ["sockets", "timers", "posted_events", "jobs_in_flight"] {
        assert_eq!(snapshot["service"][kind], 0, "{kind}: {snapshot:#}");
    }
}

#[test]
fn nothing_is_left_of_clients_however_they_go() {
    let server = ServerProcess::start();
    server.put("file", &pattern::body(3_000_000));
    // One that reads all, one that goes in the middle of a file, and one in the middle of many.
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    assert_eq!(client.get("/file").body.len(), 3_000_000);
    drop(client);
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    let mut running = client.begin(Method::GET, "/file", Vec::new());
    client.read_some(&mut running, 10_000);
    let alive = server.snapshot();
    assert!(alive["connections"].as_u64() >= Some(1), "{alive:#}");
    drop(client);
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    let running: Vec<_> =
        (0..20).map(|_| client.begin(Method::GET, "/bytes/900000000", Vec::new())).collect();
    drop(client);
    drop(running);
    let totals = server.wait_until_empty();
    assert_eq!((&totals["connections"], &totals["requests"]), (&3.into(), &22.into()));
    assert_eq!(totals["responses_failed"], 0);
}

#[test]
fn an_exchange_that_is_dropped_ends_alone() {
    let server = ServerProcess::start();
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    let dropped = client.begin(Method::GET, "/bytes/900000000", Vec::new());
    drop(dropped);
    pattern::assert_is(&client.get("/bytes/5000000").body, 5_000_000);
    drop(client);
    let totals = server.wait_until_empty();
    let ended = (&totals["responses_completed"], &totals["responses_cancelled"]);
    assert_eq!(ended, (&1.into(), &1.into()));
}

#[test]
fn on_sigterm_a_running_transfer_finishes_and_then_the_server_ends() {
    let patient = |command: &mut Command| _ = command.args(["--shutdown-timeout", "60"]);
    let mut server = ServerProcess::start_with(LOOPBACK, patient);
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    // More than the windows hold, so it is not all on its way already.
    let length = 40_000_000;
    let mut running = client.begin(Method::GET, &format!("/bytes/{length}"), Vec::new());
    assert_eq!(running.status, StatusCode::OK);
    let mut check = pattern::Check::new();
    check.take(&client.read_some(&mut running, 1_000_000));
    server.signal(Signal::SIGTERM);
    // The server says so once it has taken notice.
    server.wait_for_stderr("shutting down");
    check.take(&client.finish(running).body);
    assert_eq!(check.length(), length);
    assert_eq!(client.wait_closed(), Some(0x100));
    assert_eq!(server.wait().code(), Some(0));
    let snapshot = server.last_snapshot();
    assert_empty(&snapshot);
    assert_eq!(snapshot["totals"]["responses_completed"], 1);
}

/// <https://github.com/oven-sh/bun/pull/34038>
#[test]
fn d2_6_on_sigterm_an_idle_server_ends_at_once_and_tells_its_clients() {
    let mut server = ServerProcess::start();
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    pattern::assert_is(&client.get("/bytes/1").body, 1);
    let handler = Client::trusting(&server.ca()).to(server.address()).start();
    assert_eq!(read_to_end(fetch(handler.get(&server.url("/bytes/1"))).unwrap()), Ok(1));
    server.signal(Signal::SIGTERM);
    assert_eq!(client.wait_closed(), Some(0x100));
    let clock = Clock::system();
    let begin = clock.now();
    assert_eq!(wait_until_empty(&handler).lifetime.reclaimed, 1);
    assert!(clock.now() - begin < AT_ONCE);
    assert_eq!(server.wait().code(), Some(0));
    assert_empty(&server.last_snapshot());
}

/// <https://github.com/mozilla/neqo/issues/1995>
#[test]
fn d2_10_of_a_command_that_has_ended_the_server_has_no_connection_left() {
    let server = ServerProcess::start();
    let clock = Clock::system();
    for _ in 0..3 {
        let command = NeckoCommand::fetch_trusting(&server.ca()).arg(server.url("/bytes/1000"));
        pattern::assert_is(&command.run().expect_success().stdout, 1000);
        // The closing period is short; the idle timeout, which a silent end would take, is 30 seconds.
        let begin = clock.now();
        server.wait_until_empty();
        assert!(clock.now() - begin < AT_ONCE);
    }
}

#[test]
fn a_transfer_that_takes_too_long_does_not_keep_the_server() {
    let soon = |command: &mut Command| _ = command.args(["--shutdown-timeout", "0.2"]);
    let mut server = ServerProcess::start_with(LOOPBACK, soon);
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    let _never_read = client.begin(Method::GET, "/bytes/900000000", Vec::new());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_empty(&server.last_snapshot());
}

#[test]
fn a_client_that_falls_silent_is_forgotten() {
    let soon = |command: &mut Command| _ = command.args(["--idle-timeout", "2"]);
    let server = ServerProcess::start_with(LOOPBACK, soon);
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    pattern::assert_is(&client.get("/bytes/1000").body, 1000);
    // It only moves when it is asked to: to the server it is gone.
    assert_eq!(server.wait_until_empty()["connections"], 1);
    drop(client);
}
