// What stat tells, and the calls that change it.
#include "case.h"
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <utime.h>

static void times(const char *path) {
    struct stat st;
    MUST(lstat(path, &st));
    say("a %ld.%09ld m %ld.%09ld", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static long long changed(const char *path, char which) {
    struct stat st;
    MUST(lstat(path, &st));
    struct timespec time = which == 'a' ? st.st_atim : which == 'm' ? st.st_mtim : st.st_ctim;
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

CASE(set_times) {
    put(p("f"), "x");
    MUST(symlink("f", p("l")));
    TRY(utimensat(AT_FDCWD, p("f"), (struct timespec[]){{1, 2}, {3, 4}}, 0));
    times(p("f"));
    TRY(utimensat(AT_FDCWD, p("f"), (struct timespec[]){{0, UTIME_OMIT}, {5, 999999999}}, 0));
    times(p("f"));
    TRY(utimensat(AT_FDCWD, p("f"), (struct timespec[]){{7, 8}, {0, UTIME_OMIT}}, 0));
    times(p("f"));
    TRY(utimensat(AT_FDCWD, p("f"), (struct timespec[]){{0, UTIME_OMIT}, {0, UTIME_OMIT}}, 0));
    times(p("f"));
    TRY(utimensat(AT_FDCWD, p("f"), (struct timespec[]){{0, 1000000000}, {0, 0}}, 0));
    TRY(utimensat(AT_FDCWD, p("l"), (struct timespec[]){{10, 0}, {20, 0}}, AT_SYMLINK_NOFOLLOW));
    times(p("l"));
    TRY(utimensat(AT_FDCWD, p("l"), (struct timespec[]){{-10, 5}, {-20, 0}}, 0));
    times(p("f"));
    int fd = MUST(open(p("f"), O_RDONLY));
    TRY(futimens(fd, (struct timespec[]){{100, 1}, {200, 2}}));
    times(p("f"));
    TRY(futimes(fd, (struct timeval[]){{101, 1}, {201, 2}}));
    times(p("f"));
    TRY(utimes(p("f"), (struct timeval[]){{102, 1}, {202, 2}}));
    times(p("f"));
    TRY(lutimes(p("l"), (struct timeval[]){{103, 1}, {203, 2}}));
    times(p("l"));
    TRY(utime(p("f"), &(struct utimbuf){104, 204}));
    times(p("f"));
    TRY(futimesat(AT_FDCWD, p("f"), (struct timeval[]){{105, 1}, {205, 2}}));
    times(p("f"));
    time_t before = time(NULL);
    TRY(utimensat(AT_FDCWD, p("f"), NULL, 0));
    say("now %d", changed(p("f"), 'm') / 1000000000 >= before && changed(p("f"), 'a') / 1000000000 >= before);
    TRY(futimens(fd, (struct timespec[]){{0, UTIME_NOW}, {55, 0}}));
    say("now %d", changed(p("f"), 'a') / 1000000000 >= before && changed(p("f"), 'm') == 55000000000);
    TRY(utimensat(AT_FDCWD, p("none"), NULL, 0));
    TRY(utimensat(AT_FDCWD, p("f"), NULL, 0x4000));
    TRY(syscall(SYS_utimensat, fd, NULL, (struct timespec[]){{9, 9}, {9, 9}}, 0));
    times(p("f"));
    TRY(utimes(p("f"), (struct timeval[]){{102, -1}, {202, 2}}));
}

CASE(times_move) {
    put(p("f"), "content");
    MUST(mkdir(p("d"), 0755));
    struct timespec old[] = {{1000, 0}, {1000, 0}};
    int fd = MUST(open(p("f"), O_RDWR));
    char byte;
#define MOVED(action)                                                                            \
    MUST(futimens(fd, old)), MUST(utimensat(AT_FDCWD, p("d"), old, 0));                          \
    { long long c = changed(p("f"), 'c'), dc = changed(p("d"), 'c'); sleep_ms(12); (void)(action);  \
      say("%s: a %d m %d c %d, directory a %d m %d c %d", #action, changed(p("f"), 'a') != 1000000000000, \
          changed(p("f"), 'm') != 1000000000000, changed(p("f"), 'c') != c, changed(p("d"), 'a') != 1000000000000, \
          changed(p("d"), 'm') != 1000000000000, changed(p("d"), 'c') != dc); }
    MOVED(read(fd, &byte, 1));
    MOVED(write(fd, "w", 1));
    MOVED(write(fd, "w", 0));
    MOVED(ftruncate(fd, 3));
    MOVED(ftruncate(fd, 3));
    MOVED(truncate(p("f"), 2));
    MOVED(truncate(p("f"), 2));
    MOVED(fchmod(fd, 0640));
    MOVED(chown(p("f"), -1, -1));
    MOVED(close(open(p("f"), O_RDONLY)));
    MOVED(close(open(p("f"), O_WRONLY | O_TRUNC)));
    MOVED(close(open(p("d/new"), O_WRONLY | O_CREAT, 0600)));
    MOVED(close(open(p("d/new"), O_WRONLY | O_CREAT, 0600)));
    MOVED(rename(p("d/new"), p("d/newer")));
    MOVED(unlink(p("d/newer")));
    MOVED(rename(p("f"), p("g")) + rename(p("g"), p("f")));
    MOVED(rename(p("f"), p("d/f")) + rename(p("d/f"), p("f")));
    MOVED(mkdir(p("d/e"), 0700));
    MOVED(rmdir(p("d/e")));
    MOVED(symlink("x", p("d/l")));
    MOVED(access(p("d/l"), F_OK));
    MOVED(fallocate(fd, 0, 0, 10));
    MOVED(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10));
    MOVED(pwrite(fd, "x", 1, 100));
    MOVED(closedir(opendir(p("d"))));
}

CASE(order_of_times) {
    put(p("f"), "x");
    struct timespec now;
    for (int i = 0; i < 5; i++) {
        long long before = changed(p("f"), 'm');
        sleep_ms(12);
        int fd = MUST(open(p("f"), O_WRONLY));
        MUST(write(fd, "y", 1));
        close(fd);
        clock_gettime(CLOCK_REALTIME, &now);
        long long after = changed(p("f"), 'm');
        say("%d %d", after > before, after <= now.tv_sec * 1000000000LL + now.tv_nsec);
    }
}

CASE(modes_and_owners) {
    put(p("f"), "x");
    MUST(mkdir(p("d"), 0755));
    MUST(symlink("f", p("l")));
    struct stat st;
    mode_t modes[] = {0, 0777, 0644, 04755, 02755, 01777, 07777, 0100644, 0170777};
    int fd = MUST(open(p("f"), O_RDONLY));
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        TRY(chmod(p("f"), modes[i]));
        MUST(stat(p("f"), &st));
        say("%o", st.st_mode);
        TRY(fchmod(fd, modes[i] ^ 0111));
        MUST(fstat(fd, &st));
        say("%o", st.st_mode);
        TRY(chmod(p("d"), modes[i]));
        MUST(stat(p("d"), &st));
        say("%o", st.st_mode);
    }
    TRY(chmod(p("l"), 0600));
    TRY(fchmodat(AT_FDCWD, p("l"), 0600, AT_SYMLINK_NOFOLLOW));
    TRY(chmod(p("none"), 0600));
    TRY(chmod(p("f/x"), 0600));
    TRY(chown(p("f"), getuid(), getgid()));
    if (getuid() == 0) {
        struct { uid_t user; gid_t group; } owners[] = {{1, 2}, {-1, 3}, {4, -1}, {-1, -1}, {0, 0}, {65534, 65534}};
        for (size_t i = 0; i < sizeof owners / sizeof *owners; i++) {
            MUST(chmod(p("f"), 06755));
            TRY(chown(p("f"), owners[i].user, owners[i].group));
            MUST(stat(p("f"), &st));
            say("%d %d %o", st.st_uid, st.st_gid, st.st_mode);
            TRY(lchown(p("l"), owners[i].user, owners[i].group));
            MUST(lstat(p("l"), &st));
            say("%d %d", st.st_uid, st.st_gid);
            TRY(fchown(fd, owners[i].user, owners[i].group));
        }
        TRY(fchownat(fd, "", 7, 7, AT_EMPTY_PATH));
        MUST(stat(p("f"), &st));
        say("%d %d", st.st_uid, st.st_gid);
        MUST(chown(p("d"), 0, 44));
        MUST(chmod(p("d"), 02775));
        put(p("d/inherits"), "");
        MUST(mkdir(p("d/sub"), 0755));
        MUST(stat(p("d/inherits"), &st));
        say("group %d mode %o", st.st_gid, st.st_mode);
        MUST(stat(p("d/sub"), &st));
        say("group %d mode %o", st.st_gid, st.st_mode);
    }
}

CASE(set_id_bits_dropped_on_write) {
    put(p("f"), "x");
    struct stat st;
    MUST(chmod(p("f"), 06755));
    int fd = MUST(open(p("f"), O_WRONLY));
    MUST(write(fd, "y", 1));
    MUST(fstat(fd, &st));
    say("%o", st.st_mode);
    MUST(chmod(p("f"), 06755));
    MUST(ftruncate(fd, 0));
    MUST(fstat(fd, &st));
    say("%o", st.st_mode);
}

CASE(stat_fields) {
    put_pattern(p("f"), 10000);
    MUST(mkdir(p("d"), 0755));
    MUST(symlink("f", p("l")));
    struct stat f, d, l, same;
    MUST(stat(p("f"), &f)), MUST(stat(p("d"), &d)), MUST(lstat(p("l"), &l));
    say("f %o %d %ld blocks %ld rdev %ld", f.st_mode, (int)f.st_nlink, (long)f.st_size, (long)f.st_blocks, f.st_rdev);
    say("d %o %d %ld blocks %ld", d.st_mode, (int)d.st_nlink, (long)d.st_size, (long)d.st_blocks);
    say("l %o %d %ld blocks %ld", l.st_mode, (int)l.st_nlink, (long)l.st_size, (long)l.st_blocks);
    int fd = MUST(open(p("f"), O_RDONLY));
    MUST(fstat(fd, &same));
    say("same %d", memcmp(&f, &same, sizeof f) == 0);
    MUST(fstatat(AT_FDCWD, p("l"), &same, 0));
    say("same %d", memcmp(&f, &same, sizeof f) == 0);
    struct statx x;
    MUST(statx(AT_FDCWD, p("f"), 0, STATX_ALL, &x));
    say("statx agrees %d", x.stx_ino == f.st_ino && x.stx_size == (uint64_t)f.st_size && x.stx_mode == f.st_mode &&
        makedev(x.stx_dev_major, x.stx_dev_minor) == f.st_dev && x.stx_mtime.tv_sec == f.st_mtim.tv_sec &&
        x.stx_mtime.tv_nsec == f.st_mtim.tv_nsec && x.stx_blocks == (uint64_t)f.st_blocks);
    say("born %d", (x.stx_mask & STATX_BTIME) != 0 && x.stx_btime.tv_sec > 1000000000);
    TRY(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x));
    TRY(statx(fd, "", 0, STATX_SIZE, &x));
    TRY(statx(AT_FDCWD, p("f"), 0x10000, STATX_SIZE, &x));
    TRY(statx(AT_FDCWD, p("f"), 0, 0x80000000, &x));
    TRY(statx(AT_FDCWD, p("f"), AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_SIZE, &x));
    TRY(statx(AT_FDCWD, p("none"), 0, STATX_SIZE, &x));
    sleep_ms(5);
    MUST(stat(p("f"), &same));
    say("same %d", memcmp(&f, &same, sizeof f) == 0);
}

CASE(directory_sizes) {
    struct stat st;
    MUST(mkdir(p("d"), 0755));
    for (int i = 0; i < 50; i++) {
        char name[60];
        snprintf(name, sizeof name, "d/%.*s%d", i, "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm", i);
        put(p(name), "");
    }
    MUST(stat(p("d"), &st));
    say("%ld %d", (long)st.st_size, (int)st.st_nlink);
    TRY(rmdir(p("d")));
}

CASE(file_systems) {
    struct statfs fs;
    struct statvfs vfs;
    put(p("f"), "x");
    TRY(statfs(p("f"), &fs));
    say("%d %d %d", fs.f_bsize > 0, fs.f_blocks >= fs.f_bfree, fs.f_namelen == 255);
    TRY(fstatfs(MUST(open(p(""), O_RDONLY)), &fs));
    TRY(statvfs(p(""), &vfs));
    say("%d %lu %d", vfs.f_frsize > 0, vfs.f_namemax, (vfs.f_flag & ST_RDONLY) != 0);
    TRY(fstatvfs(MUST(open(p("f"), O_RDONLY)), &vfs));
    TRY(statfs(p("none"), &fs));
    TRY(statvfs(p("none/x"), &vfs));
    TRY(pathconf(p("f"), _PC_NAME_MAX));
    TRY(pathconf(p(""), _PC_PATH_MAX));
    TRY(fpathconf(MUST(open(p("f"), O_RDONLY)), _PC_PIPE_BUF) > 0);
}

CASE(access_checks) {
    put(p("f"), "x");
    MUST(mkdir(p("d"), 0755));
    int modes[] = {F_OK, R_OK, W_OK, X_OK, R_OK | W_OK, R_OK | X_OK, 8, -1};
    const char *names[] = {"f", "d", "none", "f/x", "d/x", ""};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            int answer = access(p(names[j]), modes[i]);
            say("access %s %d: %s", names[j], modes[i], answer ? strerrorname_np(errno) : "yes");
            answer = euidaccess(p(names[j]), modes[i] & 7);
            say("euidaccess %s %d: %s", names[j], modes[i] & 7, answer ? strerrorname_np(errno) : "yes");
        }
}
