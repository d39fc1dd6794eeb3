// Loaded before a program: the container is connected, and bytes are written there that are not stored yet. So whatever the
// program tells others is preceded by a store, and whatever it hears is noted. A fork child writes anew.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

// Out of the program's way: it counts descriptors from 3 on.
#define HIGH 700

static void soil(void) {
    char byte = 'x';
    ssize_t written = pwrite(HIGH, &byte, 1, 0);
    (void)written;
}

__attribute__((constructor)) static void begin(void) {
    int file = open("/daos/gate", O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    if (file < 0) return;
    fcntl(file, F_DUPFD_CLOEXEC, HIGH);
    close(file);
    soil();
    pthread_atfork(NULL, NULL, soil);
}
