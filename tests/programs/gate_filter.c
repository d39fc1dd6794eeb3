// Under a filter that refuses one system call (the number is the first argument, the directory the second), a file is
// made, written and read; what can't be done is told by the errno, and the program goes on.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count != 3) return 1;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)atoi(arguments[1]), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return 77;
    char path[512], text[16] = "";
    snprintf(path, sizeof path, "%s/filtered", arguments[2]);
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0 && (pwrite(fd, "through", 7, 0) != 7 || pread(fd, text, 15, 0) != 7)) error = errno;
    printf("%s\n", error ? strerror(error) : text);
    return 0;
}
