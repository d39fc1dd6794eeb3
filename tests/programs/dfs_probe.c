/*
 * Calls libdfs as its arguments say, and tells what came of it.
 *
 *     dfs_probe LIBRARY POOL CONTAINER WORD...
 *
 * create, write, late-write (with an event), read, stat, remove: of one file; child, new-child: stat in a fork child, without and
 * with daos_reinit; meanwhile: a long write with an event at which nobody looks until its bytes are there; spoilt: the same, its
 * memory changed before it has ended; forked: the same, with a fork child that starts anew meanwhile; slow: how long the last took, whether more than 30 ms; messages: how many it sent, where the
 * library counts them.
 */
#include "dfs.h"
#include <time.h>

#define BYTES 65536
#define LONG_BYTES (1 << 20)

static struct stat told;
static char bytes[BYTES], many_bytes[LONG_BYTES];

static int late_write(dfs_obj_t *node)
{
	d_iov_t piece = { bytes, BYTES, BYTES };
	d_sg_list_t list = { 1, 0, &piece };
	daos_handle_t queue;
	daos_event_t event, *ended;
	int answer;

	MUST(daos_eq_create(&queue));
	MUST(daos_event_init(&event, queue, NULL));
	answer = dfs.dfs_write(fs, node, &list, 0, &event);
	while (!answer && dfs.daos_eq_poll(queue, 1, 1000, 1, &ended) == 0)
		;
	return answer ? answer : event.ev_error;
}

static int read_all(dfs_obj_t *node)
{
	d_iov_t piece = { bytes, BYTES, BYTES };
	d_sg_list_t list = { 1, 0, &piece };
	uint64_t read = 0;
	int answer = dfs.dfs_read(fs, node, &list, 0, &read, NULL);

	printf("%llu bytes, ", (unsigned long long)read);
	return answer;
}

static int in_child(int starts_anew)
{
	int status = 0;

	if (fork() == 0) {
		int answer = starts_anew ? dfs.daos_reinit() : 0;

		_exit(answer ? 255 : dfs.dfs_stat(fs, top, "f", &told));
	}
	wait(&status);
	return WEXITSTATUS(status);
}

/* Writes behind a first write, which opens what has to be opened. */
static int meanwhile(dfs_obj_t *node, const char *what)
{
	d_iov_t piece = { many_bytes, LONG_BYTES, LONG_BYTES };
	d_sg_list_t list = { 1, 0, &piece };
	daos_handle_t queue;
	daos_event_t event, *ended;
	uint64_t size = 0;
	int answer = put(node, 0, many_bytes, LONG_BYTES);

	MUST(daos_eq_create(&queue));
	MUST(daos_event_init(&event, queue, NULL));
	if (answer || (answer = dfs.dfs_write(fs, node, &list, LONG_BYTES, &event)))
		return answer;
	if (!strcmp(what, "forked"))
		printf("in the child %s, ", code(in_child(1)));
	for (int tries = 0; tries < 1000 && size < 2 * LONG_BYTES; tries++) {
		usleep(10000);
		MUST(dfs_get_size(fs, node, &size));
	}
	printf("%llu bytes, ", (unsigned long long)size);
	if (!strcmp(what, "spoilt"))
		many_bytes[LONG_BYTES - 1]++;
	while (dfs.daos_eq_poll(queue, 1, 1000, 1, &ended) == 0)
		;
	return event.ev_error;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + 1e-9 * time.tv_nsec;
}

int main(int count, char **arguments)
{
	uint64_t (*messages)(void);
	dfs_obj_t *node = NULL;
	uint64_t sent = 0;
	double took = 0;

	if (count < 4)
		return 2;
	begin(arguments);
	*(void **)&messages = dlsym(dlopen(arguments[1], RTLD_NOW), "emulator_messages");
	for (int i = 4; i < count; i++) {
		const char *word = arguments[i];
		uint64_t before = messages ? messages() : 0;
		double start = now();
		int answer = 0;

		if (!strcmp(word, "slow")) {
			printf("slow: %s\n", took > 0.03 ? "yes" : "no");
			continue;
		}
		if (!strcmp(word, "messages")) {
			printf("messages: %llu\n", (unsigned long long)sent);
			continue;
		}
		printf("%s: ", word);
		if (!strcmp(word, "create"))
			answer = dfs.dfs_open(fs, top, "f", S_IFREG | 0644, O_CREAT | O_EXCL | O_RDWR, 0, 0, NULL, &node);
		else if (!strcmp(word, "open"))
			answer = dfs.dfs_open(fs, top, "f", S_IFREG | 0644, O_RDWR, 0, 0, NULL, &node);
		else if (!strcmp(word, "write"))
			answer = put(node, 0, bytes, BYTES);
		else if (!strcmp(word, "late-write"))
			answer = late_write(node);
		else if (!strcmp(word, "meanwhile") || !strcmp(word, "spoilt") || !strcmp(word, "forked"))
			answer = meanwhile(node, word);
		else if (!strcmp(word, "read"))
			answer = read_all(node);
		else if (!strcmp(word, "stat"))
			answer = dfs.dfs_stat(fs, top, "f", &told);
		else if (!strcmp(word, "remove"))
			answer = dfs.dfs_remove(fs, top, "f", false, NULL);
		else if (!strcmp(word, "child"))
			answer = in_child(0);
		else if (!strcmp(word, "new-child"))
			answer = in_child(1);
		else
			return 2;
		took = now() - start;
		sent = messages ? messages() - before : 0;
		printf("%s\n", code(answer));
	}
	MUST(dfs_remove(fs, NULL, top_name, true, NULL));
	return 0;
}
