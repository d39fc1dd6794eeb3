/* Files through the calls that every program makes; the library under test is preloaded. */
#define _GNU_SOURCE
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[4096];
static size_t base_length;

/* The name's path: the directory stays in front. */
static const char *at(const char *name) {
    strcpy(path + base_length, name);
    return path;
}

static void whole(ssize_t moved, size_t size, const char *what) {
    if (moved != (ssize_t)size) fail(what, moved < 0 ? "" : "a short count", moved < 0 ? errno : EIO);
}

static void posix_connect(const char *directory) {
    struct stat attributes;
    char parent[4096];
    snprintf(parent, sizeof parent, "%s", directory);
    *strrchr(parent, '/') = 0;
    double start = now_ns();
    if (stat(parent, &attributes) != 0) fail("stat", parent, errno);
    report("first_touch", now_ns() - start);
    if (mkdir(directory, 0755) != 0 && errno != EEXIST) fail("mkdir", directory, errno);
    base_length = (size_t)snprintf(path, sizeof path, "%s/", directory);
}

static struct file posix_open(const char *name, enum opening opening) {
    static const int flags[] = {O_RDONLY, O_RDWR, O_RDWR | O_CREAT | O_EXCL};
    int descriptor = open(at(name), flags[opening], 0644);
    if (descriptor < 0) fail("open", name, errno);
    return (struct file){.descriptor = descriptor};
}

static void posix_close(struct file *file) {
    if (close(file->descriptor) != 0) fail("close", "", errno);
}

static void posix_read_next(struct file *file, void *bytes, size_t size) {
    whole(read(file->descriptor, bytes, size), size, "read");
}

static void posix_write_next(struct file *file, const void *bytes, size_t size) {
    whole(write(file->descriptor, bytes, size), size, "write");
}

static void posix_read_at(struct file *file, void *bytes, size_t size, uint64_t offset) {
    whole(pread(file->descriptor, bytes, size, (off_t)offset), size, "pread");
}

static void posix_write_at(struct file *file, const void *bytes, size_t size, uint64_t offset) {
    whole(pwrite(file->descriptor, bytes, size, (off_t)offset), size, "pwrite");
}

static uint64_t posix_size_of(const char *name) {
    struct stat attributes;
    if (stat(at(name), &attributes) != 0) fail("stat", name, errno);
    return (uint64_t)attributes.st_size;
}

static void posix_remove(const char *name) {
    if (unlink(at(name)) != 0) fail("unlink", name, errno);
}

static long posix_count_names(void) {
    long count = 0;
    DIR *directory = opendir(at(""));
    if (!directory) fail("opendir", path, errno);
    errno = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (errno != 0) fail("readdir", path, errno);
    if (closedir(directory) != 0) fail("closedir", path, errno);
    return count;
}

static void posix_remove_directory(void) {
    path[base_length - 1] = 0; /* without the slash */
    if (rmdir(path) != 0) fail("rmdir", path, errno);
}

static void posix_disconnect(void) {}

const struct way posix_files = {
    posix_connect,  posix_open,    posix_close,  posix_read_next,   posix_write_next,       posix_read_at,
    posix_write_at, posix_size_of, posix_remove, posix_count_names, posix_remove_directory, posix_disconnect,
};
