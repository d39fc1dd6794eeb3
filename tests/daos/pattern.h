// Bytes that tell where they belong: each is a function of its offset and of a seed.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void fill(unsigned char *bytes, uint64_t offset, size_t count, uint64_t seed)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t at = offset + i;
        if (i == 0 || at % 8 == 0) {
            word = (at / 8 + 1) * 0x9e3779b97f4a7c15 + seed * 0xbf58476d1ce4e5b9;
            word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
            word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
            word ^= word >> 31;
        }
        bytes[i] = (unsigned char)(word >> (at % 8 * 8));
    }
}

__attribute__((unused)) static void *room(size_t count)
{
    void *bytes = malloc(count ? count : 1);
    if (!bytes) {
        perror("malloc");
        exit(2);
    }
    return bytes;
}

static int opened(const char *path, int flags)
{
    int file = open(path, flags, 0644);
    if (file < 0) {
        perror(path);
        exit(2);
    }
    return file;
}

static void insist(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(1);
    }
}
