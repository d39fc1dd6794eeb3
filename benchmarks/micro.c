/* The measured side of `cargo bench`: an ordinary program, run natively and under Sidestep.
 *
 * `micro GROUP DIRECTORY` prints lines `NAME NANOSECONDS`: the cost of one operation, the fastest of several batches,
 * because on a shared machine everything that disturbs only ever adds. What runs in this process alone is measured in
 * processor time, its own and the kernel's for it: nothing here waits for a device. Every call's result is checked. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SMALL_BYTES = 4096, LARGE_BYTES = 1 << 20, BATCHES = 5 };

static const char *directory;
static char *buffer; /* LARGE_BYTES, page-aligned as I/O libraries have it */

static void fail(const char *what) {
    fprintf(stderr, "micro: %s in %s: %s\n", what, directory, strerror(errno));
    exit(1);
}

static void check(int holds, const char *what) {
    if (!holds) fail(what);
}

static clockid_t clock_used = CLOCK_PROCESS_CPUTIME_ID;

static double now_ns(void) {
    struct timespec time;
    clock_gettime(clock_used, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static char *path(const char *format, ...) {
    static char text[4096];
    int length = snprintf(text, sizeof text, "%s/", directory);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof text - length, format, arguments);
    va_end(arguments);
    return text;
}

static void report(const char *name, double nanoseconds) {
    printf("%s %.2f\n", name, nanoseconds);
}

/* The fastest of some runs of `batch`, in nanoseconds for each of its `count` operations. */
static double fastest_of(int batches, void (*batch)(int, long), int fd, long count) {
    double best = 1e30;
    for (int i = 0; i < batches; i++) {
        double start = now_ns();
        batch(fd, count);
        double each = (now_ns() - start) / count;
        if (each < best) best = each;
    }
    return best;
}

static double fastest(void (*batch)(int, long), int fd, long count) {
    return fastest_of(BATCHES, batch, fd, count);
}

/* Calls that are none of Sidestep's business. */

static void read_bytes(int fd, long count) {
    while (count--) check(read(fd, buffer, 1) == 1, "read of one byte");
}

static void write_bytes(int fd, long count) {
    while (count--) check(write(fd, buffer, 1) == 1, "write of one byte");
}

static void open_null(int fd, long count) {
    (void)fd;
    while (count--) {
        int opened = open("/dev/null", O_RDONLY);
        check(opened >= 0 && close(opened) == 0, "open and close of /dev/null");
    }
}

static void stat_null(int fd, long count) {
    (void)fd;
    struct stat attributes;
    while (count--) check(stat("/dev/null", &attributes) == 0, "stat of /dev/null");
}

static void foreign(void) {
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    check(zero >= 0 && null >= 0, "/dev/zero and /dev/null");
    report("foreign_read", fastest(read_bytes, zero, 400000));
    report("foreign_write", fastest(write_bytes, null, 400000));
    report("foreign_open", fastest(open_null, -1, 40000));
    report("foreign_stat", fastest(stat_null, -1, 100000));
}

/* A process that ends at once. */

static void spawn_true(int fd, long count) {
    (void)fd;
    extern char **environ;
    char *arguments[] = {"true", NULL};
    while (count--) {
        pid_t child;
        int status;
        errno = posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ);
        check(errno == 0, "posix_spawn");
        check(waitpid(child, &status, 0) == child && status == 0, "waitpid");
    }
}

static void spawn(void) {
    clock_used = CLOCK_MONOTONIC; /* the child's start is what costs, not our waiting for it */
    report("spawn", fastest_of(40, spawn_true, -1, 5));
}

/* A file that stays in the cache. */

enum { HOT_BLOCKS = 256 };

static void pread_hot(int fd, long count) {
    for (long i = 0; i < count; i++) {
        /* A stride that visits all blocks in an order that no read-ahead foresees. */
        off_t offset = (off_t)(i * 97 % HOT_BLOCKS) * SMALL_BYTES;
        check(pread(fd, buffer, SMALL_BYTES, offset) == SMALL_BYTES, "pread of 4 KiB");
    }
}

static void open_close(int fd, long count) {
    (void)fd;
    char name[4096];
    strcpy(name, path("hot"));
    while (count--) {
        int opened = open(name, O_RDONLY);
        check(opened >= 0 && close(opened) == 0, "open and close");
    }
}

static void hot(void) {
    int fd = open(path("hot"), O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(fd >= 0, "creating a file");
    for (int i = 0; i < HOT_BLOCKS; i++) {
        memset(buffer, i, SMALL_BYTES);
        check(write(fd, buffer, SMALL_BYTES) == SMALL_BYTES, "write of 4 KiB");
    }
    report("pread_4k_hot", fastest(pread_hot, fd, 100000));
    check(pread(fd, buffer, SMALL_BYTES, 7 * SMALL_BYTES) == SMALL_BYTES && buffer[9] == 7, "reading back");
    report("open_close", fastest(open_close, -1, 40000));
    check(close(fd) == 0 && unlink(path("hot")) == 0, "cleaning up");
}

/* Sequential streams: a fresh file, the same file again, and read back. */

static double stream(int fd, size_t step, long count, ssize_t (*call)(int, void *, size_t)) {
    check(lseek(fd, 0, SEEK_SET) == 0, "lseek");
    double start = now_ns();
    for (long i = 0; i < count; i++) check(call(fd, buffer, step) == (ssize_t)step, "a sequential call");
    return (now_ns() - start) / count;
}

static ssize_t write_call(int fd, void *bytes, size_t size) {
    return write(fd, bytes, size);
}

static void streams(const char *size, size_t step, long count) {
    double fresh = 1e30, overwrite = 1e30, back = 1e30;
    char name[64];
    for (int i = 0; i < BATCHES; i++) {
        int fd = open(path("stream"), O_RDWR | O_CREAT | O_TRUNC, 0644);
        check(fd >= 0, "creating a file");
        memset(buffer, 'a' + i, LARGE_BYTES);
        double each = stream(fd, step, count, write_call);
        if (each < fresh) fresh = each;
        memset(buffer, 'A' + i, LARGE_BYTES);
        each = stream(fd, step, count, write_call);
        if (each < overwrite) overwrite = each;
        memset(buffer, 0, LARGE_BYTES);
        each = stream(fd, step, count, read);
        if (each < back) back = each;
        check(buffer[0] == 'A' + i && buffer[step - 1] == 'A' + i, "reading back");
        check(close(fd) == 0 && unlink(path("stream")) == 0, "cleaning up");
    }
    snprintf(name, sizeof name, "write_%s_fresh", size);
    report(name, fresh);
    snprintf(name, sizeof name, "write_%s_again", size);
    report(name, overwrite);
    snprintf(name, sizeof name, "read_%s", size);
    report(name, back);
}

/* A file of 4 MiB that is written over and over, as logs and checkpoints of small codes are. */
static void write_over(int fd, long count) {
    for (long i = 0; i < count; i++) {
        if (i % 1024 == 0) check(lseek(fd, 0, SEEK_SET) == 0, "lseek");
        check(write(fd, buffer, SMALL_BYTES) == SMALL_BYTES, "write of 4 KiB");
    }
}

static void small(void) {
    streams("4k", SMALL_BYTES, 8192);
    int fd = open(path("over"), O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(fd >= 0, "creating a file");
    write_over(fd, 2 * 1024);
    report("write_4k_over", fastest(write_over, fd, 20 * 1024));
    check(close(fd) == 0 && unlink(path("over")) == 0, "cleaning up");
}

static void large(void) {
    streams("1m", LARGE_BYTES, 128);
}

/* mdtest's pattern: many small files in one directory, a phase at a time. */

enum { FILES = 10000, FILE_BYTES = 3901 };

static void phases(void) {
    static char *names[FILES]; /* made beforehand: printing a name costs as much as a fast stat */
    static const char *const told[] = {"create_write_close", "stat", "open_read_close", "unlink"};
    double best[] = {1e30, 1e30, 1e30, 1e30};
    struct stat attributes;
    for (int i = 0; i < FILES; i++) check((names[i] = strdup(path("many/file.%d", i))) != NULL, "memory");
    for (int batch = 0; batch < BATCHES; batch++) {
        double at[5];
        check(mkdir(path("many"), 0755) == 0, "mkdir");
        at[0] = now_ns();
        for (int i = 0; i < FILES; i++) {
            int fd = open(names[i], O_WRONLY | O_CREAT | O_EXCL, 0644);
            check(fd >= 0 && write(fd, buffer, FILE_BYTES) == FILE_BYTES && close(fd) == 0, "creating a file");
        }
        at[1] = now_ns();
        for (int i = 0; i < FILES; i++)
            check(stat(names[i], &attributes) == 0 && attributes.st_size == FILE_BYTES, "stat");
        at[2] = now_ns();
        for (int i = 0; i < FILES; i++) {
            int fd = open(names[i], O_RDONLY);
            check(fd >= 0 && read(fd, buffer, FILE_BYTES) == FILE_BYTES && close(fd) == 0, "reading a file");
        }
        at[3] = now_ns();
        for (int i = 0; i < FILES; i++) check(unlink(names[i]) == 0, "unlink");
        at[4] = now_ns();
        check(rmdir(path("many")) == 0, "rmdir");
        for (int phase = 0; phase < 4; phase++) {
            double each = (at[phase + 1] - at[phase]) / FILES;
            if (each < best[phase]) best[phase] = each;
        }
    }
    for (int phase = 0; phase < 4; phase++) report(told[phase], best[phase]);
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        void (*run)(void);
    } groups[] = {{"foreign", foreign}, {"spawn", spawn}, {"hot", hot},
                  {"small", small},     {"large", large}, {"mdtest", phases}};
    if (count != 3) {
        fprintf(stderr, "usage: micro GROUP DIRECTORY\n");
        return 2;
    }
    directory = arguments[2];
    buffer = aligned_alloc(SMALL_BYTES, LARGE_BYTES);
    check(buffer != NULL, "memory");
    memset(buffer, 'x', LARGE_BYTES);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (strcmp(groups[i].name, arguments[1]) == 0) {
            groups[i].run();
            return 0;
        }
    fprintf(stderr, "micro: no group %s\n", arguments[1]);
    return 2;
}
