// Calls on a store whose servers vanish: `bounded_calls VERB PREFIX FILE`. While FILE is there no server answers; the
// mount's timeout= is a second.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static const char *vanished;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void insist(int holds, const char *what)
{
    if (holds)
        return;
    printf("%s: errno %d (%s)\n", what, errno, strerror(errno));
    exit(1);
}

static void vanish(void)
{
    // What is believed for a second is believed no more.
    usleep(1200000);
    int file = open(vanished, O_WRONLY | O_CREAT, 0600);
    insist(file >= 0 && close(file) == 0, "vanish");
}

static void come_back(void) { insist(unlink(vanished) == 0, "come back"); }

static int list(void)
{
    DIR *directory = opendir("d");
    if (!directory)
        return -1;
    errno = 0;
    while (readdir(directory))
        ;
    int error = errno;
    closedir(directory);
    errno = error;
    return error ? -1 : 0;
}

static struct stat status;
static struct statvfs space;
static char room[100];

// Each leads to another call of libdfs, or to the same one from elsewhere.
static const char *const names[] = {"open",  "stat",     "list",     "mkdir",     "create",   "rename",
                                    "unlink", "symlink",  "chmod",    "truncate",  "getxattr", "setxattr",
                                    "listxattr", "stat root", "statvfs", "mkdir in the root", "rmdir", "readlink"};
enum { COUNT = sizeof names / sizeof *names };

static int call(int number)
{
    int file = 0;
    switch (number) {
    case 0: file = open("d/1", O_RDONLY); break;
    case 1: return stat("d/2", &status);
    case 2: return list();
    case 3: return mkdir("d/new", 0755);
    case 4: file = open("d/made", O_WRONLY | O_CREAT, 0600); break;
    case 5: return rename("d/3", "d/three");
    case 6: return unlink("d/4");
    case 7: return symlink("1", "d/link");
    case 8: return chmod("d/5", 0600);
    case 9: return truncate("d/6", 100);
    case 10: return getxattr("d/1", "user.x", room, sizeof room) < 0 ? -1 : 0;
    case 11: return setxattr("d/1", "user.z", "y", 1, 0);
    case 12: return listxattr("d/1", room, sizeof room) < 0 ? -1 : 0;
    case 13: return stat(".", &status);
    case 14: return statvfs(".", &space);
    case 15: return mkdir("new", 0755);
    case 16: return rmdir("d/empty");
    case 17: return readlink("d/symlink", room, sizeof room) < 0 ? -1 : 0;
    }
    return file < 0 ? -1 : close(file);
}

static void times_out(int number)
{
    double start = now();
    errno = 0;
    int answer = call(number);
    double took = now() - start;
    if (answer == -1 && errno == ETIMEDOUT && took > 0.9 && took < 1.9)
        return;
    printf("%s: %d after %.1f s\n", names[number], answer, took);
    insist(0, names[number]);
}

static void prepare(const char *prefix)
{
    insist(chdir(prefix) == 0 && mkdir("d", 0755) == 0 && mkdir("d/empty", 0755) == 0, "prepare");
    for (char name[] = "d/1"; name[2] <= '9'; name[2]++) {
        int file = open(name, O_WRONLY | O_CREAT, 0644);
        insist(file >= 0 && write(file, name, 3) == 3 && close(file) == 0, name);
    }
    insist(symlink("1", "d/symlink") == 0 && setxattr("d/1", "user.x", "y", 1, 0) == 0, "prepare");
}

// Everything works, and what was there is there.
static void insist_on_all(void)
{
    int file = open("d/7", O_RDWR);
    insist(file >= 0 && read(file, room, sizeof room) == 3 && !memcmp(room, "d/7", 3), "read");
    insist(write(file, "more", 4) == 4 && fsync(file) == 0 && fstat(file, &status) == 0, "write");
    insist(status.st_size == 7 && close(file) == 0, "the size");
    insist(mkdir("d/later", 0755) == 0 && rename("d/8", "d/eight") == 0 && list() == 0, "names");
    insist(stat("d/8", &status) == -1 && errno == ENOENT, "the old name");
}

static void *in_thread(void *number)
{
    times_out((int)(long)number);
    return NULL;
}

static void in_threads(void)
{
    pthread_t threads[8];
    for (long i = 0; i < 8; i++)
        insist(pthread_create(&threads[i], NULL, in_thread, (void *)i) == 0, "a thread");
    usleep(2500000);
    come_back();
    for (int i = 0; i < 8; i++)
        insist(pthread_join(threads[i], NULL) == 0, "a thread's end");
}

static void in_fork(void)
{
    times_out(1);
    come_back();
    pid_t child = fork();
    if (child == 0) {
        int file = open("d/child", O_WRONLY | O_CREAT, 0644);
        _exit(file >= 0 && write(file, "c", 1) == 1 && close(file) == 0 && stat("d/2", &status) == 0 ? 0 : 1);
    }
    int told = -1;
    insist(waitpid(child, &told, 0) == child && told == 0, "the child");
    insist(stat("d/child", &status) == 0 && status.st_size == 1, "the child's file");
}

static void handle(int number) { (void)number; }

static void *interrupt(void *thread)
{
    usleep(200000);
    pthread_kill(*(pthread_t *)thread, SIGINT);
    return NULL;
}

// The mount's timeout is longer here.
static void in_signal(void)
{
    struct sigaction action = {.sa_handler = handle};
    sigaction(SIGINT, &action, NULL);
    pthread_t own = pthread_self(), other;
    insist(pthread_create(&other, NULL, interrupt, &own) == 0, "a thread");
    double start = now();
    int answer = stat("d/2", &status);
    insist(answer == -1 && errno == EINTR && now() - start < 1.9, "the signal");
    pthread_join(other, NULL);
    come_back();
    insist(stat("d/2", &status) == 0, "the next call");
}

static void *create(void *unused)
{
    (void)unused;
    times_out(4);
    // This thread stays, with the call that it left, until the others are done.
    pause();
    return NULL;
}

static void in_create(void)
{
    pthread_t other;
    insist(pthread_create(&other, NULL, create, NULL) == 0, "a thread");
    usleep(1700000);
    come_back();
    char name[] = "d/a";
    for (; name[2] <= 'z'; name[2]++) {
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        insist(file >= 0 && write(file, name, 3) == 3 && close(file) == 0, name);
    }
    for (name[2] = 'a'; name[2] <= 'z'; name[2]++) {
        int file = open(name, O_RDONLY);
        insist(file >= 0 && read(file, room, 10) == 3 && !memcmp(room, name, 3) && close(file) == 0, name);
    }
}

enum { LONG = 1 << 20 };

// The mount is strict here: a long write goes from this memory.
static void in_write(void)
{
    static char memory[LONG];
    int file = open("d/9", O_RDWR);
    insist(file >= 0, "open");
    vanish();
    for (int i = 0; i < 2; i++) {
        double start = now();
        memset(memory, 'a' + i, LONG);
        insist(pwrite(file, memory, LONG, 0) == -1 && errno == ETIMEDOUT && now() - start < 1.9, "a long write");
    }
    // Both were left, and this is what they would write now.
    memset(memory, 'c', LONG);
    come_back();
    char *other = malloc(LONG);
    insist(other && memset(other, 'd', LONG) && pwrite(file, other, LONG, 0) == LONG, "the next write");
    // What was to come would have come by now.
    usleep(100000);
    insist(pread(file, memory, LONG, 0) == LONG && !memcmp(memory, other, LONG), "what was written last is there");
    insist(close(file) == 0, "close");
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    vanished = argv[3];
    prepare(argv[2]);
    if (!strcmp(argv[1], "write")) {
        in_write();
        insist_on_all();
        return 0;
    }
    vanish();
    if (!strcmp(argv[1], "names")) {
        for (int number = 0; number < COUNT; number++)
            times_out(number);
        come_back();
    } else if (!strcmp(argv[1], "threads")) {
        in_threads();
    } else if (!strcmp(argv[1], "fork")) {
        in_fork();
    } else if (!strcmp(argv[1], "signal")) {
        in_signal();
    } else if (!strcmp(argv[1], "create")) {
        in_create();
    } else {
        return 2;
    }
    insist_on_all();
    return 0;
}
