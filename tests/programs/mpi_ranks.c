// Two ranks of a job whose MPI library meets in shared memory, without a system call: what one has written before a call, the
// other reads after it. With -DLIBRARY this is that library, which the program loads for itself alone, as Python does; the
// names that the program calls are those that somebody else in the process exports. `mpi_ranks LIBRARY FILE`.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 4096

#ifdef LIBRARY

static volatile uint32_t *came;
static jmp_buf *way_out;

// Where the ranks meet, and where a call that fails goes.
void set_up(volatile uint32_t *memory, jmp_buf *target) {
    came = memory;
    way_out = target;
}

static void meet(void) {
    uint32_t mine = __atomic_add_fetch(came, 1, __ATOMIC_SEQ_CST), all = (mine + 1) / 2 * 2;
    while (__atomic_load_n(came, __ATOMIC_SEQ_CST) < all) continue;
}

int MPI_Barrier(void) {
    meet();
    return 0;
}

// Arguments in all registers and on the stack, and a result in two.
long MPI_Rget_accumulate(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, long l, long m) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k + 12 * l + 13 * m;
}

double MPI_Accumulate(double a, double b, long c, double d, double e, double f, double g, double h, double i, double on_stack) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * on_stack;
}

int mpi_wait_(int *request, int *status, int *error) {
    *status = *request + 1;
    *error = errno;
    return 7;
}

int MPI_File_open(void) { longjmp(*way_out, 1); }

// One rank writes, and the other reads when it has heard of that by something of the library's own.
long MPI_File_write_at(int file, const char *bytes, long size) {
    long written = pwrite(file, bytes, size, 0);
    meet();
    return written;
}

long MPI_File_read_at(int file, char *bytes, long size) {
    meet();
    return pread(file, bytes, size, 0);
}

#else

__attribute__((weak)) int MPI_Barrier(void);
__attribute__((weak)) long MPI_Rget_accumulate(long, long, long, long, long, long, long, long, long, long, long, long, long);
__attribute__((weak)) double MPI_Accumulate(double, double, long, double, double, double, double, double, double, double);
__attribute__((weak)) int mpi_wait_(int *, int *, int *);
__attribute__((weak)) int MPI_File_open(void);
__attribute__((weak)) int MPI_Ssend(void);
__attribute__((weak)) long MPI_File_write_at(int, const char *, long);
__attribute__((weak)) long MPI_File_read_at(int, char *, long);

static int wrong;

static void check(const char *what, int is_right) {
    if (!is_right) printf("wrong: %s\n", what), wrong = 1;
}

static void *arguments(void *unused) {
    for (long n = 0; n < 20000; n++) {
        int request = n, status = 0, error = 0;
        errno = 5;
        check("integers", MPI_Rget_accumulate(n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) == n + 728);
        check("numbers", MPI_Accumulate(n, 1, 2, 3, 4, 5, 6, 7, 8, 9) == n + 330.0);
        check("Fortran", mpi_wait_(&request, &status, &error) == 7 && status == n + 1 && error == 5 && errno == 5);
    }
    return unused;
}

static int is_all(const char *bytes, char value) {
    for (int i = 0; i < SIZE; i++)
        if (bytes[i] != value) return 0;
    return 1;
}

int main(int count, char **paths) {
    static jmp_buf back;
    static char bytes[SIZE];
    if (count < 3) return 2;
    void *library = dlopen(paths[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) return printf("%s\n", dlerror()), 2;
    void (*set_up)(volatile uint32_t *, jmp_buf *) = (void (*)(volatile uint32_t *, jmp_buf *))dlsym(library, "set_up");
    volatile uint32_t *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    set_up(memory, &back);
    check("doors", MPI_Barrier && MPI_File_write_at && mpi_wait_);
    int file = open(paths[2], O_CREAT | O_RDWR | O_TRUNC, 0644);
    check("the file", file >= 0 && write(file, bytes, SIZE) == SIZE && close(file) == 0);
    fflush(stdout);
    pid_t child = fork();
    int mine = child != 0;
    file = open(paths[2], O_RDWR);
    pthread_t other;
    pthread_create(&other, NULL, arguments, NULL);
    arguments(NULL);
    pthread_join(other, NULL);
    for (volatile int i = 0; i < 1000; i++)
        if (!setjmp(back)) check("a call that comes back", MPI_File_open() == 99);
    for (int turn = 1; turn <= 200; turn++) {
        if (turn % 2 == mine) {
            memset(bytes, turn, SIZE);
            check("a write", pwrite(file, bytes, SIZE, 0) == SIZE);
        }
        MPI_Barrier();
        check("a read after a barrier", pread(file, bytes, SIZE, 0) == SIZE && is_all(bytes, turn));
        MPI_Barrier();
    }
    for (int turn = 1; turn <= 50; turn++) {
        if (turn % 2 == mine) {
            memset(bytes, -turn, SIZE);
            check("a file's write", MPI_File_write_at(file, bytes, SIZE) == SIZE);
        } else
            check("a file's read", MPI_File_read_at(file, bytes, SIZE) == SIZE && is_all(bytes, -turn));
        MPI_Barrier();
    }
    check("a call that the library lacks", MPI_Ssend() != 0);
    fflush(stdout);
    if (child == 0) _exit(wrong);
    int status;
    waitpid(child, &status, 0);
    puts(wrong || status ? "not right" : "right");
    return 0;
}

#endif
