# Sidestep, dfuse and libpil4dfs on one container: what one writes, the others read.

# Sizes about the borders of calls, of small files and of chunks of 1 MiB.
sizes='0 1 511 512 4095 4096 4097 65537 1048575 1048576 1048577 2101863 10485761'

### written_by_sidestep dfuse
ours mkdir "$P/small" "$P/large"
ours "$T/pattern" write-set "$P/small" 1 4093 $sizes
ours "$T/pattern" write-set "$P/large" 2 1048576 $sizes
for pair in "env $F" "env $G" "pil $I" "ours $P"; do
    "${pair% *}" "$T/pattern" check-set "${pair#* }/small" 1 1048576 $sizes
    "${pair% *}" "$T/pattern" check-set "${pair#* }/large" 2 65537 $sizes
done
equal "the tree" "$(listing env "$F")" "$(listing ours "$P")"

### read_by_sidestep dfuse
mkdir "$F/f" "$G/g" "$F/i"
"$T/pattern" write-set "$F/f" 1 65536 $sizes
"$T/pattern" write-set "$G/g" 2 4093 $sizes
pil "$T/pattern" write-set "$I/i" 3 131071 $sizes
ours "$T/pattern" check-set "$P/f" 1 1048576 $sizes
ours "$T/pattern" check-set "$P/g" 2 1048576 $sizes
ours "$T/pattern" check-set "$P/i" 3 4093 $sizes
equal "the tree" "$(listing env "$F")" "$(listing ours "$P")"

### overwritten_in_turns dfuse
# One file, changed by each of the three at places that keep to no border: all see all of it.
ours "$T/pattern" write "$P/file" 3000001 1 47008
cp "$F/file" model
turn() { # turn COMMAND PATH OFFSET BYTES
    head -c "$4" /dev/urandom > piece
    for place in "$2" model; do
        how=$1
        [ "$place" = model ] && how=env
        "$how" dd if=piece of="$place" bs=4099 seek="$3" oflag=seek_bytes conv=notrunc status=none
    done
}
for round in 1 2 3 4; do
    turn ours "$P/file" $((round * 300007)) 70001
    turn env "$F/file" $((round * 400009 + 1048570)) 13
    turn pil "$I/file" $((round * 500009)) 65536
    turn ours "$P/file" $((round * 1048576 - 3)) 7
    sum=$(sha256sum < model)
    equal "for Sidestep, round $round," "$sum" "$(ours sha256sum "$P/file" | sed 's/ .*/  -/')"
    equal "for dfuse, round $round," "$sum" "$(sha256sum < "$F/file")"
    equal "for libpil4dfs, round $round," "$sum" "$(pil sha256sum "$I/file" | sed 's/ .*/  -/')"
done

### sizes_and_holes dfuse
# Grown, cut, and written far behind the end, by one and read by the others. (Not cut to one byte more than a chunk:
# dfuse of 2.8 makes two whole chunks of that.)
grow='
import os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.write(file, b"head")
os.pwrite(file, b"far", 5_000_000_000)
os.ftruncate(file, 5_000_000_100)
os.close(file)
for ending, size in (".cut", 1_100_003), (".grown", 3_000_000):
    file = os.open(sys.argv[1] + ending, os.O_RDWR)  # libpil4dfs knows no truncate by name
    os.ftruncate(file, size)
    os.close(file)
'
for pair in "ours $P" "env $F" "pil $I"; do
    how=${pair% *} place=${pair#* }
    "$how" mkdir "$place/$how"
    "$how" "$T/pattern" write "$place/$how/file.cut" 2500000 1 65536
    "$how" "$T/pattern" write "$place/$how/file.grown" 1500000 1 65536
    python "$how" "$place/$how/file" <<< "$grow"
done
equal "the tree" "$(listing env "$F")" "$(listing ours "$P")"
for by in ours env pil; do
    for pair in "ours $P" "env $F" "pil $I"; do
        how=${pair% *} place=${pair#* }/$by
        python "$how" "$place/file" << 'END'
import os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
assert os.fstat(file).st_size == 5_000_000_100, os.fstat(file)
assert os.pread(file, 8, 0) == b"head\0\0\0\0"
assert os.pread(file, 100, 4_999_999_998) == b"\0\0far" + bytes(95)
assert os.pread(file, 1000, 5_000_000_050) == bytes(50)
assert os.pread(file, 1000, 2_000_000_000) == bytes(1000)
assert os.pread(file, 10, 5_000_000_100) == b""
END
        patterned "$how" "$place/file.cut" 1100003 1
        "$how" head -c 1500000 "$place/file.grown" > head
        patterned env head 1500000 1
        equal "the tail" 1500000 "$("$how" tail -c +1500001 "$place/file.grown" | tr -d '[:print:]' | wc -c)"
    done
done

### tree dfuse
# A tree of all that a container can hold, made by each, listed by all; times and modes to the nanosecond and bit. But
# for the numbers of nodes, which libpil4dfs makes its own of, and for names of 255 bytes, which it refuses.
plant='
mkdir "$1" "$1/a" "$1/a/b" "$1/a/b/c" "$1/empty"
echo text > "$1/a/file"; chmod 640 "$1/a/file"
printf "" > "$1/a/b/empty file"
ln -s ../file "$1/a/b/link"; ln -s /nowhere/at/all "$1/dangling"
echo "odd" > "$1/$(printf "new\nline and \303\274ml\303\244ut")"
chmod 4711 "$1/a/b/c"; chmod 770 "$1/empty"; chmod 000 "$1/a/b/empty file"
touch -d "2001-02-03 04:05:06.789012345" "$1/a/file"
touch -d "1969-12-31 23:00:00" "$1/a/b/empty file"
touch -d "2040-01-01 00:00:00.000000001" "$1/empty"
'
for pair in "ours $P" "env $F" "pil $I"; do
    how=${pair% *} place=${pair#* }
    "$how" bash -c "$plant" bash "$place/$how"
done
equal "for dfuse and Sidestep the tree" "$(listing env "$F")" "$(listing ours "$P")"
without_numbers() { "$1" find "$2" -mindepth 1 -printf '%P|%y|%m|%s|%U:%G|%l\n' | sort; }
equal "for libpil4dfs and Sidestep the tree" "$(without_numbers pil "$I")" "$(without_numbers ours "$P")"
for by in env pil; do
    equal "by $by and by Sidestep the tree" "$(without_numbers ours "$P/$by")" "$(without_numbers ours "$P/ours")"
done
equal "what is in it" "$(sums env "$F/ours")" "$(sums ours "$P/env")"
long=$(printf "n%.0s" $(seq 255))
ours bash -c 'echo x > "$0"' "$P/$long"
mkdir "$F/d"; echo y > "$F/d/$long"
equal "with long names the tree" "$(listing env "$F")" "$(listing ours "$P")"
! ours bash -c 'echo x > "$0"' "$P/${long}n" 2> err || fail "a name of 256 bytes was taken"
grep -q "File name too long" err || fail "$(cat err)"

### inode_numbers dfuse
ours bash -c 'cd "$0" && mkdir d && touch d/f && ln -s d/f l' "$P"
equal "the numbers" "$(stat -c '%i' "$F" "$F/d" "$F/d/f" "$F/l")" "$(ours stat -c '%i' "$P" "$P/d" "$P/d/f" "$P/l")"
equal "the directory's" "$(ls -iR "$F" | sed "s|$F||")" "$(ours ls -iR "$P" | sed "s|$P||")"

### renames_and_removals dfuse
# Each change by one is what the others see, at once in a new process.
change='
cd "$1"
mkdir d e; echo one > d/one; echo two > d/two; echo three > three; ln -s d/one link
mv d/one e/uno; mv -T d f; mv three f/two; mv link lien
mkdir full; touch full/x; rm f/two; rm -r full; rmdir f
! mkdir e 2> /dev/null; ! rmdir e 2> /dev/null; ! mv -T e lien 2> /dev/null
'
ours mkdir "$P/ours"; mkdir "$F/env"
ours bash -c "$change" bash "$P/ours"
bash -c "$change" bash "$F/env"
names() { "$1" find "$2" -mindepth 1 -printf '%P|%y|%s|%l\n' | sort; }
equal "by dfuse and Sidestep" "$(names env "$F/env")" "$(names env "$F/ours")"
equal "for dfuse and Sidestep" "$(names ours "$P/env")" "$(names env "$F/env")"
equal "for libpil4dfs and Sidestep" "$(names ours "$P/ours")" "$(names pil "$I/ours")"
mv "$F/env/e" "$F/ours/e2"; rm "$F/ours/e/uno"
equal "after a move by dfuse" "$(names env "$F")" "$(names ours "$P")"

### exchange_and_no_replace dfuse
echo a > "$F/a"; mkdir "$F/d"; echo b > "$F/d/b"
python ours "$P" << 'END'
import ctypes, os, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def rename(one, other, flags):
    return 0 if libc.renameat2(-100, one, -100, other, flags) == 0 else ctypes.get_errno()
assert rename(b"a", b"d", 1) == 17
assert rename(b"a", b"d", 2) == 0
assert open("d").read() == "a\n" and os.listdir("a") == ["b"]
assert rename(b"d", b"a/b", 2) == 0
assert rename(b"d", b"new", 1) == 0
END
equal "the tree" "$(printf 'a/b|f\na|d\nnew|f')" "$(find "$F" -mindepth 1 -printf '%P|%y\n' | sort)"
equal "the files" "$(printf 'a\nb')" "$(cat "$F/a/b" "$F/new")"

### extended_attributes dfuse
set='
import os, sys
for name in sys.argv[1:]:
    os.setxattr(name, "user.small", b"value")
    os.setxattr(name, "user.empty", b"")
    os.setxattr(name, "user.large", bytes(range(256)) * 100)
    os.setxattr(name, "user.gone", b"x"); os.removexattr(name, "user.gone")
    os.setxattr(name, "user.small", b"other", os.XATTR_REPLACE)
'
get='
import os, sys
for name in sys.argv[1:]:
    names = sorted(os.listxattr(name))
    print([(attribute, len(os.getxattr(name, attribute)), hash(os.getxattr(name, attribute))) for attribute in names])
    assert [name for name in names if name.startswith("user.")] == ["user.empty", "user.large", "user.small"], names
'
export PYTHONHASHSEED=1
for pair in "ours $P" "env $F"; do
    how=${pair% *} place=${pair#* }
    "$how" mkdir "$place/$how"; "$how" touch "$place/$how/f"
    python "$how" "$place/$how" "$place/$how/f" <<< "$set"
done
for by in ours env; do
    equal "by $by" "$(python env "$F/$by" "$F/$by/f" <<< "$get")" "$(python ours "$P/$by" "$P/$by/f" <<< "$get")"
done

### copied_by_daos_fs
mkdir -p there/sub
"$T/pattern" write-set there/sub 1 65536 $sizes
ln -s sub/1 there/link
daos fs copy --src "$H/there" --dst "daos://$POOL/$CONTAINER/" > /dev/null 2> "$BASE/err" || fail "$(cat "$BASE/err")"
equal "copied in" "$(sums env there)" "$(sums ours "$P/there")"
equal "the link" sub/1 "$(ours readlink "$P/there/link")"
ours cp -a "$P/there" "$P/ours"
daos fs copy --src "daos://$POOL/$CONTAINER/ours" --dst "$H/back" > /dev/null 2> "$BASE/err" || fail "$(cat "$BASE/err")"
[ -d back/ours ] && mv back/ours again || mv back again
equal "copied out" "$(sums env there)" "$(sums env again)"

### attributes_of_new_files dfuse container=--chunk-size=131072
# Chunk size and object class: the mount's, else the directory's, else the container's.
chunk_of() { fs get-attr "--dfs-path=$1" | sed -n 's/^Object Chunk Size = //p'; }
class_of() { fs get-attr "--dfs-path=$1" | sed -n 's/^Object Class = //p'; }
ours bash -c 'mkdir "$0/d"; echo > "$0/f"; echo > "$0/d/f"' "$P"
equal "the container's chunk size" "131072 131072" "$(chunk_of /f) $(chunk_of /d/f)"
fs set-attr --dfs-path=/d --chunk-size=65536 --oclass=SX
ours bash -c 'echo > "$0/d/g"; mkdir "$0/d/e"; echo > "$0/d/e/g"' "$P"
equal "the directory's chunk size" "65536 65536" "$(chunk_of /d/g) $(chunk_of /d/e/g)"
# With one target libdfs makes S1 of SX.
echo > "$F/d/theirs"; echo > "$F/d/e/theirs"
equal "the directory's class" "$(class_of /d/theirs) $(class_of /d/e/theirs)" "$(class_of /d/g) $(class_of /d/e/g)"
OPTIONS='?chunk=256KiB' ours bash -c 'echo > "$0/d/h"; cp /bin/bash "$0/h"' "$P"
equal "the mount's chunk size" "262144 262144" "$(chunk_of /h) $(chunk_of /d/h)"
equal "st_blksize" "262144 65536 131072" "$(ours stat -c %o "$P/h" "$P/d/g" "$P/f" | xargs)"
equal "a file of that chunk size" "$(sha256sum < /bin/bash)" "$(ours sha256sum "$P/h" | sed 's/ .*/  -/')"

### changed_behind_a_running_process dfuse
# Close-to-open: what dfuse changed, an open of the same process sees; names that came or went, after the second that
# the engine remembers them for.
echo old > "$F/file"; mkdir "$F/d"; echo x > "$F/d/x"
python ours "$P" "$F" << 'END'
import os, subprocess, sys, time
prefix, dfuse = sys.argv[1:]
environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | {"SIDESTEP": "off"}
def outside(script):
    subprocess.run(["/bin/bash", "-ec", script], cwd=dfuse, env=environment, check=True)
def read(name):
    with open(f"{prefix}/{name}") as file:
        return file.read()
def within(seconds, question, what):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, what
        time.sleep(0.05)
assert read("file") == "old\n"
kept = open(f"{prefix}/file")
outside("echo new and longer > file")
assert read("file") == "new and longer\n", read("file")
assert os.stat(f"{prefix}/file").st_size in (4, 15)
within(3, lambda: os.stat(f"{prefix}/file").st_size == 15, "the size stays old")
assert not os.path.exists(f"{prefix}/later")
outside("echo here > later; mv d e; rm file; ln -s later link")
within(3, lambda: os.path.exists(f"{prefix}/later"), "a new name is not seen")
within(3, lambda: not os.path.exists(f"{prefix}/d/x"), "an old name stays")
within(3, lambda: not os.path.exists(f"{prefix}/file"), "a removed name stays")
assert read("e/x") == "x\n" and read("link") == "here\n"
outside("echo again > file")
within(3, lambda: os.path.exists(f"{prefix}/file") and read("file") == "again\n", "a re-made file is not seen")
assert sorted(os.listdir(prefix)) == ["e", "file", "later", "link"], os.listdir(prefix)
kept.close()
END

### seen_while_written dfuse
# A long-lived writer: what it wrote is in the store a second after at the latest, and at once after fsync.
python ours "$P/log" "$F/log" << 'END'
import os, subprocess, sys, time
ours, theirs = sys.argv[1:]
environment = {"PATH": os.environ["PATH"], "SIDESTEP": "off"}
def outside():
    return subprocess.run(["/bin/cat", theirs], env=environment, capture_output=True, text=True).stdout
file = open(ours, "w", buffering=1)
file.write("one\n")
os.fsync(file.fileno())
assert outside() == "one\n", outside()
file.write("two\n")
end = time.monotonic() + 3
while outside() != "one\ntwo\n":
    assert time.monotonic() < end, f"after three seconds there is {outside()!r}"
    time.sleep(0.1)
file.write("three\n")
file.close()
assert outside() == "one\ntwo\nthree\n"
END
