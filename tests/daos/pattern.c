// pattern write PATH SIZE SEED CALL          makes a file of SIZE patterned bytes, CALL bytes in each write
// pattern check PATH SIZE SEED CALL          is it that file, to the byte and to its end?
// pattern write-set|check-set DIRECTORY SEED CALL SIZE...   the same for files that are named for their sizes
// pattern interleave PATH SIZE SEED BLOCK RANK RANKS   writes blocks RANK, RANK + RANKS, ... of such a file
// pattern append PATH RANK COUNT             appends COUNT records, each in one write
// pattern appended PATH RANKS COUNT          are the records of all ranks there, whole, each rank's in order?
#include "pattern.h"

static void write_file(const char *path, uint64_t size, uint64_t seed, size_t call)
{
    unsigned char *bytes = room(call);
    int file = opened(path, O_WRONLY | O_CREAT | O_TRUNC);
    for (uint64_t offset = 0; offset < size;) {
        size_t count = size - offset < call ? size - offset : call;
        fill(bytes, offset, count, seed);
        for (size_t done = 0; done < count;) {
            ssize_t written = write(file, bytes + done, count - done);
            insist(written > 0, "write");
            done += written;
        }
        offset += count;
    }
    insist(close(file) == 0, "close");
}

static void check_file(const char *path, uint64_t size, uint64_t seed, size_t call)
{
    unsigned char *bytes = room(call), *expected = room(call);
    int file = opened(path, O_RDONLY);
    struct stat status;
    insist(fstat(file, &status) == 0, "fstat");
    if ((uint64_t)status.st_size != size) {
        fprintf(stderr, "%s: %lld bytes, not %llu\n", path, (long long)status.st_size, (unsigned long long)size);
        exit(1);
    }
    for (uint64_t offset = 0; offset < size;) {
        ssize_t count = read(file, bytes, call);
        insist(count >= 0, "read");
        if (count == 0) {
            fprintf(stderr, "%s ends at %llu of %llu\n", path, (unsigned long long)offset, (unsigned long long)size);
            exit(1);
        }
        fill(expected, offset, count, seed);
        for (ssize_t i = 0; i < count; i++)
            if (bytes[i] != expected[i]) {
                fprintf(stderr, "%s: byte %llu is %02x, not %02x\n", path, (unsigned long long)offset + i, bytes[i],
                        expected[i]);
                exit(1);
            }
        offset += count;
    }
    insist(read(file, bytes, 1) == 0, "a read past the end");
    insist(close(file) == 0, "close");
}

static void interleave(const char *path, uint64_t size, uint64_t seed, size_t block, uint64_t rank, uint64_t ranks)
{
    unsigned char *bytes = room(block);
    int file = opened(path, O_RDWR | O_CREAT);
    for (uint64_t offset = rank * block; offset < size; offset += ranks * block) {
        size_t count = size - offset < block ? size - offset : block;
        fill(bytes, offset, count, seed);
        insist(pwrite(file, bytes, count, offset) == (ssize_t)count, "pwrite");
    }
    insist(close(file) == 0, "close");
}

// A record says whose it is, which, and how long; its length runs from 30 bytes to 5 kB.
static int record(char *text, unsigned rank, unsigned number)
{
    int length = 30 + (number * 2654435761u + rank * 40503u) % 5000;
    int head = sprintf(text, "%u %u %d ", rank, number, length);
    memset(text + head, 'a' + (rank + number) % 26, length - head);
    text[length - 1] = '\n';
    return length;
}

static void append(const char *path, unsigned rank, unsigned count)
{
    char text[8192];
    int file = opened(path, O_WRONLY | O_CREAT | O_APPEND);
    for (unsigned number = 0; number < count; number++) {
        int length = record(text, rank, number);
        insist(write(file, text, length) == length, "write");
    }
    insist(close(file) == 0, "close");
}

static void check_appended(const char *path, unsigned ranks, unsigned count)
{
    FILE *file = fopen(path, "r");
    insist(file != NULL, path);
    unsigned *next = calloc(ranks, sizeof *next), records = 0;
    char line[8192], expected[8192];
    while (fgets(line, sizeof line, file)) {
        unsigned rank, number;
        if (sscanf(line, "%u %u", &rank, &number) != 2 || rank >= ranks || number != next[rank]) {
            fprintf(stderr, "record %u is out of place: %.60s\n", records, line);
            exit(1);
        }
        expected[record(expected, rank, number)] = 0;
        if (strcmp(line, expected) != 0) {
            fprintf(stderr, "record %u of rank %u is not whole: %.60s\n", number, rank, line);
            exit(1);
        }
        next[rank]++;
        records++;
    }
    fclose(file);
    if (records != ranks * count) {
        fprintf(stderr, "%u records, not %u\n", records, ranks * count);
        exit(1);
    }
}

// One process for all: connecting costs more than a small file does.
static void each_of_a_set(int argc, char **argv, void (*act)(const char *, uint64_t, uint64_t, size_t))
{
    for (int i = 5; i < argc; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[2], argv[i]);
        act(path, strtoull(argv[i], NULL, 0), strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
    }
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    uint64_t number[8] = {0};
    for (int i = 3; i < argc && i < 11; i++)
        number[i - 3] = strtoull(argv[i], NULL, 0);
    if (!strcmp(verb, "write") && argc == 6)
        write_file(argv[2], number[0], number[1], number[2]);
    else if (!strcmp(verb, "check") && argc == 6)
        check_file(argv[2], number[0], number[1], number[2]);
    else if (!strcmp(verb, "write-set") && argc > 5)
        each_of_a_set(argc, argv, write_file);
    else if (!strcmp(verb, "check-set") && argc > 5)
        each_of_a_set(argc, argv, check_file);
    else if (!strcmp(verb, "interleave") && argc == 8)
        interleave(argv[2], number[0], number[1], number[2], number[3], number[4]);
    else if (!strcmp(verb, "append") && argc == 5)
        append(argv[2], number[0], number[1]);
    else if (!strcmp(verb, "appended") && argc == 5)
        check_appended(argv[2], number[0], number[1]);
    else {
        fprintf(stderr, "see the top of pattern.c\n");
        return 2;
    }
    return 0;
}
