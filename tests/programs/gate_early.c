// A library whose constructor may run before Sidestep's: it starts a thread if it is asked to, which sleeps, or else runs
// through libc's calls without an end; and it does files. These start Sidestep, so the thread comes first.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *wait_forever(void *unused) {
    for (;;) pause();
    return unused;
}

// Calls that the gate rewrites, and that are no doors.
static void *call_forever(void *unused) {
    struct rlimit limit;
    for (;;) {
        int fd = eventfd(1, 0);
        if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit)) abort();
        syscall(SYS_close, fd);
    }
    return unused;
}

__attribute__((constructor)) static void early(void) {
    char bytes[4];
    struct stat status;
    pthread_t thread;
    const char *kind = getenv("GATE_EARLY_THREAD");
    if (kind) pthread_create(&thread, NULL, kind[0] == 'a' ? wait_forever : call_forever, NULL);
    if (kind) usleep(1000);
    int fd = open("/dev/zero", O_RDONLY);
    ssize_t got = read(fd, bytes, sizeof bytes);
    got += pread(fd, bytes, sizeof bytes, 0);
    int failed = fstat(fd, &status) | stat("/", &status) | access("/", F_OK) | close(fd);
    fprintf(stderr, "early: %zd %d\n", got, failed);
}
