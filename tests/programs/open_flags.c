// open(2) in its combinations.
#include "case.h"

static void make(void) {
    put(p("file"), "content");
    MUST(mkdir(p("dir"), 0755));
    MUST(symlink("file", p("link")));
    MUST(symlink("dir", p("dirlink")));
    MUST(symlink("nowhere", p("dangling")));
}

CASE(combinations) {
    struct { const char *name; int flag; } bits[] = {
        {"CREAT", O_CREAT}, {"EXCL", O_EXCL}, {"TRUNC", O_TRUNC}, {"DIRECTORY", O_DIRECTORY},
        {"NOFOLLOW", O_NOFOLLOW}, {"APPEND", O_APPEND}, {"PATH", O_PATH},
    };
    const char *names[] = {"file", "dir", "link", "dirlink", "dangling", "none", "none/x", "file/x", "dir/", "file/", "new/"};
    make();
    for (int set = 0; set < 1 << 7; set++)
        for (int access = 0; access < 4; access++)
            for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                int flags = access;
                char line[200];
                snprintf(line, sizeof line, "%s mode %d", names[i], access);
                for (int bit = 0; bit < 7; bit++)
                    if (set & 1 << bit) {
                        flags |= bits[bit].flag;
                        snprintf(line + strlen(line), 20, " %s", bits[bit].name);
                    }
                int fd = open(p(names[i]), flags, 0644);
                if (fd < 0) { say("%s: %s", line, strerrorname_np(errno)); continue; }
                struct stat st;
                fstat(fd, &st);
                char byte;
                ssize_t got = read(fd, &byte, 1);
                const char *read_error = got < 0 ? strerrorname_np(errno) : "ok";
                ssize_t done = write(fd, "w", 1);
                const char *write_error = done < 0 ? strerrorname_np(errno) : "ok";
                say("%s: mode %o size %ld read %s write %s flags %x", line, st.st_mode,
                    S_ISREG(st.st_mode) ? (long)st.st_size : 0, read_error, write_error,
                    fcntl(fd, F_GETFL) & ~O_LARGEFILE);
                close(fd);
                unlink(p("none")), unlink(p("nowhere"));
                truncate(p("file"), 3);
            }
}

CASE(path_descriptors) {
    make();
    int file = MUST(open(p("file"), O_PATH)), dir = MUST(open(p("dir"), O_PATH));
    int link = MUST(open(p("link"), O_PATH | O_NOFOLLOW));
    char byte;
    struct stat st;
    int fds[] = {file, dir, link};
    for (int i = 0; i < 3; i++) {
        int fd = fds[i];
        TRY(read(fd, &byte, 1));
        TRY(write(fd, &byte, 1));
        TRY(lseek(fd, 0, SEEK_SET));
        TRY(ftruncate(fd, 0));
        TRY(fchmod(fd, 0600));
        TRY(fsync(fd));
        TRY(fstat(fd, &st));
        say("mode %o", st.st_mode);
        TRY(fcntl(fd, F_GETFL) & ~O_LARGEFILE);
        TRY(fcntl(fd, F_SETFL, O_APPEND));
        TRY(dup(fd) > 0 ? 0 : -1);
        TRY(ioctl(fd, FIONREAD, &byte));
        TRY(fallocate(fd, 0, 0, 1));
        TRY(fchdir(fd));
        chdir(h(""));
        char target[20] = "";
        TRY(readlinkat(fd, "", target, sizeof target));
        TRY(openat(fd, "x", O_CREAT | O_WRONLY, 0644) < 0 ? -1 : 0);
        TRY(fstatat(fd, "", &st, AT_EMPTY_PATH));
        TRY(syscall(SYS_getdents64, fd, target, 20));
        char name[40];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        int again = open(name, O_RDONLY);
        say("again %s", again < 0 ? strerrorname_np(errno) : "open");
    }
    TRY(close(file));
    TRY(close(file));
}

CASE(exclusive_and_truncating) {
    make();
    TRY(open(p("file"), O_CREAT | O_EXCL | O_RDWR, 0644));
    TRY(open(p("dangling"), O_CREAT | O_EXCL | O_RDWR, 0644));
    int fd = MUST(open(p("file"), O_RDWR));
    TRY(close(open(p("file"), O_WRONLY | O_TRUNC)));
    struct stat st;
    MUST(fstat(fd, &st));
    say("size %ld", (long)st.st_size);
    put(p("file"), "more content");
    TRY(close(open(p("file"), O_RDONLY | O_TRUNC)));
    show(p("file"));
    TRY(close(open(p("file"), O_WRONLY | O_CREAT | O_TRUNC, 0600)));
    MUST(fstat(fd, &st));
    say("mode %o", st.st_mode);
    TRY(creat(p("dir"), 0644));
    TRY(close(creat(p("created"), 0200)));
    MUST(stat(p("created"), &st));
    say("mode %o", st.st_mode);
    // A mode that forbids writing does not forbid it to the descriptor that made the file.
    fd = MUST(open(p("read-only"), O_CREAT | O_RDWR, 0400));
    TRY(write(fd, "written", 7));
    TRY(fchmod(fd, 0));
    TRY(write(fd, "again", 5));
    TRY(open(p("special"), O_CREAT | O_WRONLY, 07777));
    MUST(stat(p("special"), &st));
    say("mode %o", st.st_mode);
}

CASE(creation_mask) {
    mode_t masks[] = {0, 022, 077, 0777, 0137};
    for (int i = 0; i < 5; i++) {
        char name[20];
        umask(masks[i]);
        snprintf(name, sizeof name, "f%d", i);
        MUST(close(MUST(open(p(name), O_CREAT | O_WRONLY, 0666))));
        struct stat st;
        MUST(stat(p(name), &st));
        say("file %o", st.st_mode);
        snprintf(name, sizeof name, "d%d", i);
        MUST(mkdir(p(name), 07777));
        MUST(stat(p(name), &st));
        say("directory %o", st.st_mode);
        MUST(symlink("x", p(i % 2 ? "l1" : "l0")) + unlink(p(i % 2 ? "l1" : "l0")));
        say("mask %o", umask(022));
    }
}

CASE(sync_and_direct) {
    int flags[] = {O_SYNC, O_DSYNC, O_DIRECT, O_NOATIME, O_NOCTTY, O_NONBLOCK, O_ASYNC};
    static char block[8192] __attribute__((aligned(4096)));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int fd = open(p("f"), O_RDWR | O_CREAT | flags[i], 0644);
        say("%x: %s", flags[i], fd < 0 ? strerrorname_np(errno) : "open");
        if (fd < 0) continue;
        TRY(pwrite(fd, block, 4096, 0));
        TRY(pread(fd, block, 4096, 0));
        close(fd);
    }
    show(p("f"));
}
