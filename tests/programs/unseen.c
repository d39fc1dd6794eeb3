// System calls that no door sees, as a static program or Go's runtime makes them, with the working directory under the
// prefix: whatever they are, they fail. A byte that went anywhere would never be seen again.
#include "case.h"
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

static long unseen(long number, long a, long b, long c, long d, long e) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return result;
}

static int swallowed;

static void fails(const char *what, const char *path, long result) {
    if (result < 0) return;
    say("%s of %s was done: %ld", what, path, result);
    swallowed = 1;
}

static void makes_nothing(const char *path) {
    int here = AT_FDCWD;
    const char *source = h("source");
    fails("creation", path, unseen(SYS_openat, here, (long)path, O_CREAT | O_WRONLY, 0666, 0));
    fails("opening", path, unseen(SYS_openat, here, (long)path, O_RDWR, 0, 0));
    fails("mkdir", path, unseen(SYS_mkdirat, here, (long)path, 0777, 0, 0));
    fails("mknod", path, unseen(SYS_mknodat, here, (long)path, S_IFREG | 0666, 0, 0));
    fails("mkfifo", path, unseen(SYS_mknodat, here, (long)path, S_IFIFO | 0666, 0, 0));
    fails("symlink", path, unseen(SYS_symlinkat, (long)"target", here, (long)path, 0, 0));
    fails("link", path, unseen(SYS_linkat, here, (long)source, here, (long)path, 0));
    fails("rename", path, unseen(SYS_renameat2, here, (long)source, here, (long)path, 0));
    fails("truncate", path, unseen(SYS_truncate, (long)path, 0, 0, 0, 0));
    int memory = memfd_create("source", 0);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", memory);
    fails("link of a memory", path, unseen(SYS_linkat, here, (long)link, here, (long)path, AT_SYMLINK_FOLLOW));
    close(memory);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    fails("bind", path, unseen(SYS_bind, made, (long)&address, sizeof address, 0, 0));
    close(made);
}

static void nothing_is_swallowed(void) {
    MUST(mkdir(p("a"), 0755));
    MUST(mkdir(p("a/b"), 0755));
    MUST(mkdir(p("a/b/c"), 0755));
    put(h("source"), "source");
    put(p("a/b/c/f"), "bytes");
    MUST(chdir(p("a/b/c")));
    char path[256] = "x";
    for (int ups = 0; ups <= 12; ups++) {
        makes_nothing(path);
        memmove(path + 3, path, strlen(path) + 1);
        memcpy(path, "../", 3);
    }
    makes_nothing("./x");
    makes_nothing("x/");
    makes_nothing("f");
    makes_nothing("/proc/self/cwd/x");
    makes_nothing("/proc/thread-self/cwd/../x");
    // A child that no library sees inherits it; so does one that leaves it upwards.
    for (int ups = 0; ups < 3; ups++) {
        pid_t child = fork();
        if (child == 0) {
            for (int up = 0; up < ups; up++) unseen(SYS_chdir, (long)"..", 0, 0, 0, 0);
            makes_nothing("x");
            makes_nothing("../x");
            _exit(swallowed);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (status) swallowed = 1;
    }
    // What is seen is as it was.
    struct stat st;
    if (stat("f", &st) || stat("x", &st) == 0 || stat("../x", &st) == 0 || access(h("source"), F_OK)) swallowed = 1;
    put("x", "seen");
    if (stat(p("a/b/c/x"), &st) || st.st_size != 4) swallowed = 1;
    if (swallowed) _exit(1);
}

CASE(nothing_is_swallowed) { // ours
    nothing_is_swallowed();
}

CASE(nothing_of_nobody_is_swallowed) { // ours nobody
    nothing_is_swallowed();
}

CASE(a_program_started_unseen_is_where_its_parent_was) {
    char here[PATH_MAX];
    if (getenv("AGAIN")) {
        say("%s", getcwd(here, sizeof here));
        show("f");
        return;
    }
    MUST(mkdir(p("a"), 0755));
    put(p("a/f"), "bytes");
    MUST(chdir(p("a")));
    MUST(rename(p("a"), p("b")));
    MUST(setenv("AGAIN", "1", 1));
    char *arguments[] = { "unseen", "a_program_started_unseen_is_where_its_parent_was", NULL };
    char self[PATH_MAX];
    self[MUST(readlink("/proc/self/exe", self, sizeof self - 1))] = 0;
    extern char **environ;
    unseen(SYS_execve, (long)self, (long)arguments, (long)environ, 0, 0);
    say("not started");
}

// Removed by somebody else, removed and made anew, under another name: the kernel's rules for who is still in there.
CASE(what_becomes_of_a_working_directory) {
    char here[PATH_MAX];
    MUST(mkdir(p("a"), 0755));
    MUST(mkdir(p("a/b"), 0755));
    MUST(chdir(p("a/b")));
    MUST(rename(p("a"), p("c")));
    say("%s", getcwd(here, sizeof here));
    pid_t child = fork();
    if (child == 0) _exit(rmdir(p("c/b")) != 0);
    reap(child);
    TRY(open("x", O_CREAT | O_WRONLY, 0666));
    TRY(mkdir("x", 0777));
    TRY(mkdir("../x", 0777));
    here[MUST(readlink("/proc/self/cwd", here, sizeof here - 1))] = 0;
    say("%s", here);
    say("%s", getcwd(here, sizeof here) ? "there" : strerror(errno));
    MUST(mkdir(p("c/b"), 0755));
    TRY(open("x", O_CREAT | O_WRONLY, 0666));
    TRY(chdir("."));
    TRY(chdir(".."));
    say("%s", getcwd(here, sizeof here));
    TRY(chdir("b"));
    put("x", "bytes");
    show(p("c/b/x"));
}
