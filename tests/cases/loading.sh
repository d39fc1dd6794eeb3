# What else is loaded beside the library: constructors that come first, and programs and libraries that export what libc has.
set -u
cd "$H" || exit 1
export P
# before LIBRARY, behind LIBRARY: run a command with another preload library.
before() { local library=$1; shift; LD_PRELOAD=$library${LD_PRELOAD:+:$LD_PRELOAD} "$@"; }
behind() { local library=$1; shift; LD_PRELOAD=${LD_PRELOAD:+$LD_PRELOAD:}$library "$@"; }
compile() { cc -w -D_GNU_SOURCE -o "$@" -ldl -pthread; }
cat > user.c << 'END'
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    FILE *file = fopen(words[1], "a+");
    if (!file) return perror("fopen"), 1;
    fputs("line\n", file);
    fclose(file);
    int number = open(words[1], O_RDONLY);
    char text[100] = "";
    printf("%zd bytes: %s", read(number, text, 99), text);
    return 0;
}
END

### constructors_that_change_the_environment
for change in 'setenv("SOME_TOOL", "1", 1)' 'unsetenv("SIDESTEP_MOUNTS")' 'clearenv()' 'environ = 0' \
    'putenv("SIDESTEP_MOUNTS=/elsewhere=local:/nowhere")' 'setenv("HOME", "/nowhere", 1)' 'environ[0] = 0'; do
    printf '#include <stdlib.h>\n#include <unistd.h>\nchar place[200];
__attribute__((constructor)) void begin() { char *p = getenv("P"); if (p) { strcpy(place, p); } %s; }' "$change" > other.c
    compile other.so -shared -fPIC other.c
    echo "$change"
    for shell in bash dash; do
        before "$PWD/other.so" $shell -c "echo one > $P/f; read -r line < $P/f; echo \$line"
        behind "$PWD/other.so" $shell -c "echo two > $P/f; read -r line < $P/f; echo \$line"
    done
# A shell may not outlive that itself.
done 2> /dev/null
ls "$P"

### constructors_that_open_files
cat > early.c << 'END'
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void begin(void) {
    char path[300];
    snprintf(path, 300, "%s/" NAME, getenv("P"));
#ifdef STDIO
    FILE *file = fopen(path, "w");
    if (file) fputs("stdio\n", file), fclose(file);
    else perror("fopen");
#else
    int number = open(path, O_CREAT | O_WRONLY, 0644);
    if (number < 0) perror("open");
    else write(number, "early\n", 6), close(number);
#endif
}
int library(void) { return 0; }
END
for kind in '-DNAME="open"' '-DNAME="fopen" -DSTDIO'; do
    compile liblinked.so -shared -fPIC $kind early.c
    echo 'int library(void); int main(void) { return library(); }' > program.c
    compile program program.c -L. -llinked -Wl,-rpath,"$PWD"
    ./program && ls "$P" && cat "$P"/*open; rm "$P"/*open
    echo '#include <dlfcn.h>
    int main(void) { return !dlopen("./liblinked.so", RTLD_NOW); }' > program.c
    compile program program.c
    ./program && ls "$P" && cat "$P"/*open; rm "$P"/*open
    # An array that runs before every library's constructors, in the program itself.
    sed 's/__attribute__((constructor)) //' early.c > first.c
    echo '__attribute__((section(".preinit_array"), used)) static void (*first)(void) = begin; int main(void) { return 0; }' >> first.c
    compile program $kind first.c
    ./program && ls "$P" && cat "$P"/*open; rm "$P"/*open
    compile other.so -shared -fPIC $kind early.c
    before "$PWD/other.so" true; cat "$P"/*open; rm "$P"/*open
    behind "$PWD/other.so" true; cat "$P"/*open; rm "$P"/*open
done

### static_objects_of_a_c++_program
cat > streams.cc << 'END'
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
static std::ofstream log(std::string(getenv("P")) + "/log");
struct Early { Early() { log << "from a constructor\n" << std::flush; } } early;
int main() {
    std::string line;
    std::getline(std::ifstream(std::string(getenv("P")) + "/log") >> std::ws, line);
    std::cout << line << "\n";
}
END
c++ -o streams streams.cc && ./streams; cat "$P/log"

### programs_that_export_what_libc_has
# Each is called only once main has begun: whoever asks the program for one earlier, or asks for what it does not do, is
# told to stop.
cat > own.c << 'END'
#include <stddef.h>
#include <sys/syscall.h>
long syscall(long, ...);
void _exit(int);
static int running;
static void stop(const char *name) {
    const char *end = name;
    while (*end) end++;
    syscall(SYS_write, 2, name, end - name);
    syscall(SYS_write, 2, " was called\n", 12);
    syscall(SYS_exit_group, 9);
}
#define OWN(name) long name() { stop(#name); return 0; }
OWN(getenv) OWN(secure_getenv) OWN(getauxval) OWN(dlsym) OWN(dlopen) OWN(dladdr) OWN(dlerror) OWN(dl_iterate_phdr)
OWN(pthread_create) OWN(pthread_key_create) OWN(pthread_setspecific) OWN(pthread_getspecific) OWN(pthread_mutex_lock)
OWN(pthread_setcancelstate) OWN(pthread_setcanceltype) OWN(pthread_testcancel) OWN(__register_atfork) OWN(sigfillset)
OWN(__tls_get_addr) OWN(__errno_location) OWN(__cxa_thread_atexit_impl) OWN(__cxa_finalize) OWN(gnu_get_libc_version)
OWN(mmap) OWN(munmap) OWN(mprotect) OWN(madvise) OWN(msync) OWN(getpid) OWN(gettid) OWN(sysconf) OWN(uname) OWN(raise)
OWN(clock_gettime) OWN(nanosleep) OWN(clock_nanosleep) OWN(realpath) OWN(strdup) OWN(strtol) OWN(setfsuid) OWN(getgroups)
OWN(calloc) OWN(realloc) OWN(posix_memalign) OWN(sigaltstack) OWN(pause) OWN(pthread_sigmask) OWN(pthread_self)
#ifdef LIBRARY
OWN(malloc) OWN(free) OWN(memcpy) OWN(memmove) OWN(memset) OWN(memcmp) OWN(bcmp) OWN(strlen) OWN(strnlen) OWN(strncmp)
#endif
int open(const char *, int, ...);
long read(int, void *, size_t);
long write(int, const void *, size_t);
#ifndef LIBRARY
int main(int count, char **words) {
    char text[100];
    int number = open(words[1], 0x241, 0600);
    write(number, "served\n", 7);
    number = open(words[1], 0);
    write(1, text, read(number, text, 100));
    syscall(SYS_exit_group, 0);
}
#endif
END
cc -w -O0 -fno-builtin -rdynamic -o own own.c && ./own "$P/f"
ls "$P"

### another_preload_s_functions_before_its_constructor
# A tool that has the next function from its constructor on: who calls it earlier jumps to nowhere.
cat > tool.c << 'END'
#include <dlfcn.h>
#include <stdio.h>
static int (*next_open)(const char *, int, int);
static long (*next_read)(int, void *, unsigned long);
static int (*next_close)(int);
static int opened;
__attribute__((constructor)) static void begin(void) {
    next_open = dlsym(RTLD_NEXT, "open");
    next_read = dlsym(RTLD_NEXT, "read");
    next_close = dlsym(RTLD_NEXT, "close");
}
int open(const char *path, int flags, int mode) { opened++; return next_open(path, flags, mode); }
int open64(const char *path, int flags, int mode) { opened++; return next_open(path, flags, mode); }
long read(int number, void *buffer, unsigned long bytes) { return next_read(number, buffer, bytes); }
int close(int number) { return next_close(number); }
__attribute__((destructor)) static void end(void) { printf("%d opened\n", opened); }
END
compile tool.so -shared -fPIC tool.c; compile user user.c
before "$PWD/tool.so" ./user "$P/f"
behind "$PWD/tool.so" ./user "$P/f"
XDG_CACHE_HOME=$PWD/cold behind "$PWD/tool.so" ./user "$P/f"; rm -rf cold

### loaded_by_the_dynamic_linker_itself
compile user user.c
/lib64/ld-linux-x86-64.so.2 ./user "$P/f"
/lib64/ld-linux-x86-64.so.2 --argv0 name ./user "$P/f"
LD_BIND_NOW=1 ./user "$P/f"
compile lazy user.c -Wl,-z,lazy -no-pie; ./lazy "$P/f"

### an_audit_library_beside_it
printf 'unsigned la_version(unsigned version) { return version; }' > audit.c
compile audit.so -shared -fPIC audit.c; compile user user.c
LD_AUDIT=$PWD/audit.so ./user "$P/f"

### an_environment_of_ten_megabytes
compile user user.c
for number in $(seq 90); do export "LONG_$number=$(printf '%0110000d' 0)"; done
ulimit -s unlimited 2> /dev/null
./user "$P/f"; ls "$P"

### programs_of_another_libc
# The library serves no program of musl's, and changes none.
cat > other.c << 'END'
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static void *begin(void *path) {
    FILE *file = fopen(path, "a");
    fputs("thread\n", file);
    return (void *)(long)fclose(file);
}
int main(int count, char **words) {
    char text[200] = "", place[300];
    struct stat status;
    int number = open("f", O_CREAT | O_RDWR | O_TRUNC, 0640), result;
    setvbuf(stdout, 0, _IONBF, 0);
    printf("%zd\n", write(number, "0123456789", 10));
    printf("%zd\n", pread(number, text, 4, 2)), puts(text);
    printf("%d\n", fstat(number, &status));
    printf("%d %ld %d\n", (int)status.st_size, (long)lseek(number, 0, SEEK_END), fcntl(number, F_GETFL) & O_ACCMODE);
    dup2(number, 100), ftruncate(100, 4), close(number);
    printf("%d\n", mkdir("d", 0755)), printf("%d\n", rename("f", "d/f")), printf("%d\n", access("d/f", R_OK));
    printf("%d\n", open("absent", O_RDONLY)), perror("absent");
    pthread_t thread;
    pthread_create(&thread, 0, begin, "d/f"), pthread_join(thread, 0);
    if (!fork()) chdir("d"), puts(strrchr(getcwd(place, 300), '/')), _exit(3);
    wait(&result), printf("%d\n", WEXITSTATUS(result));
    pid_t child;
    char *arguments[] = {"cat", "d/f", 0};
    int spawned = posix_spawnp(&child, "cat", 0, 0, arguments, environ);
    waitpid(child, &result, 0), printf("%d %d\n", spawned, result);
    FILE *pipe = popen("echo from a shell", "r");
    fgets(text, 200, pipe), printf("%s%d\n", text, pclose(pipe));
    printf("%d %s\n", system("exit 4") >> 8, realpath("d", place) ? strrchr(place, '/') : "none");
    DIR *directory = opendir("d");
    int entries = 0;
    while (readdir(directory)) entries++;
    printf("%d %d\n", entries, closedir(directory));
    raise(11);
}
END
musl-gcc -w -o other other.c && (./other; echo "$?") 2>&1 | sed 's/line.*Segm/Segm/'; rm -rf d
musl-gcc -w -static -o other other.c && (./other; echo "$?") 2>&1 | sed 's/line.*Segm/Segm/'
