// What is not built yet says so, with one errno each. These run under Sidestep alone: the kernel could do them.
#include "case.h"
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/xattr.h>

static int failures;

#define EXPECT(expression, wanted)                                              \
    do {                                                                        \
        errno = 0;                                                              \
        long answer_ = (long)(expression);                                      \
        if (answer_ != -1 || errno != (wanted)) {                               \
            say("%s = %ld %s, not %s", #expression, answer_, strerrorname_np(errno), #wanted); \
            failures = 1;                                                       \
        }                                                                       \
    } while (0)

static int file(void) {
    put(p("f"), "#!/bin/sh\necho run\n");
    MUST(chmod(p("f"), 0755));
    return MUST(open(p("f"), O_RDWR));
}

CASE(mmap_of_ours) { // ours
    int fd = file();
    EXPECT(mmap(NULL, 10, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
    EXPECT(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
    EXPECT(mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096), ENODEV);
    if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, fd, 0) == MAP_FAILED) failures = 1;
    exit(failures);
}

CASE(exec_of_ours) { // ours
    int fd = file();
    char *arguments[] = {"f", NULL}, *environment[] = {NULL};
    EXPECT(execve(p("f"), arguments, environment), EACCES);
    EXPECT(fexecve(fd, arguments, environment), EACCES);
    MUST(chdir(p("")));
    EXPECT(execv("./f", arguments), EACCES);
    MUST(symlink(p("f"), h("l")));
    EXPECT(execv(h("l"), arguments), EACCES);
    // A script of the host whose interpreter is ours fails too, and the process lives on.
    show("f");
    exit(failures);
}

CASE(locks) { // ours
    int fd = file();
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    EXPECT(flock(fd, LOCK_EX), ENOSYS);
    EXPECT(flock(fd, LOCK_SH | LOCK_NB), ENOSYS);
    EXPECT(fcntl(fd, F_SETLK, &lock), ENOSYS);
    EXPECT(fcntl(fd, F_SETLKW, &lock), ENOSYS);
    EXPECT(fcntl(fd, F_GETLK, &lock), ENOSYS);
    lock.l_pid = 0;
    EXPECT(fcntl(fd, F_OFD_SETLK, &lock), ENOSYS);
    EXPECT(fcntl(fd, F_OFD_SETLKW, &lock), ENOSYS);
    EXPECT(lockf(fd, F_LOCK, 10), ENOSYS);
    exit(failures);
}

CASE(extended_attributes) { // ours
    int fd = file();
    char buffer[100];
    EXPECT(setxattr(p("f"), "user.a", "v", 1, 0), EOPNOTSUPP);
    EXPECT(lsetxattr(p("f"), "user.a", "v", 1, 0), EOPNOTSUPP);
    EXPECT(fsetxattr(fd, "user.a", "v", 1, 0), EOPNOTSUPP);
    EXPECT(getxattr(p("f"), "user.a", buffer, 100), EOPNOTSUPP);
    EXPECT(lgetxattr(p("f"), "user.a", buffer, 100), EOPNOTSUPP);
    EXPECT(fgetxattr(fd, "user.a", buffer, 100), EOPNOTSUPP);
    EXPECT(removexattr(p("f"), "user.a"), EOPNOTSUPP);
    EXPECT(lremovexattr(p("f"), "user.a"), EOPNOTSUPP);
    EXPECT(fremovexattr(fd, "user.a"), EOPNOTSUPP);
    ssize_t lists[] = {listxattr(p("f"), buffer, 100), llistxattr(p("f"), buffer, 100), flistxattr(fd, buffer, 100)};
    for (int i = 0; i < 3; i++)
        if (lists[i] != 0 && !(lists[i] == -1 && errno == EOPNOTSUPP)) failures = 1;
    exit(failures);
}

// What is wrong with a name, whatever the container keeps.
CASE(names_of_extended_attributes) { // ours
    int fd = file();
    char name[300] = "user.";
    memset(name + 5, 'x', 251);
    EXPECT(setxattr(p("f"), "plain", "v", 1, 0), EOPNOTSUPP);
    EXPECT(fsetxattr(fd, "other.a", "v", 1, 0), EOPNOTSUPP);
    EXPECT(lsetxattr(p("f"), "system.a", "v", 1, 0), EOPNOTSUPP);
    EXPECT(getxattr(p("f"), "userx", name, 0), EOPNOTSUPP);
    EXPECT(removexattr(p("f"), "plain"), EOPNOTSUPP);
    EXPECT(setxattr(p("f"), "user.", "v", 1, 0), EINVAL);
    EXPECT(fgetxattr(fd, "user.", name, 0), EINVAL);
    EXPECT(setxattr(p("f"), "", "v", 1, 0), ERANGE);
    EXPECT(setxattr(p("f"), name, "v", 1, 0), ERANGE);
    EXPECT(setxattr(p("f"), "user.a", "v", 1, 8), EINVAL);
    EXPECT(setxattr(p("none"), "plain", "v", 1, 0), ENOENT);
    exit(failures);
}

CASE(hard_links) { // ours
    int fd = file();
    EXPECT(link(p("f"), p("g")), EPERM);
    EXPECT(linkat(AT_FDCWD, p("f"), AT_FDCWD, p("g"), 0), EPERM);
    EXPECT(linkat(AT_FDCWD, p("f"), AT_FDCWD, p("g"), AT_SYMLINK_FOLLOW), EPERM);
    EXPECT(link(p("none"), p("g")), ENOENT);
    EXPECT(link(p("f"), h("g")), EXDEV);
    put(h("host"), "x");
    EXPECT(link(h("host"), p("g")), EXDEV);
    close(fd);
    exit(failures);
}

// The prefix is another file system, as a mounted one is.
CASE(across_the_border) { // ours
    int fd = file(), directory = MUST(open(h(""), O_RDONLY | O_DIRECTORY));
    put(h("host"), "host");
    MUST(mkdir(p("d"), 0755));
    EXPECT(rename(p("f"), h("x")), EXDEV);
    EXPECT(rename(h("host"), p("x")), EXDEV);
    EXPECT(rename(p("d"), h("x")), EXDEV);
    EXPECT(rename(p("none"), h("x")), EXDEV);
    EXPECT(rename(h("none"), p("x")), EXDEV);
    EXPECT(link(p("f"), h("host")), EEXIST);
    EXPECT(link(h("host"), p("f")), EEXIST);
    EXPECT(renameat(AT_FDCWD, p("f"), directory, "x"), EXDEV);
    EXPECT(rmdir(p("")), EBUSY);
    EXPECT(mkdir(p(""), 0755), EEXIST);
    show(p("f"));
    show(h("host"));
    close(fd);
    exit(failures);
}

CASE(special_files) { // ours
    EXPECT(mkfifo(p("fifo"), 0644), EPERM);
    EXPECT(mknod(p("node"), S_IFCHR | 0644, 0x103), EPERM);
    EXPECT(mknod(p("socket"), S_IFSOCK | 0644, 0), EPERM);
    MUST(mknod(p("plain"), S_IFREG | 0644, 0));
    show(p("plain"));
    exit(failures);
}

CASE(unnamed_temporary) { // ours
    EXPECT(open(p(""), O_TMPFILE | O_RDWR, 0600), EOPNOTSUPP);
    exit(failures);
}

CASE(kernel_aio) { // ours
    int fd = file();
    unsigned long context = 0;
    MUST(syscall(SYS_io_setup, 4, &context));
    struct { uint64_t data; uint32_t key, flags; uint16_t opcode; int16_t priority; uint32_t fd; uint64_t buffer, bytes;
        int64_t offset; uint64_t reserved; uint32_t more, event; } block = {.opcode = 0, .fd = fd, .bytes = 4};
    char buffer[4];
    block.buffer = (uintptr_t)buffer;
    void *blocks[] = {&block};
    long answer = syscall(SYS_io_submit, context, 1, blocks);
    if (answer != -1 || (errno != EBADF && errno != EINVAL)) {
        say("io_submit = %ld %s", answer, strerrorname_np(errno));
        failures = 1;
    }
    exit(failures);
}
