# shellcheck shell=bash
# Servers that others wrote, for tests and the demo to talk to.

ensure_peers() {
    have caddy && return
    without_daemons install_packages caddy
    # The package also enables its service for the next start of the machine,
    # where it would take ports 80 and 443. Only the program is wanted here.
    if have systemctl; then
        as_root systemctl disable --now caddy.service >/dev/null 2>&1 || true
    fi
    have caddy || die "Debian's caddy is installed and still not found: check PATH, then run this again."
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
