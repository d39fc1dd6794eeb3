// A library that exports what libc and ld.so export, as sanitizers, profilers and emulators of time do. Nothing of it
// may be taken for the real one: what is called here ends the process.
#define _GNU_SOURCE
#include <link.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

static int called(void) {
    abort();
    return 0;
}

struct r_debug _r_debug;
void *__tls_get_addr(void *index) { return called() ? index : NULL; }
const char *gnu_get_libc_release(void) { return called() ? "" : "stable"; }
int dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *data) { return visit ? called() : !data; }
unsigned long getauxval(unsigned long type) { return (unsigned long)called() + type; }
int clock_gettime(clockid_t clock, struct timespec *time) { return called() + clock + (int)time->tv_sec; }
