// Very many open files, and none left to open.
#include "case.h"
#include <spawn.h>

extern char **environ;

enum { MANY = 10000, NAMES = 300 };

static void open_many(int *files, int count, int flags) {
    struct rlimit limit = {MANY + 2000, MANY + 2000};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    char name[32];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "m%d", i % NAMES);
        files[i] = MUST(open(p(name), O_RDWR | O_CREAT | flags, 0644));
    }
    MUST(write(files[count - 1], "the last one's text\n", 20));
    MUST(lseek(files[count - 1], 4, SEEK_SET));
}

static long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void spawn_cat(int input) {
    char *arguments[] = {"cat", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    pid_t child = -1;
    // The child writes to the same place, at any time from here on.
    int error = posix_spawn(&child, "/bin/cat", &actions, NULL, arguments, environ);
    reap(child);
    say("posix_spawn: %d", error);
}

// On a busy machine a fork may take long at times, but not each of them, as it did when it grew with the square.
static void fork_and_spawn(int flags) {
    static int files[MANY];
    open_many(files, MANY, flags);
    long shortest = 1000000;
    for (int i = 0; i < 8; i++) {
        long begin = milliseconds();
        pid_t child = MUST(fork());
        if (child == 0) _exit(0);
        long took = milliseconds() - begin;
        if (took < shortest) shortest = took;
        int status;
        MUST(waitpid(child, &status, 0));
    }
    say("a fork is quick: %d", shortest < 100);
    spawn_cat(files[MANY - 1]);
    say("at %ld", (long)lseek(files[MANY - 1], 0, SEEK_CUR));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(lseek(files[MANY - 1], 4, SEEK_SET));
        MUST(dup2(files[MANY - 1], 0));
        execlp("cat", "cat", NULL);
        _exit(1);
    }
    reap(child);
    child = MUST(fork());
    if (child == 0) _exit(pwrite(files[7], "child", 5, 0) == 5 && lseek(files[7], 3, SEEK_SET) == 3 ? 0 : 1);
    reap(child);
    say("at %ld", (long)lseek(files[7], 0, SEEK_CUR));
    show(p("m7"));
}

CASE(close_on_exec) { fork_and_spawn(O_CLOEXEC); }

CASE(inherited) { fork_and_spawn(0); }

// What is open is used, when nothing more can be opened.
static void use_up(int limit) {
    struct rlimit small = {limit, limit};
    MUST(setrlimit(RLIMIT_NOFILE, &small));
    put(p("there"), "something");
    int first = MUST(open(p("used"), O_RDWR | O_CREAT, 0644)), last = first, number;
    static char block[100000];
    while ((number = open(p("used"), O_RDWR)) >= 0) last = number;
    say("%s", strerrorname_np(errno));
    TRY(write(first, "first", 5));
    TRY(pwrite(last, "last", 4, 10));
    TRY(pwrite(last, block, sizeof block, 5000));
    TRY(pread(first, block, sizeof block, 0));
    TRY(mkdir(p("directory"), 0755));
    TRY(rename(p("directory"), p("other")));
    TRY(rmdir(p("other")));
    TRY(truncate(p("there"), 4));
    TRY(access(p("there"), R_OK));
    TRY(symlink("there", p("link")));
    TRY(unlink(p("there")));
    TRY(ftruncate(first, 70000));
    TRY(fsync(first));
    TRY(open(p("new"), O_RDWR | O_CREAT, 0644));
    TRY(open("/dev/null", O_RDONLY));
    TRY(dup(first));
    pid_t child = MUST(fork());
    if (child == 0) _exit(pread(last, block, 4, 10) == 4 && memcmp(block, "last", 4) == 0 ? 0 : 1);
    reap(child);
    TRY(close(last));
    struct rlimit now;
    MUST(getrlimit(RLIMIT_NOFILE, &now));
    say("the limit is as it was: %d", (int)now.rlim_cur == limit && (int)now.rlim_max == limit);
}

// The engine beneath the stand-in for libdfs opens a descriptor of a large file.
CASE(used_up_256) { use_up(256); } // embedded

CASE(used_up_64) { use_up(64); } // embedded
