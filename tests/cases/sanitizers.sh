# Programs with gcc's sanitizers in them, and leak checkers: they run, and find what is theirs.
set -u
cd "$H" || exit 1
# A program's bytes tell in which directory it was made.
trap 'rm -f user' EXIT
cat > user.c << 'END'
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static char *place;
static void *begin(void *number) {
    char path[300];
    snprintf(path, 300, "%s/thread-%ld", place, (long)number);
    for (int turn = 0; turn < 20; turn++) {
        FILE *file = fopen(path, "a");
        fprintf(file, "%d\n", turn), fclose(file);
    }
    return 0;
}
int main(int count, char **words) {
    char path[300], text[9] = "";
    place = words[1];
    snprintf(path, 300, "%s/f", place);
    FILE *file = fopen(path, "w");
    fputs("hello", file), fclose(file);
    int number = open(path, O_RDONLY);
    read(number, text, 5), puts(text), close(number);
    pthread_t threads[3];
    for (long n = 0; n < 3; n++) pthread_create(threads + n, 0, begin, (void *)n);
    for (int n = 0; n < 3; n++) pthread_join(threads[n], 0);
    printf("%d\n", system("true")), fflush(stdout);
    if (!fork()) _exit(!fopen(path, "r"));
    int result;
    wait(&result), printf("%d\n", result);
    char *block = malloc(4);
    if (count > 2) strcpy(block, "overflow");
    return block[0] = 0, free(block), 0;
}
END
build() { cc -w -O1 -pthread "$@" -o user user.c; }

### with_the_runtime_in_the_program
for options in '-fsanitize=address -static-libasan' '-fsanitize=thread -static-libtsan' '-fsanitize=undefined' '-fsanitize=leak'; do
    echo "$options"
    build $options && ./user "$P" 2>&1; echo "$?"; wc -l < "$P/thread-2"; rm "$P"/*
done

### with_a_runtime_that_is_a_library
build -fsanitize=thread && ./user "$P" 2>&1; echo "$?"; ls "$P"
# It has to be the first library.
build -fsanitize=address
LD_PRELOAD=$(cc -print-file-name=libasan.so)${LD_PRELOAD:+:$LD_PRELOAD} ./user "$P" 2>&1; echo "$?"; ls "$P"

### faults_of_the_program_are_found
build -fsanitize=address -static-libasan
./user "$P" overflow 2>&1 | grep -o 'heap-buffer-overflow' | head -n 1
