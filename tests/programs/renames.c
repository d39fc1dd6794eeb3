// rename(2) in all its answers.
#include "case.h"
#include <ftw.h>

static void make(void) {
    put(p("file"), "file");
    put(p("other"), "other");
    MUST(mkdir(p("empty"), 0755));
    MUST(mkdir(p("full"), 0755));
    put(p("full/inner"), "inner");
    MUST(mkdir(p("full/deep"), 0755));
    MUST(symlink("file", p("link")));
    MUST(symlink("nowhere", p("dangling")));
    MUST(symlink("full", p("dirlink")));
    put(h("host"), "host");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type;
    return ftw->level > 0 ? remove(path) : 0;
}

CASE(every_pair) {
    const char *names[] = {"file", "other", "empty", "full", "full/inner", "full/deep", "link", "dangling", "dirlink",
                           "none", "none/x", "file/x", "full/deep/x", "empty/", "file/", "none/", "dirlink/inner", ".",
                           "..", "full/.", "full/..", "", "../h/host"};
    for (size_t flags = 0; flags < 3; flags++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
                char from[PATH_MAX], to[PATH_MAX];
                snprintf(from, sizeof from, "%s%s%s", getenv("P"), *names[i] ? "/" : "", names[i]);
                snprintf(to, sizeof to, "%s%s%s", getenv("P"), *names[j] ? "/" : "", names[j]);
                // What replaces the directory under test itself, or its parent, is not for here.
                if (!*names[i] || !*names[j] || strcmp(names[i], "..") == 0 || strcmp(names[j], "..") == 0) continue;
                bool across = strncmp(names[i], "../h", 4) == 0 || strncmp(names[j], "../h", 4) == 0;
                if (across) continue;
                MUST(nftw(p(""), remove_one, 8, FTW_PHYS | FTW_DEPTH));
                make();
                int answer = renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
                say("%zu '%s' to '%s': %s", flags, names[i], names[j], answer ? strerrorname_np(errno) : "done");
                if (answer == 0) {
                    struct stat st;
                    char line[200] = "";
                    for (size_t k = 0; k < 9; k++)
                        snprintf(line + strlen(line), 12, " %o", lstat(p(names[k]), &st) ? 0 : st.st_mode >> 12);
                    say("  %s", line);
                }
            }
}

CASE(flags) {
    make();
    TRY(renameat2(AT_FDCWD, p("file"), AT_FDCWD, p("other"), RENAME_NOREPLACE));
    TRY(renameat2(AT_FDCWD, p("file"), AT_FDCWD, p("new"), RENAME_NOREPLACE));
    TRY(renameat2(AT_FDCWD, p("new"), AT_FDCWD, p("full"), RENAME_EXCHANGE));
    show(p("full"));
    show(p("new/inner"));
    TRY(renameat2(AT_FDCWD, p("new"), AT_FDCWD, p("new/deep"), RENAME_EXCHANGE));
    TRY(renameat2(AT_FDCWD, p("new"), AT_FDCWD, p("none"), RENAME_EXCHANGE));
    TRY(renameat2(AT_FDCWD, p("other"), AT_FDCWD, p("link"), RENAME_EXCHANGE | RENAME_NOREPLACE));
    TRY(renameat2(AT_FDCWD, p("other"), AT_FDCWD, p("link"), 1 << 10));
    TRY(renameat2(AT_FDCWD, p("other"), AT_FDCWD, p("other"), RENAME_NOREPLACE));
    TRY(rename(p("other"), p("other")));
    TRY(rename(NULL, p("x")));
    TRY(rename(p("other"), (char *)1));
}

CASE(open_files_move_along) {
    make();
    int file = MUST(open(p("file"), O_RDWR)), other = MUST(open(p("other"), O_RDWR));
    MUST(rename(p("file"), p("other")));
    char text[10] = "";
    MUST(pread(file, text, 9, 0));
    say("%s", text);
    MUST(pread(other, text, 9, 0));
    say("%s", text);
    struct stat st;
    MUST(fstat(other, &st));
    say("links %d", (int)st.st_nlink);
    MUST(pwrite(file, "FILE", 4, 0));
    show(p("other"));
    int directory = MUST(open(p("full"), O_RDONLY | O_DIRECTORY));
    MUST(rename(p("full"), p("empty")));
    TRY(openat(directory, "inner", O_RDONLY) < 0 ? -1 : 0);
    MUST(rename(p("empty"), p("elsewhere")));
    int fd = MUST(openat(directory, "late", O_CREAT | O_WRONLY, 0644));
    MUST(close(fd));
    TRY(stat(p("elsewhere/late"), &st));
    MUST(stat(p(""), &st));
    say("links of the root %d", (int)st.st_nlink);
}

CASE(links_of_directories) {
    struct stat st;
    MUST(mkdir(p("a"), 0755));
    MUST(mkdir(p("b"), 0755));
    MUST(mkdir(p("a/x"), 0755));
    MUST(mkdir(p("a/y"), 0755));
    stat(p("a"), &st), say("a %d", (int)st.st_nlink);
    MUST(rename(p("a/x"), p("b/x")));
    stat(p("a"), &st), say("a %d", (int)st.st_nlink);
    stat(p("b"), &st), say("b %d", (int)st.st_nlink);
    MUST(rename(p("a/y"), p("b/x")));
    stat(p("a"), &st), say("a %d", (int)st.st_nlink);
    stat(p("b"), &st), say("b %d", (int)st.st_nlink);
    MUST(rmdir(p("b/x")));
    stat(p("b"), &st), say("b %d size %ld", (int)st.st_nlink, (long)st.st_size);
    put(p("b/f"), "");
    MUST(renameat2(AT_FDCWD, p("b/f"), AT_FDCWD, p("a"), RENAME_EXCHANGE));
    stat(p("b"), &st), say("b %d", (int)st.st_nlink);
    stat(p(""), &st), say("root %d", (int)st.st_nlink);
    stat(p("b/f/.."), &st);
    ino_t inode = st.st_ino;
    stat(p("b"), &st), say("parent right %d", inode == st.st_ino);
}

// Both directories are found out before anything else is asked, the first path's first: a descriptor that is none comes
// before a name that is not there, and before the two being on different file systems.
CASE(bad_directories) {
    put(p("f"), "ours");
    put(h("hf"), "the host's");
    MUST(mkdir(p("d"), 0755));
    int of_file = MUST(open(p("f"), O_RDONLY)), of_host_file = MUST(open(h("hf"), O_RDONLY));
    int of_directory = MUST(open(p("d"), O_RDONLY | O_DIRECTORY));
    struct { const char *what; int at; const char *path; bool is_good; } ends[] = {
        {"ours", AT_FDCWD, p("f"), true},
        {"ours, missing", AT_FDCWD, p("none"), true},
        {"ours by descriptor", of_directory, "none", true},
        {"host's", AT_FDCWD, h("hf"), true},
        {"host's, missing", AT_FDCWD, h("none"), true},
        {"bad descriptor", 999, "x", false},
        {"file of ours", of_file, "x", false},
        {"file of the host's", of_host_file, "x", false},
        {"in none of ours", AT_FDCWD, p("none/x"), false},
        {"in a file of ours", AT_FDCWD, p("f/x"), false},
        {"in none of the host's", AT_FDCWD, h("none/x"), false},
        {"in a file of the host's", AT_FDCWD, h("hf/x"), false},
        {"empty", AT_FDCWD, "", false},
    };
    size_t count = sizeof ends / sizeof *ends;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (ends[i].is_good && ends[j].is_good) continue;
            long results[4], errors[4];
#define NOTE(k, expression) (errno = 0, results[k] = (expression), errors[k] = errno)
            NOTE(0, renameat(ends[i].at, ends[i].path, ends[j].at, ends[j].path));
            NOTE(1, syscall(SYS_renameat2, ends[i].at, ends[i].path, ends[j].at, ends[j].path, RENAME_NOREPLACE));
            NOTE(2, linkat(ends[i].at, ends[i].path, ends[j].at, ends[j].path, 0));
            NOTE(3, linkat(ends[i].at, ends[i].path, ends[j].at, ends[j].path, AT_SYMLINK_FOLLOW));
            say("%s to %s:", ends[i].what, ends[j].what);
            for (int k = 0; k < 4; k++) say("  %ld %s", results[k], strerrorname_np(errors[k]));
        }
    }
    TRY(linkat(AT_FDCWD, p("f"), 999, "x", 0x8000));
    TRY(symlinkat("", AT_FDCWD, p("l")));
    TRY(symlinkat("", 999, "l"));
    TRY(symlinkat((char *)8, 999, "l"));
    TRY(symlinkat("t", 999, "l"));
    TRY(mkdirat(of_file, "x", 0755));
    TRY(unlinkat(of_file, "x", 0x4000));
    TRY(unlinkat(of_directory, "none", AT_REMOVEDIR));
    TRY(openat(of_directory, "", O_RDONLY));
    TRY(faccessat(of_file, "x", F_OK, 0));
}
