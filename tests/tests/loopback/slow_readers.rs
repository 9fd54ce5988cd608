//! Readers that take their time on a real network get everything all the same.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
    time::Duration,
};

use necko::{HttpHandler, Response};
use tests::loopback::{
    Client, DEADLINE, QuinnOptions, QuinnServer, ServerEvent, ServerProcess, TestCa, block_on,
    fetch, pattern, pause, read_to_end,
};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// More than all windows and buffers between the two ends hold, so that the server has to stop.
const LENGTH: u64 = 24_000_000;
/// Both ends give up a silent connection after this time.
const IDLE: Duration = Duration::from_secs(1);

/// Reads a body piece by piece with a pause before each of the first 100; answers its length.
fn read_slowly(response: Response) -> u64 {
    let mut body = response.into_body();
    let mut check = pattern::Check::new();
    let mut pauses = 100;
    while let Some(piece) = block_on(DEADLINE, body.chunk()).unwrap() {
        check.take(&piece);
        if pauses > 0 {
            pauses -= 1;
            pause(Duration::from_millis(5));
        }
    }
    check.length()
}

/// Reads a little, then nothing for far longer than the idle timeout, then the rest.
fn stop_and_go_on(response: Response) -> u64 {
    let mut body = response.into_body();
    let mut check = pattern::Check::new();
    check.take(&block_on(DEADLINE, body.chunk()).unwrap().unwrap());
    pause(3 * IDLE);
    while let Some(piece) = block_on(DEADLINE, body.chunk()).unwrap() {
        check.take(&piece);
    }
    check.length()
}

/// Both kinds of readers beside each other, on one connection.
#[track_caller]
fn both_get_everything(handler: &HttpHandler, url: &str) {
    let stopping = fetch(handler.get(url)).unwrap();
    let slow = fetch(handler.get(url)).unwrap();
    let lengths = std::thread::scope(|scope| {
        let stopping = scope.spawn(|| stop_and_go_on(stopping));
        let slow = scope.spawn(|| read_slowly(slow));
        [stopping.join().unwrap(), slow.join().unwrap()]
    });
    assert_eq!(lengths, [LENGTH; 2]);
    // Nothing died and was fetched again.
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn a_slow_reader_and_one_that_stops_get_everything_from_necko_server() {
    let idle = |command: &mut Command| _ = command.args(["--idle-timeout", "1"]);
    let server = ServerProcess::start_with(LOOPBACK, idle);
    let handler = Client::trusting(&server.ca()).to(server.address()).idle_timeout(IDLE).start();
    both_get_everything(&handler, &server.url(&format!("/bytes/{LENGTH}")));
    drop(handler);
    assert_eq!(server.wait_until_empty()["responses_completed"], 2);
}

#[test]
fn a_slow_reader_and_one_that_stops_get_everything_from_h3_on_quinn() {
    let ca = TestCa::new();
    let options = QuinnOptions::new(ca.localhost());
    let server = QuinnServer::start_with(QuinnOptions { idle_timeout: IDLE, ..options });
    let handler = Client::trusting(&ca.file()).to(server.address()).idle_timeout(IDLE).start();
    both_get_everything(&handler, &server.url(&format!("/{LENGTH}")));
}

#[test]
fn a_reader_that_stops_for_good_is_not_in_the_way_of_others() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    let stopped = fetch(handler.get(&server.url(&format!("/{LENGTH}")))).unwrap();
    for _ in 0..3 {
        let other = fetch(handler.get(&server.url(&format!("/{LENGTH}")))).unwrap();
        assert_eq!(read_to_end(other), Ok(LENGTH));
    }
    // Nobody has read anything of the first one, so the server can't have sent all of it.
    let answered = |event: &ServerEvent| matches!(event, ServerEvent::Answered(_));
    assert_eq!(server.count(answered), 3);
    assert_eq!(read_to_end(stopped), Ok(LENGTH));
}
