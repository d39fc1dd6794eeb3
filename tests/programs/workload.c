// A workload to be killed. `workload run SEED` has two writers change files of their own for ever; each call is
// announced on standard output before it is made and confirmed after it. `workload dump` tells every file's inode and
// content.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES 8
static uint64_t state;
static char data[1 << 17];

static unsigned next(unsigned below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

// A line below PIPE_BUF is never torn.
static void announce(int writer, const char *text) {
    char line[300];
    int length = snprintf(line, sizeof line, "%d %s\n", writer, text);
    if (write(1, line, length) != length) _exit(1);
}

static void confirm(int writer, long result) {
    char text[40];
    snprintf(text, sizeof text, "done %ld", result);
    announce(writer, text);
}

static void pattern(unsigned seed, size_t length) {
    for (size_t i = 0; i < length; i++) data[i] = (uint32_t)(seed + i) * 2654435761u >> 15 | 1;
}

static void write_for_ever(int writer, unsigned seed) {
    char text[200], path[400], other[400];
    state = seed * 2 + writer;
    for (;;) {
        int name = next(NAMES), to = next(NAMES);
        snprintf(path, sizeof path, "%s/w%d-%d", getenv("P"), writer, name);
        snprintf(other, sizeof other, "%s/w%d-%d", getenv("P"), writer, to);
        switch (next(6)) {
        case 0:
            snprintf(text, sizeof text, "unlink w%d-%d", writer, name);
            announce(writer, text);
            confirm(writer, unlink(path));
            break;
        case 1:
            snprintf(text, sizeof text, "rename w%d-%d w%d-%d", writer, name, writer, to);
            announce(writer, text);
            confirm(writer, rename(path, other));
            break;
        case 2: {
            unsigned size = next(next(3) ? 3000 : 100000);
            snprintf(text, sizeof text, "truncate w%d-%d %u", writer, name, size);
            announce(writer, text);
            confirm(writer, truncate(path, size));
            break;
        }
        default: {
            int append = next(2);
            snprintf(text, sizeof text, "create w%d-%d", writer, name);
            announce(writer, text);
            int fd = open(path, O_WRONLY | O_CREAT | (append ? O_APPEND : 0), 0644);
            confirm(writer, fd < 0 ? -1 : 0);
            for (int i = next(6); i > 0; i--) {
                unsigned length = 1 + next(next(4) ? 500 : 70000), at = next(60000), bytes = next(60000);
                pattern(bytes, length);
                if (append) snprintf(text, sizeof text, "append w%d-%d %u %u", writer, name, length, bytes);
                else snprintf(text, sizeof text, "write w%d-%d %u %u %u", writer, name, at, length, bytes);
                announce(writer, text);
                confirm(writer, append ? write(fd, data, length) : pwrite(fd, data, length, at));
            }
            close(fd);
        }
        }
    }
}

static int dump(void) {
    DIR *directory = opendir(getenv("P"));
    struct dirent *entry;
    if (!directory) return 2;
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.') continue;
        int fd = openat(dirfd(directory), entry->d_name, O_RDONLY);
        struct stat st;
        if (fd < 0 || fstat(fd, &st)) return 3;
        printf("%s %lu %ld\n", entry->d_name, (unsigned long)st.st_ino, (long)st.st_size);
        long total = 0;
        ssize_t count;
        while ((count = read(fd, data, sizeof data)) > 0) fwrite(data, 1, count, stdout), total += count;
        if (count < 0 || total != st.st_size) return 4;
        close(fd);
    }
    return fflush(stdout) ? 5 : 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "dump") == 0) return dump();
    if (argc < 3) return 1;
    unsigned seed = atoi(argv[2]);
    if (fork() == 0) write_for_ever(1, seed);
    write_for_ever(0, seed);
}
