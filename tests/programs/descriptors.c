// Descriptor numbers and what belongs to them.
#include "case.h"
#include <sys/socket.h>
#include <linux/close_range.h>

static void flags_of(int fd) {
    say("%d: flags %x, cloexec %d", fd, fcntl(fd, F_GETFL) & ~O_LARGEFILE, fcntl(fd, F_GETFD));
}

CASE(lowest_numbers) {
    int a = TRY(open(p("a"), O_RDWR | O_CREAT, 0644));
    int b = TRY(open(p("b"), O_RDWR | O_CREAT, 0644));
    TRY(open("/dev/null", O_RDONLY));
    TRY(close(a));
    TRY(open("/dev/null", O_RDONLY));
    TRY(close(b));
    TRY(dup(1));
    int pair[2];
    MUST(pipe(pair));
    say("pipe %d %d", pair[0], pair[1]);
    TRY(close(0));
    TRY(open(p("a"), O_RDONLY));
    TRY(socket(AF_UNIX, SOCK_STREAM, 0));
}

CASE(dup_family) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT | O_APPEND, 0644));
    MUST(write(fd, "0123456789", 10));
    int other = TRY(dup(fd));
    TRY(dup2(fd, 100));
    TRY(dup2(fd, fd));
    TRY(dup3(fd, fd, 0));
    TRY(dup3(fd, 101, O_CLOEXEC));
    TRY(dup3(fd, 102, 7));
    TRY(dup2(fd, -1));
    TRY(dup2(500, 501));
    TRY(dup2(fd, 1 << 30));
    TRY(fcntl(fd, F_DUPFD, 200));
    TRY(fcntl(fd, F_DUPFD, 200));
    TRY(fcntl(fd, F_DUPFD_CLOEXEC, 200));
    TRY(fcntl(fd, F_DUPFD, -1));
    TRY(fcntl(fd, F_DUPFD, 1 << 30));
    flags_of(fd), flags_of(other), flags_of(100), flags_of(101), flags_of(200), flags_of(202);
    TRY(lseek(other, 3, SEEK_SET));
    say("at %ld", (long)lseek(202, 0, SEEK_CUR));
    TRY(close(fd));
    char two[3] = "";
    say("%zd %s", read(100, two, 2), two);
    // Over one of ours, over one of the host's, and of a host's over ours.
    TRY(dup2(1, 100));
    TRY(lseek(100, 0, SEEK_CUR) == 5 ? 0 : 1);
    int null = MUST(open("/dev/null", O_RDWR));
    TRY(dup2(other, null));
    say("at %ld", (long)lseek(null, 0, SEEK_CUR));
    TRY(fcntl(999, F_GETFD));
    TRY(fcntl(other, 9999));
}

CASE(status_flags) {
    int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK, O_RDWR | O_SYNC,
                   O_RDWR | O_DSYNC, O_RDWR | O_CLOEXEC, O_RDWR | O_NOATIME, O_RDONLY | O_TRUNC, O_WRONLY | O_EXCL};
    put(p("f"), "content");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        int fd = TRY(open(p("f"), modes[i]));
        flags_of(fd);
        TRY(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_RDWR | O_CREAT));
        flags_of(fd);
        TRY(fcntl(fd, F_SETFL, 0));
        flags_of(fd);
        TRY(fcntl(fd, F_SETFD, FD_CLOEXEC));
        flags_of(fd);
        close(fd);
    }
}

CASE(close_them_all) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "before", 6));
    for (int i = 3; i < 1024; i++) close(i);
    TRY(write(fd, "x", 1));
    fd = TRY(open(p("f"), O_RDWR | O_APPEND));
    TRY(write(fd, " after", 6));
    show(p("f"));
    for (int i = 1; i <= 9; i++) {
        char name[20];
        snprintf(name, sizeof name, "many%d", i);
        put(p(name), name);
    }
    MUST(close_range(3, ~0u, 0));
    TRY(read(fd, NULL, 0));
    put(p("g"), "still works");
    show(p("g"));
    closefrom(3);
    show(p("f"));
    DIR *d = opendir(p(""));
    int count = 0;
    while (readdir(d)) count++;
    say("%d names", count);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 3; i < 1024; i++) close(i);
        show(p("g"));
        execl("/bin/cat", "cat", p("g"), NULL);
    }
    reap(child);
}

CASE(close_range_variants) {
    int first = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    for (int i = 0; i < 10; i++) MUST(dup(first));
    TRY(close_range(first + 2, first + 4, 0));
    for (int i = 0; i <= 10; i++) say("%d %s", i, fcntl(first + i, F_GETFD) < 0 ? strerrorname_np(errno) : "open");
    TRY(close_range(first + 5, first + 6, CLOSE_RANGE_CLOEXEC));
    for (int i = 0; i <= 10; i++) say("%d %d", i, fcntl(first + i, F_GETFD));
    TRY(close_range(9, 8, 0));
    TRY(close_range(3, 8, 1 << 20));
    TRY(close_range(first + 7, ~0u, CLOSE_RANGE_UNSHARE));
    for (int i = 0; i <= 10; i++) say("%d %d", i, fcntl(first + i, F_GETFD));
    TRY(write(first, "ok", 2));
    TRY(dup(first));
    TRY(close(first));
    TRY(close(first));
    TRY(close(-1));
}

CASE(descriptor_limit) {
    struct rlimit limit = {100, 100};
    // What Sidestep itself needs is opened by the first touch of the prefix, high above the application's numbers.
    put(p("f"), "x");
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    int opened = 0, fd, last = -1;
    while ((fd = open(p("f"), O_RDONLY)) >= 0) opened++, last = fd;
    say("%d opened, last %d, then %s", opened, last, strerrorname_np(errno));
    TRY(dup(last));
    TRY(fcntl(last, F_DUPFD, 0));
    TRY(fcntl(last, F_DUPFD, 100));
    TRY(dup2(last, 100));
    TRY(open(p("g"), O_RDWR | O_CREAT, 0644));
    struct stat st;
    TRY(stat(p("g"), &st));
    TRY(opendir(p("")) ? 0 : -1);
    // What needs no descriptor still works.
    TRY(stat(p("f"), &st));
    TRY(mkdir(p("d"), 0755));
    TRY(rename(p("f"), p("d/f")));
    TRY(chdir(p("d")));
    char byte;
    TRY(pread(last, &byte, 1, 0));
    MUST(close(50));
    TRY(open("f", O_RDONLY));
    TRY(open("f", O_RDONLY));
    limit.rlim_cur = 10;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    TRY(pread(last, &byte, 1, 0));
    TRY(dup2(last, 9));
    TRY(pread(9, &byte, 1, 0));
}

CASE(descriptor_limit_before_first_touch) {
    struct rlimit limit = {40, 40};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    put(p("f"), "x");
    int opened = 0;
    while (open(p("f"), O_RDONLY) >= 0) opened++;
    // Sidestep's own descriptors have no room above the limit: they take some of the sixteen numbers just below it.
    say("most of them %d, then %s", opened >= 37 - 16, strerrorname_np(errno));
    MUST(close(5));
    show(p("f"));
    for (int fd = 3; fd < 24; fd++)
        if (dup2(1, fd) != fd) say("dup2 to %d: %s", fd, strerrorname_np(errno));
    for (int fd = 23; fd > 10; fd--) close(fd);
    show(p("f"));
}

CASE(high_limit_many_files) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max < 3000 ? limit.rlim_max : 3000;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    int opened = 0;
    for (int i = 0; i < 900; i++) {
        char name[30];
        snprintf(name, sizeof name, "file-%d", i);
        int fd = open(p(name), O_RDWR | O_CREAT, 0644);
        if (fd < 0) { say("%d: %s", i, strerrorname_np(errno)); break; }
        if (write(fd, name, strlen(name)) == (ssize_t)strlen(name)) opened++;
    }
    int right = 0;
    for (int fd = 3; fd < 3 + opened; fd++) {
        char name[30], got[30] = "";
        snprintf(name, sizeof name, "file-%d", fd - 3);
        right += pread(fd, got, sizeof got, 0) == (ssize_t)strlen(name) && strcmp(name, got) == 0;
    }
    say("%d opened, %d right", opened, right);
    pid_t child = fork();
    if (child == 0) {
        int kept = 0;
        for (int fd = 3; fd < 3 + opened; fd++) kept += lseek(fd, 0, SEEK_CUR) >= 6;
        say("%d kept by the child", kept);
        _exit(0);
    }
    reap(child);
}

CASE(proc_self_fd) {
    put(p("f"), "through proc\n");
    int fd = MUST(open(p("f"), O_RDWR));
    char name[50], target[PATH_MAX] = "";
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, target, sizeof target - 1);
    say("%zd %s", length, target);
    show(name);
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    show(name);
    struct stat one, two;
    MUST(stat(name, &one));
    MUST(fstat(fd, &two));
    say("same file %d", one.st_ino == two.st_ino && one.st_dev == two.st_dev);
    MUST(dup2(fd, 0));
    show("/dev/stdin");
    TRY(access(name, R_OK));
    int again = TRY(open(name, O_WRONLY | O_APPEND));
    TRY(write(again, "more\n", 5));
    show(p("f"));
    unlink(p("f"));
    length = readlink(name, target, sizeof target - 1);
    say("%.*s", (int)length, target);
    show(name);
    int directory = MUST(open(p(""), O_RDONLY | O_DIRECTORY));
    snprintf(name, sizeof name, "/proc/self/fd/%d/new", directory);
    put(name, "made through proc");
    show(p("new"));
}

CASE(passed_to_threads_and_sockets) {
    int sockets[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
    put(p("f"), "over a socket");
    int fd = MUST(open(p("f"), O_RDONLY));
    char content[20];
    ssize_t count = read(fd, content, sizeof content);
    TRY(send(sockets[0], content, count, 0));
    char got[20] = "";
    TRY(recv(sockets[1], got, sizeof got, 0));
    say("%s", got);
    // The kernel says ENOTSOCK of a file, and EBADF of what stands for ours in its table.
    say("no socket %d %d", (int)recv(fd, got, 1, 0), (int)send(fd, got, 1, 0));
    TRY(isatty(fd));
    TRY(ioctl(fd, 0x5401, got));
    int available = -1;
    MUST(lseek(fd, 3, SEEK_SET));
    TRY(ioctl(fd, FIONREAD, &available));
    say("available %d", available);
    TRY(ioctl(fd, FIONBIO, &(int){1}));
    flags_of(fd);
}
