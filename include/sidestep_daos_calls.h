/*
 * The calls, as one table of pointers that is filled at run time. Calls of libdaos answer 0 or a negative DER number,
 * calls of libdfs 0 or a positive errno. With an event they answer at once, and the event ends later.
 */
#ifndef SIDESTEP_DAOS_CALLS_H
#define SIDESTEP_DAOS_CALLS_H

#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/** Every call that is used, each under its own name; null where the library does not have it. */
struct sidestep_daos_calls {
	/** Opens the library's log, before it opens that itself: to no file, and with nothing but what `error_mask` says on
	 * standard error. Once; counted from then on. */
	int (*d_log_init_adv)(char *tag, char *file, unsigned int flavor, uint64_t mask, uint64_t error_mask,
			      void (*identity)(uint32_t *thread, uint64_t *user));
	/** Starts the library; each start has an end. */
	int (*daos_init)(void);
	/** Ends it. */
	int (*daos_fini)(void);
	/** Makes the library usable in a fork child. Not before 2.4. */
	int (*daos_reinit)(void);
	/** Has a function called by each thread that waits for the network of one context, at each turn, without a lock:
	 * with the microseconds that the turn may sleep, for those that it shall. */
	int (*crt_register_progress_cb)(int64_t (*turn)(void *context, int64_t timeout, void *argument), int index,
					void *argument);
	/** How many contexts there are; a new one has the last index. */
	int (*crt_context_num)(int *count);
	/** Connects to a pool by label or UUID; flags 1 to read, 2 to write. */
	int (*daos_pool_connect2)(const char *pool, const char *system, unsigned int flags, daos_handle_t *handle,
				  daos_pool_info_t *info, daos_event_t *event);
	/** Undoes that. */
	int (*daos_pool_disconnect)(daos_handle_t pool, daos_event_t *event);
	/** Asks for what `info->pi_bits` says. */
	int (*daos_pool_query)(daos_handle_t pool, d_rank_list_t **ranks, daos_pool_info_t *info,
			       daos_prop_t *properties, daos_event_t *event);
	/** Opens a container by label or UUID; flags 1 to read, 2 to write. */
	int (*daos_cont_open2)(daos_handle_t pool, const char *container, unsigned int flags, daos_handle_t *handle,
			       daos_cont_info_t *info, daos_event_t *event);
	/** Undoes that. */
	int (*daos_cont_close)(daos_handle_t container, daos_event_t *event);
	/** Tells of a container. */
	int (*daos_cont_query)(daos_handle_t container, daos_cont_info_t *info, daos_prop_t *properties,
			       daos_event_t *event);
	/** Makes an event queue, with a network context of its own. */
	int (*daos_eq_create)(daos_handle_t *queue);
	/** Removes one; flags 1 with what is under way. */
	int (*daos_eq_destroy)(daos_handle_t queue, int flags);
	/** Drives a queue's operations for at most `timeout` microseconds (0 not at all, -1 for ever); answers how many
	 * ended. */
	int (*daos_eq_poll)(daos_handle_t queue, int wait_running, int64_t timeout, unsigned int event_count,
			    daos_event_t **events);
	/** Readies an event. */
	int (*daos_event_init)(daos_event_t *event, daos_handle_t queue, daos_event_t *parent);
	/** Undoes that. */
	int (*daos_event_fini)(daos_event_t *event);
	/** Drives one operation for at most `timeout` microseconds. */
	int (*daos_event_test)(daos_event_t *event, int64_t timeout, bool *has_ended);
	/** Asks for the end of an operation. */
	int (*daos_event_abort)(daos_event_t *event);
	/** Opens an object; mode 2 to read, 4 to write. No message. */
	int (*daos_obj_open)(daos_handle_t container, daos_obj_id_t object, unsigned int mode, daos_handle_t *handle,
			     daos_event_t *event);
	/** Undoes that. No message. */
	int (*daos_obj_close)(daos_handle_t object, daos_event_t *event);
	/** Reads what is under keys of an object; flags 8: only if there is the first of them. */
	int (*daos_obj_fetch)(daos_handle_t object, daos_handle_t transaction, uint64_t flags, daos_key_t *key,
			      unsigned int count, daos_iod_t *what, d_sg_list_t *memory, daos_iom_t *maps,
			      daos_event_t *event);
	/** Asks for an array's size and time of change. */
	int (*daos_array_stat)(daos_handle_t array, daos_handle_t transaction, daos_array_stbuf_t *stat,
			       daos_event_t *event);
	/** A time as the servers count it, as one of the clock. No message. */
	int (*d_hlc2timespec)(uint64_t epoch, struct timespec *time);
	/** The array of a file. No message. */
	int (*dfs_get_file_oh)(dfs_obj_t *file, daos_handle_t *array);
	/** Mounts a container; flags O_RDONLY or O_RDWR, with 4 for a balanced one. */
	int (*dfs_mount)(daos_handle_t pool, daos_handle_t container, int flags, dfs_t **dfs);
	/** Mounts a snapshot by epoch, or by name with epoch 0. */
	int (*dfs_mount_snap)(daos_handle_t pool, daos_handle_t container, int flags, uint64_t epoch, const char *name,
			      dfs_t **dfs);
	/** Undoes either. */
	int (*dfs_umount)(dfs_t *dfs);
	/** Tells the container's attributes, without a message. */
	int (*dfs_query)(dfs_t *dfs, dfs_attr_t *attributes);
	/** Opens what an absolute path leads to. */
	int (*dfs_lookup)(dfs_t *dfs, const char *path, int flags, dfs_obj_t **node, mode_t *mode, struct stat *stat);
	/** Opens what a name leads to in a directory. */
	int (*dfs_lookup_rel)(dfs_t *dfs, dfs_obj_t *directory, const char *name, int flags, dfs_obj_t **node,
			      mode_t *mode, struct stat *stat);
	/** Opens or makes a node of the kind that `mode` says. */
	int (*dfs_open)(dfs_t *dfs, dfs_obj_t *directory, const char *name, mode_t mode, int flags,
			uint32_t object_class, uint64_t chunk_bytes, const char *target, dfs_obj_t **node);
	/** Another handle to the same node. */
	int (*dfs_dup)(dfs_t *dfs, dfs_obj_t *node, int flags, dfs_obj_t **copy);
	/** Closes a node. */
	int (*dfs_release)(dfs_obj_t *node);
	/** Reads one range. */
	int (*dfs_read)(dfs_t *dfs, dfs_obj_t *file, d_sg_list_t *memory, uint64_t offset, uint64_t *byte_count,
			daos_event_t *event);
	/** Reads several. */
	int (*dfs_readx)(dfs_t *dfs, dfs_obj_t *file, dfs_iod_t *ranges, d_sg_list_t *memory, uint64_t *byte_count,
			 daos_event_t *event);
	/** Writes one range. */
	int (*dfs_write)(dfs_t *dfs, dfs_obj_t *file, d_sg_list_t *memory, uint64_t offset, daos_event_t *event);
	/** Writes several. */
	int (*dfs_writex)(dfs_t *dfs, dfs_obj_t *file, dfs_iod_t *ranges, d_sg_list_t *memory, daos_event_t *event);
	/** A file's size in bytes. */
	int (*dfs_get_size)(dfs_t *dfs, dfs_obj_t *file, uint64_t *byte_count);
	/** Makes a hole; with a length of 2^64 - 1 sets the size. */
	int (*dfs_punch)(dfs_t *dfs, dfs_obj_t *file, uint64_t offset, uint64_t length);
	/** Tells up to `count` names. */
	int (*dfs_readdir)(dfs_t *dfs, dfs_obj_t *directory, daos_anchor_t *anchor, uint32_t *count,
			   struct dirent *entries);
	/** Tells up to `count` names and their attributes. Not before 2.6. */
	int (*dfs_readdirplus)(dfs_t *dfs, dfs_obj_t *directory, daos_anchor_t *anchor, uint32_t *count,
			       struct dirent *entries, struct stat *stats);
	/** Makes a directory. */
	int (*dfs_mkdir)(dfs_t *dfs, dfs_obj_t *directory, const char *name, mode_t mode, uint32_t object_class);
	/** Removes a name, and with `force` what is below. */
	int (*dfs_remove)(dfs_t *dfs, dfs_obj_t *directory, const char *name, bool force, daos_obj_id_t *object);
	/** Renames. */
	int (*dfs_move)(dfs_t *dfs, dfs_obj_t *from, const char *name, dfs_obj_t *to, const char *new_name,
			daos_obj_id_t *replaced);
	/** Exchanges two names. */
	int (*dfs_exchange)(dfs_t *dfs, dfs_obj_t *first, const char *first_name, dfs_obj_t *second,
			    const char *second_name);
	/** Attributes by name. */
	int (*dfs_stat)(dfs_t *dfs, dfs_obj_t *directory, const char *name, struct stat *stat);
	/** Attributes of an open node. */
	int (*dfs_ostat)(dfs_t *dfs, dfs_obj_t *node, struct stat *stat);
	/** The same, with its two messages under way at once. Exported by libdfs for dfuse, in no installed header. */
	int (*dfs_ostatx)(dfs_t *dfs, dfs_obj_t *node, struct stat *stat, daos_event_t *event);
	/** Sets those that `flags` name. */
	int (*dfs_osetattr)(dfs_t *dfs, dfs_obj_t *node, struct stat *stat, int flags);
	/** Sets the permission bits. */
	int (*dfs_chmod)(dfs_t *dfs, dfs_obj_t *directory, const char *name, mode_t mode);
	/** Sets the owner. Not before 2.4. */
	int (*dfs_chown)(dfs_t *dfs, dfs_obj_t *directory, const char *name, uid_t uid, gid_t gid, int flags);
	/** Nothing today: what was written is kept already. */
	int (*dfs_sync)(dfs_t *dfs);
	/** Sets an extended attribute. */
	int (*dfs_setxattr)(dfs_t *dfs, dfs_obj_t *node, const char *name, const void *value, uint64_t byte_count,
			    int flags);
	/** Reads one. */
	int (*dfs_getxattr)(dfs_t *dfs, dfs_obj_t *node, const char *name, void *value, uint64_t *byte_count);
	/** Removes one. */
	int (*dfs_removexattr)(dfs_t *dfs, dfs_obj_t *node, const char *name);
	/** Lists them. */
	int (*dfs_listxattr)(dfs_t *dfs, dfs_obj_t *node, char *names, uint64_t *byte_count);
	/** Kind and permission bits as they were when the node was opened. */
	int (*dfs_get_mode)(dfs_obj_t *node, mode_t *mode);
	/** A symlink's target. */
	int (*dfs_get_symlink_value)(dfs_obj_t *node, char *target, uint64_t *byte_count);
	/** A node's object. */
	int (*dfs_obj2id)(dfs_obj_t *node, daos_obj_id_t *object);
	/** What is known of a node. */
	int (*dfs_obj_get_info)(dfs_t *dfs, dfs_obj_t *node, dfs_obj_info_t *info);
	/** A file's chunk size. */
	int (*dfs_get_chunk_size)(dfs_obj_t *file, uint64_t *byte_count);
	/** Sets the chunk size of files that will be made in a directory. */
	int (*dfs_obj_set_chunk_size)(dfs_t *dfs, dfs_obj_t *directory, int flags, uint64_t chunk_bytes);
	/** The mount as bytes for another process; with no memory, how many. No message. */
	int (*dfs_local2global)(dfs_t *dfs, d_iov_t *bytes);
	/** An open node as bytes for another process; with no memory, how many. */
	int (*dfs_obj_local2global)(dfs_t *dfs, dfs_obj_t *node, d_iov_t *bytes);
	/** And back. */
	int (*dfs_obj_global2local)(dfs_t *dfs, int flags, d_iov_t bytes, dfs_obj_t **node);
};

#endif
