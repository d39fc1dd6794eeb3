// A writer and a reader that outlive the trouble of their store, and say what they met.
//
// patient write PATH SIZE SEED CALL SYNC LIMIT TRIES
//     writes SIZE patterned bytes, CALL in each write, and calls fsync after every SYNC of them, each time with a pause
//     of 2 ms: however fast the store is, there is time for trouble. After an error it goes back to what fsync
//     acknowledged last, waits a second, and goes on from there; at most TRIES errors.
// patient read PATH SIZE SEED CALL LIMIT TRIES SECONDS
//     reads the file through, again and again for SECONDS, each byte compared; after an error it waits a second and
//     asks again.
//
// Each call must return within LIMIT seconds. Lines on standard output: `begun`, `acknowledged OFFSET`, `error CALL
// NAME SECONDS`, `done`.
#include "pattern.h"
#include <time.h>

static double limit, started;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void say(const char *what, unsigned long long offset)
{
    printf("%s %llu\n", what, offset);
    fflush(stdout);
}

// Whether the call went well; tells the error, and ends the program where the call took too long.
static int went_well(const char *call, int is_well, long *tries)
{
    int error = errno;
    double seconds = now() - started;
    if (seconds > limit) {
        fprintf(stderr, "%s took %.1f s, over %.1f\n", call, seconds, limit);
        exit(1);
    }
    if (is_well)
        return 1;
    printf("error %s %s %.1f\n", call, strerrorname_np(error), seconds);
    fflush(stdout);
    if ((*tries)-- <= 0) {
        fprintf(stderr, "too many errors\n");
        exit(1);
    }
    sleep(1);
    return 0;
}

static void write_all(const char *path, uint64_t size, uint64_t seed, size_t call, uint64_t sync, long tries)
{
    unsigned char *bytes = room(call);
    int file = opened(path, O_WRONLY | O_CREAT | O_TRUNC);
    uint64_t offset = 0, acknowledged = 0;
    say("begun", 0);
    while (acknowledged < size) {
        if (offset < size && offset - acknowledged < sync) {
            size_t count = size - offset < call ? size - offset : call;
            fill(bytes, offset, count, seed);
            started = now();
            ssize_t written = pwrite(file, bytes, count, offset);
            if (went_well("write", written > 0, &tries))
                offset += written;
            else
                offset = acknowledged;
            continue;
        }
        started = now();
        if (went_well("fsync", fsync(file) == 0, &tries))
            say("acknowledged", acknowledged = offset), usleep(2000);
        else
            offset = acknowledged;
    }
    started = now();
    went_well("close", close(file) == 0, &tries);
    say("done", size);
}

static void read_all(const char *path, uint64_t size, uint64_t seed, size_t call, long tries, double seconds)
{
    unsigned char *bytes = room(call), *expected = room(call);
    double end = now() + seconds;
    say("begun", 0);
    while (now() < end) {
        started = now();
        int file = open(path, O_RDONLY);
        if (!went_well("open", file >= 0, &tries))
            continue;
        uint64_t offset = 0;
        while (offset < size) {
            started = now();
            ssize_t count = pread(file, bytes, call, offset);
            if (!went_well("read", count > 0, &tries))
                continue;
            fill(expected, offset, count, seed);
            if (memcmp(bytes, expected, count) != 0) {
                fprintf(stderr, "wrong bytes at %llu\n", (unsigned long long)offset);
                exit(1);
            }
            offset += count;
        }
        insist(close(file) == 0, "close");
        say("acknowledged", size);
    }
    say("done", size);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    uint64_t number[8] = {0};
    for (int i = 3; i < argc && i < 11; i++)
        number[i - 3] = strtoull(argv[i], NULL, 0);
    if (!strcmp(verb, "write") && argc == 9) {
        limit = number[4];
        write_all(argv[2], number[0], number[1], number[2], number[3], number[5]);
    } else if (!strcmp(verb, "read") && argc == 9) {
        limit = number[3];
        read_all(argv[2], number[0], number[1], number[2], number[4], number[5]);
    } else {
        fprintf(stderr, "see the top of patient.c\n");
        return 2;
    }
    return 0;
}
