// How much of its stack a call uses: threads of 16 KiB and handlers of 8 KiB are enough on the kernel.
#include "case.h"
#include <dirent.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/uio.h>

// A painted stack, large enough for whatever is measured.
#define ROOM (256 * 1024)

static void *room;
static int opened = -1, listed = -1;

#define CALLS                                                                                                \
    X(read, read(opened, bytes, 10)) X(pread, pread(opened, bytes, 10, 0)) X(write, write(opened, "abc", 3)) \
    X(pwrite, pwrite(opened, "abc", 3, 100000)) X(writev, writev(opened, vector, 2))                         \
    X(readv, readv(opened, vector, 2)) X(lseek, lseek(opened, 0, SEEK_SET)) X(fstat, fstat(opened, &status)) \
    X(ftruncate, ftruncate(opened, 10)) X(fsync, fsync(opened)) X(dup, close(dup(opened)))                   \
    X(fcntl, fcntl(opened, F_GETFL)) X(getdents64, syscall(SYS_getdents64, listed, bytes, sizeof bytes))     \
    X(open, close(open(p("file"), O_RDWR))) X(create, close(open(p("made"), O_CREAT | O_RDWR, 0600)))        \
    X(stat, stat(p("file"), &status)) X(absent, access(p("absent"), F_OK) == -1) X(lstat, lstat(p("link"), &status)) \
    X(rename, rename(p("made"), p("renamed"))) X(unlink, unlink(p("renamed"))) X(mkdir, mkdir(p("new"), 0700)) \
    X(rmdir, rmdir(p("new"))) X(symlink, symlink("file", p("link2"))) X(readlink, readlink(p("link2"), bytes, 100)) \
    X(unlink_link, unlink(p("link2"))) X(chmod, chmod(p("file"), 0640)) X(statfs, statfs(p("file"), &space)) \
    X(truncate, truncate(p("file"), 5)) X(chdir, chdir(p("directory"))) X(getcwd, getcwd(bytes, 200) != NULL) \
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

// The bytes of the painted stack that a call used, from the top.
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
    const unsigned char *bytes = room;
    long low = 0;
    while (low < ROOM && bytes[low] == 0xa5) low++;
    return ROOM - low;
}

static void prepare(void) {
    room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void open_all(void) {
    opened = open(p("file"), O_CREAT | O_RDWR, 0600);
    mkdir(p("directory"), 0700);
    if (symlink("file", p("link"))) _exit(3);
    listed = open(p(""), O_RDONLY | O_DIRECTORY);
}

// What the thread itself needs is in the count: its own words and those of every library, some 4 KiB.
CASE(every_call_fits_a_small_thread) {
    prepare();
    // The first touch of the prefix is one of the calls.
    long first = depth_of(absent_index);
    if (first > 16384) say("first touch: %ld", first);
    open_all();
    for (int index = 0; index < calls_count; index++) {
        long depth = depth_of(index);
        if (getenv("DEPTHS")) say("%s %ld", names[index], depth);
        if (depth > 16384) say("%s: %ld", names[index], depth);
    }
    say("done");
}
