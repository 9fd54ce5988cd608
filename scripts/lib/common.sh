# shellcheck shell=bash
# shellcheck disable=SC2034 # names that other files use
# What every script here shares: where the repository is, how to talk to the
# person who runs it, and how to run a long step so that it can be watched,
# interrupted and explained when it fails.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
PROGRAM=scripts/$(basename "$0")

say() { printf '%s\n' "$*"; }

# A failure is one sentence that names the remedy: people read only the last line.
die() {
    end_open_line >&2
    printf '%s: %s\n' "$PROGRAM" "$*" >&2
    exit 1
}

# The comment block at the top of a script is its help text, so that the two
# cannot drift apart.
print_help() { awk 'NR > 1 && /^#/ { sub(/^# ?/, ""); print; next } NR > 1 { exit }' "$0"; }

have() { command -v "$1" >/dev/null 2>&1; }

# at_least HAVE WANT: whether version HAVE is WANT or newer.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

free_mib() { df -Pm "$1" | awk 'NR == 2 { print $4 }'; }

# The nearest folder that exists already: what `df` can be asked about before
# anything has been made.
nearest_folder() {
    local folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    printf '%s\n' "$folder"
}

require_space() {
    local folder=$1 need=$2 what=$3 free
    free=$(free_mib "$(nearest_folder "$folder")")
    [ "$free" -ge "$need" ] || die "$what needs $need MiB of free disk space and $folder has $free: make room there, or name another place with NECKO_CACHE, then run this again."
}

# --- Long steps -----------------------------------------------------------

STEP_CHILD=   # process group of the running step
STEP_TICKER=  # the process that keeps the terminal's line fresh
STEP_OPEN=    # set while a step's line has no end yet
STEP_SHOWS=   # optional: a command whose output says how far the step is

# A pipe or a log file gets one line a step; only a terminal gets a live line.
watched() { [ -t 1 ]; }

end_open_line() {
    if [ -n "${STEP_OPEN:-}" ]; then
        printf '\n'
        STEP_OPEN=
    fi
}

tick() {
    local label=$1 begin=$2
    while sleep 1; do
        printf '\r\033[K  %s … %d s%s' "$label" $((SECONDS - begin)) "${STEP_SHOWS:+  $($STEP_SHOWS 2>/dev/null)}"
    done
}

# run_step LABEL LOG COMMAND…: runs the command with its output in LOG and
# prints one line with the seconds it took. Gives back the command's status;
# the caller explains a failure, because only the caller knows the remedy.
# STEP_SHOWS=FUNCTION before it names what says how far the step is.
run_step() {
    local label=$1 log=$2 begin=$SECONDS status=0
    shift 2
    printf '  %s … ' "$label"
    STEP_OPEN=yes
    # Job control gives the step a process group of its own, so that an
    # interrupt ends all of it (a compiler three levels down, too).
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    STEP_CHILD=$!
    set +m
    if watched; then
        tick "$label" "$begin" &
        STEP_TICKER=$!
    fi
    wait "$STEP_CHILD" || status=$?
    STEP_CHILD=
    stop_ticker
    if watched; then printf '\r\033[K  %s … ' "$label"; fi
    if [ "$status" -eq 0 ]; then
        printf '%d s\n' $((SECONDS - begin))
    else
        printf 'failed after %d s\n' $((SECONDS - begin))
    fi
    STEP_OPEN=
    return "$status"
}

stop_ticker() {
    if [ -n "$STEP_TICKER" ]; then
        kill "$STEP_TICKER" 2>/dev/null || true
        wait "$STEP_TICKER" 2>/dev/null || true
        STEP_TICKER=
    fi
}

# --- Leaving --------------------------------------------------------------

AT_EXIT=()    # commands to run on the way out, last one first
at_exit() { AT_EXIT=("$1" "${AT_EXIT[@]}"); }

leave() {
    local status=$? action
    trap - EXIT ERR
    # Nothing may stop this half-way: not a second signal, and not a terminal
    # that has been closed.
    trap '' INT TERM HUP
    set +e
    if [ -n "$STEP_CHILD" ]; then
        kill -- "-$STEP_CHILD" 2>/dev/null
        wait "$STEP_CHILD" 2>/dev/null
    fi
    stop_ticker
    end_open_line 2>/dev/null
    for action in "${AT_EXIT[@]}"; do "$action"; done
    exit "$status"
}
trap leave EXIT
# `set -e` alone would stop without a word.
set -o errtrace
trap 'say "$PROGRAM: stopped at ${BASH_SOURCE[0]##*/}, line $LINENO, by a failure that nobody thought of: please report it" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# --- The build ------------------------------------------------------------

# Asked of cargo, because people may have set another place in several ways.
target_folder() {
    (cd "$ROOT" && cargo metadata --format-version 1 --no-deps --offline) |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])'
}

# --- The cache ------------------------------------------------------------

# A whole path, because a link to it must hold from everywhere.
CACHE=${NECKO_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/necko}
case $CACHE in
    /.cache/*) die "HOME is not set: name a cache folder with NECKO_CACHE." ;;
    *[[:space:]]*) die "the cache folder '$CACHE' has a space in its name, which NSS's build cannot take: name another with NECKO_CACHE." ;;
esac
CACHE=$(realpath -m -- "$CACHE")

# --- Explaining -----------------------------------------------------------

# why LOG: the usual causes of a failed download or installation, each with
# its remedy; the log's name where it is none of them.
why() {
    if grep -qiE 'no space left|not enough free space|disk quota' "$1"; then
        say "the disk is full; make room (or name another place with NECKO_CACHE), then run this again"
    elif grep -qiE 'could ?n.t resolve|could not connect|unable to connect|temporary failure|connection (failed|refused|timed out)|network is unreachable|no route to host|failure resolving' "$1"; then
        say "the network does not answer; check the connection (and apt's proxy setting, if one is needed), then run this again"
    elif grep -qiE 'hash sum mismatch|has been altered|unexpected size' "$1"; then
        say "what arrived has a wrong checksum; a proxy or a mirror in between has damaged it, so run this again or name another archive with NECKO_DEBIAN_MIRROR"
    elif grep -qiE 'could not get lock|unable to acquire the dpkg' "$1"; then
        say "another package installation is running; wait for it to end, then run this again"
    elif grep -qi 'dpkg was interrupted' "$1"; then
        say "an earlier package installation was cut off; run 'dpkg --configure -a' as root, then this again"
    else
        say "the reason is at the end of $1"
    fi
}
