// libc's streams: they call the kernel from inside libc, past its PLT.
#include "case.h"
#include <wchar.h>

CASE(modes) {
    const char *modes[] = {"r", "r+", "w", "w+", "a", "a+", "wx", "rm", "re", "wb+", "a,ccs=UTF-8"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        put(p("f"), "0123456789");
        FILE *f = fopen(p("f"), modes[i]);
        if (!f) { say("%s: %s", modes[i], strerrorname_np(errno)); continue; }
        char c[4] = "";
        size_t got = fread(c, 1, 3, f);
        int bad = ferror(f);
        clearerr(f);
        fseek(f, 0, SEEK_CUR);
        size_t put_count = fwrite("XY", 1, 2, f);
        long at = ftell(f);
        int closed = fclose(f);
        say("%s: read %zu '%s' error %d, wrote %zu, at %ld, close %d", modes[i], got, c, bad, put_count, at, closed);
        show(p("f"));
    }
    say("%d", fopen(p("none"), "r") == NULL && errno == ENOENT);
    say("%d", fopen(p("none/f"), "w") == NULL && errno == ENOENT);
    say("%d", fopen(p(""), "w") == NULL && errno == EISDIR);
}

CASE(lines_and_seeks) {
    FILE *f = fopen(p("lines"), "w+");
    for (int i = 0; i < 5000; i++) fprintf(f, "line %d\n", i);
    fflush(f);
    rewind(f);
    char *line = NULL;
    size_t room = 0, lines = 0, bytes = 0;
    ssize_t length;
    while ((length = getline(&line, &room, f)) > 0) lines++, bytes += length;
    say("%zu lines, %zu bytes, eof %d, at %ld", lines, bytes, feof(f), ftell(f));
    for (long at = 100; at < 50000; at += 7919) {
        fseek(f, at, SEEK_SET);
        say("%ld: %d %s", at, fgetc(f), fgets(line, 20, f) ? "line" : "none");
    }
    fseek(f, -9, SEEK_END);
    say("%s", fgets(line, 40, f));
    fpos_t here;
    fgetpos(f, &here);
    fseek(f, 10, SEEK_SET);
    fputs("CHANGED", f);
    fsetpos(f, &here);
    fputs("appended\n", f);
    say("tell %ld", ftell(f));
    say("close %d", fclose(f));
    show(p("lines"));
    free(line);
}

CASE(stdout_to_prefix) {
    int keep = MUST(dup(1));
    say("%d", freopen(p("out"), "w", stdout) == stdout);
    printf("printed %d\n", 1);
    puts("put");
    fflush(stdout);
    int fd = fileno(stdout);
    dup2(keep, 1);
    say("fileno %d", fd);
    show(p("out"));
    say("%d", freopen(p("out"), "a", stdout) == stdout);
    printf("appended\n");
    fclose(stdout);
    MUST(dup2(keep, 1));
    show(p("out"));
}

CASE(inherited_stdout) {
    pid_t child = fork();
    if (child == 0) {
        int fd = open(p("log"), O_WRONLY | O_CREAT | O_APPEND, 0644);
        dup2(fd, 1);
        dup2(fd, 2);
        close(fd);
        printf("from stdio\n");
        fprintf(stderr, "from stderr\n");
        fflush(stdout);
        execl("/bin/sh", "sh", "-c", "echo from sh; echo to stderr >&2; printf '%s\\n' end", NULL);
        _exit(1);
    }
    reap(child);
    show(p("log"));
}

CASE(inherited_stdin) {
    put(p("in"), "one\ntwo\nthree\nfour\n");
    int fd = MUST(open(p("in"), O_RDONLY));
    MUST(dup2(fd, 0));
    char line[50];
    setvbuf(stdin, NULL, _IONBF, 0);
    say("%s", fgets(line, sizeof line, stdin));
    // What the shell does not read stays for us: the cursor is shared.
    say("system %d", system("read x; echo \"sh got $x\""));
    say("%s", fgets(line, sizeof line, stdin));
    say("at %ld", (long)lseek(fd, 0, SEEK_CUR));
}

CASE(pipes_to_programs) {
    FILE *pipe = popen("sort > \"$P/sorted\"", "w");
    fputs("b\nc\na\n", pipe);
    say("pclose %d", pclose(pipe));
    show(p("sorted"));
    pipe = popen("cat \"$P/sorted\" \"$P/sorted\" | wc -l; exit 7", "r");
    char line[50] = "";
    say("%s", fgets(line, sizeof line, pipe));
    say("pclose %d", pclose(pipe));
    say("system %d", system("cd \"$P\" && ls && cp sorted copy && exec cmp sorted copy"));
    say("system %d", system("exit 3"));
}

CASE(temporary_files) {
    FILE *f = tmpfile();
    fputs("temporary", f);
    rewind(f);
    char text[20] = "";
    say("%zu %s", fread(text, 1, sizeof text, f), text);
    fclose(f);
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s/t-XXXXXX", getenv("P"));
    int fd = mkstemp(name);
    struct stat st;
    fstat(fd, &st);
    say("mkstemp %d mode %o, name changed %d", fd, st.st_mode, strstr(name, "XXXXXX") == NULL);
    write(fd, "x", 1);
    unlink(name);
    say("still %zd", pread(fd, text, 10, 0));
    snprintf(name, sizeof name, "%s/t-XXXXXX.txt", getenv("P"));
    fd = mkostemps(name, 4, O_APPEND | O_CLOEXEC);
    say("mkostemps %d flags %x cloexec %d", fd, fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
    unlink(name);
    snprintf(name, sizeof name, "%s/d-XXXXXX", getenv("P"));
    say("mkdtemp %d", mkdtemp(name) != NULL);
    stat(name, &st);
    say("mode %o", st.st_mode);
    TRY(remove(name));
    setenv("TMPDIR", getenv("P"), 1);
    char *temporary = tempnam(NULL, "pre");
    say("tempnam under prefix %d", strncmp(temporary, getenv("P"), strlen(getenv("P"))) == 0);
    snprintf(name, sizeof name, "%s/none/t-XXXXXX", getenv("P"));
    TRY(mkstemp(name));
}

CASE(fdopen_and_unlocked) {
    int fd = MUST(open(p("f"), O_RDWR | O_CREAT, 0600));
    FILE *f = fdopen(fd, "r+");
    for (int i = 0; i < 1000; i++) putc_unlocked('a' + i % 26, f);
    fflush_unlocked(f);
    say("size %ld", (long)lseek(fd, 0, SEEK_END));
    fseeko(f, 500, SEEK_SET);
    say("%c%c", getc_unlocked(f), getc(f));
    ungetc('!', f);
    say("%c", fgetc(f));
    char buffer[100] = "";
    say("%zu", fread_unlocked(buffer, 1, 50, f));
    say("%.50s", buffer);
    setvbuf(f, NULL, _IOFBF, 1 << 16);
    fclose(f);
    TRY(close(fd));
    f = fopen(p("f"), "r");
    setvbuf(f, NULL, _IONBF, 0);
    int n = 0, c;
    while ((c = fgetc(f)) != EOF) n += c;
    say("sum %d", n);
    fclose(f);
    say("fdopen mode %d", fdopen(open(p("f"), O_RDONLY), "w") == NULL && errno == EINVAL);
}

CASE(formatted_and_wide) {
    FILE *f = fopen(p("numbers"), "w+");
    for (int i = 0; i < 300; i++) fprintf(f, "%d %.3f %x\n", i, i / 7.0, i * i);
    dprintf(fileno(f), "direct\n");
    rewind(f);
    int i, hex, rows = 0;
    float x;
    while (fscanf(f, "%d %f %x", &i, &x, &hex) == 3) rows++;
    say("%d rows, then %d", rows, fgetc(f));
    fclose(f);
    f = fopen(p("wide"), "w");
    fwprintf(f, L"%ls %d\n", L"wide", 7);
    fclose(f);
    show(p("wide"));
    show(p("numbers"));
    TRY(rename(p("wide"), p("narrow")));
    TRY(remove(p("narrow")));
    TRY(remove(p("narrow")));
}

CASE(full_disk_error_on_close) {
    FILE *f = fopen("/dev/full", "w");
    fputs("x", f);
    say("fclose %d %s", fclose(f), strerrorname_np(errno));
    f = fopen(p("f"), "r");
    say("%s", f ? "open" : strerrorname_np(errno));
    f = fopen(p("f"), "w");
    close(fileno(f));
    fputs("lost", f);
    say("fflush %d %s", fflush(f), strerrorname_np(errno));
    say("fclose %d %s", fclose(f), strerrorname_np(errno));
}
