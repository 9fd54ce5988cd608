//! Caddy, a server in wide use, whose QUIC is quic-go.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{certificates::TestCa, lasting_port::lasting_address, peers, process::Process};

/// A running Caddy that serves the files of a folder.
#[derive(Debug)]
pub struct Caddy {
    process: Process,
    program: PathBuf,
    dir: TempDir,
    ca: TestCa,
    address: SocketAddr,
}

impl Caddy {
    /// Starts one on 127.0.0.1; none if it isn't installed.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let program = peers::caddy()?;
        let (dir, ca) = (tempfile::tempdir().expect("a temporary folder"), TestCa::new());
        let identity = ca.localhost();
        fs::create_dir(dir.path().join("root")).expect("a folder in a new one");
        fs::write(dir.path().join("cert.pem"), &identity.chain_pem).expect("a file");
        fs::write(dir.path().join("key.pem"), &identity.key_pem).expect("a file");
        // Another program may take the port in between.
        for _ in 0..5 {
            let address = lasting_address();
            let mut process = run(&program, dir.path(), address.port());
            if process.find_stderr("serving initial configuration").is_some() {
                return Some(Self { process, program, dir, ca, address });
            }
            let said = process.stderr();
            assert!(said.contains("address already in use"), "Caddy does not start:\n{said}");
        }
        panic!("five ports in a row were taken by others");
    }

    /// Ends it as `kill -9` does, and starts it again on the same port.
    #[track_caller]
    pub fn kill_and_restart(&mut self) {
        self.process.kill();
        self.process = run(&self.program, self.dir.path(), self.address.port());
        self.process.wait_for_stderr("serving initial configuration");
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
        self.ca.file()
    }

    /// Puts a file into the folder that it serves.
    pub fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.dir.path().join("root").join(name), content).expect("a file");
    }
}

fn run(program: &Path, dir: &Path, port: u16) -> Process {
    let config = format!(
        "{{
            admin off
            skip_install_trust
            auto_https disable_redirects
            servers {{
                protocols h1 h2 h3
            }}
        }}
        https://localhost:{port} {{
            bind 127.0.0.1
            tls {dir}/cert.pem {dir}/key.pem
            root * {dir}/root
            file_server
        }}
        ",
        dir = dir.display()
    );
    fs::write(dir.join("Caddyfile"), config).expect("a file");
    let mut command = Command::new(program);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(dir.join("Caddyfile"));
    // Whatever it wants to keep, it keeps in its folder.
    for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(variable, dir);
    }
    Process::start(command)
}
