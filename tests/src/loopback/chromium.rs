//! Chromium, a browser, without a window.

use std::{net::SocketAddr, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::{peers, process::Process, time::DEADLINE};

/// An installed Chromium.
#[derive(Debug)]
pub struct Chromium {
    program: PathBuf,
    profile: TempDir,
}

impl Chromium {
    /// None if it isn't installed. It is nobody's duty to have it.
    pub fn find() -> Option<Self> {
        let Some(program) = peers::installed("chromium") else {
            peers::skip("what needs chromium", "it is not installed");
            return None;
        };
        Some(Self { program, profile: tempfile::tempdir().expect("a temporary folder") })
    }

    /// Loads a page over HTTP/3 and nothing else, from a server whose key has this fingerprint (SHA-256
    /// of the SPKI, in base64), and answers what became of the page. The server is named by its
    /// address: of localhost's addresses Chromium tries only the first with QUIC.
    #[track_caller]
    pub fn load(&self, server: SocketAddr, path: &str, fingerprint: &str) -> String {
        let mut command = Command::new(&self.program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update"]);
        command
            .args(["--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]);
        command.arg(format!("--user-data-dir={}", self.profile.path().display()));
        command.arg(format!("--origin-to-force-quic-on={server}"));
        command.arg(format!("--ignore-certificate-errors-spki-list={fingerprint}"));
        command.arg("--virtual-time-budget=10000").arg("--dump-dom");
        command.arg(format!("https://{server}{path}"));
        let mut process = Process::start(command);
        process.wait(DEADLINE);
        String::from_utf8_lossy(&process.stdout()).into_owned()
    }
}
