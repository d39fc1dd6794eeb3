// Pointers to nowhere, impossible lengths, wrong kinds: an errno, never a crash.
#include "case.h"
#include <sys/sendfile.h>
#include <sys/statfs.h>

static void *const KERNEL = (void *)0xffff800000000000;
#define NOWHERE ((void *)8)

CASE(null_and_kernel_buffers) {
    put(p("f"), "0123456789");
    int fd = MUST(open(p("f"), O_RDWR));
    void *bad[] = {NULL, NOWHERE, KERNEL};
    for (int i = 0; i < 3; i++) {
        say("pointer %d", i);
        TRY(read(fd, bad[i], 5));
        TRY(pread(fd, bad[i], 5, 0));
        TRY(write(fd, bad[i], 5));
        TRY(pwrite(fd, bad[i], 5, 0));
        TRY(read(fd, bad[i], 0));
        TRY(pread(fd, bad[i], 5, 100));
        TRY(writev(fd, bad[i], 1));
        TRY(readv(fd, bad[i], 1));
        TRY(readv(fd, (struct iovec[]){{bad[i], 5}}, 1));
        TRY(pwritev(fd, (struct iovec[]){{bad[i], 5}}, 1, 0));
        TRY(syscall(SYS_newfstatat, fd, "", bad[i], AT_EMPTY_PATH));
        TRY(syscall(SYS_fstat, fd, bad[i]));
        TRY(syscall(SYS_stat, p("f"), bad[i]));
        TRY(syscall(SYS_statx, AT_FDCWD, p("f"), 0, STATX_SIZE, bad[i]));
        TRY(syscall(SYS_readlink, p("f"), bad[i], 10));
        TRY(syscall(SYS_getcwd, bad[i], 100));
        TRY(syscall(SYS_open, bad[i], O_RDONLY));
        TRY(syscall(SYS_openat, fd, bad[i], O_RDONLY, 0));
        TRY(syscall(SYS_mkdir, bad[i], 0755));
        TRY(syscall(SYS_rename, p("f"), bad[i]));
        TRY(syscall(SYS_unlink, bad[i]));
        TRY(syscall(SYS_truncate, bad[i], 0));
        TRY(syscall(SYS_chdir, bad[i]));
        TRY(syscall(SYS_symlink, bad[i], p("l")));
        TRY(syscall(SYS_symlink, p("l"), bad[i]));
        TRY(syscall(SYS_access, bad[i], F_OK));
        TRY(syscall(SYS_statfs, p("f"), bad[i]));
        TRY(syscall(SYS_openat2, AT_FDCWD, p("f"), bad[i], 24));
        if (bad[i]) TRY(syscall(SYS_utimensat, AT_FDCWD, p("f"), bad[i], 0));
        if (bad[i]) TRY(syscall(SYS_sendfile, 1, fd, bad[i], 1));
        if (bad[i]) TRY(syscall(SYS_copy_file_range, fd, bad[i], fd, NULL, 1, 0));
    }
    int directory = MUST(open(p(""), O_RDONLY | O_DIRECTORY));
    for (int i = 0; i < 3; i++) TRY(syscall(SYS_getdents64, directory, bad[i], 1000));
    say("at %ld", (long)lseek(fd, 0, SEEK_CUR));
    show(p("f"));
}

CASE(impossible_lengths) {
    put(p("f"), "0123456789");
    int fd = MUST(open(p("f"), O_RDWR));
    static char buffer[100];
    // Through a volatile, so that the compiler does not reason about them.
    volatile size_t lengths[] = {(size_t)SSIZE_MAX + 1, (size_t)-1};
    for (int i = 0; i < 2; i++) {
        TRY(syscall(SYS_read, fd, buffer, lengths[i]));
        TRY(syscall(SYS_write, fd, buffer, lengths[i]));
        TRY(syscall(SYS_pread64, fd, buffer, lengths[i], 0));
        TRY(syscall(SYS_pwrite64, fd, buffer, lengths[i], 0));
        TRY(readv(fd, (struct iovec[]){{buffer, lengths[i]}}, 1));
        TRY(writev(fd, (struct iovec[]){{buffer, lengths[i]}}, 1));
    }
    // A read may be longer than what is there; the buffer is as long as what is there.
    TRY(syscall(SYS_pread64, fd, buffer, (size_t)1 << 40, 0));
    TRY(syscall(SYS_pread64, fd, buffer, (size_t)SSIZE_MAX, 5));
    TRY(syscall(SYS_copy_file_range, fd, NULL, fd, NULL, (size_t)-1, 0));
    TRY(syscall(SYS_sendfile, fd, fd, NULL, (size_t)-1) < 0 ? -1 : 0);
    show(p("f"));
}

CASE(wrong_kinds) {
    put(p("f"), "x");
    MUST(mkdir(p("d"), 0755));
    int f = MUST(open(p("f"), O_RDWR)), d = MUST(open(p("d"), O_RDONLY));
    struct stat st;
    char buffer[100];
    TRY(openat(f, "x", O_RDONLY));
    TRY(mkdirat(f, "x", 0755));
    TRY(fchdir(f));
    TRY(open(p("f/"), O_RDONLY));
    TRY(open(p("f/x"), O_CREAT | O_RDWR, 0644));
    TRY(mkdir(p("f/x"), 0755));
    TRY(mkdir(p("f"), 0755));
    TRY(mkdir(p("d"), 0755));
    TRY(mkdir(p("d/"), 0755));
    TRY(mkdir(p("d/."), 0755));
    TRY(mkdir(p("new/"), 0755));
    TRY(rmdir(p("f")));
    TRY(rmdir(p("d/.")));
    TRY(rmdir(p("d/..")));
    TRY(unlink(p("d")));
    TRY(unlink(p("f/")));
    TRY(open(p("d"), O_WRONLY));
    TRY(open(p("d"), O_RDWR));
    TRY(open(p("d"), O_RDONLY | O_CREAT, 0644));
    TRY(open(p("d"), O_RDONLY | O_TRUNC));
    TRY(truncate(p("d"), 0));
    TRY(read(d, buffer, 10));
    TRY(write(d, buffer, 10));
    TRY(lseek(d, 0, SEEK_END) < 0);
    TRY(readlink(p("f"), buffer, 10));
    TRY(readlink(p("d"), buffer, 10));
    TRY(syscall(SYS_getdents64, f, buffer, 100));
    TRY(fchmodat(AT_FDCWD, p("f"), 0644, 0x800000));
    TRY(unlinkat(AT_FDCWD, p("f"), 0x10));
    TRY(fstatat(AT_FDCWD, p("f"), &st, 0x20000));
    TRY(faccessat(AT_FDCWD, p("f"), F_OK, 0x8000));
    TRY(ioctl(f, 0x12345678, buffer));
    TRY(fcntl(f, F_GETPIPE_SZ));
    TRY(openat(AT_FDCWD, p("f"), O_RDONLY | O_DIRECTORY));
    TRY(open(p("f"), O_RDONLY | O_CREAT | O_DIRECTORY, 0644));
    TRY(lseek(f, 0, 100));
}

CASE(bad_descriptors) {
    char buffer[10];
    struct stat st;
    put(p("f"), "x");
    int fds[] = {-1, 700, 1 << 20, (1 << 20) + 5, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 6; i++) {
        int fd = fds[i];
        TRY(read(fd, buffer, 1));
        TRY(write(fd, buffer, 1));
        TRY(pread(fd, buffer, 1, 0));
        TRY(lseek(fd, 0, SEEK_CUR));
        TRY(fstat(fd, &st));
        TRY(close(fd));
        TRY(dup(fd));
        TRY(ftruncate(fd, 0));
        TRY(fsync(fd));
        TRY(fcntl(fd, F_GETFL));
        TRY(ioctl(fd, FIOCLEX));
        TRY(fchdir(fd));
        TRY(openat(fd, "f", O_RDONLY));
        TRY(readv(fd, NULL, 0));
        TRY(fallocate(fd, 0, 0, 1));
        TRY(syscall(SYS_getdents64, fd, buffer, 10));
        TRY(copy_file_range(fd, NULL, fd, NULL, 1, 0));
        TRY(sendfile(1, fd, NULL, 1));
    }
}
