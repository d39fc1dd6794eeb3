// A program with a second libc, in a namespace of its own, which works on the directory that is named.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/stat.h>

int main(int count, char **arguments) {
    void *libc = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
    if (count != 2 || !libc) return 1;
    FILE *(*open_stream)(const char *, const char *) = (FILE * (*)(const char *, const char *)) dlsym(libc, "fopen");
    int (*put)(const char *, FILE *) = (int (*)(const char *, FILE *))dlsym(libc, "fputs");
    int (*close_stream)(FILE *) = (int (*)(FILE *))dlsym(libc, "fclose");
    char path[512], line[64] = "";
    struct stat status;
    snprintf(path, sizeof path, "%s/namespace", arguments[1]);
    FILE *theirs = open_stream(path, "w");
    if (!theirs) return 2;
    put("written there, read here\n", theirs);
    close_stream(theirs);
    FILE *ours = fopen(path, "r");
    if (!ours || !fgets(line, sizeof line, ours)) return 3;
    fclose(ours);
    fputs(line, stdout);
    if (stat(path, &status)) return 4;
    printf("%d bytes\n", (int)status.st_size);
    return 0;
}
