// Descriptions shared between processes: one cursor, whole appends.
#include "case.h"
#include <sys/socket.h>

CASE(shared_cursor) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "abcdefghijklmnopqrstuvwxyz", 26));
    MUST(lseek(fd, 5, SEEK_SET));
    int dupped = MUST(dup(fd));
    pid_t child = fork();
    if (child == 0) {
        char three[4] = "";
        read(fd, three, 3);
        say("child read %s", three);
        lseek(dupped, 2, SEEK_CUR);
        _exit(0);
    }
    reap(child);
    say("parent at %ld and %ld", (long)lseek(fd, 0, SEEK_CUR), (long)lseek(dupped, 0, SEEK_CUR));
    child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) _exit(write(fd, "GRAND", 5) == 5 ? 0 : 1);
        reap(grandchild);
        say("child at %ld", (long)lseek(fd, 0, SEEK_CUR));
        write(fd, "CHILD", 5);
        _exit(0);
    }
    reap(child);
    say("parent at %ld", (long)lseek(fd, 0, SEEK_CUR));
    show(p("f"));
    int own = MUST(open(p("f"), O_RDWR));
    say("a new open begins at %ld", (long)lseek(own, 0, SEEK_CUR));
}

CASE(alternating_readers) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    for (int i = 0; i < 1000; i++) MUST(write(fd, &i, sizeof i));
    MUST(lseek(fd, 0, SEEK_SET));
    int pipes[2];
    MUST(pipe(pipes));
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            int number, sum[2] = {0, 0};
            while (read(fd, &number, sizeof number) == sizeof number) sum[0] += number, sum[1]++;
            write(pipes[1], sum, sizeof sum);
            _exit(0);
        }
    }
    int total = 0, count = 0, sum[2];
    for (int i = 0; i < 4; i++) {
        MUST(read(pipes[0], sum, sizeof sum));
        total += sum[0], count += sum[1];
        wait(NULL);
    }
    say("%d numbers, sum %d, at %ld", count, total, (long)lseek(fd, 0, SEEK_CUR));
}

static void appenders(bool shared) {
    int fd = MUST(open(p("log"), O_WRONLY | O_CREAT | O_APPEND, 0644));
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            if (!shared) fd = open(p("log"), O_WRONLY | O_APPEND);
            char line[70];
            memset(line, 'a' + i, sizeof line);
            line[sizeof line - 1] = '\n';
            for (int j = 0; j < 500; j++)
                if (write(fd, line, sizeof line) != sizeof line) _exit(1);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status;
        wait(&status);
        if (status) say("status %x", status);
    }
    FILE *f = fopen(p("log"), "r");
    char line[200];
    int counts[4] = {0}, broken = 0;
    while (fgets(line, sizeof line, f)) {
        bool whole = strlen(line) == 70;
        for (int i = 1; whole && i < 69; i++) whole = line[i] == line[0];
        if (whole && line[0] >= 'a' && line[0] <= 'd') counts[line[0] - 'a']++;
        else broken++;
    }
    say("%d %d %d %d, broken %d", counts[0], counts[1], counts[2], counts[3], broken);
    fclose(f);
    MUST(unlink(p("log")));
}

CASE(append_by_four) { appenders(false); }

CASE(append_by_four_shared) { appenders(true); }

CASE(writers_with_shared_cursor) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            char block[64];
            memset(block, 'a' + i, sizeof block);
            for (int j = 0; j < 300; j++) write(fd, block, sizeof block);
            _exit(0);
        }
    while (wait(NULL) > 0) {}
    struct stat st;
    fstat(fd, &st);
    say("size %ld, at %ld", (long)st.st_size, (long)lseek(fd, 0, SEEK_CUR));
    char block[64];
    int counts[4] = {0}, broken = 0;
    lseek(fd, 0, SEEK_SET);
    while (read(fd, block, sizeof block) == sizeof block) {
        bool whole = block[0] >= 'a' && block[0] <= 'd';
        for (int i = 1; i < 64; i++) whole = whole && block[i] == block[0];
        if (whole) counts[block[0] - 'a']++; else broken++;
    }
    say("%d %d %d %d, broken %d", counts[0], counts[1], counts[2], counts[3], broken);
    MUST(unlink(p("f")));
}

CASE(flags_shared) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "0123456789", 10));
    MUST(lseek(fd, 0, SEEK_SET));
    pid_t child = fork();
    if (child == 0) _exit(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK) == 0 ? 0 : 1);
    reap(child);
    say("flags %x", fcntl(fd, F_GETFL) & ~O_LARGEFILE);
    TRY(write(fd, "end", 3));
    show(p("f"));
}

CASE(offspring_outlive) {
    int ready[2], done[2];
    MUST(pipe(ready));
    MUST(pipe(done));
    if (fork() == 0) {
        int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
        MUST(write(fd, "first;", 6));
        if (fork() == 0) {
            char byte;
            read(ready[0], &byte, 1);
            MUST(write(fd, "second;", 7));
            write(done[1], "x", 1);
            _exit(0);
        }
        _exit(0);
    }
    wait(NULL);
    write(ready[1], "x", 1);
    char byte;
    read(done[0], &byte, 1);
    show(p("f"));
}

CASE(child_closes_and_reopens) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "parent", 6));
    pid_t child = fork();
    if (child == 0) {
        close(fd);
        int again = open(p("g"), O_RDWR | O_CREAT, 0644);
        say("same number %d", again == fd);
        write(again, "child", 5);
        char here[PATH_MAX];
        chdir(p(""));
        say("%s", getcwd(here, sizeof here));
        _exit(0);
    }
    reap(child);
    char here[PATH_MAX];
    say("%s", getcwd(here, sizeof here));
    TRY(write(fd, "!", 1));
    show(p("f"));
    show(p("g"));
}

// The child's first call about the file is its last close, when nobody else has it any more.
CASE(child_closes_a_removed_file_last) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    MUST(write(fd, "bytes", 5));
    MUST(fsync(fd));
    MUST(unlink(p("f")));
    int pipes[2];
    MUST(pipe(pipes));
    pid_t child = fork();
    if (child == 0) {
        char byte;
        read(pipes[0], &byte, 1);
        _exit(close(fd));
    }
    MUST(close(fd));
    MUST(write(pipes[1], "x", 1));
    reap(child);
    say("closed by both");
}

CASE(killed_child) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    pid_t child = fork();
    if (child == 0) {
        write(fd, "before", 6);
        open(p("held"), O_RDWR | O_CREAT, 0644);
        unlink(p("held"));
        raise(SIGKILL);
    }
    reap(child);
    TRY(write(fd, " after", 6));
    show(p("f"));
}

static void *open_and_close(void *is_over) {
    while (!*(volatile int *)is_over) {
        int one = open(p("f"), O_RDWR), other = open(p("f"), O_RDONLY), copy = dup(one);
        dup2(other, copy);
        close(one), close(other), close(copy);
    }
    return NULL;
}

// What another thread of the parent has open at the moment of the fork is nothing to the child: its pipes are pipes.
// Where `may_refuse`, it may also be told that it can't have the files, by EIO and at once, of every kind of call.
static void fork_beside(pid_t (*make)(void), int may_refuse) {
    put(p("f"), "ABCDEFGH");
    int is_over = 0, sound = 0, kept = MUST(open(p("f"), O_RDONLY));
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) MUST(-pthread_create(&threads[i], NULL, open_and_close, &is_over));
    for (int i = 0; i < 300; i++) {
        pid_t child = make();
        if (child == 0) {
            alarm(60);
            for (int j = 0; j < 8; j++) {
                int ends[2];
                char text[6] = "";
                if (pipe(ends) || write(ends[1], "hello", 5) != 5 || read(ends[0], text, 5) != 5) _exit(1);
                if (memcmp(text, "hello", 5)) _exit(2);
            }
            int fd = open(p("f"), O_RDONLY);
            char text[8];
            struct stat st;
            if (fd < 0 && errno == EIO && may_refuse) {
                int is_told = pread(kept, text, 8, 0) < 0 && errno == EIO && fstat(kept, &st) < 0 && errno == EIO &&
                              dup(kept) < 0 && errno == EIO && mkdir(p("d"), 0755) < 0 && errno == EIO;
                int fresh = open("/dev/null", O_WRONLY);
                _exit(is_told && dup2(fresh, kept) == kept && write(kept, "x", 1) == 1 && close(kept) == 0 ? 0 : 4);
            }
            if (pread(kept, text, 8, 0) != 8 || memcmp(text, "ABCDEFGH", 8)) _exit(5);
            _exit(fd >= 0 && read(fd, text, 8) == 8 && memcmp(text, "ABCDEFGH", 8) == 0 ? 0 : 3);
        }
        int status = -1;
        MUST(waitpid(child, &status, 0));
        sound += status == 0;
    }
    is_over = 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    say("%d children were sound", sound);
    show(p("f"));
}

static pid_t clone_without_handlers(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }

// Past libc's wrapper, and so past every door: the program's own instruction.
static pid_t clone_by_itself(void) {
    long child;
    register long parent_tid __asm__("r10") = 0, child_tid __asm__("r8") = 0;
    __asm__ volatile("syscall" : "=a"(child) : "a"(SYS_clone), "D"(SIGCHLD), "S"(0), "d"(0), "r"(parent_tid), "r"(child_tid) : "rcx", "r11", "memory");
    return child;
}

CASE(fork_beside_threads) { fork_beside(fork, 0); }

CASE(raw_fork_beside_threads) { fork_beside(clone_without_handlers, 0); }

CASE(unseen_fork_beside_threads) { fork_beside(clone_by_itself, 0); } // embedded

// A client of DAOS that other threads were inside of is of no use to such a child. It goes on, and so does what it runs.
CASE(unseen_fork_beside_threads_is_told) {
    // Each child has its line on standard error.
    MUST(dup2(MUST(open("/dev/null", O_WRONLY)), 2));
    fork_beside(clone_by_itself, 1);
}
