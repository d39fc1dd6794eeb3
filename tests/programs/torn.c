// A write that is killed at any instruction of its own has happened or has not. The parent steps its child through the
// call one instruction after another, kills it a little further each time, and reads.
#include "case.h"
#include <setjmp.h>
#include <sys/ptrace.h>

#define RECORD_MAX 4096
// Places where the child is killed, spread over the call; more of them in a long run.
#define KILLS 12

static char record[RECORD_MAX], seen[RECORD_MAX];

static int rounds(void) {
    const char *text = getenv("SIDESTEP_TEST_ROUNDS");
    return text ? atoi(text) : 1;
}

struct torn {
    const char *name;
    long before, offset;   // bytes in the file first, and where the record goes
    int length, warm, pieces;
};

static void fill(char letter, int length) { memset(record, letter, length); }

static void put_record(int fd, const struct torn *how) {
    if (how->pieces == 1) {
        if (pwrite(fd, record, how->length, how->offset) != how->length) _exit(3);
        return;
    }
    int half = how->length / 2;
    struct iovec pieces[] = {{record, half}, {record + half, how->length - half}};
    if (pwritev(fd, pieces, 2, how->offset) != how->length) _exit(3);
}

// The child: ready, then one write, then done. Returns the instructions of the write, or -1 where it was killed before.
static long step(const struct torn *how, int fd, char letter, long kill_at) {
    pid_t child = fork();
    if (child == 0) {
        char byte = 0;
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        // What a process does at its first call of all is not looked at.
        if (pread(fd, &byte, 1, 0) != 1 || pwrite(fd, &byte, 1, 0) != 1) _exit(5);
        for (int i = 0; i < how->warm; i++)
            if (pread(fd, &byte, 1, how->offset) != 1 || pwrite(fd, &byte, 1, how->offset) != 1) _exit(4);
        fill(letter, how->length);
        raise(SIGSTOP);
        put_record(fd, how);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    long steps = 0;
    MUST(waitpid(child, &status, 0));
    for (;; steps++) {
        if (kill_at >= 0 && steps == kill_at) break;
        if (ptrace(PTRACE_SINGLESTEP, child, 0, 0)) break;
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) break;
        if (WSTOPSIG(status) != SIGTRAP) { kill_at = steps; break; }
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return steps;
}

static void try_one(const struct torn *how) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT | O_TRUNC, 0600));
    static char rest[100000];
    memset(rest, '.', sizeof rest);
    for (long at = 0; at < how->before; at += sizeof rest) {
        long left = how->before - at;
        MUST(write(fd, rest, left < (long)sizeof rest ? left : (long)sizeof rest));
    }
    int extends = how->offset + how->length > how->before;
    fill('a', how->length);
    MUST(pwrite(fd, record, how->length, how->offset));
    int torn = 0, wrong = 0;
    char old = 'a', new = 'b';
    long whole = step(how, fd, new, -1);
    old = new;
    int kills = KILLS * rounds();
    for (int i = 0; i < kills; i++) {
        if (extends) MUST(ftruncate(fd, how->before));
        long size = extends ? how->before : how->before > how->offset + how->length ? how->before : how->offset + how->length;
        new = 'a' + i % 26;
        if (new == old) new = 'z';
        step(how, fd, new, whole * i / kills + i % 7);
        int count = MUST(pread(fd, seen, how->length, how->offset));
        struct stat data;
        MUST(fstat(fd, &data));
        int had = size - how->offset < how->length ? size - how->offset : how->length;
        if (count != how->length && count != had) wrong++;
        if (data.st_size != size && data.st_size != how->offset + how->length) wrong++;
        for (int at = 1; at < count; at++)
            if (seen[at] != seen[0]) { torn++; break; }
        if (count && seen[0] != old && seen[0] != new) wrong++;
        if (count) old = seen[0];
        if (how->offset && (pread(fd, seen, 1, how->offset - 1) != 1 || seen[0] != '.')) wrong++;
    }
    say("%s: %d torn, %d wrong", how->name, torn, wrong);
    MUST(close(fd));
}

static void try_all(void) {
    static const struct torn hows[] = {
        {"two bytes of a small file", 3000, 1001, 2, 4, 1},
        {"a sector of a small file", 3000, 512, 512, 4, 1},
        {"all of a small file", 4096, 0, 4096, 4, 1},
        {"a small file, gathered", 4000, 100, 3000, 4, 2},
        {"the end of a small file and more", 1000, 900, 500, 4, 1},
        {"a small file that outgrows its place", 4000, 3000, 4000, 4, 1},
        {"a page of a large file", 300000, 8192, 4096, 8, 1},
        {"across two pages", 300000, 4000, 4096, 8, 1},
        {"across two pages, for the first time", 300000, 12200, 3000, 0, 1},
        {"gathered, across two pages", 300000, 99999, 4096, 8, 2},
        {"the end of a large file and more", 300000, 299000, 3000, 8, 1},
    };
    for (unsigned i = 0; i < sizeof hows / sizeof hows[0]; i++) try_one(&hows[i]);
}

CASE(one_target) { try_all(); } // embedded

CASE(two_targets) { try_all(); } // embedded options=targets=2&chunk=1KiB

// Four writers of two records in one page, all killed at once: each record is one of theirs, whole.
CASE(several_writers) { // embedded
    enum { WRITERS = 4, LENGTH = 1500 };
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT | O_TRUNC, 0600));
    static char rest[20000];
    memset(rest, '.', sizeof rest);
    MUST(write(fd, rest, sizeof rest));
    int torn = 0, kills = 15 * rounds();
    for (int i = 0; i < kills; i++) {
        pid_t children[WRITERS];
        for (int j = 0; j < WRITERS; j++) {
            children[j] = MUST(fork());
            if (children[j]) continue;
            for (unsigned k = 0;; k++) {
                fill('a' + (k * WRITERS + j) % 26, LENGTH);
                // Two records, and two writers of each.
                if (pwrite(fd, record, LENGTH, 8192 + j % 2 * LENGTH) != LENGTH) _exit(1);
            }
        }
        struct timespec pause = {0, 3000000 + i * 777777 % 9000000};
        nanosleep(&pause, 0);
        for (int j = 0; j < WRITERS; j++) kill(children[j], SIGKILL);
        for (int j = 0; j < WRITERS; j++) waitpid(children[j], 0, 0);
        for (int j = 0; j < 2; j++) {
            MUST(pread(fd, seen, LENGTH, 8192 + j * LENGTH));
            for (int at = 1; at < LENGTH; at++)
                if (seen[at] != seen[0]) { torn++; break; }
        }
    }
    say("%d torn", torn);
    // Whose bytes came last is a matter of luck.
    MUST(unlink(p("f")));
}

static sigjmp_buf back;
static void jump(int signal_number) {
    (void)signal_number;
    siglongjmp(back, 1);
}

// A jump out of a signal handler leaves a write where it was; what is written later must stay, also when the writer is gone.
CASE(a_jump_out_of_a_write) { // embedded
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT | O_TRUNC, 0600));
    static char rest[20000];
    MUST(write(fd, rest, sizeof rest));
    for (int i = 0; i < 100 * rounds(); i++) {
        pid_t child = MUST(fork());
        if (child == 0) {
            signal(SIGALRM, jump);
            if (sigsetjmp(back, 1) == 0) {
                ualarm(300 + i * 13 % 2000, 0);
                for (unsigned k = 0;; k++) {
                    fill('a' + k % 26, 3000);
                    pwrite(fd, record, 3000, 5000);
                }
            }
            fill('#', 3000);
            _exit(pwrite(fd, record, 3000, 5000) == 3000 ? 0 : 1);
        }
        MUST(waitpid(child, 0, 0));
        MUST(pread(fd, seen, 3000, 5000));
        for (int at = 0; at < 3000; at++)
            if (seen[at] != '#') {
                say("round %d: byte %d is %c", i, at, seen[at]);
                return;
            }
    }
    say("what was written last is there");
}
