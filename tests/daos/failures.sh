# What goes wrong: the errno, in time, in a process that lives; and what was acknowledged is there afterwards.

control() { "$SYSTEM_SH" "$1" "$SYSTEM_DIRECTORY"; }

# Whatever a test stopped runs again when it ends.
mend() { control start > /dev/null 2>&1; control agent-start > /dev/null 2>&1; }

# await TEXT FILE: until the file has a line that begins so.
await() {
    local left=900
    until grep -q "^$1" "$2"; do
        left=$((left - 1))
        [ $left -gt 0 ] || fail "no $1 in $2: $(cat "$2")"
        sleep 0.1
    done
}

# The errors that the program met are those that POSIX has for a store that does not answer.
honest() {
    ! grep '^error' "$1" | grep -v ' \(ETIMEDOUT\|EIO\|ENOTCONN\|EHOSTUNREACH\|ECONNREFUSED\|EAGAIN\) ' ||
        fail "an error that tells of something else"
}

# Writes on through some trouble: `written_through VERB SECONDS`. A call may take its 5 s, and 3 s on a busy machine.
written_through() {
    trap mend EXIT
    ours "$T/patient" write "$P/file" 120000011 1 47008 200000 8 100 > told 2> err & local writer=$!
    await 'acknowledged [1-9]' told
    control "$1"
    sleep "$2"
    control start
    wait $writer || fail "the writer: $(cat err told)"
    await 'done' told
    honest told
    patterned pil "$I/file" 120000011 1
    patterned ours "$P/file" 120000011 1
}

# The same for a reader.
read_through() {
    trap mend EXIT
    ours "$T/pattern" write "$P/file" 20000011 1 1048576
    ours "$T/patient" read "$P/file" 20000011 1 47008 8 100 30 > told 2> err & local reader=$!
    await acknowledged told
    control "$1"
    sleep "$2"
    control start
    wait $reader || fail "the reader: $(cat err told)"
    honest told
    await 'done' told
}

### writing_while_the_engine_freezes_for_a_moment system options=timeout=30
written_through freeze 4
! grep '^error' told || fail "an error within the time"

### writing_while_the_engine_freezes system options=timeout=5
written_through freeze 14
grep -q "^error" told || fail "no error in 14 s: $(tail -n 30 told)"

### writing_while_the_engine_is_killed system options=timeout=5
written_through kill 1

### writing_while_the_engine_is_killed_and_waiting_for_it system options=timeout=60
# Messages that were on their way when the engine died are lost: libdaos sends them again after 60 s, from when on the
# time of the call begins anew.
trap mend EXIT
ours "$T/patient" write "$P/file" 120000011 1 47008 200000 123 100 > told 2> err & writer=$!
await 'acknowledged [1-9]' told
control kill
control start
wait $writer || fail "the writer: $(cat err told)"
honest told
patterned pil "$I/file" 120000011 1

### strictly_writing_while_the_engine_is_killed system options=timeout=5&consistency=strict
written_through kill 1

### reading_while_the_engine_freezes system options=timeout=5
read_through freeze 14

### reading_while_the_engine_is_killed system options=timeout=5
read_through kill 1

### names_while_the_engine_freezes system options=timeout=5
# Every call on names returns in time; afterwards the process goes on.
trap mend EXIT
ours bash -c 'mkdir "$0/d"; for i in 1 2 3 4 5 6 7 8; do echo $i > "$0/d/$i"; done' "$P"
cat > names.py << 'END'
import errno, os, sys, time
prefix = sys.argv[1]
def attempt(name, call):
    start = time.monotonic()
    try:
        call()
        outcome = "OK"
    except OSError as error:
        outcome = errno.errorcode[error.errno]
    seconds = time.monotonic() - start
    print(f"{name} {outcome} {seconds:.1f}", flush=True)
    assert seconds < 6.5, (name, seconds)
    return outcome
calls = {
    "open": lambda: os.close(os.open(prefix + "/d/1", os.O_RDONLY)),
    "stat": lambda: os.stat(prefix + "/d/2"),
    "listdir": lambda: os.listdir(prefix + "/d"),
    "mkdir": lambda: os.mkdir(prefix + "/d/new"),
    "create": lambda: os.close(os.open(prefix + "/d/made", os.O_WRONLY | os.O_CREAT)),
    "rename": lambda: os.rename(prefix + "/d/3", prefix + "/d/three"),
    "unlink": lambda: os.unlink(prefix + "/d/4"),
    "symlink": lambda: os.symlink("1", prefix + "/d/link"),
    "chmod": lambda: os.chmod(prefix + "/d/5", 0o600),
    "truncate": lambda: os.truncate(prefix + "/d/6", 100),
    "statvfs": lambda: os.statvfs(prefix),
}
os.stat(prefix + "/d")
print("begun", flush=True)
sys.stdin.readline()
outcomes = {attempt(name, call) for name, call in calls.items()}
assert outcomes <= {"OK", "ETIMEDOUT", "EIO", "ENOTCONN", "EAGAIN"}, outcomes
assert outcomes != {"OK"}, "the engine was not frozen"
print("frozen", flush=True)
sys.stdin.readline()
time.sleep(1)
assert open(prefix + "/d/7").read() == "7\n"
with open(prefix + "/d/8", "a") as file: file.write("more\n")
assert os.stat(prefix + "/d/8").st_size == 7
print("done", flush=True)
END
mkfifo orders
ours "$PYTHON" names.py "$P" < orders > told 2> err & caller=$!
exec 7> orders
await begun told
sleep 2
control freeze
echo >&7
for _ in $(seq 120); do if grep -q ^frozen told || ! kill -0 $caller 2> /dev/null; then break; fi; sleep 1; done
control start
echo >&7
wait $caller || fail "$(cat told err)"
await 'done' told

### the_agent_is_gone_before_the_first_touch system options=timeout=5
trap mend EXIT
pil bash -c 'echo text > "$0/file"' "$I"
control agent-stop
start=$SECONDS
! ours cat "$P/file" > out 2> err || fail "it was read without an agent"
[ $((SECONDS - start)) -lt 10 ] || fail "it took $((SECONDS - start)) s"
grep -q "$P" err && grep -qi agent err || fail "the message names neither the mount nor the agent: $(cat err)"
python ours "$P/file" "$SYSTEM_SH" "$SYSTEM_DIRECTORY" << 'END'
import os, subprocess, sys, time
path, script, directory = sys.argv[1:]
try:
    open(path)
    raise SystemExit("it was opened without an agent")
except OSError as error:
    print(error)
environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "SIDESTEP_MOUNTS")} | {"SIDESTEP": "off"}
subprocess.run([script, "agent-start", directory], env=environment, check=True)
end = time.monotonic() + 20
while True:
    try:
        assert open(path).read() == "text\n"
        break
    except OSError as error:
        assert time.monotonic() < end, error
        time.sleep(0.5)
END

### the_agent_goes_in_between system options=timeout=5
trap mend EXIT
ours "$T/patient" write "$P/file" 120000011 1 4001 100000 8 0 > told 2> err & writer=$!
await 'acknowledged' told
control agent-stop
wait $writer || fail "the writer: $(cat err told)"
control agent-start
patterned ours "$P/file" 120000011 1

### the_pool_is_full system options=timeout=30
trap 'control start; "$SYSTEM_SH" dmg "$SYSTEM_DIRECTORY" pool destroy --force --recursive small > /dev/null 2>&1' EXIT
"$SYSTEM_SH" dmg "$SYSTEM_DIRECTORY" pool create --scm-size=128M small > "$BASE/dmg" 2>&1 || fail "$(cat "$BASE/dmg")"
daos container create --type POSIX small full > /dev/null 2>&1
POOL=small CONTAINER=full
python ours "$P/file" > told << 'END'
import errno, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
acknowledged, block = 0, b"".join(number.to_bytes(4, "little") for number in range(11752))
errors = []
while acknowledged < 1 << 30:
    try:
        for number in range(20):
            assert os.pwrite(file, block, acknowledged + number * len(block)) == len(block)
        os.fsync(file)
        acknowledged += 20 * len(block)
    except OSError as error:
        errors.append(error.errno)
        break
assert errors == [errno.ENOSPC], (errors, acknowledged)
for offset in range(0, acknowledged, len(block)):
    assert os.pread(file, len(block), offset) == block, offset
try:
    os.close(file)
except OSError as error:
    assert error.errno == errno.ENOSPC, error
print(acknowledged)
END
acknowledged=$(cat told)
[ "$acknowledged" -gt 10000000 ] || fail "full at $acknowledged"
python pil "$I/file" "$acknowledged" << 'END'
import sys
block = b"".join(number.to_bytes(4, "little") for number in range(11752))
with open(sys.argv[1], "rb") as file:
    for offset in range(0, int(sys.argv[2]), len(block)):
        assert file.read(len(block)) == block, offset
END
ours rm "$P/file"
left=60
until ours bash -c 'head -c 1000000 /dev/zero > "$0/after" && sync "$0/after"' "$P" 2> err; do
    left=$((left - 1))
    [ $left -gt 0 ] || fail "no room after the file was removed: $(cat err)"
    sleep 1
done
checked=$(daos fs check small full --flags=print,evict 2>&1) || echo "daos fs check: exit $?" >&2
case $checked in
    *'leaked OIDs in namespace = 0'*) ;;
    *) fail "the checker finds something: $checked" ;;
esac

### the_container_is_destroyed unchecked options=timeout=5
cat > program.py << 'END'
import os, subprocess, sys
path, pool, container = sys.argv[1:]
file = os.open(path, os.O_RDWR | os.O_CREAT)
os.write(file, b"x" * 100_000)
os.fsync(file)
environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "SIDESTEP_MOUNTS")} | {"SIDESTEP": "off"}
subprocess.run(["daos", "container", "destroy", "--force", pool, container], env=environment, check=True,
               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
def fails(call):
    try:
        call()
    except OSError as error:
        print(call.__name__, os.strerror(error.errno), flush=True)
        return
    raise SystemExit(f"{call.__name__} is said to have gone well")
def write_and_sync():
    os.write(file, b"y" * 100_000)
    os.fsync(file)
def create():
    os.open(path + "2", os.O_RDWR | os.O_CREAT)
def make():
    os.mkdir(path + "3")
fails(write_and_sync)
fails(create)
fails(make)
try:
    os.close(file)
except OSError:
    pass
print("lives")
END
timeout 60 env LD_PRELOAD="$LIBRARY" SIDESTEP_MOUNTS="$(mounts)" "$PYTHON" program.py "$P/f" "$POOL" "$CONTAINER" > told 2> err ||
    fail "$(cat told err)"
equal "the end" lives "$(tail -n 1 told)"

### rights_to_read_only unchecked
pil bash -c 'mkdir "$0/d"; echo text > "$0/d/f"' "$I"
owner=$(daos container get-prop "$POOL" "$CONTAINER" 2> /dev/null | sed -n 's/^ *Owner *\([^ ]*\).*/\1/p' | head -1)
for entry in A::OWNER@:rtTaAo A:G:GROUP@:r; do
    daos container update-acl --entry "$entry" "$POOL" "$CONTAINER" > /dev/null 2> err || fail "$owner: $(cat err)"
done
equal "the file" text "$(ours cat "$P/d/f")"
for change in 'echo x > "$0/d/f"' 'echo x > "$0/new"' 'mkdir "$0/new"' 'rm "$0/d/f"' 'mv "$0/d/f" "$0/d/g"' 'truncate -s 1 "$0/d/f"'; do
    ! ours bash -c "$change" "$P" 2> err || fail "$change was allowed"
    grep -q 'Permission denied\|Read-only file system\|Operation not permitted' err || fail "$change: $(cat err)"
done
equal "the file" text "$(ours cat "$P/d/f")"

### a_mount_for_reading
pil bash -c 'echo text > "$0/f"' "$I"
OPTIONS='?readonly'
equal "the file" text "$(ours cat "$P/f")"
for change in 'echo x > "$0/f"' 'echo x > "$0/new"' 'mkdir "$0/new"' 'rm "$0/f"' 'chmod 600 "$0/f"'; do
    ! ours bash -c "$change" "$P" 2> err || fail "$change was allowed"
    grep -q 'Read-only file system' err || fail "$change: $(cat err)"
done

### wrong_names options=timeout=5
refused() { # refused URL WORD: the message names the mount and WORD, within the time
    local start=$SECONDS
    ! SIDESTEP_MOUNTS="$P=$1" LD_PRELOAD=$LIBRARY cat "$P/f" > out 2> err || fail "$1 was read"
    [ $((SECONDS - start)) -lt 9 ] || fail "$1 took $((SECONDS - start)) s"
    grep -q -- "$2" err && grep -q "$P" err || fail "$1: the message names neither $2 nor the mount: $(cat err)"
    equal "lines" 2 "$(wc -l < err)"
}
refused "daos:no-such-pool/$CONTAINER?timeout=5" no-such-pool
refused "daos:$POOL/no-such-container?timeout=5" no-such-container
refused "daos:$POOL/$CONTAINER?timeout=5&sys=no_such_system" no_such_system

### not_a_posix_container
daos container create "$POOL" "$CONTAINER-x" > /dev/null 2>&1
CONTAINER=$CONTAINER-x
trap 'daos container destroy --force "$POOL" "$CONTAINER" > /dev/null 2>&1' EXIT
! ours cat "$P/f" > out 2> err || fail "it was read"
grep -q -- "$CONTAINER" err || fail "the message does not name it: $(cat err)"

### no_library
! SIDESTEP_LIBDFS=/nonexistent/libdfs.so ours cat "$P/f" > out 2> err || fail "it was read"
grep -q /nonexistent/libdfs.so err || fail "the message does not name the library: $(cat err)"
# The rest of the process works.
equal "the host's files" x "$(SIDESTEP_LIBDFS=/nonexistent ours bash -c 'cat "$0/f"; echo x > h; cat h' "$P" 2> /dev/null)"
