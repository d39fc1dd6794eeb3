/*
 * As dfs_behaviour: listings, extended attributes, event queues, fork, handing over.
 *
 *     dfs_events LIBRARY POOL CONTAINER
 */
#include "dfs.h"

static int by_text(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static void list(dfs_obj_t *directory, unsigned int batch, int with_stat)
{
	static struct dirent entries[64];
	static struct stat stats[64];
	daos_anchor_t anchor = { 0 };
	char *names[256];
	int count = 0, batches = 0, answer;

	do {
		uint32_t told = batch;

		answer = with_stat ? dfs.dfs_readdirplus(fs, directory, &anchor, &told, entries, stats) :
				     dfs.dfs_readdir(fs, directory, &anchor, &told, entries);
		if (answer)
			break;
		for (unsigned int i = 0; i < told; i++) {
			char line[512];

			if (with_stat)
				snprintf(line, sizeof(line), "%s (%o %lld)", entries[i].d_name, stats[i].st_mode,
					 (long long)stats[i].st_size);
			else
				snprintf(line, sizeof(line), "%s", entries[i].d_name);
			names[count++] = strdup(line);
		}
		batches++;
	} while (anchor.da_type != 3 && batches < 100);
	qsort(names, count, sizeof(*names), by_text);
	printf("%d entries, in batches of %u: %d, end %s, %s:", count, batch, batches, anchor.da_type == 3 ? "yes" : "no",
	       code(answer));
	for (int i = 0; i < count; i++)
		printf(" %s", names[i]);
	printf("\n");
}

static void listing(void)
{
	dfs_obj_t *inner = directory(top, "list"), *node = NULL;
	daos_anchor_t anchor = { 0 };
	struct dirent entry;
	uint32_t none = 0, one = 1;
	char name[16];

	list(inner, 10, 0);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "n%02d", i);
		T(dfs_open(fs, inner, name, S_IFREG | 0644, O_RDWR | O_CREAT, 0, 0, NULL, &node));
		put(node, 0, name, i % 4);
		T(dfs_release(node));
	}
	T(dfs_mkdir(fs, inner, "d", 0700, 0));
	T(dfs_open(fs, inner, "l", S_IFLNK, O_CREAT, 0, 0, "target", &node));
	T(dfs_release(node));
	list(inner, 64, 0);
	list(inner, 64, 1);
	list(inner, 22, 0);
	list(inner, 23, 0);
	list(inner, 11, 0);
	list(inner, 7, 1);
	list(inner, 1, 0);
	T(dfs_readdir(fs, inner, &anchor, &none, &entry));
	node = file(inner, "n00", O_RDWR);
	T(dfs_readdir(fs, node, &anchor, &one, &entry));
	T(dfs_readdir(fs, NULL, &anchor, &one, &entry));
	T(dfs_readdir(fs, inner, NULL, &one, &entry));
	T(dfs_release(node));
	/* Half told, the rest removed, some new. */
	for (int i = 0; i < 22; i++) {
		one = 1;
		if (dfs.dfs_readdir(fs, inner, &anchor, &one, &entry) || !one)
			break;
		dfs.dfs_remove(fs, inner, entry.d_name, true, NULL);
	}
	list(inner, 10, 0);
	T(dfs_release(inner));
}

static void extended(void)
{
	dfs_obj_t *node = file(top, "extended", O_RDWR | O_CREAT), *inner = directory(top, "extended-too"), *other;
	static char large[70000], names[64];
	uint64_t room;

	T(dfs_setxattr(fs, node, "user.a", "value", 5, 0));
	T(dfs_setxattr(fs, node, "user.a", "again", 5, XATTR_CREATE));
	room = sizeof(names);
	T(dfs_getxattr(fs, node, "user.a", names, &room));
	printf("%llu %.*s\n", (unsigned long long)room, (int)room, names);
	T(dfs_setxattr(fs, node, "user.b", "value", 5, XATTR_REPLACE));
	room = sizeof(names);
	T(dfs_getxattr(fs, node, "user.b", names, &room));
	T(dfs_setxattr(fs, node, "user.a", "longer value", 12, XATTR_REPLACE));
	T(dfs_setxattr(fs, node, "user.b", "b", 1, XATTR_CREATE));
	T(dfs_setxattr(fs, node, "user.none", NULL, 0, 0));
	T(dfs_setxattr(fs, node, "user.large", large, 65536, 0));
	T(dfs_setxattr(fs, node, "user.larger", large, 65537, 0));
	T(dfs_setxattr(fs, node, "user.null", NULL, 3, 0));
	T(dfs_setxattr(fs, node, "", "x", 1, 0));
	T(dfs_setxattr(fs, node, NULL, "x", 1, 0));
	memset(large, 'n', 255);
	T(dfs_setxattr(fs, node, large, "x", 1, 0));
	T(dfs_removexattr(fs, node, large));
	large[255] = 'n';
	T(dfs_setxattr(fs, node, large, "x", 1, 0));
	room = 0;
	T(dfs_getxattr(fs, node, "user.a", NULL, &room));
	printf("%llu\n", (unsigned long long)room);
	room = sizeof(names);
	T(dfs_getxattr(fs, node, "user.a", names, &room));
	printf("%llu %.*s\n", (unsigned long long)room, (int)room, names);
	room = 3;
	T(dfs_getxattr(fs, node, "user.a", names, &room));
	printf("%llu\n", (unsigned long long)room);
	room = sizeof(names);
	T(dfs_getxattr(fs, node, "user.none", names, &room));
	printf("%llu\n", (unsigned long long)room);
	T(dfs_getxattr(fs, node, "user.missing", names, &room));
	T(dfs_removexattr(fs, node, "user.missing"));
	T(dfs_removexattr(fs, node, "user.large"));
	room = 0;
	T(dfs_listxattr(fs, node, NULL, &room));
	printf("%llu\n", (unsigned long long)room);
	room = sizeof(names);
	T(dfs_listxattr(fs, node, names, &room));
	printf("%llu:", (unsigned long long)room);
	for (uint64_t at = 0; at < room && at < sizeof(names); at += strlen(names + at) + 1)
		printf(" %s", names + at);
	printf("\n");
	T(dfs_setxattr(fs, inner, "user.d", "d", 1, 0));
	room = sizeof(names);
	T(dfs_getxattr(fs, inner, "user.d", names, &room));
	T(dfs_setxattr(fs, top, "user.top", "t", 1, 0));
	/* By the name that it had: under another one it is another's. */
	T(dfs_move(fs, top, "extended", top, "moved", NULL));
	T(dfs_getxattr(fs, node, "user.b", names, &room));
	T(dfs_setxattr(fs, node, "user.c", "c", 1, 0));
	room = sizeof(names);
	T(dfs_listxattr(fs, node, names, &room));
	other = file(top, "moved", O_RDONLY);
	room = sizeof(names);
	T(dfs_getxattr(fs, other, "user.a", names, &room));
	T(dfs_setxattr(fs, other, "user.c", "c", 1, 0));
	T(dfs_release(other));
	T(dfs_release(inner));
	T(dfs_release(node));
}

static void events(void)
{
	dfs_obj_t *node = file(top, "events", O_RDWR | O_CREAT), *reader = NULL;
	daos_handle_t queue, none = { 0 };
	daos_event_t event[3], *ended[4] = { NULL };
	static char bytes[3][4096], room[16];
	d_iov_t piece[3], into = { room, 16, 16 };
	d_sg_list_t list[3], target = { 1, 0, &into };
	uint64_t read = 99;
	bool flag = false;
	int count;

	T(daos_eq_create(&queue));
	printf("empty -> %d\n", dfs.daos_eq_poll(queue, 1, 0, 4, ended));
	printf("empty, waiting -> %d\n", dfs.daos_eq_poll(queue, 1, 1000000, 4, ended));
	printf("no room -> %d\n", dfs.daos_eq_poll(queue, 1, 0, 0, ended));
	for (int i = 0; i < 3; i++) {
		memset(bytes[i], 'a' + i, sizeof(bytes[i]));
		piece[i] = (d_iov_t){ bytes[i], 4096, 4096 };
		list[i] = (d_sg_list_t){ 1, 0, &piece[i] };
		T(daos_event_init(&event[i], queue, NULL));
		event[i].ev_error = 77;
		T(dfs_write(fs, node, &list[i], 4096 * i, &event[i]));
	}
	printf("busy -> %d\n", dfs.daos_eq_destroy(queue, 0));
	for (count = 0; count < 3;) {
		int more = dfs.daos_eq_poll(queue, 1, -1, 4, ended);

		if (more < 0)
			break;
		count += more;
	}
	printf("%d ended: %d %d %d\n", count, event[0].ev_error, event[1].ev_error, event[2].ev_error);
	size(node);
	T(dfs_read(fs, node, &target, 12286, &read, &event[0]));
	while (!flag && !dfs.daos_event_test(&event[0], -1, &flag))
		;
	printf("read %llu %.2s, %d\n", (unsigned long long)read, room, event[0].ev_error);
	printf("none left -> %d\n", dfs.daos_eq_poll(queue, 1, 0, 4, ended));
	T(dfs_dup(fs, node, O_WRONLY, &reader));
	T(dfs_read(fs, reader, &target, 0, &read, &event[0]));
	T(dfs_release(reader));
	into.iov_len = 0;
	T(dfs_read(fs, node, &target, 0, &read, &event[0]));
	printf("nothing to read -> %d\n", dfs.daos_eq_poll(queue, 1, -1, 4, ended));
	printf("it: %d, %llu, %d\n", ended[0] == &event[0], (unsigned long long)read, event[0].ev_error);
	T(daos_event_abort(&event[0]));
	for (int i = 0; i < 3; i++)
		T(daos_event_fini(&event[i]));
	T(daos_eq_destroy(queue, 0));
	T(daos_eq_destroy(queue, 0));
	printf("gone -> %d\n", dfs.daos_eq_poll(queue, 1, 0, 4, ended));
	/* Without a queue. */
	T(daos_event_init(&event[0], none, NULL));
	into.iov_len = 16;
	flag = false;
	T(dfs_read(fs, node, &target, 4090, &read, &event[0]));
	while (!flag && !dfs.daos_event_test(&event[0], -1, &flag))
		;
	printf("read %llu %.16s\n", (unsigned long long)read, room);
	T(daos_event_fini(&event[0]));
	T(dfs_release(node));
}

static void handing_over(void)
{
	dfs_obj_t *node = file(top, "handed", O_RDWR | O_CREAT), *link = NULL, *again = NULL;
	d_iov_t bytes = { NULL, 0, 0 };
	struct stat stat;
	int status = 0;

	put(node, 0, "handed over", 11);
	T(dfs_obj_local2global(fs, node, &bytes));
	printf("%zu bytes\n", bytes.iov_buf_len);
	bytes.iov_buf = calloc(1, bytes.iov_buf_len);
	bytes.iov_buf_len--;
	T(dfs_obj_local2global(fs, node, &bytes));
	T(dfs_obj_local2global(fs, node, &bytes));
	printf("%zu of %zu\n", bytes.iov_len, bytes.iov_buf_len);
	T(dfs_obj_global2local(fs, 0, bytes, &again));
	get(again, 0, 20);
	T(dfs_ostat(fs, again, &stat));
	T(dfs_release(again));
	T(dfs_obj_global2local(fs, O_RDONLY, bytes, &again));
	printf("write -> %s\n", code(put(again, 0, "H", 1)));
	T(dfs_release(again));
	T(dfs_open(fs, top, "handed-link", S_IFLNK, O_CREAT, 0, 0, "x", &link));
	T(dfs_obj_local2global(fs, link, &(d_iov_t){ NULL, 0, 0 }));
	T(dfs_release(link));
	fflush(stdout);
	if (fork() == 0) {
		T(daos_reinit());
		T(dfs_obj_global2local(fs, O_RDWR, bytes, &again));
		get(again, 0, 20);
		printf("write -> %s\n", code(put(again, 0, "H", 1)));
		T(dfs_release(again));
		get(node, 0, 20);
		T(dfs_release(file(top, "of-the-child", O_RDWR | O_CREAT)));
		_exit(0);
	}
	wait(&status);
	printf("child %d\n", status);
	get(node, 0, 20);
	stat_of(top, "of-the-child");
	memset(bytes.iov_buf, 0, 4);
	T(dfs_obj_global2local(fs, 0, bytes, &again));
	free(bytes.iov_buf);
	T(dfs_release(node));
}

static void refusing(void)
{
	daos_handle_t none = { 0 }, handle;
	dfs_t *mount = NULL;

	T(daos_pool_connect2("no-such-pool", NULL, 2, &handle, NULL, NULL));
	T(daos_cont_open2(pool, "no-such-container", 2, &handle, NULL, NULL));
	T(daos_cont_open2(none, "c1", 2, &handle, NULL, NULL));
	T(dfs_mount(none, none, O_RDWR, &mount));
	T(dfs_mount(pool, container, O_RDWR, NULL));
	T(dfs_mount(pool, container, O_ACCMODE, &mount));
	T(dfs_mount_snap(pool, container, O_RDONLY, 0, "no-such-snapshot", &mount));
	T(dfs_mount(pool, container, O_RDONLY, &mount));
	T(dfs_mkdir(mount, NULL, "x", 0700, 0));
	T(dfs_open(mount, NULL, "x", S_IFREG, O_CREAT | O_RDWR, 0, 0, NULL, &top));
	T(dfs_remove(mount, NULL, "x", false, NULL));
	T(dfs_sync(mount));
	T(dfs_sync(fs));
	T(dfs_umount(mount));
	T(dfs_umount(NULL));
	T(daos_pool_disconnect(none, NULL));
	T(daos_cont_close(none, NULL));
}

int main(int count, char **arguments)
{
	if (count < 4)
		return 2;
	begin(arguments);
	listing();
	extended();
	events();
	handing_over();
	refusing();
	return end();
}
