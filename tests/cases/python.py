# The real interpreter and its library.
import csv, glob, hashlib, io, json, os, pathlib, pickle, re, shutil, signal, stat, subprocess, sys, tarfile, tempfile, threading, time, zipfile
P, H = os.environ["P"], os.environ["H"]
os.chdir(P)
def put(name, data=b"content\n"):
    with open(name, "wb") as f:
        f.write(data)
def got(name):
    with open(name, "rb") as f:
        return f.read()
def tried(function, *arguments, **named):
    try:
        return function(*arguments, **named)
    except OSError as error:
        return type(error).__name__, error.errno, error.strerror
sys.stdout.reconfigure(line_buffering=True)

### open_modes
for mode in ["r", "r+", "w", "w+", "a", "a+", "x", "x+", "rb", "rb+", "wb", "wb+", "ab", "ab+", "xb"]:
    for buffering in ([-1, 0, 1, 100] if "b" in mode else [-1, 1, 100]):
        put("f", b"0123456789\nabcdef\n")
        try:
            if buffering == 1 and "b" in mode:
                continue
            with open("f", mode, buffering=buffering) as f:
                log = [f.mode if isinstance(f.mode, str) else "", f.tell()]
                if f.readable():
                    log += [f.readline(), f.read(3), f.tell()]
                if f.writable():
                    log += [f.write("XY" if "b" not in mode else b"XY"), f.seek(0, 2), f.truncate(12) if "a" not in mode else 0]
            print(mode, buffering, log, got("f"))
        except OSError as error:
            print(mode, buffering, error.errno)
print(tried(open, "none"), tried(open, "none/f", "w"), tried(open, ".", "w"), tried(open, "."))

### text_and_seek
with open("t", "w", encoding="utf-16", newline="\r\n") as f:
    for i in range(2000):
        print(f"line {i} \u00e9\u4e2d", file=f)
with open("t", encoding="utf-16") as f:
    lines = f.readlines()
print(len(lines), lines[1999], os.path.getsize("t"), hashlib.md5(got("t")).hexdigest())
with open("b", "w+b") as f:
    f.write(bytes(range(256)) * 1000)
    for at in [0, 255, 65535, 65536, 131071, 255999, 256000, 300000]:
        f.seek(at)
        print(at, f.read(5), f.tell())
    f.seek(300000); f.write(b"end"); f.flush()
    print(os.fstat(f.fileno()).st_size)
    view = bytearray(1000)
    f.seek(100); print(f.readinto(view), bytes(view[:5]), f.raw.readinto(view), f.peek(1)[:1] if hasattr(f, "peek") else "")
    f.truncate(1000); print(f.seek(0, 2))
print(hashlib.sha256(got("b")).hexdigest())

### subprocess_redirections
put("in", b"c\na\nb\n")
with open("in") as i, open("out", "w") as o, open("err", "w") as e:
    print(subprocess.run(["sort"], stdin=i, stdout=o).returncode)
    print(subprocess.run(["ls", "/nonexistent"], stdout=o, stderr=e).returncode)
print(got("out"), got("err"))
with open("out", "ab") as o:
    o.write(b"before\n"); o.flush()
    subprocess.run(["/bin/echo", "x"], stdout=o)
    subprocess.run("echo shell; echo err >&2", shell=True, stdout=o, stderr=subprocess.STDOUT)
    o.write(b"after\n")
print(got("out"))
with open("in") as f:
    print(f.readline().strip(), os.lseek(f.fileno(), 2, 0), subprocess.run(["head", "-1"], stdin=f, capture_output=True).stdout)
r = subprocess.Popen(["cat", "-", "in"], stdin=subprocess.PIPE, stdout=open("piped", "wb"), cwd=P)
r.communicate(b"from pipe\n"); print(r.returncode, got("piped"))
print(subprocess.check_output(["pwd"], cwd=P).decode().replace(P, "P"), subprocess.check_output("pwd; ls", shell=True, text=True, env={}).replace(P, "P"))
with open("passed", "w") as f:
    print(subprocess.run(["/bin/sh", "-c", f"echo passed >&{f.fileno()}"], pass_fds=[f.fileno()]).returncode)
print(got("passed"), subprocess.run(["cat", "none"], capture_output=True, text=True).stderr)
with open("pre", "w") as f:
    subprocess.run(["/bin/sh", "-c", "echo $0; pwd"], stdout=f, preexec_fn=lambda: os.chdir("/"), start_new_session=True)
print(got("pre")); print(tried(subprocess.run, ["x"], cwd=P + "/none")[1])
p1 = subprocess.Popen(["cat", "in"], stdout=subprocess.PIPE); p2 = subprocess.Popen(["sort", "-r"], stdin=p1.stdout, stdout=open("sorted", "w"))
p1.stdout.close(); p2.wait(); p1.wait(); print(got("sorted"))

### fork_shared_cursor
put("f", b"abcdefghijklmnopqrstuvwxyz")
f = open("f", "rb", buffering=0)
print(f.read(3))
if os.fork() == 0:
    print("child", f.read(3)); os._exit(0)
os.wait(); print("parent", f.read(3))
w = open("w", "wb", buffering=0)
for i in range(5):
    if os.fork() == 0:
        w.write(b"child %d\n" % i); os._exit(0)
    os.wait()
    w.write(b"parent\n")
print(got("w"), w.tell())

### threads_on_one_descriptor
fd = os.open("f", os.O_RDWR | os.O_CREAT)
def work(n):
    for i in range(200):
        os.pwrite(fd, bytes([65 + n]) * 50, (i * 8 + n) * 50)
        assert os.pread(fd, 50, (i * 8 + n) * 50) == bytes([65 + n]) * 50
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(os.fstat(fd).st_size, hashlib.sha256(got("f")).hexdigest())
log = open("log", "a")
def append(n):
    for i in range(300):
        with lock: log.write(f"{n} {i}\n")
lock = threading.Lock()
threads = [threading.Thread(target=append, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
log.close(); print(len(open("log").readlines()), hashlib.sha256("".join(sorted(open("log"))).encode()).hexdigest()); os.unlink("log")
def files(n):
    for i in range(50):
        put(f"t{n}-{i}", b"%d" % i); assert got(f"t{n}-{i}") == b"%d" % i; os.rename(f"t{n}-{i}", f"r{n}-{i}"); os.remove(f"r{n}-{i}")
threads = [threading.Thread(target=files, args=(n,)) for n in range(6)]
[t.start() for t in threads]; [t.join() for t in threads]; print(sorted(os.listdir()))

### copytree_and_shutil
shutil.copytree("/usr/include/linux", "tree", symlinks=True)
print(subprocess.run(["diff", "-r", "/usr/include/linux", "tree"]).returncode, sum(len(f) for _, _, f in os.walk("tree")))
shutil.copytree("tree/netfilter", H + "/out"); shutil.move(H + "/out", "back"); print(subprocess.run(["diff", "-r", "tree/netfilter", "back"]).returncode)
shutil.copy("tree/stat.h", "one"); shutil.copy2("tree/stat.h", "two"); shutil.copyfile("tree/stat.h", "three"); shutil.copymode("tree/stat.h", "three"); shutil.copystat("tree/stat.h", "one")
print(os.stat("one").st_mtime_ns == os.stat("tree/stat.h").st_mtime_ns, got("one") == got("two") == got("three"), shutil.disk_usage(P).total > 0)
shutil.move("tree", "moved"); print(shutil.make_archive("arch", "gztar", "moved") .replace(P, "P")); shutil.unpack_archive("arch.tar.gz", "un"); print(subprocess.run(["diff", "-r", "moved", "un"]).returncode)
shutil.rmtree("moved"); shutil.rmtree("un"); shutil.rmtree("back"); os.unlink("arch.tar.gz"); print(sorted(os.listdir()), tried(shutil.rmtree, "none")[:2], shutil.which("cat"))
print(tried(shutil.copy, "one", "none/x")[:2], tried(shutil.copytree, "one", "x")[:2])

### temporary_files
tempfile.tempdir = P
with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile(dir=d) as n:
    n.write(b"x"); n.flush(); print(got(n.name), stat.filemode(os.stat(n.name).st_mode), stat.filemode(os.stat(d).st_mode))
with tempfile.TemporaryFile() as t:
    t.write(b"anonymous"); t.seek(0); print(t.read(), os.fstat(t.fileno()).st_nlink)
s = tempfile.SpooledTemporaryFile(max_size=10); s.write(b"longer than ten bytes"); s.seek(0); print(s.read()); s.close()
fd, name = tempfile.mkstemp(suffix=".x", prefix="pre"); os.write(fd, b"y"); os.close(fd); print(got(name), name.endswith(".x")); os.unlink(name); print(os.listdir(P))

### archives_and_formats
with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for i in range(50):
        z.writestr(f"d/{i}.txt", str(i) * 1000)
    z.write("/usr/include/stdio.h", "stdio.h")
with zipfile.ZipFile("a.zip", "a") as z:
    z.writestr("late", "late"); print(z.testzip(), len(z.namelist()))
with zipfile.ZipFile("a.zip") as z:
    z.extractall("un"); print(z.read("late"), len(os.listdir("un/d")), got("un/stdio.h") == got("/usr/include/stdio.h"))
os.unlink("a.zip")
with tarfile.open("a.tar.bz2", "w:bz2") as t:
    t.add("un", "un")
with tarfile.open("a.tar.bz2") as t:
    print(sorted(t.getnames())[:5]); t.extractall("un2")
print(subprocess.run(["diff", "-r", "un", "un2/un"]).returncode); os.unlink("a.tar.bz2"); shutil.rmtree("un"); shutil.rmtree("un2")
with open("c.csv", "w", newline="") as f:
    w = csv.writer(f); [w.writerow([i, f'q"{i}"', "a,b"]) for i in range(1000)]
print(sum(int(r[0]) for r in csv.reader(open("c.csv", newline=""))), got("c.csv")[:40])
with open("p", "wb") as f:
    pickle.dump({"a": list(range(10000)), "b": b"x" * 100000}, f, protocol=5)
d = pickle.load(open("p", "rb")); print(len(d["a"]), len(d["b"]))
json.dump({"k": list(range(1000))}, open("j", "w")); print(sum(json.load(open("j"))["k"]))
import gzip, bz2, lzma, shelve, wave, configparser
for m in (gzip, bz2, lzma):
    with m.open("z", "wb") as f: f.write(b"compressed " * 10000)
    print(m.__name__, len(m.open("z").read()))
os.unlink("z")

### os_data_calls
put("a", bytes(range(256)) * 400)
a, b = os.open("a", os.O_RDONLY), os.open("b", os.O_RDWR | os.O_CREAT, 0o644)
print(os.sendfile(b, a, 100, 50000), os.lseek(b, 0, 1), os.lseek(a, 0, 1))
bufs = [bytearray(10), bytearray(20), bytearray(30)]
print(os.preadv(a, bufs, 5), bytes(bufs[1]), os.readv(a, bufs), os.pwritev(b, [b"one", b"two", b""], 1000), os.writev(b, [b"x", b"yy"]), os.pread(b, 8, 999))
print(os.copy_file_range(a, b, 1000, 0, 5000), os.posix_fallocate(b, 0, 100000), os.fstat(b).st_size, os.truncate("b", 70000), os.ftruncate(b, 60000), os.fstat(b).st_size)
print(os.lseek(b, 0, os.SEEK_DATA), tried(os.lseek, b, 70000, os.SEEK_DATA), os.fsync(b), os.fdatasync(b), os.posix_fadvise(b, 0, 0, os.POSIX_FADV_WILLNEED), os.isatty(b))
os.dup2(b, 50); print(os.lseek(50, 7, 0), os.lseek(b, 0, 1), os.get_inheritable(50), os.get_inheritable(b), os.dup2(b, 51, inheritable=False), os.get_inheritable(51), os.get_blocking(b))
r, w = os.pipe(); print(os.splice(a, w, 1000, 5), len(os.read(r, 2000)), os.sendfile(w, a, 0, 100), os.read(r, 5))
print(os.eventfd(1) > 0, hashlib.md5(got("b")).hexdigest())

### os_name_calls
os.makedirs("x/y/z", mode=0o750); print(oct(os.stat("x/y").st_mode), tried(os.makedirs, "x/y")[:2], os.makedirs("x/y", exist_ok=True)); put("x/f"); os.symlink("f", "x/l"); os.symlink("y", "x/dl")
print(os.readlink("x/l"), os.path.islink("x/l"), os.path.realpath("x/dl/z/..") == P + "/x/y", os.path.samefile("x/l", "x/f"), os.path.lexists("x/none"), os.path.ismount(P + "/x"))
print([(e.name, e.is_dir(), e.is_symlink(), e.stat().st_size if e.is_file() else 0, e.inode() == e.stat(follow_symlinks=False).st_ino) for e in sorted(os.scandir("x"), key=lambda e: e.name)])
print(sorted((r, sorted(d), sorted(f)) for r, d, f in os.walk("x")), sorted((r, sorted(d), sorted(f)) for r, d, f, _ in os.fwalk("x")))
d = os.open("x", os.O_RDONLY | os.O_DIRECTORY); os.mkdir("sub", dir_fd=d); os.rename("f", "g", src_dir_fd=d, dst_dir_fd=d); print(sorted(os.listdir(d)), os.stat("g", dir_fd=d).st_size, os.access("g", os.R_OK, dir_fd=d), tried(os.unlink, "sub", dir_fd=d)[:2], os.rmdir("sub", dir_fd=d))
os.utime("x/g", ns=(1, 2)); print(os.stat("x/g").st_mtime_ns, os.utime("x/l", (5, 6), follow_symlinks=False) if os.path.exists("x/l") else "", os.chmod("x/g", 0o604), oct(os.stat("x/g").st_mode), os.umask(0o22))
print(tried(os.rename, "none", "x"), tried(os.rmdir, "x")[:2], tried(os.listdir, "x/g")[:2], tried(os.mkdir, "x")[:2], tried(os.replace, "x", "x/y/in")[:2], tried(os.link, "none", "n2")[:2], os.get_exec_path()[:1], os.statvfs(".").f_namemax)
os.chdir("x/y"); print(os.getcwd().replace(P, "P"), os.getcwdb() == os.fsencode(os.getcwd()), os.listdir("..") != []); os.fchdir(d); print(os.path.basename(os.getcwd())); os.renames("g", "new/deep/h"); os.removedirs("y/z"); print(sorted(os.listdir()))

### pathlib_and_glob
r = pathlib.Path("root"); (r / "a/b").mkdir(parents=True); (r / "a/f.txt").write_text("hello"); (r / "g.txt").write_bytes(b"1"); (r / "l").symlink_to("a"); (r / "a/b/.h").touch(mode=0o600)
print(sorted(map(str, r.rglob("*"))), sorted(map(str, r.glob("**/*.txt"))), (r / "l/f.txt").resolve() == (r / "a/f.txt").resolve(), (r / "a").is_dir(), (r / "l").is_symlink(), (r / "none").exists(), (r / "g.txt").stat().st_size, (r / "g.txt").owner())
(r / "g.txt").rename(r / "h.txt"); (r / "h.txt").replace(r / "a/f.txt"); print((r / "a/f.txt").read_text(), sorted(p.name for p in r.iterdir())); (r / "a/f.txt").unlink(); (r / "none").unlink(missing_ok=True); print(sorted(glob.glob("root/*")), sorted(glob.glob("root/**", recursive=True)))
print(tried((r / "x/y").touch)[:2], tried((r / "a").rmdir)[:2], (r / "a").samefile(r / "l"), pathlib.Path.cwd() == pathlib.Path(P))

### multiprocessing_and_concurrent
import multiprocessing, concurrent.futures
def job(n):
    with open("shared", "a") as f: f.write(f"{n}\n")
    with open(f"own{n}", "w") as f: f.write("x" * n)
    return os.path.getsize(f"own{n}")
with multiprocessing.get_context("fork").Pool(3) as pool:
    print(pool.map(job, range(20)))
print(sorted(map(int, open("shared"))) == list(range(20)), len(os.listdir())); os.unlink("shared")
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(job, range(20, 60)))); os.unlink("shared")
q = multiprocessing.get_context("fork").Queue(); p = multiprocessing.get_context("fork").Process(target=lambda: q.put(got("own5"))); p.start(); print(q.get()); p.join()

### asyncio_and_signals
import asyncio
async def main():
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.run_in_executor(None, put, f"a{i}", b"%d" % i) for i in range(30)))
    with open("out", "wb") as o:
        child = await asyncio.create_subprocess_exec("cat", "a1", "a2", stdout=o); print(await child.wait())
    child = await asyncio.create_subprocess_shell("cat; cat a3", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE); print(await child.communicate(b"in"))
asyncio.run(main()); print(got("out"), len(os.listdir()))
hits = []
signal.signal(signal.SIGALRM, lambda *a: hits.append(got("a1"))); signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
for i in range(300): put("busy", b"x" * i); assert len(got("busy")) == i
while len(hits) < 5: put("busy", b"y")
signal.setitimer(signal.ITIMER_REAL, 0); print(set(hits)); os.unlink("busy")

### modules_scripts_and_logs
import importlib
put("module_in_prefix.py", b"value = 42\n"); sys.path.insert(0, P); import module_in_prefix; print(module_in_prefix.value)
os.mkdir("package"); put("package/__init__.py", b"from .inner import deep\n"); put("package/inner.py", b"deep = 'deep'\n"); import package; print(package.deep, package.__file__.replace(P, "P")); print(subprocess.run([sys.executable, "-c", "import package; print(package.deep)"], capture_output=True, text=True, cwd=P).stdout)
put("script.py", b"import sys; print('ran', sys.argv[1])\n"); print(subprocess.run([sys.executable, "script.py", "x"], capture_output=True, text=True).stdout, subprocess.run([sys.executable, P + "/script.py", "y"], capture_output=True, text=True).stdout)
import logging; logging.basicConfig(filename="app.log", level=logging.INFO, format="%(message)s"); [logging.info("entry %d", i) for i in range(100)]; logging.shutdown(); print(len(got("app.log")))

### idle_after_writing
put("f", b"x" * 10000)
f = open("g", "wb", buffering=0)
f.write(b"abc")
time.sleep(1.5)
before = time.process_time()
time.sleep(1.0)
print("idle", time.process_time() - before < 0.2)
f.close()

### files_that_another_process_renames
def mv(*paths):
    subprocess.run(["mv", "-T", *paths], check=True)
put("f")
put("other", b"x")
fd = os.open("f", os.O_RDWR)
def look():
    st = os.fstat(fd)
    return oct(st.st_mode), st.st_size, st.st_nlink
mv("f", "g"); put("f", b"another"); print(look())
os.fchmod(fd, 0o604); print(look())
mv("g", "h"); mv("h", "i"); print(look())
os.mkdir("d"); mv("i", "d/i"); mv("d", "e"); print(look())
os.fchmod(fd, 0o611); os.utime(fd, (5, 7)); print(look(), os.fstat(fd).st_mtime, oct(os.stat("e/i").st_mode))
mv("other", "e/i"); print(look(), os.read(fd, 99), os.write(fd, b"more"), look())
print(sorted(os.listdir("e")), got("f"))

### directories_that_another_process_renames
def mv(*paths):
    subprocess.run(["mv", "-T", *paths], check=True)
os.makedirs("d/e/g")
put("d/e/f")
put("up")
os.chdir("d/e")
e, g = os.open(".", os.O_RDONLY), os.open("g", os.O_RDONLY)
def look():
    link = lambda fd: os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), P)
    up = lambda fd: sorted(os.listdir(os.open("..", os.O_RDONLY, dir_fd=fd)))
    print(tried(lambda: os.path.relpath(os.getcwd(), P)), sorted(os.listdir(".")), sorted(os.listdir("..")))
    print(link(e), link(g), up(e), up(g), oct(os.fstat(g).st_mode))
look()
mv(P + "/d", P + "/d2"); look()
mv(P + "/d2/e", P + "/d2/e2"); look()
os.mkdir(P + "/k"); mv(P + "/d2/e2", P + "/k/e3"); look()
mv(P + "/k", P + "/d2/k2"); put("made"); look()
mv(P + "/d2/k2/e3", P + "/e4"); os.fchmod(g, 0o711); look()
print(subprocess.run(["sh", "-c", "pwd -P; cat ../up"], capture_output=True).stdout.replace(P.encode(), b""))

### directories_that_another_process_removes
for command in (["rmdir", "d"], ["mv", "-T", "new", "d"]):
    os.mkdir("d")
    if command[0] == "mv":
        os.mkdir("new")
    d = os.open("d", os.O_RDONLY)
    subprocess.run(command, check=True)
    print(command, os.fstat(d).st_nlink == 0, tried(os.open, "x", os.O_CREAT | os.O_WRONLY, dir_fd=d), tried(os.mkdir, "x", dir_fd=d), os.listdir(d))
    subprocess.run(["rm", "-rf", "d"], check=True)

### names_that_many_change_at_once
# Five at the same name: one has it, and nobody who has the file open loses a byte.
CONTENT = bytes(range(256)) * 16
def at_once_in_threads(calls):
    gate, done = threading.Barrier(len(calls)), []
    def work(call):
        gate.wait()
        done.append(tried(*call) is None)
    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return sum(done)
def at_once_in_processes(calls):
    ready, go = os.pipe()
    children = []
    for call in calls:
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)
            os._exit(tried(*call) is None)
        children.append(child)
    os.close(ready)
    os.close(go)
    return sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
for at_once, rounds in [(at_once_in_threads, 60), (at_once_in_processes, 25)]:
    won, kept = set(), set()
    for i in range(rounds):
        for name in "abc": put(f"{name}{i}", CONTENT)
        held = [os.open(f"{name}{i}", os.O_RDONLY) for name in "abca"]
        won.add(("unlink", at_once([(os.unlink, f"a{i}")] * 5)))
        won.add(("rename", at_once([(os.rename, f"b{i}", f"moved{i}")] * 5)))
        sources = [f"source{i}-{k}" for k in range(5)]
        for source in sources: put(source, CONTENT)
        won.add(("over", at_once([(os.rename, source, f"c{i}") for source in sources])))
        kept.update(os.pread(descriptor, 1 << 20, 0) == CONTENT for descriptor in held)
        kept.update(got(name) == CONTENT for name in [f"moved{i}", f"c{i}"])
        for descriptor in held: os.close(descriptor)
    print(sorted(won), kept, len(os.listdir(".")))

### names_in_an_order
# Who asks for names in an order is told what is there when he asks, whatever another process did to the next ones.
def told(name):
    try:
        s = os.lstat(name)
        return stat.filemode(s.st_mode), (s.st_size, s.st_nlink, int(s.st_mtime)) if stat.S_ISREG(s.st_mode) else None
    except OSError as error:
        return error.errno
def make(numbers):
    for i in numbers:
        if i % 11 == 7: os.mkdir(f"s{i:04}.h5")
        elif i % 11 == 9: os.symlink("s0000.h5", f"s{i:04}.h5")
        else: put(f"s{i:04}.h5", bytes(100 + i)); os.chmod(f"s{i:04}.h5", 0o600 + i % 8); os.utime(f"s{i:04}.h5", (i, i))
make(range(120))
CHANGES = """
import os, sys
at = int(sys.argv[1])
os.unlink(f"s{at + 2:04}.h5"); os.rename(f"s{at + 3:04}.h5", "moved"); open(f"s{at + 3:04}.h5", "w").write("other")
os.utime(f"s{at + 3:04}.h5", (5, 5)); os.chmod(f"s{at + 4:04}.h5", 0o751); open(f"s{at + 6:04}.h5", "a").write("more"); os.utime(f"s{at + 6:04}.h5", (6, 6))
"""
for i in range(130):
    print(i, told(f"s{i:04}.h5"))
    if i in (22, 66, 88): subprocess.run([sys.executable, "-c", CHANGES, str(i)], check=True)
    if i == 44: os.unlink("s0045.h5"); os.rename("s0046.h5", "s0047.h5"); put("s0048.h5", b"new"); os.utime("s0048.h5", (7, 7))
print([told(f"s{i:04}.h5") for i in range(119, -1, -7)])
# A fork child goes on where its parent was.
for i in range(100, 110):
    print(told(f"s{i:04}.h5"))
child = os.fork()
if child: os.waitpid(child, 0)
for i in range(110, 120):
    print(told(f"s{i:04}.h5"))
    if child == 0 and i == 114: os._exit(0)
# A listing's names, in its order; more than are asked about at first.
for name in os.listdir("."):
    if name == "moved" or name.endswith("5.h5"): tried(os.unlink, name)
kinds = {entry.name: (entry.is_dir(follow_symlinks=False), entry.is_symlink()) for entry in os.scandir(".")}
attributes = {name: told(name) for name in os.listdir(".")}
print(len(kinds), sorted(kinds.items()) == sorted((n, (a[0][0] == "d", a[0][0] == "l")) for n, a in attributes.items()), sorted(attributes.items()))
print(sum(tried(os.unlink if not os.path.isdir(n) else os.rmdir, n) is None for n in sorted(attributes)), os.listdir("."))
