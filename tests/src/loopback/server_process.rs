//! `necko-server`, as a process.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    certificates::{Identity, TestCa},
    lasting_port::lasting_address,
    process::Process,
    programs,
    time::{DEADLINE, wait_until},
};

/// A running `necko-server` with an empty folder, test bodies, and a certificate of its own making.
#[derive(Debug)]
pub struct ServerProcess {
    process: Process,
    dir: TempDir,
    address: SocketAddr,
    /// What was added to its command line.
    more: Vec<OsString>,
}

impl ServerProcess {
    /// Starts one on 127.0.0.1.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(Ipv4Addr::LOCALHOST.into(), |_| ())
    }

    /// Starts one that can be [started again](Self::kill_and_restart).
    #[track_caller]
    pub fn start_lasting() -> Self {
        Self::start_at(lasting_address(), |_| ())
    }

    /// Starts one on `ip`, with what `more` adds to its command line.
    #[track_caller]
    pub fn start_with(ip: IpAddr, more: impl FnOnce(&mut Command)) -> Self {
        Self::start_at(SocketAddr::new(ip, 0), more)
    }

    #[track_caller]
    fn start_at(address: SocketAddr, more: impl FnOnce(&mut Command)) -> Self {
        let dir = new_dir();
        let mut command = command(dir.path(), address);
        command.arg("--demo-cert").arg(dir.path().join("demo"));
        Self::launch(dir, address.ip(), command, more)
    }

    /// Starts one on `ip` that says it is `identity`, whom `ca` made.
    #[track_caller]
    pub fn start_as(
        identity: &Identity,
        ca: &TestCa,
        ip: IpAddr,
        more: impl FnOnce(&mut Command),
    ) -> Self {
        let dir = new_dir();
        let demo = dir.path().join("demo");
        fs::create_dir(&demo).expect("a folder in a new one");
        fs::write(demo.join("cert.pem"), &identity.chain_pem).expect("a file");
        fs::write(demo.join("key.pem"), &identity.key_pem).expect("a file");
        fs::copy(ca.file(), demo.join("ca.pem")).expect("a file");
        let mut command = command(dir.path(), SocketAddr::new(ip, 0));
        with_certificate(&mut command, dir.path());
        Self::launch(dir, ip, command, more)
    }

    #[track_caller]
    fn launch(
        dir: TempDir,
        ip: IpAddr,
        mut command: Command,
        more: impl FnOnce(&mut Command),
    ) -> Self {
        let usual = command.get_args().count();
        more(&mut command);
        let more = command.get_args().skip(usual).map(OsStr::to_owned).collect();
        let (process, port) = listen(command);
        Self { process, dir, address: SocketAddr::new(ip, port), more }
    }

    /// Ends it as `kill -9` does, and starts it again on the same port with the same certificate and
    /// command line.
    #[track_caller]
    pub fn kill_and_restart(&mut self) {
        self.kill();
        let mut command = command(self.dir.path(), self.address);
        with_certificate(&mut command, self.dir.path());
        command.args(&self.more);
        (self.process, _) = listen(command);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://localhost:PORT` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// The certificate that clients have to trust.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("demo/ca.pem")
    }

    /// The server's own key.
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("demo/key.pem")
    }

    /// Puts a file into the folder that it serves.
    pub fn put(&self, name: &str, content: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(path, content).expect("a file can be written");
    }

    /// Puts a file into the folder that it serves, of pieces that are never together in memory.
    pub fn put_pieces<'a>(&self, name: &str, pieces: impl Iterator<Item = &'a [u8]>) {
        let mut file = fs::File::create(self.root().join(name)).expect("a file can be made");
        for piece in pieces {
            file.write_all(piece).expect("a file can be written");
        }
    }

    /// The folder that it serves.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The most memory that it ever had resident, in bytes.
    #[track_caller]
    pub fn peak_memory(&self) -> u64 {
        self.process.peak_memory()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait(DEADLINE)
    }

    /// The first line on standard error that contains `text`, when it has come.
    #[track_caller]
    pub fn wait_for_stderr(&mut self, text: &str) -> String {
        self.process.wait_for_stderr(text)
    }

    /// What it wrote when it ended.
    pub fn last_snapshot(&self) -> Value {
        read_snapshot(&self.snapshot_file()).expect("it wrote a snapshot when it ended")
    }

    /// What is alive in it now: by SIGUSR1.
    #[track_caller]
    pub fn snapshot(&self) -> Value {
        let path = self.snapshot_file();
        let _ = fs::remove_file(&path);
        self.signal(Signal::SIGUSR1);
        wait_until(DEADLINE, "a snapshot after SIGUSR1", || read_snapshot(&path))
    }

    /// Waits until nothing is alive in it that belongs to a client. Answers the totals.
    #[track_caller]
    pub fn wait_until_empty(&self) -> Value {
        wait_until(DEADLINE, "nothing is alive in the server", || {
            let snapshot = self.snapshot();
            let totals = snapshot.get("totals").cloned();
            totals.filter(|_| is_empty(&snapshot))
        })
    }

    fn snapshot_file(&self) -> PathBuf {
        self.dir.path().join("snapshot.json")
    }
}

/// A folder for one, with an empty one in it to be served.
fn new_dir() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(dir.path().join("root")).expect("a folder in a new one");
    dir
}

/// The command line, but for who it says it is.
fn command(dir: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new(programs::necko_server());
    command.arg(dir.join("root")).arg("--listen").arg(address.to_string());
    command.arg("--test-bodies").arg("--snapshot").arg(dir.join("snapshot.json"));
    command.env_remove("SSLKEYLOGFILE");
    command
}

/// It is who it was before.
fn with_certificate(command: &mut Command, dir: &Path) {
    command.arg("--cert").arg(dir.join("demo/cert.pem"));
    command.arg("--key").arg(dir.join("demo/key.pem"));
}

/// Starts it, and answers its port when it listens.
#[track_caller]
fn listen(command: Command) -> (Process, u16) {
    let mut process = Process::start(command);
    let line = process.wait_for_stdout("");
    let port = line
        .strip_prefix("listening on https://localhost:")
        .and_then(|rest| rest.strip_suffix('/'))
        .and_then(|port| port.parse().ok())
        .unwrap_or_else(|| panic!("the first line names no port: {line:?}"));
    (process, port)
}

/// The file appears as a whole, so what can be read can be parsed.
fn read_snapshot(path: &Path) -> Option<Value> {
    let text = fs::read(path).ok()?;
    Some(serde_json::from_slice(&text).expect("a snapshot is JSON"))
}

/// Whether nothing that belongs to a client is left. A name that is missing counts as not empty.
fn is_empty(snapshot: &Value) -> bool {
    let counts = [
        "connections",
        "handshaking",
        "connection_ids",
        "streams",
        "transfers",
        "uploads",
        "files_open",
        "buffered_bytes",
    ];
    counts.iter().all(|count| snapshot.get(*count).is_some_and(|count| *count == 0))
}
