/*
 * What libdfs does, told line by line: run against DAOS and against the emulator, the two tell the same.
 *
 *     dfs_behaviour LIBRARY POOL CONTAINER
 */
#include "dfs.h"

static void opening(void)
{
	char long_name[300] = "";
	dfs_obj_t *node = NULL, *inner = directory(top, "inner");
	uint64_t chunk = 0;
	mode_t mode = 0;

	memset(long_name, 'n', 256);
	T(dfs_open(fs, top, "f", S_IFREG | 0640, O_RDWR, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "f", S_IFREG | 0640, O_RDWR | O_CREAT | O_APPEND, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "f", S_IFREG | 0640, O_RDWR | O_CREAT | O_EXCL, 0, 0, NULL, &node));
	T(dfs_get_mode(node, &mode));
	printf("mode %o\n", mode);
	T(dfs_get_chunk_size(node, &chunk));
	T(dfs_release(node));
	T(dfs_open(fs, top, "f", S_IFREG | 0640, O_RDWR | O_CREAT | O_EXCL, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "f", S_IFREG | 0600, O_RDWR | O_CREAT, 0, 4096, NULL, &node));
	T(dfs_get_mode(node, &mode));
	printf("mode %o\n", mode);
	T(dfs_release(node));
	T(dfs_open(fs, top, "f", S_IFREG | 0600, O_ACCMODE, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "f", S_IFDIR, O_RDONLY, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "f", S_IFLNK, O_RDONLY, 0, 0, "x", &node));
	T(dfs_open(fs, top, "f", S_IFIFO, O_RDONLY, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "inner", S_IFREG, O_RDONLY, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "inner", S_IFREG, O_RDONLY | O_CREAT, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "inner", S_IFDIR, O_RDONLY, 0, 0, NULL, &node));
	T(dfs_release(node));
	T(dfs_open(fs, top, "inner/x", S_IFREG, O_RDONLY | O_CREAT, 0, 0, NULL, &node));
	T(dfs_open(fs, top, long_name, S_IFREG, O_RDONLY | O_CREAT, 0, 0, NULL, &node));
	T(dfs_open(fs, top, NULL, S_IFREG, O_RDONLY | O_CREAT, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "chunky", S_IFREG | 0600, O_RDWR | O_CREAT, 0, 4096, NULL, &node));
	T(dfs_get_chunk_size(node, &chunk));
	printf("chunk %llu\n", (unsigned long long)chunk);
	T(dfs_open(fs, node, "x", S_IFREG | 0600, O_RDWR | O_CREAT, 0, 0, NULL, &node));
	T(dfs_release(node));
	T(dfs_obj_set_chunk_size(fs, inner, 0, 8192));
	T(dfs_release(inner));
	T(dfs_lookup_rel(fs, top, "inner", O_RDWR, &inner, NULL, NULL));
	node = file(inner, "heir", O_RDWR | O_CREAT);
	T(dfs_get_chunk_size(node, &chunk));
	printf("chunk %llu\n", (unsigned long long)chunk);
	T(dfs_release(node));
	T(dfs_release(inner));
	T(dfs_release(NULL));
}

static void looking_up(void)
{
	dfs_obj_t *node = NULL, *inner = directory(top, "way"), *leaf = file(inner, "leaf", O_RDWR | O_CREAT);
	char path[128], target[64];
	struct stat stat;
	uint64_t room;
	mode_t mode = 0;

	put(leaf, 0, "abc", 3);
	T(dfs_open(fs, top, "to-leaf", S_IFLNK | 0644, O_CREAT | O_EXCL, 0, 0, "way/leaf", &node));
	T(dfs_get_mode(node, &mode));
	printf("mode %o\n", mode);
	T(dfs_release(node));
	T(dfs_open(fs, top, "to-leaf", S_IFLNK, O_CREAT | O_EXCL, 0, 0, "other", &node));
	T(dfs_open(fs, top, "to-leaf", S_IFLNK, O_CREAT, 0, 0, "other", &node));
	T(dfs_open(fs, top, "no-target", S_IFLNK, O_CREAT, 0, 0, NULL, &node));
	T(dfs_open(fs, top, "dangling", S_IFLNK, O_CREAT, 0, 0, "nowhere", &node));
	T(dfs_release(node));
	tell("followed", dfs.dfs_lookup_rel(fs, top, "to-leaf", O_RDONLY, &node, &mode, &stat), &stat);
	T(dfs_release(node));
	tell("kept", dfs.dfs_lookup_rel(fs, top, "to-leaf", O_RDONLY | O_NOFOLLOW, &node, &mode, &stat), &stat);
	room = 0;
	T(dfs_get_symlink_value(node, NULL, &room));
	printf("room %llu\n", (unsigned long long)room);
	room = 4;
	T(dfs_get_symlink_value(node, target, &room));
	printf("%s, room %llu\n", target, (unsigned long long)room);
	room = sizeof(target);
	T(dfs_get_symlink_value(node, target, &room));
	printf("%s, room %llu\n", target, (unsigned long long)room);
	T(dfs_release(node));
	T(dfs_lookup_rel(fs, top, "dangling", O_RDONLY, &node, &mode, &stat));
	T(dfs_lookup_rel(fs, top, "dangling", O_RDONLY | O_NOFOLLOW, &node, &mode, &stat));
	T(dfs_release(node));
	T(dfs_lookup_rel(fs, top, "nothing", O_RDONLY, &node, &mode, &stat));
	T(dfs_lookup_rel(fs, leaf, "nothing", O_RDONLY, &node, &mode, &stat));
	T(dfs_lookup_rel(fs, top, "way/leaf", O_RDONLY, &node, &mode, &stat));
	T(dfs_lookup_rel(fs, top, ".", O_RDONLY, &node, &mode, &stat));
	T(dfs_lookup_rel(fs, top, "..", O_RDONLY, &node, &mode, &stat));
	T(dfs_lookup_rel(fs, top, "", O_RDONLY, &node, &mode, &stat));
	T(dfs_lookup_rel(fs, top, "way", O_RDONLY | O_APPEND, &node, &mode, &stat));
	tell("way", dfs.dfs_lookup_rel(fs, top, "way", O_RDONLY, &node, &mode, &stat), &stat);
	T(dfs_release(node));
	for (const char *const *tail = (const char *const[]){ "", "/way", "/way/leaf", "/to-leaf", "//way//leaf/",
							     "/way/leaf/x", "/way/..", "/way/../way", "/none/x", NULL };
	     *tail; tail++) {
		snprintf(path, sizeof(path), "/%s%s", top_name, *tail);
		printf("%s: ", *tail);
		tell("path", dfs.dfs_lookup(fs, path, O_RDONLY, &node, &mode, &stat), &stat);
		/* libdfs leaves what it is told to return, when it fails, as it likes. */
	}
	T(dfs_lookup(fs, "way", O_RDONLY, &node, &mode, &stat));
	T(dfs_lookup(fs, "/..", O_RDONLY, &node, &mode, &stat));
	T(dfs_release(leaf));
	T(dfs_release(inner));
}

static void data(void)
{
	dfs_obj_t *node = file(top, "data", O_RDWR | O_CREAT), *other = NULL;
	d_iov_t pieces[3] = { { "12", 2, 2 }, { "345", 3, 3 }, { "", 0, 0 } };
	d_sg_list_t list = { 2, 0, pieces };
	daos_range_t ranges[2] = { { 2, 1 }, { 10, 4 } };
	dfs_iod_t iod = { 2, ranges };
	char room[8], more[8];
	uint64_t read = 12345;

	size(node);
	get(node, 0, 10);
	T(dfs_writex(fs, node, &iod, &list, NULL));
	size(node);
	get(node, 0, 20);
	get(node, 14, 5);
	get(node, 13, 5);
	get(node, 100, 5);
	get(node, 0, 0);
	memset(room, '.', 8), memset(more, '.', 8);
	pieces[0] = (d_iov_t){ room, 3, 3 }, pieces[1] = (d_iov_t){ more, 5, 5 };
	ranges[0] = (daos_range_t){ 2, 1 }, ranges[1] = (daos_range_t){ 9, 7 };
	T(dfs_readx(fs, node, &iod, &list, &read, NULL));
	for (int i = 0; i < 3; i++)
		putchar(room[i] ? room[i] : '0');
	for (int i = 0; i < 5; i++)
		putchar(more[i] ? more[i] : '0');
	printf(" %llu used %u lengths %zu %zu\n", (unsigned long long)read, list.sg_nr_out, pieces[0].iov_len,
	       pieces[1].iov_len);
	ranges[1].rg_len = 6;
	T(dfs_readx(fs, node, &iod, &list, &read, NULL));
	T(dfs_writex(fs, node, &iod, &list, NULL));
	iod.iod_nr = 0;
	T(dfs_readx(fs, node, &iod, &list, &read, NULL));
	T(dfs_writex(fs, node, &iod, &list, NULL));
	T(dfs_writex(fs, node, NULL, &list, NULL));
	T(dfs_write(fs, node, NULL, 0, NULL));
	T(dfs_read(fs, node, NULL, 0, &read, NULL));
	T(dfs_read(fs, node, &list, 0, NULL, NULL));
	T(dfs_read(fs, top, &list, 0, &read, NULL));
	T(dfs_dup(fs, node, O_WRONLY, &other));
	T(dfs_read(fs, other, &list, 0, &read, NULL));
	T(dfs_release(other));
	T(dfs_dup(fs, node, O_RDONLY, &other));
	printf("write on it -> %s\n", code(put(other, 0, "x", 1)));
	T(dfs_punch(fs, other, 0, WHOLE));
	T(dfs_release(other));
	T(dfs_dup(fs, node, O_RDWR | O_APPEND, &other));
	for (const uint64_t *to = (const uint64_t[]){ 8, 1, 30, 30, 5, 4096, 1048576, 3145728, 1048577, 3, 0, 77 };; to++) {
		printf("to %llu -> %s, ", (unsigned long long)*to, code(dfs.dfs_punch(fs, node, *to, WHOLE)));
		size(node);
		get(node, 0, 12);
		put(node, 0, "ABCDEFGHIJ", 10);
		if (*to == 77)
			break;
	}
	T(dfs_punch(fs, node, 2, 3));
	size(node);
	get(node, 0, 12);
	T(dfs_punch(fs, node, 6, 1000));
	size(node);
	T(dfs_punch(fs, node, 50, 10));
	size(node);
	get(node, 0, 12);
	T(dfs_open(fs, top, "data", S_IFREG, O_RDWR | O_TRUNC, 0, 0, NULL, &other));
	size(node);
	put(node, 3 << 20, "far", 3);
	size(other);
	get(other, (3 << 20) - 3, 9);
	T(dfs_release(other));
	T(dfs_release(node));
}

static void attributes(void)
{
	dfs_obj_t *node = file(top, "attributes", O_RDWR | O_CREAT), *inner = directory(top, "place"), *other = NULL;
	struct stat before, stat, set;

	stat_of(top, "attributes");
	put(node, 0, "0123456789", 1000 > 10 ? 10 : 0);
	stat_of(top, "attributes");
	stat_of(top, "place");
	stat_of(top, "nothing");
	stat_of(top, NULL);
	stat_of(node, "x");
	printf("root's own -> %s\n", code(dfs.dfs_stat(fs, NULL, NULL, &stat)));
	tell("open", dfs.dfs_ostat(fs, node, &stat), &stat);
	tell("open", dfs.dfs_ostat(fs, inner, &stat), &stat);
	T(dfs_ostat(fs, NULL, &stat));
	T(dfs_chmod(fs, top, "attributes", 0600));
	T(dfs_chmod(fs, top, "attributes", S_ISVTX | 0600));
	T(dfs_chmod(fs, top, "attributes", S_IFDIR | 0600));
	T(dfs_chmod(fs, top, "attributes", S_ISUID | 0755));
	T(dfs_chmod(fs, top, "nothing", 0600));
	T(dfs_chown(fs, top, "attributes", 7, -1, 0));
	T(dfs_chown(fs, top, "attributes", -1, 8, 0));
	T(dfs_chown(fs, top, "attributes", -1, -1, 0));
	T(dfs_chown(fs, top, "nothing", -1, -1, 0));
	tell("changed", dfs.dfs_ostat(fs, node, &stat), &stat);
	before = stat;
	memset(&set, 0, sizeof(set));
	set.st_mtim.tv_sec = 1000000, set.st_mtim.tv_nsec = 5, set.st_mode = S_IFREG | 0444, set.st_uid = 9, set.st_size = 4;
	tell("set mtime", dfs.dfs_osetattr(fs, node, &set, SET_MTIME), &set);
	printf("mtime %lld.%ld\n", (long long)set.st_mtim.tv_sec, set.st_mtim.tv_nsec);
	T(dfs_ostat(fs, node, &stat));
	printf("mtime %lld.%ld, ctime %s\n", (long long)stat.st_mtim.tv_sec, stat.st_mtim.tv_nsec,
	       later(stat.st_ctim, before.st_ctim) ? "moved" : "stayed");
	printf("atime is ctime: %d\n", !later(stat.st_atim, stat.st_ctim) && !later(stat.st_ctim, stat.st_atim));
	put(node, 4, "x", 1);
	T(dfs_ostat(fs, node, &stat));
	printf("mtime after a write %s\n", stat.st_mtim.tv_sec == 1000000 ? "as set" : "moved");
	set = (struct stat){ .st_mode = S_IFREG | 0444, .st_uid = 9, .st_size = 4, .st_mtim = { 2000000, 0 } };
	tell("set size", dfs.dfs_osetattr(fs, node, &set, SET_SIZE), &set);
	set = (struct stat){ .st_mode = S_IFREG | 0444, .st_uid = 9, .st_size = 40, .st_mtim = { 2000000, 0 } };
	tell("set all", dfs.dfs_osetattr(fs, node, &set, SET_SIZE | SET_MODE | SET_UID | SET_MTIME), &set);
	T(dfs_ostat(fs, node, &stat));
	printf("mtime %lld\n", (long long)stat.st_mtim.tv_sec);
	tell("then", 0, &stat);
	set.st_mode = S_IFDIR | 0444;
	T(dfs_osetattr(fs, node, &set, SET_MODE));
	set.st_mode = S_IFREG | S_ISVTX;
	T(dfs_osetattr(fs, node, &set, SET_MODE));
	T(dfs_osetattr(fs, node, &set, 1 << 9));
	T(dfs_osetattr(fs, inner, &set, SET_SIZE));
	T(dfs_osetattr(fs, inner, &set, SET_MTIME));
	T(dfs_stat(fs, top, "place", &stat));
	printf("mtime %lld\n", (long long)stat.st_mtim.tv_sec);
	before = stat;
	T(dfs_release(file(inner, "new", O_RDWR | O_CREAT)));
	T(dfs_stat(fs, top, "place", &stat));
	printf("mtime with a new name %s\n", later(stat.st_mtim, before.st_mtim) ? "moved" : "stayed");
	before = stat;
	T(dfs_chmod(fs, inner, "new", 0600));
	T(dfs_stat(fs, top, "place", &stat));
	printf("mtime with a chmod in it %s\n", later(stat.st_mtim, before.st_mtim) ? "moved" : "stayed");
	T(dfs_dup(fs, node, O_RDONLY, &other));
	T(dfs_osetattr(fs, other, &set, SET_MTIME));
	T(dfs_release(other));
	T(dfs_open(fs, top, "link", S_IFLNK, O_CREAT | O_RDWR, 0, 0, "attributes", &other));
	stat_of(top, "link");
	tell("link", dfs.dfs_ostat(fs, other, &stat), &stat);
	T(dfs_chmod(fs, top, "link", 0640));
	T(dfs_chown(fs, top, "link", 11, -1, O_NOFOLLOW));
	T(dfs_chown(fs, top, "link", 12, -1, 0));
	stat_of(top, "link");
	stat_of(top, "attributes");
	set = (struct stat){ .st_mtim = { 3000000, 0 } };
	T(dfs_osetattr(fs, other, &set, SET_MTIME));
	T(dfs_stat(fs, top, "link", &stat));
	printf("mtime %lld\n", (long long)stat.st_mtim.tv_sec);
	T(dfs_release(other));
	T(dfs_release(inner));
	T(dfs_release(node));
}

static void removing(void)
{
	dfs_obj_t *node = file(top, "gone", O_RDWR | O_CREAT), *inner = directory(top, "tree"), *leaf, *deep;
	daos_obj_id_t object = { 0, 0 }, removed = { 0, 0 };
	struct stat stat;

	put(node, 0, "abcdef", 6);
	T(dfs_obj2id(node, &object));
	T(dfs_remove(fs, top, "gone", false, &removed));
	printf("same object: %d\n", object.lo == removed.lo && object.hi == removed.hi);
	size(node);
	get(node, 0, 6);
	T(dfs_ostat(fs, node, &stat));
	T(dfs_setxattr(fs, node, "user.a", "1", 1, 0));
	printf("write to what is gone -> %s\n", code(put(node, 2, "zz", 2)));
	get(node, 0, 6);
	size(node);
	leaf = file(top, "gone", O_RDWR | O_CREAT);
	size(leaf);
	T(dfs_ostat(fs, node, &stat));
	T(dfs_release(leaf));
	T(dfs_release(node));
	T(dfs_remove(fs, top, "gone", false, NULL));
	T(dfs_remove(fs, top, "gone", false, NULL));
	T(dfs_remove(fs, top, "a/b", false, NULL));
	T(dfs_remove(fs, top, ".", false, NULL));
	deep = directory(inner, "deep");
	leaf = file(deep, "leaf", O_RDWR | O_CREAT);
	put(leaf, 0, "x", 1);
	T(dfs_remove(fs, top, "tree", false, NULL));
	T(dfs_remove(fs, leaf, "tree", false, NULL));
	T(dfs_remove(fs, top, "tree", true, NULL));
	size(leaf);
	T(dfs_stat(fs, deep, "leaf", &stat));
	T(dfs_mkdir(fs, deep, "after", 0755, 0));
	T(dfs_stat(fs, deep, "after", &stat));
	T(dfs_remove(fs, deep, "after", false, NULL));
	T(dfs_release(leaf));
	T(dfs_release(deep));
	T(dfs_release(inner));
	T(dfs_mkdir(fs, top, "empty", 0755, 0));
	T(dfs_mkdir(fs, top, "empty", 0755, 0));
	T(dfs_remove(fs, top, "empty", false, NULL));
}

static void renaming(void)
{
	dfs_obj_t *node = file(top, "from", O_RDWR | O_CREAT), *over = file(top, "over", O_RDWR | O_CREAT), *link;
	dfs_obj_t *one = directory(top, "one"), *two = directory(top, "two");
	daos_obj_id_t replaced = { 1, 2 }, object;
	struct stat stat;

	put(node, 0, "from", 4);
	put(over, 0, "over!", 5);
	T(dfs_obj2id(over, &object));
	T(dfs_setxattr(fs, node, "user.kept", "k", 1, 0));
	T(dfs_move(fs, top, "from", top, "fresh", &replaced));
	printf("replaced untouched: %d\n", replaced.lo == 1 && replaced.hi == 2);
	T(dfs_ostat(fs, node, &stat));
	T(dfs_move(fs, top, "fresh", top, "over", &replaced));
	printf("replaced: %d\n", replaced.lo == object.lo && replaced.hi == object.hi);
	size(over);
	size(node);
	T(dfs_release(node));
	T(dfs_release(over));
	node = file(top, "over", O_RDWR);
	uint64_t room = 0;
	T(dfs_getxattr(fs, node, "user.kept", NULL, &room));
	T(dfs_release(node));
	T(dfs_move(fs, top, "nothing", top, "x", NULL));
	T(dfs_move(fs, top, "over", top, "one", NULL));
	T(dfs_release(file(two, "in", O_RDWR | O_CREAT)));
	T(dfs_move(fs, top, "one", top, "two", NULL));
	T(dfs_move(fs, top, "two", top, "one", NULL));
	T(dfs_stat(fs, top, "two", &stat));
	T(dfs_stat(fs, two, "in", &stat));
	T(dfs_move(fs, top, "one", top, "over", NULL));
	T(dfs_stat(fs, top, "over", &stat));
	printf("a directory over a file: %s\n", S_ISDIR(stat.st_mode) ? "done" : "not");
	T(dfs_open(fs, top, "link", S_IFLNK, O_CREAT | O_RDWR, 0, 0, "t", &link));
	T(dfs_setxattr(fs, link, "user.lost", "l", 1, 0));
	T(dfs_release(link));
	T(dfs_move(fs, top, "link", two, "moved", NULL));
	T(dfs_lookup_rel(fs, two, "moved", O_RDONLY | O_NOFOLLOW, &link, NULL, NULL));
	T(dfs_getxattr(fs, link, "user.lost", NULL, &room));
	T(dfs_release(link));
	T(dfs_release(file(top, "a", O_RDWR | O_CREAT)));
	T(dfs_mkdir(fs, top, "b", 0700, 0));
	T(dfs_exchange(fs, top, "a", top, "b"));
	stat_of(top, "a");
	stat_of(top, "b");
	T(dfs_exchange(fs, top, "a", top, "none"));
	T(dfs_exchange(fs, top, "none", top, "a"));
	T(dfs_move(fs, top, "b", top, "b", NULL));
	T(dfs_stat(fs, top, "b", &stat));
	T(dfs_release(one));
	T(dfs_release(two));
}

int main(int count, char **arguments)
{
	if (count < 4)
		return 2;
	begin(arguments);
	opening();
	looking_up();
	data();
	attributes();
	removing();
	renaming();
	return end();
}
