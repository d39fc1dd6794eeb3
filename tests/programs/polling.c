// A regular file is always ready, and epoll refuses it.
#include "case.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

CASE(poll_variants) {
    put(p("f"), "x");
    int fd = MUST(open(p("f"), O_RDWR)), directory = MUST(open(p(""), O_RDONLY)), pipes[2];
    MUST(pipe(pipes));
    struct pollfd fds[] = {{fd, POLLIN | POLLOUT | POLLPRI, 0}, {pipes[0], POLLIN, 0}, {pipes[1], POLLOUT, 0},
                           {-1, POLLIN, 0}, {999, POLLIN, 0}, {directory, POLLIN | POLLOUT, 0}};
    TRY(poll(fds, 6, 1000));
    for (int i = 0; i < 6; i++) say("%d: %x", i, fds[i].revents);
    fds[0].events = 0;
    TRY(poll(fds, 1, 10));
    say("%x", fds[0].revents);
    fds[0].events = POLLRDNORM | POLLWRNORM;
    TRY(ppoll(fds, 2, &(struct timespec){5, 0}, NULL));
    say("%x %x", fds[0].revents, fds[1].revents);
    TRY(poll(fds + 1, 1, 20));
    write(pipes[1], "x", 1);
    TRY(poll(fds, 2, -1));
    say("%x %x", fds[0].revents, fds[1].revents);
    TRY(poll(NULL, 0, 1));
    int path = MUST(open(p("f"), O_PATH));
    TRY(poll(&(struct pollfd){path, POLLIN, 0}, 1, 10));
}

CASE(select_variants) {
    put(p("f"), "x");
    int fd = MUST(open(p("f"), O_RDWR)), pipes[2];
    MUST(pipe(pipes));
    fd_set in, out, other;
    for (int pass = 0; pass < 3; pass++) {
        FD_ZERO(&in);
        FD_ZERO(&out);
        FD_ZERO(&other);
        FD_SET(fd, &in);
        FD_SET(fd, &out);
        FD_SET(fd, &other);
        FD_SET(pipes[0], &in);
        FD_SET(pipes[1], &out);
        struct timeval limit = {5, 0};
        struct timespec spec = {5, 0};
        if (pass == 2) TRY(pselect(pipes[1] + 1, &in, &out, &other, &spec, NULL));
        else TRY(select(pipes[1] + 1, &in, &out, &other, &limit));
        say("file %d %d %d pipe %d %d", FD_ISSET(fd, &in), FD_ISSET(fd, &out), FD_ISSET(fd, &other),
            FD_ISSET(pipes[0], &in), FD_ISSET(pipes[1], &out));
        if (pass == 0) write(pipes[1], "x", 1);
    }
    FD_ZERO(&in);
    FD_SET(fd, &in);
    TRY(select(fd + 1, &in, NULL, NULL, NULL));
    FD_ZERO(&in);
    FD_SET(fd + 10, &in);
    TRY(select(fd + 11, &in, NULL, NULL, &(struct timeval){0, 1000}));
    FD_ZERO(&in);
    TRY(select(fd + 1, &in, NULL, NULL, &(struct timeval){0, 1000}));
}

CASE(epoll_refuses) {
    put(p("f"), "x");
    int fd = MUST(open(p("f"), O_RDWR)), epoll = MUST(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN};
    TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    TRY(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
    TRY(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event));
    TRY(epoll_ctl(fd, EPOLL_CTL_ADD, fd, &event));
    TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, MUST(open(p(""), O_RDONLY)), &event));
    int pipes[2];
    MUST(pipe(pipes));
    TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[1], &(struct epoll_event){.events = EPOLLOUT}));
    TRY(epoll_wait(epoll, &event, 1, 100));
    say("%x", event.events);
}
