// mpi_ranks PATH before|after: all ranks write interleaved blocks of 47,008 bytes to one file, half by POSIX calls and
// half through MPI-IO, and read the other ranks' after a barrier.
#include "pattern.h"
#include <mpi.h>

enum { BLOCK = 47008, BLOCKS = 200 };

static void touch(const char *path)
{
    char other[4096];
    snprintf(other, sizeof other, "%s.touched.%d", path, getpid());
    int file = opened(other, O_RDWR | O_CREAT);
    insist(write(file, "x", 1) == 1, "write");
    insist(close(file) == 0 && unlink(other) == 0, "unlink");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int rank, ranks;
    static unsigned char bytes[BLOCK], expected[BLOCK];
    if (!strcmp(argv[2], "before"))
        touch(argv[1]);
    insist(MPI_Init(&argc, &argv) == MPI_SUCCESS, "MPI_Init");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    touch(argv[1]);
    int file = opened(argv[1], O_RDWR | O_CREAT);
    for (int block = rank; block < BLOCKS / 2; block += ranks) {
        fill(bytes, (uint64_t)block * BLOCK, BLOCK, 1);
        insist(pwrite(file, bytes, BLOCK, (off_t)block * BLOCK) == BLOCK, "pwrite");
    }
    insist(fsync(file) == 0, "fsync");
    insist(close(file) == 0, "close");
    MPI_File shared;
    MPI_Status status;
    insist(MPI_File_open(MPI_COMM_WORLD, argv[1], MPI_MODE_RDWR, MPI_INFO_NULL, &shared) == MPI_SUCCESS, "MPI_File_open");
    for (int block = BLOCKS / 2 + rank; block < BLOCKS; block += ranks) {
        fill(bytes, (uint64_t)block * BLOCK, BLOCK, 1);
        MPI_Offset offset = (MPI_Offset)block * BLOCK;
        insist(MPI_File_write_at(shared, offset, bytes, BLOCK, MPI_BYTE, &status) == MPI_SUCCESS, "MPI_File_write_at");
    }
    insist(MPI_File_sync(shared) == MPI_SUCCESS, "MPI_File_sync");
    insist(MPI_File_close(&shared) == MPI_SUCCESS, "MPI_File_close");
    MPI_Barrier(MPI_COMM_WORLD);
    file = opened(argv[1], O_RDONLY);
    for (int block = 0; block < BLOCKS; block++) {
        fill(expected, (uint64_t)block * BLOCK, BLOCK, 1);
        insist(pread(file, bytes, BLOCK, (off_t)block * BLOCK) == BLOCK, "pread");
        insist(memcmp(bytes, expected, BLOCK) == 0, "a block");
    }
    insist(close(file) == 0, "close");
    MPI_Finalize();
    return 0;
}
