/* How the measured program of `cargo bench --bench daos` reaches files: through the calls of POSIX (that is how
 * Sidestep and libpil4dfs come in), or through libdfs directly. Names are those of one flat directory. A call that
 * fails, or that moves fewer bytes than it was asked for, ends the program with a message. */
#ifndef SIDESTEP_BENCHMARKS_FILES_H
#define SIDESTEP_BENCHMARKS_FILES_H

#include <stddef.h>
#include <stdint.h>

/* An open file. */
struct file {
    int descriptor; /* of POSIX */
    void *object;   /* of libdfs */
    uint64_t next;  /* where libdfs, which has no cursor, goes on */
};

enum opening { READ_ONLY, READ_WRITE, CREATE_NEW };

/* One way to the files. */
struct way {
    void (*connect)(const char *directory); /* first touch; makes the directory where it is missing */
    struct file (*open)(const char *name, enum opening opening);
    void (*close)(struct file *file);
    void (*read_next)(struct file *file, void *bytes, size_t size);
    void (*write_next)(struct file *file, const void *bytes, size_t size);
    void (*read_at)(struct file *file, void *bytes, size_t size, uint64_t offset);
    void (*write_at)(struct file *file, const void *bytes, size_t size, uint64_t offset);
    uint64_t (*size_of)(const char *name);
    void (*remove)(const char *name);
    long (*count_names)(void);        /* a listing of the directory, to its end */
    void (*remove_directory)(void);
    void (*disconnect)(void);
};

extern const struct way posix_files, dfs_files;

/* Says what failed, with the error number, and ends the program. */
void fail(const char *what, const char *name, int error) __attribute__((noreturn));
/* Prints a figure. */
void report(const char *name, double value);
/* Wall clock. */
double now_ns(void);

#endif
