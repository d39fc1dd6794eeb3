# Chunk sizes, object classes, and the size of a single call.

exercise() { # exercise SIZE: each side writes, each reads, in calls small and large
    ours "$T/pattern" write "$P/ours" "$1" 1 47008
    ours "$T/pattern" write "$P/large" "$1" 2 16777216
    pil "$T/pattern" write "$I/pil" "$1" 3 65536
    patterned pil "$I/ours" "$1" 1
    patterned pil "$I/large" "$1" 2
    patterned ours "$P/pil" "$1" 3
    ours "$T/pattern" check "$P/ours" "$1" 1 5003
    ours "$T/pattern" check "$P/large" "$1" 2 33554432
}

### of_1_kib container=--chunk-size=1024
exercise 3000017

### of_1_kib_by_the_mount options=chunk=1KiB
exercise 3000017

### of_an_odd_size container=--chunk-size=47008
exercise 3000017

### of_64_mib container=--chunk-size=67108864
exercise 200000017

### of_64_mib_by_the_mount options=chunk=64MiB
exercise 200000017

### classes
class_of() { fs get-attr "--dfs-path=$1" | sed -n 's/^Object Class = //p'; }
for class in S1 S2 S4 SX; do
    # A class of more targets than the pool has is taken for the root, and refused for what is made there.
    if fs set-attr --dfs-path=/ "--oclass=$class" 2> /dev/null && pil mkdir "$I/their-$class" 2> /dev/null; then
        ours mkdir "$P/$class"
        ours "$T/pattern" write "$P/$class/file" 5000011 1 65536
        pil "$T/pattern" write "$I/$class/theirs" 1 1 1
        equal "the class" "$(class_of "/$class/theirs")" "$(class_of "/$class/file")"
        patterned pil "$I/$class/file" 5000011 1
        patterned ours "$P/$class/file" 5000011 1
    fi
done

### a_gigabyte_in_one_call
ours "$T/pattern" write "$P/file" 1073741824 1 1073741824
ours "$T/pattern" check "$P/file" 1073741824 1 1073741824
patterned pil "$I/file" 1073741824 1
ours rm "$P/file"

### a_gigabyte_in_calls_of_a_mebibyte
ours "$T/pattern" write "$P/file" 1073741824 1 1048576
ours "$T/pattern" check "$P/file" 1073741824 1 1048576
ours rm "$P/file"

### a_quarter_gigabyte_in_one_call_to_chunks_of_1_kib options=chunk=1KiB
ours "$T/pattern" write "$P/file" 268435456 1 268435456
ours "$T/pattern" check "$P/file" 268435456 1 268435456
ours rm "$P/file"

### many_ranges_in_one_call
# A vector of 1,024 odd pieces.
python ours "$P/file" << 'END'
import os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
pieces = [bytes([i % 251]) * (i * 7 % 5000 + 1) for i in range(1024)]
whole = b"".join(pieces)
assert os.writev(file, pieces) == len(whole)
os.fsync(file)
buffers = [bytearray(len(piece)) for piece in reversed(pieces)]
assert os.preadv(file, buffers, 0) == len(whole)
assert b"".join(buffers) == whole
os.close(file)
with open(sys.argv[1], "rb") as again:
    assert again.read() == whole
END
