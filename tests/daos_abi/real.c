/*
 * Compiled where the real headers are: our types have the layout of theirs, and each of our calls has the type of
 * theirs. Nothing is run.
 */
#define _GNU_SOURCE
#include <cart/api.h>
#include <daos.h>
#include <daos_fs.h>
#include <fcntl.h>
#include <gurt/common.h>
#include <gurt/dlog.h>
#include <stddef.h>

/* Ours, under other names. */
#define daos_handle_t our_handle
#define daos_obj_id_t our_object_id
#define d_iov_t our_iov
#define d_sg_list_t our_sg_list
#define daos_range_t our_range
#define dfs_iod_t our_iod
#define daos_event our_event_tag
#define daos_event_t our_event
#define daos_anchor_t our_anchor
#define daos_key_t our_key
#define daos_recx_t our_recx
#define daos_iod_t our_key_iod
#define daos_iom_t our_iom
#define daos_array_stbuf_t our_array_stat
#define daos_space our_space
#define daos_pool_space our_pool_space
#define daos_rebuild_status our_rebuild_status
#define daos_pool_info_t our_pool_info
#define daos_cont_info_t our_cont_info
#define d_rank_list_t our_rank_list
#define daos_prop our_prop_tag
#define daos_prop_t our_prop
#define dfs_attr_t our_attr
#define dfs_obj_info_t our_obj_info
#define dfs our_dfs_tag
#define dfs_t our_dfs
#define dfs_obj our_obj_tag
#define dfs_obj_t our_obj
#include "sidestep_daos_types.h"
#undef daos_handle_t
#undef daos_obj_id_t
#undef d_iov_t
#undef d_sg_list_t
#undef daos_range_t
#undef dfs_iod_t
#undef daos_event
#undef daos_event_t
#undef daos_anchor_t
#undef daos_key_t
#undef daos_recx_t
#undef daos_iod_t
#undef daos_iom_t
#undef daos_array_stbuf_t
#undef daos_space
#undef daos_pool_space
#undef daos_rebuild_status
#undef daos_pool_info_t
#undef daos_cont_info_t
#undef d_rank_list_t
#undef daos_prop
#undef daos_prop_t
#undef dfs_attr_t
#undef dfs_obj_info_t
#undef dfs
#undef dfs_t
#undef dfs_obj
#undef dfs_obj_t

#define SAME_SIZE(ours, theirs) _Static_assert(sizeof(ours) == sizeof(theirs), #theirs ": size")
#define SAME_FIELD(ours, theirs, field)                                                                                \
	_Static_assert(offsetof(ours, field) == offsetof(theirs, field) &&                                             \
			       sizeof(((ours *)0)->field) == sizeof(((theirs *)0)->field),                             \
		       #theirs ": " #field)

SAME_SIZE(our_handle, daos_handle_t);
SAME_FIELD(our_handle, daos_handle_t, cookie);
SAME_SIZE(our_object_id, daos_obj_id_t);
SAME_FIELD(our_object_id, daos_obj_id_t, lo);
SAME_FIELD(our_object_id, daos_obj_id_t, hi);
SAME_SIZE(our_iov, d_iov_t);
SAME_FIELD(our_iov, d_iov_t, iov_buf);
SAME_FIELD(our_iov, d_iov_t, iov_buf_len);
SAME_FIELD(our_iov, d_iov_t, iov_len);
SAME_SIZE(our_sg_list, d_sg_list_t);
SAME_FIELD(our_sg_list, d_sg_list_t, sg_nr);
SAME_FIELD(our_sg_list, d_sg_list_t, sg_nr_out);
SAME_FIELD(our_sg_list, d_sg_list_t, sg_iovs);
SAME_SIZE(our_range, daos_range_t);
SAME_FIELD(our_range, daos_range_t, rg_idx);
SAME_FIELD(our_range, daos_range_t, rg_len);
SAME_SIZE(our_iod, dfs_iod_t);
SAME_FIELD(our_iod, dfs_iod_t, iod_nr);
SAME_FIELD(our_iod, dfs_iod_t, iod_rgs);
SAME_SIZE(our_event, daos_event_t);
SAME_FIELD(our_event, daos_event_t, ev_error);
SAME_FIELD(our_event, daos_event_t, ev_private);
SAME_FIELD(our_event, daos_event_t, ev_debug);
SAME_SIZE(our_anchor, daos_anchor_t);
SAME_FIELD(our_anchor, daos_anchor_t, da_type);
SAME_FIELD(our_anchor, daos_anchor_t, da_buf);
_Static_assert(DAOS_ANCHOR_TYPE_EOF == 3, "the end of a listing");
SAME_SIZE(our_recx, daos_recx_t);
SAME_FIELD(our_recx, daos_recx_t, rx_idx);
SAME_FIELD(our_recx, daos_recx_t, rx_nr);
SAME_SIZE(our_key_iod, daos_iod_t);
SAME_FIELD(our_key_iod, daos_iod_t, iod_name);
SAME_FIELD(our_key_iod, daos_iod_t, iod_type);
SAME_FIELD(our_key_iod, daos_iod_t, iod_size);
SAME_FIELD(our_key_iod, daos_iod_t, iod_nr);
SAME_FIELD(our_key_iod, daos_iod_t, iod_recxs);
SAME_SIZE(our_iom, daos_iom_t);
SAME_FIELD(our_iom, daos_iom_t, iom_type);
SAME_FIELD(our_iom, daos_iom_t, iom_nr);
SAME_FIELD(our_iom, daos_iom_t, iom_nr_out);
SAME_FIELD(our_iom, daos_iom_t, iom_flags);
SAME_FIELD(our_iom, daos_iom_t, iom_recx_hi);
SAME_FIELD(our_iom, daos_iom_t, iom_recxs);
SAME_SIZE(our_array_stat, daos_array_stbuf_t);
SAME_FIELD(our_array_stat, daos_array_stbuf_t, st_size);
SAME_FIELD(our_array_stat, daos_array_stbuf_t, st_max_epoch);
_Static_assert(DAOS_IOD_ARRAY == 2 && DAOS_OO_RO == 2 && DAOS_OO_RW == 4 && DAOS_COND_PUNCH == 1 &&
		       DAOS_COND_DKEY_FETCH == 8 && DAOS_IOMF_DETAIL == 1,
	       "objects and keys");
SAME_SIZE(our_pool_info, daos_pool_info_t);
SAME_FIELD(our_pool_info, daos_pool_info_t, pi_ntargets);
SAME_FIELD(our_pool_info, daos_pool_info_t, pi_bits);
SAME_FIELD(our_pool_info, daos_pool_info_t, pi_space);
SAME_FIELD(our_pool_info, daos_pool_info_t, pi_space.ps_space.s_total);
SAME_FIELD(our_pool_info, daos_pool_info_t, pi_space.ps_space.s_free);
SAME_FIELD(our_pool_info, daos_pool_info_t, pi_rebuild_st);
SAME_SIZE(our_cont_info, daos_cont_info_t);
SAME_FIELD(our_cont_info, daos_cont_info_t, ci_uuid);
SAME_FIELD(our_cont_info, daos_cont_info_t, ci_lsnapshot);
SAME_FIELD(our_cont_info, daos_cont_info_t, ci_nhandles);
SAME_SIZE(our_attr, dfs_attr_t);
SAME_FIELD(our_attr, dfs_attr_t, da_chunk_size);
SAME_FIELD(our_attr, dfs_attr_t, da_oclass_id);
SAME_FIELD(our_attr, dfs_attr_t, da_mode);
SAME_FIELD(our_attr, dfs_attr_t, da_hints);
SAME_SIZE(our_obj_info, dfs_obj_info_t);
SAME_FIELD(our_obj_info, dfs_obj_info_t, doi_chunk_size);
SAME_FIELD(our_obj_info, dfs_obj_info_t, doi_oid);
_Static_assert(DAOS_PC_RO == 1 && DAOS_PC_RW == 2 && DAOS_COO_RO == 1 && DAOS_COO_RW == 2, "access flags");
_Static_assert(DPI_SPACE == 1 && DAOS_EQ_DESTROY_FORCE == 1 && DFS_BALANCED == 4, "flags");
_Static_assert(DFS_SET_ATTR_MODE == 1 && DFS_SET_ATTR_MTIME == 4 && DFS_SET_ATTR_SIZE == 8 &&
		       DFS_SET_ATTR_UID == 16 && DFS_SET_ATTR_GID == 32,
	       "attributes to set");
_Static_assert(DFS_MAX_FSIZE == ~0ULL && DFS_MAX_NAME == 255 && DFS_MAX_XATTR_LEN == 65536, "limits");
_Static_assert(DLOG_ERR == 0x4000000 && DLOG_CRIT == 0x5000000, "levels of the log");
_Static_assert(DAOS_SUPER_MAGIC == 0xDA05AD10, "statfs");

/* The table takes their types now; each pointer must be one to their function. */
#define SIDESTEP_DAOS_TYPES_H
#include "sidestep_daos_calls.h"
struct sidestep_daos_calls sidestep_real_calls = {
	.crt_context_num = crt_context_num,
	.crt_register_progress_cb = crt_register_progress_cb,
	.d_hlc2timespec = d_hlc2timespec,
	.d_log_init_adv = d_log_init_adv,
	.daos_array_stat = daos_array_stat,
	.daos_cont_close = daos_cont_close,
	.daos_cont_open2 = daos_cont_open2,
	.daos_cont_query = daos_cont_query,
	.daos_eq_create = daos_eq_create,
	.daos_eq_destroy = daos_eq_destroy,
	.daos_eq_poll = daos_eq_poll,
	.daos_event_abort = daos_event_abort,
	.daos_event_fini = daos_event_fini,
	.daos_event_init = daos_event_init,
	.daos_event_test = daos_event_test,
	.daos_fini = daos_fini,
	.daos_init = daos_init,
	.daos_obj_close = daos_obj_close,
	.daos_obj_fetch = daos_obj_fetch,
	.daos_obj_open = daos_obj_open,
	.daos_pool_connect2 = daos_pool_connect2,
	.daos_pool_disconnect = daos_pool_disconnect,
	.daos_pool_query = daos_pool_query,
	.daos_reinit = daos_reinit,
	.dfs_chmod = dfs_chmod,
	.dfs_chown = dfs_chown,
	.dfs_dup = dfs_dup,
	.dfs_exchange = dfs_exchange,
	.dfs_get_chunk_size = dfs_get_chunk_size,
	.dfs_get_file_oh = dfs_get_file_oh,
	.dfs_get_mode = dfs_get_mode,
	.dfs_get_size = dfs_get_size,
	.dfs_get_symlink_value = dfs_get_symlink_value,
	.dfs_getxattr = dfs_getxattr,
	.dfs_listxattr = dfs_listxattr,
	.dfs_lookup = dfs_lookup,
	.dfs_lookup_rel = dfs_lookup_rel,
	.dfs_mkdir = dfs_mkdir,
	.dfs_mount = dfs_mount,
	.dfs_mount_snap = dfs_mount_snap,
	.dfs_move = dfs_move,
	.dfs_obj2id = dfs_obj2id,
	.dfs_obj_get_info = dfs_obj_get_info,
	.dfs_obj_global2local = dfs_obj_global2local,
	.dfs_local2global = dfs_local2global,
	.dfs_obj_local2global = dfs_obj_local2global,
	.dfs_obj_set_chunk_size = dfs_obj_set_chunk_size,
	.dfs_open = dfs_open,
	.dfs_osetattr = dfs_osetattr,
	.dfs_ostat = dfs_ostat,
	.dfs_punch = dfs_punch,
	.dfs_query = dfs_query,
	.dfs_read = dfs_read,
	.dfs_readdir = dfs_readdir,
	.dfs_readdirplus = dfs_readdirplus,
	.dfs_readx = dfs_readx,
	.dfs_release = dfs_release,
	.dfs_remove = dfs_remove,
	.dfs_removexattr = dfs_removexattr,
	.dfs_setxattr = dfs_setxattr,
	.dfs_stat = dfs_stat,
	.dfs_sync = dfs_sync,
	.dfs_umount = dfs_umount,
	.dfs_write = dfs_write,
	.dfs_writex = dfs_writex,
};
