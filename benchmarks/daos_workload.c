/* The measured program of `cargo bench --bench daos`.
 *
 * `daos_workload posix|dfs DIRECTORY` connects, says so, and then does what lines of its standard input ask for, one
 * at a time: `WORK NAME NUMBER...`. It answers lines `FIGURE VALUE` and then a full stop. Times are wall clock; closing
 * a file that was written counts, so that what is timed has reached the store. Every call's result is checked, and of
 * what is read, bytes of every page; the whole of a file is compared by `verify`, outside of what is timed. */
#define _GNU_SOURCE
#include "daos/files.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, LARGE = 1 << 20 };

static const struct way *way;
static char *buffer; /* LARGE bytes, page-aligned as I/O libraries have it */

void fail(const char *what, const char *name, int error) {
    fprintf(stderr, "daos_workload: %s %s: %d %s\n", what, name, error, strerror(abs(error)));
    exit(1);
}

void report(const char *name, double value) {
    printf("%s %.2f\n", name, value);
}

double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* What belongs at an offset. The pattern's period is a prime number of pages: no two pages of a chunk are the same, and
 * those of neighbouring chunks are shifted. A file's second generation, of what is overwritten, begins elsewhere. */
enum { PERIOD = 257 * PAGE, GENERATION_SHIFT = 100 * PAGE };
static char pattern[PERIOD + LARGE];

static void make_pattern(void) {
    uint64_t state = 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < PERIOD; i += sizeof state) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        memcpy(pattern + i, &state, sizeof state);
    }
    memcpy(pattern + PERIOD, pattern, LARGE);
}

static const char *expected(uint64_t offset, bool overwritten) {
    return pattern + (offset + (overwritten ? GENERATION_SHIFT : 0)) % PERIOD;
}

/* Compares the first and last bytes of each page's worth. */
static void look_at(size_t size, uint64_t offset) {
    enum { SAMPLE = 64 };
    const char *right = expected(offset, false);
    for (size_t at = 0; at < size; at += PAGE) {
        size_t here = size - at < PAGE ? size - at : PAGE, sample = here < SAMPLE ? here : SAMPLE;
        if (memcmp(buffer + at, right + at, sample) != 0 ||
            memcmp(buffer + at + here - sample, right + at + here - sample, sample) != 0)
            fail("wrong bytes were read", "", EIO);
    }
}

/* All numbers below a power of two, each once, in an order that no read-ahead foresees. */
static uint64_t shuffled(uint64_t last, uint64_t count) {
    return (last * 6364136223846793005u + 1442695040888963407u) & (count - 1);
}

/* A line's words. */
struct work {
    char name[64];
    long numbers[3];
};

static void write_stream(const struct work *work) {
    size_t size = (size_t)work->numbers[0];
    struct file file = way->open(work->name, CREATE_NEW);
    double start = now_ns();
    for (long i = 0; i < work->numbers[1]; i++) way->write_next(&file, expected((uint64_t)i * size, false), size);
    way->close(&file);
    report("each", (now_ns() - start) / (double)work->numbers[1]);
}

static void read_stream(const struct work *work) {
    size_t size = (size_t)work->numbers[0];
    double start = now_ns();
    struct file file = way->open(work->name, READ_ONLY);
    for (long i = 0; i < work->numbers[1]; i++) {
        way->read_next(&file, buffer, size);
        look_at(size, (uint64_t)i * size);
    }
    way->close(&file);
    report("each", (now_ns() - start) / (double)work->numbers[1]);
}

/* COUNT pages of a file of PAGES, each at most once. */
static void read_randomly(const struct work *work) {
    uint64_t page = 0;
    struct file file = way->open(work->name, READ_ONLY);
    double start = now_ns();
    for (long i = 0; i < work->numbers[0]; i++) {
        page = shuffled(page, (uint64_t)work->numbers[1]);
        way->read_at(&file, buffer, PAGE, page * PAGE);
        look_at(PAGE, page * PAGE);
    }
    way->close(&file);
    report("each", (now_ns() - start) / (double)work->numbers[0]);
}

/* COUNT pages out of the first PAGES of a file, after each of them was read twice. */
static void read_again_and_again(const struct work *work) {
    uint64_t page = 0;
    long warm = 2 * work->numbers[1];
    double start = 0;
    struct file file = way->open(work->name, READ_ONLY);
    for (long i = -warm; i < work->numbers[0]; i++) {
        if (i == 0) start = now_ns();
        page = shuffled(page, (uint64_t)work->numbers[1]);
        way->read_at(&file, buffer, PAGE, page * PAGE);
        look_at(PAGE, page * PAGE);
    }
    report("each", (now_ns() - start) / (double)work->numbers[0]);
    way->close(&file);
}

static void write_randomly(const struct work *work) {
    uint64_t page = 0;
    struct file file = way->open(work->name, READ_WRITE);
    double start = now_ns();
    for (long i = 0; i < work->numbers[0]; i++) {
        page = shuffled(page, (uint64_t)work->numbers[1]);
        way->write_at(&file, expected(page * PAGE, true), PAGE, page * PAGE);
    }
    way->close(&file);
    report("each", (now_ns() - start) / (double)work->numbers[0]);
}

/* Compares all of a file of BYTES, of whose pages the first COUNT in the shuffled order were overwritten. */
static void verify(const struct work *work) {
    uint64_t size = (uint64_t)work->numbers[0], pages = size / PAGE;
    bool *overwritten = calloc(pages + 1, sizeof *overwritten);
    if (!overwritten) fail("calloc", "", ENOMEM);
    for (uint64_t i = 0, page = 0; i < (uint64_t)work->numbers[1]; i++)
        overwritten[page = shuffled(page, pages)] = true;
    if (way->size_of(work->name) != size) fail("wrong size of", work->name, EIO);
    struct file file = way->open(work->name, READ_ONLY);
    for (uint64_t offset = 0; offset < size; offset += LARGE) {
        size_t here = size - offset < LARGE ? size - offset : LARGE;
        way->read_at(&file, buffer, here, offset);
        for (size_t at = 0; at < here; at += PAGE) {
            size_t rest = here - at < PAGE ? here - at : PAGE;
            const char *right = expected(offset + at, overwritten[(offset + at) / PAGE]);
            if (memcmp(buffer + at, right, rest) != 0) fail("wrong bytes in", work->name, EIO);
        }
    }
    way->close(&file);
    free(overwritten);
}

/* IO500's ior-hard: two processes, transfers of 47,008 bytes by turns in one file. */
enum { TRANSFER = 47008, RANKS = 2 };

static void span(double start) {
    report("start", start);
    report("end", now_ns());
}

static void write_interleaved(const struct work *work) {
    double start = now_ns();
    struct file file = way->open(work->name, READ_WRITE);
    for (long i = 0; i < work->numbers[1]; i++) {
        uint64_t offset = (uint64_t)(i * RANKS + work->numbers[0]) * TRANSFER;
        way->write_at(&file, expected(offset, false), TRANSFER, offset);
    }
    way->close(&file);
    span(start);
}

static void read_interleaved(const struct work *work) {
    double start = now_ns();
    struct file file = way->open(work->name, READ_ONLY);
    for (long i = 0; i < work->numbers[1]; i++) {
        uint64_t offset = (uint64_t)(i * RANKS + work->numbers[0]) * TRANSFER;
        way->read_at(&file, buffer, TRANSFER, offset);
        look_at(TRANSFER, offset);
    }
    way->close(&file);
    span(start);
}

static void create(const struct work *work) {
    struct file file = way->open(work->name, CREATE_NEW);
    way->close(&file);
}

/* mdtest's phases: COUNT files of 3,901 bytes, by their numbers, or in an order that SEED makes. The names are made
 * beforehand, where they cost nobody time. */
enum { SMALL_BYTES = 3901, FILES_MAX = 10000 };
static char names[FILES_MAX][64];
static long file_numbers[FILES_MAX];

static void make_names(const struct work *work, long seed) {
    long count = work->numbers[0];
    if (count > FILES_MAX) fail("too many files", work->name, EINVAL);
    for (long i = 0; i < count; i++) file_numbers[i] = i;
    uint64_t state = (uint64_t)seed;
    for (long i = count - 1; seed != 0 && i > 0; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        long other = (long)((state >> 33) % (uint64_t)(i + 1)), number = file_numbers[i];
        file_numbers[i] = file_numbers[other];
        file_numbers[other] = number;
    }
    for (long i = 0; i < count; i++) snprintf(names[i], sizeof names[i], "%.40s.%ld", work->name, file_numbers[i]);
}

static const char *small_bytes(long i) {
    return expected((uint64_t)file_numbers[i] * PAGE, false);
}

static void create_small(const struct work *work) {
    make_names(work, work->numbers[1]);
    double start = now_ns();
    for (long i = 0; i < work->numbers[0]; i++) {
        struct file file = way->open(names[i], CREATE_NEW);
        way->write_next(&file, small_bytes(i), SMALL_BYTES);
        way->close(&file);
    }
    report("each", (now_ns() - start) / (double)work->numbers[0]);
}

static void stat_small(const struct work *work) {
    make_names(work, work->numbers[1]);
    double start = now_ns();
    for (long i = 0; i < work->numbers[0]; i++)
        if (way->size_of(names[i]) != SMALL_BYTES) fail("wrong size of", names[i], EIO);
    report("each", (now_ns() - start) / (double)work->numbers[0]);
}

static void read_small(const struct work *work) {
    make_names(work, work->numbers[1]);
    double start = now_ns();
    for (long i = 0; i < work->numbers[0]; i++) {
        struct file file = way->open(names[i], READ_ONLY);
        way->read_next(&file, buffer, SMALL_BYTES);
        if (memcmp(buffer, small_bytes(i), SMALL_BYTES) != 0) fail("wrong bytes in", names[i], EIO);
        way->close(&file);
    }
    report("each", (now_ns() - start) / (double)work->numbers[0]);
}

static void unlink_small(const struct work *work) {
    make_names(work, work->numbers[1]);
    double start = now_ns();
    for (long i = 0; i < work->numbers[0]; i++) way->remove(names[i]);
    report("each", (now_ns() - start) / (double)work->numbers[0]);
}

static void list(const struct work *work) {
    double start = now_ns();
    if (way->count_names() != work->numbers[0]) fail("a listing tells another number of names", "", EIO);
    report("list", now_ns() - start);
}

/* The cost of a hit: 4 KiB out of a file that is in the cache, beside a copy of as much in this process's own memory
 * and a call that does nothing but go through the door. The fastest of several batches. */
static void hit(const struct work *work) {
    enum { PAGES = 1024, CALLS = 100000, BATCHES = 5 };
    static char memory[PAGES * PAGE];
    double best[3] = {1e30, 1e30, 1e30};
    struct file file = way->open(work->name, READ_ONLY);
    for (long pass = 0; pass < 2; pass++)
        for (uint64_t i = 0; i < PAGES; i++) way->read_at(&file, memory + i * PAGE, PAGE, i * PAGE);
    for (int batch = 0; batch < BATCHES; batch++)
        for (int kind = 0; kind < 3; kind++) {
            uint64_t page = 0;
            double start = now_ns();
            for (long i = 0; i < CALLS; i++) {
                page = shuffled(page, PAGES);
                if (kind == 0) {
                    way->read_at(&file, buffer, PAGE, page * PAGE);
                } else if (kind == 1) {
                    memcpy(buffer, memory + page * PAGE, PAGE);
                    __asm__ volatile("" ::: "memory"); /* the copy is made though nobody looks at it */
                } else if (lseek(file.descriptor, 0, SEEK_CUR) != 0) {
                    fail("lseek", work->name, errno);
                }
            }
            double each = (now_ns() - start) / CALLS;
            if (each < best[kind]) best[kind] = each;
        }
    way->close(&file);
    report("hit", best[0]);
    report("copy", best[1]);
    report("door", best[2]);
}

/* Bytes of memory that this process holds for itself: what is mapped of files does not count. */
static double resident_bytes(void) {
    char line[256];
    long kibibytes = -1;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) fail("/proc/self/status", "", errno);
    while (fgets(line, sizeof line, file) && sscanf(line, "RssAnon: %ld", &kibibytes) != 1) {}
    fclose(file);
    if (kibibytes < 0) fail("/proc/self/status", "tells no RssAnon", ENODATA);
    return (double)kibibytes * 1024;
}

/* What COUNT descriptors cost that stay open: after one read of a page of each, and after BYTES of each were read in
 * sequence. The file that is read first takes what the first read of a process costs anyway. */
static void memory(const struct work *work) {
    enum { DESCRIPTORS_MAX = 256 };
    static struct file files[DESCRIPTORS_MAX];
    long count = work->numbers[0], bytes = work->numbers[1];
    if (count > DESCRIPTORS_MAX) fail("too many descriptors", work->name, EINVAL);
    make_names(work, 0);
    memset(buffer, 1, LARGE);
    struct file first = way->open("first", READ_ONLY);
    way->read_next(&first, buffer, PAGE);
    way->close(&first);
    double before = resident_bytes();
    for (long i = 0; i < count; i++) {
        files[i] = way->open(names[i], READ_ONLY);
        way->read_next(&files[i], buffer, PAGE);
        look_at(PAGE, 0);
    }
    double touched = resident_bytes();
    for (long i = 0; i < count; i++)
        for (long offset = PAGE; offset < bytes; offset += PAGE) {
            way->read_next(&files[i], buffer, PAGE);
            look_at(PAGE, (uint64_t)offset);
        }
    double read = resident_bytes();
    for (long i = 0; i < count; i++) way->close(&files[i]);
    report("touched", (touched - before) / (double)count);
    report("read", (read - before) / (double)count);
    report("total", read - before);
}

static void remove_file(const struct work *work) {
    way->remove(work->name);
}

static void remove_directory(const struct work *work) {
    (void)work;
    way->remove_directory();
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        void (*run)(const struct work *);
    } kinds[] = {
        {"write", write_stream},
        {"read", read_stream},
        {"random_read", read_randomly},
        {"set_read", read_again_and_again},
        {"random_write", write_randomly},
        {"verify", verify},
        {"write_interleaved", write_interleaved},
        {"read_interleaved", read_interleaved},
        {"create", create},
        {"create_small", create_small},
        {"stat_small", stat_small},
        {"read_small", read_small},
        {"unlink_small", unlink_small},
        {"list", list},
        {"hit", hit},
        {"memory", memory},
        {"remove", remove_file},
        {"remove_directory", remove_directory},
    };
    char line[256], kind[64];
    if (count != 3) {
        fprintf(stderr, "usage: daos_workload posix|dfs DIRECTORY\n");
        return 2;
    }
    way = strcmp(arguments[1], "dfs") == 0 ? &dfs_files : &posix_files;
    make_pattern();
    buffer = aligned_alloc(PAGE, LARGE);
    if (!buffer) fail("aligned_alloc", "", ENOMEM);
    memset(buffer, 1, LARGE);
    way->connect(arguments[2]);
    puts(".");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        struct work work = {0};
        size_t i = 0, kinds_count = sizeof kinds / sizeof *kinds;
        if (sscanf(line, "%63s %63s %ld %ld %ld", kind, work.name, work.numbers, work.numbers + 1, work.numbers + 2) < 2)
            fail("a line is not understood", line, EINVAL);
        while (i < kinds_count && strcmp(kinds[i].name, kind) != 0) i++;
        if (i == kinds_count) fail("no such work", kind, EINVAL);
        kinds[i].run(&work);
        puts(".");
        fflush(stdout);
    }
    double start = now_ns();
    way->disconnect();
    report("disconnect", now_ns() - start);
    return 0;
}
