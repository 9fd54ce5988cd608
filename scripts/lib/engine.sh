# shellcheck shell=bash
# The engine: neqo's crates and a built NSS, from Firefox's source, in a cache
# folder that all copies of this repository share.
#
# The work is done in steps inside a folder of its own; each step leaves a mark
# when it is done, so that an interrupted set-up goes on where it stopped. Only
# the last step, one rename, makes the engine appear: a half-made one is never
# taken for a whole one.

NEQO_VERSION=0.13.4
NEQO_CRATES=(bin common crypto http3 qpack transport udp)
ENGINE_NAME=engine-140.12.0esr
# To be counted up with any change of what is built or kept: older caches are
# then made anew.
ENGINE_RECIPE=1

# What neqo links: archives in debug builds, shared libraries in release ones.
NSS_NEEDED=(bin/certutil
    lib/lib{nss,softokn,freebl}_static.a lib/lib{ssl,nssutil,sqlite,nspr4,plc4,plds4}.a
    lib/lib{nss3,nssutil3,ssl3,softokn3,freebl3,freeblpriv3,sqlite3,nspr4,plc4,plds4}.so)

engine_is_whole() {
    [ -r "$1/READY" ] &&
        grep -qx "neqo $NEQO_VERSION" "$1/READY" &&
        grep -qx "recipe $ENGINE_RECIPE" "$1/READY"
}

ensure_engine() {
    choose_engine
    if ! engine_is_whole "$ENGINE"; then
        lock_cache
        # Another set-up may have made it while this one waited.
        engine_is_whole "$ENGINE" || make_engine
    fi
    mend_engine
    link_engine
    forget_unmended
}

# One made by an earlier version of this script is mended where it is: the file
# says which mends were made.
mend_engine() {
    local mends=$ROOT/scripts/lib/mend_neqo.py
    cmp -s "$mends" "$ENGINE/MENDED" && return
    python3 "$mends" "$ENGINE/neqo" ||
        die "neqo could not be mended: remove $ENGINE and run this again."
    cp "$mends" "$ENGINE/MENDED"
}

# cargo takes a crate that it has built for what it was then, whatever was
# mended since: what this copy has built of neqo before is built again.
forget_unmended() {
    local mends=$ROOT/scripts/lib/mend_neqo.py built=$ROOT/target/neqo-mends crates=() profile
    cmp -s "$mends" "$built" && return
    if [ -d "$ROOT/target/debug" ] || [ -d "$ROOT/target/release" ]; then
        mapfile -t crates < <(sed -n 's/^ *"\(neqo-[a-z0-9]*\)",$/-p\n\1/p' "$mends" | sort -u | grep neqo | sed 's/^/-p\n/')
        for profile in dev release; do
            (cd "$ROOT" && cargo clean --quiet --offline --profile "$profile" "${crates[@]}" 2>/dev/null) || true
        done
    fi
    mkdir -p "$ROOT/target" && cp "$mends" "$built"
}

# Where the engine is or will be. A tree of one's own gets an engine of its
# own, so that it never passes for the pinned one.
choose_engine() {
    local linked
    ENGINE=$CACHE/$ENGINE_NAME
    if [ -n "${NECKO_FIREFOX_SOURCE:-}" ]; then
        FIREFOX=$(cd "$NECKO_FIREFOX_SOURCE" 2>/dev/null && pwd -P) ||
            die "NECKO_FIREFOX_SOURCE names $NECKO_FIREFOX_SOURCE, which is no folder: give the top folder of a Firefox 140 source tree."
        check_own_source
        ENGINE=$CACHE/engine-own-$(printf '%s' "$FIREFOX" | cksum | cut -d ' ' -f 1)
        return
    fi
    FIREFOX=
    # A link that is in order already is kept, also one to a tree of one's
    # own: that variable need not be set again for every run.
    linked=$(readlink -f "$ROOT/third_party" 2>/dev/null) || return 0
    case $linked in
        "$CACHE"/*) if engine_is_whole "$linked"; then ENGINE=$linked; fi ;;
        *) if [ -z "${NECKO_CACHE:-}" ] && engine_is_whole "$linked"; then ENGINE=$linked; fi ;;
    esac
}

lock_cache() {
    { mkdir -p "$CACHE" 2>/dev/null && [ -w "$CACHE" ]; } ||
        die "cannot write to $CACHE: name another place with NECKO_CACHE."
    exec 9>"$CACHE/lock"
    if ! flock -n 9; then
        say "  another set-up is at work in $CACHE; waiting for it"
        flock 9
    fi
}

make_engine() {
    WORK=$ENGINE.work
    mkdir -p "$WORK"
    if [ -n "$FIREFOX" ]; then
        once collected collect_own_source
    else
        once collected collect_debian_source
        rm -rf "${WORK:?}/$SOURCE_FILE" "$WORK/apt"
    fi
    once built build_nss
    publish_engine
}

# once NAME FUNCTION: the step, unless an earlier run finished it.
once() {
    [ -e "$WORK/$1.done" ] && return
    "$2"
    : >"$WORK/$1.done"
}

# --- The source -----------------------------------------------------------

# Of Firefox's 3.4 GB only these. NSS's tests are half of NSS and not built;
# `netwerk` is for people who want to read what this project is a port of.
SOURCE_FOLDERS=('third_party/rust/neqo-*' security/nss nsprpub netwerk)
SOURCE_OMITS=(security/nss/tests)

collect_debian_source() {
    local file=$WORK/$SOURCE_FILE tree=$WORK/tree log=$WORK/unpack.log
    if [ ! -s "$file" ]; then
        rm -f "$WORK/fetched.done"
        # The archive, what comes out of it and the build of NSS, together.
        require_space "$CACHE" 1500 "making the engine"
    fi
    once fetched fetch_debian_source
    rm -rf "$tree"
    mkdir "$tree"
    run_step "unpacking the engine's part of it" "$log" unpack "$file" "$tree" ||
        die "$SOURCE_FILE could not be unpacked: $(why "$log")."
    arrange_source "$tree"
}

fetch_debian_source() {
    ensure_archive_tools
    mkdir -p "$WORK/apt"
    find_source "$WORK/apt"
    fetch_source "$WORK/apt" "$WORK/$SOURCE_FILE"
}

unpack() {
    tar -xJf "$1" -C "$2" --strip-components=1 --wildcards \
        "${SOURCE_OMITS[@]/#/--exclude=*/}" "${SOURCE_FOLDERS[@]/#/*/}"
}

check_own_source() {
    local folder
    for folder in third_party/rust/neqo-http3 security/nss nsprpub; do
        [ -d "$FIREFOX/$folder" ] ||
            die "$FIREFOX has no $folder: NECKO_FIREFOX_SOURCE must be the top folder of a Firefox 140 source tree."
    done
    check_neqo "$FIREFOX/third_party/rust"
}

collect_own_source() {
    local tree=$WORK/tree log=$WORK/unpack.log
    require_space "$CACHE" 600 "making the engine"
    rm -rf "$tree"
    mkdir "$tree"
    run_step "copying the engine's part of $FIREFOX" "$log" copy_folders "$FIREFOX" "$tree" ||
        die "the engine's source could not be copied: $(why "$log")."
    arrange_source "$tree"
}

# A tree that somebody works in may hold built files and a history.
copy_folders() {
    local folders=() folder
    for folder in $(cd "$1" && printf '%s\n' "${SOURCE_FOLDERS[@]}" | while read -r f; do compgen -G "$f"; done); do
        folders+=("$folder")
    done
    tar -cf - -C "$1" --exclude-vcs --exclude=security/nss/out \
        "${SOURCE_OMITS[@]/#/--exclude=}" "${folders[@]}" | tar -xf - -C "$2"
}

crate_version() { sed -n 's/^version = "\(.*\)"/\1/p' "$1" 2>/dev/null | head -n 1; }

check_neqo() {
    local crate version
    for crate in "${NEQO_CRATES[@]}"; do
        version=$(crate_version "$1/neqo-$crate/Cargo.toml" || true)
        [ "$version" = "$NEQO_VERSION" ] ||
            die "$1/neqo-$crate is version ${version:-unknown}, and necko is written for $NEQO_VERSION, which Firefox 140 carries: give the source of Firefox 140."
        [ -e "$1/neqo-$crate/.cargo-checksum.json" ] ||
            die "$1/neqo-$crate has no .cargo-checksum.json, as a vendored crate has: give an unchanged Firefox 140 source tree."
    done
}

# From Firefox's layout to the one that cargo and NSS's build want: a directory
# source holds nothing but crates, and NSPR lies beside NSS.
arrange_source() {
    local tree=$1 made=$WORK/engine crate
    check_neqo "$tree/third_party/rust"
    rm -rf "$made"
    mkdir -p "$made/neqo" "$made/nss"
    for crate in "${NEQO_CRATES[@]}"; do
        mv "$tree/third_party/rust/neqo-$crate" "$made/neqo/"
    done
    mv "$tree/security/nss" "$made/nss/nss"
    mv "$tree/nsprpub" "$made/nss/nspr"
    if [ -d "$tree/netwerk" ]; then mv "$tree/netwerk" "$made/netwerk"; fi
    rm -rf "$tree"
}

# --- NSS ------------------------------------------------------------------

build_nss() {
    local made=$WORK/engine needed
    BUILD_LOG=$made/build.log
    STEP_SHOWS=built_so_far run_step "building NSS and NSPR" "$BUILD_LOG" compile_nss "$made/nss/nss" ||
        die "NSS could not be built: $(why "$BUILD_LOG")."
    for needed in "${NSS_NEEDED[@]}"; do
        [ -e "$made/nss/dist/Release/$needed" ] ||
            die "NSS was built without $needed: the reason may be in $BUILD_LOG; remove $WORK and run this again."
    done
    tidy_nss "$made/nss"
    try_certutil "$made/nss/dist/Release/bin/certutil" ||
        die "the certutil of this NSS does not run: the reason may be in $BUILD_LOG; remove $WORK and run this again."
}

# One build serves both kinds of neqo's: `--static` adds the archives to the
# shared libraries.
compile_nss() {
    cd "$1" || return
    # NSS's programs look for its libraries in `lib` beside themselves. Written
    # as RPATH this also holds for what libraries load in turn (libsoftokn3,
    # libsqlite3); the default, RUNPATH, does not.
    # NSS carries the zlib that one of its programs wants. What newer compilers
    # warn about is for NSS's own people to mend, and stops nobody here.
    env -u CFLAGS -u CXXFLAGS -u NSS_DIR LDFLAGS=-Wl,--disable-new-dtags \
        ./build.sh -o --static \
        -Ddisable_tests=1 -Duse_system_zlib=0 -Ddisable_werror=1 --python python3 -j "$(nproc)"
}

built_so_far() { tail -c 400 "$BUILD_LOG" | tr '\r' '\n' | sed -n 's/^\(\[[0-9]*\/[0-9]*\]\).*/\1/p' | tail -n 1; }

# What is needed only to build once more is half of the folder.
tidy_nss() {
    rm -rf "$1/nss/out" "$1/nss/gtests" "$1/nss/doc"
    ln -sfn ../lib "$1/dist/Release/bin/lib"
}

try_certutil() {
    local try status=0
    try=$(mktemp -d)
    env -i "$1" -N -d "sql:$try" --empty-password >/dev/null 2>&1 || status=$?
    rm -rf "$try"
    return "$status"
}

# --- The end --------------------------------------------------------------

publish_engine() {
    cat >"$WORK/engine/READY" <<READY
neqo $NEQO_VERSION
recipe $ENGINE_RECIPE
source ${FIREFOX:-$SOURCE_FILE sha256 $SOURCE_SHA256}
READY
    # An engine of an older recipe stands in the way of the rename.
    rm -rf "$ENGINE"
    mv "$WORK/engine" "$ENGINE"
    rm -rf "$WORK"
}

link_engine() {
    local link=$ROOT/third_party
    [ "$(readlink "$link" 2>/dev/null)" = "$ENGINE" ] && return
    [ ! -e "$link" ] || [ -L "$link" ] ||
        die "$link is no link but a folder of its own: move it away, then run this again."
    ln -sfn "$ENGINE" "$link" || die "cannot write to $ROOT: the link third_party is made there."
}
