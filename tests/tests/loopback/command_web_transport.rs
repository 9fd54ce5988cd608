//! `necko webtransport`, against servers that others wrote.

use std::io::Write as _;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::loopback::{
    AioquicServer, DEADLINE, DeadPort, NeckoCommand, QuinnServer, TestCa, WtransportServer,
    pattern, within,
};

fn command(ca: &TestCa, url: &str) -> NeckoCommand {
    NeckoCommand::subcommand("webtransport").arg("--cacert").arg(ca.file()).arg(url)
}

fn with_server(test: impl FnOnce(&TestCa, &mut WtransportServer) + Send + 'static) {
    within(2 * DEADLINE, || {
        let ca = TestCa::new();
        let mut server = WtransportServer::start(&ca);
        test(&ca, &mut server);
    });
}

/// Runs it with this as its standard input.
fn fed(command: NeckoCommand, input: &[u8]) -> tests::loopback::Finished {
    let (running, mut stdin) = command.start_feeding();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // Refused when the command ends early.
        let _ = stdin.write_all(&input);
    });
    let finished = running.finish();
    writer.join().expect("it was written");
    finished
}

#[test]
fn what_is_written_comes_back_and_its_end_is_the_command_s() {
    with_server(|ca, server| {
        let finished = fed(command(ca, &server.url("/echo")), b"hello\nworld\n").expect_success();
        assert_eq!((&finished.stdout[..], &finished.stderr[..]), (&b"hello\nworld\n"[..], ""));
        let large = pattern::body(3_000_000);
        let finished = fed(command(ca, &server.url("/echo")), &large).expect_success();
        assert!(finished.stdout == large, "{} bytes came back", finished.stdout.len());
    });
}

#[test]
fn a_line_goes_out_and_comes_back_before_the_next_is_typed() {
    with_server(|ca, server| {
        let (mut running, mut stdin) = command(ca, &server.url("/echo")).start_feeding();
        for line in ["one", "two"] {
            writeln!(stdin, "{line}").expect("it reads");
            running.wait_for_stdout(line);
        }
        drop(stdin);
        running.finish().expect_success();
    });
}

#[test]
fn datagrams_are_lines() {
    with_server(|ca, server| {
        let command = command(ca, &server.url("/echo")).arg("--datagrams");
        let finished = fed(command, b"hello\n\nworld").expect_success();
        assert_eq!(String::from_utf8_lossy(&finished.stdout), "hello\n\nworld\n");
    });
}

#[test]
fn a_line_that_fits_into_no_datagram_is_an_error() {
    with_server(|ca, server| {
        let command = command(ca, &server.url("/echo")).arg("--datagrams");
        fed(command, &[b'x'; 3000]).expect_failure(100, &["3000 bytes", "can't be sent"]);
    });
}

#[test]
fn unidirectional_streams_there_and_back() {
    with_server(|ca, server| {
        let command = command(ca, &server.url("/echo")).arg("--uni");
        let finished = fed(command, b"one way\n").expect_success();
        assert_eq!(String::from_utf8_lossy(&finished.stdout), "one way\n");
    });
}

#[test]
fn a_bench_has_figures() {
    with_server(|ca, server| {
        let arguments = ["--bench", "--bench-bytes", "1000000", "--bench-rounds", "5"];
        let command = || command(ca, &server.url("/echo")).args(arguments);
        let finished = command().arg("--json").run().expect_success();
        let figures: Value = serde_json::from_slice(&finished.stdout).expect("JSON");
        assert_eq!(figures["bytes"], 1_000_000);
        assert!(figures["bytes_per_second"].as_f64().unwrap() > 10_000.0, "{figures}");
        assert_eq!(figures["stream_round_trips"]["count"], 5);
        let datagrams = &figures["datagram_round_trips"];
        let all = datagrams["count"].as_u64().unwrap() + datagrams["lost"].as_u64().unwrap();
        assert_eq!(all, 5);
        assert!(figures["stream_round_trips"]["median"].as_f64().unwrap() > 0.0);
        let text = command().run().expect_success().stdout;
        assert!(String::from_utf8_lossy(&text).contains("MB/s each way"));
    });
}

#[test]
fn what_goes_wrong_is_told_with_curl_s_codes() {
    with_server(|ca, server| {
        command(ca, &server.url("/reject")).run().expect_failure(22, &["status 404"]);
        let other = TestCa::new();
        command(&other, &server.url("/echo")).run().expect_failure(60, &["certificate"]);
        let plain = QuinnServer::start(ca);
        command(ca, &plain.url("/")).run().expect_failure(1, &["WebTransport", "SETTINGS"]);
        let dead = DeadPort::on(std::net::Ipv4Addr::LOCALHOST.into());
        let url = format!("https://127.0.0.1:{}/", dead.address().port());
        command(ca, &url).run().expect_failure(7, &["refused"]);
        command(ca, "http://localhost/").run().expect_failure(3, &["https"]);
        command(ca, &server.url("/echo")).arg("--http1.1").run().expect_failure(2, &["HTTP/3"]);
    });
}

#[test]
fn a_close_by_the_server_is_told() {
    with_server(|ca, server| {
        let command = command(ca, &server.url("/close/7/done")).arg("--datagrams");
        let (running, mut stdin) = command.start_feeding();
        // Its standard input stays open.
        writeln!(stdin, "now").expect("it reads");
        running.finish().expect_failure(95, &["0x7"]);
        drop(stdin);
    });
}

#[test]
fn a_close_over_the_session_is_judged_by_its_code() {
    within(2 * DEADLINE, || {
        let ca = TestCa::new();
        let Some(server) = AioquicServer::start(&ca) else { return };
        for (path, code, words) in
            [("/close/0/done", 0, &[][..]), ("/close/7/enough", 56, &["7", "enough"])]
        {
            let (running, mut stdin) =
                command(&ca, &server.url(path)).arg("--datagrams").start_feeding();
            // Its standard input stays open.
            writeln!(stdin, "now").expect("it reads");
            let finished = running.finish();
            assert_eq!(finished.code, Some(code), "{path}: {}", finished.stderr);
            assert!(words.iter().all(|word| finished.stderr.contains(word)), "{}", finished.stderr);
            assert_eq!(finished.stderr.is_empty(), code == 0, "{}", finished.stderr);
        }
    });
}

#[test]
fn a_signal_closes_the_session_in_good_order() {
    with_server(|ca, server| {
        let (mut running, mut stdin) = command(ca, &server.url("/echo")).start_feeding();
        writeln!(stdin, "there").expect("it reads");
        running.wait_for_stdout("there");
        running.signal(Signal::SIGINT);
        let finished = running.finish();
        assert_eq!(finished.code, Some(130), "{}", finished.stderr);
        server.wait_for("closed");
        drop(stdin);
    });
}

#[test]
fn a_certificate_is_trusted_by_its_hash() {
    with_server(|_, server| {
        let hash = server.hash().map(|byte| format!("{byte:02X}")).join(":");
        let url = server.url("/echo");
        let command =
            NeckoCommand::subcommand("webtransport").args(["--cert-hash", &hash]).arg(&url);
        let finished = fed(command, b"hello\n").expect_success();
        assert_eq!(String::from_utf8_lossy(&finished.stdout), "hello\n");
        let wrong = "00:".repeat(31) + "00";
        NeckoCommand::subcommand("webtransport")
            .args(["--cert-hash", &wrong])
            .arg(url)
            .run()
            .expect_failure(60, &["hash"]);
    });
}

#[test]
fn more_lines_than_the_queue_holds_all_leave() {
    with_server(|ca, server| {
        let command = command(ca, &server.url("/echo")).args(["--datagrams", "--verbose"]);
        let finished = fed(command, "line\n".repeat(1000).as_bytes()).expect_success();
        // What comes back is fewer when the server is busy: it drops what its own queue doesn't hold.
        let figures = finished.stderr.lines().find(|line| line.starts_with("* datagrams: "));
        let figures = figures.expect("they are told");
        assert!(figures.starts_with("* datagrams: 1000 sent, 0 not sent, "), "{figures}");
        let back =
            finished.stdout.split(|byte| *byte == b'\n').filter(|line| *line == b"line").count();
        let counts: Vec<usize> = figures.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [_, _, received, displaced] = counts[..] else { panic!("{figures}") };
        assert!(back + displaced <= received, "{back} lines, {figures}");
        let warned = finished.stderr.contains("datagrams that came were dropped");
        assert_eq!(warned, displaced > 0, "{figures}");
    });
}

#[test]
fn a_line_without_end_is_no_datagram() {
    with_server(|ca, server| {
        let command = command(ca, &server.url("/echo")).arg("--datagrams");
        fed(command, &vec![b'x'; 1_000_000]).expect_failure(100, &["65537 bytes"]);
    });
}

#[test]
fn a_bench_that_is_broken_off_has_failed() {
    with_server(|ca, server| {
        let command = command(ca, &server.url("/closeafter/200"));
        let finished = command.args(["--bench", "--bench-bytes", "10000000000"]).run();
        // The server's close or, when that came too late, its stateless reset.
        let failed = [Some(95), Some(56)].contains(&finished.code);
        assert!(failed && finished.stdout.is_empty(), "{}", finished.stderr);
    });
}

#[test]
fn a_reader_of_the_output_that_goes_is_no_error() {
    with_server(|ca, server| {
        let (running, stdout) = command(ca, &server.url("/hello")).arg("--uni").start_streaming();
        drop(stdout);
        running.finish().expect_success();
    });
}
