//! Peers that a machine may not have.

use std::{env, ffi::OsStr, io, io::Write as _, net::UdpSocket, path::PathBuf, sync::Once};

/// Whether the peers that `scripts/setup --peers` installs have to be here, as they have in CI.
fn required() -> bool {
    env::var_os("NECKO_REQUIRE_PEERS").is_some_and(|value| value == OsStr::new("1"))
}

/// Says in one line that a test is not run, and why; past the test harness, which would keep the line to
/// itself.
pub fn skip(test: &str, why: &str) {
    let _ = io::stderr().write_all(format!("skipped {test}: {why}\n").as_bytes());
}

/// Where a program is, if it is installed.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Where Caddy is, which CI must have. If it isn't installed, one line says so for all of its tests.
#[track_caller]
pub(crate) fn caddy() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let found = installed("caddy");
    if found.is_none() {
        assert!(!required(), "caddy is not installed, and NECKO_REQUIRE_PEERS=1 wants it");
        let why = "it is not installed (scripts/setup --peers does it)";
        SAID.call_once(|| skip("what needs caddy", why));
    }
    found
}

/// The Python that has aioquic, which CI must have: `scripts/setup --peers` puts it beside the engine. If it isn't
/// there, one line says so for all of its tests.
#[track_caller]
pub(crate) fn aioquic() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../third_party/aioquic/bin/python3");
    let found = Some(PathBuf::from(python)).filter(|python| python.exists());
    if found.is_none() {
        assert!(!required(), "aioquic is not installed, and NECKO_REQUIRE_PEERS=1 wants it");
        let why = "it is not installed (scripts/setup --peers does it)";
        SAID.call_once(|| skip("what needs aioquic", why));
    }
    found
}

/// Whether this machine has `::1`.
pub fn ipv6_loopback() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}
