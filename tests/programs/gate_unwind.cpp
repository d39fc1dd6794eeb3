// A cancellation unwinds C++ frames: the destructors between it and the thread's start run.
#include <cstdio>
#include <fcntl.h>
#include <initializer_list>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

struct Told {
    const char *name;
    ~Told() { std::printf("%s destroyed\n", name); }
};

static int pipe_ends[2];
static char fifo[64];

__attribute__((noinline)) static void in_read() {
    Told told{"reader"};
    char byte;
    if (read(pipe_ends[0], &byte, 1) >= 0) std::puts("read came back");
}

__attribute__((noinline)) static void in_open() {
    Told told{"opener"};
    if (open(fifo, O_RDONLY) >= 0) std::puts("open came back");
}

static void *thread(void *body) {
    Told told{"thread"};
    reinterpret_cast<void (*)()>(body)();
    return nullptr;
}

int main() {
    std::snprintf(fifo, sizeof fifo, "/tmp/gate_unwind.%d", getpid());
    if (pipe(pipe_ends) != 0 || mkfifo(fifo, 0600) != 0) return 1;
    for (void (*body)() : {in_read, in_open}) {
        pthread_t id;
        void *result;
        pthread_create(&id, nullptr, thread, reinterpret_cast<void *>(body));
        usleep(30000);
        pthread_cancel(id);
        pthread_join(id, &result);
        std::printf("%s\n", result == PTHREAD_CANCELED ? "cancelled" : "finished");
    }
    unlink(fifo);
}
