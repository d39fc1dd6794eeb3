// Pointers to memory that is not there: EFAULT from every call, under a prefix and on the host, whatever the program does
// with SIGSEGV itself.
#include "case.h"
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <ucontext.h>
#include <utime.h>

#define PAGE 4096

// Bytes up to a page's end, behind which there is nothing.
static char *edge;

static void make_edge(void) {
    edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(edge + PAGE, PAGE, PROT_NONE);
    edge += PAGE;
}

static long call(long number, long a, long b, long c, long d, long e) {
    errno = 0;
    long result = syscall(number, a, b, c, d, e, 0);
    return result < 0 ? -errno : result;
}

#define ASK(what, number, a, b, c, d, e) \
    say("%s: %ld", what, call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e)))

// Every call that reads a path, with a path that is not there.
static void try_paths(char *bad) {
    struct stat status;
    char room[64];
    ASK("open", SYS_open, bad, O_RDONLY, 0, 0, 0);
    ASK("openat", SYS_openat, AT_FDCWD, bad, O_RDONLY, 0, 0);
    ASK("creat", SYS_creat, bad, 0600, 0, 0, 0);
    ASK("stat", SYS_stat, bad, &status, 0, 0, 0);
    ASK("lstat", SYS_lstat, bad, &status, 0, 0, 0);
    ASK("newfstatat", SYS_newfstatat, AT_FDCWD, bad, &status, 0, 0);
    ASK("statx", SYS_statx, AT_FDCWD, bad, 0, STATX_BASIC_STATS, room);
    ASK("access", SYS_access, bad, F_OK, 0, 0, 0);
    ASK("faccessat2", SYS_faccessat2, AT_FDCWD, bad, F_OK, 0, 0);
    ASK("mkdir", SYS_mkdir, bad, 0700, 0, 0, 0);
    ASK("rmdir", SYS_rmdir, bad, 0, 0, 0, 0);
    ASK("mknod", SYS_mknod, bad, S_IFREG | 0600, 0, 0, 0);
    ASK("unlink", SYS_unlink, bad, 0, 0, 0, 0);
    ASK("unlinkat", SYS_unlinkat, AT_FDCWD, bad, 0, 0, 0);
    ASK("rename from", SYS_rename, bad, p("x"), 0, 0, 0);
    ASK("rename to", SYS_rename, p("file"), bad, 0, 0, 0);
    ASK("rename to, of the host", SYS_rename, h("file"), bad, 0, 0, 0);
    ASK("link", SYS_link, bad, p("x"), 0, 0, 0);
    ASK("symlink target", SYS_symlink, bad, p("x"), 0, 0, 0);
    ASK("symlink", SYS_symlink, "x", bad, 0, 0, 0);
    ASK("readlink", SYS_readlink, bad, room, sizeof room, 0, 0);
    ASK("truncate", SYS_truncate, bad, 0, 0, 0, 0);
    ASK("chmod", SYS_chmod, bad, 0700, 0, 0, 0);
    ASK("chown", SYS_chown, bad, -1, -1, 0, 0);
    ASK("utimensat", SYS_utimensat, AT_FDCWD, bad, NULL, 0, 0);
    ASK("statfs", SYS_statfs, bad, room, 0, 0, 0);
    ASK("getxattr", SYS_getxattr, bad, "user.a", room, sizeof room, 0);
    ASK("chdir", SYS_chdir, bad, 0, 0, 0, 0);
    ASK("execve", SYS_execve, bad, NULL, NULL, 0, 0);
}

// Every call that reads or writes something else.
static void try_structures(char *bad) {
    struct timeval no_time = {0, 0};
    int fd = open(p("file"), O_RDWR), host = open(h("file"), O_RDWR), pipes[2];
    if (fd < 0 || host < 0 || pipe(pipes)) _exit(3);
    for (int of_host = 0; of_host < 2; of_host++) {
        const char *path = of_host ? h("file") : p("file");
        int d = of_host ? host : fd;
        ASK("stat into", SYS_stat, path, bad, 0, 0, 0);
        ASK("fstat into", SYS_fstat, d, bad, 0, 0, 0);
        ASK("statx into", SYS_statx, AT_FDCWD, path, 0, STATX_BASIC_STATS, bad);
        ASK("statfs into", SYS_statfs, path, bad, 0, 0, 0);
        ASK("fstatfs into", SYS_fstatfs, d, bad, 0, 0, 0);
        ASK("readlink into", SYS_readlink, of_host ? h("link") : p("link"), bad, 10, 0, 0);
        ASK("read into", SYS_read, d, bad, 2, 0, 0);
        ASK("pread into", SYS_pread64, d, bad, 2, 0, 0);
        ASK("write from", SYS_write, d, bad, 2, 0, 0);
        ASK("pwrite from", SYS_pwrite64, d, bad, 2, 1, 0);
        ASK("readv array", SYS_readv, d, bad, 1, 0, 0);
        ASK("writev array", SYS_writev, d, bad, 1, 0, 0);
        struct iovec vector[2] = {{"x", 1}, {bad, 2}};
        ASK("writev second", SYS_writev, d, vector, 2, 0, 0);
        ASK("writev first", SYS_writev, d, vector + 1, 1, 0, 0);
        ASK("utimensat", SYS_utimensat, AT_FDCWD, path, bad, 0, 0);
        ASK("utime", SYS_utime, path, bad, 0, 0, 0);
        ASK("utimes", SYS_utimes, path, bad, 0, 0, 0);
        ASK("openat2", SYS_openat2, AT_FDCWD, path, bad, 24, 0);
        ASK("sendfile offset", SYS_sendfile, pipes[1], d, bad, 1, 0);
        ASK("copy_file_range offset", SYS_copy_file_range, d, bad, host, NULL, 1);
        ASK("cursor", SYS_lseek, d, 0, SEEK_CUR, 0, 0);
        say("size %ld", (long)lseek(d, 0, SEEK_END));
    }
    ASK("poll", SYS_poll, bad, 1, 0, 0, 0);
    ASK("ppoll", SYS_ppoll, bad, 1, NULL, NULL, 8);
    ASK("select", SYS_select, fd + 1, bad, NULL, NULL, &no_time);
    ASK("pselect6", SYS_pselect6, fd + 1, NULL, bad, NULL, &no_time);
    ASK("getcwd", SYS_getcwd, bad, 100, 0, 0, 0);
    ASK("getdents64", SYS_getdents64, open(p("directory"), O_RDONLY), bad, 1000, 0, 0);
    ASK("execve arguments", SYS_execve, "/bin/true", bad, NULL, 0, 0);
    ASK("execve environment", SYS_execve, "/bin/true", NULL, bad, 0, 0);
    char *environment[] = {"A=b", bad, NULL};
    ASK("execve variable", SYS_execve, "/bin/true", NULL, environment, 0, 0);
    ASK("rt_sigaction", SYS_rt_sigaction, SIGUSR2, bad, NULL, 8, 0);
    ASK("rt_sigaction of a fault", SYS_rt_sigaction, SIGSEGV, bad, NULL, 8, 0);
    ASK("rt_sigprocmask", SYS_rt_sigprocmask, SIG_BLOCK, bad, NULL, 8, 0);
}

static void prepare(void) {
    make_edge();
    for (int of_host = 0; of_host < 2; of_host++) {
        int fd = open(of_host ? h("file") : p("file"), O_CREAT | O_RDWR, 0600);
        if (write(fd, "0123456789", 10) != 10) _exit(3);
        close(fd);
        if (symlink("somewhere", of_host ? h("link") : p("link"))) _exit(3);
    }
    mkdir(p("directory"), 0700);
}

CASE(paths_that_are_not_there) {
    prepare();
    try_paths(edge);
    memset(edge - 3, 'x', 3);
    try_paths(edge - 3);
    try_paths(NULL);
    say("a whole one: %ld", call(SYS_access, (long)memcpy(edge - 2, "/", 2), F_OK, 0, 0, 0));
}

CASE(structures_that_are_not_there) {
    prepare();
    try_structures(edge);
    try_structures((char *)PAGE);
}

static void try_transfers(void) {
    for (int of_host = 0; of_host < 2; of_host++) {
        int fd = open(of_host ? h("large") : p("large"), O_CREAT | O_RDWR, 0600);
        for (int there = 1; there <= 4000; there *= 3) {
            memset(edge - there, 'a' + there % 20, there);
            say("%d: write %ld", there, call(SYS_pwrite64, fd, (long)(edge - there), 8192, 0, 0));
            say("%d: append %ld", there, call(SYS_write, fd, (long)(edge - there), 100000, 0, 0));
            memset(edge - there, 0, there);
            say("%d: read %ld", there, call(SYS_pread64, fd, (long)(edge - there), there + 1, 0, 0));
            say("first %d last %d", edge[-there], edge[-1]);
        }
        say("size %ld", (long)lseek(fd, 0, SEEK_END));
        char all[20000];
        long length = pread(fd, all, sizeof all, 0), sum = 0;
        for (long i = 0; i < length; i++) sum = sum * 31 + all[i];
        say("bytes %ld sum %lx", length, sum);
    }
}

CASE(transfers_that_run_over_the_edge) {
    prepare();
    try_transfers();
}

static void *block_all(void *unused) {
    (void)unused;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    try_paths(edge);
    try_structures(edge);
    return NULL;
}

// A thread that blocks SIGSEGV would be killed by a fault.
CASE(signals_blocked) {
    prepare();
    pthread_t thread;
    pthread_create(&thread, NULL, block_all, NULL);
    pthread_join(thread, NULL);
    block_all(NULL);
}

static volatile sig_atomic_t caught;

static void count(int signal, siginfo_t *information, void *context) {
    (void)information;
    caught += signal == SIGSEGV;
    // Past the instruction that was marked with its length in rcx.
    ucontext_t *interrupted = context;
    interrupted->uc_mcontext.gregs[REG_RIP] += interrupted->uc_mcontext.gregs[REG_RCX];
}

static void fault(void) {
    __asm__ volatile("movb $0, (%0)" : : "r"(edge), "c"(3) : "memory");
}

static void show_action(const char *when, int signal) {
    struct sigaction action;
    sigaction(signal, NULL, &action);
    say("%s: %s flags %x mask %d%d", when,
        action.sa_handler == SIG_DFL ? "default" : action.sa_handler == SIG_IGN ? "ignored" : "own",
        action.sa_flags & 0x7fffffff & ~0x04000000, sigismember(&action.sa_mask, SIGUSR1), sigismember(&action.sa_mask, SIGSEGV));
}

// The program's own handler gets its own faults and none of a system call's.
CASE(own_handler) {
    prepare();
    show_action("at first", SIGSEGV);
    struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO | SA_RESTART}, before;
    sigaddset(&action.sa_mask, SIGUSR1);
    say("set %d", sigaction(SIGSEGV, &action, &before));
    say("before: %d", before.sa_handler == SIG_DFL);
    show_action("set", SIGSEGV);
    show_action("the other", SIGBUS);
    fault();
    say("caught %d", caught);
    try_paths(edge);
    say("caught %d", caught);
    say("back %d", sigaction(SIGSEGV, &before, &action));
    say("was own: %d", action.sa_sigaction == count);
    show_action("at last", SIGSEGV);
    try_paths(edge);
    say("signal: %d", signal(SIGSEGV, SIG_IGN) == SIG_DFL);
    show_action("ignored", SIGSEGV);
    try_paths(edge);
    say("sent: %d", raise(SIGSEGV));
    if (fork() == 0) {
        char *without_us[] = {"SIDESTEP=off", NULL};
        execle("/bin/sed", "sed", "-n", "s/^SigIgn.*4..$/ignored/p", "/proc/self/status", NULL, without_us);
        _exit(9);
    }
    wait(NULL);
}

static void call_with_bad_path(int signal) {
    (void)signal;
    struct stat status;
    ASK("stat in a handler", SYS_stat, edge, &status, 0, 0, 0);
    ASK("open in a handler", SYS_open, edge, 0, 0, 0, 0);
}

// A handler that wants everything blocked while it runs, on a small stack of its own.
CASE(in_a_handler) {
    prepare();
    static char room[16384];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = call_with_bad_path, .sa_flags = SA_ONSTACK};
    sigfillset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    show_action("as set", SIGUSR1);
    raise(SIGUSR1);
}

static int ending(void (*end)(void)) {
    int child = fork(), status;
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        end();
        _exit(0);
    }
    waitpid(child, &status, 0);
    return status;
}

static void send_itself(void) { kill(getpid(), SIGSEGV); }
static void send_bus(void) { raise(SIGBUS); }

static void fault_while_blocked(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    fault();
}

static void call_a_bad_place(void) { ((void (*)(void))edge)(); }

static void run_out_of_stack(void) {
    volatile char room[1 << 16];
    memset((char *)room, 1, sizeof room);
    if (edge) run_out_of_stack();
    room[0]++;
}

static void fault_beside_a_handler_that_ends(void) {
    signal(SIGSEGV, SIG_IGN);
    fault();
}

// What faults of the program's own do is what they always did.
CASE(own_faults_end_the_process) {
    prepare();
    say("fault %d", ending(fault));
    say("sent %d", ending(send_itself));
    say("bus %d", ending(send_bus));
    say("blocked %d", ending(fault_while_blocked));
    say("jump %d", ending(call_a_bad_place));
    say("stack %d", ending(run_out_of_stack));
    say("ignored %d", ending(fault_beside_a_handler_that_ends));
}

// As diff, R and Open MPI have one: for stacks that overflow, on a stack of its own.
CASE(transfers_beside_an_own_handler) {
    prepare();
    static char room[65536];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | (int)SA_RESETHAND};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    try_transfers();
    try_structures(edge);
    show_action("not used up", SIGSEGV);
    say("caught %d", caught);
    fault();
    say("caught %d", caught);
    show_action("used up", SIGSEGV);
    show_action("the other", SIGBUS);
    try_transfers();
}

static sigjmp_buf after_fault;
static int jumps;

// Reports what happened, as a handler of a job's does: to files, with a bad pointer of its own, and first of all the
// prefix's.
static void report_and_leave(int signal) {
    jumps++;
    char line[64];
    int fd = open(p("report"), O_CREAT | O_WRONLY | O_APPEND, 0600);
    int length = snprintf(line, sizeof line, "signal %d, jump %d\n", signal, jumps);
    if (write(fd, line, length) != length) _exit(4);
    ASK("write in the handler", SYS_write, fd, edge, 8192, 0, 0);
    ASK("stat in the handler", SYS_stat, edge, line, 0, 0, 0);
    ASK("rename in the handler", SYS_rename, p("report"), p("report.1"), 0, 0, 0);
    ASK("rename back", SYS_rename, p("report.1"), p("report"), 0, 0, 0);
    close(fd);
    if (jumps % 2) siglongjmp(after_fault, 1);
    _longjmp(after_fault, 1);
}

static void report_faults(int flags) {
    make_edge();
    static char room[65536];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = report_and_leave, .sa_flags = flags};
    if (!(flags & SA_NODEFER)) sigfillset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    for (volatile int round = 0; round < 4; round++) {
        if (sigsetjmp(after_fault, 1) == 0) fault();
        sigset_t mask;
        sigprocmask(SIG_SETMASK, NULL, &mask);
        say("blocked %d %d", sigismember(&mask, SIGSEGV), sigismember(&mask, SIGUSR1));
        // A jump that left the signals blocked, or the stack in use as far as the kernel is concerned.
        ASK("stat after it", SYS_stat, edge, room, 0, 0, 0);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        ASK("stat at last", SYS_stat, edge, room, 0, 0, 0);
    }
    show(p("report"));
    unlink(p("report"));
}

CASE(calls_in_the_handler_of_a_fault) { report_faults(SA_ONSTACK); }

CASE(calls_in_the_handler_of_a_fault_that_does_not_block_it) { report_faults(SA_ONSTACK | SA_NODEFER); }

CASE(calls_in_the_handler_of_a_fault_on_the_same_stack) { report_faults(0); }

// A vfork child's table of signals is its own.
CASE(in_a_spawned_child) {
    prepare();
    for (int round = 0; round < 2; round++) {
        int child = vfork();
        if (child == 0) {
            struct stat status;
            signal(SIGSEGV, SIG_DFL);
            long first = syscall(SYS_stat, edge, &status), second = syscall(SYS_open, edge, 0);
            _exit((first == -1) + (second == -1) * 2);
        }
        int status;
        waitpid(child, &status, 0);
        say("child %d", status);
        try_paths(edge);
        struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};
        sigaction(SIGSEGV, &action, NULL);
    }
}

static volatile int is_over;

static void *take_away(void *page) {
    for (int round = 0; round < 3000; round++) {
        mprotect(page, PAGE, round % 2 ? PROT_READ | PROT_WRITE : PROT_NONE);
    }
    is_over = 1;
    return NULL;
}

// Memory that comes and goes while calls read it.
CASE(memory_taken_away_meanwhile) {
    prepare();
    char *page = edge - PAGE;
    strcpy(page, h("file"));
    int fd = open(p("file"), O_RDWR);
    pthread_t thread;
    pthread_create(&thread, NULL, take_away, page);
    long other = 0;
    while (!is_over) {
        struct stat status;
        long results[] = {
            call(SYS_stat, (long)page, (long)&status, 0, 0, 0), call(SYS_pwrite64, fd, (long)page, 2000, 0, 0),
            call(SYS_pread64, fd, (long)page + 2048, 2000, 0, 0), call(SYS_fstat, fd, (long)page + 2048, 0, 0, 0),
            call(SYS_poll, (long)page + 2048, 3, 0, 0, 0),
        };
        for (unsigned i = 0; i < sizeof results / sizeof *results; i++) {
            other += results[i] < 0 && results[i] != -EFAULT && results[i] != -ENOENT;
        }
    }
    pthread_join(thread, NULL);
    say("other errors %ld", other);
    // What it holds is a matter of luck.
    unlink(p("file"));
}

