// Directories, and libc's ways through them.
#include "case.h"
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <libgen.h>

static void make_tree(void) {
    MUST(mkdir(p("d"), 0755));
    MUST(mkdir(p("d/sub"), 0755));
    MUST(mkdir(p("d/empty"), 0700));
    put(p("d/b.txt"), "b");
    put(p("d/a.txt"), "aa");
    put(p("d/.hidden"), "h");
    put(p("d/sub/c.txt"), "ccc");
    MUST(symlink("sub/c.txt", p("d/link")));
    MUST(symlink("nowhere", p("d/dangling")));
}

static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

CASE(scandir_sorted) {
    make_tree();
    struct dirent **names;
    int count = TRY(scandir(p("d"), &names, visible, alphasort));
    for (int i = 0; i < count; i++) say("%s type %d", names[i]->d_name, names[i]->d_type);
    count = TRY(scandir(p("d"), &names, NULL, versionsort));
    for (int i = 0; i < count; i++) say("%s", names[i]->d_name);
    int fd = MUST(open(p("d"), O_RDONLY | O_DIRECTORY));
    count = TRY(scandirat(fd, "sub", &names, visible, alphasort));
    TRY(scandir(p("none"), &names, NULL, alphasort));
    TRY(scandir(p("d/a.txt"), &names, NULL, alphasort));
}

CASE(glob_patterns) {
    make_tree();
    const char *patterns[] = {"*", "*.txt", "[!a]*", ".*", "*/*", "*/c*", "none*", "sub/", "{a,b}.txt", "l*k", "d*"};
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
            char pattern[PATH_MAX];
            snprintf(pattern, sizeof pattern, "%s/d/%s", getenv("P"), patterns[i]);
            glob_t found;
            int answer = glob(pattern, pass ? GLOB_MARK | GLOB_BRACE : 0, NULL, &found);
            say("%s: %d, %zu", patterns[i], answer, answer ? 0 : found.gl_pathc);
            for (size_t j = 0; answer == 0 && j < found.gl_pathc; j++) say("  %s", found.gl_pathv[j]);
        }
    MUST(chdir(p("d")));
    glob_t found;
    int answer = glob("*.txt", 0, NULL, &found);
    say("%d %zu %s", answer, found.gl_pathc, answer == 0 ? found.gl_pathv[0] : "");
}

static char walked[64][256];
static int walked_count;
static size_t root_length;

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    snprintf(walked[walked_count++], 256, "%s type %d level %d base %d size %ld mode %o", path + root_length, type,
             ftw->level, ftw->base - (int)root_length, S_ISREG(st->st_mode) ? (long)st->st_size : 0L, st->st_mode);
    return 0;
}

static int compare(const void *a, const void *b) { return strcmp(a, b); }

CASE(nftw_flags) {
    make_tree();
    root_length = strlen(getenv("P"));
    int flags[] = {0, FTW_PHYS, FTW_PHYS | FTW_DEPTH, FTW_PHYS | FTW_CHDIR, FTW_MOUNT};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        walked_count = 0;
        say("flags %d: %d", flags[i], nftw(p("d"), visit, 2, flags[i]));
        qsort(walked, walked_count, sizeof *walked, compare);
        for (int j = 0; j < walked_count; j++) say("  %s", walked[j]);
    }
    TRY(nftw(p("none"), visit, 5, 0));
}

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

CASE(fts_walk) {
    make_tree();
    int options[] = {FTS_PHYSICAL, FTS_LOGICAL, FTS_PHYSICAL | FTS_NOCHDIR, FTS_PHYSICAL | FTS_SEEDOT};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char *roots[] = {(char *)p("d"), NULL};
        FTS *fts = fts_open(roots, options[i], by_name);
        FTSENT *entry;
        say("options %d", options[i]);
        while ((entry = fts_read(fts)))
            say("  %s info %d level %d size %ld", entry->fts_path + strlen(getenv("P")), entry->fts_info,
                entry->fts_level, entry->fts_info == FTS_F ? (long)entry->fts_statp->st_size : 0);
        say("close %d", fts_close(fts));
    }
    char here[PATH_MAX];
    say("%s", getcwd(here, sizeof here));
}

CASE(realpath_everywhere) {
    make_tree();
    MUST(symlink(p("d"), h("into")));
    MUST(symlink(h("into"), p("d/out")));
    const char *names[] = {"d", "d/", "d/.", "d/..", "d/../d/sub/..", "d/link", "d/dangling", "d/none", "d/none/x",
                           "d/a.txt/", "d/a.txt/..", "d/out", "d/out/sub/c.txt", "..", "../h", "../h/into/link", "//d"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *real = realpath(p(names[i]), NULL);
        say("%s -> %s", names[i], real ? real : strerrorname_np(errno));
    }
    say("%s", realpath(h("into/../d"), NULL));
    MUST(chdir(p("d/sub")));
    say("%s %s %s", realpath(".", NULL), realpath("..", NULL), realpath("c.txt", NULL));
    say("%s", canonicalize_file_name("../link"));
    say("%s", get_current_dir_name());
    setenv("PWD", "/wrong", 1);
    say("%s", get_current_dir_name());
    say("%s", getwd((char[PATH_MAX]){0}));
    char small[4];
    say("%d", getcwd(small, sizeof small) == NULL && errno == ERANGE);
    say("%s", getcwd(NULL, 0));
}

CASE(readdir_positions) {
    MUST(mkdir(p("d"), 0755));
    for (int i = 0; i < 500; i++) {
        char name[50];
        snprintf(name, sizeof name, "d/file-%03d", i);
        put(p(name), "");
    }
    DIR *d = opendir(p("d"));
    struct dirent *entry;
    int count = 0;
    long places[502];
    char names[502][20];
    for (;; count++) {
        long at = telldir(d);
        entry = readdir(d);
        if (!entry) break;
        places[count] = at;
        snprintf(names[count], 20, "%.19s", entry->d_name);
    }
    say("%d entries", count);
    int right = 0;
    for (int i = 0; i < count; i += 7) {
        int which = i * 31 % count;
        seekdir(d, places[which]);
        entry = readdir(d);
        right += entry && strncmp(entry->d_name, names[which], 19) == 0;
    }
    say("%d right after seekdir", right);
    rewinddir(d);
    count = 0;
    while (readdir(d)) count++;
    say("%d after rewinddir", count);
    put(p("d/late"), "");
    rewinddir(d);
    count = 0;
    while (readdir(d)) count++;
    say("%d with the late one", count);
    TRY(closedir(d));
}

CASE(readdir_while_removing) {
    MUST(mkdir(p("d"), 0755));
    for (int i = 0; i < 2000; i++) {
        char name[50];
        snprintf(name, sizeof name, "d/a-rather-long-file-name-number-%04d", i);
        put(p(name), "");
    }
    int rounds = 0, removed = 0;
    for (int some = 1; some && rounds < 10; rounds++) {
        DIR *d = opendir(p("d"));
        struct dirent *entry;
        some = 0;
        while ((entry = readdir(d))) {
            if (entry->d_name[0] == '.') continue;
            some++;
            removed += unlinkat(dirfd(d), entry->d_name, 0) == 0;
        }
        closedir(d);
    }
    say("%d removed, %d rounds", removed, rounds);
    TRY(rmdir(p("d")));
}

CASE(getdents_raw) {
    make_tree();
    int fd = MUST(open(p("d"), O_RDONLY | O_DIRECTORY));
    char buffer[4096];
    TRY(syscall(SYS_getdents64, fd, buffer, 10));
    TRY(getdents64(fd, buffer, 20));
    long total = 0, got;
    int entries = 0;
    while ((got = getdents64(fd, buffer, 100)) > 0)
        for (long at = 0; at < got; at += ((struct dirent64 *)(buffer + at))->d_reclen, entries++) total += got > 0;
    say("%d entries, end %ld", entries, got);
    TRY(getdents64(fd, buffer, sizeof buffer));
    TRY(lseek(fd, 0, SEEK_SET));
    say("%d", getdents64(fd, buffer, sizeof buffer) > 100);
    TRY(read(fd, buffer, 10));
    TRY(write(fd, buffer, 10));
    TRY(pread(fd, buffer, 10, 0));
    TRY(ftruncate(fd, 0));
    TRY(fsync(fd));
    TRY(getdents64(MUST(open(p("d/a.txt"), O_RDONLY)), buffer, sizeof buffer));
    struct stat st;
    int same = 0;
    DIR *d = fdopendir(fd);
    rewinddir(d);
    struct dirent *entry;
    while ((entry = readdir(d)))
        same += fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == entry->d_ino;
    say("%d inode numbers agree", same);
}

CASE(removed_directory) {
    MUST(mkdir(p("d"), 0755));
    int fd = MUST(open(p("d"), O_RDONLY | O_DIRECTORY));
    MUST(chdir(p("d")));
    TRY(rmdir(p("d")));
    struct stat st;
    TRY(fstat(fd, &st));
    say("links %d", (int)st.st_nlink);
    TRY(openat(fd, "f", O_CREAT | O_WRONLY, 0644));
    TRY(mkdirat(fd, "sub", 0755));
    TRY(stat(".", &st));
    TRY(open("f", O_CREAT | O_WRONLY, 0644));
    char buffer[PATH_MAX];
    TRY(getcwd(buffer, sizeof buffer) == NULL ? -1 : 0);
    TRY(getdents64(fd, buffer, sizeof buffer));
    TRY(chdir(".."));
    TRY(fchdir(fd));
}

CASE(removed_parent) {
    MUST(mkdir(p("a"), 0755));
    MUST(mkdir(p("a/b"), 0755));
    MUST(chdir(p("a/b")));
    TRY(rename(p("a"), p("c")));
    char buffer[PATH_MAX];
    say("%s", getcwd(buffer, sizeof buffer));
    put("here", "x");
    show(p("c/b/here"));
    TRY(rename("here", "../there"));
    show(p("c/there"));
    TRY(chdir(".."));
    say("%s", getcwd(buffer, sizeof buffer));
}

CASE(inode_numbers) {
    put(p("a"), "");
    struct stat one, two;
    MUST(stat(p("a"), &one));
    MUST(rename(p("a"), p("b")));
    MUST(stat(p("b"), &two));
    say("kept over rename %d", one.st_ino == two.st_ino);
    put(p("a"), "");
    MUST(stat(p("a"), &one));
    say("distinct %d", one.st_ino != two.st_ino && one.st_dev == two.st_dev);
    MUST(stat(p(""), &two));
    say("root %d", two.st_dev == one.st_dev && two.st_ino != one.st_ino);
}
