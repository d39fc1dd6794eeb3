// The random test's hands: reads operations on standard input, answers each with what the system said. One process
// speaks with the test; a second one, forked from it at the beginning of every case and again at each `F`, shares its
// descriptors and does what is asked of process 1.
//
// A case is `B name` (begin), lines `process operation arguments...`, and `E` (end); then every answer is flushed.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 6
static int slots[SLOTS];
static char data[1 << 17], answer[1 << 12];
static FILE *to_partner, *from_partner;
static pid_t partner;
static char base[8300];

static uint64_t hash_of(const void *bytes, size_t length) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
    return hash;
}

static void pattern(unsigned seed, size_t length) {
    for (size_t i = 0; i < length; i++) data[i] = (seed + i) * 2654435761u >> 15 | 1;
}

static const char *error(long result) { return result == -1 ? strerrorname_np(errno) : ""; }

static void tell(long result) { snprintf(answer, sizeof answer, "%ld %s", result, error(result)); }

static void tell_bytes(long result) {
    if (result < 0) tell(result);
    else snprintf(answer, sizeof answer, "%ld %016lx", result, hash_of(data, result));
}

static void tell_stat(int result, const struct stat *st) {
    if (result < 0) tell(result);
    else
        snprintf(answer, sizeof answer, "mode %o links %d size %ld owner %d:%d", st->st_mode, (int)st->st_nlink,
                 (long)st->st_size, st->st_uid, st->st_gid);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *name) {
    DIR *directory = opendir(name);
    if (!directory) { tell(-1); return; }
    char *names[200];
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(directory)) && count < 200) {
        size_t length = strlen(entry->d_name) + 6;
        names[count] = malloc(length);
        snprintf(names[count++], length, "%s:%d", entry->d_name, entry->d_type);
    }
    closedir(directory);
    qsort(names, count, sizeof *names, by_text);
    answer[0] = 0;
    for (int i = 0; i < count; i++) {
        if (strlen(answer) + strlen(names[i]) + 2 < sizeof answer) strcat(strcat(answer, names[i]), " ");
        free(names[i]);
    }
}

// One operation of this process. The slot numbers of the script lead to descriptors.
static void operate(char *line) {
    char *words[8] = {"", "", "", "", "", "", "", ""};
    int count = 0;
    for (char *word = strtok(line, " \n"); word && count < 8; word = strtok(NULL, " \n")) words[count++] = word;
    const char *what = words[0], *name = words[1], *other = words[2];
    int slot = atoi(words[1]) % SLOTS, fd = slots[slot];
    long a = atol(words[2]), b = atol(words[3]), c = atol(words[4]);
    struct stat st;
    if (strcmp(what, "open") == 0) {
        int opened = open(words[2], b, 0640);
        if (opened >= 0) {
            if (slots[slot] >= 0) close(slots[slot]);
            slots[slot] = opened;
        }
        tell(opened < 0 ? -1 : 0);
    } else if (strcmp(what, "close") == 0) tell(close(fd)), slots[slot] = -1;
    else if (strcmp(what, "read") == 0) tell_bytes(read(fd, data, a));
    else if (strcmp(what, "pread") == 0) tell_bytes(pread(fd, data, a, b));
    else if (strcmp(what, "write") == 0) pattern(b, a), tell(write(fd, data, a));
    else if (strcmp(what, "pwrite") == 0) pattern(c, a), tell(pwrite(fd, data, a, b));
    else if (strcmp(what, "readv") == 0) {
        struct iovec parts[] = {{data, a / 3}, {data + a / 3, 0}, {data + a / 3, a - a / 3}};
        tell_bytes(readv(fd, parts, 3));
    } else if (strcmp(what, "writev") == 0) {
        pattern(b, a);
        struct iovec parts[] = {{data, a / 2}, {data + a / 2, a - a / 2}};
        tell(writev(fd, parts, 2));
    } else if (strcmp(what, "lseek") == 0) tell(lseek(fd, a, b));
    else if (strcmp(what, "ftruncate") == 0) tell(ftruncate(fd, a));
    else if (strcmp(what, "fallocate") == 0) tell(fallocate(fd, a, b, c));
    else if (strcmp(what, "fsync") == 0) tell(fsync(fd));
    else if (strcmp(what, "fstat") == 0) { int r = fstat(fd, &st); tell_stat(r, &st); }
    else if (strcmp(what, "fchmod") == 0) tell(fchmod(fd, a));
    else if (strcmp(what, "flags") == 0) tell(fcntl(fd, F_SETFL, a));
    else if (strcmp(what, "getfl") == 0) tell(fcntl(fd, F_GETFL) & ~O_LARGEFILE);
    else if (strcmp(what, "dup") == 0) {
        int target = a % SLOTS, copy = dup(fd);
        tell(copy < 0 ? -1 : 0);
        if (copy >= 0) {
            if (slots[target] >= 0) close(slots[target]);
            slots[target] = copy;
        }
    } else if (strcmp(what, "dup2") == 0) {
        int target = slots[a % SLOTS];
        tell(target < 0 ? -2 : dup2(fd, target) == target ? 0 : -1);
    } else if (strcmp(what, "copy") == 0) {
        int target = slots[a % SLOTS];
        // Which of two faults is told first is not for here.
        if (fd < 0 || target < 0) tell(-2);
        else tell(copy_file_range(fd, NULL, target, NULL, b, 0));
    } else if (strcmp(what, "send") == 0) {
        int target = slots[a % SLOTS];
        struct stat other_st;
        // Within one file the kernel copies pages by reference, and what comes of an overlap is anybody's guess.
        if (fstat(fd, &st) != 0 || fstat(target, &other_st) != 0 || S_ISDIR(st.st_mode)) tell(-2);
        else if (st.st_ino == other_st.st_ino) tell(0);
        else tell(sendfile(target, fd, NULL, b));
    } else if (strcmp(what, "mkdir") == 0) tell(mkdir(name, 0750));
    else if (strcmp(what, "rmdir") == 0) tell(rmdir(name));
    else if (strcmp(what, "unlink") == 0) tell(unlink(name));
    else if (strcmp(what, "rename") == 0) tell(renameat2(AT_FDCWD, name, AT_FDCWD, other, b));
    else if (strcmp(what, "symlink") == 0) tell(symlink(name, other));
    else if (strcmp(what, "readlink") == 0) tell_bytes(readlink(name, data, 1000));
    else if (strcmp(what, "stat") == 0) { int r = stat(name, &st); tell_stat(r, &st); }
    else if (strcmp(what, "lstat") == 0) { int r = lstat(name, &st); tell_stat(r, &st); }
    else if (strcmp(what, "truncate") == 0) tell(truncate(name, a));
    else if (strcmp(what, "chmod") == 0) tell(chmod(name, a));
    else if (strcmp(what, "access") == 0) tell(access(name, a));
    else if (strcmp(what, "list") == 0) list(name);
    else if (strcmp(what, "chdir") == 0) {
        char here[4096];
        int result = chdir(name);
        tell(result);
        // A working directory stays inside the case's own directory.
        if (result == 0 && (!getcwd(here, sizeof here) || strncmp(here, base, strlen(base)) != 0)) chdir(base), chdir("w");
    } else if (strcmp(what, "getcwd") == 0) {
        char here[4096];
        if (!getcwd(here, sizeof here)) tell(-1);
        else snprintf(answer, sizeof answer, "%.3000s", here + (strncmp(here, base, strlen(base)) ? 0 : strlen(base)));
    } else snprintf(answer, sizeof answer, "unknown operation %s", what);
}

static void become_partner(int in, int out) {
    FILE *orders = fdopen(in, "r"), *answers = fdopen(out, "w");
    char line[4096];
    while (fgets(line, sizeof line, orders)) {
        operate(line);
        fprintf(answers, "%s\n", answer);
        fflush(answers);
    }
    _exit(0);
}

static void end_partner(void) {
    if (partner <= 0) return;
    fclose(to_partner);
    fclose(from_partner);
    int status;
    if (waitpid(partner, &status, 0) != partner || status != 0) printf("partner ended with %x\n", status);
    partner = 0;
}

// The pipes' ends are moved to high numbers, so that a case's descriptors are numbered alike everywhere.
static void fork_partner(void) {
    end_partner();
    int down[2], up[2];
    if (pipe(down) || pipe(up)) exit(1);
    fflush(stdout);
    partner = fork();
    if (partner == 0) {
        close(down[1]), close(up[0]);
        become_partner(fcntl(down[0], F_DUPFD, 500), fcntl(up[1], F_DUPFD, 500));
    }
    if (partner < 0) exit(1);
    to_partner = fdopen(fcntl(down[1], F_DUPFD, 500), "w");
    from_partner = fdopen(fcntl(up[0], F_DUPFD, 500), "r");
    close(down[0]), close(down[1]), close(up[0]), close(up[1]);
}

static void begin(const char *name) {
    snprintf(base, sizeof base, "%s/%s", getenv("P"), name);
    umask(022);
    // Operations work one level below, so that `..` stays within the case.
    if (mkdir(base, 0755) || chdir(base) || mkdir("w", 0755) || chdir("w"))
        printf("cannot begin: %s\n", strerrorname_np(errno));
    for (int i = 0; i < SLOTS; i++) slots[i] = -1;
    fork_partner();
}

static void end(void) {
    end_partner();
    for (int i = 0; i < SLOTS; i++)
        if (slots[i] >= 0) close(slots[i]);
    char command[5000];
    if (chdir(getenv("P"))) printf("cannot leave: %s\n", strerrorname_np(errno));
    snprintf(command, sizeof command, "%s", base);
    base[0] = 0;
    // Removed by hand: a process for each case would cost more than the case.
    for (int round = 0; round < 6 && rmdir(command) != 0; round++) {
        char *stack[64] = {strdup(command)};
        for (int depth = 1; depth > 0;) {
            char *path = stack[--depth];
            DIR *directory = opendir(path);
            struct dirent *entry;
            while (directory && (entry = readdir(directory))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
                char inner[9000];
                snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
                if (unlink(inner) != 0 && rmdir(inner) != 0 && depth < 64) stack[depth++] = strdup(inner);
            }
            if (directory) closedir(directory);
            free(path);
        }
    }
    struct stat st;
    if (stat(command, &st) == 0) printf("cannot clean up\n");
}

int main(void) {
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        if (line[0] == 'B') {
            line[strcspn(line, "\n")] = 0;
            begin(line + 2);
        } else if (line[0] == 'E') {
            end();
            printf("E\n");
            fflush(stdout);
        } else if (line[0] == 'F') {
            fork_partner();
            printf("forked\n");
        } else if (line[0] == '0') {
            operate(line + 2);
            printf("%s\n", answer);
        } else {
            fprintf(to_partner, "%s", line + 2);
            fflush(to_partner);
            if (!fgets(answer, sizeof answer, from_partner)) { strcpy(answer, "partner is gone\n"); partner = 0; }
            printf("%s", answer);
        }
    }
    return 0;
}
