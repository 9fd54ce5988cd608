# shellcheck shell=bash
# Servers that others wrote, for tests and the demo to talk to.

ensure_peers() {
    ensure_caddy
    ensure_aioquic
}

ensure_caddy() {
    have caddy && return
    without_daemons install_packages caddy
    # The package also enables its service for the next start of the machine,
    # where it would take ports 80 and 443. Only the program is wanted here.
    if have systemctl; then
        as_root systemctl disable --now caddy.service >/dev/null 2>&1 || true
    fi
    have caddy || die "Debian's caddy is installed and still not found: check PATH, then run this again."
}

# aioquic and what it needs, in a Python environment of its own beside the
# engine. The list says which versions: another list is another environment.
ensure_aioquic() {
    local list=$ROOT/tests/peers/requirements.txt place=$ENGINE/aioquic log=$CACHE/aioquic.log
    cmp -s "$list" "$place/requirements.txt" && return
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    rm -rf "$place"
    run_step "installing aioquic for Python" "$log" install_aioquic "$list" "$place" ||
        die "aioquic could not be installed: $(why "$log")."
    cp "$list" "$place/requirements.txt"
}

install_aioquic() {
    python3 -m venv "$2" &&
        "$2/bin/python3" -m pip install --quiet --disable-pip-version-check --only-binary :all: -r "$1"
}

# Debian's packages ask this program whether they may start a service; status
# 101 is no. A machine that has one already has decided for itself.
POLICY=/usr/sbin/policy-rc.d

without_daemons() {
    if [ ! -e "$POLICY" ] && can_be_root; then
        at_exit allow_daemons
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
        as_root chmod 755 "$POLICY"
        POLICY_IS_OURS=yes
    fi
    "$@"
    allow_daemons
}

allow_daemons() {
    if [ -n "${POLICY_IS_OURS:-}" ]; then
        as_root rm -f "$POLICY"
        POLICY_IS_OURS=
    fi
}
