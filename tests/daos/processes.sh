# fork, exec, threads and libraries: who loads libdaos, when, and what becomes of a file that goes from one to another.

### a_process_that_never_touches_the_prefix
ours "$PYTHON" -c '
import os, subprocess
assert "libsidestep" in open("/proc/self/maps").read()
open("/dev/null").read(); os.listdir("/"); subprocess.run(["/bin/true"], check=True)
loaded = [line for line in open("/proc/self/maps") if "libdaos" in line or "libdfs" in line or "libfabric" in line]
assert not loaded, loaded
# After a vfork a thread stands by for the child, for some time.
assert len(os.listdir("/proc/self/task")) <= 2
' 2> err
equal "what it says" "" "$(cat err)"

### a_process_that_touches_it
ours "$PYTHON" -c '
import os, sys
os.listdir(sys.argv[1])
maps = open("/proc/self/maps").read()
assert "libdaos" in maps and "libdfs" in maps
' "$P" 2> err
equal "what it says" "" "$(cat err)"

### descriptors_stay_out_of_the_way
# The libraries' sockets and event descriptors take none of the low numbers.
ours "$PYTHON" -c '
import os, sys
os.listdir(sys.argv[1])
one = os.open(sys.argv[1] + "/f", os.O_RDWR | os.O_CREAT)
two = os.open("/dev/null", os.O_RDONLY)
assert (one, two) == (3, 4), (one, two)
os.closerange(5, 4096)
os.write(one, b"still here"); os.fsync(one)
assert os.pread(one, 20, 0) == b"still here"
' "$P"
equal "the file" "still here" "$(pil cat "$I/f")"

### output_of_a_subprocess
python ours "$P" << 'END'
import subprocess, sys
with open(sys.argv[1] + "/out", "w") as out:
    out.write("first\n"); out.flush()
    subprocess.run(["/bin/echo", "by echo"], stdout=out, check=True)
    subprocess.run(["/bin/sh", "-c", "echo by sh; echo and err >&2"], stdout=out, stderr=out, check=True)
    out.seek(0, 2); out.write("last\n")
with open(sys.argv[1] + "/out") as source:
    copied = subprocess.run(["/usr/bin/tac"], stdin=source, capture_output=True, text=True, check=True).stdout
assert copied == "last\nand err\nby sh\nby echo\nfirst\n", copied
END
equal "the file" "$(printf 'first\nby echo\nby sh\nand err\nlast')" "$(pil cat "$I/out")"

### appends_of_a_shell_and_its_children
ours bash -c '{ echo c; /bin/echo d; echo e; } >> "$0/f"; { echo f; (echo g); /bin/echo h; } >> "$0/f"' "$P"
equal "the file" "$(printf 'c\nd\ne\nf\ng\nh')" "$(pil cat "$I/f")"

### shell_redirections
ours bash -c '
cd "$0"
exec 7> seven; echo one >&7; /bin/echo two >&7; exec 7>&-
cat seven | sort -r > sorted
while read -r line; do echo "read $line"; done < sorted > read
exec 8<> both; echo written >&8; exec 8>&-; read -r back < both; echo "$back" > back
cat << HERE > here
$(cat seven)
HERE
tee a b < seven > c; cmp a b; cmp b c
ls > names' "$P"
equal "sorted" "$(printf 'read two\nread one')" "$(pil cat "$I/read")"
equal "back" written "$(pil cat "$I/back")"
equal "here" "$(printf 'one\ntwo')" "$(pil cat "$I/here")"
equal "the names" "$(printf '%s\n' a b back both c here names read seven sorted)" "$(pil cat "$I/names")"

### multiprocessing_by_fork
python ours "$P" << 'END'
import hashlib, multiprocessing, os, sys
prefix = sys.argv[1]
for number in range(12):
    with open(f"{prefix}/{number}", "wb") as file:
        file.write(bytes([number]) * (300_001 + number))
def work(number):
    with open(f"{prefix}/{number}", "rb") as file:
        data = file.read()
    with open(f"{prefix}/{number}.sum", "w") as file:
        file.write(hashlib.sha256(data).hexdigest())
    return number, hashlib.sha256(data).hexdigest()
with multiprocessing.get_context("fork").Pool(3) as pool:
    sums = dict(pool.map(work, range(12)))
for number in range(12):
    expected = hashlib.sha256(bytes([number]) * (300_001 + number)).hexdigest()
    assert sums[number] == expected
    assert open(f"{prefix}/{number}.sum").read() == expected
END

### multiprocessing_by_spawn
python ours "$P" << 'END'
import multiprocessing, sys
def work(path):
    with open(path, "a") as file:
        file.write("x\n")
    return len(open(path).read())
if __name__ == "__main__":
    paths = [f"{sys.argv[1]}/{number}" for number in range(4)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(work, paths) == [2] * 4
END

### a_fork_child_beside_its_parent
# Both go on with what they had open, both make and read files, at the same time and for a while.
python ours "$P" << 'END'
import os, sys
prefix = sys.argv[1]
kept = os.open(prefix + "/kept", os.O_RDWR | os.O_CREAT)
os.write(kept, b"0123456789" * 1000)
os.lseek(kept, 0, 0)
def busy(who):
    for number in range(40):
        name = f"{prefix}/{who}.{number}"
        with open(name, "wb") as file:
            file.write(name.encode() * 500)
        with open(name, "rb") as file:
            assert file.read() == name.encode() * 500
        assert os.pread(kept, 10, number * 10) == b"0123456789"
        if number % 4 == 0:
            os.rename(name, name + ".moved")
        elif number % 4 == 1:
            os.unlink(name)
children = []
for who in ("one", "two"):
    child = os.fork()
    if child == 0:
        try:
            busy(who)
            grandchild = os.fork()
            if grandchild == 0:
                busy(who + "s-child")
                os._exit(0)
            assert os.waitpid(grandchild, 0)[1] == 0
            os._exit(0)
        except BaseException as error:
            print(who, repr(error), file=sys.stderr)
            os._exit(1)
    children.append(child)
busy("parent")
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
assert os.read(kept, 10) == b"0123456789"
assert len(os.listdir(prefix)) == 1 + 5 * 30, len(os.listdir(prefix))
END

### a_fork_child_that_only_execs
# It says nothing, and its exec comes at once: no network is set up for it. Twenty take no longer than two reinits.
python ours "$P" 2> err << 'END'
import os, sys, time
file = os.open(sys.argv[1] + "/f", os.O_RDWR | os.O_CREAT)
os.write(file, b"x")
os.fsync(file)
start = time.monotonic()
for _ in range(20):
    child = os.fork()
    if child == 0:
        os.execv("/bin/true", ["true"])
    assert os.waitpid(child, 0)[1] == 0
seconds = time.monotonic() - start
assert seconds < 1, seconds
assert os.pread(file, 1, 0) == b"x"
END
equal "what it says" "" "$(cat err)"

### ends_without_close
# What was written is there, however the process ended, if it ran its handlers or made the call that ends it.
for end in 'sys.exit()' 'os._exit(0)' 'os.execv("/bin/true", ["true"])' 'os.kill(os.getpid(), signal.SIGTERM)'; do
    ours "$PYTHON" -c '
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
for _ in range(1000): os.write(file, b"0123456789")
exec(sys.argv[2])' "$P/file" "$end"
    equal "after $end the size" 10000 "$(pil stat -c %s "$I/file")"
    pil rm "$I/file"
done

### killed
# Strict loses nothing to SIGKILL; causal at most what is younger than 10 ms, and nothing that was told of; close-to-open at
# most what is younger than a second.
for mode in strict causal close-to-open; do
    OPTIONS=?consistency=$mode
    ours "$PYTHON" -c '
import os, signal, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for _ in range(1000): os.write(file, b"0123456789")
if sys.argv[2] == "close-to-open": time.sleep(2)
os.kill(os.getpid(), signal.SIGKILL)' "$P/$mode" "$mode" && fail "not killed"
    equal "of $mode the size" 10000 "$(pil stat -c %s "$I/$mode")"
done

### threads
python ours "$P" << 'END'
import os, sys, threading
prefix, failures = sys.argv[1], []
def work(rank):
    try:
        for number in range(30):
            name = f"{prefix}/{rank}.{number}"
            data = os.urandom(20_011)
            with open(name, "wb") as file:
                file.write(data)
            assert open(name, "rb").read() == data
            assert os.stat(name).st_size == len(data)
    except BaseException as error:
        failures.append(error)
threads = [threading.Thread(target=work, args=(rank,)) for rank in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not failures, failures
assert len(os.listdir(prefix)) == 180
END

### a_library_whose_constructor_opens_a_file
# It is loaded while another thread makes the first touch; either may be the first, and neither waits for ever.
pil mkdir "$I/d"
echo text > text; pil cp text "$I/file"
for pause in 0 0.001 0.01 0.03 0.06 0.1; do
    SIDESTEP_TEST_FILE=$P/file timeout 60 bash -c '"$@"' bash \
        env LD_PRELOAD="$LIBRARY" SIDESTEP_MOUNTS="$(mounts)" "$PYTHON" -c '
import ctypes, os, sys, threading, time
prefix, library, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
touched = []
def touch(): touched.append(os.listdir(prefix))
thread = threading.Thread(target=touch)
thread.start()
time.sleep(pause)
outcome = ctypes.c_int.in_dll(ctypes.CDLL(library), "outcome").value
thread.join()
assert touched and "file" in touched[0], touched
assert outcome in (5, -11), outcome  # what it read, or EAGAIN: it would have waited for ever
assert open(prefix + "/file").read() == "text\n"
' "$P" "$T/constructor.so" "$pause" 2> err || fail "$(cat err)"
done

### mpi needs=mpicc
# Two ranks; the prefix is touched before MPI_Init, after it, and through MPI-IO.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
for when in before after; do
    timeout 120 mpirun --oversubscribe -np 2 env LD_PRELOAD="$LIBRARY" SIDESTEP_MOUNTS="$(mounts)" \
        "$T/mpi_ranks" "$P/$when" "$when" 2> err || fail "$(cat err)"
    equal "the size" 9401600 "$(pil stat -c %s "$I/$when")"
done
