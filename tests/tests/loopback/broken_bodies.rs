//! Bodies that break off on a real network: what had arrived can be read, then comes an error that says how
//! much that was, and nothing is left behind.

use std::{net::Ipv4Addr, process::Command, time::Duration};

use necko::{HttpHandler, NetError, ResponseBody};
use nix::sys::signal::Signal;
use tests::loopback::{
    Client, DEADLINE, NeckoCommand, QuinnServer, ServerProcess, TestCa, block_on, fetch, pattern,
    read_to_end, wait_until_empty,
};

fn server_and_handler(idle_timeout: Duration) -> (TestCa, QuinnServer, HttpHandler) {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let client = Client::trusting(&ca.file()).to(server.address()).idle_timeout(idle_timeout);
    let handler = client.start();
    (ca, server, handler)
}

const PATIENT: Duration = Duration::from_secs(30);

/// Reads until `length` bytes have come.
#[track_caller]
fn read(body: &mut ResponseBody, check: &mut pattern::Check, length: u64) {
    while check.length() < length {
        check.take(&block_on(DEADLINE, body.chunk()).unwrap().unwrap());
    }
}

/// Reads what is left and the error after it; that this names what was read and what was announced is
/// checked, its words are answered.
#[track_caller]
fn read_to_error(body: &mut ResponseBody, check: &mut pattern::Check, announced: u64) -> String {
    let error = loop {
        match block_on(DEADLINE, body.chunk()) {
            Ok(piece) => check.take(&piece.expect("this is no end")),
            Err(error) => break error,
        }
    };
    let NetError::PartialTransfer { received, expected, reason } = error else {
        panic!("{error:?}")
    };
    assert_eq!((received, expected), (check.length(), Some(announced)));
    reason
}

/// The connection that it happened on is as good as before.
#[track_caller]
fn assert_connection_is_kept(server: &QuinnServer, handler: &HttpHandler) {
    assert_eq!(read_to_end(fetch(handler.get(&server.url("/100000"))).unwrap()), Ok(100_000));
    let snapshot = handler.snapshot().unwrap();
    assert_eq!((snapshot.lifetime.connections, snapshot.transactions()), (1, 0));
    handler.close_persistent_connections().unwrap();
    wait_until_empty(handler);
}

#[test]
fn a_reset_in_the_body_is_an_error_after_what_arrived() {
    let (_ca, server, handler) = server_and_handler(PATIENT);
    for length in [1, 300_000] {
        let response = fetch(handler.get(&server.url(&format!("/reset/{length}")))).unwrap();
        let (mut body, mut check) = (response.into_body(), pattern::Check::new());
        read(&mut body, &mut check, length);
        server.release();
        let reason = read_to_error(&mut body, &mut check, length + 1000);
        assert!(reason.contains("H3_INTERNAL_ERROR"), "{reason}");
        assert_eq!(check.length(), length);
    }
    assert_connection_is_kept(&server, &handler);
}

#[test]
fn a_body_that_is_shorter_than_announced_is_an_error_after_its_last_byte() {
    let (_ca, server, handler) = server_and_handler(PATIENT);
    for length in [0, 1, 300_000] {
        let response = fetch(handler.get(&server.url(&format!("/short/{length}")))).unwrap();
        let (mut body, mut check) = (response.into_body(), pattern::Check::new());
        read_to_error(&mut body, &mut check, length + 1000);
        assert_eq!(check.length(), length);
    }
    assert_connection_is_kept(&server, &handler);
}

#[test]
fn the_command_keeps_no_file_of_a_body_that_is_too_short() {
    let (ca, server, _) = server_and_handler(PATIENT);
    let dir = tempfile::tempdir().unwrap();
    let command = NeckoCommand::fetch_trusting(&ca.file()).arg(server.url("/short/300000"));
    let finished = command.arg("-o").arg(dir.path().join("file")).run();
    finished.expect_failure(18, &["300000", "301000"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_server_that_dies_in_a_body_is_an_error_after_what_arrived() {
    let (_ca, mut server, handler) = server_and_handler(Duration::from_secs(1));
    let length = 900_000_000;
    let response = fetch(handler.get(&server.url(&format!("/{length}")))).unwrap();
    let (mut body, mut check) = (response.into_body(), pattern::Check::new());
    read(&mut body, &mut check, 1_000_000);
    server.die();
    read_to_error(&mut body, &mut check, length);
    drop(body);
    wait_until_empty(&handler);
}

#[test]
fn a_server_that_is_shut_down_in_a_body_is_an_error_after_what_arrived() {
    let soon = |command: &mut Command| _ = command.args(["--shutdown-timeout", "0.2"]);
    let mut server = ServerProcess::start_with(Ipv4Addr::LOCALHOST.into(), soon);
    let handler = Client::trusting(&server.ca()).to(server.address()).start();
    let length = 900_000_000;
    let response = fetch(handler.get(&server.url(&format!("/bytes/{length}")))).unwrap();
    let (mut body, mut check) = (response.into_body(), pattern::Check::new());
    read(&mut body, &mut check, 1_000_000);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    let reason = read_to_error(&mut body, &mut check, length);
    // It is the server's farewell that ended it, and not its silence.
    assert!(!reason.contains("timed out"), "{reason}");
    drop(body);
    wait_until_empty(&handler);
}
