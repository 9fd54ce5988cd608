# shellcheck shell=bash
# Fetching one pinned file out of Debian's source archive with apt's own tools.
#
# apt is given a private state (sources, lists, cache), so the machine's own
# sources stay as they are and no root is needed, while proxies and passwords
# that apt is configured with keep working.

SOURCE_PACKAGE=firefox-esr
SOURCE_VERSION=140.12.0esr-1~deb12u1
SOURCE_SUITE=bookworm
SOURCE_FILE=firefox-esr_140.12.0esr.orig.tar.xz
SOURCE_SIZE=682717088
SOURCE_SHA256=5c72347381233dcc97cbd02c0324116258769d8b9b0f869fd0c6f1d59519ce2a

APT_HELPER=/usr/lib/apt/apt-helper

# The archives that this machine's apt is set up for, the likely ones first.
# apt itself is asked, because it knows all formats of its source lists.
archive_addresses() {
    if [ -n "${NECKO_DEBIAN_MIRROR:-}" ]; then
        say "${NECKO_DEBIAN_MIRROR%/}/"
        return
    fi
    # Archives that are known to be Debian's come first, then the others: a
    # fresh machine has no lists yet that would tell. Security archives hold
    # other suites than the one that is wanted.
    # shellcheck disable=SC2016 # apt's own variables
    {
        apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian'
        apt-get indextargets --no-release-info --format '$(REPO_URI)'
    } 2>/dev/null | awk '!/security/ && !seen[$0]++'
}

archive_keyring() {
    local file
    for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        if [ -r "$file" ]; then
            say "$file"
            return
        fi
    done
    return 1
}

ensure_archive_tools() {
    { have apt-get && [ -x "$APT_HELPER" ]; } ||
        die "the engine's source comes from Debian's archive by apt, which this system has not: unpack the source of Firefox 140 somewhere and run this again with NECKO_FIREFOX_SOURCE=that folder."
    archive_keyring >/dev/null || install_packages debian-archive-keyring
}

# private_apt FOLDER: a configuration file that keeps apt inside FOLDER.
private_apt() {
    local state=$1
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    cat >"$state/apt.conf" <<CONF
Dir::Etc::sourcelist "$state/archive.sources";
Dir::Etc::sourceparts "-";
Dir::State::Lists "$state/lists";
Dir::Cache "$state/cache";
// As root apt drops to a user that cannot see a home folder.
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
// The machine's own hooks are about the machine's own lists.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
}

# The file is pinned by its sum, so an archive of some past day is as good:
# Check-Valid-Until is off.
use_archive() {
    cat >"$1/archive.sources" <<SOURCES
Types: deb-src
URIs: $2
Suites: $SOURCE_SUITE
Components: main
Signed-By: $(archive_keyring)
Check-Valid-Until: no
SOURCES
}

file_address() {
    apt-get -c "$1/apt.conf" source --print-uris "$SOURCE_PACKAGE=$SOURCE_VERSION" 2>/dev/null |
        awk -v file="$SOURCE_FILE" -F "'" '$0 ~ " " file " " { print $2; exit }'
}

offered_versions() {
    apt-cache -c "$1/apt.conf" showsrc "$SOURCE_PACKAGE" 2>/dev/null |
        awk '$1 == "Version:" { print $2 }' | sort -uV | paste -sd ' '
}

# find_source FOLDER: leaves the file's address in SOURCE_ADDRESS, or ends with
# the reason why no archive has it.
find_source() {
    local state=$1 address tried='' unreachable='' offers='' log=$1/update.log
    private_apt "$state"
    while read -r address; do
        tried+="${tried:+, }$address"
        use_archive "$state" "$address"
        if run_step "reading Debian's source index" "$log" apt-get -c "$state/apt.conf" update -q; then
            SOURCE_ADDRESS=$(file_address "$state" || true)
            [ -z "$SOURCE_ADDRESS" ] || return 0
            offers=$(offered_versions "$state" || true)
        elif ! grep -qiE 'does not have a release file|404' "$log"; then
            unreachable=$(why "$log")
        fi
    done < <(archive_addresses)

    local instead="unpack the source of any Firefox 140 and run this again with NECKO_FIREFOX_SOURCE=that folder"
    [ -n "$tried" ] || die "apt on this machine is set up for no archive: run this again with NECKO_DEBIAN_MIRROR=the address of a Debian mirror, or $instead."
    [ -z "$offers" ] || die "Debian's archive has moved on from $SOURCE_PACKAGE $SOURCE_VERSION (it now has $offers): run this again with NECKO_DEBIAN_MIRROR=the address of an archive snapshot that still has it, or $instead."
    [ -z "$unreachable" ] || die "Debian's source index could not be read (from $tried): $unreachable."
    die "none of this machine's package archives ($tried) has Debian $SOURCE_SUITE: run this again with NECKO_DEBIAN_MIRROR=the address of a Debian mirror, or $instead."
}

# fetch_source FOLDER FILE: the pinned file, whole and verified. A part that an
# interrupted run left behind is continued, not fetched again; where that part
# turns out to be damaged, the file is fetched once more from its beginning.
fetch_source() {
    local state=$1 file=$2 log=$1/fetch.log kept=
    [ ! -s "$file" ] || kept=yes
    FETCHING=$file
    if ! fetch_and_check "$file" "$state" "$log" && damaged "$file" "$log"; then
        rm -f "$file" "$file.FAILED"
        [ -z "$kept" ] || fetch_and_check "$file" "$state" "$log" || true
    fi
    [ -n "$FETCHED" ] || die "$SOURCE_FILE could not be fetched: $(why "$log")."
}

fetch_and_check() {
    local file=$1 state=$2 log=$3
    FETCHED=
    STEP_SHOWS=fetched_so_far run_step "fetching $SOURCE_FILE ($((SOURCE_SIZE / 1048576)) MiB)" "$log" download "$state" "$file" || return
    is_pinned "$file" || { say "Hash Sum mismatch" >>"$log"; return 1; }
    FETCHED=yes
}

damaged() { [ -e "$1.FAILED" ] || grep -qiE 'hash sum mismatch|unexpected size' "$2"; }

download() {
    "$APT_HELPER" -c "$1/apt.conf" download-file "$SOURCE_ADDRESS" "$2" "SHA256:$SOURCE_SHA256"
}

fetched_so_far() { say "$(($(stat -c %s "$FETCHING") / 1048576)) of $((SOURCE_SIZE / 1048576)) MiB"; }

# apt has checked the sum already; a second look costs three seconds and does
# not depend on how this apt treats a file that was there before.
is_pinned() {
    [ "$(stat -c %s "$1" 2>/dev/null)" = "$SOURCE_SIZE" ] &&
        [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$SOURCE_SHA256" ]
}
