// How much of its stack a call uses: threads of 16 KiB and handlers of 8 KiB are enough on the kernel.
#include "case.h"
#include <dirent.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/uio.h>

// A painted stack, large enough for whatever is measured.
#define ROOM (256 * 1024)

static void *room;
static char file[PATH_MAX], made[PATH_MAX], renamed[PATH_MAX], absent[PATH_MAX], link_[PATH_MAX], new_link[PATH_MAX];
static char directory[PATH_MAX], new[PATH_MAX];
static int opened = -1, listed = -1;

#define CALLS                                                                                                \
    X(read, read(opened, bytes, 10)) X(pread, pread(opened, bytes, 10, 0)) X(write, write(opened, "abc", 3)) \
    X(pwrite, pwrite(opened, "abc", 3, 100000)) X(writev, writev(opened, vector, 2))                         \
    X(readv, readv(opened, vector, 2)) X(lseek, lseek(opened, 0, SEEK_SET)) X(fstat, fstat(opened, &status)) \
    X(ftruncate, ftruncate(opened, 10)) X(fsync, fsync(opened)) X(dup, close(dup(opened)))                   \
    X(fcntl, fcntl(opened, F_GETFL)) X(getdents64, syscall(SYS_getdents64, listed, bytes, sizeof bytes))     \
    X(open, close(open(file, O_RDWR))) X(create, close(open(made, O_CREAT | O_RDWR, 0600)))        \
    X(stat, stat(file, &status)) X(absent, access(absent, F_OK) == -1) X(lstat, lstat(link_, &status)) \
    X(rename, rename(made, renamed)) X(unlink, unlink(renamed)) X(mkdir, mkdir(new, 0700)) \
    X(rmdir, rmdir(new)) X(symlink, symlink("file", new_link)) X(readlink, readlink(new_link, bytes, 100)) \
    X(unlink_link, unlink(new_link)) X(chmod, chmod(file, 0640)) X(statfs, statfs(file, &space)) \
    X(truncate, truncate(file, 5)) X(chdir, chdir(directory)) X(getcwd, getcwd(bytes, 200) != NULL) \
    X(relative, access("absent", F_OK) == -1) X(up, chdir("/")) X(host, stat("/etc/passwd", &status))        \
    X(host_absent, stat("/etc/absent/passwd", &status) == -1) X(host_open, close(open("/etc/passwd", O_RDONLY)))

#define X(name, call) name##_index,
enum { CALLS calls_count };
#undef X

static const char *const names[] = {
#define X(name, call) #name,
    CALLS
#undef X
};

static long make_call(int index) {
    char bytes[300];
    struct stat status;
    struct statfs space;
    struct iovec vector[2] = {{bytes, 10}, {bytes + 10, 10}};
    (void)vector;
    switch (index) {
#define X(name, call) case name##_index: return call;
        CALLS
#undef X
    }
    return -1;
}

static void *on_painted_stack(void *index) {
    return (void *)make_call((int)(long)index);
}

// The bytes of the painted stack that were used, from the top.
static long used(long bytes) {
    const unsigned char *painted = room;
    long low = 0;
    while (low < bytes && painted[low] == 0xa5) low++;
    return bytes - low;
}

// Those that a call uses in a thread.
static long depth_of(int index) {
    pthread_attr_t attributes;
    pthread_t thread;
    void *answer;
    memset(room, 0xa5, ROOM);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, room, ROOM);
    if (pthread_create(&thread, &attributes, on_painted_stack, (void *)(long)index)) _exit(3);
    pthread_join(thread, &answer);
    if ((long)answer < 0) say("%s: %ld %s", names[index], (long)answer, strerrorname_np(errno));
    return used(ROOM);
}

static void prepare(void) {
    strcpy(file, p("file"));
    strcpy(made, p("made"));
    strcpy(renamed, p("renamed"));
    strcpy(absent, p("absent"));
    strcpy(link_, p("link"));
    strcpy(new_link, p("link2"));
    strcpy(directory, p("directory"));
    strcpy(new, p("new"));
    room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void open_all(void) {
    opened = open(file, O_CREAT | O_RDWR, 0600);
    mkdir(directory, 0700);
    if (symlink("file", link_)) _exit(3);
    listed = open(p(""), O_RDONLY | O_DIRECTORY);
}

// What the thread itself needs is in the count: its own words and those of every library, some 4 KiB. One and a
// half are left to the program.
#define THREAD_BYTES_MAX (14 * 1024 + 512)

CASE(every_call_fits_a_small_thread) {
    prepare();
    // The first touch of the prefix is one of the calls.
    long first = depth_of(absent_index);
    if (first > THREAD_BYTES_MAX) say("first touch: %ld", first);
    open_all();
    for (int index = 0; index < calls_count; index++) {
        long depth = depth_of(index);
        if (getenv("DEPTHS")) say("%s %ld", names[index], depth);
        if (depth > THREAD_BYTES_MAX) say("%s: %ld", names[index], depth);
    }
    say("done");
}

static int index_in_handler;

static void call_in_handler(int signal) {
    (void)signal;
    if (index_in_handler < open_index) make_call(index_in_handler);
}

// What is open may be used in a handler on a stack of 8 KiB, of which the kernel's own frame takes the most.
CASE(calls_on_what_is_open_fit_a_small_signal_stack) {
    prepare();
    open_all();
    enum { SMALL = 8192 };
    stack_t stack = {.ss_sp = (char *)room + 4096, .ss_size = SMALL};
    struct sigaction action = {.sa_handler = call_in_handler, .sa_flags = SA_ONSTACK};
    if (sigaltstack(&stack, NULL)) _exit(3);
    sigaction(SIGUSR1, &action, NULL);
    for (int index = 0; index < open_index; index++) {
        memset(room, 0xa5, ROOM);
        index_in_handler = index;
        raise(SIGUSR1);
        long depth = used(4096 + SMALL);
        if (getenv("DEPTHS")) say("%s %ld", names[index], depth);
        if (depth > SMALL - 256) say("%s: %ld", names[index], depth);
    }
    say("done");
}
