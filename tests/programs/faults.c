// For a library that panics in one call: each call's own answer, and the host's calls around it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const char *name, long answer) {
    char line[100];
    int length = snprintf(line, sizeof line, "%s %d\n", name, answer < 0 ? errno : 0);
    // Not through the calls that may fail on purpose: those are served for the prefix alone.
    if (write(1, line, length) != length) _exit(1);
}

int main(void) {
    char path[4096], byte;
    struct stat st;
    const char *prefix = getenv("P");
    if (chdir("/") != 0 || mkdir(prefix, 0755) == 0 || errno != EEXIST) return 2;
    snprintf(path, sizeof path, "%s/f", prefix);
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    tell("openat", fd);
    if (fd >= 0) {
        tell("write", write(fd, "x", 1));
        tell("lseek", lseek(fd, 0, SEEK_SET));
        tell("read", read(fd, &byte, 1));
        tell("unlink", unlink(path));
    }
    tell("newfstatat", stat(prefix, &st));
    snprintf(path, sizeof path, "%s/d", prefix);
    tell("mkdir", mkdir(path, 0755));
    tell("rmdir", rmdir(path));
    tell("close", fd < 0 ? 0 : close(fd));
    return 0;
}
