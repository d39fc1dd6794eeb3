// pthread_cancel strikes threads that are blocked in libc's calls, or about to be; their cleanup handlers run.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int pipe_ends[2];
static char fifo[64];
static int cleaned;
static atomic_int on_the_way;

static void clean(void *unused) {
    (void)unused;
    cleaned++;
}

static void *do_read(void *unused) {
    char byte;
    pthread_cleanup_push(clean, unused);
    atomic_store(&on_the_way, 1);
    if (read(pipe_ends[0], &byte, 1) >= 0) puts("read came back");
    pthread_cleanup_pop(0);
    return NULL;
}

static void *do_fread(void *unused) {
    char byte;
    pthread_cleanup_push(clean, unused);
    FILE *stream = fdopen(dup(pipe_ends[0]), "r");
    if (fread(&byte, 1, 1, stream) == 1) puts("fread came back");
    pthread_cleanup_pop(0);
    return NULL;
}

static void *do_open(void *unused) {
    pthread_cleanup_push(clean, unused);
    atomic_store(&on_the_way, 1);
    if (open(fifo, O_RDONLY) >= 0) puts("open came back");
    pthread_cleanup_pop(0);
    return NULL;
}

static void *do_poll(void *unused) {
    struct pollfd entry = {pipe_ends[0], POLLIN, 0};
    pthread_cleanup_push(clean, unused);
    if (poll(&entry, 1, -1) >= 0) puts("poll came back");
    pthread_cleanup_pop(0);
    return NULL;
}

// Opens, stats and closes without an end: the cancellation arrives in the middle of anything.
static void *do_files(void *unused) {
    struct stat status;
    pthread_cleanup_push(clean, unused);
    for (;;) {
        int fd = open("/dev/null", O_RDWR);
        if (fd >= 0) {
            if (write(fd, "x", 1) != 1 || fstat(fd, &status) != 0) puts("a call failed");
            close(fd);
        }
    }
    pthread_cleanup_pop(0);
    return NULL;
}

// A thread that does not want to be cancelled reads on, and is cancelled when it allows it.
static void *do_disabled(void *unused) {
    int state;
    char byte;
    pthread_cleanup_push(clean, unused);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    ssize_t got = read(pipe_ends[0], &byte, 1);
    printf("disabled: read %zd\n", got);
    pthread_setcancelstate(state, NULL);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    puts("not cancelled");
    return NULL;
}

static void cancel(const char *name, void *(*body)(void *), useconds_t after) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, body, NULL);
    usleep(after);
    pthread_cancel(thread);
    if (body == do_disabled) {
        usleep(20000);
        if (write(pipe_ends[1], "x", 1) != 1) puts("write failed");
    }
    pthread_join(thread, &result);
    if (body != do_disabled && result != PTHREAD_CANCELED) puts("ended without being cancelled");
    if (name) printf("%s: %s, %d cleaned\n", name, result == PTHREAD_CANCELED ? "cancelled" : "finished", cleaned);
}

// Cancels a thread that is just on its way into the call: neither before nor inside it may the cancellation be lost.
static void cancel_at_once(void *(*body)(void *), int spins) {
    pthread_t thread;
    void *result;
    atomic_store(&on_the_way, 0);
    pthread_create(&thread, NULL, body, NULL);
    while (!atomic_load(&on_the_way)) sched_yield();
    for (volatile int i = 0; i < spins; i++) continue;
    pthread_cancel(thread);
    pthread_join(thread, &result);
    if (result != PTHREAD_CANCELED) puts("ended without being cancelled");
}

int main(void) {
    snprintf(fifo, sizeof fifo, "/tmp/gate_cancel.%d", getpid());
    if (pipe(pipe_ends) != 0 || mkfifo(fifo, 0600) != 0) return 1;
    cancel("read", do_read, 20000);
    cancel("fread", do_fread, 20000);
    cancel("open", do_open, 20000);
    cancel("poll", do_poll, 20000);
    cancel("files", do_files, 20000);
    cancel("disabled", do_disabled, 20000);
    for (int round = 0; round < 400; round++) cancel(NULL, round % 2 ? do_read : do_open, round % 40);
    for (int round = 0; round < 400; round++) cancel(NULL, do_files, 50 + round % 40);
    for (int round = 0; round < 1000; round++) cancel_at_once(round % 2 ? do_read : do_open, round / 2 % 400);
    printf("1800 rounds, %d cleaned\n", cleaned > 1500);
    unlink(fifo);
    return 0;
}
