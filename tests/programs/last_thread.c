// The end of a process whose first thread ends before the others, and what the others find meanwhile.
#include "case.h"
#include <sys/statfs.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void at_exit(void) { say("at exit: size %ld", (long)lseek(9, 0, SEEK_END)); }

static void write_file(const char *name, bool is_closed) {
    int fd = open(p(name), O_CREAT | O_RDWR, 0600);
    if (fd < 0 || write(fd, "written\n", 8) != 8) _exit(3);
    // The handler looks at it, if it is left open.
    if (dup2(fd, 9) != 9) _exit(4);
    close(fd);
    if (is_closed) close(9);
}

// Waits until a process's first thread is gone and the others go on: the kernel calls it a zombie then.
static void await_end_of_first(int process) {
    char path[64], state[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    for (double start = now(); now() - start < 60; usleep(1000)) {
        int fd = open(path, O_RDONLY);
        long length = read(fd, state, sizeof state - 1);
        close(fd);
        if (length < 0) return;
        state[length] = 0;
        char *name_end = strrchr(state, ')');
        if (name_end && name_end[2] == 'Z') return;
    }
}

// Runs it in a child, which has to end soon, and says how it ended and what it left.
static void watch(const char *name, void (*run)(const char *), int signal) {
    int child = fork(), status = 0;
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        atexit(at_exit);
        run(name);
        _exit(5);
    }
    if (signal) {
        await_end_of_first(child);
        kill(child, signal);
    }
    double start = now();
    while (waitpid(child, &status, WNOHANG) == 0 && now() - start < 10) usleep(1000);
    bool is_in_time = now() - start < 5;
    if (!is_in_time) kill(child, SIGKILL);
    char bytes[100] = "";
    int fd = open(p(name), O_RDONLY);
    long length = read(fd, bytes, sizeof bytes - 1);
    close(fd);
    say("%s: status %d, in time %d, %ld bytes: %s", name, status, is_in_time, length, length > 0 ? bytes : "");
}

static void closes(const char *name) {
    write_file(name, true);
    pthread_exit(NULL);
}

static void leaves_open(const char *name) {
    write_file(name, false);
    pthread_exit(NULL);
}

static void *write_later(void *name) {
    usleep(100000);
    write_file(name, false);
    return NULL;
}

static void other_writes(const char *name) {
    pthread_t thread;
    pthread_create(&thread, NULL, write_later, (void *)name);
    pthread_exit(NULL);
}

static void after_a_program(const char *name) {
    write_file(name, false);
    if (system("true")) _exit(6);
    pthread_exit(NULL);
}

static void *wait_for_ever(void *unused) {
    for (;;) pause();
    return unused;
}

static void waits(const char *name) {
    pthread_t thread;
    write_file(name, true);
    pthread_create(&thread, NULL, wait_for_ever, NULL);
    pthread_exit(NULL);
}

static void *take_signal(void *set) {
    int signal = 0;
    sigwait(set, &signal);
    say("taken %d", signal);
    return NULL;
}

static void takes_signal(const char *name) {
    static sigset_t set;
    pthread_t thread;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    write_file(name, false);
    pthread_create(&thread, NULL, take_signal, &set);
    pthread_exit(NULL);
}

CASE(ends_with_the_programs_last_thread) {
    watch("closed", closes, 0);
    watch("open", leaves_open, 0);
    watch("other", other_writes, 0);
    watch("program", after_a_program, 0);
}

CASE(signals_find_no_thread_of_ours) {
    watch("terminated", waits, SIGTERM);
    watch("killed", waits, SIGKILL);
    watch("taken", takes_signal, SIGTERM);
}

static int opened = -1;

static void *go_on(void *unused) {
    struct stat status;
    struct statfs space;
    char bytes[8];
    usleep(100000);
    TRY(stat("/etc/passwd", &status));
    TRY(open("/etc/passwd", O_RDONLY) < 0);
    TRY(stat(p(""), &status));
    int fd = open(p("new"), O_CREAT | O_RDWR, 0600);
    TRY(fd < 0);
    TRY(write(fd, "abc", 3));
    TRY(pread(opened >= 0 ? opened : fd, bytes, 3, 0));
    TRY(open(p("new"), O_RDWR) < 0);
    TRY(dup(fd) < 0);
    TRY(rename(p("new"), p("renamed")));
    TRY(statfs(p(""), &space));
    TRY(mkdir(p("directory"), 0700));
    DIR *directory = opendir(p("directory"));
    TRY(directory == NULL);
    TRY(openat(dirfd(directory), "inside", O_CREAT | O_RDWR, 0600) < 0);
    TRY(chdir(p("directory")));
    TRY(open("relative", O_CREAT | O_RDWR, 0600) < 0);
    TRY(access("relative", F_OK));
    TRY(chdir("/tmp"));
    TRY(open(".", O_RDONLY) < 0);
    TRY(access(p("renamed"), F_OK));
    int child = fork();
    if (child == 0) {
        TRY(open(p("renamed"), O_RDWR) < 0);
        TRY(read(fd, bytes, 1));
        _exit(0);
    }
    int ended;
    waitpid(child, &ended, 0);
    say("child %d, program %d", ended, system("true"));
    exit(0);
    return unused;
}

// Threads that go on when `main` has ended: nothing depends on it.
CASE(others_go_on_and_touch_it_first) {
    pthread_t thread;
    pthread_create(&thread, NULL, go_on, NULL);
    pthread_exit(NULL);
}

CASE(others_go_on) {
    pthread_t thread;
    opened = open(p("first"), O_CREAT | O_RDWR, 0600);
    if (write(opened, "xyz", 3) != 3) _exit(3);
    pthread_create(&thread, NULL, go_on, NULL);
    pthread_exit(NULL);
}
