//! A file is complete or not there; a snapshot says what is alive.

use std::{fs, io::Read as _, path::Path};

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::loopback::{
    DEADLINE, Finished, NeckoCommand, RunningNecko, ServerProcess, pattern, wait_until, within,
};

/// A command in the middle of a body that takes very long, which is to go to `file`.
fn downloading(server: &ServerProcess, file: &Path) -> RunningNecko {
    let command = NeckoCommand::fetch_trusting(&server.ca()).arg("-v");
    let command = command.arg(server.url("/bytes/90000000000")).arg("-o").arg(file);
    let mut running = command.start();
    running.wait_for_response();
    let dir = file.parent().unwrap().to_owned();
    let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    wait_until(DEADLINE, "something is written", || {
        let mut files = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        files.any(|path| path != file && length(&path) > 0).then_some(())
    });
    running
}

#[track_caller]
fn assert_message(finished: &Finished, code: i32, word: &str) {
    assert_eq!(finished.code, Some(code), "{}", finished.stderr);
    let message = format!("necko: ({code}) {word}");
    let count = finished.stderr.lines().filter(|line| **line == message).count();
    assert_eq!(count, 1, "{message:?} in:\n{}", finished.stderr);
}

#[test]
fn an_interrupted_download_leaves_nothing() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    for (signal, code, word) in
        [(Signal::SIGINT, 130, "interrupted"), (Signal::SIGTERM, 143, "terminated")]
    {
        let running = downloading(&server, &dir.path().join("file"));
        running.signal(signal);
        assert_message(&running.finish(), code, word);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{signal}");
    }
    // It told the server, which would wait for the idle timeout otherwise.
    assert_eq!(server.wait_until_empty()["responses_cancelled"], 2);
}

#[test]
fn a_killed_download_leaves_no_file_that_looks_complete() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let running = downloading(&server, &file);
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish().code, None);
    assert!(!file.exists());
}

#[test]
fn an_interrupted_download_leaves_the_file_of_an_earlier_one() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "from earlier").unwrap();
    let running = downloading(&server, &file);
    running.signal(Signal::SIGINT);
    running.finish();
    assert_eq!(fs::read_to_string(&file).unwrap(), "from earlier");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn sigusr1_writes_a_snapshot_of_what_is_alive() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("snapshot.json");
    let command = NeckoCommand::fetch_trusting(&server.ca()).arg("-v").arg("--snapshot").arg(&file);
    let mut running =
        command.arg(server.url("/bytes/90000000000")).arg("-o").arg("/dev/null").start();
    running.wait_for_response();
    running.signal(Signal::SIGUSR1);
    let snapshot: Value = wait_until(DEADLINE, "a snapshot", || {
        serde_json::from_slice(&fs::read(&file).ok()?).unwrap()
    });
    let connection = &snapshot["entries"][0]["connections"][0];
    assert_eq!(connection["active"], true, "{snapshot:#}");
    assert_eq!(connection["peer"], server.address().to_string(), "{snapshot:#}");
    assert_eq!(connection["session"]["streams"], 1, "{snapshot:#}");
    assert_eq!(snapshot["handles"], 1, "{snapshot:#}");
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().code, Some(130));
}

#[test]
fn the_last_snapshot_says_what_was_done() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("snapshot.json");
    let command = NeckoCommand::fetch_trusting(&server.ca()).arg("--snapshot").arg(&file);
    let urls = (0..10).map(|n| server.url(&format!("/bytes/{n}000")));
    let finished = command.args(urls).run().expect_success();
    assert_eq!(finished.stdout.len(), 45_000);
    let snapshot: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let lifetime = &snapshot["lifetime"];
    assert_eq!((&lifetime["transactions"], &lifetime["connections"]), (&10.into(), &1.into()));
    for entry in snapshot["entries"].as_array().unwrap() {
        assert_eq!(entry["pending"], 0, "{snapshot:#}");
        assert_eq!(entry["connections"][0]["session"]["streams"], 0, "{snapshot:#}");
    }
    server.wait_until_empty();
}

#[test]
fn a_reader_who_goes_away_ends_the_command() {
    let server = ServerProcess::start();
    let dir = tempfile::tempdir().unwrap();
    // A pipe with a name, whose reader takes a little and goes.
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let command = NeckoCommand::fetch_trusting(&server.ca()).arg(server.url("/bytes/90000000000"));
    let running = command.arg("-o").arg(&pipe).start();
    within(DEADLINE, move || {
        let mut start = vec![0; 100_000];
        fs::File::open(&pipe).unwrap().read_exact(&mut start).unwrap();
        pattern::assert_is(&start, 100_000);
    });
    running.finish().expect_failure(23, &["pipe", "its reader has gone"]);
    server.wait_until_empty();
}
