// Every way to make a process, and what it leaves behind.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *const echo[] = {"/bin/echo", "a program", NULL};

static void wait_for(const char *name, pid_t child) {
    int status = -1;
    pid_t waited = waitpid(child, &status, 0);
    printf("%s: %s %d\n", name, waited == child ? "ended" : "lost", WIFEXITED(status) ? WEXITSTATUS(status) : -status);
    fflush(stdout);
}

static int child_on_own_stack(void *word) {
    (*(int *)word)++;
    return access("/", F_OK) + 7;
}

static void *fork_in_thread(void *unused) {
    pid_t child = fork();
    if (child == 0) _exit(access("/nowhere", F_OK) == -1 && errno == ENOENT ? 4 : 5);
    wait_for("fork in a thread", child);
    return unused;
}

static void *nothing(void *unused) { return unused; }

int main(void) {
    pid_t child;
    setvbuf(stdout, NULL, _IOFBF, 4096);

    child = fork();
    if (child == 0) _exit(3);
    wait_for("fork", child);

    child = vfork();
    if (child == 0) {
        execv(echo[0], echo);
        _exit(127);
    }
    wait_for("vfork", child);

    child = vfork();
    if (child == 0) {
        execv("/nowhere/program", echo);
        _exit(errno == ENOENT ? 11 : 12);
    }
    wait_for("vfork, no program", child);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 5, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 5, 1);
    posix_spawn_file_actions_addclose(&actions, 5);
    int error = posix_spawn(&child, echo[0], &actions, NULL, echo, environ);
    wait_for(error ? "posix_spawn failed" : "posix_spawn", child);
    printf("posix_spawnp, no program: %s\n", strerror(posix_spawnp(&child, "no-such-program", NULL, NULL, echo, environ)));

    printf("system: %d\n", WEXITSTATUS(system("echo from a shell; exit 6")));
    fflush(stdout);
    FILE *stream = popen("echo one; echo two", "r");
    char line[64];
    while (fgets(line, sizeof line, stream)) printf("popen: %s", line);
    printf("pclose: %d\n", pclose(stream));

    int word = 1;
    char *stack = malloc(65536);
    child = clone(child_on_own_stack, stack + 65536, CLONE_VM | SIGCHLD, &word);
    wait_for("clone with shared memory", child);
    printf("its word: %d\n", word);
    child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(13);
    wait_for("clone by syscall()", child);

    pthread_t thread;
    pthread_create(&thread, NULL, fork_in_thread, NULL);
    pthread_join(thread, NULL);
    for (int round = 0; round < 500; round++) {
        if (pthread_create(&thread, NULL, nothing, NULL) != 0) puts("no thread");
        pthread_join(thread, NULL);
    }
    printf("execve without a program: %d %s\n", execve("/nowhere", echo, environ), strerror(errno));
    fflush(stdout);
    execl("/bin/sh", "sh", "-c", "echo the last; exit 21", NULL);
    return 1;
}
