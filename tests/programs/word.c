// One process writes and tells another, which then reads: what does it see?
//
// `word make FILE` makes the file. `word WAY FILE AUX` is both processes, `word WAY FILE AUX writer` and `... reader` are one
// each, joined by the socket AUX.s. The reader has the file in its cache when the writer begins; it is told by WAY alone, and
// prints "new", "old" or "mixed" for what it reads. AUX is the beginning of the names of files that both can reach.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE 16384
#define PIECE 4096

static const char *way, *file, *aux;
static volatile sig_atomic_t came;
static int link_[2], pipe_[2], event, semaphores, messages;
static mqd_t queue;
static volatile uint32_t *shared;
static pid_t writer_id;

#define must(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s, line %d: %s: %s\n", way, __LINE__, #condition, strerror(errno)); \
            _exit(1); \
        } \
    } while (0)

static int is(const char *name) { return strcmp(way, name) == 0; }

static void arrived(int signal) {
    (void)signal;
    came = 1;
}

static const char *name(const char *directory, const char *suffix) {
    static char text[4096];
    if (directory)
        snprintf(text, sizeof text, "%.*s%s", (int)(strrchr(directory, '/') - directory), directory, suffix);
    else
        snprintf(text, sizeof text, "%s%s", aux, suffix);
    return text;
}

static void futex(int operation, uint32_t value) { syscall(SYS_futex, shared, operation, value, NULL, NULL, 0); }

// Reads the clock without a system call.
static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void make(void) {
    char bytes[SIZE];
    memset(bytes, 'o', SIZE);
    int target = open(file, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    must(target >= 0 && write(target, bytes, SIZE) == SIZE && close(target) == 0);
}

// What is told is made before the two part.
static void prepare(void) {
    must(pipe(pipe_) == 0 && (event = eventfd(0, 0)) >= 0);
    if (is("semaphore")) must((semaphores = semget(IPC_PRIVATE, 1, 0600)) >= 0);
    if (is("message")) must((messages = msgget(IPC_PRIVATE, 0600)) >= 0);
    if (is("queue")) {
        struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 1};
        char path[64];
        snprintf(path, sizeof path, "/sidestep-%d", getpid());
        must((queue = mq_open(path, O_CREAT | O_RDWR | O_EXCL, 0600, &attributes)) >= 0 && mq_unlink(path) == 0);
    }
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED);
}

static void tell(int target, pid_t reader) {
    struct sembuf up = {0, 1, 0};
    struct {
        long kind;
        char text[1];
    } message = {1, "x"};
    if (is("pipe") || is("poll")) must(write(pipe_[1], "x", 1) == 1);
    if (is("event") || is("epoll")) must(eventfd_write(event, 1) == 0);
    if (is("socket")) must(send(link_[1], "x", 1, 0) == 1);
    if (is("signal") || is("signal in a loop")) must(kill(reader, SIGUSR1) == 0);
    if (is("child")) _exit(0);
    if (is("semaphore")) must(semop(semaphores, &up, 1) == 0);
    if (is("message")) must(msgsnd(messages, &message, 1, 0) == 0);
    if (is("queue")) must(mq_send(queue, "x", 1, 0) == 0);
    if (is("host")) must(close(open(name(NULL, ".flag"), O_CREAT | O_WRONLY, 0644)) == 0);
    if (is("host rename")) must(rename(name(NULL, ".before"), strdup(name(NULL, ".flag"))) == 0);
    if (is("lock")) must(flock(event, LOCK_UN) == 0);
    if (is("prefix")) must(mkdir(name(file, "/flag"), 0755) == 0);
    if (is("futex")) {
        *shared = 1;
        futex(FUTEX_WAKE, 1);
    }
    if (is("memory")) *shared = 1;
    if (is("reopened")) must(close(target) == 0 && send(link_[1], "x", 1, 0) == 1);
    if (is("synced")) must(fsync(target) == 0 && send(link_[1], "x", 1, 0) == 1);
}

static void hear(void) {
    char byte;
    struct stat status;
    struct sembuf down = {0, -1, 0};
    eventfd_t count;
    sigset_t none;
    struct {
        long kind;
        char text[1];
    } message;
    sigemptyset(&none);
    if (is("pipe")) must(read(pipe_[0], &byte, 1) == 1);
    if (is("poll")) must(poll(&(struct pollfd){pipe_[0], POLLIN, 0}, 1, -1) == 1);
    if (is("event")) must(eventfd_read(event, &count) == 0);
    if (is("epoll")) {
        struct epoll_event wanted = {.events = EPOLLIN}, got;
        int set = epoll_create1(0);
        must(epoll_ctl(set, EPOLL_CTL_ADD, event, &wanted) == 0 && epoll_wait(set, &got, 1, -1) == 1);
    }
    if (is("socket") || is("reopened") || is("synced")) must(recv(link_[0], &byte, 1, 0) == 1);
    while (is("signal") && !came) sigsuspend(&none);
    while (is("signal in a loop") && !came) continue;
    if (is("child")) must(waitpid(writer_id, NULL, 0) == writer_id);
    if (is("semaphore")) must(semop(semaphores, &down, 1) == 0);
    if (is("message")) must(msgrcv(messages, &message, 1, 0, 0) == 1);
    if (is("queue")) must(mq_receive(queue, &byte, 1, NULL) == 1);
    if (is("host") || is("host rename"))
        while (stat(name(NULL, ".flag"), &status) != 0) must(errno == ENOENT);
    if (is("lock")) must(flock(open(name(NULL, ".lock"), O_RDONLY), LOCK_EX) == 0);
    if (is("prefix"))
        while (access(name(file, "/flag"), F_OK) != 0) must(errno == ENOENT);
    if (is("futex"))
        while (!*shared) futex(FUTEX_WAIT, 0);
    if (is("sleep")) must(usleep(1300000) == 0);
    if (is("memory")) {
        while (!*shared) continue;
        for (double begun = now(); now() - begun < 1.3;) continue;
    }
}

static void write_and_tell(pid_t reader) {
    char bytes[PIECE], byte;
    int target = open(file, O_RDWR);
    must(target >= 0);
    if (is("lock")) must((event = open(name(NULL, ".lock"), O_CREAT | O_RDWR, 0644)) >= 0 && flock(event, LOCK_EX) == 0);
    if (is("host rename")) must(close(open(name(NULL, ".before"), O_CREAT | O_WRONLY, 0644)) == 0);
    must(send(link_[1], "b", 1, 0) == 1 && recv(link_[1], &byte, 1, 0) == 1);
    memset(bytes, 'n', PIECE);
    // The reader sleeps by then: what it finds in memory without being woken is no word.
    if (is("futex")) usleep(100000);
    must(pwrite(target, bytes, PIECE, 0) == PIECE);
    tell(target, reader);
    // Only what was told counts, not what an end would store: until the reader has gone.
    while (recv(link_[1], &byte, 1, 0) == 1) continue;
    _exit(0);
}

static void hear_and_read(void) {
    char bytes[PIECE + 1] = {0}, byte;
    int source = open(file, O_RDONLY);
    must(source >= 0 && recv(link_[0], &byte, 1, 0) == 1);
    for (int again = 0; again < 2; again++) must(pread(source, bytes, PIECE, 0) == PIECE && bytes[0] == 'o');
    must(send(link_[0], "r", 1, 0) == 1);
    // Proved once more after that word, so that only what comes can make the difference.
    must(pread(source, bytes, PIECE, 0) == PIECE);
    hear();
    if (is("reopened")) must((source = open(file, O_RDONLY)) >= 0);
    if (is("synced")) must(fsync(source) == 0);
    must(pread(source, bytes, PIECE, 0) == PIECE);
    size_t fresh = 0;
    for (size_t i = 0; i < PIECE; i++) fresh += bytes[i] == 'n';
    puts(fresh == PIECE ? "new" : fresh ? "mixed" : "old");
}

// The two ends of AUX.s.
static void join(int writes) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name(NULL, ".s"));
    int end = socket(AF_UNIX, SOCK_STREAM, 0);
    if (writes) {
        while (connect(end, (struct sockaddr *)&address, sizeof address) != 0) usleep(2000);
        link_[1] = end;
    } else {
        must(bind(end, (struct sockaddr *)&address, sizeof address) == 0 && listen(end, 1) == 0);
        must((link_[0] = accept(end, NULL, NULL)) >= 0);
    }
}

int main(int count, char **arguments) {
    way = arguments[1], file = arguments[2], aux = count > 3 ? arguments[3] : "";
    if (is("make")) return make(), 0;
    alarm(60);
    // Blocked until it is waited for, but for a loop, which a handler ends.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    if (is("signal")) sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, arrived);
    prepare();
    if (count > 4) {
        int writes = strcmp(arguments[4], "writer") == 0;
        join(writes);
        if (writes) write_and_tell(0);
        hear_and_read();
        return 0;
    }
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, link_) == 0);
    pid_t reader = getpid();
    must((writer_id = fork()) >= 0);
    if (writer_id == 0) {
        close(link_[0]);
        write_and_tell(reader);
    }
    close(link_[1]);
    hear_and_read();
    fflush(stdout);
    close(link_[0]);
    if (!is("child")) waitpid(writer_id, NULL, 0);
    if (is("semaphore")) semctl(semaphores, 0, IPC_RMID);
    if (is("message")) msgctl(messages, IPC_RMID, NULL);
    return 0;
}
