//! Peers that a machine may not have.

use std::{env, ffi::OsStr, io, io::Write as _, net::UdpSocket, path::PathBuf};

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

/// The same for a program that CI must have.
#[track_caller]
pub(crate) fn installed_or_skip(program: &str, test: &str) -> Option<PathBuf> {
    let found = installed(program);
    if found.is_none() {
        let why = format!("{program} is not installed (scripts/setup --peers does it)");
        assert!(!required(), "{test}: {why}, and NECKO_REQUIRE_PEERS=1 wants it");
        skip(test, &why);
    }
    found
}

/// Whether this machine has `::1`.
pub fn ipv6_loopback() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}
