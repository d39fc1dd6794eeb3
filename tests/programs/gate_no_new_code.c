// Runs a program under the kernel's policy against turning memory into code (PR_SET_MDWE, Linux 6.3), which it keeps
// over exec. Exit code 77: this kernel has no such policy.
#define _GNU_SOURCE
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

int main(int count, char **arguments) {
    if (prctl(PR_SET_MDWE, 1L, 0L, 0L, 0L) != 0) return 77;
    if (count > 1) execv(arguments[1], arguments + 1);
    return 1;
}
