// The data calls: vectors, holes, allocation, copies inside the kernel's interface.
#include "case.h"
#include <sys/sendfile.h>

CASE(vectors) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    char a[10] = "aaaaaaaaa", b[10] = "bbbbbbbbb", c[10] = "";
    struct iovec three[] = {{a, 9}, {b, 0}, {b, 9}};
    TRY(writev(fd, three, 3));
    TRY(pwritev(fd, three, 3, 4));
    TRY(pwritev2(fd, three, 3, 30, 0));
    TRY(pwritev2(fd, three, 1, -1, 0));
    TRY(pwritev2(fd, three, 1, 0, RWF_APPEND));
    say("at %ld", (long)lseek(fd, 0, SEEK_CUR));
    TRY(pwritev2(fd, three, 1, 0, RWF_DSYNC));
    TRY(pwritev2(fd, three, 1, 0, RWF_SYNC));
    TRY(pwritev2(fd, three, 1, 0, 1 << 25));
    show(p("f"));
    struct iovec into[] = {{c, 3}, {NULL, 0}, {b, 5}};
    TRY(lseek(fd, 2, SEEK_SET));
    TRY(readv(fd, into, 3));
    say("%.3s %.5s", c, b);
    TRY(preadv(fd, into, 3, 40));
    TRY(preadv2(fd, into, 3, -1, 0));
    TRY(preadv2(fd, into, 3, 0, RWF_HIPRI));
    TRY(preadv2(fd, into, 3, 0, 1 << 25));
    say("at %ld", (long)lseek(fd, 0, SEEK_CUR));
    TRY(readv(fd, into, -1));
    TRY(readv(fd, into, IOV_MAX + 1));
    TRY(readv(fd, into, 0));
    TRY(preadv(fd, into, 1, -5));
    struct iovec huge[] = {{a, SSIZE_MAX}, {b, 10}};
    TRY(readv(fd, huge, 2));
    TRY(writev(fd, NULL, 1));
    TRY(writev(fd, NULL, 0));
    struct iovec many[1024];
    for (int i = 0; i < 1024; i++) many[i] = (struct iovec){a, i % 9};
    TRY(pwritev(fd, many, 1024, 1000));
    show(p("f"));
}

CASE(positions) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "0123456789", 10));
    TRY(lseek(fd, -3, SEEK_END));
    TRY(lseek(fd, -3, SEEK_CUR));
    TRY(lseek(fd, -30, SEEK_CUR));
    TRY(lseek(fd, -1, SEEK_SET));
    TRY(lseek(fd, 5, 17));
    TRY(lseek(fd, LONG_MAX, SEEK_SET));
    TRY(lseek(fd, 1, SEEK_CUR));
    TRY(lseek(fd, LONG_MAX, SEEK_END));
    char byte[4];
    TRY(read(fd, byte, 4));
    TRY(lseek(fd, 100, SEEK_SET));
    TRY(read(fd, byte, 4));
    TRY(write(fd, "far", 3));
    TRY(pread(fd, byte, 4, 99));
    TRY(pread(fd, byte, 4, -1));
    TRY(pwrite(fd, byte, 4, -1));
    TRY(pread(fd, byte, 4, 1L << 40));
    TRY(pread(fd, byte, 0, 0));
    TRY(pwrite(fd, "zz", 2, 4));
    TRY(lseek(fd, 0, SEEK_CUR));
    int append = MUST(open(p("f"), O_RDWR | O_APPEND));
    TRY(pwrite(append, "pw", 2, 0));
    TRY(lseek(append, 0, SEEK_CUR));
    TRY(write(append, "w", 1));
    TRY(lseek(append, 0, SEEK_CUR));
    TRY(lseek(append, 3, SEEK_SET));
    TRY(read(append, byte, 2));
    show(p("f"));
}

static void map_of(int fd, off_t end) {
    for (off_t at = 0; at < end;) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0) { say("from %ld no data: %s", (long)at, strerrorname_np(errno)); break; }
        off_t hole = lseek(fd, data, SEEK_HOLE);
        say("data %ld to %ld", (long)data, (long)hole);
        at = hole;
    }
}

CASE(holes) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    TRY(lseek(fd, 0, SEEK_DATA));
    TRY(lseek(fd, 0, SEEK_HOLE));
    MUST(ftruncate(fd, 1 << 22));
    map_of(fd, 1 << 22);
    static char block[1 << 16] = "data";
    // Whole pages: where a hole begins within one is the file system's affair.
    MUST(pwrite(fd, block, 4096, 1 << 20));
    MUST(pwrite(fd, block, 8192, 3 << 20));
    map_of(fd, 1 << 22);
    TRY(lseek(fd, 1 << 20, SEEK_HOLE));
    TRY(lseek(fd, (1 << 22) - 1, SEEK_DATA));
    TRY(lseek(fd, 1 << 22, SEEK_HOLE));
    TRY(lseek(fd, -1, SEEK_DATA));
    TRY(lseek(fd, 1 << 23, SEEK_HOLE));
    ssize_t zeros = 0;
    MUST(pread(fd, block, sizeof block, (1 << 20) - 100));
    for (int i = 0; i < 100; i++) zeros += block[i] == 0;
    say("%zd zeros, then %.4s", zeros, block + 100);
    struct stat st;
    fstat(fd, &st);
    say("size %ld, few blocks %d", (long)st.st_size, st.st_blocks < 1000);
    show(p("f"));
}

CASE(truncation) {
    put_pattern(p("f"), 300000);
    int fd = MUST(open(p("f"), O_RDWR));
    off_t sizes[] = {299999, 65537, 65536, 4097, 4096, 4095, 1, 0, 5000, 100000, 70000, 200000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        TRY(i % 2 ? ftruncate(fd, sizes[i]) : truncate(p("f"), sizes[i]));
        show(p("f"));
        MUST(pwrite(fd, "mark", 4, sizes[i] / 2));
    }
    TRY(ftruncate(fd, -1));
    TRY(truncate(p("f"), -1));
    TRY(truncate(p("none"), 1));
    TRY(truncate(p(""), 1));
    int reader = MUST(open(p("f"), O_RDONLY));
    TRY(ftruncate(reader, 1));
    TRY(ftruncate(1, 1) < 0 ? 0 : 1);
    TRY(close(MUST(open(p("f"), O_WRONLY | O_TRUNC))));
    show(p("f"));
}

CASE(stale_bytes_never_return) {
    put_pattern(p("f"), 20000);
    int fd = MUST(open(p("f"), O_RDWR));
    MUST(ftruncate(fd, 5000));
    MUST(ftruncate(fd, 20000));
    char block[20000];
    MUST(pread(fd, block, sizeof block, 0));
    int nonzero = 0;
    for (int i = 5000; i < 20000; i++) nonzero += block[i] != 0;
    say("%d stale bytes", nonzero);
    MUST(ftruncate(fd, 100));
    MUST(pwrite(fd, "x", 1, 10000));
    MUST(pread(fd, block, 10001, 0));
    nonzero = 0;
    for (int i = 100; i < 10000; i++) nonzero += block[i] != 0;
    say("%d stale bytes", nonzero);
}

CASE(allocation) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    struct stat st;
    put_pattern(p("f"), 40000);
    struct { int mode; off_t offset, length; } calls[] = {
        {0, 30000, 30000}, {FALLOC_FL_KEEP_SIZE, 50000, 50000}, {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 10000},
        {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1}, {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 4096},
        {FALLOC_FL_PUNCH_HOLE, 0, 1}, {0, 0, 0}, {0, -1, 10}, {0, 0, -5}, {0, LONG_MAX - 5, 10}, {0x4000, 0, 1},
        {FALLOC_FL_COLLAPSE_RANGE, 0, 4096}, {FALLOC_FL_INSERT_RANGE, 0, 4096},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        TRY(fallocate(fd, calls[i].mode, calls[i].offset, calls[i].length));
        fstat(fd, &st);
        say("size %ld", (long)st.st_size);
        show(p("f"));
    }
    say("%s", strerrorname_np(posix_fallocate(fd, 100000, 5000)));
    fstat(fd, &st);
    say("size %ld", (long)st.st_size);
    int reader = MUST(open(p("f"), O_RDONLY));
    TRY(fallocate(reader, 0, 0, 10));
    say("%d %d", posix_fallocate(reader, 0, 10) == EBADF, posix_fallocate(fd, 0, 0) == EINVAL);
    int pipes[2];
    MUST(pipe(pipes));
    TRY(fallocate(MUST(open(p(""), O_RDONLY)), 0, 0, 10));
}

// tmpfs has no FALLOC_FL_ZERO_RANGE; ext4, XFS and Sidestep do.
CASE(zero_range) { // ours
    put_pattern(p("f"), 20000);
    int fd = MUST(open(p("f"), O_RDWR)), wrong = 0;
    static char before[30000], after[30000];
    MUST(pread(fd, before, sizeof before, 0));
    MUST(fallocate(fd, FALLOC_FL_ZERO_RANGE, 5000, 6000));
    MUST(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 19000, 5000));
    wrong += MUST(pread(fd, after, sizeof after, 0)) != 20000;
    for (int i = 0; i < 20000; i++) wrong += after[i] != ((i >= 5000 && i < 11000) || i >= 19000 ? 0 : before[i]);
    MUST(fallocate(fd, FALLOC_FL_ZERO_RANGE, 19000, 5000));
    wrong += MUST(lseek(fd, 0, SEEK_END)) != 24000;
    if (wrong) say("%d wrong", wrong);
    exit(wrong != 0);
}

CASE(copy_range) {
    put_pattern(p("a"), 100000);
    put_pattern(h("host"), 50000);
    int a = MUST(open(p("a"), O_RDONLY)), b = MUST(open(p("b"), O_RDWR | O_CREAT, 0644));
    int host = MUST(open(h("host"), O_RDWR)), out = MUST(open(h("out"), O_RDWR | O_CREAT, 0644));
    off_t from = 10, to = 20;
    TRY(copy_file_range(a, &from, b, &to, 70000, 0));
    say("from %ld to %ld", (long)from, (long)to);
    show(p("b"));
    TRY(copy_file_range(a, NULL, b, NULL, 1000, 0));
    say("at %ld and %ld", (long)lseek(a, 0, SEEK_CUR), (long)lseek(b, 0, SEEK_CUR));
    from = 99990;
    TRY(copy_file_range(a, &from, b, NULL, 1000, 0));
    TRY(copy_file_range(a, &from, b, NULL, 1000, 0));
    from = 0, to = 50;
    TRY(copy_file_range(b, &from, b, &to, 100, 0));
    TRY(copy_file_range(a, NULL, b, NULL, 10, 1));
    TRY(copy_file_range(b, NULL, a, NULL, 10, 0));
    int append = MUST(open(p("b"), O_WRONLY | O_APPEND));
    TRY(copy_file_range(a, NULL, append, NULL, 10, 0));
    from = -1;
    TRY(copy_file_range(a, &from, b, NULL, 10, 0));
    TRY(copy_file_range(a, NULL, MUST(open(p(""), O_RDONLY)), NULL, 10, 0));
    TRY(copy_file_range(99, NULL, b, NULL, 10, 0));
    show(p("b"));
    // Between the host's files and ours an honest EXDEV is allowed; a copy is checked.
    MUST(lseek(b, 0, SEEK_SET));
    ssize_t count = copy_file_range(host, NULL, b, NULL, 50000, 0);
    say("into the prefix: %d", count == 50000 || (count < 0 && errno == EXDEV));
    MUST(lseek(b, 0, SEEK_SET));
    count = copy_file_range(b, NULL, out, NULL, 30000, 0);
    say("out of the prefix: %d", count == 30000 || (count < 0 && errno == EXDEV));
}

CASE(send_file) {
    put_pattern(p("a"), 200000);
    int a = MUST(open(p("a"), O_RDONLY)), b = MUST(open(p("b"), O_RDWR | O_CREAT, 0644));
    int pipes[2];
    MUST(pipe(pipes));
    off_t from = 50;
    TRY(sendfile(pipes[1], a, &from, 5000));
    char block[8192];
    ssize_t count = TRY(read(pipes[0], block, sizeof block));
    say("%016lx, from %ld, at %ld", hash_of(block, count), (long)from, (long)lseek(a, 0, SEEK_CUR));
    TRY(sendfile(pipes[1], a, NULL, 3000));
    say("at %ld", (long)lseek(a, 0, SEEK_CUR));
    TRY(sendfile(b, a, NULL, 150000));
    show(p("b"));
    TRY(sendfile(b, a, NULL, 100000));
    TRY(sendfile(b, a, NULL, 100000));
    int host = MUST(open(h("host"), O_RDWR | O_CREAT, 0644));
    MUST(lseek(a, 0, SEEK_SET));
    TRY(sendfile(host, a, NULL, 100000));
    show(h("host"));
    MUST(lseek(host, 0, SEEK_SET));
    TRY(sendfile(b, host, NULL, 100000));
    show(p("b"));
    TRY(sendfile(b, pipes[0], NULL, 10) > 0 ? 1 : 0);
    TRY(sendfile(a, host, NULL, 10));
    TRY(sendfile(MUST(open(p("b"), O_WRONLY | O_APPEND)), host, NULL, 10));
    from = -1;
    TRY(sendfile(b, a, &from, 10));
}

CASE(splice_pipes) {
    put_pattern(p("a"), 100000);
    int a = MUST(open(p("a"), O_RDONLY)), b = MUST(open(p("b"), O_RDWR | O_CREAT, 0644));
    int pipes[2];
    MUST(pipe(pipes));
    off_t from = 100, to = 7;
    TRY(splice(a, &from, pipes[1], NULL, 4096, 0));
    say("from %ld, at %ld", (long)from, (long)lseek(a, 0, SEEK_CUR));
    TRY(splice(pipes[0], NULL, b, &to, 3000, 0));
    TRY(splice(pipes[0], NULL, b, NULL, 8000, SPLICE_F_MOVE));
    show(p("b"));
    size_t total = 0;
    ssize_t count;
    MUST(ftruncate(b, 0));
    MUST(lseek(b, 0, SEEK_SET));
    while ((count = splice(a, NULL, pipes[1], NULL, 60000, SPLICE_F_MORE)) > 0)
        for (ssize_t moved; count > 0; count -= moved) {
            moved = splice(pipes[0], NULL, b, NULL, count, 0);
            if (moved <= 0) { say("splice out: %s", strerrorname_np(errno)); break; }
            total += moved;
        }
    say("%zu in all", total);
    show(p("b"));
    TRY(splice(a, NULL, b, NULL, 10, 0));
    TRY(splice(pipes[0], NULL, b, NULL, 10, SPLICE_F_NONBLOCK));
    TRY(splice(a, &from, pipes[1], &to, 10, 0));
    close(pipes[1]);
    TRY(splice(pipes[0], NULL, b, NULL, 10, 0));
}

CASE(unlinked_but_open) {
    put_pattern(p("f"), 100000);
    int fd = MUST(open(p("f"), O_RDWR)), other = MUST(open(p("f"), O_RDONLY));
    MUST(unlink(p("f")));
    struct stat st;
    MUST(fstat(fd, &st));
    say("links %d, size %ld", (int)st.st_nlink, (long)st.st_size);
    put(p("f"), "another");
    MUST(pwrite(fd, "changed", 7, 50000));
    char text[8] = "";
    MUST(pread(other, text, 7, 50000));
    say("%s", text);
    MUST(ftruncate(fd, 200000));
    MUST(fchmod(fd, 0600));
    MUST(fstat(other, &st));
    say("mode %o, size %ld", st.st_mode, (long)st.st_size);
    show(p("f"));
    close(fd), close(other);
    show(p("f"));
}

CASE(blocks_of_holes) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(pwrite(fd, "end", 3, 5L << 30));
    MUST(fsync(fd));
    struct stat st;
    MUST(fstat(fd, &st));
    say("few blocks %d", st.st_blocks < 100);
}

CASE(large_offsets) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    TRY(pwrite(fd, "end", 3, 5L << 30));
    struct stat st;
    MUST(fstat(fd, &st));
    say("size %ld", (long)st.st_size);
    char text[4] = "";
    TRY(pread(fd, text, 3, 5L << 30));
    say("%s", text);
    TRY(pread(fd, text, 3, 3L << 30));
    TRY(ftruncate(fd, 100L << 30));
    TRY(pwrite(fd, "x", 1, LONG_MAX));
    TRY(ftruncate(fd, 10));
}

CASE(limit_of_sizes) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    struct rlimit limit = {1000, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    MUST(setrlimit(RLIMIT_FSIZE, &limit));
    TRY(pwrite(fd, "x", 1, 2000));
    TRY(pwrite(fd, "0123456789", 10, 995));
    TRY(ftruncate(fd, 1001));
    TRY(truncate(p("f"), 1001));
    TRY(fallocate(fd, 0, 0, 1001));
    TRY(ftruncate(fd, 1000));
    limit.rlim_cur = 1004;
    MUST(syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, &limit, NULL));
    TRY(ftruncate(fd, 1001));
    TRY(lseek(fd, 1000, SEEK_SET));
    TRY(writev(fd, (struct iovec[]){{"01", 2}, {"234567", 6}}, 2));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(write(fd, "x", 1));
    TRY(posix_fallocate(fd, 0, 1010));
    MUST(fcntl(fd, F_SETFL, O_APPEND));
    TRY(write(fd, "x", 1));
    // Many small files are not one large one.
    int made = 0;
    for (int i = 0; i < 200; i++) {
        char name[20] = "";
        snprintf(name, sizeof name, "small-%d", i);
        int small = open(p(name), O_WRONLY | O_CREAT, 0644);
        made += small >= 0 && write(small, name, sizeof name) == sizeof name && close(small) == 0;
    }
    say("made %d", made);
    pid_t child = fork();
    if (child == 0) { signal(SIGXFSZ, SIG_DFL); pwrite(fd, "x", 1, 5000); _exit(1); }
    reap(child);
}

CASE(advice_and_sync) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "x", 1));
    for (int advice = 0; advice < 8; advice++) say("%d: %d", advice, posix_fadvise(fd, 0, 0, advice));
    say("%d", posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL));
    TRY(readahead(fd, 0, 100));
    TRY(fsync(fd));
    TRY(fdatasync(fd));
    TRY(syncfs(fd));
    TRY(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
    sync();
    TRY(fsync(99));
    int writer = MUST(open(p("f"), O_WRONLY));
    TRY(readahead(writer, 0, 100));
    char byte;
    TRY(read(writer, &byte, 1));
    int reader = MUST(open(p("f"), O_RDONLY));
    TRY(write(reader, &byte, 1));
    TRY(fsync(reader));
}

CASE(big_transfers) {
    static char block[9 << 20];
    for (size_t i = 0; i < sizeof block; i++) block[i] = i * 2654435761u >> 19;
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    TRY(write(fd, block, sizeof block));
    TRY(pwrite(fd, block + 3, 5 << 20, 12345));
    static char back[9 << 20];
    TRY(pread(fd, back, sizeof back, 0));
    say("%016lx", hash_of(back, sizeof back));
    for (size_t at = 0; at < sizeof back; at += 777777) {
        ssize_t count = pread(fd, back, 333333, at);
        say("%zu: %zd %016lx", at, count, hash_of(back, count));
    }
}
