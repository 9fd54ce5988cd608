# shellcheck shell=bash
# The tools that a build needs, and how to get them on Debian and its relatives.
#
# What counts is whether a tool is there, not which package brought it: people
# have their own cmake or python, and on other systems nobody has these packages.

can_be_root() { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

# bindgen loads libclang when neqo-crypto is built, and needs the compiler's
# own headers (stddef.h) beside it. libclang-cpp.so is another library.
have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    have llvm-config && libclang_in "$(llvm-config --libdir)" && return
    compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' >/dev/null &&
        libclang_in '/usr/lib/llvm-*/lib'
}

libclang_in() { compgen -G "$1/libclang.so*" >/dev/null || compgen -G "$1/libclang-[0-9]*.so*" >/dev/null; }

# One package a line for each thing that is missing.
missing_packages() {
    { have cc && have c++ && have make; } || say build-essential
    have python3 || say python3
    have gyp || say gyp                              # NSS's build description
    have ninja || have ninja-build || say ninja-build
    have_libclang || say libclang-dev
    have cmake || say cmake                          # BoringSSL, for the server's quiche
    have pkg-config || say pkg-config
    have tar || say tar
    have xz || say xz-utils
    have git || say git
    have flock || say util-linux
    [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] || say ca-certificates
}

ensure_packages() {
    local missing=()
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] || die "these are installed and still not found: ${missing[*]}; check PATH, then run this again."
}

# install_packages NAME…: all of them, or an end with the line to type.
install_packages() {
    local log=$CACHE/packages.log
    have apt-get || die "please install what these Debian packages hold, by this system's own means, then run this again: $*."
    can_be_root || die "packages are missing and this account may not install them: run 'sudo apt-get install --no-install-recommends $*', then this again."
    mkdir -p "$CACHE" 2>/dev/null || die "cannot write to $CACHE: name another place with NECKO_CACHE."
    run_step "installing Debian packages: $*" "$log" apt_install "$@" ||
        die "Debian packages could not be installed ($*): $(why "$log")."
}

apt_install() {
    # A broken third-party source is no reason to stop: what counts is whether
    # the installation then succeeds.
    as_root apt-get update -q || true
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}
