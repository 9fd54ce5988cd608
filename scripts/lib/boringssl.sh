# shellcheck shell=bash
# BoringSSL, the TLS library of the server's quiche, built once.
#
# Left to itself, the crate boring-sys builds it anew for every profile and in
# every target folder, a minute or two each time. It takes a built one where
# BORING_BSSL_PATH names it, as `.cargo/config.toml` does: this makes that one,
# from the source and with the patch that boring-sys brings, beside the engine.

# The version that Cargo.lock pins; BoringSSL itself has none.
boringssl_version() {
    awk '$0 == "name = \"boring-sys\"" { getline; gsub(/version = |"/, ""); print; exit }' "$ROOT/Cargo.lock"
}

# Without a word where there is nothing to do: `scripts/test` asks every time.
ensure_boringssl() {
    local version
    version=$(boringssl_version)
    [ -n "$version" ] || die "Cargo.lock names no boring-sys: is this a whole copy of the repository?"
    BORINGSSL=$ENGINE/boringssl-$version
    grep -q "\"third_party/boringssl-$version\"" "$ROOT/.cargo/config.toml" ||
        die "Cargo.lock has boring-sys $version: let BORING_BSSL_PATH in .cargo/config.toml name third_party/boringssl-$version, then run this again."
    [ ! -r "$BORINGSSL/READY" ] || return 0
    lock_cache
    [ -r "$BORINGSSL/READY" ] || make_boringssl "$version"
}

make_boringssl() {
    local work=$BORINGSSL.work crate
    crate=$(boring_sys_source "$1")
    rm -rf "$work"
    mkdir -p "$work/made/lib" 2>/dev/null || die "cannot write to $ENGINE: name another place with NECKO_CACHE."
    require_space "$ENGINE" 300 "making BoringSSL"
    BUILD_LOG=$work/build.log
    STEP_SHOWS=built_so_far run_step "building BoringSSL" "$BUILD_LOG" compile_boringssl "$crate" "$work" ||
        die "BoringSSL could not be built: $(why "$BUILD_LOG")."
    say "boring-sys $1" >"$work/made/READY"
    rm -rf "$BORINGSSL"
    mv "$work/made" "$BORINGSSL"
    rm -rf "$work"
}

# Where cargo keeps the crate's source; it is fetched if it is not there yet.
boring_sys_source() {
    local log=$ENGINE/boring-sys.log
    (cd "$ROOT" && cargo metadata --format-version 1 --filter-platform "$(rust_host)" 2>"$log") |
        python3 -c '
import json, os, sys
found = [p["manifest_path"] for p in json.load(sys.stdin)["packages"]
         if p["name"] == "boring-sys" and p["version"] == sys.argv[1]]
print(os.path.dirname(found[0]))' "$1" 2>/dev/null ||
        die "cargo could not fetch the source of boring-sys $1: $(why "$log")."
    rm -f "$log"
}

rust_host() { (cd "$ROOT" && rustc -vV) | sed -n 's/^host: //p'; }

# As the crate's own build script does it, optimised for debug builds as well:
# these exercise our code, not BoringSSL.
compile_boringssl() {
    local crate=$1 source=$2/source made=$2/made
    cp -r "$crate/deps/boringssl" "$source" || return
    chmod -R u+w "$source"
    # A repository of its own, or git would look for the files in one above it.
    rm -rf "$source/.git"
    git -C "$source" init --quiet || return
    git -C "$source" apply --whitespace=fix "$crate/patches/boring-pq.patch" || return
    env -u CFLAGS -u CXXFLAGS cmake -S "$source" -B "$2/build" -G Ninja \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
        -DCMAKE_C_FLAGS='-ffunction-sections -fdata-sections' \
        -DCMAKE_CXX_FLAGS='-ffunction-sections -fdata-sections' || return
    cmake --build "$2/build" --target ssl crypto || return
    cp "$2/build/libcrypto.a" "$2/build/libssl.a" "$made/lib/" || return
    cp -r "$source/include" "$made/include"
}
