/*
 * For programs that call libdfs: the library that the command line names, its calls by their names, and what they answer,
 * told so that two runs can be compared: no time, no object id, no order of a listing.
 */
#ifndef SIDESTEP_TESTS_DFS_H
#define SIDESTEP_TESTS_DFS_H

#include "../../include/sidestep_daos.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define WHOLE (~(uint64_t)0)
#define SET_MODE 1
#define SET_MTIME 4
#define SET_SIZE 8
#define SET_UID 16

static struct sidestep_daos_calls dfs;
static daos_handle_t pool, container;
static dfs_t *fs;
static dfs_obj_t *top;
static char top_name[64];

__attribute__((unused)) static const char *code(int number)
{
	static char text[32];

	if (number > 0 && strerrorname_np(number))
		return strerrorname_np(number);
	snprintf(text, sizeof(text), "%d", number);
	return text;
}

/* A call and what it answers. */
#define T(call) printf("%s -> %s\n", #call, code(dfs.call))

/* A call that has to work for the rest to make sense. */
#define MUST(call)                                                                      \
	do {                                                                            \
		int must_ = dfs.call;                                                   \
		if (must_) {                                                            \
			printf("%s -> %s, and nothing more\n", #call, code(must_));     \
			exit(1);                                                        \
		}                                                                       \
	} while (0)

__attribute__((unused)) static dfs_obj_t *file(dfs_obj_t *directory, const char *name, int flags)
{
	dfs_obj_t *node = NULL;

	MUST(dfs_open(fs, directory, name, S_IFREG | 0644, flags, 0, 0, NULL, &node));
	return node;
}

__attribute__((unused)) static dfs_obj_t *directory(dfs_obj_t *parent, const char *name)
{
	dfs_obj_t *node = NULL;

	MUST(dfs_mkdir(fs, parent, name, 0755, 0));
	MUST(dfs_lookup_rel(fs, parent, name, O_RDWR, &node, NULL, NULL));
	return node;
}

__attribute__((unused)) static int put(dfs_obj_t *node, uint64_t offset, const void *bytes, size_t length)
{
	d_iov_t piece = { (void *)bytes, length, length };
	d_sg_list_t list = { 1, 0, &piece };

	return dfs.dfs_write(fs, node, &list, offset, NULL);
}

__attribute__((unused)) static void get(dfs_obj_t *node, uint64_t offset, size_t length)
{
	static char room[1 << 20];
	d_iov_t piece = { room, length, length };
	d_sg_list_t list = { 1, 0, &piece };
	uint64_t read = 12345;
	int answer;

	memset(room, '.', sizeof(room));
	answer = dfs.dfs_read(fs, node, &list, offset, &read, NULL);
	printf("read %zu at %llu -> %s, %llu:", length, (unsigned long long)offset, code(answer),
	       (unsigned long long)read);
	for (size_t i = 0; i < length && i < 40; i++)
		putchar(room[i] ? room[i] : '0');
	printf("\n");
}

__attribute__((unused)) static void size(dfs_obj_t *node)
{
	uint64_t bytes = 12345;
	int answer = dfs.dfs_get_size(fs, node, &bytes);

	printf("size -> %s, %llu\n", code(answer), (unsigned long long)bytes);
}

__attribute__((unused)) static void tell(const char *what, int answer, const struct stat *stat)
{
	printf("%s -> %s", what, code(answer));
	if (!answer)
		printf(", mode %o, links %ld, %s uid %u, %s gid %u, size %lld, blocks %lld, chunk %ld, ino %lu",
		       stat->st_mode, (long)stat->st_nlink, stat->st_uid == geteuid() ? "own" : "other",
		       stat->st_uid == geteuid() ? 0 : stat->st_uid, stat->st_gid == getegid() ? "own" : "other",
		       stat->st_gid == getegid() ? 0 : stat->st_gid, (long long)stat->st_size,
		       (long long)stat->st_blocks, (long)stat->st_blksize, (unsigned long)stat->st_ino);
	printf("\n");
}

__attribute__((unused)) static void stat_of(dfs_obj_t *parent, const char *name)
{
	struct stat stat;
	int answer = dfs.dfs_stat(fs, parent, name, &stat);

	tell(name ? name : "(none)", answer, &stat);
}

__attribute__((unused)) static int later(struct timespec one, struct timespec other)
{
	return one.tv_sec > other.tv_sec || (one.tv_sec == other.tv_sec && one.tv_nsec > other.tv_nsec);
}

/* Loads LIBRARY, connects to POOL and CONTAINER, and makes a directory of this run's own. */
static void begin(char **arguments)
{
	void *library = dlopen(arguments[1], RTLD_NOW);

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
#define LOAD(name) *(void **)&dfs.name = dlsym(library, #name)
	LOAD(daos_init), LOAD(daos_fini), LOAD(daos_reinit), LOAD(daos_pool_connect2), LOAD(daos_pool_disconnect);
	LOAD(daos_pool_query), LOAD(daos_cont_open2), LOAD(daos_cont_close), LOAD(daos_cont_query);
	LOAD(daos_eq_create), LOAD(daos_eq_destroy), LOAD(daos_eq_poll), LOAD(daos_event_init), LOAD(daos_event_fini);
	LOAD(daos_event_test), LOAD(daos_event_abort), LOAD(dfs_mount), LOAD(dfs_mount_snap), LOAD(dfs_umount);
	LOAD(dfs_query), LOAD(dfs_lookup), LOAD(dfs_lookup_rel), LOAD(dfs_open), LOAD(dfs_dup), LOAD(dfs_release);
	LOAD(dfs_read), LOAD(dfs_readx), LOAD(dfs_write), LOAD(dfs_writex), LOAD(dfs_get_size), LOAD(dfs_punch);
	LOAD(dfs_readdir), LOAD(dfs_readdirplus), LOAD(dfs_mkdir), LOAD(dfs_remove), LOAD(dfs_move), LOAD(dfs_exchange);
	LOAD(dfs_stat), LOAD(dfs_ostat), LOAD(dfs_osetattr), LOAD(dfs_chmod), LOAD(dfs_chown), LOAD(dfs_sync);
	LOAD(dfs_setxattr), LOAD(dfs_getxattr), LOAD(dfs_removexattr), LOAD(dfs_listxattr), LOAD(dfs_get_mode);
	LOAD(dfs_get_symlink_value), LOAD(dfs_obj2id), LOAD(dfs_obj_get_info), LOAD(dfs_get_chunk_size);
	LOAD(dfs_obj_set_chunk_size), LOAD(dfs_obj_local2global), LOAD(dfs_obj_global2local);
#undef LOAD
	setvbuf(stdout, NULL, _IONBF, 0);
	MUST(daos_init());
	MUST(daos_pool_connect2(arguments[2], NULL, 2, &pool, NULL, NULL));
	MUST(daos_cont_open2(pool, arguments[3], 2, &container, NULL, NULL));
	MUST(dfs_mount(pool, container, O_RDWR, &fs));
	snprintf(top_name, sizeof(top_name), "behaviour-%d", getpid());
	MUST(dfs_mkdir(fs, NULL, top_name, 0755, 0));
	MUST(dfs_lookup_rel(fs, NULL, top_name, O_RDWR, &top, NULL, NULL));
}

/* Undoes all that. */
__attribute__((unused)) static int end(void)
{
	T(dfs_release(top));
	T(dfs_remove(fs, NULL, top_name, true, NULL));
	T(dfs_umount(fs));
	T(daos_cont_close(container, NULL));
	T(daos_pool_disconnect(pool, NULL));
	T(daos_fini());
	T(daos_fini());
	return 0;
}

#endif
