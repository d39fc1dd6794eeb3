// A library that does to libc what debuggers and other preload libraries do: it writes over the first byte of the
// functions that GATE_PATCHED names. Whoever called one of them would be stopped, so the programs of the test do not.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

__attribute__((constructor)) static void patch(void) {
    const char *list = getenv("GATE_PATCHED");
    char names[256];
    if (!list || strlen(list) >= sizeof names) return;
    strcpy(names, list);
    for (char *rest = names, *name; (name = strsep(&rest, ",")) != NULL;) {
        unsigned char *start = dlsym(RTLD_NEXT, name);
        if (!start) abort();
        void *page = (void *)((uintptr_t)start & ~4095UL);
        if (mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC)) abort();
        // A function of libc may begin with a landing pad, which is not what a breakpoint is set on.
        if (memcmp(start, "\xf3\x0f\x1e\xfa", 4) == 0) start += 4;
        *start = 0xcc;
        if (mprotect(page, 8192, PROT_READ | PROT_EXEC)) abort();
    }
}
