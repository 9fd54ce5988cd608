//! Our two programs, built for the tests that start them.
//!
//! Cargo builds the programs of other packages for no test, so this does, once per test process, and
//! cargo itself knows whether there is anything to do. `tests` can't depend on `server` in the usual
//! way: NSS and `BoringSSL` would be linked into one program.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The `necko` command.
pub(crate) fn necko() -> &'static Path {
    &programs().necko
}

/// The server.
pub(crate) fn necko_server() -> &'static Path {
    &programs().server
}

struct Programs {
    necko: PathBuf,
    server: PathBuf,
}

fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(build)
}

/// Builds in the profile and below the folder that this test was built in. The whole workspace's
/// programs, because that is what `scripts/test` builds: with fewer packages cargo would choose other
/// features of some dependencies and build these again.
fn build() -> Programs {
    let test = env::current_exe().expect("this program's own path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let target = profile.parent().expect("target/PROFILE");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--workspace", "--bins", "--message-format=json-render-diagnostics"]);
    cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    cargo.arg("--target-dir").arg(target);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    without_cargos_variables(&mut cargo);
    cargo.stdin(Stdio::null()).stderr(Stdio::piped());
    let output = cargo.output().expect("cargo can be started");
    assert!(
        output.status.success(),
        "the programs can't be built:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = |name: &str| {
        messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let ours = message.pointer("/target/name")? == name;
            Some(PathBuf::from(message.get("executable")?.as_str()?)).filter(|_| ours)
        })
    };
    Programs {
        necko: executable("necko").expect("cargo names the program necko"),
        server: executable("necko-server").expect("cargo names the program necko-server"),
    }
}

/// Takes away what cargo told this test about itself. Some build scripts want to run again when such a
/// variable changes.
fn without_cargos_variables(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let about_this_test = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|start| text.starts_with(start));
        if about_this_test || text == "CARGO_PRIMARY_PACKAGE" || text == "OUT_DIR" {
            command.env_remove(&name);
        }
    }
    command.env_remove("LD_LIBRARY_PATH");
}
