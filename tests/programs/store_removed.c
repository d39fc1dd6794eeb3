// A fork child lives on when its store has been removed: its calls end, with an error or with what its memory knows.
//
// store_removed STORE: prints a line for each child that did not end by itself, or was told something else than EIO.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 14, PATIENCE_SECONDS = 10 };

static char paths[4][400], block[20000];
static int small, large;
static DIR *listing;

static long call(int number) {
    struct stat stat_;
    switch (number) {
        case 0: return pread(small, block, 5, 0);
        case 1: return pread(large, block, 5, 9000);
        case 2: return pwrite(small, "x", 1, 0);
        case 3: return pwrite(large, block, sizeof block, 9000);
        case 4: return pwrite(small, block, sizeof block, 0);
        case 5: return ftruncate(large, 10);
        case 6: return fsync(large);
        case 7: return open(paths[0], O_RDWR);
        case 8: return open(paths[2], O_RDWR | O_CREAT, 0600);
        case 9: return unlink(paths[0]);
        case 10: return rename(paths[0], paths[1]);
        case 11: return mkdir(paths[3], 0700);
        case 12: return opendir(getenv("P")) ? 0 : -1;
        default: return stat(paths[3], &stat_);
    }
}

static int is_right(long answer) { return answer >= 0 || errno == EIO; }

int main(int count, char **arguments) {
    if (count != 2 || !getenv("P")) return 98;
    const char *names[] = {"small", "large", "new", "directory"};
    for (int i = 0; i < 4; i++) snprintf(paths[i], sizeof paths[i], "%s/%s", getenv("P"), names[i]);
    small = open(paths[0], O_RDWR | O_CREAT, 0600), large = open(paths[1], O_RDWR | O_CREAT, 0600);
    if (write(small, "small", 5) != 5 || write(large, block, sizeof block) != sizeof block) return 97;
    listing = opendir(getenv("P"));
    int go[2];
    pid_t children[CALLS];
    if (pipe(go)) return 96;
    for (int i = 0; i < CALLS; i++) {
        if ((children[i] = fork()) != 0) continue;
        char nothing;
        close(go[1]);
        read(go[0], &nothing, 1);
        // The one call, again after it has failed, and then all of them.
        if (!is_right(call(i))) _exit(1);
        if (!is_right(call(i))) _exit(2);
        for (int other = 0; other < CALLS; other++) call(other);
        readdir(listing);
        close(small), close(large);
        // By the handlers of the end, too.
        exit(0);
    }
    char line[500];
    snprintf(line, sizeof line, "rm -rf '%s'", arguments[1]);
    if (system(line) != 0) return 95;
    close(go[0]), close(go[1]);
    time_t end = time(NULL) + PATIENCE_SECONDS;
    for (int i = 0; i < CALLS; i++) {
        int status;
        while (waitpid(children[i], &status, WNOHANG) == 0 && time(NULL) < end) usleep(1000);
        if (kill(children[i], SIGKILL) == 0) {
            waitpid(children[i], &status, 0);
            printf("call %d does not end\n", i);
        } else if (status != 0) {
            printf("call %d: status %x\n", i, status);
        }
    }
    return 0;
}
