//! An NSS database with a certificate for servers in tests.
//!
//! NSS can be started only once in a process, and a process that has neqo servers must start it with a
//! database. So every test that makes a connection calls [`init`] first. This file stands alone: another
//! package with a build script (it needs `OUT_DIR`) can include it by its path.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The nickname of the server's certificate in the database.
pub(crate) const SERVER_KEY: &str = "key";

/// What the certificate is for.
const NAMES: &str = "dns:localhost,dns:necko.test,dns:*.necko.test,ip:127.0.0.1,ip:::1";

/// Starts NSS with the database, which is made when a build's first test needs it and then kept.
pub(crate) fn init() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| neqo_crypto::init_db(folder()).expect("NSS starts"));
}

/// A certificate of the database in DER: the server's, or `ca`, which signed it.
pub(crate) fn certificate(nickname: &str) -> Vec<u8> {
    let file = folder().join(format!("{nickname}.der"));
    fs::read(file).expect("the database has its certificates beside it")
}

/// The database's folder. Beside the database it has each certificate, as `{name}.der` and `{name}.pem`.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("OUT_DIR")).join("nss-db");
        if !folder.exists() {
            let new =
                tempfile::tempdir_in(env!("OUT_DIR")).expect("the build folder can be written");
            make(new.path());
            // Another test program may have been faster: then the new folder goes away.
            if fs::rename(new.path(), &folder).is_ok() {
                let _ = new.keep();
            }
        }
        folder
    })
}

/// A certificate authority and a server's certificate, both for ten years, with P-256 keys.
fn make(db: &Path) {
    let noise = db.join("noise");
    let random: Vec<u8> = (0..8).flat_map(|_| random_bytes()).collect();
    fs::write(&noise, random).expect("the build folder can be written");
    let noise = noise.display().to_string();
    let key = ["-k", "ec", "-q", "nistp256", "-z", &noise, "-v", "120"];
    certutil(db, &["-N", "--empty-password"], "");
    let authority =
        ["-S", "-n", "ca", "-s", "CN=necko test CA", "-x", "-t", "CT,C,C", "-m", "1000", "-2"];
    let usage = ["--keyUsage", "certSigning,crlSigning,critical"];
    certutil(db, &[&authority[..], &key, &usage].concat(), "y\n0\ny\n");
    let server =
        ["-S", "-n", SERVER_KEY, "-s", "CN=localhost", "-c", "ca", "-t", ",,", "-m", "1001"];
    let usage =
        ["--extSAN", NAMES, "--extKeyUsage", "serverAuth", "--keyUsage", "digitalSignature"];
    certutil(db, &[&server[..], &key, &usage].concat(), "");
    for name in ["ca", SERVER_KEY] {
        for (form, flag) in [("der", "-r"), ("pem", "-a")] {
            let certificate = certutil(db, &["-L", "-n", name, flag], "");
            let file = db.join(format!("{name}.{form}"));
            fs::write(file, certificate).expect("the build folder can be written");
        }
    }
}

/// Eight bytes of the standard library's own randomness.
fn random_bytes() -> [u8; 8] {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id()).to_ne_bytes()
}

/// Runs the `certutil` that was built with NSS; answers what it printed.
fn certutil(db: &Path, arguments: &[&str], input: &str) -> Vec<u8> {
    let nss = env!("NSS_DIR");
    let built = Path::new(nss).join("../dist/Release");
    let mut child = Command::new(built.join("bin/certutil"))
        .args(arguments)
        .arg("-d")
        .arg(format!("sql:{}", db.display()))
        .env("LD_LIBRARY_PATH", built.join("lib"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("certutil was built with NSS");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(input.as_bytes()).expect("certutil reads its answers");
    drop(stdin);
    let output = child.wait_with_output().expect("certutil runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "certutil {arguments:?} failed: {complaint}");
    output.stdout
}
