// What every case is written with. A case prints what the system answered; the harness compares two runs of it.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct { const char *name; void (*run)(void); } cases[100];
static int cases_count;

// The harness finds the cases by the lines that begin with this word.
#define CASE(case_name)                                                         \
    static void case_name##_case(void);                                         \
    __attribute__((constructor)) static void case_name##_add(void) {            \
        cases[cases_count].name = #case_name;                                   \
        cases[cases_count++].run = case_name##_case;                            \
    }                                                                           \
    static void case_name##_case(void)

// Output goes out with write(2) on the host's own descriptor 1, line by line: nothing is buffered across a fork.
__attribute__((format(printf, 1, 2), unused)) static void say(const char *format, ...) {
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2) length = sizeof line - 2;
    line[length++] = '\n';
    if (write(1, line, length) != length) _exit(99);
}

__attribute__((unused)) static const char *path_in(const char *variable, const char *name) {
    static char buffers[16][PATH_MAX + 600];
    static unsigned next;
    char *buffer = buffers[next++ % 16];
    const char *root = getenv(variable);
    if (!root) _exit(98);
    snprintf(buffer, sizeof buffers[0], *name ? "%s/%s" : "%s", root, name);
    return buffer;
}

// A name under the directory under test, in the host's directory, and among the C programs.
#define p(name) path_in("P", name)
#define h(name) path_in("H", name)
#define t(name) path_in("T", name)

// Prints an expression and its answer; gives the answer back.
#define TRY(expression)                                                         \
    ({                                                                          \
        errno = 0;                                                              \
        long answer_ = (long)(expression);                                      \
        int error_ = errno;                                                     \
        if (answer_ < 0) say("%s = %ld %s", #expression, answer_, strerrorname_np(error_)); \
        else say("%s = %ld", #expression, answer_);                             \
        errno = error_;                                                         \
        answer_;                                                                \
    })

// For what must work, or the case makes no sense.
#define MUST(expression)                                                        \
    ({                                                                          \
        errno = 0;                                                              \
        long answer_ = (long)(expression);                                      \
        if (answer_ < 0) {                                                      \
            say("line %d: %s = %ld %s", __LINE__, #expression, answer_, strerrorname_np(errno)); \
            _exit(97);                                                          \
        }                                                                       \
        answer_;                                                                \
    })

__attribute__((unused)) static void put(const char *path, const char *text) {
    int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    MUST(write(fd, text, strlen(text)));
    MUST(close(fd));
}

// A file of `length` bytes, no two places of it alike.
__attribute__((unused)) static void put_pattern(const char *path, size_t length) {
    int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    unsigned char block[4096];
    for (size_t at = 0; at < length;) {
        size_t count = length - at < sizeof block ? length - at : sizeof block;
        for (size_t i = 0; i < count; i++) block[i] = (at + i) * 2654435761u >> 13;
        at += MUST(write(fd, block, count));
    }
    MUST(close(fd));
}

__attribute__((unused)) static uint64_t hash_of(const void *bytes, size_t length) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
    return hash;
}

// What a file holds: its text if that is short, a hash if not.
__attribute__((unused)) static void show(const char *path) {
    static char content[4 << 20];
    int fd = open(path, O_RDONLY);
    if (fd < 0) { say("show: %s", strerrorname_np(errno)); return; }
    ssize_t length = 0, count;
    while ((count = read(fd, content + length, sizeof content - length)) > 0) length += count;
    if (count < 0) say("show: read %s", strerrorname_np(errno));
    bool text = length < 200;
    for (ssize_t i = 0; text && i < length; i++) text = content[i] == '\n' || (content[i] >= ' ' && content[i] < 127);
    if (text) say("holds %zd: '%.*s'", length, (int)length, content);
    else say("holds %zd: %016lx", length, hash_of(content, length));
    close(fd);
}

// Waits for a child and prints how it ended.
__attribute__((unused)) static void reap(pid_t child) {
    int status = 0;
    pid_t answer = waitpid(child, &status, 0);
    if (answer != child) say("waitpid: %s", strerrorname_np(errno));
    else if (WIFEXITED(status)) say("child: exit %d", WEXITSTATUS(status));
    else say("child: signal %d", WTERMSIG(status));
}

__attribute__((unused)) static void sleep_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

__attribute__((unused)) static void on_signal(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    MUST(sigaction(signal, &action, NULL));
}

int main(int argc, char **argv) {
    for (int i = 0; i < cases_count; i++)
        if (argc > 1 && strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    fprintf(stderr, "no such case\n");
    return 96;
}
