//! Where the programs of this package find NSS when they run.
//!
//! neqo-crypto links NSS statically in debug builds. In release builds it links NSS's shared libraries, and
//! only a path inside the program itself makes the loader prefer them to the system's older ones: an
//! RPATH (with a RUNPATH, `libnss3.so` would still find the system's `libnssutil3.so`). It names first
//! where an installed program has them, `lib/necko` beside `bin`, then the folder that NSS was built in.
//!
//! The same file serves every package that links a program or a test: a link argument reaches only the
//! package whose build script prints it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo::rerun-if-env-changed=NSS_DIR");
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let shared = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let Ok(nss) = env::var("NSS_DIR") else { return };
    if linux && shared {
        let built = library_folder(Path::new(&nss));
        let places = format!("$ORIGIN/../lib/necko:{}", built.display());
        println!("cargo::rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{places}");
    }
}

/// `dist/Release/lib` beside NSS's source, links resolved; NSS's build notes the folder's name in
/// `dist/latest`.
fn library_folder(nss: &Path) -> PathBuf {
    let nss = nss.canonicalize().unwrap_or_else(|_| nss.to_owned());
    let dist = nss.parent().unwrap_or(&nss).join("dist");
    let name = fs::read_to_string(dist.join("latest"));
    let name = name.as_deref().map_or("Release", str::trim);
    dist.join(name).join("lib")
}
