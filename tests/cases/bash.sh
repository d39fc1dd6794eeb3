# The shell: redirections at any number, children that inherit them, a working directory under the prefix.
set -u
cd "$H" || exit 1

### group_of_builtins_and_programs
{ echo a; /bin/echo b; echo c; } >> "$P/f"; cat "$P/f"
{ echo d; /bin/echo e; } >> "$P/f"; (echo f; /bin/echo g) >> "$P/f"; wc -l < "$P/f"; cat "$P/f"
{ /bin/echo one; echo two; /bin/echo three >&2; } > "$P/out" 2>&1; cat "$P/out"
for i in 1 2 3; do echo $i; /bin/echo x$i; done > "$P/loop"; cat "$P/loop"
while read -r line; do echo "got $line"; /bin/echo "ext $line"; done < "$P/loop" > "$P/loop2"; cat "$P/loop2"
if true; then echo in if; fi > "$P/if"; f() { echo in f "$1"; /bin/echo ext; } > "$P/function"; f 1; f 2; cat "$P/if" "$P/function"

### here_documents
cat > "$P/f" << END
here $((1 + 1)) $(echo sub)
END
cat "$P/f"; cat <<< "string" >> "$P/f"; cat "$P/f"
while read -r a b; do echo "$b $a"; done << 'END' > "$P/g"
one $two
three four
END
cat "$P/g"; sort << END > "$P/s"
$(cat "$P/g")
END
cat "$P/s"; TMPDIR=$P cat << END
$(head -c 100000 /dev/zero | tr '\0' h)
END

### read_write_descriptor
echo 0123456789 > "$P/f"; exec 7<> "$P/f"; read -r -n 3 x <&7; echo "$x"; echo -n AB >&7; cat <&7; echo more >&7; exec 7>&-; cat "$P/f"
exec 7<> "$P/new"; echo created >&7; /bin/echo outside >&7; exec 8<&7; echo through 8 >&8; exec 7>&-; echo still >&8; exec 8>&-; cat "$P/new"
echo x 1<> "$P/f"; cat "$P/f"; cat 0<> "$P/made-by-reading"; ls "$P"

### descriptors_3_to_255
for n in 3 4 9 10 42 63 64 99 100 127 200 250 254 255; do eval "exec $n> \"\$P/f$n\"" && eval "echo \"number $n\" >&$n" && /bin/sh -c "echo child >&$n" 2> /dev/null || echo "no child for $n"; done
for n in 3 4 9 10 42 63 64 99 100 127 200 250 254; do eval "exec $n>&-"; cat "$P/f$n"; done
exec {any}> "$P/any"; [ "$any" -ge 10 ] && echo named; echo by name >&$any; exec {any}>&-; cat "$P/any"

### swapping_and_duplicating
exec 3>&1 4>&2 > "$P/out" 2> "$P/err"; echo to out; echo to err >&2; /bin/echo ext out; ls /nonexistent; exec 1>&3 2>&4; cat "$P/out" "$P/err"
{ echo out; echo err >&2; } 3>&1 1> "$P/o" 2>&3 | sed 's/^/piped /'; cat "$P/o"
{ echo out; echo err >&2; } 2>&1 | tee "$P/both" | wc -l; cat "$P/both"; { echo out; echo err >&2; } &> "$P/amp"; cat "$P/amp"; echo more &>> "$P/amp"; cat "$P/amp"
ls /nonexistent "$P/both" > "$P/a" 2> "$P/b"; echo $?; cat "$P/a" "$P/b"; echo gone >&- 2> /dev/null; echo $?; cat < "$P/none"; echo $?
set -o noclobber; echo x > "$P/a"; echo $?; echo forced >| "$P/a"; cat "$P/a"

### tee_pipelines
seq 1000 2>&1 | tee "$P/t" | tail -1; seq 100000 | tee "$P/a" "$P/b" | sort -rn | head -1; cmp "$P/a" "$P/b" && wc -l < "$P/a"
cat "$P/a" | grep 7 | sort -u | tee -a "$P/t" | wc -l; wc -l < "$P/t"; yes | head -10000 > "$P/yes"; wc -c < "$P/yes"; set -o pipefail; false | cat > "$P/p"; echo $?; cat "$P/a" | head -1

### process_substitution
seq 5 > "$P/a"; seq 3 8 > "$P/b"; diff <(sort "$P/a") <(sort "$P/b"); paste <(cat "$P/a") "$P/b"; cat <(cat <(cat "$P/a") "$P/b") | wc -l
echo to substitution > >(cat > "$P/c"); for i in 1 2 3 4 5 6 7 8 9; do [ -s "$P/c" ] && break; sleep 0.1; done; cat "$P/c"; while read -r x; do echo "[$x]"; done < <(cat "$P/a")

### globbing
cd "$P" && mkdir -p d/e && touch a.txt b.txt c.md d/x.txt d/e/y.txt .dot 'sp ace'; echo *; echo *.txt d/*; echo .*t; echo [ab]*; echo none*; echo "$P"/*.md | sed "s|$P|P|"
shopt -s globstar nullglob dotglob extglob
echo **; echo **/*.txt; echo none*; echo *; echo !(*.txt); for f in *; do [ -f "$f" ] && echo "file $f"; [ -d "$f" ] && echo "dir $f"; done; compgen -G '*.txt' | sort; cd d/e && echo ../../*.md

### cd_and_pwd
cd "$P" && pwd && /bin/pwd && echo "$PWD" && mkdir -p a/b && cd a/b && pwd && cd .. && pwd && /bin/pwd && cd - && cd ../.. && pwd && ls
cd a && (cd b && pwd) && pwd && bash -c 'pwd; cd ..; pwd; cd a/b; exec /bin/pwd' && env -i /bin/pwd && env -i bash -c 'cd b; pwd; ls ..' && cd "$P/../h" && pwd && cd "$OLDPWD" && pwd
cd none; echo $?; cd ../../p/a && pwd; ln -s a/b "$P/l"; cd "$P/l" && pwd && pwd -P && cd .. && pwd; cd -P "$P/l/.." && pwd; pushd "$P" > /dev/null && pushd "$H" > /dev/null && popd > /dev/null && pwd
rm -rf "$P/a/b"; mkdir "$P/gone" && cd "$P/gone" && rmdir "$P/gone" && /bin/pwd 2> /dev/null; echo $?; ls; echo x > f; echo $?; cd "$P" && pwd

### four_background_writers
for w in a b c d; do { for i in $(seq 250); do echo "$w line $i of the writer $w, long enough to be torn apart if appends were not whole"; done >> "$P/log"; } & done; wait
wc -l < "$P/log"; sort "$P/log" | sha256sum; awk '{ print $1 }' "$P/log" | sort | uniq -c; rm "$P/log"
for w in a b c d; do (for i in $(seq 50); do /bin/echo "$w $i"; done) >> "$P/log" & done; wait; sort "$P/log" | sha256sum; rm "$P/log"
{ for w in a b c d; do { for i in $(seq 100); do echo "$w $i"; done; } & done; wait; } > "$P/shared"; wc -l < "$P/shared"; sort "$P/shared" | sha256sum; rm "$P/shared"

### background_and_traps
{ sleep 0.1; echo done; } > "$P/bg" & wait $!; cat "$P/bg"; trap 'echo trapped >> "$P/trap"' USR1; kill -USR1 $$; cat "$P/trap"; (trap 'echo exit >> "$P/exit"' EXIT; exit 3); echo $?; cat "$P/exit"
trap 'echo end; cat "$P/trap"' EXIT; coproc { cat "$P/trap"; read -r; }; read -r line <&"${COPROC[0]}"; echo "$line"; p=$COPROC_PID; exec {COPROC[1]}>&-; wait $p; exec > "$P/last"; echo redirected for good; exec > /dev/stderr; cat "$P/last"

### tests_and_builtins
echo x > "$P/f"; mkdir "$P/d"; ln -s f "$P/l"; ln -s none "$P/dangling"; : > "$P/empty"; for t in -e -f -d -L -s -r -w -x -h -p -S -b -c -u -g -k -O -G; do for n in f d l dangling empty none; do test $t "$P/$n" && echo "$t $n"; done; done
mapfile -t lines < "$P/f"; echo "${lines[0]}"; echo "$(< "$P/f")"; source <(echo 'echo sourced'); echo 'echo "from the prefix $1"' > "$P/script"; . "$P/script" arg; bash "$P/script" arg2; source "$P/none"; echo $?; printf '%s\n' a b c > "$P/g"; read -r first < "$P/g"; echo "$first"; { read -r x; read -r y; cat; } < "$P/g"; echo "$x $y"; type -P none; hash -r; umask 027; : > "$P/masked"; stat -c %a "$P/masked"

### reads_share_the_cursor
seq 10 > "$P/n"; { read -r a; read -r b; head -c 4; echo; sed -n 1p; } < "$P/n"; echo "$a $b"; exec 5< "$P/n"; read -r -u 5 x; /bin/sh -c 'read x; echo child got $x' <&5; read -r -u 5 y; echo "$x $y"; (read -r z <&5; echo sub $z); read -r -u 5 w; echo $w; tail -n 1 <&5; exec 5<&-

### append_and_truncate
echo one > "$P/f"; exec 3>> "$P/f"; echo two >&3; : > "$P/f"; echo three >&3; cat "$P/f"; exec 4> "$P/g"; echo aaaa >&4; : > "$P/g"; echo b >&4; od -c "$P/g"; echo cc >> "$P/g"; echo d >&4; od -c "$P/g"

### dash_and_env
printf '{ echo a; /bin/echo b; } > "$P/d1"; cat < "$P/d1"; cd "$P"; pwd; exec 3<> d1; read x <&3; echo $x; command -v cat\n' | dash; env -i P="$P" /bin/sh -c 'cat "$P/d1"; echo from env > "$P/d2"'; cat "$P/d2"; sh -c 'unset LD_PRELOAD; cat "$P/d1"'; su -s /bin/sh root -c "cat '$P/d1'" 2> /dev/null < /dev/null || cat "$P/d1"; setsid cat "$P/d1"; nohup cat "$P/d1" 2> /dev/null; timeout 5 cat "$P/d1"; nice cat "$P/d1"; xargs -a "$P/d1" echo; find "$P" -name 'd?' -exec cat {} \; | sort; time -p true 2> /dev/null

### dev_stdin
echo through stdin > "$P/f"; cat /dev/stdin < "$P/f"; cat /dev/fd/0 < "$P/f"; cat /proc/self/fd/0 < "$P/f"; cat /dev/fd/7 7< "$P/f"; echo to stdout > "$P/g"; echo more | cat > /dev/stdout; { echo x > /dev/stdout; } > "$P/h"; cat "$P/h"; echo y >> "$P/h"; { echo z >> /dev/fd/1; } >> "$P/h"; cat "$P/h"; tee /dev/stderr < "$P/f" 2>&1; wc -c /dev/stdin < "$P/f"; stat -L -c %s /dev/stdin < "$P/f"; sh /dev/stdin arg < <(echo 'echo script $1'); diff /dev/stdin "$P/f" < "$P/f" && echo equal; cp /dev/stdin "$P/copy" < "$P/f"; cat "$P/copy"; ls -L /dev/fd/0 < "$P/f"

### scripts_and_sub_shells
echo $(cat "$P/none" 2>&1) | sed "s|$P|P|"; x=$(echo a > "$P/f"; cat "$P/f"); echo "$x"; (cd "$P"; (echo deep > f2; (cat f2))); eval "echo e > '$P/e'"; cat "$P/e"; arr=("$P"/*); echo ${#arr[@]}; bash -c 'echo $0 $1 > "$P/args"' zero one; cat "$P/args"; bash -s < <(echo 'echo from -s > "$P/s"'); cat "$P/s"; echo 'cat "$P/s"' | bash; bash -c 'exec 9> "$P/nine"; bash -c "bash -c \"echo deep >&9\""'; cat "$P/nine"; ulimit -n 64; bash -c 'for i in $(seq 3 20); do eval "exec $i< \"$P/nine\""; done; cat <&20; cat "$P/nine"'
