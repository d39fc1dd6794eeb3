# The tools that everybody uses, on a real tree and on odd small ones.
set -u
cd "$P" || exit 1

### cp_tree
cp -a /usr/include "$P/inc" && diff -r /usr/include "$P/inc" && echo same
find inc | wc -l
rm -r inc && ls -A

### cp_tree_attributes
cp -a /usr/include/linux inc
cmp <(cd /usr/include/linux && find . -type f -printf '%p %m %s %T@\n' | sort) <(cd inc && find . -type f -printf '%p %m %s %T@\n' | sort) && echo times and modes kept

### tar_to_tar
mkdir inc && tar -C /usr/include -cf - . | tar -C inc -xf - && diff -r /usr/include inc && echo same
tar -cf "$P/all.tar" inc && tar -tf all.tar | wc -l
mkdir again && tar -C again -xf all.tar && diff -r inc again/inc && echo same again
rm -r inc again all.tar

### tar_incremental_and_compressed
mkdir -p src/a/b && seq 5000 > src/a/numbers && ln -s ../numbers src/a/b/link && : > src/empty
tar -czf one.tgz src && tar -tzf one.tgz | sort
tar -xzOf one.tgz src/a/numbers | sha256sum
tar -rf two.tar src/empty && tar -rf two.tar src/a/numbers && tar -tf two.tar
tar --delete -f two.tar src/empty && tar -tf two.tar
rm one.tgz two.tar

### rsync_tree
rsync -a /usr/include/ inc/ && diff -r /usr/include inc && echo same
rsync -ani /usr/include/ inc/ | head
echo changed >> inc/stdio.h && rm inc/stdlib.h
rsync -aci /usr/include/ inc/ && diff -r /usr/include inc && echo same again
rm -r inc

### find_xargs_parallel
cp -r /usr/include/linux inc
find inc -type f | sort | xargs cat | sha256sum
find inc -type f | xargs -P4 -n 20 cat | wc -c
find inc -type f -print0 | xargs -0 -P4 -n 1 wc -c | awk '{ s += $1 } END { print s }'
find inc -name '*.h' -size +20k -newer /etc/passwd -printf '%f\n' | sort | head
find inc -type f -exec grep -l _IOWR {} + | sort | sha256sum
find inc -depth -delete; ls -A

### rm_recursive
mkdir -p a/b/c/d && touch a/{1,2,3} a/b/{x,y} a/b/c/d/deep && ln -s /nowhere a/b/dangling
chmod 500 a/b/c
rm -rv a | sort
rm -r a; echo $?
rm -f a; echo $?
mkdir e && rmdir -v e; rmdir e; echo $?
mkdir -p x/y/z && rmdir -p x/y/z && ls -A
mkdir full && touch full/f && rmdir full; echo $?

### rm_many
mkdir many && cd many && seq 1 3000 | xargs touch && ls | wc -l && ls -f | wc -l
rm -r ../many; cd ..; ls -A

### mv_within
mkdir d1 d2 && echo 1 > d1/f && mv -v d1/f d2/g && cat d2/g
mv -v d1 d2/ && find . | sort
echo old > t && echo new > s && mv s t && cat t
mv -n d2/g t; cat t
mv -v --backup=numbered d2/g t && ls
mv nothing here; echo $?
mv d2 d2/inside; echo $?
mv -T t d2; echo $?

### mv_across
mkdir -p tree/sub && seq 1000 > tree/sub/n && ln -s sub/n tree/l && chmod 640 tree/sub/n
touch -d '2001-02-03 04:05:06.789' tree/sub/n
mv tree "$H/out" && ls -A && stat -c '%n %a %s %F %y' "$H"/out/sub/n && readlink "$H/out/l"
mv "$H/out" "$P/back" && ls -A "$H" && stat -c '%a %s %F %y' back/sub/n && sha256sum < back/l
mv "$P/back/sub/n" "$H/n" && wc -l "$H/n"

### dd_odd_blocks
seq 100000 > "$H/in"
for bs in 1 7 511 513 4095 4097 65535 1000003; do
    head -c 60000 "$H/in" | dd of=f bs=$bs status=none && sha256sum < f
    dd if=f bs=$bs status=none | sha256sum
done
dd if="$H/in" of=g ibs=13 obs=4099 status=none && cmp "$H/in" g && echo same
dd if=g of=h bs=977 skip=3 count=11 status=none && wc -c < h

### dd_conv_notrunc_sparse
head -c 10000 /dev/zero | tr '\0' x > f
printf ABC | dd of=f bs=1 seek=5000 conv=notrunc status=none && wc -c < f && tail -c +4999 f | head -c 7; echo
printf ABC | dd of=f bs=1 seek=20000 conv=notrunc status=none && wc -c < f && sha256sum < f
printf cut | dd of=f bs=1 seek=10 status=none && wc -c < f
{ head -c 65536 /dev/zero; echo data; head -c 131072 /dev/zero; } > z
dd if=z of=sparse bs=4096 conv=sparse status=none && cmp z sparse && echo same && stat -c '%s' sparse
dd if=/dev/zero of=excl bs=1 count=1 conv=excl status=none; dd if=/dev/zero of=excl bs=1 count=1 conv=excl status=none; echo $?
dd if=z of=app oflag=append conv=notrunc bs=1000 count=2 status=none; dd if=z of=app oflag=append conv=notrunc bs=1000 count=3 status=none; wc -c < app
dd if=z of=synced bs=8192 oflag=sync conv=fsync status=none && cmp z synced && echo same
dd if=nothing of=never; echo $?; ls never; echo $?

### cp_sparse_and_reflink
truncate -s 1M hole && printf middle | dd of=hole bs=1 seek=500000 conv=notrunc status=none
for mode in auto always never; do cp --sparse=$mode hole c.$mode && cmp hole c.$mode && stat -c %s c.$mode; done
cp --reflink=auto hole r && cmp hole r && echo same
cp --reflink=always hole rr 2> /dev/null; echo $?
cp hole "$H/host-copy" && cmp hole "$H/host-copy" && cp "$H/host-copy" back && cmp hole back && echo round

### cp_options
echo a > a && ln -s a l && mkdir d && echo b > d/b
cp -v a d/ && cp -L l copy-of-target && cp -P l copy-of-link && ls -l --time-style=+ | awk '{ print $1, $5, $6, $7, $8 }'
cp -r d e && cp -rT d e && cp -u a d/a && cp --parents d/b e && find . | sort
cp -n d/b a && cat a; cp -b d/b a && cat a a~
cp d/b nowhere/x; echo $?; cp d other; echo $?; cp a a; echo $?
umask 077; cp a private && stat -c '%a' private; cp -p d/b kept && stat -c %a kept
cp --attributes-only a empty && stat -c %s empty

### split_and_csplit
seq 10000 > n
split -n 4 n part. && cat part.* | cmp - n && ls part.* && split -l 3000 -d n num. && wc -l num.*
split -b 7777 --additional-suffix=.x n b. && cat b.*.x | sha256sum && split -n l/3 n line. && wc -c line.*
csplit -s n 100 /5000/ && wc -l xx*

### sort_in_place
seq 1 30000 | shuf --random-source=/usr/bin/bash > n
sort -n -o n n && head -3 n && tail -1 n && sha256sum < n
sort -n -r --parallel=2 -S 100K -T "$P" n | head -2
sort -c n; echo $?; sort -nm n n | sha256sum; sort -u n | wc -l; ls -A

### sed_in_place
seq 1 1000 > f && sed -i 's/^5$/five/' f && sed -n 5p f && sed -i.bak '1,990d' f && wc -l f f.bak && ls -A
chmod 640 f && sed -i -e '$a last' f && stat -c '%a' f && tail -1 f
ln -s f l && sed -i --follow-symlinks 's/last/LAST/' l && tail -1 f && stat -c %F l && sed -i 's/LAST/x/' l && stat -c %F l
sed -n 'w out.w' f && cmp f out.w && echo w

### tee_append
echo one | tee f g | tee -a h && echo two | tee -a f g h > /dev/null && cat f g h
seq 1000 | tee a b c | sha256sum; sha256sum a b c; echo x | tee nowhere/f; echo $?

### truncate_sizes
truncate -s 100 f && stat -c %s f && truncate -s +50 f && truncate -s '<120' f && truncate -s %64 f && stat -c %s f
seq 100 > g && truncate -s 10 g && cat g; truncate -s 0 g && stat -c %s g; truncate -r f g && stat -c %s g
truncate -s 3G big && stat -c %s big && tail -c 5 big | od -c && truncate -s 4 big && od -c big; truncate -c -s 5 absent; ls absent; echo $?

### install_and_mktemp
echo '#!/bin/sh' > s && install -m 750 s t && stat -c '%a %s' t && install -d -m 700 d/e && stat -c '%a' d/e && install -D s x/y/z && ls x/y
install -b s t && ls; install -C -v s t2; install -C -v s t2
f=$(mktemp "$P/tmp.XXXXXX") && stat -c '%a %s %F' "$f" && d=$(mktemp -d -p "$P") && stat -c '%a %F' "$d" && rm -r "$f" "$d"
mktemp -p "$P/nowhere" 2>&1 | sed 's/tmp\.[A-Za-z0-9]*/tmp.X/'; TMPDIR=$P mktemp -u | sed 's/tmp\.[A-Za-z0-9]*/tmp.X/'

### du_df
mkdir -p a/b && head -c 100000 /dev/zero | tr '\0' y > a/b/f && echo s > a/s && : > a/empty
du -a --apparent-size -B1 a | sort -k2; du -s --inodes a; du -sb .
df --output=target . > /dev/null && echo df works; df nowhere; echo $?

### du_blocks
head -c 100000 /dev/zero | tr '\0' y > f && head -c 4097 f > g && head -c 1 f > h && : > empty
du -k f g h empty; du -sk .; stat -c '%n %b %B' f g h empty

### ls_everything
mkdir -p dir/sub && echo x > dir/file && ln -s file dir/link && ln -s nowhere dir/dangling && chmod 4751 dir/file && chmod 1777 dir/sub && : > 'dir/ odd
name*?' && : > dir/.hidden
touch -d '1999-12-31 23:59:59' dir/file dir/sub dir/.hidden dir/' odd
name*?' && touch -h -d '2000-01-01' dir/link dir/dangling && touch -d '2000-01-02' dir
ls -laR --time-style=full-iso dir | sed 's/^\(d.* \)\.\.$/.../; /^d.*\.\.$/d'
ls -1Sb dir; ls -1t dir | head -1; ls -F dir; ls -dln --time-style=+ dir; ls -i dir | awk '{ print ($1 > 0) }' | sort -u
ls nothing; echo $?; ls -l dir/dangling/; echo $?; ls dir/link/; echo $?; ls -L dir/dangling; echo $?

### stat_formats
umask 022; echo hello > f && chmod 2644 f && touch -d '2020-05-06 07:08:09.123456789' f && mkdir d && ln -s f l
stat -c '%A %a %b %B %F %g %G %h %n %N %s %t %T %u %U %x %y' f d l | sed '2s/20[0-9-]* [0-9:.]* +0000//g; 3s/20[0-9-]* [0-9:.]* +0000//g'
stat -L -c '%F %s' l; stat -c %i f l | sort -u | wc -l; [ "$(stat -c %i f)" = "$(stat -Lc %i l)" ] && echo same inode
[ "$(stat -c %d f)" = "$(stat -c %d d)" ] && echo same device; [ "$(stat -c %d f)" != "$(stat -c %d "$H/..")" ] || [ -z "${SIDESTEP_MOUNTS-}" ] && echo device
stat nothing; echo $?; stat -f -c '%l' . && stat -c '%W' f | awk '{ print ($1 >= 0) }'; stat -c '%F' . .. / "$P" "$P/" "$P/."

### times_kept
touch -d '2010-01-01' f && stat -c %y f && touch -r f g && stat -c %y g && cp -p f h && stat -c %y h && touch -a -d '2011-01-01' f && stat -c '%x %y' f && touch -m -t 201202030405.06 f && stat -c '%x %y' f
before=$(stat -c %Z f); touch -c none; ls none; echo $?; [ f -nt g ] && echo newer; [ g -ot f ] && echo older; [ f -ef ./f ] && echo same
echo x >> f; [ "$(stat -c %Y f)" -ge "$before" ] && echo moved; touch nowhere/f; echo $?

### text_tools
seq 1 50000 > n; head -c 100 n | sha256sum; tail -n 3 n; tail -c +288000 n | wc -c; wc n; cksum n; md5sum n > sums && md5sum -c sums
cut -c1-2 n | uniq -c | sort -rn | head -3; paste n n | tail -1; join n n | tail -1; comm -12 <(sort n) <(sort n) | wc -l
nl n | tail -1; tac n | head -1; rev n | tail -1; fold -w 3 n | wc -l; od -A d -t x1z n | tail -2; base64 n | sha256sum
shuf --random-source=n -n 2 n > /dev/null && echo shuffled; grep -c 7 n; grep -rn '^49999$' .; awk 'NR % 10000 == 0' n; cmp n <(head -n 100 n); diff <(head -n 5 n) <(head -n 6 n); tr 1 x < n | head -1; expand n | cksum

### tail_follows
: > log; timeout 20 tail -f -n +1 --pid=$$ -s 0.05 ---disable-inotify log > "$H/seen" & t=$!
for i in 1 2 3 4 5; do echo "line $i" >> log; sleep 0.05; done
for i in $(seq 100); do [ "$(wc -l < "$H/seen")" = 5 ] && break; sleep 0.05; done; kill $t; wait $t 2> /dev/null; cat "$H/seen"

### links_and_readlink
mkdir d && echo x > d/f && ln -s d/f l && ln -s "$P/d" abs && ln -sr d/f e && ln -sfn d l2 && cat l abs/f e && readlink l abs e && readlink -f abs/../l && realpath l . d/../d/./f && realpath --relative-to=d l; readlink -e nowhere; echo $?
ln -s a b; ln -s b a; cat a; echo $?; ls -l a > /dev/null; echo $?; ln -s x l; echo $?; cd abs && pwd && pwd -P && ls ..; unlink ../l && ls -A ..

### chmod_chown
echo x > f && mkdir -p d/e && for m in 0 777 4755 2755 1777 u+s g-w a=r o=; do chmod $m f && stat -c '%a %A' f; done; chmod -R go-rwx d && stat -c %a d d/e && chmod -v 600 f
if [ "$(id -u)" = 0 ]; then chown 12:34 f && stat -c '%u %g' f && chown -R 1:1 d && stat -c '%u %g' d/e && chmod 6755 f && chown 5 f && stat -c %a f && ln -s f l && chown -h 7 l && stat -c '%u' l f; fi; chmod 777 nothing; echo $?

### archive_of_host_links
ln -s /etc/passwd to-host && ln -s "$P/to-host" "$H/to-prefix" && cat "$H/to-prefix" | cmp - /etc/passwd && echo both ways; cp -L to-host plain && cmp plain /etc/passwd && echo followed; tar -chf - to-host | tar -xOf - | cmp - /etc/passwd && echo in tar

### perl_and_awk
perl -e 'open F, ">", "f" or die; print F "line $_\n" for 1..5; close F; open F, "+<", "f"; seek F, 7, 0; print F "LINE"; close F; open F, "f"; print <F>; print -s "f", " ", join(",", sort glob("*")), "\n"; rename "f", "g"; print -e "f" ? "there" : "gone", "\n"; opendir D, "."; print join(" ", sort readdir D), "\n"; truncate "g", 6' && cat g
awk 'BEGIN { while (i++ < 100) print i > "out"; close("out"); while ((getline l < "out") > 0) s += l; print s; print "x" | "cat > piped"; close("cat > piped"); print "more" >> "piped" }'; cat piped; perl -i.orig -pe 's/1/one/' out && head -1 out out.orig

### patch_and_diff
seq 1 20 > a && sed 's/7/seven/' a > b && diff -u --label a --label b a b > p; patch -s a < p && cmp a b && ls -A && diff a b && cmp a b && echo patched; diff -r . . && mkdir x && cp a b x && diff -rq . x

### make_uses_times
printf 'out: in\n\tcp in out\n\techo made\n' > Makefile && echo 1 > in && make -s; make -s; touch -d '+1 minute' in && make -s 2> /dev/null; ls

### compile_in_place
printf '#include <stdio.h>\n#include "own.h"\nint main(void) { puts(OWN); return 0; }\n' > m.c && echo '#define OWN "from the prefix"' > own.h && cc -pipe -o "$H/m" m.c && "$H/m" && cc -c -o m.o m.c && test -s m.o && ar rc m.a m.o && ar t m.a
rm -f m.o m.a "$H/m"
