# shellcheck shell=bash
# The Rust tool chain: new enough as it is, or Debian's packages for browsers.
#
# Debian's stable `rustc` is years behind; the `-web` packages, made for
# building Firefox and Chromium, are kept current and bring ordinary
# /usr/bin/cargo and /usr/bin/rustc.

wanted_rust() { sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$ROOT/Cargo.toml" | head -n 1; }

# Asked in the repository, because rustup answers for the folder it runs in.
rust_version() { (cd "$ROOT" && "$1" --version 2>/dev/null) | awk '{ print $2; exit }'; }

new_enough() {
    local version
    have "$1" || return
    version=$(rust_version "$1")
    [ -n "$version" ] && at_least "$version" "$2"
}

from_debian() { have dpkg && dpkg -S "$1" >/dev/null 2>&1; }

ensure_rust() {
    local want
    want=$(wanted_rust)
    [ -n "$want" ] || die "Cargo.toml states no rust-version: is this a whole copy of the repository?"
    if ! { new_enough cargo "$want" && new_enough rustc "$want"; }; then
        refuse_foreign_rust "$want"
        install_rust "$want"
        hash -r
        { new_enough cargo "$want" && new_enough rustc "$want"; } ||
            die "Rust $want or newer was installed, but 'cargo' is $(command -v cargo || echo 'not found') and 'rustc' is $(command -v rustc || echo 'not found'): put /usr/bin first in PATH, then run this again."
    fi
    ensure_rust_checkers
}

# A tool chain that Debian did not install would hide Debian's in PATH, and
# is its owner's to update.
refuse_foreign_rust() {
    local want=$1 tool found
    for tool in cargo rustc; do
        found=$(command -v "$tool") || continue
        from_debian "$found" || from_debian "$(readlink -f "$found")" ||
            die "$found is $(rust_version "$tool" | sed 's/^$/not working/'), and Rust $want or newer is needed: update it (where rustup installed it, 'rustup update stable'), or take it out of PATH and run this again to get Debian's."
    done
    found=${CARGO_HOME:-$HOME/.cargo}/bin
    if [ ! -x /usr/bin/cargo ] && new_enough "$found/cargo" "$want"; then
        die "Rust is in $found, which is not in PATH: run 'export PATH=\"$found:\$PATH\"', then this again."
    fi
}

candidate() { apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }

# The first set whose compiler is new enough, one line.
rust_packages() {
    local want=$1 set
    for set in 'rustc-web cargo-web rustfmt-web rust-web-clippy' 'rustc cargo rustfmt rust-clippy'; do
        if at_least "$(candidate "${set%% *}")" "$want"; then
            say "$set"
            return
        fi
    done
    return 1
}

install_rust() {
    local want=$1 set others remedy
    remedy="install Rust $want or newer by this system's own means or with rustup, then run this again"
    have apt-get || die "Rust $want or newer is missing: $remedy."
    can_be_root || die "Rust $want or newer is missing and this account may not install packages: on Debian run 'sudo apt-get install rustc-web cargo-web rustfmt-web rust-web-clippy', elsewhere $remedy."
    # A fresh machine has no package lists yet.
    mkdir -p "$CACHE"
    set=$(rust_packages "$want") ||
        { run_step "reading the package lists" "$CACHE/packages.log" as_root apt-get update -q || true
          set=$(rust_packages "$want"); } ||
        die "Rust $want or newer is missing and this machine's package archives have none$(newer_elsewhere): $remedy."
    others=$(bystanders "$set")
    [ -z "$others" ] ||
        die "installing Debian's Rust ($set) would remove other packages ($others): $remedy."
    # shellcheck disable=SC2086 # a list of package names
    install_packages $set
}

# The current `-web` packages arrive by Debian's security archive first.
newer_elsewhere() {
    [ -z "$(candidate rustc-web)" ] || apt-get indextargets --no-release-info 2>/dev/null | grep -q -- -security ||
        printf '%s' " (Debian's security archive, which carries newer ones, is not among apt's sources)"
}

# The packages that the installation would remove, but for the older Rust that
# it is there to replace.
bystanders() {
    # shellcheck disable=SC2086 # a list of package names
    apt-get -s install --no-install-recommends $1 2>/dev/null |
        awk '$1 == "Remv" && $2 !~ /^(rustc|cargo|rustfmt|rust-clippy|rust-all|rust-gdb|rust-lldb|rust-src|rust-doc|libstd-rust.*)$/ { print $2 }' |
        tr '\n' ' ' | sed 's/ $//'
}

# rustfmt and clippy are wanted by scripts/test only, so their absence does not
# stop a set-up that somebody needs for a plain build.
ensure_rust_checkers() {
    local missing=() tool
    for tool in fmt clippy; do
        (cd "$ROOT" && cargo "$tool" --version) >/dev/null 2>&1 || missing+=("$tool")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if from_debian "$(command -v cargo)" && can_be_root; then
        case $(dpkg -S "$(command -v cargo)") in
            cargo-web:*) install_packages rustfmt-web rust-web-clippy ;;
            *) install_packages rustfmt rust-clippy ;;
        esac
    else
        say "  note: scripts/test also needs 'cargo fmt' and 'cargo clippy' (with rustup: 'rustup component add rustfmt clippy')"
    fi
}
