// Signals interrupt and restart calls as the kernel says, and strike anywhere without harm.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static int pipe_ends[2];
static volatile sig_atomic_t caught;

static void count(int signal) {
    (void)signal;
    caught++;
}

// A handler that does files itself, on a small stack of its own.
static void use_files(int signal) {
    struct stat status;
    int before = errno;
    (void)signal;
    int fd = open("/dev/null", O_WRONLY);
    if (fd < 0 || write(fd, "x", 1) != 1 || stat("/", &status) != 0 || close(fd) != 0) _exit(9);
    errno = before;
    caught++;
}

static void feed(int signal) {
    (void)signal;
    if (write(pipe_ends[1], "f", 1) != 1) _exit(8);
    caught++;
}

static void handle(int signal, void (*handler)(int), int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigaction(signal, &action, NULL);
}

static void alarm_after(long microseconds, long every) {
    struct itimerval timer = {{0, every}, {0, microseconds}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

int main(void) {
    char byte;
    if (pipe(pipe_ends) != 0) return 1;

    handle(SIGALRM, count, 0);
    alarm_after(20000, 0);
    ssize_t got = read(pipe_ends[0], &byte, 1);
    printf("without SA_RESTART: %zd %s\n", got, strerror(errno));

    handle(SIGALRM, feed, SA_RESTART);
    alarm_after(20000, 0);
    got = read(pipe_ends[0], &byte, 1);
    printf("with SA_RESTART: %zd %c\n", got, byte);

    handle(SIGALRM, feed, SA_RESTART);
    alarm_after(20000, 0);
    FILE *stream = fdopen(pipe_ends[0], "r");
    setvbuf(stream, NULL, _IONBF, 0);
    printf("getc with SA_RESTART: %c\n", getc(stream));

    static char stack[16384];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    handle(SIGALRM, use_files, SA_RESTART | SA_ONSTACK);
    caught = 0;
    alarm_after(200, 200);
    long failed = 0;
    for (long round = 0; round < 40000 || caught < 50; round++) {
        struct stat status;
        int fd = open("/dev/zero", O_RDONLY);
        failed += fd < 0 || read(fd, &byte, 1) != 1 || fstat(fd, &status) != 0 || close(fd) != 0;
        errno = 0;
        failed += access("/nowhere/at/all", F_OK) != -1 || errno != ENOENT;
    }
    alarm_after(0, 0);
    printf("under a storm: %ld failed, %d\n", failed, caught >= 50);
    return 0;
}
