# Limits on what a process may use: a program that runs without the library runs with it, and finds out where the limit is.
set -u
cd "$H" || exit 1
cat > user.c << 'END'
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* What is done in a directory; with a second argument a failure by memory or descriptors is as good as success. */
static int lenient;
static void say(const char *what, long result) {
    /* DAOS's own libraries say no more than EIO. */
    int number = errno, is_expected = number == ENOMEM || number == EMFILE || number == EIO;
    if (lenient && (result >= 0 || is_expected)) printf("%s: as the limit has it\n", what);
    else printf("%s: %s\n", what, result < 0 ? strerror(number) : "done");
}
int main(int count, char **words) {
    char path[300], text[100] = "";
    lenient = count > 2;
    /* Output that goes to a file would end the program by a limit of 0 for files: it is a pipe. */
    setvbuf(stdout, 0, _IONBF, 0);
    snprintf(path, 300, "%s/there", words[1]);
    int number = open(path, O_RDONLY);
    say("open", number);
    say("read", number < 0 ? number : read(number, text, 99));
    pid_t child = fork();
    if (!child) errno = ENOMEM, say("child", number < 0 ? number : pread(number, text, 99, 0)), _exit(0);
    waitpid(child, 0, 0);
    say("fork", child);
    DIR *directory = opendir(words[1]);
    say("opendir", directory ? 0 : -1);
    snprintf(path, 300, "%s/made", words[1]);
    say("creat", open(path, O_CREAT | O_WRONLY, 0644));
    write(1, "end\n", 4);
    return 0;
}
END
cc -w -D_GNU_SOURCE -o user user.c
echo text > there

### the_host_s_files_under_every_limit
# With a list of call sites, and without one.
for cache in cold warm; do
    for limit in 'v 30000' 'v 8000' 'd 10000' 'd 1000' 'n 16' 'n 6' 's 64' 'l 0' 'u 0' 'i 0' 'q 0' 'c 0'; do
        echo "$limit"
        rm -f made
        (test $cache = warm || export XDG_CACHE_HOME=$PWD/cold; ulimit -S -${limit% *} "${limit#* }" && exec ./user .) 2> /dev/null
        echo "$?"
        rm -rf cold
    done
done
# What is printed goes through a pipe: a limit of 0 is for files.
for cache in cold warm; do
    (test $cache = warm || export XDG_CACHE_HOME=$PWD/cold; ulimit -S -f 0; ./user .; echo "$?") 2>&1 | cat
    (test $cache = warm || export XDG_CACHE_HOME=$PWD/cold; ulimit -f 0; ./user .; echo "$?") 2>&1 | cat
    rm -rf cold
done

### files_of_no_size
echo text > "$P/there"
(export XDG_CACHE_HOME=$PWD/cold; ulimit -f 0; ./user "$P"; echo "$?") 2>&1 | cat
rm -rf cold
(ulimit -S -f 0; bash -c 'read -r line < $0/there; echo "$line"; exec 5< "$0/there"; (cat <&5); cat < "$0/there"' "$P"; echo "$?") 2>&1 | cat

### no_memory_and_no_descriptors
# A call on the prefix may fail by the limit, and nothing else happens.
echo text > "$P/there"
for limit in 'v 30000' 'v 60000' 'v 300000' 'd 10000' 'd 40000' 'n 16' 'n 6' 'n 4'; do
    echo "$limit"
    (ulimit -${limit% *} "${limit#* }" && exec ./user "$P" lenient) 2> /dev/null; echo "$?"
    rm -f "$P/made"
done
