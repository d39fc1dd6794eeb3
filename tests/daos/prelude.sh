# What every test in this directory begins with. A test ends well if its script does.
#
# $P      the prefix that Sidestep serves, for programs run by `ours`
# $I      libpil4dfs's prefix, for programs run by `pil`
# $F, $G  dfuse on the same container, with caching off and with its default, where the test says `dfuse`
# $H      a host directory; the script starts there
# $T      compiled programs of this directory
# $POOL/$CONTAINER  the test's own container; $OPTIONS the mount's options, with their `?`
set -E -eu -o pipefail
trap 'echo "line $((LINENO - ${prelude_lines:-0})): $BASH_COMMAND: exit $?" >&2' ERR

export LIBRARY=$BASE/libsidestep.so
# The interpreter of the distribution, which has its h5py and numpy.
PYTHON=/usr/bin/python3

mounts() { echo "$P=daos:$POOL/$CONTAINER$OPTIONS"; }

# A program under Sidestep; where the tests check themselves, dfuse is mounted at $P.
ours() {
    if [ -n "${SIDESTEP_TEST_SELF:-}" ]; then
        "$@"
    else
        LD_PRELOAD=$LIBRARY SIDESTEP_MOUNTS=$(mounts) "$@"
    fi
}

# A program under libpil4dfs.
pil() {
    LD_PRELOAD=$(library_of_daos libpil4dfs.so) D_IL_MOUNT_POINT=$I D_IL_POOL=$POOL D_IL_CONTAINER=$CONTAINER \
        D_IL_NO_BYPASS=1 "$@"
}

library_of_daos() {
    local directory
    for directory in ${LD_LIBRARY_PATH//:/ } /usr/lib64 /usr/lib/x86_64-linux-gnu; do
        if [ -e "$directory/$1" ]; then
            echo "$directory/$1"
            return
        fi
    done
    fail "no $1 in LD_LIBRARY_PATH"
}

fail() { echo "FAILED: $*" >&2; exit 1; }

# equal WHAT ONE OTHER: two texts, with a diff where they differ.
equal() {
    [ "$2" = "$3" ] && return
    echo "$1 differs:" >&2
    diff <(echo "$2") <(echo "$3") | head -20 >&2
    exit 1
}

# What a tree looks like: `listing ours $P`, `listing pil $I`, `listing env $F`.
listing() {
    "$1" find "$2" -mindepth 1 -printf '%P|%y|%m|%s|%U:%G|%l|%i\n' | sort
    "$1" find "$2" -mindepth 1 ! -type l -printf '%P|%T@\n' | sort
}

# sums COMMAND DIRECTORY: the files' names and sums.
sums() { "$1" find "$2" -type f -exec sha256sum {} + | sed "s|$2/||" | sort -k 2; }

# patterned COMMAND PATH SIZE SEED: the file is what `pattern write` makes of these.
patterned() { "$1" "$T/pattern" check "$2" "$3" "$4" 1048576; }

# DAOS's own tool on this container's tree: `fs VERB WORD...`.
fs() {
    local verb=$1
    shift
    daos fs "$verb" "$POOL" "$CONTAINER" "$@" 2> "$BASE/daos.err" || { cat "$BASE/daos.err" >&2; return 1; }
}

# python COMMAND [ARGUMENT...] < program: runs it under `ours`, `pil` or `env`.
python() {
    local how=$1
    shift
    cat > "$BASE/program.py"
    "$how" "$PYTHON" "$BASE/program.py" "$@"
}
