// Files that are synced, for a disk whose power is cut.
//
// `synced run SEED DIRECTORY` changes files for ever and tells on standard output, each in one write:
// "may NAME VERSION SIZE TIME" before it gives a file another content (size -1: before it removes it), and
// "has NAME VERSION SIZE TIME" once a sync has promised that. `synced cut MOUNT` cuts the power of a file system, what is in
// its log included, and says when it began. `synced check CUT DIRECTORY` reads those lines, and tells each file that is
// neither what was promised last before the cut nor what was tried after: while the cut goes on, a sync of the host's may
// return as if it were done (ext4 forgets that it could not mark blocks as written).
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHUTDOWN _IOR('X', 125, uint32_t)
#define LOG_NOT_FLUSHED 2
#define SIZE_MAX_BYTES (2 << 20)

static uint64_t state;
static char data[SIZE_MAX_BYTES], found[SIZE_MAX_BYTES + 1];

static unsigned next(unsigned below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

static char byte_of(long version, long offset) { return (char)(version * 37 + offset / 256 * 5 + 1); }

// The disk is gone: that is how it ends.
static void must(int condition) {
    if (!condition) _exit(0);
}

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void tell(const char *word, const char *name, long version, long size) {
    char line[200];
    int length = snprintf(line, sizeof line, "%s %s %ld %ld %ld\n", word, name, version, size, now());
    must(write(1, line, length) == length);
}

static void put(int file, long version, long size, int in_pieces) {
    for (long i = 0; i < size; i++) data[i] = byte_of(version, i);
    if (in_pieces) {
        for (long at = 0; at < size; at += 1000) {
            long length = size - at < 1000 ? size - at : 1000;
            must(write(file, data + at, length) == length);
        }
    } else
        must(write(file, data, size) == size);
}

static void sync_directory(const char *path) {
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    must(directory >= 0 && fsync(directory) == 0 && close(directory) == 0);
}

static void fresh(const char *name, long version, long size, int flags) {
    int file = open(name, O_CREAT | O_WRONLY | O_TRUNC | flags, 0600);
    must(file >= 0);
    put(file, version, size, version % 3 == 0);
    if (!(flags & O_SYNC)) must((version % 2 ? fsync : fdatasync)(file) == 0);
    must(close(file) == 0);
}

static void run(unsigned seed, const char *path) {
    static const long sizes[] = {0, 10, 300, 4096, 5000, 100000, 1500000};
    char name[100], other[100];
    long grown[4] = {0};
    int in_place[3] = {0};
    must(chdir(path) == 0);
    state = seed;
    for (long version = 1;; version++) {
        long size = sizes[next(7)];
        switch (next(16)) {
        case 0:  // A new file.
        case 1:
            snprintf(name, sizeof name, "new%u_%ld", seed, version);
            tell("may", name, version, size);
            fresh(name, version, size, 0);
            // A file's own sync is for its name too: here it is, and on the file systems that this is run on.
            if (next(2)) sync_directory(".");
            tell("has", name, version, size);
            break;
        case 2:  // One in the place of another.
        case 3:
            snprintf(name, sizeof name, "replaced%u_%u", seed, next(3));
            snprintf(other, sizeof other, "temporary%u", seed);
            tell("may", name, version, size);
            fresh(other, version, size, 0);
            must(rename(other, name) == 0);
            if (next(2)) break;
            sync_directory(".");
            tell("has", name, version, size);
            break;
        case 4: {  // One that grows, and leaves its slot on the way.
            unsigned which = next(4);
            snprintf(name, sizeof name, "grown%u_%u", seed, which);
            long more = 1 + next(900);
            int file = open(name, O_CREAT | O_WRONLY | O_APPEND, 0600);
            must(file >= 0);
            for (long i = 0; i < more; i++) data[i] = byte_of(which, grown[which] + i);
            tell("may", name, which, grown[which] + more);
            must(write(file, data, more) == more);
            grown[which] += more;
            if (next(4)) {
                must(fdatasync(file) == 0);
                sync_directory(".");
                tell("has", name, which, grown[which]);
            }
            must(close(file) == 0);
            break;
        }
        case 5:  // In a directory of its own, with a write that is its own sync.
            snprintf(name, sizeof name, "directory%u_%ld", seed, version);
            must(mkdir(name, 0700) == 0);
            snprintf(other, sizeof other, "%s/file", name);
            tell("may", other, version, size);
            fresh(other, version, size, O_SYNC);
            sync_directory(name);
            sync_directory(".");
            tell("has", other, version, size);
            break;
        case 6:  // One that goes, and is seen to be gone.
            snprintf(name, sizeof name, "replaced%u_%u", seed, next(3));
            tell("may", name, version, -1);
            must(unlink(name) == 0 || errno == ENOENT);
            sync_directory(".");
            tell("has", name, version, -1);
            break;
        case 7:  // All of it at once.
            snprintf(name, sizeof name, "all%u_%ld", seed, version);
            tell("may", name, version, size);
            {
                int file = open(name, O_CREAT | O_RDWR, 0600);
                must(file >= 0);
                put(file, version, size, 0);
                // The whole file system, or all of them.
                if (version % 4 == 0)
                    sync();
                else
                    must(syncfs(file) == 0);
                must(close(file) == 0);
            }
            // `sync` can't say that the disk was gone: this does.
            sync_directory(".");
            tell("has", name, version, size);
            break;
        case 8:  // Some small ones that are written anew in place, and not always synced.
        case 9: {
            static const long lengths[] = {10, 300, 4096};
            unsigned which = next(3);
            snprintf(name, sizeof name, "replaced_in_place%u_%u", seed, which);
            int file = open(name, O_CREAT | O_WRONLY, 0600);
            must(file >= 0);
            for (int turn = 0, turns = 1 + next(5); turn < turns; turn++, version++) {
                tell("may", name, version, lengths[which]);
                must(lseek(file, 0, SEEK_SET) == 0);
                put(file, version, lengths[which], 0);
                if (turn + 1 < turns && next(3) == 0) continue;
                must((next(2) ? fsync : fdatasync)(file) == 0);
                if (!in_place[which]) sync_directory(".");
                in_place[which] = 1;
                tell("has", name, version, lengths[which]);
            }
            must(close(file) == 0);
            break;
        }
        case 10:
        case 11:
        case 12: {  // One that stays open, grows out of its slot and goes on, each time synced.
            long length = 0;
            snprintf(name, sizeof name, "grown_far%u_%ld", seed, version);
            int file = open(name, O_CREAT | O_WRONLY, 0600);
            must(file >= 0);
            sync_directory(".");
            for (int turn = 0, turns = 1 + next(12); turn < turns; turn++) {
                long more = 1 + next(turn < 6 ? 1500 : 9000);
                for (long i = 0; i < more; i++) data[i] = byte_of(version, length + i);
                tell("may", name, version, length + more);
                must(write(file, data, more) == more);
                length += more;
                must((next(4) ? fdatasync : fsync)(file) == 0);
                tell("has", name, version, length);
            }
            must(close(file) == 0);
            break;
        }
        case 13:  // So many long names that a store's log begins anew now and then.
            memset(data, 'x', 4000);
            data[4000] = 0;
            for (int i = 0; i < 6000; i++) {
                snprintf(name, sizeof name, "link%u", seed);
                must(symlink(data, name) == 0 && unlink(name) == 0);
            }
            break;
        default:  // Others that nobody syncs use the same numbers and slots.
            for (int i = 0; i < 20; i++) {
                snprintf(name, sizeof name, "other%u_%u", seed, next(30));
                int file = open(name, O_CREAT | O_WRONLY, 0600);
                must(file >= 0);
                put(file, 1000 + i, sizes[next(5)], 0);
                must(close(file) == 0);
                if (next(2)) must(unlink(name) == 0);
            }
        }
    }
}

struct promise {
    char name[100];
    long version[64], size[64];
    int count;
};

static int is_one(const struct promise *promise, long length) {
    // Of a new file that was only tried anything may be there; one that takes another's place was whole before.
    int is_new = strncmp(promise->name, "replaced", 8) && strncmp(promise->name, "grown", 5);
    // Written in place, it has nothing else once it was promised.
    if (strstr(promise->name, "in_place") && promise->size[0] < 0) return 1;
    for (int i = 0; i < promise->count; i++) {
        if (is_new && i > 0 && promise->size[i] >= 0) return 1;
        int grows = !strncmp(promise->name, "grown", 5) && length >= 0;
        // One that grows is never removed: before its first promise it may have any length, none too.
        if (promise->size[i] < 0 ? length >= 0 && !grows : grows ? length < promise->size[i] : length != promise->size[i]) continue;
        long same = 0, size = promise->size[i];
        while (same < size && found[same] == byte_of(promise->version[i], same)) same++;
        if (size < 0 || same == size) return 1;
    }
    return 0;
}

static int check(long cut, const char *path) {
    static struct promise promises[20000];
    int count = 0, wrong = 0;
    char word[10], name[100];
    long version, size, time, told = 0;
    if (chdir(path)) return perror(path), 2;
    while (scanf("%9s %99s %ld %ld %ld", word, name, &version, &size, &time) == 5) {
        if (!strcmp(word, "has") && time >= cut) continue;
        int at = 0;
        while (at < count && strcmp(promises[at].name, name)) at++;
        struct promise *promise = &promises[at];
        if (at == count) {
            if (count++ == 20000) return fprintf(stderr, "too many files\n"), 2;
            strcpy(promise->name, name);
            promise->size[promise->count++] = -1;
        }
        if (!strcmp(word, "has")) promise->count = 0, told++;
        if (promise->count == 64) return fprintf(stderr, "too many tries\n"), 2;
        promise->version[promise->count] = version;
        promise->size[promise->count++] = size;
    }
    for (int at = 0; at < count; at++) {
        int file = open(promises[at].name, O_RDONLY);
        long length = file < 0 ? -1 : read(file, found, sizeof found);
        if (file < 0 ? errno != ENOENT : length < 0) perror(promises[at].name), wrong++;
        if (!is_one(&promises[at], length)) {
            printf("%s has %ld bytes; promised or tried:", promises[at].name, length);
            for (int i = 0; i < promises[at].count; i++) printf(" %ld", promises[at].size[i]);
            puts("");
            wrong++;
        }
        if (file >= 0) close(file);
    }
    printf("%ld promises, %d broken\n", told, wrong);
    return wrong != 0;
}

int main(int count, char **words) {
    if (count == 4 && !strcmp(words[1], "run")) run(strtoul(words[2], 0, 10), words[3]);
    if (count == 4 && !strcmp(words[1], "check")) return check(strtol(words[2], 0, 10), words[3]);
    if (count == 3 && !strcmp(words[1], "cut")) {
        uint32_t how = LOG_NOT_FLUSHED;
        int mount = open(words[2], O_RDONLY);
        printf("%ld\n", now());
        return ioctl(mount, SHUTDOWN, &how) ? perror("cut"), 1 : 0;
    }
    return 2;
}
