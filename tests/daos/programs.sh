# Programs as users run them.

### cp_and_back
ours cp -a /usr/include "$P/include"
ours diff -r --no-dereference /usr/include "$P/include"
ours cp -a "$P/include" back
diff -r --no-dereference /usr/include back
inside() { (cd "$1" && find . -printf '%p|%y|%m|%T@|%l\n' | sed '/|d|/ s/|[0-9.]*|$/|/' | sort); }
equal "modes and times" "$(inside /usr/include)" "$(inside back)"
equal "sums by libpil4dfs" "$(sums env /usr/include/linux)" "$(sums pil "$I/include/linux")"
ours rm -r "$P/include"
equal "what is left" "" "$(ours ls -A "$P")"

### tar
tar -C /usr/include -cf there.tar linux asm-generic
ours tar -C "$P" -xf there.tar
ours tar -C "$P" -cf - linux asm-generic > back.tar
ours tar -cf "$P/inside.tar" -C "$P" linux
ours bash -c 'tar -C "$0" -tf "$0/inside.tar" | wc -l' "$P" > count
mkdir here && tar -C here -xf back.tar
diff -r /usr/include/linux here/linux
equal "the members" "$(tar -tf there.tar | grep -c ^linux)" "$(cat count)"

### rsync needs=rsync
ours rsync -a /usr/include/linux "$P/"
ours rsync -a --checksum --itemize-changes /usr/include/linux "$P/" > changes
# Of a directory with directories in it the time: libdfs takes a child's new time for a change of its directory, and
# rsync sets the children's last.
equal "what a second run changes" "" "$(sed '/^\.d\.\.t\.\.\.\.\.\. /d' changes)"
ours rsync -a "$P/linux" back/
diff -r /usr/include/linux back/linux

### git_free_tools
# What a shell script does all day.
ours bash -ec '
cd "$0"
seq 100000 > numbers; sort -rn numbers > reversed; tac reversed | cmp - numbers
split -l 9999 numbers part.; cat part.* | cmp - numbers
sed -i s/^1/one/ numbers; grep -c ^one numbers > count; head -n 3 numbers > head; tail -n 3 numbers > tail
dd if=reversed of=copy bs=4099 status=none; cmp reversed copy
gzip -k reversed; zcat reversed.gz | cmp - reversed; xz -k0 copy; xz -dc copy.xz | cmp - copy
mkdir -p x/y/z; mv part.* x/y/z; find . -name "part.*" | wc -l > parts
install -m 600 head x/installed; ln -s ../../head x/y/link; cat x/y/link > /dev/null
truncate -s 1G sparse; du --apparent-size -b sparse | cut -f 1 > size; touch -r head tail
' "$P"
equal "the counts" "11112 11 1073741824" "$(pil cat "$I/count" "$I/parts" "$I/size" | xargs)"

### python
python ours "$P" << 'END'
import json, pathlib, pickle, shelve, shutil, sqlite3, sys, tempfile, zipfile
root = pathlib.Path(sys.argv[1])
tree = root / "tree"
(tree / "a/b").mkdir(parents=True)
for number in range(50):
    (tree / f"a/{number}.txt").write_text(f"text {number}\n" * number)
shutil.copytree(tree, root / "copy")
assert sorted(path.name for path in (root / "copy/a").glob("*.txt")) == sorted(f"{n}.txt" for n in range(50))
shutil.move(root / "copy", root / "moved")
shutil.make_archive(str(root / "archive"), "zip", tree)
with zipfile.ZipFile(root / "archive.zip") as archive:
    assert archive.testzip() is None and len([n for n in archive.namelist() if n.endswith(".txt")]) == 50
with (root / "pickle").open("wb") as file:
    pickle.dump(list(range(100_000)), file)
assert pickle.loads((root / "pickle").read_bytes())[-1] == 99_999
(root / "json").write_text(json.dumps({"k": list(range(1000))}))
assert json.loads((root / "json").read_text())["k"][999] == 999
with tempfile.NamedTemporaryFile(dir=root) as file, tempfile.TemporaryFile(dir=root) as other:
    file.write(b"x" * 5000); file.flush()
    other.write(b"y" * 5000); other.seek(0)
    assert pathlib.Path(file.name).stat().st_size == 5000 and other.read() == b"y" * 5000
shutil.rmtree(root / "moved")
assert sorted(path.name for path in root.iterdir()) == ["archive.zip", "json", "pickle", "tree"]
END

### numpy
python ours "$P" << 'END'
import sys
try:
    import numpy
except ImportError:
    sys.exit(0)
array = numpy.arange(3_000_017, dtype="f8").reshape(-1, 1)
numpy.save(sys.argv[1] + "/array.npy", array)
assert (numpy.load(sys.argv[1] + "/array.npy") == array).all()
numpy.savez_compressed(sys.argv[1] + "/several.npz", one=array[:1000], other=array[-5:])
with numpy.load(sys.argv[1] + "/several.npz") as several:
    assert (several["one"] == array[:1000]).all() and (several["other"] == array[-5:]).all()
array.tofile(sys.argv[1] + "/raw")
assert (numpy.fromfile(sys.argv[1] + "/raw") == array[:, 0]).all()
END

### hdf5
HDF5_USE_FILE_LOCKING=FALSE python ours "$P" << 'END'
import sys
try:
    import h5py, numpy
except ImportError:
    sys.exit(0)
path = sys.argv[1] + "/data.h5"
array = numpy.random.default_rng(7).random((500, 1201))
with h5py.File(path, "w") as file:
    file["plain"] = array
    chunked = file.create_dataset("group/chunked", data=array, chunks=(33, 77), compression="gzip")
    chunked.attrs["unit"] = "m"
    grown = file.create_dataset("grown", (0, 1201), maxshape=(None, 1201), chunks=(7, 1201), dtype="f8")
    for row in range(0, 500, 50):
        grown.resize(row + 50, axis=0)
        grown[row:row + 50] = array[row:row + 50]
with h5py.File(path, "r+") as file:
    file["plain"][100:200] = 0
    del file["group/chunked"].attrs["unit"]
with h5py.File(path) as file:
    assert (file["grown"][:] == array).all() and (file["group/chunked"][:] == array).all()
    assert (file["plain"][100:200] == 0).all() and (file["plain"][200:] == array[200:]).all()
END

### fio needs=fio
for bytes in 4k 47008 1m; do
    for pattern in write randwrite randrw; do
        ours fio --name=job --directory="$P" --rw=$pattern --bs=$bytes --size=24m --ioengine=psync --verify=crc32c \
            --do_verify=1 --verify_fatal=1 --fsync=64 --randseed=7 --fallocate=none --thread --output-format=terse \
            > out 2>&1 || fail "$bytes $pattern: $(cat out)"
    done
done
ours fio --name=job --directory="$P" --rw=randwrite --bs=47008 --size=8m --numjobs=3 --ioengine=psync --verify=crc32c \
    --do_verify=1 --verify_fatal=1 --randseed=7 --fallocate=none --output-format=terse > out 2>&1 || fail "$(cat out)"

### ior_easy_and_hard needs=ior
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
ior() {
    timeout 200 mpirun --oversubscribe -np 2 env LD_PRELOAD="$LIBRARY" SIDESTEP_MOUNTS="$(mounts)" \
        "${SIDESTEP_TEST_IOR:-ior}" -a POSIX "$@" > out 2>&1 || fail "ior $*: $(tail -20 out)"
    ! grep -i 'error\|mismatch' out || fail "ior $*: $(cat out)"
}
# A file for each process, checked by the writer and by the other one.
ior -F -t 1m -b 64m -w -r -W -R -C -e -o "$P/easy"
# One file, interleaved blocks of 47,008 bytes.
ior -t 47008 -b 47008 -s 300 -w -r -W -R -C -e -o "$P/hard"
# Small transfers in any order.
ior -z -G 7 -t 4k -b 8m -w -r -W -R -e -o "$P/random"

### mdtest needs=mdtest
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
timeout 200 mpirun --oversubscribe -np 2 env LD_PRELOAD="$LIBRARY" SIDESTEP_MOUNTS="$(mounts)" \
    "${SIDESTEP_TEST_MDTEST:-mdtest}" -a POSIX -n 200 -w 3901 -e 3901 -Y -u -d "$P/mdtest" > out 2>&1 || fail "$(cat out)"
! grep -i 'error' out || fail "$(cat out)"
