// Each of the names that libc has for one call, and the bare system calls behind them. Programs compiled years ago, or
// with _FORTIFY_SOURCE, call other names than those in the manual.
#include "case.h"
#include <dlfcn.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <utime.h>

static int stat_call(const char *path, struct stat *found) { return syscall(SYS_stat, path, found); }
static int lstat_call(const char *path, struct stat *found) { return syscall(SYS_lstat, path, found); }
static int fstat_call(int fd, struct stat *found) { return syscall(SYS_fstat, fd, found); }
static int fstatat_call(int at, const char *path, struct stat *found, int flags) {
    return syscall(SYS_newfstatat, at, path, found, flags);
}
static int mknod_call(const char *path, mode_t mode, dev_t device) { return syscall(SYS_mknod, path, mode, device); }
static int close_range_call(unsigned first, unsigned last, int flags) { return syscall(436, first, last, flags); }

// What libc has since 2.33 or 2.34 only. Before, the library's doors have no function of libc's behind them, and must
// answer as the kernel does.
static const struct { const char *name; void *call; } younger[] = {
    {"stat64", stat_call},       {"lstat64", lstat_call}, {"fstat64", fstat_call},
    {"fstatat64", fstatat_call}, {"mknod", mknod_call},   {"close_range", close_range_call},
};

// The function of that name, whatever version it has: some are kept for old programs only.
static void *find(const char *name) {
    static const char *const versions[] = {"GLIBC_2.2.5", "GLIBC_2.4", "GLIBC_2.7"};
    void *function = dlsym(RTLD_DEFAULT, name);
    for (size_t i = 0; !function && i < sizeof versions / sizeof *versions; i++)
        function = dlvsym(RTLD_DEFAULT, name, versions[i]);
    for (size_t i = 0; !function && i < sizeof younger / sizeof *younger; i++)
        if (strcmp(name, younger[i].name) == 0) function = younger[i].call;
    if (!function) {
        say("%s is missing", name);
        _exit(95);
    }
    return function;
}

#define CALL(type, name, ...) TRY(((type)find(#name))(__VA_ARGS__))

typedef int (*open_function)(const char *, int, ...);
typedef int (*openat_function)(int, const char *, int, ...);
typedef ssize_t (*read_function)(int, void *, size_t);
typedef ssize_t (*pread_function)(int, void *, size_t, off_t);
typedef ssize_t (*write_function)(int, const void *, size_t);
typedef ssize_t (*pwrite_function)(int, const void *, size_t, off_t);
typedef int (*descriptor_function)(int);

CASE(opening) {
    put(p("f"), "content");
    TRY(close(CALL(open_function, open64, p("f"), O_RDONLY)));
    TRY(close(CALL(open_function, __open, p("f"), O_RDONLY)));
    TRY(close(CALL(open_function, __open64, p("f"), O_WRONLY | O_CREAT, 0600)));
    TRY(close(CALL(open_function, __open_2, p("f"), O_RDONLY)));
    TRY(close(CALL(open_function, __open64_2, p("f"), O_RDONLY)));
    TRY(close(CALL(openat_function, openat64, AT_FDCWD, p("f"), O_RDONLY)));
    TRY(close(CALL(openat_function, __openat_2, AT_FDCWD, p("f"), O_RDONLY)));
    TRY(close(CALL(openat_function, __openat64_2, AT_FDCWD, p("f"), O_RDONLY)));
    CALL(open_function, open64, p("none"), O_RDONLY);
    CALL(openat_function, openat64, AT_FDCWD, p("none/x"), O_RDONLY);
    int fd = CALL(int (*)(const char *, mode_t), creat64, p("made"), 0640);
    CALL(descriptor_function, __close, fd);
    CALL(descriptor_function, __close, fd);
    show(p("f"));
}

CASE(reading) {
    put(p("f"), "0123456789");
    int fd = MUST(open(p("f"), O_RDONLY));
    char bytes[8] = "";
    CALL(read_function, __read, fd, bytes, 2);
    say("%.2s", bytes);
    CALL(ssize_t (*)(int, void *, size_t, size_t), __read_chk, fd, bytes, 3, sizeof bytes);
    say("%.3s", bytes);
    CALL(pread_function, pread64, fd, bytes, 2, 7);
    CALL(pread_function, __pread64, fd, bytes + 2, 2, 0);
    say("%.4s", bytes);
    typedef ssize_t (*checked)(int, void *, size_t, off_t, size_t);
    CALL(checked, __pread_chk, fd, bytes, 4, 4, sizeof bytes);
    say("%.4s", bytes);
    CALL(checked, __pread64_chk, fd, bytes, 4, 9, sizeof bytes);
    struct iovec parts[] = {{bytes, 1}, {bytes + 1, 2}};
    CALL(ssize_t (*)(int, const struct iovec *, int, off_t), preadv64, fd, parts, 2, 3);
    say("%.3s", bytes);
    CALL(ssize_t (*)(int, const struct iovec *, int, off_t, int), preadv64v2, fd, parts, 2, 5, 0);
    say("%.3s", bytes);
    CALL(off_t (*)(int, off_t, int), lseek64, fd, -1, SEEK_END);
    CALL(off_t (*)(int, off_t, int), __lseek, fd, 2, SEEK_SET);
    CALL(read_function, __read, -1, bytes, 2);
}

CASE(writing) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644)), from = MUST(open(p("from"), O_RDWR | O_CREAT, 0644));
    CALL(write_function, __write, fd, "abc", 3);
    CALL(pwrite_function, pwrite64, fd, "de", 2, 3);
    CALL(pwrite_function, __pwrite64, fd, "fg", 2, 5);
    struct iovec parts[] = {{"h", 1}, {"ij", 2}};
    CALL(ssize_t (*)(int, const struct iovec *, int, off_t), pwritev64, fd, parts, 2, 7);
    CALL(ssize_t (*)(int, const struct iovec *, int, off_t, int), pwritev64v2, fd, parts, 2, 10, 0);
    MUST(pwrite(from, "klm", 3, 0));
    off_t offset = 1;
    CALL(ssize_t (*)(int, int, off_t *, size_t), sendfile64, fd, from, &offset, 2);
    show(p("f"));
    CALL(int (*)(int, off_t), ftruncate64, fd, 4);
    CALL(int (*)(const char *, off_t), truncate64, p("from"), 1);
    CALL(int (*)(int, int, off_t, off_t), fallocate64, fd, 0, 0, 6);
    CALL(int (*)(int, int, ...), fcntl64, fd, F_GETFL);
    CALL(int (*)(int, int), __dup2, fd, 40);
    TRY(write(40, "z", 1));
    show(p("f"));
    show(p("from"));
}

// Ours or not, one must not see whether libc has the function.
CASE(younger_functions) {
    typedef int (*by_path)(const char *, struct stat *);
    typedef int (*node_function)(const char *, mode_t, dev_t);
    typedef int (*range_function)(unsigned, unsigned, int);
    struct stat found = {0};
    CALL(by_path, stat64, p("none"), &found);
    CALL(by_path, stat64, h("none"), &found);
    CALL(by_path, stat64, NULL, &found);
    CALL(by_path, stat64, "/dev/null", &found), say("%d", S_ISCHR(found.st_mode));
    int ours = MUST(open(p("f"), O_RDONLY | O_CREAT, 0600)), host = MUST(open("/dev/null", O_RDONLY));
    CALL(int (*)(int, struct stat *), fstat64, ours, &found), say("%d", S_ISREG(found.st_mode));
    CALL(int (*)(int, struct stat *), fstat64, host, &found), say("%d", S_ISCHR(found.st_mode));
    CALL(node_function, mknod, p("node"), S_IFREG | 0600, 0);
    CALL(node_function, mknod, h("node"), S_IFREG | 0600, 0);
    CALL(range_function, close_range, ours, ours, 0);
    CALL(range_function, close_range, host, host, 0);
    CALL(range_function, close_range, 9, 8, 0);
    say("%d %d", fcntl(ours, F_GETFD), fcntl(host, F_GETFD));
}

static void tell(const struct stat *attributes) {
    say("%o %ld %ld", attributes->st_mode, (long)attributes->st_size, (long)attributes->st_nlink);
}

CASE(attributes) {
    put(p("f"), "content");
    MUST(symlink("f", p("l")));
    int fd = MUST(open(p("f"), O_RDONLY));
    struct stat found = {0};
    typedef int (*by_path)(const char *, struct stat *);
    typedef int (*by_version)(int, const char *, struct stat *);
    CALL(by_path, stat64, p("l"), &found), tell(&found);
    CALL(by_path, lstat64, p("l"), &found), tell(&found);
    CALL(int (*)(int, struct stat *), fstat64, fd, &found), tell(&found);
    CALL(int (*)(int, const char *, struct stat *, int), fstatat64, AT_FDCWD, p("l"), &found, AT_SYMLINK_NOFOLLOW);
    tell(&found);
    CALL(by_version, __xstat, 1, p("l"), &found), tell(&found);
    CALL(by_version, __xstat64, 1, p("l"), &found), tell(&found);
    CALL(by_version, __lxstat, 1, p("l"), &found), tell(&found);
    CALL(by_version, __lxstat64, 1, p("l"), &found), tell(&found);
    CALL(int (*)(int, int, struct stat *), __fxstat, 1, fd, &found), tell(&found);
    CALL(int (*)(int, int, struct stat *), __fxstat64, 1, fd, &found), tell(&found);
    typedef int (*at_version)(int, int, const char *, struct stat *, int);
    CALL(at_version, __fxstatat, 1, AT_FDCWD, p("l"), &found, 0), tell(&found);
    CALL(at_version, __fxstatat64, 1, AT_FDCWD, p("l"), &found, AT_SYMLINK_NOFOLLOW), tell(&found);
    CALL(by_version, __xstat, 1, p("none"), &found);
    CALL(int (*)(const char *, int), eaccess, p("f"), R_OK);
    CALL(int (*)(const char *, int), euidaccess, p("f"), X_OK);
    char target[8] = "";
    typedef ssize_t (*link_checked)(const char *, char *, size_t, size_t);
    CALL(link_checked, __readlink_chk, p("l"), target, 8, sizeof target);
    CALL(ssize_t (*)(int, const char *, char *, size_t, size_t), __readlinkat_chk, AT_FDCWD, p("l"), target, 8, 8);
    say("%s", target);
    struct statfs host = {0}, descriptor = {0};
    CALL(int (*)(const char *, struct statfs *), statfs64, p("f"), &host);
    CALL(int (*)(int, struct statfs *), fstatfs64, fd, &descriptor);
    say("%d %ld", host.f_type == descriptor.f_type, (long)host.f_namelen);
}

// System calls by number: through libc's syscall(), which is one of its call sites like any other.
CASE(bare_system_calls) {
    put(p("f"), "content");
    int fd = MUST(open(p("f"), O_RDWR)), directory = MUST(open(p(""), O_RDONLY | O_DIRECTORY));
    struct stat found = {0};
    TRY(syscall(SYS_newfstatat, AT_FDCWD, p("f"), &found, 0));
    tell(&found);
    TRY(syscall(SYS_newfstatat, fd, "", &found, AT_EMPTY_PATH));
    tell(&found);
    TRY(syscall(SYS_faccessat2, AT_FDCWD, p("f"), R_OK, AT_EACCESS));
    TRY(syscall(SYS_faccessat2, AT_FDCWD, p("none"), F_OK, 0));
    TRY(syscall(SYS_fadvise64, fd, 0, 0, 3));
    TRY(syscall(SYS_fadvise64, fd, 0, 0, 77));
    char entries[512];
    TRY(syscall(SYS_getdents64, directory, entries, 8));
    TRY(syscall(SYS_getdents64, directory, entries, sizeof entries) > 0);
    TRY(syscall(SYS_getdents64, directory, entries, sizeof entries));
    struct timespec now = {0, 0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    TRY(syscall(SYS_pselect6, fd + 1, &set, NULL, NULL, &now, NULL));
    say("%d", FD_ISSET(fd, &set));
    TRY(syscall(SYS_mknodat, AT_FDCWD, p("node"), S_IFREG | 0600, 0));
    TRY(syscall(SYS_mknodat, AT_FDCWD, p("node"), S_IFREG | 0600, 0));
    TRY(syscall(SYS_chroot, p("none")));
    TRY(syscall(SYS_chroot, p("f")));
    TRY(syscall(SYS_chroot, h("none")));
#ifdef SYS_fchmodat2
    TRY(syscall(SYS_fchmodat2, AT_FDCWD, p("none"), 0600, 0) < 0);
#endif
}

CASE(ends_by_exit_group) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    pid_t child = fork();
    if (child == 0) {
        if (write(fd, "before", 6) != 6) _exit(1);
        syscall(SYS_exit_group, 3);
    }
    reap(child);
    show(p("f"));
}

CASE(execveat_by_number) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    pid_t child = fork();
    if (child == 0) {
        MUST(dup2(fd, 1));
        char *const arguments[] = {"echo", "execveat", NULL};
        syscall(SYS_execveat, AT_FDCWD, "/bin/echo", arguments, environ, 0);
        _exit(1);
    }
    reap(child);
    show(p("f"));
}

// libc's threads and spawned processes begin with clone3 where the kernel has it; this is the bare call, as fork.
CASE(clone3_by_number) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    struct { uint64_t flags, pidfd, child, parent, exit_signal, stack, stack_bytes, tls; } how = {.exit_signal = SIGCHLD};
    pid_t child = syscall(SYS_clone3, &how, sizeof how);
    if (child == 0) _exit(write(fd, "child", 5) == 5 ? 0 : 1);
    reap(child);
    TRY(write(fd, " parent", 7));
    show(p("f"));
}

static void expect(bool holds, const char *what) {
    if (!holds) {
        say("%s", what);
        _exit(1);
    }
}

CASE(what_is_refused) { // ours
    put(p("f"), "content");
    char entries[512];
    int directory = MUST(open(p(""), O_RDONLY | O_DIRECTORY));
    expect(syscall(SYS_getdents, directory, entries, sizeof entries) < 0 && errno == EBADF, "getdents: EBADF");
    int watch = MUST(inotify_init());
    expect(inotify_add_watch(watch, p("f"), IN_MODIFY) < 0 && errno == EOPNOTSUPP, "inotify_add_watch: EOPNOTSUPP");
    expect(inotify_add_watch(watch, h(""), IN_MODIFY) > 0, "inotify_add_watch on the host");
    struct { struct file_handle head; char bytes[128]; } handle = {.head.handle_bytes = 128};
    int mount;
    expect(name_to_handle_at(AT_FDCWD, p("f"), &handle.head, &mount, 0) < 0 && errno == EOPNOTSUPP,
           "name_to_handle_at: EOPNOTSUPP");
}

// A child changes its user or group in one way, and is judged by the new one. (Not root: every change is refused alike.)
static void as_another_user(const char *name, int (*change)(void)) {
    pid_t child = fork();
    if (child == 0) {
        say("%s = %d", name, change());
        TRY(open(p("secret"), O_RDONLY));
        _exit(0);
    }
    reap(child);
}

static void as_another_group(const char *name, int (*change)(void)) {
    pid_t child = fork();
    if (child == 0) {
        say("%s = %d", name, change());
        int made = MUST(open(p(name), O_WRONLY | O_CREAT | O_EXCL, 0600));
        struct stat attributes = {0};
        TRY(fstat(made, &attributes));
        say("user %d group %d", attributes.st_uid, attributes.st_gid);
        _exit(0);
    }
    reap(child);
}

#define SOMEBODY 65534

static int by_setuid(void) { return setuid(SOMEBODY); }
static int by_setreuid(void) { return setreuid(-1, SOMEBODY); }
static int by_setresuid(void) { return setresuid(-1, SOMEBODY, -1); }
static int by_setfsuid(void) { return syscall(SYS_setfsuid, SOMEBODY); }
static int by_setgid(void) { return setgid(SOMEBODY); }
static int by_setregid(void) { return setregid(-1, SOMEBODY); }
static int by_setresgid(void) { return setresgid(-1, SOMEBODY, -1); }
static int by_setfsgid(void) { return syscall(SYS_setfsgid, SOMEBODY); }

CASE(changes_of_user) {
    put(p("secret"), "secret");
    MUST(chmod(p("secret"), 0600));
    as_another_user("setuid", by_setuid);
    as_another_user("setreuid", by_setreuid);
    as_another_user("setresuid", by_setresuid);
    as_another_user("setfsuid", by_setfsuid);
    as_another_group("setgid", by_setgid);
    as_another_group("setregid", by_setregid);
    as_another_group("setresgid", by_setresgid);
    as_another_group("setfsgid", by_setfsgid);
}
