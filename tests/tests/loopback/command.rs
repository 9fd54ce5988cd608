//! The command against necko-server and h3 on quinn: what a person gets to see.

use std::{fs, net::Ipv4Addr, path::Path};

use tests::loopback::{NeckoCommand, QuinnOptions, QuinnServer, ServerProcess, TestCa, pattern};

fn fetch(server: &ServerProcess) -> NeckoCommand {
    NeckoCommand::fetch_trusting(&server.ca())
}

/// Each of `words` is on a line, below the line of the one before it.
#[track_caller]
fn assert_in_order(text: &str, words: &[&str]) {
    let mut lines = text.lines();
    for word in words {
        assert!(
            lines.any(|line| line.split_whitespace().any(|found| found == *word)),
            "{word:?} does not follow the words before it in {words:?}:\n{text}"
        );
    }
}

#[test]
fn a_file_arrives_as_it_is_on_the_server() {
    let server = ServerProcess::start();
    let content = pattern::body(30_000_000);
    server.put("file.bin", &content);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file.bin");
    let command = fetch(&server).arg(server.url("/file.bin"));
    let finished = command.arg("-o").arg(&file).run().expect_success();
    assert!(finished.stdout.is_empty());
    let line = finished.stderr.trim_end();
    assert!(
        line.starts_with("30000000 bytes in ") && line.ends_with("HTTP/3, 1 connection"),
        "{line}"
    );
    assert_eq!(pattern::sha256(&fs::read(&file).unwrap()), pattern::sha256(&content));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left there");
}

#[test]
fn without_o_the_body_and_nothing_else_goes_to_standard_output() {
    let server = ServerProcess::start();
    for length in [0, 1, 2_000_000] {
        let command = fetch(&server).arg(server.url(&format!("/bytes/{length}")));
        pattern::assert_is(&command.run().expect_success().stdout, length);
    }
}

#[test]
fn several_urls_share_a_connection_and_each_has_its_file() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let file = |n: u64| dir.path().join(format!("file-{n}"));
    let mut command = fetch(&server);
    for n in 0..20 {
        command = command.arg(server.url(&format!("/bytes/{}", n * 100_003)));
        command = command.arg("-o").arg(file(n));
    }
    let finished = command.arg("-Z").run().expect_success();
    let lines: Vec<_> = finished.stderr.lines().collect();
    assert_eq!(lines.len(), 21, "a line for each, and one for all: {}", finished.stderr);
    assert!(lines[20].starts_with("20 transfers, "), "{}", finished.stderr);
    assert!(finished.stderr.contains(", 1 connection\n"), "{}", finished.stderr);
    for n in 0..20 {
        pattern::assert_is(&fs::read(file(n)).unwrap(), n * 100_003);
    }
}

#[test]
fn several_bodies_on_standard_output_come_in_the_order_of_the_urls() {
    let server = ServerProcess::start();
    let texts = ["first\n", "second\n", "third\n"];
    for text in texts {
        server.put(text.trim_end(), text.as_bytes());
    }
    let urls = ["/first", "/second", "/third"].map(|path| server.url(path));
    let finished = fetch(&server).args(urls).run().expect_success();
    assert_eq!(String::from_utf8(finished.stdout).unwrap(), texts.concat());
}

#[test]
fn d_posts_its_data() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let post = |path| NeckoCommand::fetch_trusting(&ca.file()).arg(server.url(path));
    let finished = post("/echo").args(["-d", "a=1", "-d", "b=2"]).run().expect_success();
    assert_eq!(finished.stdout, b"a=1&b=2");
    let finished = post("/headers").args(["-X", "GET", "-d", "x"]).run().expect_success();
    let seen = String::from_utf8(finished.stdout).unwrap();
    assert!(seen.contains("content-type: application/x-www-form-urlencoded\n"), "{seen}");
    assert!(seen.contains("content-length: 1\n"), "{seen}");

    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (pattern::body(2_000_000), dir.path().join("data"));
    fs::write(&file, &data).unwrap();
    let binary = format!("@{}", file.display());
    let finished = post("/post").args(["--data-binary", &binary]).run().expect_success();
    let told = format!("2000000 {}", pattern::sha256(&data));
    assert_eq!(String::from_utf8(finished.stdout).unwrap(), told);
}

#[test]
fn d_posts_to_necko_server_too() {
    let server = ServerProcess::start();
    let command = fetch(&server).arg(server.url("/form")).args(["-i", "-d", "12345"]);
    let shown = String::from_utf8(command.run().expect_success().stdout).unwrap();
    assert!(shown.starts_with("HTTP/3 200 \r\n"), "{shown}");
    assert!(shown.contains("\r\nx-data-received-length: 5\r\n"), "{shown}");
    assert!(shown.ends_with("\r\n\r\n200: received 5 bytes\n"), "{shown}");
}

#[test]
fn capital_i_shows_the_head_and_fetches_no_body() {
    let server = ServerProcess::start();
    let command = fetch(&server).arg(server.url("/bytes/5000000")).arg("-I");
    let shown = String::from_utf8(command.run().expect_success().stdout).unwrap();
    assert!(shown.starts_with("HTTP/3 200 \r\n") && shown.ends_with("\r\n\r\n"), "{shown}");
    assert!(shown.contains("\r\ncontent-length: 5000000\r\n"), "{shown}");
    assert_eq!(server.wait_until_empty()["response_bytes"], 0);
}

#[test]
fn capital_h_adds_and_leaves_out_fields() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let command = NeckoCommand::fetch_trusting(&ca.file()).arg(server.url("/headers"));
    let command = command.args(["-H", "X-Mine: yes", "-H", "User-Agent:"]);
    let seen = String::from_utf8(command.run().expect_success().stdout).unwrap();
    assert!(seen.contains("x-mine: yes\n") && !seen.contains("user-agent"), "{seen}");
}

#[test]
fn v_shows_the_walk_through_the_layers() {
    let server = ServerProcess::start();
    let command = fetch(&server).arg(server.url("/bytes/3000000")).arg("-v");
    let finished = command.run().expect_success();
    pattern::assert_is(&finished.stdout, 3_000_000);
    let shown = &finished.stderr;
    assert!(shown.contains("> GET /bytes/3000000 HTTP/3\n"), "{shown}");
    assert!(shown.contains("< HTTP/3 200 \n"), "{shown}");
    assert!(shown.contains("< content-length: 3000000\n"), "{shown}");
    // A request goes in: from the top down to the socket.
    let request = ["activate", "send_data", "ready_for_write", "read_segments", "process_output"];
    assert_in_order(shown, &request);
    // A datagram comes in: from the socket up to the transaction.
    let datagram = [
        "on_socket_ready",
        "on_packet_received",
        "recv_data",
        "process_slow_consumers",
        "process_input",
        "process_events",
        "write_segments",
        "process_output",
    ];
    assert_in_order(shown, &datagram);
    // The end: the last reference to the connection goes, and the manager reclaims it.
    assert_in_order(shown, &["handle_dropped"]);
}

#[test]
fn resolve_says_where_a_host_is() {
    let ca = TestCa::new();
    let server = QuinnServer::start_with(QuinnOptions::new(ca.issue(&["necko.example"])));
    let port = server.address().port();
    let command = NeckoCommand::fetch_trusting(&ca.file());
    let command = command.arg("--resolve").arg(format!("necko.example:{port}:127.0.0.1"));
    let finished = command.arg(format!("https://Necko.example:{port}/headers")).run();
    let seen = String::from_utf8(finished.expect_success().stdout).unwrap();
    assert!(seen.starts_with(&format!("GET https://necko.example:{port}/headers\n")), "{seen}");
}

#[test]
fn k_accepts_any_certificate() {
    let ca = TestCa::new();
    let server = QuinnServer::start_with(QuinnOptions::new(ca.issue(&["another.example"])));
    let finished = NeckoCommand::fetch().arg("-k").arg(server.url("/1000")).run();
    pattern::assert_is(&finished.expect_success().stdout, 1000);
}

#[test]
fn the_command_says_goodbye() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    NeckoCommand::fetch_trusting(&ca.file()).arg(server.url("/1")).run().expect_success();
    assert_eq!(server.wait_for_close(), Some(0x100));
}

/// The lines of a file of TLS secrets, sorted.
fn secrets(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn both_programs_write_the_same_secrets_to_their_key_logs() {
    let dir = tempfile::tempdir().unwrap();
    let (of_server, of_client) = (dir.path().join("server"), dir.path().join("client"));
    let server = ServerProcess::start_with(Ipv4Addr::LOCALHOST.into(), |command| {
        command.env("SSLKEYLOGFILE", &of_server);
    });
    let command = fetch(&server).arg(server.url("/bytes/1")).env("SSLKEYLOGFILE", &of_client);
    command.run().expect_success();
    let (of_server, of_client) = (secrets(&of_server), secrets(&of_client));
    for label in [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ] {
        let of = |log: &[String]| {
            log.iter().find(|line| line.starts_with(&format!("{label} "))).cloned()
        };
        assert!(of(&of_server).is_some(), "{label}: {of_server:?}");
        assert_eq!(of(&of_server), of(&of_client));
    }
}

#[test]
fn qlog_dir_gets_a_file_for_each_connection() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("made/on/demand");
    let command = fetch(&server).args([server.url("/bytes/1000"), server.url("/bytes/2000")]);
    command.arg("--qlog-dir").arg(&logs).run().expect_success();
    let files: Vec<_> = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(files[0].extension().unwrap(), "sqlog");
    let text = fs::read_to_string(&files[0]).unwrap();
    let records: Vec<serde_json::Value> = text
        .split('\u{1e}')
        .filter(|record| !record.is_empty())
        .map(|record| serde_json::from_str(record).unwrap())
        .collect();
    assert!(records[0]["qlog_version"].is_string(), "{}", records[0]);
    let named =
        |name: &str| records.iter().filter(|record| record["name"].as_str() == Some(name)).count();
    assert!(named("transport:packet_sent") > 1 && named("transport:packet_received") > 1);
}
