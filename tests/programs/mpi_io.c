// The ways of MPI-IO, between the ranks of a job: each rank writes its part, and reads that of the next one.
//
// mpi_io DIRECTORY WAY...: one line for each way, with the number of bytes that are not what they should be.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 300007, TIMES = 3, BLOCK = 47, BLOCKS = 2000, RECORD = 64, RECORDS = 100, ROUNDS = 5 };

static int rank, ranks;
static const char *way, *directory;
static unsigned char *bytes;
static MPI_Info info;

static void must(int result, const char *call) {
    if (result == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length;
    MPI_Error_string(result, text, &length);
    printf("%s: rank %d: %s: %.*s\n", way, rank, call, length, text);
    fflush(stdout);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

#define MUST(call) must(call, #call)

static unsigned char byte_of(long offset) { return (unsigned char)((offset * 2654435761u >> 7) + way[0]); }

static void fill(long offset, long size) {
    for (long i = 0; i < size; i++) bytes[i] = byte_of(offset + i);
}

static long wrong(long offset, long size) {
    long count = 0;
    for (long i = 0; i < size; i++) count += bytes[i] != byte_of(offset + i);
    return count;
}

static MPI_File open_file(void) {
    char path[500];
    snprintf(path, sizeof path, "%s/%s", directory, way);
    MPI_File file;
    MUST(MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file));
    return file;
}

// What MPI asks for between a write of one rank and a read of another.
static void settle(MPI_File file) {
    MUST(MPI_File_sync(file));
    MPI_Barrier(MPI_COMM_WORLD);
    MUST(MPI_File_sync(file));
}

static void end(MPI_File file, long count) {
    long all;
    MPI_Offset size;
    MUST(MPI_File_get_size(file, &size));
    MPI_Allreduce(&count, &all, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
    MUST(MPI_File_close(&file));
    if (rank == 0) printf("%s: %ld wrong, size %lld\n", way, all, (long long)size);
    fflush(stdout);
    MPI_Barrier(MPI_COMM_WORLD);
}

static long count_of(const MPI_Status *status, int wanted) {
    int count;
    MPI_Get_count(status, MPI_BYTE, &count);
    return count == wanted ? 0 : 1000000;
}

static long part(int time, int of) { return (long)(time * ranks + of % ranks) * SIZE; }

static void at_offsets(int is_collective) {
    MPI_File file = open_file();
    MPI_Status status;
    long count = 0;
    for (int time = 0; time < TIMES; time++) {
        fill(part(time, rank), SIZE);
        if (is_collective) MUST(MPI_File_write_at_all(file, part(time, rank), bytes, SIZE, MPI_BYTE, &status));
        else MUST(MPI_File_write_at(file, part(time, rank), bytes, SIZE, MPI_BYTE, &status));
        count += count_of(&status, SIZE);
    }
    settle(file);
    for (int time = 0; time < TIMES; time++) {
        memset(bytes, 0, SIZE);
        if (is_collective) MUST(MPI_File_read_at_all(file, part(time, rank + 1), bytes, SIZE, MPI_BYTE, &status));
        else MUST(MPI_File_read_at(file, part(time, rank + 1), bytes, SIZE, MPI_BYTE, &status));
        count += count_of(&status, SIZE) + wrong(part(time, rank + 1), SIZE);
    }
    end(file, count);
}

// The ranks' blocks by turns: collectively in two phases, and by each rank with what lies between.
static void in_view(int is_collective) {
    MPI_File file = open_file();
    MPI_Status status;
    MPI_Datatype blocks;
    MUST(MPI_Type_vector(BLOCKS, BLOCK, BLOCK * ranks, MPI_BYTE, &blocks));
    MUST(MPI_Type_commit(&blocks));
    MUST(MPI_File_set_view(file, (MPI_Offset)rank * BLOCK, MPI_BYTE, blocks, "native", info));
    int size = BLOCK * BLOCKS;
    for (int i = 0; i < size; i++) bytes[i] = byte_of((long)(i / BLOCK) * BLOCK * ranks + rank * BLOCK + i % BLOCK);
    if (is_collective) MUST(MPI_File_write_all(file, bytes, size, MPI_BYTE, &status));
    else MUST(MPI_File_write(file, bytes, size, MPI_BYTE, &status));
    settle(file);
    MUST(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", info));
    memset(bytes, 0, (long)size * ranks);
    MUST(MPI_File_read_at_all(file, 0, bytes, size * ranks, MPI_BYTE, &status));
    MPI_Type_free(&blocks);
    end(file, count_of(&status, size * ranks) + wrong(0, (long)size * ranks));
}

static void by_shared_pointer(void) {
    MPI_File file = open_file();
    MPI_Status status;
    for (int i = 0; i < RECORDS; i++) {
        memset(bytes, 'A' + rank, RECORD);
        MUST(MPI_File_write_shared(file, bytes, RECORD, MPI_BYTE, &status));
    }
    settle(file);
    long seen[16] = {0}, count = 0;
    for (int i = 0; i < RECORDS * ranks; i++) {
        MUST(MPI_File_read_at(file, (MPI_Offset)i * RECORD, bytes, RECORD, MPI_BYTE, &status));
        for (int j = 1; j < RECORD; j++) count += bytes[j] != bytes[0];
        if (bytes[0] >= 'A' && bytes[0] < 'A' + ranks) seen[bytes[0] - 'A']++;
    }
    for (int i = 0; i < ranks; i++) count += labs(seen[i] - RECORDS);
    end(file, count);
}

static void in_order(void) {
    MPI_File file = open_file();
    MPI_Status status;
    for (int i = 0; i < ROUNDS; i++) {
        memset(bytes, 'a' + rank, RECORD);
        MUST(MPI_File_write_ordered(file, bytes, RECORD, MPI_BYTE, &status));
    }
    settle(file);
    MUST(MPI_File_read_at(file, 0, bytes, RECORD * ranks * ROUNDS, MPI_BYTE, &status));
    long count = 0;
    for (int i = 0; i < RECORD * ranks * ROUNDS; i++) count += bytes[i] != 'a' + i / RECORD % ranks;
    end(file, count);
}

static void atomically(void) {
    MPI_File file = open_file();
    MPI_Status status;
    MUST(MPI_File_set_atomicity(file, 1));
    memset(bytes, '0' + rank, SIZE);
    MUST(MPI_File_write_at(file, 0, bytes, SIZE, MPI_BYTE, &status));
    MPI_Barrier(MPI_COMM_WORLD);
    MUST(MPI_File_read_at(file, 0, bytes, SIZE, MPI_BYTE, &status));
    long count = 0;
    for (int i = 1; i < SIZE; i++) count += bytes[i] != bytes[0];
    end(file, count);
}

static void without_waiting(void) {
    MPI_File file = open_file();
    MPI_Status status;
    MPI_Request request;
    fill(part(0, rank), SIZE);
    MUST(MPI_File_iwrite_at(file, part(0, rank), bytes, SIZE, MPI_BYTE, &request));
    MUST(MPI_Wait(&request, &status));
    settle(file);
    memset(bytes, 0, SIZE);
    MUST(MPI_File_iread_at(file, part(0, rank + 1), bytes, SIZE, MPI_BYTE, &request));
    MUST(MPI_Wait(&request, &status));
    end(file, wrong(part(0, rank + 1), SIZE));
}

static void in_halves(void) {
    MPI_File file = open_file();
    MPI_Status status;
    fill(part(0, rank), SIZE);
    MUST(MPI_File_write_at_all_begin(file, part(0, rank), bytes, SIZE, MPI_BYTE));
    MUST(MPI_File_write_at_all_end(file, bytes, &status));
    settle(file);
    memset(bytes, 0, SIZE);
    MUST(MPI_File_read_at_all_begin(file, part(0, rank + 1), bytes, SIZE, MPI_BYTE));
    MUST(MPI_File_read_at_all_end(file, bytes, &status));
    end(file, wrong(part(0, rank + 1), SIZE));
}

static void of_a_size(void) {
    MPI_File file = open_file();
    MPI_Offset size;
    MUST(MPI_File_set_size(file, 1234567));
    MUST(MPI_File_get_size(file, &size));
    long count = size != 1234567;
    MUST(MPI_File_preallocate(file, 2345678));
    end(file, count);
}

static void removed(void) {
    char path[500];
    snprintf(path, sizeof path, "%s/%s", directory, way);
    MPI_File file;
    int mode = MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_EXCL | MPI_MODE_DELETE_ON_CLOSE, class = 0;
    MUST(MPI_File_open(MPI_COMM_WORLD, path, mode, info, &file));
    MUST(MPI_File_close(&file));
    MPI_Barrier(MPI_COMM_WORLD);
    int result = MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_RDONLY, info, &file);
    if (result) MPI_Error_class(result, &class);
    if (rank == 0) printf("%s: %s\n", way, class == MPI_ERR_NO_SUCH_FILE ? "gone" : "there");
}

// One rank writes by blocking calls and the other does not: MPI's own example of a sync.
static void synced(void) {
    MPI_File file = open_file();
    MPI_Status status;
    long count = 0;
    for (int round = 1; round <= ROUNDS; round++) {
        if (rank == 0) {
            memset(bytes, round, SIZE);
            MUST(MPI_File_write_at(file, 0, bytes, SIZE, MPI_BYTE, &status));
        }
        settle(file);
        if (rank == 1) {
            MUST(MPI_File_read_at(file, 0, bytes, SIZE, MPI_BYTE, &status));
            for (int i = 0; i < SIZE; i++) count += bytes[i] != round;
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }
    end(file, count);
}

static int go(void) {
    if (strcmp(way, "at") == 0) return at_offsets(0), 1;
    if (strcmp(way, "at_all") == 0) return at_offsets(1), 1;
    if (strcmp(way, "view") == 0) return in_view(0), 1;
    if (strcmp(way, "view_all") == 0) return in_view(1), 1;
    if (strcmp(way, "shared") == 0) return by_shared_pointer(), 1;
    if (strcmp(way, "ordered") == 0) return in_order(), 1;
    if (strcmp(way, "atomic") == 0) return atomically(), 1;
    if (strcmp(way, "nonblocking") == 0) return without_waiting(), 1;
    if (strcmp(way, "halves") == 0) return in_halves(), 1;
    if (strcmp(way, "size") == 0) return of_a_size(), 1;
    if (strcmp(way, "removed") == 0) return removed(), 1;
    if (strcmp(way, "sync") == 0) return synced(), 1;
    return 0;
}

int main(int count, char **arguments) {
    MPI_Init(&count, &arguments);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Info_create(&info);
    // A rank that writes what lies between its blocks too needs a lock for it.
    const char *sieving = getenv("SIEVING");
    if (sieving) MPI_Info_set(info, "romio_ds_write", sieving);
    bytes = malloc((size_t)SIZE * 4);
    directory = arguments[1];
    for (int i = 2; i < count; i++) {
        way = arguments[i];
        if (!go()) printf("%s: no such way\n", way);
    }
    MPI_Finalize();
    return 0;
}
