# Several processes on one store at once.
set -u
cd "$H" || exit 1

### first_touch_by_many
# The store does not exist yet: all of them make it.
for i in $(seq 8); do (echo "$i" > "$P/f$i") & done; wait; cat "$P"/f* | sort -n | tr '\n' ' '; ls "$P" | wc -l

### makers_in_one_directory
for w in $(seq 6); do (for i in $(seq 60); do : > "$P/w$w-$i" || echo failed; done) & done; wait; ls "$P" | wc -l; ls -f "$P" | sort | sha256sum; for w in $(seq 6); do rm "$P"/w$w-* & done; wait; ls -A "$P"

### exclusive_makers
for w in $(seq 8); do (won=0; for i in $(seq 40); do (set -C; echo "$w" > "$P/lock-$i") 2> /dev/null && won=$((won + 1)); done; echo $won >> "$P/won") & done; wait; awk '{ s += $1 } END { print s }' "$P/won"; ls "$P" | wc -l; rm "$P"/*
for w in $(seq 8); do (for i in $(seq 40); do mkdir "$P/dir-$i" 2> /dev/null && echo x; done) & done | wc -l; wait

### movers_lose_nothing
mkdir "$P/a" "$P/b"; for i in $(seq 100); do echo $i > "$P/a/$i"; done
for w in 1 2 3; do (for i in $(seq 100); do mv "$P/a/$i" "$P/b/$i" 2> /dev/null; done) & done; wait; ls "$P/a" | wc -l; cat "$P"/b/* | awk '{ s += $1 } END { print s, NR }'
for i in $(seq 30); do echo old$i > "$P/target"; echo new$i > "$P/source"; (mv "$P/source" "$P/target") & for j in 1 2 3; do grep -q -E '^(old|new)' "$P/target" || echo "torn $i"; done; wait; done; cat "$P/target"

### writes_seen_at_once
exec 5<> "$P/f"; for i in $(seq 50); do printf '%03d\n' $i >&5; x=$(tail -n 1 "$P/f"); [ "$x" = "$(printf '%03d' $i)" ] || echo "stale: $x not $i"; done; wc -c < "$P/f"
for i in $(seq 30); do bash -c "echo $i > '$P/g'"; read -r y < "$P/g"; [ "$y" = $i ] || echo "stale: $y"; done; for i in $(seq 20); do mkdir "$P/d$i"; bash -c "rmdir '$P/d$i'"; [ -e "$P/d$i" ] && echo "still there"; bash -c ": > '$P/n$i'"; [ -e "$P/n$i" ] || echo "not there"; done; ls "$P" | wc -l

### ping_pong
"$PYTHON" -c '
import os, sys, time
P = os.environ["P"]
fd = os.open(P + "/ball", os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"0000", 0)
child = os.fork()
mine = 1 if child else 0
if child == 0:
    fd = os.open(P + "/ball", os.O_RDWR)
for i in range(200):
    if i % 2 != mine: continue
    limit = time.time() + 20
    while int(os.pread(fd, 4, 0)) != i:
        if time.time() > limit: print("lost at", i); os._exit(1)
        os.sched_yield()
    os.pwrite(fd, b"%04d" % (i + 1), 0)
if child == 0: os._exit(0)
print(os.waitpid(child, 0)[1])'; cat "$P/ball"; rm "$P/ball"

### stopped_and_killed_neighbours
(while :; do echo x >> "$P/log"; mkdir "$P/d" && rmdir "$P/d"; done) 2> /dev/null & one=$!; (while :; do echo y > "$P/other"; mv "$P/other" "$P/moved"; done) 2> /dev/null & two=$!
sleep 0.3; kill -STOP $one; for i in $(seq 50); do echo $i > "$P/mine-$i"; done; kill -KILL $two; wait $two 2> /dev/null; for i in $(seq 50); do cat "$P/mine-$i"; done | awk '{ s += $1 } END { print s }'; kill -CONT $one; kill -KILL $one; wait $one 2> /dev/null; rm -f "$P/log" "$P/other" "$P/moved"; rmdir "$P/d" 2> /dev/null; for i in $(seq 51 60); do echo $i > "$P/mine-$i"; done; ls "$P" | wc -l

### killed_at_start
for i in $(seq 25); do (exec cat "$P/none") 2> /dev/null & p=$!; kill -9 $p 2> /dev/null; wait $p 2> /dev/null; done; echo ok > "$P/f"; cat "$P/f"

### many_readers_one_writer
seq 20000 > "$P/f"; for w in $(seq 5); do (for i in $(seq 10); do sha256sum < "$P/f"; done | sort -u) & done > "$H/sums"; wait; sort -u "$H/sums"; for w in 1 2 3 4; do (for i in $(seq 20); do tail -c 5 "$P/f" | od -c > /dev/null || echo failed; done) & done; for i in $(seq 200); do echo more >> "$P/f"; done; wait; wc -l < "$P/f"

### unlinked_elsewhere
echo keep > "$P/f"; exec 5<> "$P/f"; bash -c "rm '$P/f'; echo other > '$P/f'"; cat <&5; echo more >&5; cat "$P/f"; exec 6< "$P/f"; bash -c "mv '$P/f' '$P/g'; echo appended >> '$P/g'"; cat <&6; exec 5>&- 6<&-; for i in $(seq 20); do exec 7<> "$P/t$i"; echo $i >&7; rm "$P/t$i"; done; ls "$P"

### working_directory_removed_by_other
mkdir -p "$P/a/b"; cd "$P/a/b"; bash -c "rm -r '$P/a'"; /bin/pwd 2> /dev/null; echo $?; echo x > f; echo $?; ls; mkdir -p "$P/a/b"; ls -A; cd "$P/a/b" && pwd && echo y > f && cat f; bash -c "mv '$P/a' '$P/c'"; /bin/pwd; cat f
