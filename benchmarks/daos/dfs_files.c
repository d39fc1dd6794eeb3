/* Files through libdfs, loaded at run time: what an application that was written for DAOS does. */
#define _GNU_SOURCE
#include "files.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../include/sidestep_daos.h"

static struct sidestep_daos_calls daos;
static daos_handle_t pool, container;
static dfs_t *dfs;
static dfs_obj_t *root, *directory;
static char directory_name[256];

static const char *variable(const char *name) {
    const char *value = getenv(name);
    if (!value) fail("a variable is needed", name, EINVAL);
    return value;
}

/* 0, a positive error number of libdfs, or a negative one of libdaos. */
static void worked(int code, const char *what, const char *name) {
    if (code != 0) fail(what, name, code);
}

static double step(const char *name, double start) {
    double now = now_ns();
    report(name, now - start);
    return now;
}

static void load(void) {
    void *library = dlopen(variable("BENCH_LIBDFS"), RTLD_NOW | RTLD_GLOBAL);
    if (!library) fail("dlopen", dlerror(), ELIBACC);
#define CALL(name)                                                                                                   \
    if (!(*(void **)&daos.name = dlsym(library, #name))) fail("dlsym", #name, ELIBACC)
    CALL(daos_init);
    CALL(daos_fini);
    CALL(daos_pool_connect2);
    CALL(daos_pool_disconnect);
    CALL(daos_cont_open2);
    CALL(daos_cont_close);
    CALL(dfs_mount);
    CALL(dfs_umount);
    CALL(dfs_lookup);
    CALL(dfs_open);
    CALL(dfs_release);
    CALL(dfs_read);
    CALL(dfs_write);
    CALL(dfs_readdir);
    CALL(dfs_mkdir);
    CALL(dfs_remove);
    CALL(dfs_stat);
#undef CALL
}

static void dfs_connect_all(const char *path) {
    double at = now_ns();
    load();
    at = step("load", at);
    worked(daos.daos_init(), "daos_init", "");
    at = step("daos_init", at);
    const char *name = variable("BENCH_POOL");
    worked(daos.daos_pool_connect2(name, NULL, 2, &pool, NULL, NULL), "daos_pool_connect", name);
    at = step("pool_connect", at);
    name = variable("BENCH_CONTAINER");
    worked(daos.daos_cont_open2(pool, name, 2, &container, NULL, NULL), "daos_cont_open", name);
    at = step("container_open", at);
    worked(daos.dfs_mount(pool, container, O_RDWR, &dfs), "dfs_mount", name);
    step("mount", at);
    worked(daos.dfs_lookup(dfs, "/", O_RDWR, &root, NULL, NULL), "dfs_lookup", "/");
    snprintf(directory_name, sizeof directory_name, "%s", strrchr(path, '/') + 1);
    int made = daos.dfs_mkdir(dfs, root, directory_name, 0755, 0);
    if (made != EEXIST) worked(made, "dfs_mkdir", directory_name);
    char from_root[300];
    snprintf(from_root, sizeof from_root, "/%s", directory_name);
    worked(daos.dfs_lookup(dfs, from_root, O_RDWR, &directory, NULL, NULL), "dfs_lookup", from_root);
}

static struct file dfs_open_file(const char *name, enum opening opening) {
    static const int flags[] = {O_RDONLY, O_RDWR, O_RDWR | O_CREAT | O_EXCL};
    dfs_obj_t *object;
    worked(daos.dfs_open(dfs, directory, name, S_IFREG | 0644, flags[opening], 0, 0, NULL, &object), "dfs_open", name);
    return (struct file){.object = object};
}

static void dfs_close_file(struct file *file) {
    worked(daos.dfs_release(file->object), "dfs_release", "");
}

static void dfs_read_at(struct file *file, void *bytes, size_t size, uint64_t offset) {
    d_iov_t piece = {bytes, size, size};
    d_sg_list_t memory = {1, 0, &piece};
    uint64_t count = 0;
    worked(daos.dfs_read(dfs, file->object, &memory, offset, &count, NULL), "dfs_read", "");
    if (count != size) fail("dfs_read", "a short count", EIO);
}

static void dfs_write_at(struct file *file, const void *bytes, size_t size, uint64_t offset) {
    d_iov_t piece = {(void *)bytes, size, size};
    d_sg_list_t memory = {1, 0, &piece};
    worked(daos.dfs_write(dfs, file->object, &memory, offset, NULL), "dfs_write", "");
}

static void dfs_read_next(struct file *file, void *bytes, size_t size) {
    dfs_read_at(file, bytes, size, file->next);
    file->next += size;
}

static void dfs_write_next(struct file *file, const void *bytes, size_t size) {
    dfs_write_at(file, bytes, size, file->next);
    file->next += size;
}

static uint64_t dfs_size_of(const char *name) {
    struct stat attributes;
    worked(daos.dfs_stat(dfs, directory, name, &attributes), "dfs_stat", name);
    return (uint64_t)attributes.st_size;
}

static void dfs_remove_file(const char *name) {
    worked(daos.dfs_remove(dfs, directory, name, false, NULL), "dfs_remove", name);
}

static long dfs_count_names(void) {
    enum { BATCH = 64, ENDED = 3 };
    static struct dirent entries[BATCH];
    daos_anchor_t anchor = {0};
    long count = 0;
    while (anchor.da_type != ENDED) {
        uint32_t told = BATCH;
        worked(daos.dfs_readdir(dfs, directory, &anchor, &told, entries), "dfs_readdir", directory_name);
        count += told;
    }
    return count;
}

static void dfs_remove_directory(void) {
    worked(daos.dfs_release(directory), "dfs_release", directory_name);
    directory = NULL;
    worked(daos.dfs_remove(dfs, root, directory_name, false, NULL), "dfs_remove", directory_name);
}

static void dfs_disconnect_all(void) {
    if (directory) worked(daos.dfs_release(directory), "dfs_release", directory_name);
    worked(daos.dfs_release(root), "dfs_release", "/");
    worked(daos.dfs_umount(dfs), "dfs_umount", "");
    worked(daos.daos_cont_close(container, NULL), "daos_cont_close", "");
    worked(daos.daos_pool_disconnect(pool, NULL), "daos_pool_disconnect", "");
    worked(daos.daos_fini(), "daos_fini", "");
}

const struct way dfs_files = {
    dfs_connect_all, dfs_open_file, dfs_close_file,  dfs_read_next,   dfs_write_next,       dfs_read_at,
    dfs_write_at,    dfs_size_of,   dfs_remove_file, dfs_count_names, dfs_remove_directory, dfs_disconnect_all,
};
