//! The `necko` command as a process, as far as it gets without a server that answers.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    net::UdpSocket,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

fn necko(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_necko"));
    command.arg("fetch").args(arguments);
    for variable in ["RUST_LOG", "QLOGDIR", "SSLKEYLOGFILE"] {
        command.env_remove(variable);
    }
    command
}

/// Runs it; whatever it is about, standard output is empty and no bar or colour is drawn in a pipe.
fn run(arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = necko(arguments).output().unwrap();
    assert!(stdout.is_empty(), "{arguments:?}");
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!stderr.contains('\u{1b}'), "{stderr}");
    (status.code().unwrap(), stderr)
}

fn fails_with(code: i32, words: &str, arguments: &[&str]) {
    let (found, stderr) = run(arguments);
    assert_eq!(found, code, "{arguments:?}: {stderr}");
    assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    let prefix = format!("necko: ({code}) ");
    assert!(stderr.starts_with(&prefix) && stderr.lines().count() == 1, "{stderr}");
}

/// A server that takes datagrams and says nothing.
struct Silent(UdpSocket);

impl Silent {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self(socket)
    }

    fn url(&self) -> String {
        format!("https://{}/", self.0.local_addr().unwrap())
    }

    /// Blocks until a client has sent something.
    fn wait_for_client(&self) {
        self.0.recv_from(&mut [0; 2000]).unwrap();
    }
}

fn temporary_directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("necko-command-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn each_error_has_curls_code_and_one_line_with_cause_and_remedy() {
    let url = "https://localhost:9/";
    fails_with(1, "only https://", &["http://localhost/"]);
    fails_with(3, "did you mean https://localhost/ ?", &["localhost/"]);
    fails_with(6, "--resolve", &["https://no-such-host.invalid/"]);
    fails_with(26, "/no/such/file", &["-d", "@/no/such/file", url]);
    fails_with(77, "/no/such/file", &["--cacert", "/no/such/file", url]);
    fails_with(77, "no root certificate", &["--cacert", "/dev/null", url]);
}

#[test]
fn a_port_that_refuses_is_7() {
    let url = Silent::new().url();
    fails_with(7, "refused the connection", &[&url]);
}

#[test]
fn the_first_url_that_failed_decides_and_each_is_named() {
    let refused = Silent::new().url();
    let (code, stderr) = run(&[&refused, "localhost", "-o", "/dev/null", "-o", "/dev/null"]);
    assert_eq!(code, 7);
    let lines: Vec<_> = stderr.lines().collect();
    assert!(lines[0].starts_with(&format!("necko: (7) {refused}: ")), "{stderr}");
    assert!(lines[1].starts_with("necko: (3) localhost: "), "{stderr}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_silent_server_is_28_by_max_time_and_by_idle_timeout() {
    let server = Silent::new();
    fails_with(28, "--max-time (200ms)", &["-m", "0.2", &server.url()]);
    fails_with(28, "did not answer", &["--idle-timeout", "0.2", &server.url()]);
}

#[test]
fn usage_errors_are_2() {
    assert_eq!(run(&["--no-such-option"]).0, 2);
    assert_eq!(run(&[]).0, 2);
}

#[test]
fn an_interrupted_download_is_130_and_leaves_nothing_but_the_snapshot() {
    let (server, directory) = (Silent::new(), temporary_directory("interrupt"));
    let child = necko(&["--snapshot", "snapshot", "-o", "body", &server.url()])
        .current_dir(&directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server.wait_for_client();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "necko: (130) interrupted\n");
    let left: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let snapshot = std::fs::read(directory.join("snapshot")).unwrap();
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot).unwrap();
    assert_eq!(snapshot["lifetime"]["transactions"], 1);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn v_shows_the_request_and_its_walk_through_the_layers() {
    let server = Silent::new();
    let (code, stderr) = run(&["-v", "-m", "0.2", "-H", "X-Test: 1", &server.url()]);
    assert_eq!(code, 28);
    let mut rest = stderr.as_str();
    for line in [
        "> GET / HTTP/3\n",
        "> x-test: 1\n",
        "* connection_mgr     activate\n",
        "* http3_session        send_data\n",
        "* http3_session          process_output\n",
    ] {
        let Some((_, after)) = rest.split_once(line) else { panic!("no {line:?} in {stderr}") };
        rest = after;
    }
}
