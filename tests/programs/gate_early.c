// A library whose constructor may run before Sidestep's: it does files, and starts a thread if it is asked to.
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

__attribute__((constructor)) static void early(void) {
    char bytes[4];
    struct stat status;
    int fd = open("/dev/zero", O_RDONLY);
    ssize_t got = read(fd, bytes, sizeof bytes);
    got += pread(fd, bytes, sizeof bytes, 0);
    int failed = fstat(fd, &status) | stat("/", &status) | access("/", F_OK) | close(fd);
    fprintf(stderr, "early: %zd %d\n", got, failed);
    pthread_t thread;
    if (getenv("GATE_EARLY_THREAD")) pthread_create(&thread, NULL, wait_forever, NULL);
}
