//! Chromium, a browser, without a window.

use std::{path::PathBuf, process::Command};

use tempfile::TempDir;

use super::{peers, process::Process, time::DEADLINE};

/// An installed Chromium.
#[derive(Debug)]
pub struct Chromium {
    program: PathBuf,
    profile: TempDir,
}

impl Chromium {
    /// None if it isn't installed, which `test` then says. It is nobody's duty to have it.
    pub fn find(test: &str) -> Option<Self> {
        let Some(program) = peers::installed("chromium") else {
            peers::skip(test, "chromium is not installed");
            return None;
        };
        Some(Self { program, profile: tempfile::tempdir().expect("a temporary folder") })
    }

    /// Loads a page of localhost over HTTP/3 and nothing else, from a server whose key has this
    /// fingerprint (SHA-256 of the SPKI, in base64), and answers what became of the page.
    #[track_caller]
    pub fn load(&self, port: u16, path: &str, fingerprint: &str) -> String {
        let mut command = Command::new(&self.program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update"]);
        command
            .args(["--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost"]);
        command.arg(format!("--user-data-dir={}", self.profile.path().display()));
        command.arg(format!("--origin-to-force-quic-on=localhost:{port}"));
        command.arg(format!("--ignore-certificate-errors-spki-list={fingerprint}"));
        command.arg("--virtual-time-budget=10000").arg("--dump-dom");
        command.arg(format!("https://localhost:{port}{path}"));
        let mut process = Process::start(command);
        process.wait(DEADLINE);
        String::from_utf8_lossy(&process.stdout()).into_owned()
    }
}
