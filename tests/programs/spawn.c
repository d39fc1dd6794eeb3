// Processes: what a child and an exec'd image inherit.
#include "case.h"
#include <spawn.h>
#include <sched.h>

extern char **environ;

static int spawn(const posix_spawn_file_actions_t *actions, char **environment, const char *script) {
    pid_t child;
    char *arguments[] = {"sh", "-c", (char *)script, NULL};
    int answer = posix_spawn(&child, "/bin/sh", actions, NULL, arguments, environment);
    if (answer) { say("posix_spawn: %s", strerrorname_np(answer)); return -1; }
    reap(child);
    return 0;
}

CASE(file_actions) {
    put(p("in"), "input\n");
    int extra = MUST(open(p("extra"), O_RDWR | O_CREAT, 0644));
    int doomed = MUST(open(p("in"), O_RDONLY));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, p("in"), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, p("out"), O_WRONLY | O_CREAT | O_TRUNC, 0640);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_adddup2(&actions, extra, 9);
    posix_spawn_file_actions_addclose(&actions, doomed);
    char script[100];
    snprintf(script, sizeof script, "cat; echo err >&2; echo nine >&9; [ -e /proc/self/fd/%d ] || echo closed", doomed);
    spawn(&actions, environ, script);
    show(p("out"));
    show(p("extra"));
    struct stat st;
    stat(p("out"), &st);
    say("mode %o", st.st_mode);
    char two[2];
    say("we still have %d: %zd", doomed, read(doomed, two, 2));
}

CASE(file_actions_fail) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, p("none"), O_RDONLY, 0);
    spawn(&actions, environ, "echo never");
    pid_t child;
    char *arguments[] = {"x", NULL};
    say("%s", strerrorname_np(posix_spawn(&child, p("none"), NULL, NULL, arguments, environ)));
    say("%s", strerrorname_np(posix_spawnp(&child, "no-such-program", NULL, NULL, arguments, environ)));
}

CASE(file_actions_chdir) {
    MUST(mkdir(p("d"), 0755));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, p("d"));
    posix_spawn_file_actions_addopen(&actions, 1, "relative", O_WRONLY | O_CREAT, 0644);
    spawn(&actions, environ, "pwd; /bin/pwd; echo x > made; ls");
    show(p("d/relative"));
    int fd = MUST(open(p("d"), O_RDONLY | O_DIRECTORY));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addfchdir_np(&actions, fd);
    spawn(&actions, environ, "unset PWD; /bin/pwd; ls");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    char script[60];
    snprintf(script, sizeof script, "[ -e /proc/self/fd/%d ] || echo closed", fd);
    spawn(&actions, environ, script);
    show(p("d/made"));
    // It holds a path, and those differ.
    MUST(unlink(p("d/relative")));
}

CASE(vfork_dup2_exec) {
    int in = MUST(open(p("in"), O_RDWR | O_CREAT, 0644));
    MUST(write(in, "alpha\nbeta\n", 11));
    MUST(lseek(in, 0, SEEK_SET));
    int out = MUST(open(p("out"), O_WRONLY | O_CREAT | O_APPEND, 0644));
    for (int i = 0; i < 3; i++) {
        pid_t child = vfork();
        if (child == 0) {
            dup2(in, 0);
            dup2(out, 1);
            close(in);
            execl("/bin/sh", "sh", "-c", "read line; echo got $line", NULL);
            _exit(127);
        }
        reap(child);
    }
    show(p("out"));
    say("cursor %ld", (long)lseek(in, 0, SEEK_CUR));
    TRY(close(in));
    TRY(close(out));
    TRY(close(out));
}

CASE(vfork_child_exits) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    pid_t child = vfork();
    if (child == 0) {
        close(fd);
        _exit(5);
    }
    reap(child);
    TRY(write(fd, "kept", 4));
    show(p("f"));
    child = vfork();
    if (child == 0) {
        execl("/no/such/program", "x", NULL);
        _exit(errno == ENOENT ? 6 : 7);
    }
    reap(child);
    TRY(write(fd, "on", 2));
    show(p("f"));
}

CASE(vfork_child_writes) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "parent;", 7));
    pid_t child = vfork();
    if (child == 0) {
        ssize_t count = write(fd, "child;", 6);
        _exit(count == 6 ? 0 : 1);
    }
    reap(child);
    TRY(write(fd, "parent again", 12));
    show(p("f"));
}

CASE(exec_keeps_descriptors) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "0123456789abcdef\n", 17));
    MUST(lseek(fd, 4, SEEK_SET));
    MUST(dup2(fd, 77));
    int cloexec = MUST(open(p("f"), O_RDONLY | O_CLOEXEC));
    int append = MUST(open(p("log"), O_WRONLY | O_CREAT | O_APPEND, 0644));
    int reader = MUST(open(p("f"), O_RDONLY));
    int directory = MUST(open(p(""), O_RDONLY | O_DIRECTORY));
    char script[600];
    snprintf(script, sizeof script,
             "dd bs=1 count=3 <&%d 2>/dev/null; echo; dd bs=1 count=3 <&77 2>/dev/null; echo; "
             "[ -e /proc/self/fd/%d ] && echo leaked; echo one >&%d; echo two >> \"$P/log\"; echo three >&%d; "
             "echo bad 2>/dev/null >&%d || echo refused; ls /proc/self/fd/%d/ | grep -c .",
             fd, cloexec, append, append, reader, directory);
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", script, NULL);
        _exit(1);
    }
    reap(child);
    say("cursor %ld", (long)lseek(fd, 0, SEEK_CUR));
    show(p("log"));
}

CASE(exec_cloexec_variants) {
    int fds[6];
    fds[0] = MUST(open(p("f"), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    fds[1] = MUST(dup(fds[0]));
    fds[2] = MUST(dup3(fds[0], 50, O_CLOEXEC));
    fds[3] = MUST(fcntl(fds[0], F_DUPFD_CLOEXEC, 60));
    fds[4] = MUST(fcntl(fds[0], F_DUPFD, 70));
    MUST(ioctl(fds[4], FIOCLEX));
    fds[5] = MUST(dup(fds[0]));
    MUST(fcntl(fds[5], F_SETFD, FD_CLOEXEC));
    MUST(ioctl(fds[5], FIONCLEX));
    char script[600] = "";
    for (int i = 0; i < 6; i++) {
        say("%d: %d cloexec %d", i, fds[i], fcntl(fds[i], F_GETFD));
        snprintf(script + strlen(script), 90, "[ -e /proc/self/fd/%d ] && echo %d is open; ", fds[i], i);
    }
    execl("/bin/sh", "sh", "-c", script, NULL);
}

CASE(exec_unlinked_file) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "unlinked but there\n", 19));
    MUST(unlink(p("f")));
    MUST(lseek(fd, 0, SEEK_SET));
    MUST(dup2(fd, 0));
    struct stat st;
    fstat(0, &st);
    say("links %d", (int)st.st_nlink);
    execl("/bin/sh", "sh", "-c", "cat; ls -A \"$P\"; stat -L -c '%h %s' /dev/stdin", NULL);
}

CASE(exec_keeps_directory) {
    MUST(mkdir(p("d"), 0755));
    MUST(mkdir(p("d/e"), 0755));
    MUST(chdir(p("d/e")));
    put("here", "relative\n");
    pid_t child = fork();
    if (child == 0) {
        char *environment[] = {NULL};
        execle("/bin/sh", "sh", "-c", "pwd; cat here; cd ..; pwd; ls; /bin/pwd", NULL, environment);
        _exit(1);
    }
    reap(child);
    int fd = MUST(open("..", O_RDONLY | O_DIRECTORY));
    MUST(fchdir(fd));
    char here[PATH_MAX];
    say("%s", getcwd(here, sizeof here));
    execl("/bin/sh", "sh", "-c", "pwd; cat e/here; exec /bin/ls", NULL);
}

CASE(hand_made_environments) {
    put(p("f"), "seen\n");
    char path[PATH_MAX + 10], command[PATH_MAX + 10];
    snprintf(path, sizeof path, "P=%s", getenv("P"));
    snprintf(command, sizeof command, "cat %s/f", getenv("P"));
    char *one[] = {path, NULL}, *many[] = {"A=1", "PATH=/usr/bin:/bin", path, "LD_LIBRARY_PATH=/nowhere", NULL};
    spawn(NULL, one, "/bin/cat $P/f");
    spawn(NULL, many, "cat $P/f; env | grep -c '^A='");
    pid_t child = fork();
    if (child == 0) { execle("/usr/bin/env", "env", "-i", "/bin/sh", "-c", command, NULL, one); _exit(1); }
    reap(child);
    child = fork();
    if (child == 0) {
        char *arguments[] = {"cat", (char *)p("f"), NULL};
        execvpe("cat", arguments, one);
        _exit(1);
    }
    reap(child);
    child = fork();
    if (child == 0) {
        clearenv();
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(1);
    }
    reap(child);
    child = fork();
    if (child == 0) {
        int cat = open("/bin/cat", O_RDONLY);
        char *arguments[] = {"cat", (char *)p("f"), NULL};
        fexecve(cat, arguments, one);
        _exit(1);
    }
    reap(child);
    child = fork();
    if (child == 0) {
        char *arguments[] = {"cat", (char *)p("f"), NULL};
        syscall(SYS_execve, "/bin/cat", arguments, NULL);
        _exit(1);
    }
    reap(child);
}

CASE(exec_through_prefix_link) {
    MUST(symlink("/bin/sh", p("shell")));
    MUST(mkdir(p("bin"), 0755));
    MUST(symlink("/bin/cat", p("bin/mycat")));
    put(p("f"), "content\n");
    pid_t child = fork();
    if (child == 0) { execl(p("shell"), "shell", "-c", "echo $0; cat \"$P/f\"", NULL); _exit(1); }
    reap(child);
    setenv("PATH", p("bin"), 1);
    child = fork();
    if (child == 0) { execlp("mycat", "mycat", p("f"), NULL); _exit(1); }
    reap(child);
    MUST(chdir(p("bin")));
    child = fork();
    if (child == 0) { execl("./mycat", "mycat", "../f", NULL); _exit(1); }
    reap(child);
    child = fork();
    if (child == 0) { execl(p("none"), "x", NULL); _exit(errno == ENOENT ? 20 : 21); }
    reap(child);
    child = fork();
    if (child == 0) { execl(p("bin"), "x", NULL); _exit(errno == EACCES ? 22 : 23); }
    reap(child);
}

static int clone_child(void *fd) { return write(*(int *)fd, "cloned;", 7) == 7 ? 0 : 1; }

CASE(clone_variants) {
    static char stack[1 << 16] __attribute__((aligned(16)));
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "start;", 6));
    pid_t child = clone(clone_child, stack + sizeof stack, SIGCHLD, &fd);
    reap(child);
    child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(write(fd, "raw;", 4) == 4 ? 0 : 1);
    reap(child);
    child = _Fork();
    if (child == 0) _exit(write(fd, "_Fork;", 6) == 6 ? 0 : 1);
    reap(child);
    TRY(write(fd, "end", 3));
    show(p("f"));
}

CASE(many_children) {
    int fd = MUST(open(p("f"), O_WRONLY | O_CREAT | O_APPEND, 0644));
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            char line[30];
            int length = snprintf(line, sizeof line, "child %d\n", i);
            _exit(write(fd, line, length) == length ? 0 : 1);
        }
        int status;
        MUST(waitpid(child, &status, 0));
        if (status) say("child %d: %x", i, status);
    }
    show(p("f"));
}
