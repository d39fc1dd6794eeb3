// A library that reads a file while it is being loaded, as those of some MPI and GPU stacks do.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

// Bytes that were read, or the error, negative.
int outcome;

__attribute__((constructor)) static void loaded(void)
{
    const char *path = getenv("SIDESTEP_TEST_FILE");
    char bytes[100];
    int file = path ? open(path, O_RDONLY) : -1;
    outcome = file < 0 ? -errno : (int)read(file, bytes, sizeof bytes);
    if (file >= 0)
        close(file);
}
