//! The program: first line, signals, snapshot, exit codes.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::common::{Client, PATIENCE, now};

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_necko-server"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("RUST_LOG");
    command
}

/// Runs the program to its end; returns exit code and what it said on standard error.
fn run(arguments: &[&str]) -> (i32, String) {
    let output = command(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.strip_prefix("listening on https://localhost:").expect(&line);
        let port = port.strip_suffix("/\n").expect(&line).parse().unwrap();
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_program_serves_reports_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("hello.txt"), "hello").unwrap();
    let (root, demo, snapshot) = (at(""), at("demo"), at("alive.json"));
    let arguments = [
        &root,
        "--listen",
        "127.0.0.1:0",
        "--demo-cert",
        &demo,
        "--test-bodies",
        "--snapshot",
        &snapshot,
    ];
    let mut command = command(&arguments);
    command.env("SSLKEYLOGFILE", at("secrets"));
    let server = Running::start(command);

    let mut client = Client::new(server.address, Path::new(&demo), |_| {});
    client.drive("a connection", |client| client.http.is_some());
    assert_eq!(client.fetch("/hello.txt").text, "hello");
    client.fetch("/bytes/1000000").assert_pattern(1_000_000);
    assert!(fs::read_to_string(at("secrets")).unwrap().contains("SERVER_TRAFFIC_SECRET_0"));

    server.signal("USR1");
    let deadline = now() + PATIENCE;
    while !Path::new(&snapshot).exists() {
        assert!(now() < deadline);
        client.drive_for(Duration::from_millis(5));
    }
    let alive = read_json(Path::new(&snapshot));
    assert_eq!(
        (&alive["connections"], &alive["totals"]["responses_completed"]),
        (&1.into(), &2.into())
    );

    server.signal("TERM");
    client.drive("the end", |client| client.quic.is_draining());
    assert_eq!(client.quic.peer_error().unwrap().error_code, 0x100);
    assert_eq!(server.wait().code(), Some(0));
    let left = read_json(Path::new(&snapshot));
    for name in
        ["connections", "transfers", "files_open", "streams", "buffered_bytes", "connection_ids"]
    {
        assert_eq!(left[name], 0, "{name}");
    }
    assert_eq!((&left["service"]["sockets"], &left["service"]["timers"]), (&0.into(), &0.into()));
}

#[test]
fn a_second_signal_ends_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let demo = directory.path().join("demo").to_str().unwrap().to_owned();
    let arguments = [
        &demo,
        "--listen",
        "127.0.0.1:0",
        "--demo-cert",
        &demo,
        "--test-bodies",
        "--shutdown-timeout",
        "1000",
    ];
    fs::create_dir(&demo).unwrap();
    let mut server = Running::start(command(&arguments));
    let mut client = Client::new(server.address, Path::new(&demo), |config| {
        config.set_initial_max_stream_data_bidi_local(10_000);
    });
    client.paused = true;
    client.drive("a connection", |client| client.http.is_some());
    client.get("/bytes/100000000");
    client.drive("the answer", |client| client.answers[&0].status() == 200);
    server.signal("INT");
    client.drive("GOAWAY", |client| client.goaway.is_some());
    assert_eq!(server.child.try_wait().unwrap(), None, "the transfer runs");
    server.signal("INT");
    let mut said = String::new();
    let mut errors = server.child.stderr.take().unwrap();
    assert_eq!(server.wait().code(), Some(130));
    errors.read_to_string(&mut said).unwrap();
    assert!(said.contains("a second signal ends at once"), "{said}");
}

#[test]
fn every_failure_to_start_has_its_code_and_its_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_str().unwrap().to_owned();
    let at = |name: &str| format!("{root}/{name}");
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap().to_string();
    fs::write(at("file"), "").unwrap();
    let free = "127.0.0.1:0";
    let (demo, file, missing) = (at("demo"), at("file"), at("missing"));
    for (arguments, code, words) in [
        (vec![], 2, "Usage"),
        (vec![&*root, "--listen", free], 2, "--demo-cert"),
        (vec![&root, "--listen", "nonsense", "--demo-cert", &demo], 2, "127.0.0.1:4433"),
        (vec![&root, "--listen", &busy, "--demo-cert", &demo], 45, "another program uses the port"),
        (
            vec![&root, "--listen", "192.0.2.1:0", "--demo-cert", &demo],
            45,
            "does not have the address",
        ),
        (vec![&missing, "--listen", free, "--demo-cert", &demo], 37, "give an existing folder"),
        (vec![&file, "--listen", free, "--demo-cert", &demo], 37, "give an existing folder"),
        (vec![&root, "--listen", free, "--demo-cert", &file], 23, "may write"),
        (vec![&root, "--listen", free, "--demo-cert", &demo, "--uploads", &missing], 23, "missing"),
        (
            vec![&root, "--listen", free, "--demo-cert", &demo, "--uploads", &file],
            23,
            "give an existing folder that you may write to",
        ),
        (
            vec![&root, "--listen", free, "--demo-cert", &demo, "--max-upload", "x"],
            2,
            "--max-upload",
        ),
        (vec![&root, "--listen", free, "--cert", &missing, "--key", &file], 58, "missing"),
    ] {
        let (actual, said) = run(&arguments);
        assert_eq!(actual, code, "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn help_has_examples() {
    let output = command(&["--help"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for words in [
        "Examples:",
        "--demo-cert <DIR>",
        "--test-bodies",
        "--list",
        "--uploads <DIR>",
        "--max-upload <BYTES>",
        ".NAME.PID-N.part",
        "Exit codes",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
