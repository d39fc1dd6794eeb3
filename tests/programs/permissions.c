// Permission errors, as a user who is not root.
#include "case.h"
#include <grp.h>

static void try_all(void) {
    struct stat st;
    char text[10];
    TRY(open(p("unreadable"), O_RDONLY));
    TRY(close(open(p("unreadable"), O_WRONLY)));
    TRY(open(p("unreadable"), O_RDWR));
    TRY(open(p("unwritable"), O_WRONLY));
    TRY(close(open(p("unwritable"), O_RDONLY)));
    TRY(open(p("unwritable"), O_RDONLY | O_TRUNC));
    TRY(open(p("unwritable"), O_RDONLY | O_CREAT | O_EXCL, 0644));
    TRY(truncate(p("unwritable"), 0));
    TRY(access(p("unreadable"), R_OK));
    TRY(access(p("unreadable"), W_OK));
    TRY(access(p("unwritable"), X_OK));
    TRY(stat(p("unreadable"), &st));
    // No search permission.
    TRY(stat(p("closed/f"), &st));
    TRY(open(p("closed/f"), O_RDONLY));
    TRY(open(p("closed/new"), O_CREAT | O_WRONLY, 0644));
    TRY(unlink(p("closed/f")));
    TRY(chdir(p("closed")));
    TRY(opendir(p("closed")) ? 0 : -1);
    TRY(readlink(p("closed/l"), text, 10));
    TRY(rename(p("closed/f"), p("moved")));
    TRY(mkdir(p("closed/d"), 0755));
    // Read but no write.
    TRY(opendir(p("fixed")) ? 0 : -1);
    TRY(stat(p("fixed/f"), &st));
    TRY(open(p("fixed/new"), O_CREAT | O_WRONLY, 0644));
    TRY(close(open(p("fixed/f"), O_CREAT | O_WRONLY, 0644)));
    TRY(mkdir(p("fixed/d"), 0755));
    TRY(mkdir(p("fixed/sub"), 0755));
    TRY(rmdir(p("fixed/sub")));
    TRY(unlink(p("fixed/f")));
    TRY(symlink("x", p("fixed/l")));
    TRY(rename(p("fixed/f"), p("fixed/g")));
    TRY(rename(p("unwritable"), p("fixed/g")));
    TRY(rename(p("fixed/f"), p("g")));
    // Search but no read.
    TRY(opendir(p("dark")) ? 0 : -1);
    TRY(stat(p("dark/f"), &st));
    TRY(close(open(p("dark/new"), O_CREAT | O_WRONLY, 0644)));
    TRY(unlink(p("dark/new")));
    TRY(open(p("dark"), O_RDONLY));
    TRY(close(open(p("dark"), O_PATH)));
    TRY(chdir(p("dark")));
    TRY(chdir(h("")));
}

static void make(void) {
    put(p("unreadable"), "secret"), MUST(chmod(p("unreadable"), 0222));
    put(p("unwritable"), "fixed"), MUST(chmod(p("unwritable"), 0444));
    MUST(mkdir(p("closed"), 0700)), put(p("closed/f"), "x"), MUST(symlink("f", p("closed/l")));
    MUST(mkdir(p("fixed"), 0700)), put(p("fixed/f"), "x"), MUST(mkdir(p("fixed/sub"), 0755));
    MUST(mkdir(p("dark"), 0700)), put(p("dark/f"), "x");
    MUST(chmod(p("closed"), 0600)), MUST(chmod(p("fixed"), 0555)), MUST(chmod(p("dark"), 0333));
}

static void open_up(void) {
    MUST(chmod(p("closed"), 0700)), MUST(chmod(p("fixed"), 0700)), MUST(chmod(p("dark"), 0700));
    MUST(chmod(p("unreadable"), 0600));
}

CASE(as_owner) { // nobody
    make();
    try_all();
    int fd = MUST(open(p("fixed/f"), O_RDONLY));
    TRY(fchmod(fd, 0));
    TRY(open(p("fixed/f"), O_RDONLY));
    char byte;
    TRY(pread(fd, &byte, 1, 0));
    TRY(chown(p("unwritable"), 0, -1));
    TRY(chown(p("unwritable"), getuid(), getgid()));
    TRY(chown(p("unwritable"), -1, 0));
    MUST(chmod(p("unwritable"), 0));
    TRY(utimensat(AT_FDCWD, p("unwritable"), NULL, 0));
    TRY(utimensat(AT_FDCWD, p("unwritable"), (struct timespec[]){{1, 0}, {1, 0}}, 0));
    MUST(chmod(p("unwritable"), 0444));
    TRY(chmod(p("unwritable"), 06444));
    open_up();
    MUST(chmod(p("fixed/f"), 0600));
}

CASE(as_root) {
    make();
    try_all();
    open_up();
}

CASE(as_other) {
    if (getuid() != 0) { say("not root"); return; }
    make();
    put(p("group"), "of a group"), MUST(chown(p("group"), 5, 77)), MUST(chmod(p("group"), 0640));
    put(p("mine"), "mine"), MUST(chown(p("mine"), 65534, 77)), MUST(chmod(p("mine"), 0600));
    put(p("odd"), "others may, the owner may not"), MUST(chown(p("odd"), 65534, 77)), MUST(chmod(p("odd"), 0066));
    MUST(mkdir(p("sticky"), 0777)), MUST(chmod(p("sticky"), 01777));
    put(p("sticky/root's"), "x"), put(p("sticky/mine"), "y"), MUST(chown(p("sticky/mine"), 65534, 65534));
    MUST(mkdir(p("open"), 0777)), MUST(chmod(p("open"), 0777)), put(p("open/root's"), "z");
    MUST(chmod(p(""), 0755));
    MUST(setgroups(1, (gid_t[]){77}));
    MUST(setresgid(65534, 65534, 65534));
    MUST(setresuid(-1, 65534, -1));
    try_all();
    TRY(close(open(p("group"), O_RDONLY)));
    TRY(open(p("group"), O_RDWR));
    TRY(close(open(p("mine"), O_RDWR)));
    TRY(open(p("odd"), O_RDONLY));
    TRY(chmod(p("mine"), 0640));
    TRY(chmod(p("group"), 0777));
    TRY(chown(p("mine"), 65534, 77));
    TRY(chown(p("mine"), 65534, 78));
    TRY(chown(p("mine"), 5, -1));
    TRY(chown(p("group"), 65534, -1));
    TRY(utimensat(AT_FDCWD, p("group"), NULL, 0));
    TRY(utimensat(AT_FDCWD, p("unreadable"), NULL, 0));
    TRY(utimensat(AT_FDCWD, p("unreadable"), (struct timespec[]){{1, 0}, {1, 0}}, 0));
    TRY(unlink(p("sticky/root's")));
    TRY(rename(p("sticky/root's"), p("sticky/x")));
    TRY(rename(p("sticky/mine"), p("sticky/root's")));
    TRY(rename(p("sticky/mine"), p("open/mine")));
    TRY(rename(p("open/root's"), p("open/renamed")));
    TRY(unlink(p("open/renamed")));
    TRY(mkdir(p("open/d"), 0755));
    struct stat st;
    MUST(stat(p("open/d"), &st));
    say("owner %d %d", st.st_uid, st.st_gid);
    TRY(open(p("new"), O_CREAT | O_WRONLY, 0644));
    TRY(unlink(p("mine")));
    TRY(rmdir(p("open")));
    // access(2) asks for the real user, who is root; euidaccess for the effective one.
    TRY(access(p("unreadable"), R_OK));
    TRY(euidaccess(p("unreadable"), R_OK));
    TRY(faccessat(AT_FDCWD, p("unreadable"), R_OK, AT_EACCESS));
    MUST(setresuid(-1, 0, -1));
    TRY(unlink(p("sticky/root's")));
    open_up();
}
