// Parallel HDF5: the ranks write a dataset's rows by turns, close the file, open it and read all of it.
//
// mpi_hdf5 FILE contiguous|chunked independent|collective
#include <hdf5.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 1000, COLUMNS = 200 };

#define MUST(call)                                                         \
    ({                                                                     \
        hid_t result_ = (call);                                            \
        if (result_ < 0) printf("%s failed\n", #call), MPI_Abort(MPI_COMM_WORLD, 1); \
        result_;                                                           \
    })

int main(int count, char **arguments) {
    MPI_Init(&count, &arguments);
    int rank, ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int is_chunked = strcmp(arguments[2], "chunked") == 0, is_collective = strcmp(arguments[3], "collective") == 0;
    hid_t access = MUST(H5Pcreate(H5P_FILE_ACCESS));
    MPI_Info info;
    MPI_Info_create(&info);
    // A rank that writes what lies between its rows too needs a lock for it.
    const char *sieving = getenv("SIEVING");
    if (sieving) MPI_Info_set(info, "romio_ds_write", sieving);
    MUST(H5Pset_fapl_mpio(access, MPI_COMM_WORLD, info));
    hid_t file = MUST(H5Fcreate(arguments[1], H5F_ACC_TRUNC, H5P_DEFAULT, access));
    hsize_t all[2] = {ROWS, COLUMNS}, chunk[2] = {100, 50};
    hid_t space = MUST(H5Screate_simple(2, all, NULL)), creation = MUST(H5Pcreate(H5P_DATASET_CREATE));
    if (is_chunked) MUST(H5Pset_chunk(creation, 2, chunk));
    hid_t dataset = MUST(H5Dcreate2(file, "x", H5T_NATIVE_INT, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    hsize_t start[2] = {rank, 0}, stride[2] = {ranks, 1}, own[2] = {ROWS / ranks, COLUMNS};
    MUST(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, stride, own, NULL));
    hid_t memory = MUST(H5Screate_simple(2, own, NULL)), transfer = MUST(H5Pcreate(H5P_DATASET_XFER));
    MUST(H5Pset_dxpl_mpio(transfer, is_collective ? H5FD_MPIO_COLLECTIVE : H5FD_MPIO_INDEPENDENT));
    int *values = malloc(sizeof(int) * ROWS * COLUMNS);
    for (int i = 0; i < ROWS / ranks; i++) {
        for (int j = 0; j < COLUMNS; j++) values[i * COLUMNS + j] = (i * ranks + rank) * COLUMNS + j;
    }
    MUST(H5Dwrite(dataset, H5T_NATIVE_INT, memory, space, transfer, values));
    MUST(H5Dclose(dataset));
    MUST(H5Fclose(file));
    file = MUST(H5Fopen(arguments[1], H5F_ACC_RDONLY, access));
    dataset = MUST(H5Dopen2(file, "x", H5P_DEFAULT));
    memset(values, 0, sizeof(int) * ROWS * COLUMNS);
    MUST(H5Dread(dataset, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, transfer, values));
    long wrong = 0, sum;
    for (int i = 0; i < ROWS * COLUMNS; i++) wrong += values[i] != i;
    MUST(H5Dclose(dataset));
    MUST(H5Fclose(file));
    MPI_Allreduce(&wrong, &sum, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0) printf("%s %s: %ld wrong\n", arguments[2], arguments[3], sum);
    MPI_Finalize();
    return 0;
}
