// Signals that arrive while their thread is inside a file call.
#include "case.h"
#include <setjmp.h>
#include <sys/time.h>

static volatile sig_atomic_t handled;
static int handler_fd = -1;
static volatile long handler_bytes, handler_errors;

static void count(int signal) { (void)signal; handled++; }

static void ticking(long every_us) {
    struct itimerval timer = {{0, every_us}, {0, every_us}};
    MUST(setitimer(ITIMER_REAL, &timer, NULL));
}

static void file_io_under_signals(int flags) {
    on_signal(SIGALRM, count, flags);
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    static char block[200000];
    ticking(300);
    int short_calls = 0, failed = 0;
    for (int i = 0; i < 2000 || (handled < 50 && i < 200000); i++) {
        size_t length = 1 + i * 7919 % sizeof block;
        ssize_t answer = pwrite(fd, block, length, i % 1000);
        failed += answer < 0, short_calls += answer >= 0 && (size_t)answer != length;
        answer = pread(fd, block, length, 0);
        failed += answer < 0;
        int other = open(p("other"), O_RDWR | O_CREAT | O_APPEND, 0644);
        failed += other < 0 || write(other, "x", 1) != 1 || close(other) != 0;
        failed += rename(p("other"), p("renamed")) != 0 || unlink(p("renamed")) != 0;
    }
    ticking(0);
    say("failed %d, short %d, signals came %d", failed, short_calls, handled >= 50);
    MUST(ftruncate(fd, 0));
}

CASE(during_io_restart) { file_io_under_signals(SA_RESTART); }

CASE(during_io_no_restart) { file_io_under_signals(0); }

static void on_pipe(int flags) {
    on_signal(SIGALRM, count, flags);
    int pipes[2];
    MUST(pipe(pipes));
    pid_t child = fork();
    if (child == 0) {
        sleep_ms(300);
        write(pipes[1], "late", 4);
        _exit(0);
    }
    struct itimerval once = {{0, 0}, {0, 100000}};
    MUST(setitimer(ITIMER_REAL, &once, NULL));
    char text[5] = "";
    TRY(read(pipes[0], text, 4));
    say("'%s' handled %d", text, handled);
    reap(child);
}

CASE(pipe_read_restart) { on_pipe(SA_RESTART); }

CASE(pipe_read_no_restart) { on_pipe(0); }

// The handler's own, made before it runs: it may interrupt `p` between the making of a path and its use.
static const char *handler_paths[2];
static long tick_us;

// One tick, the next begins when it was handled: however slow the calls of a handler are, what it interrupts goes on.
static void one_tick(void) {
    struct itimerval once = {{0, 0}, {0, tick_us}};
    MUST(setitimer(ITIMER_REAL, &once, NULL));
}

static void write_in_handler(int signal) {
    (void)signal;
    int error = errno;
    ssize_t answer = write(handler_fd, "0123456789abcdef", 16);
    if (answer == 16) handler_bytes += answer; else handler_errors++;
    int other = open(handler_paths[0], O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (other < 0 || write(other, "h", 1) != 1 || close(other) != 0) handler_errors++;
    char buffer[8];
    if (pread(handler_fd, buffer, 8, 0) != 8) handler_errors++;
    struct stat st;
    if (fstat(handler_fd, &st) != 0 || stat(handler_paths[1], &st) != 0) handler_errors++;
    handled++;
    if (tick_us) one_tick();
    errno = error;
}

static void ticking_with_writes(long every_us) {
    static char paths[2][PATH_MAX];
    snprintf(paths[0], sizeof paths[0], "%s", p("opened-in-handler"));
    snprintf(paths[1], sizeof paths[1], "%s", p("f"));
    handler_paths[0] = paths[0], handler_paths[1] = paths[1];
    tick_us = every_us;
    one_tick();
}

static void end_of_ticking(void) {
    tick_us = 0;
    ticking(0);
}

CASE(handler_writes_during_read) {
    put_pattern(p("f"), 500000);
    int fd = MUST(open(p("f"), O_RDONLY));
    handler_fd = MUST(open(p("log"), O_RDWR | O_CREAT | O_APPEND, 0644));
    MUST(write(handler_fd, "0123456789abcdef", 16));
    on_signal(SIGALRM, write_in_handler, SA_RESTART);
    static char block[500000];
    uint64_t hash = 0;
    int failed = 0, different = 0;
    ticking_with_writes(300);
    for (int i = 0; i < 500 || (handled < 100 && i < 100000); i++) {
        failed += pread(fd, block, sizeof block, 0) != sizeof block;
        if (i % 50 == 0) {
            uint64_t now = hash_of(block, sizeof block);
            if (hash && now != hash) different++;
            hash = now;
        }
    }
    end_of_ticking();
    struct stat st;
    MUST(stat(p("log"), &st));
    say("failed %d, different %d, handler errors %ld, enough %d", failed, different, handler_errors, handled >= 100);
    say("log is whole %d", st.st_size == handler_bytes + 16);
    MUST(stat(p("opened-in-handler"), &st));
    say("opened file is whole %d", st.st_size == handled);
    MUST(unlink(p("log")));
    MUST(unlink(p("opened-in-handler")));
}

CASE(handler_writes_to_the_same_file) {
    put_pattern(p("f"), 100000);
    int fd = MUST(open(p("f"), O_RDWR | O_APPEND));
    handler_fd = fd;
    on_signal(SIGALRM, write_in_handler, SA_RESTART);
    static char block[3000];
    long written = 0;
    int failed = 0;
    ticking_with_writes(200);
    for (int i = 0; i < 2000 || (handled < 100 && i < 200000); i++) {
        ssize_t answer = write(fd, block, 1 + i % sizeof block);
        if (answer > 0) written += answer; else failed++;
        if (i % 100 == 99) failed += pread(fd, block, 3000, 0) != 3000;
    }
    end_of_ticking();
    struct stat st;
    MUST(fstat(fd, &st));
    say("failed %d, handler errors %ld, whole %d", failed, handler_errors,
        st.st_size == 100000 + written + handler_bytes);
    MUST(unlink(p("f")));
    MUST(unlink(p("opened-in-handler")));
}

CASE(handler_during_names) {
    put(p("f"), "x");
    handler_fd = MUST(open(p("log"), O_RDWR | O_CREAT | O_APPEND, 0644));
    MUST(write(handler_fd, "0123456789abcdef", 16));
    on_signal(SIGALRM, write_in_handler, SA_RESTART);
    int failed = 0;
    ticking_with_writes(300);
    for (int i = 0; i < 3000 || (handled < 100 && i < 200000); i++) {
        struct stat st;
        failed += mkdir(p("d"), 0755) != 0 || stat(p("d"), &st) != 0;
        int fd = open(p("d/g"), O_RDWR | O_CREAT | O_EXCL, 0644);
        failed += fd < 0 || dup2(fd, 200) != 200 || close(200) != 0 || close(fd) != 0;
        failed += rename(p("d/g"), p("g")) != 0 || unlink(p("g")) != 0 || rmdir(p("d")) != 0;
    }
    end_of_ticking();
    say("failed %d, handler errors %ld", failed, handler_errors);
    MUST(unlink(p("log")));
    MUST(unlink(p("opened-in-handler")));
}

static sigjmp_buf back;

static void jump(int signal) { (void)signal; siglongjmp(back, 1); }

CASE(jump_out_of_a_call) {
    put_pattern(p("f"), 300000);
    on_signal(SIGALRM, jump, SA_NODEFER);
    static char block[300000];
    volatile int jumps = 0, failed = 0;
    int fd = MUST(open(p("f"), O_RDWR));
    for (volatile int round = 0; round < 200; round++) {
        if (sigsetjmp(back, 1)) { jumps++; continue; }
        struct itimerval once = {{0, 0}, {0, 100 + round * 5}};
        setitimer(ITIMER_REAL, &once, NULL);
        for (;;) failed += pread(fd, block, sizeof block, 0) < 0 || pwrite(fd, block, 1000, 0) != 1000;
    }
    say("jumps %d, failed %d", jumps, failed);
    put(p("after"), "still works");
    show(p("after"));
    MUST(unlink(p("f")));
}

CASE(fork_in_handler_and_child_signals) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT | O_APPEND, 0644));
    on_signal(SIGCHLD, count, 0);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) { write(fd, "c", 1); _exit(0); }
        for (int j = 0; j < 50; j++) write(fd, "p", 1);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    }
    struct stat st;
    MUST(fstat(fd, &st));
    say("size %ld, some %d", (long)st.st_size, handled > 0);
    MUST(ftruncate(fd, 0));
}

CASE(masks_and_stacks_kept) {
    sigset_t mask, before, after;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    MUST(sigprocmask(SIG_BLOCK, &mask, NULL));
    sigprocmask(SIG_BLOCK, NULL, &before);
    put(p("f"), "x");
    mkdir(p("d"), 0755);
    rename(p("f"), p("d/f"));
    show(p("d/f"));
    sigprocmask(SIG_BLOCK, NULL, &after);
    say("mask kept %d", memcmp(&before, &after, sizeof before) == 0);
    on_signal(SIGUSR1, count, 0);
    raise(SIGUSR1);
    unlink(p("d/f"));
    say("still pending %d", handled == 0);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    say("delivered %d", handled == 1);
}

CASE(sigpipe_and_kill_in_write) {
    put(p("f"), "data");
    int fd = MUST(open(p("f"), O_RDWR));
    int pipes[2];
    MUST(pipe(pipes));
    close(pipes[0]);
    pid_t child = fork();
    if (child == 0) { sendfile: write(pipes[1], "x", 1); goto sendfile; }
    reap(child);
    child = fork();
    if (child == 0) for (;;) pwrite(fd, "loop", 4, 0);
    sleep_ms(50);
    kill(child, SIGKILL);
    reap(child);
    child = fork();
    if (child == 0) for (;;) rename(p("f"), p("f")), close(open(p("tmp"), O_CREAT | O_RDWR, 0600)), unlink(p("tmp"));
    sleep_ms(50);
    kill(child, SIGTERM);
    reap(child);
    unlink(p("tmp"));
    TRY(pwrite(fd, "after", 5, 0));
    show(p("f"));
}
