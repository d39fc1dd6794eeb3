// Where a path leads: *at calls, working directories, symlinks both ways, `..` through the prefix.
#include "case.h"
#include <linux/openat2.h>

static void exists(const char *what, int answer) {
    say("%s: %s", what, answer < 0 ? strerrorname_np(errno) : "there");
}

CASE(at_calls) {
    MUST(mkdir(p("d"), 0755));
    MUST(mkdir(h("hd"), 0755));
    int d = MUST(open(p("d"), O_RDONLY | O_DIRECTORY)), host = MUST(open(h("hd"), O_PATH | O_DIRECTORY));
    int file = MUST(openat(d, "f", O_RDWR | O_CREAT, 0644));
    MUST(write(file, "text", 4));
    struct stat st;
    struct statx stx;
    char target[100] = "";
    for (int pass = 0; pass < 2; pass++) {
        int at = pass ? host : d;
        say("pass %d", pass);
        TRY(mkdirat(at, "sub", 0750));
        TRY(mkdirat(at, "sub", 0750));
        TRY(close(openat(at, "sub/f", O_WRONLY | O_CREAT | O_EXCL, 0640)));
        TRY(openat(at, "sub/f", O_WRONLY | O_CREAT | O_EXCL, 0640));
        TRY(symlinkat("sub/f", at, "link"));
        TRY(readlinkat(at, "link", target, sizeof target));
        TRY(readlinkat(at, "link", target, 2));
        TRY(readlinkat(at, "sub", target, 2));
        TRY(readlinkat(at, "link", target, 0));
        TRY(fstatat(at, "link", &st, 0));
        say("mode %o", st.st_mode);
        TRY(fstatat(at, "link", &st, AT_SYMLINK_NOFOLLOW));
        say("mode %o", st.st_mode);
        TRY(fstatat(at, "", &st, AT_EMPTY_PATH));
        say("mode %o", st.st_mode);
        TRY(fstatat(at, "", &st, 0));
        TRY(statx(at, "sub/f", AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, &stx));
        say("mask has basics %d, mode %o, links %u", (stx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS,
            stx.stx_mode, stx.stx_nlink);
        TRY(faccessat(at, "sub/f", R_OK, 0));
        TRY(faccessat(at, "sub/f", R_OK | W_OK, AT_EACCESS));
        TRY(faccessat(at, "none", F_OK, 0));
        TRY(faccessat(at, "link", F_OK, AT_SYMLINK_NOFOLLOW));
        TRY(syscall(SYS_faccessat2, at, "sub/f", X_OK, 0));
        TRY(fchmodat(at, "sub/f", 0600, 0));
        TRY(fchownat(at, "sub/f", getuid(), getgid(), AT_SYMLINK_NOFOLLOW));
        TRY(utimensat(at, "sub/f", (struct timespec[]){{100, 5}, {200, 7}}, 0));
        TRY(fstatat(at, "sub/f", &st, 0));
        say("times %ld.%09ld %ld.%09ld mode %o", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec,
            st.st_mtim.tv_nsec, st.st_mode);
        TRY(renameat(at, "sub/f", at, "g"));
        TRY(unlinkat(at, "sub", 0));
        TRY(unlinkat(at, "sub", AT_REMOVEDIR));
        TRY(unlinkat(at, "g", AT_REMOVEDIR));
        TRY(unlinkat(at, "g", 0));
        TRY(unlinkat(at, "link", 0));
        TRY(unlinkat(at, "link", 0x8000));
        TRY(openat(at, "../d/f", O_RDONLY) < 0 ? -1 : 0);
        TRY(fstatat(at, p("d/f"), &st, 0));
        TRY(fstatat(file, "x", &st, 0));
        TRY(fstatat(file, "", &st, AT_EMPTY_PATH));
        TRY(fstatat(-5, "x", &st, 0));
        TRY(fstatat(999, p("d/f"), &st, 0));
        TRY(mkdirat(999, "x", 0755));
    }
}

CASE(open_at_2) {
    MUST(mkdir(p("d"), 0755));
    put(p("d/f"), "x");
    put(p("outside"), "y");
    MUST(symlink("/etc/passwd", p("d/absolute")));
    MUST(symlink("../outside", p("d/up")));
    MUST(symlink("f", p("d/link")));
    int d = MUST(open(p("d"), O_RDONLY | O_DIRECTORY));
    const char *names[] = {"f", "link", "up", "absolute", "../outside", "./f", "/etc/passwd", "none"};
    uint64_t resolves[] = {0, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, 1 << 20};
    for (size_t r = 0; r < sizeof resolves / sizeof *resolves; r++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            struct open_how how = {.flags = O_RDONLY, .resolve = resolves[r]};
            int fd = syscall(SYS_openat2, d, names[i], &how, sizeof how);
            say("resolve %lx %s: %s", (long)resolves[r], names[i], fd < 0 ? strerrorname_np(errno) : "open");
            if (fd >= 0) close(fd);
        }
    struct open_how how = {.flags = O_RDWR | O_CREAT, .mode = 0600};
    int fd = TRY(syscall(SYS_openat2, d, "made", &how, sizeof how));
    TRY(write(fd, "z", 1));
    how.mode = 0644, how.flags = O_RDONLY;
    TRY(syscall(SYS_openat2, d, "made", &how, sizeof how));
    how.mode = 0;
    TRY(syscall(SYS_openat2, d, "made", &how, sizeof how - 1));
    TRY(syscall(SYS_openat2, d, "made", &how, 0));
    how.flags = 1ull << 40;
    TRY(syscall(SYS_openat2, d, "made", &how, sizeof how));
    struct { struct open_how how; uint64_t more; } bigger = {{.flags = O_RDONLY}, 0};
    TRY(syscall(SYS_openat2, d, "made", &bigger, sizeof bigger));
    bigger.more = 1;
    TRY(syscall(SYS_openat2, d, "made", &bigger, sizeof bigger));
}

CASE(dots) {
    MUST(mkdir(p("a"), 0755));
    MUST(mkdir(p("a/b"), 0755));
    put(p("a/f"), "in a");
    put(h("hf"), "on the host");
    const char *names[] = {"a/./f", "a/b/../f", "a//f", "./a/f", "a/b/../../a/f", "a/none/../f", "a/f/../f", "a/f/.",
                           "a/f/", "a/", "a/.", "a/..", "", ".", "..", "../h/hf", "../p/a/f", "../../b/../a/none",
                           "a/b/../../../h/hf", "a/b/../../../h/../p/a/f", "a///b///.."};
    struct stat st;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", getenv("P"), names[i]);
        memset(&st, 0, sizeof st);
        const char *told = stat(path, &st) ? strerrorname_np(errno) : "there";
        say("stat %s: %s %o", names[i], told, st.st_mode);
        int fd = open(path, O_RDONLY);
        exists("  open", fd);
        if (fd >= 0) close(fd);
    }
    MUST(chdir(p("a/b")));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) exists(names[i], lstat(names[i], &st));
    exists("../f", lstat("../f", &st));
    exists("../../../h/hf", lstat("../../../h/hf", &st));
}

CASE(working_directory) {
    char here[PATH_MAX];
    MUST(mkdir(p("a"), 0755));
    MUST(mkdir(p("a/b"), 0755));
    put(p("a/b/f"), "deep");
    put(h("hf"), "on the host");
    TRY(chdir(p("a")));
    say("%s", getcwd(here, sizeof here));
    TRY(chdir("b"));
    say("%s", getcwd(here, sizeof here));
    show("f");
    put("g", "new");
    TRY(rename("g", "../g"));
    show("../g");
    int up = MUST(open("..", O_RDONLY | O_DIRECTORY));
    TRY(chdir("../../../h"));
    say("%s", getcwd(here, sizeof here));
    show("hf");
    TRY(fchdir(up));
    say("%s", getcwd(here, sizeof here));
    TRY(chdir("../.."));
    say("%s", getcwd(here, sizeof here));
    TRY(chdir("p/a/b"));
    say("%s", getcwd(here, sizeof here));
    show("f");
    TRY(chdir("f"));
    TRY(chdir("none"));
    TRY(chdir(""));
    TRY(fchdir(MUST(open("f", O_RDONLY))));
    TRY(fchdir(999));
    TRY(chdir("/"));
    say("%s", getcwd(here, sizeof here));
    TRY(fchdir(MUST(open(p("a"), O_PATH))));
    say("%s", getcwd(here, sizeof here));
    TRY(syscall(SYS_getcwd, here, 3));
    long length = syscall(SYS_getcwd, here, sizeof here);
    say("%d", length == (long)strlen(here) + 1);
    DIR *d = opendir(".");
    int count = 0;
    while (readdir(d)) count++;
    say("%d names", count);
    pid_t child = fork();
    if (child == 0) { say("child %s", getcwd(here, sizeof here)); chdir("b"); _exit(0); }
    reap(child);
    say("%s", getcwd(here, sizeof here));
}

static void *thread_directory(void *unused) {
    (void)unused;
    char here[PATH_MAX];
    say("thread in %s", getcwd(here, sizeof here));
    chdir(p("a/b"));
    return NULL;
}

CASE(working_directory_of_threads) {
    char here[PATH_MAX];
    MUST(mkdir(p("a"), 0755));
    MUST(mkdir(p("a/b"), 0755));
    MUST(chdir(p("a")));
    pthread_t thread;
    pthread_create(&thread, NULL, thread_directory, NULL);
    pthread_join(thread, NULL);
    say("%s", getcwd(here, sizeof here));
}

// Deeper than a path can tell: what is relative works, and libc's getcwd tells the way in a buffer that has the room.
CASE(deep_working_directory) {
    enum { LEVELS = 45, NAME = 100 };
    char name[NAME + 1] = {0}, here[PATH_MAX + LEVELS * (NAME + 1)], short_room[PATH_MAX];
    memset(name, 'n', NAME);
    MUST(chdir(p("")));
    size_t before = strlen(MUST((long)getcwd(here, sizeof here)) ? here : "");
    for (int i = 0; i < LEVELS; i++) {
        MUST(mkdir(name, 0755));
        MUST(chdir(name));
    }
    put("f", "deep");
    show("f");
    TRY(rename("f", "../g"));
    show("../g");
    say("%zu more", getcwd(here, sizeof here) ? strlen(here) - before : 0);
    say("%s", strncmp(here, p(""), strlen(p(""))) == 0 ? "below" : "elsewhere");
    TRY(syscall(SYS_getcwd, short_room, sizeof short_room));
    TRY(getcwd(short_room, sizeof short_room) != NULL);
    TRY(readlink("/proc/self/cwd", short_room, sizeof short_room));
    pid_t child = fork();
    if (child == 0) { execl("/bin/cat", "cat", "../g", NULL); _exit(1); }
    reap(child);
    for (int i = 0; i < LEVELS; i++) MUST(chdir(".."));
    say("%s", getcwd(here, sizeof here) && strlen(here) == before ? "back" : "lost");
}

CASE(through_procfs) {
    struct stat direct, behind;
    char target[PATH_MAX], path[PATH_MAX];
    MUST(mkdir(p("d"), 0755));
    put(p("d/f"), "bytes");
    put(p("top"), "above");
    MUST(chdir(p("d")));
    int directory = MUST(open(".", O_RDONLY | O_DIRECTORY)), file = MUST(open("f", O_RDWR));
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0) { reap(child); return; }
    for (int who = 0; who < 6; who++) {
        const char *root[] = {"/proc/self", "/proc/thread-self", "/proc//self", "/proc/self/task/%d", "/proc/%d", "/proc/%d"};
        char base[100];
        snprintf(base, sizeof base, root[who], who == 5 ? (int)parent : (int)getpid());
        say("%d", who);
        const char *ends[] = {"cwd", "cwd/", "cwd/.", "cwd/f", "cwd/../top", "cwd/none", "cwd/f/", "cwd//f"};
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            snprintf(path, sizeof path, "%s/%s", base, ends[i]);
            errno = 0;
            int result = stat(path, &behind);
            say("  %s: %d %s %o", ends[i], result, strerrorname_np(errno), result ? 0 : behind.st_mode & S_IFMT);
        }
        snprintf(path, sizeof path, "%s/cwd", base);
        MUST(stat(path, &behind));
        MUST(stat(".", &direct));
        say("  same %d, itself %d", direct.st_ino == behind.st_ino, lstat(path, &behind) == 0 && S_ISLNK(behind.st_mode));
        target[MUST(readlink(path, target, sizeof target - 1))] = 0;
        say("  %s", target);
        snprintf(path, sizeof path, "%s/cwd/new", base);
        put(path, "made there");
        show("new");
        MUST(unlink("new"));
        snprintf(path, sizeof path, "%s/fd/%d/f", base, directory);
        show(path);
        snprintf(path, sizeof path, "%s/fd/%d", base, file);
        show(path);
        put(path, "bytes");
        show("f");
        snprintf(path, sizeof path, "%s/fd/%d/x", base, file);
        TRY(access(path, F_OK));
        snprintf(path, sizeof path, "%s/root%s", base, p("top"));
        show(path);
    }
    MUST(symlink("/proc/self/cwd", h("into")));
    show(h("into/f"));
    MUST(chdir("/proc/self"));
    TRY(chdir(p("d")));
    int of_self = MUST(open("/proc/self", O_RDONLY | O_DIRECTORY));
    TRY(openat(of_self, "cwd/by_descriptor", O_CREAT | O_WRONLY, 0644) >= 0);
    TRY(access(p("d/by_descriptor"), F_OK));
    _exit(0);
}

CASE(symlinks) {
    MUST(mkdir(p("d"), 0755));
    put(p("d/f"), "target");
    put(h("hf"), "host target");
    MUST(symlink("d/f", p("relative")));
    MUST(symlink(p("d/f"), p("absolute")));
    MUST(symlink("d", p("directory")));
    MUST(symlink("nowhere", p("dangling")));
    MUST(symlink("loop2", p("loop1")));
    MUST(symlink("loop1", p("loop2")));
    MUST(symlink(".", p("dot")));
    MUST(symlink(h("hf"), p("to-host")));
    MUST(symlink("../h/hf", p("to-host-relative")));
    MUST(symlink(h(""), p("to-host-directory")));
    MUST(symlink(p("d"), h("into")));
    MUST(symlink("../p/d", h("into-relative")));
    MUST(symlink(p("d/f"), h("file-into")));
    MUST(symlink("into", h("twice")));
    MUST(symlink("f/", p("d/trailing")));
    const char *names[] = {"relative", "absolute", "directory", "directory/f", "directory/", "dangling", "loop1",
                           "loop1/x", "dot/dot/dot/d/f", "to-host", "to-host-relative", "to-host-directory/hf",
                           "to-host-directory/into/f", "relative/", "relative/x", "d/trailing",
                           "../h/into/f", "../h/into-relative/f", "../h/file-into", "../h/twice/f", "../h/into/..",
                           "../h/into/../relative", "../h/into/../../h/hf"};
    struct stat st;
    char target[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        say("%s: stat %s", names[i], stat(p(names[i]), &st) ? strerrorname_np(errno) : "ok");
        const char *told = lstat(p(names[i]), &st) ? strerrorname_np(errno) : "ok";
        say("  lstat %s %o", told, st.st_mode);
        ssize_t length = readlink(p(names[i]), target, sizeof target);
        say("  readlink %.*s", length < 0 ? 20 : (int)length, length < 0 ? strerrorname_np(errno) : target);
        int fd = open(p(names[i]), O_RDONLY | O_NOFOLLOW);
        say("  nofollow %s", fd < 0 ? strerrorname_np(errno) : "ok");
        if (fd >= 0) close(fd);
        if (stat(p(names[i]), &st) == 0 && S_ISREG(st.st_mode)) show(p(names[i]));
        exists("  access", access(p(names[i]), R_OK | W_OK));
    }
    put(p("dangling"), "made through the link");
    show(p("nowhere"));
    TRY(open(p("dangling"), O_CREAT | O_EXCL | O_WRONLY, 0644));
    TRY(symlink("x", p("dangling")));
    TRY(symlink("", p("empty")));
    TRY(symlink("x", p("none/x")));
    TRY(mkdir(p("dot"), 0755));
    MUST(unlink(p("nowhere")));
    TRY(mkdir(p("dangling"), 0755));
    TRY(unlink(p("directory/")));
    TRY(rmdir(p("directory")));
    TRY(unlink(h("into/f")));
    TRY(stat(p("relative"), &st));
    put(h("into/again"), "through the host's link");
    show(p("d/again"));
    MUST(chdir(h("into")));
    show("again");
    MUST(chdir(".."));
    say("%s", getcwd(target, sizeof target));
    // Links with paths of their own side in them.
    const char *absolute[] = {"absolute", "to-host", "to-host-directory", "../h/into", "../h/file-into"};
    for (int i = 0; i < 5; i++) MUST(unlink(p(absolute[i])));
}

CASE(long_link_chains) {
    put(p("l0"), "end");
    for (int i = 1; i <= 45; i++) {
        char target[20], name[20];
        snprintf(target, sizeof target, "l%d", i - 1);
        snprintf(name, sizeof name, "l%d", i);
        MUST(symlink(target, p(name)));
    }
    struct stat st;
    TRY(stat(p("l40"), &st));
    TRY(stat(p("l41"), &st));
    TRY(open(p("l45"), O_RDONLY));
    char target[4000];
    memset(target, 'x', sizeof target);
    target[3999] = 0;
    TRY(symlink(target, p("long")));
    TRY(lstat(p("long"), &st));
    say("size %ld", (long)st.st_size);
    TRY(stat(p("long"), &st));
    for (int i = 200; i < 3999; i += 200) target[i] = '/';
    TRY(symlink(target, p("long2")));
    TRY(stat(p("long2"), &st));
}

CASE(names_and_lengths) {
    char name[300], path[PATH_MAX + 500];
    struct stat st;
    memset(name, 'n', sizeof name);
    name[255] = 0;
    TRY(close(MUST(open(p(name), O_CREAT | O_RDWR, 0644))));
    TRY(stat(p(name), &st));
    name[255] = 'n', name[256] = 0;
    TRY(open(p(name), O_CREAT | O_RDWR, 0644));
    TRY(stat(p(name), &st));
    TRY(mkdir(p(name), 0755));
    TRY(symlink("x", p(name)));
    TRY(rename(p("none"), p(name)));
    TRY(unlink(p(name)));
    const char *odd[] = {"a b", "\n", "\xff\xfe", "*?[", "\\", "...", "..a", "-", "~", "\x01", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        put(p(odd[i]), "odd");
        say("%zu: %d", i, stat(p(odd[i]), &st));
    }
    // Deep, by relative steps: far past PATH_MAX.
    MUST(chdir(p("")));
    name[200] = 0;
    int depth = 0;
    while (depth < 40 && mkdir(name, 0755) == 0 && chdir(name) == 0) depth++;
    say("depth %d", depth);
    put("deep", "here");
    show("deep");
    TRY(getcwd(path, PATH_MAX) ? 0 : -1);
    unlink("deep");
    for (; depth > 0; depth--) MUST(chdir("..")), MUST(rmdir(name));
    memset(path, '/', sizeof path);
    strcpy(path + PATH_MAX - 1, "");
    memcpy(path, p(""), strlen(p("")));
    TRY(stat(path, &st));
    path[PATH_MAX - 1] = '/', path[PATH_MAX] = 0;
    TRY(stat(path, &st));
    TRY(open(path, O_RDONLY));
    for (size_t i = strlen(p("")); i < PATH_MAX - 2; i += 2) memcpy(path + i, "/.", 2);
    path[PATH_MAX - 1] = 0;
    TRY(stat(path, &st));
    TRY(stat("", &st));
    TRY(open("", O_RDONLY));
    TRY(mkdir("", 0755));
    TRY(rmdir(""));
    TRY(unlink(""));
    TRY(rename("", "x"));
    TRY(readlink("", path, 10));
}

CASE(prefix_look_alikes) {
    struct stat st;
    char path[PATH_MAX];
    put(p("f"), "in");
    snprintf(path, sizeof path, "%sx", getenv("P"));
    put(path, "beside");
    show(path);
    unlink(path);
    snprintf(path, sizeof path, "%sx/f", getenv("P"));
    TRY(stat(path, &st));
    snprintf(path, sizeof path, "/%s/f", getenv("P"));
    show(path);
    snprintf(path, sizeof path, "/./%s/../p/./f", getenv("P"));
    show(path);
    snprintf(path, sizeof path, "/proc/self/root%s/f", getenv("P"));
    show(path);
    snprintf(path, sizeof path, "/proc/self/cwd/../p/f");
    show(path);
    TRY(stat(p(""), &st));
    say("mode %o links %d", st.st_mode & S_IFMT, (int)st.st_nlink);
}
