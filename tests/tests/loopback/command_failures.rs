//! Each failure has its exit code, curl's number, and one line that says what is wrong.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    time::Duration,
};

use serde_json::Value;
use tests::loopback::{DeadPort, NeckoCommand, QuinnOptions, QuinnServer, ServerProcess, TestCa};

/// Runs a command that is to fail. No request is left, neither waiting nor running. (The connection may be
/// there, to say goodbye; that it goes as well is the library's test.)
#[track_caller]
fn fail(command: NeckoCommand, code: i32, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let snapshot = dir.path().join("snapshot.json");
    let finished = command.arg("--snapshot").arg(&snapshot).run().expect_failure(code, words);
    assert!(finished.stdout.is_empty());
    let snapshot: Value = serde_json::from_slice(&fs::read(&snapshot).unwrap()).unwrap();
    for entry in snapshot["entries"].as_array().unwrap() {
        assert_eq!((&entry["pending"], &entry["half_open"]), (&0.into(), &"idle".into()));
        for connection in entry["connections"].as_array().unwrap() {
            let session = &connection["session"];
            assert!(session.is_null() || session["streams"] == 0, "{snapshot:#}");
        }
    }
}

#[test]
fn code_3_a_malformed_url() {
    fail(NeckoCommand::fetch().arg("https://"), 3, &["\"https://\"", "is not a URL"]);
    fail(NeckoCommand::fetch().arg("example.org"), 3, &["did you mean https://example.org"]);
    fail(NeckoCommand::fetch().arg("https://a b/"), 3, &["is not a URL"]);
}

#[test]
fn code_6_a_host_without_an_address() {
    let command = NeckoCommand::fetch().arg("https://no-such-host.invalid/");
    fail(command, 6, &["could not resolve host no-such-host.invalid", "--resolve"]);
}

#[test]
fn code_7_a_refused_port() {
    let dead = DeadPort::on(Ipv4Addr::LOCALHOST.into());
    let address = dead.address();
    let command = NeckoCommand::fetch().arg(format!("https://{address}/"));
    fail(command, 7, &[&address.to_string(), "refused the connection", "check host and port"]);
}

#[test]
fn code_18_a_server_that_is_killed_in_mid_transfer() {
    let mut server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let command = NeckoCommand::fetch_trusting(&server.ca()).args(["-v", "--idle-timeout", "2"]);
    let command =
        command.arg(server.url("/bytes/90000000000")).arg("-o").arg(dir.path().join("file"));
    let mut running = command.start();
    running.wait_for_response();
    server.kill();
    let finished = running.finish();
    assert_eq!(finished.code, Some(18), "{}", finished.stderr);
    let message = finished.stderr.lines().find(|line| line.starts_with("necko: (18) "));
    let message = message.unwrap_or_else(|| panic!("no message:\n{}", finished.stderr));
    assert!(message.contains(" of 90000000000"), "{message}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of the file");
}

#[test]
fn code_22_with_f_an_answer_that_is_an_error() {
    let server = ServerProcess::start();
    let command = |name: &str| NeckoCommand::fetch_trusting(&server.ca()).arg(server.url(name));
    command("/missing").arg("-f").run().expect_failure(22, &["404 Not Found"]);
    // Without -f the page is a page.
    let finished = command("/missing").run().expect_success();
    assert!(String::from_utf8(finished.stdout).unwrap().starts_with("404: "));
    // The first failure decides, and the others are fetched all the same.
    let both = command("/missing").args(["-f", &server.url("/bytes/3")]).run();
    assert_eq!((both.code, both.stdout.len()), (Some(22), 3), "{}", both.stderr);
    assert!(both.stderr.contains(&format!("necko: (22) {}: ", server.url("/missing"))));
}

#[test]
fn code_23_an_output_that_takes_nothing() {
    let server = ServerProcess::start();
    let output = |to: &Path| {
        NeckoCommand::fetch_trusting(&server.ca())
            .arg(server.url("/bytes/1000000"))
            .arg("-o")
            .arg(to)
    };
    output(Path::new("/dev/full")).run().expect_failure(23, &["/dev/full", "free some space"]);
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing/file");
    output(&missing).run().expect_failure(23, &["missing/file", "make the directory first"]);
    output(dir.path()).run().expect_failure(23, &[&dir.path().display().to_string()]);
    // The server notices too.
    server.wait_until_empty();
}

#[test]
fn code_28_a_server_that_never_answers() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let command = NeckoCommand::fetch().args([&url, "--idle-timeout", "1"]);
    fail(command, 28, &["timed out while connecting", "may not speak HTTP/3"]);
    let finished = NeckoCommand::fetch().args([&url, "-m", "0.5"]).start();
    // Not the idle timeout, which is 30 seconds.
    let finished = finished.finish_within(Duration::from_secs(15));
    finished.expect_failure(28, &["longer than --max-time (500ms)"]);
}

#[test]
fn code_28_a_transfer_that_takes_longer_than_it_may() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let command = NeckoCommand::fetch_trusting(&server.ca()).args(["--max-time", "0.5"]);
    let command =
        command.arg(server.url("/bytes/90000000000")).arg("-o").arg(dir.path().join("file"));
    command.run().expect_failure(28, &["--max-time (500ms)"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of the file");
}

#[test]
fn code_60_a_certificate_that_proves_nothing() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let server = QuinnServer::start(&ca);
    let command = NeckoCommand::fetch_trusting(&other.file()).arg(server.url("/1"));
    fail(command, 60, &["localhost", "no trusted root signed", "--cacert FILE"]);
    // The roots of this system don't know it either.
    fail(NeckoCommand::fetch().arg(server.url("/1")), 60, &["no trusted root signed"]);
    let server = QuinnServer::start_with(QuinnOptions::new(ca.issue(&["another.example"])));
    let command = NeckoCommand::fetch_trusting(&ca.file()).arg(server.url("/1"));
    fail(command, 60, &["localhost", "for another host", "--resolve"]);
    let server = QuinnServer::start_with(QuinnOptions::new(ca.expired()));
    let command = NeckoCommand::fetch_trusting(&ca.file()).arg(server.url("/1"));
    fail(command, 60, &["localhost", "has expired"]);
}

#[test]
fn code_77_roots_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, empty) = (dir.path().join("missing.pem"), dir.path().join("empty.pem"));
    fs::write(&empty, "no certificate").unwrap();
    for file in [missing, empty] {
        let command = NeckoCommand::fetch_trusting(&file).arg("https://localhost/");
        command.run().expect_failure(77, &[&file.display().to_string()]);
    }
}

#[test]
fn a_failure_is_its_own_and_the_others_arrive() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let dead = DeadPort::on(Ipv4Addr::LOCALHOST.into());
    let address = dead.address();
    let refused = format!("https://{address}/");
    let command = NeckoCommand::fetch_trusting(&server.ca()).arg(&refused).arg("-o").arg("-");
    let finished = command.arg(server.url("/bytes/1000")).arg("-o").arg(&file).run();
    assert_eq!(finished.code, Some(7), "{}", finished.stderr);
    assert!(finished.stderr.contains(&format!("necko: (7) {refused}: ")), "{}", finished.stderr);
    assert!(finished.stderr.contains("1 of 2 transfers, 1000 bytes"), "{}", finished.stderr);
    assert_eq!(fs::read(file).unwrap().len(), 1000);
}
