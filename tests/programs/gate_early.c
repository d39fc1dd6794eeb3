// A library whose constructor may run before Sidestep's: it does files, and starts a thread if it is asked to, which
// sleeps, or else reads and opens without an end.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void *wait_forever(void *unused) {
    for (;;) pause();
    return unused;
}

static void *read_forever(void *unused) {
    char byte;
    for (;;) {
        int fd = open("/dev/zero", O_RDONLY);
        for (int i = 0; i < 100; i++)
            if (read(fd, &byte, 1) != 1) abort();
        close(fd);
    }
    return unused;
}

__attribute__((constructor)) static void early(void) {
    char bytes[4];
    struct stat status;
    int fd = open("/dev/zero", O_RDONLY);
    ssize_t got = read(fd, bytes, sizeof bytes);
    got += pread(fd, bytes, sizeof bytes, 0);
    int failed = fstat(fd, &status) | stat("/", &status) | access("/", F_OK) | close(fd);
    fprintf(stderr, "early: %zd %d\n", got, failed);
    pthread_t thread;
    const char *kind = getenv("GATE_EARLY_THREAD");
    if (kind) pthread_create(&thread, NULL, kind[0] == 'a' ? wait_forever : read_forever, NULL);
    if (kind) usleep(1000);
}
