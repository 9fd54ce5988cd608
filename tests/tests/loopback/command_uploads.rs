//! `-T`: files and standard input go up as they are, whatever their size, and no part passes for the whole.

use std::{
    fs::{self, File},
    io::Write as _,
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;
use socket_transport::Clock;
use tests::loopback::{
    DEADLINE, NeckoCommand, QuinnServer, ServerEvent, ServerProcess, TestCa,
    pattern::{self, LARGE, Sample},
    wait_until,
};

struct Setup {
    ca: TestCa,
    server: QuinnServer,
    dir: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let ca = TestCa::new();
        let server = QuinnServer::start(&ca);
        Self { ca, server, dir: tempfile::tempdir().unwrap() }
    }

    /// `necko fetch -T FILE URL/path` in the folder.
    fn upload(&self, file: &str, path: &str) -> NeckoCommand {
        let command = NeckoCommand::fetch_trusting(&self.ca.file()).in_dir(self.dir.path());
        command.args(["-T", file, &self.server.url(path)])
    }

    fn put(&self, name: &str, sample: Sample) {
        let mut file = File::create(self.dir.path().join(name)).unwrap();
        sample.pieces().for_each(|piece| file.write_all(piece).unwrap());
    }

    fn open(&self, name: &str) -> File {
        File::open(self.dir.path().join(name)).unwrap()
    }
}

fn told(sample: Sample) -> String {
    format!("{} {}", sample.length, sample.sha256)
}

#[test]
fn files_of_every_size_go_up_as_they_are_and_memory_is_bounded() {
    let setup = Setup::new();
    for sample in pattern::SAMPLES {
        setup.put("file", sample);
        let finished = setup.upload("file", "/up").run().expect_success();
        assert_eq!(String::from_utf8(finished.stdout).unwrap(), told(sample));
        assert!(finished.stderr.starts_with(&format!("{} bytes sent, ", sample.length)));
        // Counted, and so on its other way.
        let finished = setup.upload("file", "/up").args(["-w", "|%{size_upload}"]).run();
        let expected = format!("{}|{}", told(sample), sample.length);
        assert_eq!(String::from_utf8(finished.expect_success().stdout).unwrap(), expected);
    }
}

#[test]
fn an_upload_needs_little_memory() {
    let setup = Setup::new();
    setup.put("file", LARGE);
    for (file, limit) in [("file", &["-w", ""][..]), ("file", &[]), ("-", &[])] {
        // It stays, with all of it sent, until it is ended.
        let command = setup.upload(file, "/up").args(limit).args(["-o", "out", "-v"]);
        let command = command.arg(setup.server.url("/hang")).stdin(setup.open("file"));
        let mut running = command.start();
        running.process.wait_for_stderr("> GET /hang");
        let peak = running.process.peak_memory();
        assert!(peak < 64 << 20, "{file} {limit:?}: {peak}");
        running.signal(Signal::SIGINT);
        assert_eq!(running.finish().code, Some(130));
        let out = fs::read_to_string(setup.dir.path().join("out")).unwrap();
        assert_eq!(out, told(LARGE));
    }
}

#[test]
fn standard_input_goes_up_without_a_length() {
    let setup = Setup::new();
    setup.put("file", pattern::MEDIUM);
    let finished = setup.upload("-", "/up").stdin(setup.open("file")).run().expect_success();
    assert_eq!(String::from_utf8(finished.stdout).unwrap(), told(pattern::MEDIUM));
    let finished = setup.upload("-", "/up").run().expect_success();
    assert!(finished.stdout.starts_with(b"0 "), "nothing is nothing");
}

#[test]
fn a_url_without_a_name_gets_the_files() {
    let setup = Setup::new();
    setup.put("a b.bin", pattern::SMALL);
    let finished =
        setup.upload("a b.bin", "/up/").args(["-w", "%{stderr}%{url_effective} %{method}"]);
    let finished = finished.arg("-s").run().expect_success();
    let url = setup.server.url("/up/a%20b.bin");
    assert_eq!(finished.stderr, format!("{url} PUT"));
    let asked = |event: &ServerEvent| {
        (*event == ServerEvent::Request("/up/a%20b.bin".into())).then_some(())
    };
    setup.server.wait_for(asked);
}

#[test]
fn each_t_has_its_url_and_those_without_are_fetched() {
    let setup = Setup::new();
    setup.put("one", pattern::SMALL);
    setup.put("two", pattern::MEDIUM);
    let command = setup.upload("one", "/a").args(["-T", "two", &setup.server.url("/b")]);
    let finished = command.args(["-s", &setup.server.url("/5")]).run().expect_success();
    let mut expected = (told(pattern::SMALL) + &told(pattern::MEDIUM)).into_bytes();
    expected.extend(pattern::body(5));
    assert_eq!(finished.stdout, expected);
}

#[test]
fn what_can_not_be_read_is_26() {
    let setup = Setup::new();
    setup.upload("missing", "/up").run().expect_failure(26, &["missing", "No such file"]);
    setup.upload("..", "/up").run().expect_failure(26, &["..", "directory"]);
}

#[test]
fn an_early_answer_ends_an_upload_and_is_delivered() {
    let setup = Setup::new();
    setup.put("file", LARGE);
    for more in [&[][..], &["-w", "%{stderr}%{json}"]] {
        let finished = setup.upload("file", "/refuse").args(more).arg("-s").run().expect_success();
        assert_eq!(finished.stdout, b"too much");
        if !more.is_empty() {
            let told: Value = serde_json::from_str(&finished.stderr).unwrap();
            assert_eq!(told["http_code"], 413);
            assert!(told["size_upload"].as_u64().unwrap() < LARGE.length, "{told}");
        }
    }
    setup.upload("file", "/refuse").arg("-f").run().expect_failure(22, &["413"]);
}

#[test]
fn limit_rate_slows_an_upload_and_loses_nothing() {
    let setup = Setup::new();
    setup.put("file", pattern::MEDIUM);
    let clock = Clock::system();
    let start = clock.now();
    let command = setup.upload("file", "/up").args(["--limit-rate", "400K"]);
    let finished = command.run().expect_success();
    let took = clock.now() - start;
    assert_eq!(String::from_utf8(finished.stdout).unwrap(), told(pattern::MEDIUM));
    // 2.44 seconds, of which the last piece does not count.
    assert!(took >= Duration::from_secs(2), "{took:?}");
}

#[test]
fn an_upload_that_is_interrupted_never_looks_finished() {
    let setup = Setup::new();
    setup.put("file", pattern::MEDIUM);
    let running = setup.upload("file", "/up").args(["--limit-rate", "10K"]).start();
    let asked = |event: &ServerEvent| (*event == ServerEvent::Request("/up".into())).then_some(());
    setup.server.wait_for(asked);
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().code, Some(130));
    setup.server.wait_for_close();
    assert_eq!(setup.server.count(|event| matches!(event, ServerEvent::Answered(_))), 0);
}

#[test]
fn a_file_that_becomes_shorter_is_26_and_never_looks_finished() {
    let setup = Setup::new();
    setup.put("file", pattern::MEDIUM);
    let path = setup.dir.path().join("file");
    let running = setup.upload("file", "/up").args(["--limit-rate", "100K"]).start();
    let asked = |event: &ServerEvent| (*event == ServerEvent::Request("/up".into())).then_some(());
    setup.server.wait_for(asked);
    File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
    running.finish().expect_failure(26, &["file became shorter"]);
    setup.server.wait_for_close();
    assert_eq!(setup.server.count(|event| matches!(event, ServerEvent::Answered(_))), 0);
}

#[test]
fn standard_input_that_says_nothing_does_not_hold_up_the_end() {
    let setup = Setup::new();
    let pipe = setup.dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // Held open for reading and writing, it never ends and never has anything.
    let silent = || File::options().read(true).write(true).open(&pipe).unwrap();
    let command = setup.upload("-", "/up").args(["-m", "1"]).stdin(silent());
    command.run().expect_failure(28, &["--max-time (1s)"]);
    // An answer that doesn't wait for it is delivered.
    let finished = setup.upload("-", "/refuse").stdin(silent()).run().expect_success();
    assert_eq!(finished.stdout, b"too much");
}

#[test]
fn necko_server_takes_what_is_sent() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, pattern::body(3_000_000)).unwrap();
    let command = NeckoCommand::fetch_trusting(&server.ca()).arg("-T").arg(&file);
    let command =
        command.args(["-X", "POST", "-w", "%header{x-data-received-length}", "-o", "/dev/null"]);
    let finished = command.arg(server.url("/sink")).run().expect_success();
    assert_eq!(finished.stdout, b"3000000");
    let sent = || (server.snapshot()["totals"]["upload_bytes"] == 3_000_000).then_some(());
    wait_until(DEADLINE, "the server counted it", sent);
}
