# Several processes on one file.

# Eight processes write interleaved blocks of IOR-hard's size; then every byte is looked at, by us and by another.
interleaved() {
    local size=$((47008 * 8 * 40 + 1234)) rank pids=
    for rank in 0 1 2 3 4 5 6 7; do
        ours "$T/pattern" interleave "$P/shared" "$size" 1 47008 "$rank" 8 &
        pids="$pids $!"
    done
    for pid in $pids; do wait "$pid"; done
    patterned pil "$I/shared" "$size" 1
    patterned ours "$P/shared" "$size" 1
}

### interleaved_in_chunks_of_1_mib
interleaved

### interleaved_in_chunks_of_64_kib options=chunk=64KiB
interleaved

### interleaved_and_strict options=consistency=strict
interleaved

### interleaved_beside_libpil4dfs
size=$((47008 * 6 * 40 + 1234)) pids=
for rank in 0 2 4; do
    ours "$T/pattern" interleave "$P/shared" "$size" 1 47008 "$rank" 6 & pids="$pids $!"
    pil "$T/pattern" interleave "$I/shared" "$size" 1 47008 $((rank + 1)) 6 & pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done
patterned pil "$I/shared" "$size" 1
patterned ours "$P/shared" "$size" 1

### interleaved_bytes
# Neighbours in a block of 4 KiB, and of odd sizes below that.
pids=
for rank in 0 1 2 3; do
    ours "$T/pattern" interleave "$P/shared" 400001 1 101 "$rank" 4 & pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done
patterned pil "$I/shared" 400001 1
patterned ours "$P/shared" 400001 1

### forked_writers
# The same by children of one process, on a description that they share, and on descriptions of their own.
python ours "$P/shared" "$P/own" << 'END'
import os, sys
BLOCK, RANKS, COUNT = 47008, 4, 20
def block(index):
    return index.to_bytes(4, "little") * (BLOCK // 4)
for path, shared in ((sys.argv[1], True), (sys.argv[2], False)):
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(file, b"x", RANKS * COUNT * BLOCK)
    children = []
    for rank in range(RANKS):
        child = os.fork()
        if child == 0:
            if not shared:
                os.close(file)
                file = os.open(path, os.O_RDWR)
            for index in range(rank, RANKS * COUNT, RANKS):
                assert os.pwrite(file, block(index), index * BLOCK) == BLOCK
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * RANKS
    for index in range(RANKS * COUNT):
        assert os.pread(file, BLOCK, index * BLOCK) == block(index), (path, index)
    assert os.fstat(file).st_size == RANKS * COUNT * BLOCK + 1
    os.close(file)
END

### appends
pids=
for rank in 0 1 2 3 4; do
    ours "$T/pattern" append "$P/log" "$rank" 200 & pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done
ours "$T/pattern" appended "$P/log" 5 200
pil "$T/pattern" appended "$I/log" 5 200

### appends_of_forked_children
python ours "$P/log" << 'END'
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(file, b"parent begins\n")
children = []
for rank in range(4):
    child = os.fork()
    if child == 0:
        for number in range(100):
            record = f"{rank} {number} ".encode() + b"x" * (number * 13 % 700) + b"\n"
            assert os.write(file, record) == len(record)
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
os.write(file, b"parent ends\n")
os.close(file)
lines = open(sys.argv[1]).read().split("\n")
assert lines[0] == "parent begins" and lines[-2:] == ["parent ends", ""], (lines[0], lines[-2:])
seen = [0] * 4
for line in lines[1:-2]:
    rank, number, rest = line.split(" ")
    assert int(number) == seen[int(rank)] and rest == "x" * (int(number) * 13 % 700), line
    seen[int(rank)] += 1
assert seen == [100] * 4, seen
END

### descriptors_of_one_process
# Within a process every descriptor sees at once what was written through any other, in any mode.
python ours "$P/file" << 'END'
import os, sys, threading
path = sys.argv[1]
one = os.open(path, os.O_RDWR | os.O_CREAT)
other = os.open(path, os.O_RDWR)
for step in range(200):
    offset, text = step * 4999, bytes([step + 1]) * 3001
    assert os.pwrite(one, text, offset) == len(text)
    assert os.pread(other, 3001, offset) == text, step
    assert os.fstat(other).st_size == offset + 3001
    third = os.open(path, os.O_RDONLY)
    assert os.pread(third, 5000, offset) == text, step
    os.close(third)
os.ftruncate(other, 1000)
assert os.pread(one, 5000, 0) == bytes([1]) * 1000
os.close(one)
os.close(other)
END
