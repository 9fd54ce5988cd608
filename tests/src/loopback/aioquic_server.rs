//! A WebTransport server of other making: aioquic, in a process of its own. What it does is said in
//! `tests/peers/web_transport_server.py`.

use std::{fs, process::Command};

use tempfile::TempDir;

use super::{certificates::TestCa, peers, process::Process};

/// A running server.
#[derive(Debug)]
pub struct AioquicServer {
    process: Process,
    port: u16,
    hash: [u8; 32],
    /// Where its certificate and key lie.
    _dir: TempDir,
}

impl AioquicServer {
    /// Starts one for localhost; none if aioquic isn't installed.
    #[track_caller]
    pub fn start(ca: &TestCa) -> Option<Self> {
        let python = peers::aioquic()?;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let identity = ca.localhost();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        fs::write(&certificate, &identity.chain_pem).expect("a file");
        fs::write(&key, &identity.key_pem).expect("a file");
        let mut command = Command::new(python);
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/web_transport_server.py");
        command.arg(program).arg(certificate).arg(key);
        let mut process = Process::start(command);
        let line = process.wait_for_stdout("listening ");
        let port = line.trim().trim_start_matches("listening ").parse().expect("a port");
        Some(Self { process, port, hash: identity.hash(), _dir: dir })
    }

    /// `https://localhost:PORT` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// The SHA-256 of its certificate.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Waits until the server has heard something with this in it; answers the line.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        self.process.wait_for_stdout(text).trim_end().to_owned()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
