// Threads: cancellation, races on descriptors, one description used by many.
#include "case.h"

static int loop_fd;
static volatile int rounds, cleaned;

static void clean(void *unused) { (void)unused; cleaned++; }

static void *read_for_ever(void *path) {
    char block[4096];
    pthread_cleanup_push(clean, NULL);
    int fd = open(path, O_RDONLY);
    for (;;) {
        if (pread(fd, block, sizeof block, 0) < 0) break;
        rounds++;
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void *write_for_ever(void *path) {
    pthread_cleanup_push(clean, NULL);
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    for (;;) {
        if (pwrite(fd, "x", 1, 5) < 0) break;
        rounds++;
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void *open_for_ever(void *path) {
    pthread_cleanup_push(clean, NULL);
    for (;;) {
        int state;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
        int fd = open(path, O_RDONLY);
        close(fd);
        pthread_setcancelstate(state, NULL);
        close(open(path, O_RDONLY));
        rounds++;
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void *block_for_ever(void *unused) {
    (void)unused;
    char byte;
    pthread_cleanup_push(clean, NULL);
    rounds++;
    while (read(loop_fd, &byte, 1) >= 0) {}
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancel(void *(*body)(void *), const char *path, int times) {
    for (int i = 0; i < times; i++) {
        pthread_t thread;
        void *result;
        cleaned = 0, rounds = 0;
        MUST(-pthread_create(&thread, NULL, body, (void *)path));
        while (rounds == 0) sleep_ms(1);
        sleep_ms(i % 3);
        MUST(-pthread_cancel(thread));
        MUST(-pthread_join(thread, &result));
        if (result != PTHREAD_CANCELED || cleaned != 1)
            say("round %d: canceled %d cleaned %d", i, result == PTHREAD_CANCELED, cleaned);
    }
    say("cancelled %d times", times);
}

CASE(cancel_reader) {
    put_pattern(p("f"), 10000);
    cancel(read_for_ever, p("f"), 30);
    show(p("f"));
}

CASE(cancel_writer) {
    put(p("f"), "0123456789");
    cancel(write_for_ever, p("f"), 30);
    show(p("f"));
    put(p("f"), "and it still works");
    show(p("f"));
}

CASE(cancel_opener) {
    put(p("f"), "0123456789");
    cancel(open_for_ever, p("f"), 30);
    show(p("f"));
}

CASE(cancel_blocked_in_pipe) {
    int pipes[2];
    MUST(pipe(pipes));
    loop_fd = pipes[0];
    put(p("f"), "x");
    cancel(block_for_ever, NULL, 10);
    show(p("f"));
}

static void *spin_async(void *path) {
    int old;
    pthread_cleanup_push(clean, NULL);
    int fd = open(path, O_RDONLY);
    char byte;
    pread(fd, &byte, 1, 0);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    rounds++;
    for (;;) __asm__ volatile("");
    pthread_cleanup_pop(0);
    return NULL;
}

CASE(cancel_asynchronous) {
    put(p("f"), "0123456789");
    cancel(spin_async, p("f"), 10);
    show(p("f"));
}

static void *cancel_disabled(void *path) {
    int old;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    int fd = open(path, O_RDWR);
    rounds = 1;
    sleep_ms(30);
    long total = 0;
    char byte;
    for (int i = 0; i < 100; i++) total += pread(fd, &byte, 1, i % 10);
    close(fd);
    return (void *)total;
}

CASE(cancel_disabled) {
    put(p("f"), "0123456789");
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, cancel_disabled, (void *)p("f"));
    while (rounds == 0) sleep_ms(1);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    say("result %ld", (long)result);
}

static int wrong;

static void *open_and_close(void *seed_pointer) {
    unsigned seed = (unsigned)(uintptr_t)seed_pointer;
    int mine[20], which[20], count = 0;
    char path[PATH_MAX];
    for (int i = 0; i < 4000; i++) {
        int dice = rand_r(&seed) % 4;
        if (count < 20 && dice < 2) {
            int name = rand_r(&seed) % 32;
            snprintf(path, sizeof path, "%s/file-%d", getenv("P"), name);
            int fd = dice && count ? dup(mine[0]) : open(path, O_RDONLY);
            if (fd < 0) { __atomic_add_fetch(&wrong, 1, 0); continue; }
            which[count] = dice && count ? which[0] : name;
            mine[count++] = fd;
        } else if (count > 0) {
            int at = rand_r(&seed) % count;
            int content = -1;
            if (pread(mine[at], &content, sizeof content, 0) != sizeof content || content != which[at])
                __atomic_add_fetch(&wrong, 1, 0);
            if (dice == 2) continue;
            if (close(mine[at]) != 0) __atomic_add_fetch(&wrong, 1, 0);
            count--;
            mine[at] = mine[count], which[at] = which[count];
        }
        if (i % 16 == 0) {
            int null = open("/dev/null", O_RDWR);
            if (null < 0 || write(null, "x", 1) != 1 || close(null) != 0) __atomic_add_fetch(&wrong, 1, 0);
        }
    }
    while (count > 0) close(mine[--count]);
    return NULL;
}

CASE(eight_open_and_close) {
    for (int i = 0; i < 32; i++) {
        char name[20];
        snprintf(name, sizeof name, "file-%d", i);
        int fd = MUST(open(p(name), O_WRONLY | O_CREAT, 0644));
        MUST(write(fd, &i, sizeof i));
        MUST(close(fd));
    }
    pthread_t threads[8];
    for (uintptr_t i = 0; i < 8; i++) pthread_create(&threads[i], NULL, open_and_close, (void *)(i + 1));
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    say("wrong %d, next number %d", wrong, open(p("file-0"), O_RDONLY));
}

static void *change_shared_names(void *seed_pointer) {
    unsigned seed = (unsigned)(uintptr_t)seed_pointer;
    char one[PATH_MAX], other[PATH_MAX];
    const char *rounds_wanted = getenv("SIDESTEP_TEST_ROUNDS");
    int count = 1500 * (rounds_wanted ? atoi(rounds_wanted) : 1);
    for (int i = 0; i < count; i++) {
        snprintf(one, sizeof one, "%s/shared-%d", getenv("P"), rand_r(&seed) % 4);
        snprintf(other, sizeof other, "%s/shared-%d", getenv("P"), rand_r(&seed) % 4);
        int fd = open(one, O_RDWR | O_CREAT, 0600);
        int answer = rand_r(&seed) % 3 == 0 ? unlink(one) : rename(one, other);
        int is_right = fd >= 0 && (answer == 0 || errno == ENOENT);
        is_right &= write(fd, "abc", 3) == 3 && close(fd) == 0;
        if (!is_right) __atomic_add_fetch(&wrong, 1, 0);
    }
    return NULL;
}

// An open that may make its file always has one, whoever takes the name away or gives it another file.
CASE(names_shared_by_eight) {
    pthread_t threads[8];
    for (uintptr_t i = 0; i < 8; i++) pthread_create(&threads[i], NULL, change_shared_names, (void *)(i + 1));
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    say("wrong %d", wrong);
    for (int i = 0; i < 4; i++) {
        char name[20];
        snprintf(name, sizeof name, "shared-%d", i);
        unlink(p(name));
    }
}

static int openers;

static void *close_at_random(void *unused) {
    (void)unused;
    unsigned seed = 7;
    // To the end: openers that nobody closes after run out of descriptors.
    for (int i = 0; i < 20000 || __atomic_load_n(&openers, __ATOMIC_ACQUIRE) > 0; i++) close(3 + rand_r(&seed) % 16);
    return NULL;
}

static void *open_at_random(void *unused) {
    (void)unused;
    for (int i = 0; i < 5000; i++) {
        int fd = open(p("f"), O_RDONLY);
        char byte;
        // It may have been closed under us; a wrong byte or another error may not be.
        ssize_t answer = pread(fd, &byte, 1, 0);
        if (answer == 1 ? byte != 'x' && byte != 0 : !(answer < 0 && errno == EBADF)) __atomic_add_fetch(&wrong, 1, 0);
        fd = open("/dev/zero", O_RDONLY);
        answer = read(fd, &byte, 1);
        if (answer == 1 ? byte != 0 && byte != 'x' : !(answer <= 0)) __atomic_add_fetch(&wrong, 1, 0);
    }
    __atomic_sub_fetch(&openers, 1, __ATOMIC_RELEASE);
    return NULL;
}

CASE(closed_under_the_reader) {
    put(p("f"), "x");
    openers = 2;
    pthread_t threads[3];
    pthread_create(&threads[0], NULL, open_at_random, NULL);
    pthread_create(&threads[1], NULL, open_at_random, NULL);
    pthread_create(&threads[2], NULL, close_at_random, NULL);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    say("wrong %d", wrong);
    show(p("f"));
}

static int shared_fd;

static void *append_records(void *letter) {
    char record[100];
    memset(record, (int)(uintptr_t)letter, sizeof record);
    for (int i = 0; i < 1000; i++)
        if (write(shared_fd, record, sizeof record) != sizeof record) __atomic_add_fetch(&wrong, 1, 0);
    return NULL;
}

static void one_description(int flags) {
    shared_fd = MUST(open(p("f"), O_RDWR | O_CREAT | flags, 0644));
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, append_records, (void *)('a' + i));
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    int counts[4] = {0}, broken = 0;
    char record[100];
    for (off_t at = 0; pread(shared_fd, record, sizeof record, at) == sizeof record; at += sizeof record) {
        bool whole = record[0] >= 'a' && record[0] <= 'd';
        for (int i = 1; i < 100; i++) whole = whole && record[i] == record[0];
        if (whole) counts[record[0] - 'a']++; else broken++;
    }
    struct stat st;
    fstat(shared_fd, &st);
    say("wrong %d, size %ld, counts %d %d %d %d, broken %d", wrong, (long)st.st_size, counts[0], counts[1], counts[2],
        counts[3], broken);
    MUST(unlink(p("f")));
}

CASE(one_cursor_many_writers) { one_description(0); }

CASE(one_appender_many_writers) { one_description(O_APPEND); }

static void *read_records(void *unused) {
    (void)unused;
    int record[25];
    long count = 0;
    while (read(shared_fd, record, sizeof record) == sizeof record) {
        for (int i = 1; i < 25; i++)
            if (record[i] != record[0]) __atomic_add_fetch(&wrong, 1, 0);
        count++;
    }
    return (void *)count;
}

CASE(one_cursor_many_readers) {
    shared_fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0644));
    for (int i = 0; i < 4000; i++) {
        int record[25];
        for (int j = 0; j < 25; j++) record[j] = i;
        MUST(write(shared_fd, record, sizeof record));
    }
    MUST(lseek(shared_fd, 0, SEEK_SET));
    pthread_t threads[4];
    long total = 0;
    void *count;
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, read_records, NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], &count), total += (long)count;
    say("wrong %d, %ld records", wrong, total);
}

static void *make_and_remove(void *seed_pointer) {
    unsigned seed = (unsigned)(uintptr_t)seed_pointer;
    char a[PATH_MAX], b[PATH_MAX];
    for (int i = 0; i < 1500; i++) {
        snprintf(a, sizeof a, "%s/n%d", getenv("P"), rand_r(&seed) % 8);
        snprintf(b, sizeof b, "%s/n%d", getenv("P"), rand_r(&seed) % 8);
        int answer = 0;
        switch (rand_r(&seed) % 5) {
        case 0: answer = mkdir(a, 0755); break;
        case 1: answer = rename(a, b); break;
        case 2: answer = rmdir(a); break;
        case 3: { int fd = open(a, O_RDWR | O_CREAT, 0644); answer = fd < 0 ? -1 : close(fd); break; }
        case 4: answer = unlink(a); break;
        }
        if (answer != 0 && errno != EEXIST && errno != ENOENT && errno != ENOTDIR && errno != EISDIR &&
            errno != ENOTEMPTY)
            __atomic_add_fetch(&wrong, 1, 0);
    }
    return NULL;
}

CASE(names_raced) {
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, make_and_remove, (void *)(i + 1));
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    say("wrong %d", wrong);
    for (int i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        remove(p(name));
    }
    DIR *d = opendir(p(""));
    int left = 0;
    while (readdir(d)) left++;
    say("%d left", left);
}

static void *fork_from_thread(void *unused) {
    (void)unused;
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            int fd = open(p("child"), O_RDWR | O_CREAT | O_APPEND, 0644);
            _exit(fd >= 0 && write(fd, "c", 1) == 1 ? 0 : 1);
        }
        int status;
        waitpid(child, &status, 0);
        if (status) __atomic_add_fetch(&wrong, 1, 0);
    }
    return NULL;
}

CASE(fork_while_others_work) {
    put(p("f"), "x");
    pthread_t worker[2], forker;
    pthread_create(&worker[0], NULL, make_and_remove, (void *)1);
    pthread_create(&worker[1], NULL, make_and_remove, (void *)2);
    pthread_create(&forker, NULL, fork_from_thread, NULL);
    pthread_join(forker, NULL), pthread_join(worker[0], NULL), pthread_join(worker[1], NULL);
    for (int i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        remove(p(name));
    }
    say("wrong %d", wrong);
    show(p("child"));
}
