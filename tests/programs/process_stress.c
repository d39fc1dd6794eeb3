// Sixteen threads that open, duplicate, close, read, write, rename, list, fork, spawn and exec beside one another, with
// signals whose handlers read and write too. What must hold is checked by each of them: the bytes of a file tell the file
// and their offset, a cursor is where its reads left it, a listing has each name once, a pipe has what was put into it.
//
// process_stress SECONDS: exits with 0 if nothing was wrong, 3 if a thread made no step for a long time.
// process_stress SECONDS paused: the same, and the process is stopped and continued over and over.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RECORD = 64, RECORDS = 40, FILES = 8, NAMES = 40, STALL_SECONDS = 60, CHILD_SECONDS = 50, OWN_NUMBERS = 16, SHARED_NAMES = 4 };

extern char **environ;
static const char *prefix, *self;
static atomic_int wrong, is_over;
static int shared_file;
static time_t begun;

static void complain(const char *format, ...) {
    if (atomic_fetch_add(&wrong, 1) >= 20) return;
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    int length = snprintf(line, sizeof line, "%ld s: ", (long)(time(NULL) - begun));
    length += vsnprintf(line + length, sizeof line - 1 - length, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2) length = sizeof line - 2;
    line[length++] = '\n';
    write(2, line, length);
}

#define HOLDS(condition, ...)                                                                                    \
    ({                                                                                                           \
        int holds_ = !!(condition);                                                                              \
        if (!holds_) complain("line %d: not " #condition ", errno %d", __LINE__, errno);                         \
        holds_;                                                                                                  \
    })

static void record_of(char *record, int file, int index) {
    memset(record, 'a' + file, RECORD);
    char text[32];
    int length = snprintf(text, sizeof text, "file %d record %d.", file, index);
    memcpy(record, text, length);
}

static int is_record(const char *bytes, int file, int index) {
    char wanted[RECORD];
    record_of(wanted, file, index);
    return memcmp(bytes, wanted, RECORD) == 0;
}

static const char *path_of(char *room, const char *kind, int number) {
    snprintf(room, 400, "%s/%s%d", prefix, kind, number);
    return room;
}

static void fill(const char *path, int file) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!HOLDS(fd >= 0)) return;
    char record[RECORD];
    for (int i = 0; i < RECORDS; i++) {
        record_of(record, file, i);
        HOLDS(write(fd, record, RECORD) == RECORD);
    }
    HOLDS(close(fd) == 0);
}

// What every child checks first: what it makes is what it is.
static int is_child_sound(void) {
    int ends[2], pair[2], host;
    char bytes[8] = "";
    if (pipe(ends) || write(ends[1], "hello", 5) != 5 || read(ends[0], bytes, 5) != 5 || memcmp(bytes, "hello", 5)) return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || write(pair[0], "other", 5) != 5) return 0;
    if (read(pair[1], bytes, 5) != 5 || memcmp(bytes, "other", 5)) return 0;
    if ((host = open("/proc/version", O_RDONLY)) < 0 || read(host, bytes, 5) != 5 || memcmp(bytes, "Linux", 5)) return 0;
    for (int i = 0; i < 2; i++) close(ends[i]), close(pair[i]);
    return close(host) == 0;
}

static void reap(pid_t child, const char *what) {
    int status = -1;
    if (!HOLDS(waitpid(child, &status, 0) == child)) return;
    if (status != 0) complain("%s: status %x", what, status);
}

static void read_files(unsigned *seed) {
    char path[400], record[RECORD];
    int file = rand_r(seed) % FILES, fd = open(path_of(path, "f", file), O_RDONLY | (rand_r(seed) % 2 ? O_CLOEXEC : 0));
    if (!HOLDS(fd >= 0)) return;
    int other = dup(fd);
    HOLDS(other >= 0);
    for (int i = 0; i < RECORDS; i++) {
        int from = i % 2 ? fd : other;
        if (!HOLDS(read(from, record, RECORD) == RECORD) || !HOLDS(is_record(record, file, i))) break;
    }
    HOLDS(read(fd, record, RECORD) == 0);
    HOLDS(close(other) == 0);
    int index = rand_r(seed) % RECORDS;
    HOLDS(pread(fd, record, RECORD, (long)index * RECORD) == RECORD && is_record(record, file, index));
    HOLDS(close(fd) == 0);
}

// Numbers that no other thread uses: pipes and files take turns under them.
static void replace_numbers(unsigned *seed, int first) {
    char path[400], record[RECORD];
    int ends[2], file = rand_r(seed) % FILES;
    if (!HOLDS(pipe2(ends, O_CLOEXEC) == 0)) return;
    int fd = open(path_of(path, "f", file), O_RDONLY);
    if (!HOLDS(fd >= 0)) return;
    int number = first + rand_r(seed) % OWN_NUMBERS;
    HOLDS(dup2(fd, number) == number);
    HOLDS(read(number, record, RECORD) == RECORD && is_record(record, file, 0));
    HOLDS(dup3(ends[0], number, O_CLOEXEC) == number);
    HOLDS(write(ends[1], "piped", 5) == 5);
    HOLDS(read(number, record, RECORD) == 5 && memcmp(record, "piped", 5) == 0);
    HOLDS(dup2(fd, number) == number);
    HOLDS(pread(number, record, RECORD, RECORD) == RECORD && is_record(record, file, 1));
    HOLDS(close_range(first, first + OWN_NUMBERS - 1, 0) == 0);
    HOLDS(fcntl(number, F_GETFD) == -1 && errno == EBADF);
    HOLDS(write(ends[1], "again", 5) == 5 && read(ends[0], record, RECORD) == 5 && memcmp(record, "again", 5) == 0);
    HOLDS(close(fd) == 0);
    HOLDS(close(ends[0]) == 0);
    HOLDS(close(ends[1]) == 0);
}

static void write_files(unsigned *seed, int own) {
    char from[400], to[400], record[RECORD];
    path_of(from, "w", own);
    path_of(to, "moved", own);
    fill(from, own);
    HOLDS(rename(from, to) == 0);
    int fd = open(to, O_RDWR);
    if (!HOLDS(fd >= 0)) return;
    int index = rand_r(seed) % RECORDS;
    HOLDS(pread(fd, record, RECORD, (long)index * RECORD) == RECORD && is_record(record, own, index));
    record_of(record, own, RECORDS);
    HOLDS(lseek(fd, 0, SEEK_END) == RECORDS * RECORD);
    HOLDS(write(fd, record, RECORD) == RECORD);
    HOLDS(unlink(to) == 0);
    HOLDS(pread(fd, record, RECORD, RECORDS * RECORD) == RECORD && is_record(record, own, RECORDS));
    HOLDS(close(fd) == 0);
}

// A few names that several threads make, rename over one another and remove: an open that may make its file always has one.
static void share_names(unsigned *seed) {
    char one[400], other[400];
    path_of(one, "shared", rand_r(seed) % SHARED_NAMES);
    path_of(other, "shared", rand_r(seed) % SHARED_NAMES);
    int fd = open(one, O_RDWR | O_CREAT | (rand_r(seed) % 2 ? O_CLOEXEC : 0), 0600);
    if (!HOLDS(fd >= 0)) return;
    if (rand_r(seed) % 3 == 0) HOLDS(unlink(one) == 0 || errno == ENOENT);
    else HOLDS(rename(one, other) == 0 || errno == ENOENT);
    HOLDS(write(fd, "abc", 3) == 3);
    HOLDS(close(fd) == 0);
}

static void list(unsigned *seed) {
    char path[400];
    (void)seed;
    // opendir and closedir ask libc for memory. On DAOS no handler may interrupt that and make a call that needs a message:
    // DAOS's client asks for memory too.
    const char *mounts = getenv("SIDESTEP_MOUNTS");
    sigset_t signals, before;
    sigemptyset(&signals);
    if (mounts && strstr(mounts, "daos:")) sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    DIR *directory = opendir(path_of(path, "names", 0));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!HOLDS(directory != NULL)) return;
    int seen[NAMES] = {0}, others = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        int number;
        if (sscanf(entry->d_name, "n%d", &number) == 1 && number >= 0 && number < NAMES) seen[number]++;
        else others++;
    }
    for (int i = 0; i < NAMES; i++) HOLDS(seen[i] == 1);
    HOLDS(others == 2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    HOLDS(closedir(directory) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static pid_t raw_fork(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }

// The child reads where its parent is, and the parent goes on where the child left off.
static void fork_once(unsigned *seed, int is_raw) {
    char path[400], record[RECORD];
    int file = rand_r(seed) % FILES, fd = open(path_of(path, "f", file), O_RDONLY | (rand_r(seed) % 2 ? O_CLOEXEC : 0));
    if (!HOLDS(fd >= 0)) return;
    HOLDS(read(fd, record, RECORD) == RECORD && is_record(record, file, 0));
    pid_t child = is_raw ? raw_fork() : fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        if (!is_child_sound()) _exit(1);
        if (read(fd, record, RECORD) != RECORD || !is_record(record, file, 1)) _exit(2);
        if (close(fd)) _exit(3);
        if (!is_child_sound()) _exit(4);
        _exit(0);
    }
    if (child < 0) {
        HOLDS(errno == EAGAIN);
    } else {
        reap(child, is_raw ? "clone" : "fork");
        HOLDS(read(fd, record, RECORD) == RECORD && is_record(record, file, 2));
    }
    HOLDS(close(fd) == 0);
}

static void fork_and_exec(unsigned *seed) {
    char path[400], number[16], which[16], record[RECORD];
    int file = rand_r(seed) % FILES, fd = open(path_of(path, "f", file), O_RDONLY);
    if (!HOLDS(fd >= 0)) return;
    HOLDS(read(fd, record, RECORD) == RECORD);
    snprintf(number, sizeof number, "%d", fd);
    snprintf(which, sizeof which, "%d", file);
    pid_t child = rand_r(seed) % 2 ? fork() : vfork();
    if (child == 0) {
        execl(self, self, "child", number, which, (char *)NULL);
        _exit(9);
    }
    if (HOLDS(child > 0)) reap(child, "exec");
    HOLDS(read(fd, record, RECORD) == RECORD && is_record(record, file, 2));
    HOLDS(close(fd) == 0);
}

static void spawn_once(unsigned *seed) {
    char path[400], bytes[RECORD * RECORDS + 1], *arguments[] = {"cat", NULL};
    int ends[2], file = rand_r(seed) % FILES, fd = open(path_of(path, "f", file), O_RDONLY | O_CLOEXEC);
    if (!HOLDS(fd >= 0) || !HOLDS(pipe2(ends, O_CLOEXEC) == 0)) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    pid_t child = -1;
    HOLDS((errno = posix_spawn(&child, "/bin/cat", &actions, NULL, arguments, environ)) == 0);
    posix_spawn_file_actions_destroy(&actions);
    HOLDS(close(ends[1]) == 0);
    size_t length = 0;
    for (ssize_t count; (count = read(ends[0], bytes + length, sizeof bytes - length)) > 0;) length += count;
    HOLDS(length == RECORD * RECORDS);
    for (int i = 0; i < RECORDS && length == RECORD * RECORDS; i++) HOLDS(is_record(bytes + i * RECORD, file, i));
    HOLDS(close(ends[0]) == 0);
    if (child > 0) reap(child, "spawn");
    HOLDS(lseek(fd, 0, SEEK_CUR) == RECORD * RECORDS);
    HOLDS(close(fd) == 0);
}

static void run_shell(unsigned *seed) {
    if (rand_r(seed) % 2) {
        HOLDS(system("exit 0") == 0);
        return;
    }
    char line[32] = "";
    FILE *pipe = popen("echo from a shell", "re");
    if (!HOLDS(pipe != NULL)) return;
    HOLDS(fgets(line, sizeof line, pipe) && strcmp(line, "from a shell\n") == 0);
    HOLDS(pclose(pipe) == 0);
}

static void use_pipe(unsigned *seed) {
    int ends[2], value[2] = {rand_r(seed), 0};
    if (!HOLDS(pipe2(ends, O_CLOEXEC) == 0)) return;
    for (int i = 0; i < 20; i++) {
        value[0]++;
        HOLDS(write(ends[1], &value[0], sizeof(int)) == sizeof(int));
        HOLDS(read(ends[0], &value[1], sizeof(int)) == sizeof(int) && value[0] == value[1]);
    }
    HOLDS(close(ends[0]) == 0);
    HOLDS(close(ends[1]) == 0);
}

static void on_signal(int signal) {
    (void)signal;
    int before = errno;
    char record[RECORD], path[400];
    HOLDS(pread(shared_file, record, RECORD, 5 * RECORD) == RECORD && is_record(record, 0, 5));
    // snprintf is not for handlers.
    strcpy(path, prefix);
    strcat(path, "/f0");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (HOLDS(fd >= 0)) {
        HOLDS(read(fd, record, RECORD) == RECORD && is_record(record, 0, 0));
        HOLDS(close(fd) == 0);
    }
    errno = before;
}

static pthread_t threads[16];
static atomic_ulong steps[16];
static atomic_int task_of[16];

static void tell_file(const char *format, int task) {
    char path[64], text[200];
    snprintf(path, sizeof path, format, task);
    int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
    ssize_t length = file < 0 ? 0 : syscall(SYS_read, file, text, sizeof text);
    if (length > 0) syscall(SYS_write, 2, text, length);
    syscall(SYS_close, file);
}

// Which threads are there still, and in which calls: the time is over.
static void tell_threads(int signal) {
    (void)signal;
    for (int i = 0; i < 16; i++) {
        if (task_of[i] == 0) continue;
        complain("thread %d, %lu steps, is in", i, (unsigned long)steps[i]);
        tell_file("/proc/self/task/%d/syscall", task_of[i]);
    }
    _exit(4);
}

static void *run(void *argument) {
    int number = (int)(long)argument;
    unsigned seed = number * 7919u + time(NULL);
    task_of[number] = syscall(SYS_gettid);
    while (!is_over) {
        switch (number) {
            case 0: case 1: read_files(&seed); break;
            case 2: case 3: replace_numbers(&seed, 400 + number * OWN_NUMBERS); break;
            case 4: case 5: rand_r(&seed) % 2 ? write_files(&seed, number) : share_names(&seed); break;
            case 6: case 7: list(&seed); break;
            case 8: case 9: fork_once(&seed, 0); break;
            case 10: fork_once(&seed, 1); break;
            case 11: fork_and_exec(&seed); break;
            case 12: spawn_once(&seed); break;
            case 13: run_shell(&seed); break;
            case 14: rand_r(&seed) % 2 ? use_pipe(&seed) : share_names(&seed); break;
            default:
                // Those that start programs are left alone: what libc does there with signals is its own.
                pthread_kill(threads[rand_r(&seed) % 11], SIGUSR1);
                usleep(2000);
        }
        steps[number]++;
    }
    // A thread that ends gives memory back to libc: see list.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    task_of[number] = 0;
    return NULL;
}

// The program that fork_and_exec starts: the descriptor is there, and its cursor where it was.
static int be_child(int fd, int file) {
    char record[RECORD];
    alarm(CHILD_SECONDS);
    if (!is_child_sound()) return 1;
    return read(fd, record, RECORD) == RECORD && is_record(record, file, 1) ? 0 : 2;
}

static atomic_int *pauses_are_over;

// A child that stops and continues its parent. Nothing may be judged by a clock that went on while nobody could run.
static pid_t start_pauses(void) {
    pauses_are_over = mmap(NULL, sizeof *pauses_are_over, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!HOLDS(pauses_are_over != MAP_FAILED)) exit(97);
    pid_t parent = getpid(), child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent && !*pauses_are_over) {
        kill(parent, SIGSTOP);
        usleep(700000);
        kill(parent, SIGCONT);
        usleep(50000);
    }
    _exit(0);
}

// The child ends by itself: one that was killed might leave its parent stopped.
static void end_pauses(pid_t child) {
    *pauses_are_over = 1;
    HOLDS(waitpid(child, NULL, 0) == child);
}

int main(int count, char **arguments) {
    self = "/proc/self/exe";
    begun = time(NULL);
    if (count == 4) return be_child(atoi(arguments[2]), atoi(arguments[3]));
    prefix = getenv("P");
    int is_paused = count == 3 && strcmp(arguments[2], "paused") == 0;
    if (!prefix || count != 2 + is_paused) return 98;
    char path[400], name[420];
    for (int i = 0; i < FILES; i++) fill(path_of(path, "f", i), i);
    HOLDS(mkdir(path_of(path, "names", 0), 0700) == 0);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%s/n%d", path, i);
        HOLDS(close(open(name, O_WRONLY | O_CREAT, 0600)) == 0);
    }
    shared_file = open(path_of(path, "f", 0), O_RDONLY);
    HOLDS(shared_file >= 0);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    HOLDS(sigaction(SIGUSR1, &action, NULL) == 0);
    // Before the threads: the child would keep the ends of their pipes open.
    pid_t pauses = is_paused ? start_pauses() : 0;
    sigset_t mask, before;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &mask, &before);
    // The signals begin when all threads are there.
    for (long i = 0; i < 15; i++) {
        if (i == 11) pthread_sigmask(SIG_SETMASK, &mask, NULL);
        else pthread_sigmask(SIG_SETMASK, i < 11 ? &before : &mask, NULL);
        HOLDS(pthread_create(&threads[i], NULL, run, (void *)i) == 0);
    }
    HOLDS(pthread_create(&threads[15], NULL, run, (void *)15L) == 0);
    unsigned long last[16] = {0};
    time_t end = time(NULL) + atoi(arguments[1]), moved[16];
    for (int i = 0; i < 16; i++) moved[i] = time(NULL);
    while (time(NULL) < end) {
        usleep(200000);
        for (int i = 0; i < 16; i++) {
            if (steps[i] != last[i]) last[i] = steps[i], moved[i] = time(NULL);
            if (time(NULL) - moved[i] > STALL_SECONDS) {
                complain("thread %d has made no step for %d s", i, STALL_SECONDS);
                _exit(3);
            }
        }
    }
    is_over = 1;
    signal(SIGALRM, tell_threads);
    alarm(STALL_SECONDS);
    if (pauses) end_pauses(pauses);
    for (int i = 0; i < 16; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 16; i++) printf("%d: %lu%s", i, (unsigned long)steps[i], i == 15 ? "\n" : ", ");
    return wrong != 0;
}
