// Each call by which a process tells another one something or hears from it, with arguments that do little: all of them are
// the kernel's, whatever is done before and after them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRY(name, ...) \
    do { \
        errno = 0; \
        long result = syscall(SYS_##name, __VA_ARGS__); \
        printf("%s: %ld, errno %d\n", #name, result, errno); \
    } while (0)

#define SET_BYTES 8

static volatile int alarms;

static void rang(int signal) {
    (void)signal;
    alarms++;
}

static void ring_soon(void) {
    struct itimerval soon = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &soon, NULL);
}

int main(void) {
    char byte = 'x', got[8] = "";
    struct iovec piece = {&byte, 1}, room = {got, 1};
    struct mmsghdr out = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}}, in = {.msg_hdr = {.msg_iov = &room, .msg_iovlen = 1}};
    struct timespec no_time = {0, 1000};
    unsigned long none = 0;
    struct sembuf up = {0, 1, 0}, down = {0, -1, IPC_NOWAIT};
    struct {
        long kind;
        char text[1];
    } message = {1, "m"};
    int ends[2], pipes[4], word = 5;
    struct sigaction action = {.sa_handler = rang};
    sigaction(SIGALRM, &action, NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || pipe(pipes) || pipe(pipes + 2)) return 1;

    TRY(sendto, ends[0], &byte, 1, 0, NULL, 0);
    TRY(recvfrom, ends[1], got, 1, 0, NULL, NULL);
    TRY(sendmsg, ends[0], &out.msg_hdr, 0);
    TRY(recvmsg, ends[1], &in.msg_hdr, 0);
    TRY(sendmmsg, ends[0], &out, 1, 0);
    TRY(recvmmsg, ends[1], &in, 1, 0, NULL);
    TRY(bind, ends[0], NULL, 0);
    TRY(listen, -1, 1);
    TRY(connect, -1, NULL, 0);
    TRY(accept, -1, NULL, NULL);
    TRY(shutdown, ends[0], SHUT_RDWR);
    TRY(vmsplice, pipes[1], &piece, 1, 0);
    TRY(tee, pipes[0], pipes[3], 1, 0);
    TRY(read, pipes[2], got, 1);
    TRY(write, pipes[1], got, 1);

    TRY(kill, getpid(), 0);
    TRY(tkill, 0, 0);
    TRY(tgkill, getpid(), getpid(), 0);
    TRY(rt_sigqueueinfo, getpid(), 0, NULL);
    TRY(rt_tgsigqueueinfo, getpid(), getpid(), 0, NULL);
    TRY(pidfd_send_signal, -1, 0, NULL, 0);
    TRY(rt_sigtimedwait, &none, NULL, &no_time, SET_BYTES);
    TRY(rt_sigpending, &none, SET_BYTES);
    none = 0;
    ring_soon();
    TRY(rt_sigsuspend, &none, SET_BYTES);
    ring_soon();
    TRY(pause, 0);
    printf("alarms: %d\n", alarms);
    ring_soon();
    while (alarms < 3) continue;
    TRY(sched_yield, 0);
    TRY(nanosleep, &no_time, NULL);
    TRY(clock_nanosleep, CLOCK_MONOTONIC, 0, &no_time, NULL);
    pid_t child = fork();
    if (child == 0) _exit(3);
    errno = 0;
    TRY(waitid, P_PID, child, NULL, WEXITED | WNOWAIT, NULL);
    printf("wait4: %d\n", syscall(SYS_wait4, child, &word, 0, NULL) == child && WEXITSTATUS(word) == 3);

    word = 5;
    TRY(futex, &word, FUTEX_WAIT, 6, NULL);
    TRY(futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 6, NULL);
    TRY(futex, &word, FUTEX_WAIT, 5, &no_time);
    TRY(futex, &word, FUTEX_WAKE, 1);
    TRY(futex_waitv, NULL, 0, 0, NULL, 0);
    int set = syscall(SYS_semget, IPC_PRIVATE, 1, 0600), queue = syscall(SYS_msgget, IPC_PRIVATE, 0600);
    TRY(semop, set, &up, 1);
    TRY(semtimedop, set, &down, 1, &no_time);
    TRY(semctl, set, 0, GETVAL, 0);
    TRY(semctl, set, 0, IPC_RMID, 0);
    TRY(msgsnd, queue, &message, 1, 0);
    TRY(msgrcv, queue, &message, 1, 0, 0);
    msgctl(queue, IPC_RMID, NULL);
    TRY(mq_open, "no slash", O_RDONLY, 0, NULL);
    TRY(mq_unlink, "not there");
    TRY(mq_timedsend, -1, &byte, 1, 0, NULL);
    TRY(mq_timedreceive, -1, got, 1, NULL, NULL);

    struct epoll_event event;
    int epoll = epoll_create1(0);
    TRY(epoll_wait, epoll, &event, 1, 0);
    TRY(epoll_pwait, epoll, &event, 1, 0, NULL, SET_BYTES);
    TRY(epoll_pwait2, epoll, &event, 1, &no_time, NULL, SET_BYTES);
    TRY(io_submit, 0, 1, NULL);
    TRY(io_getevents, 0, 0, 1, NULL, NULL);
    TRY(io_uring_enter, -1, 0, 0, 0, NULL, 0);
    TRY(process_vm_readv, getpid(), &room, 1, &piece, 1, 0);
    TRY(process_vm_writev, getpid(), &piece, 1, &room, 1, 0);
    printf("%s\n", got);
    return 0;
}
