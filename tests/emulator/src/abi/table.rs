//! The exported functions beside the declarations that Sidestep calls them by: the compiler checks that they agree.

use super::attributes::*;
use super::data::*;
use super::events::*;
use super::handles::*;
use super::names::*;
use super::nodes::*;
use sidestep::store::daos::bindings::Calls;

/// Every call that Sidestep knows, each served here.
const _: Calls = Calls {
    daos_init: Some(daos_init),
    daos_fini: Some(daos_fini),
    daos_reinit: Some(daos_reinit),
    daos_pool_connect2: Some(daos_pool_connect2),
    daos_pool_disconnect: Some(daos_pool_disconnect),
    daos_pool_query: Some(daos_pool_query),
    daos_cont_open2: Some(daos_cont_open2),
    daos_cont_close: Some(daos_cont_close),
    daos_cont_query: Some(daos_cont_query),
    daos_eq_create: Some(daos_eq_create),
    daos_eq_destroy: Some(daos_eq_destroy),
    daos_eq_poll: Some(daos_eq_poll),
    daos_event_init: Some(daos_event_init),
    daos_event_fini: Some(daos_event_fini),
    daos_event_test: Some(daos_event_test),
    daos_event_abort: Some(daos_event_abort),
    dfs_mount: Some(dfs_mount),
    dfs_mount_snap: Some(dfs_mount_snap),
    dfs_umount: Some(dfs_umount),
    dfs_query: Some(dfs_query),
    dfs_lookup: Some(dfs_lookup),
    dfs_lookup_rel: Some(dfs_lookup_rel),
    dfs_open: Some(dfs_open),
    dfs_dup: Some(dfs_dup),
    dfs_release: Some(dfs_release),
    dfs_read: Some(dfs_read),
    dfs_readx: Some(dfs_readx),
    dfs_write: Some(dfs_write),
    dfs_writex: Some(dfs_writex),
    dfs_get_size: Some(dfs_get_size),
    dfs_punch: Some(dfs_punch),
    dfs_readdir: Some(dfs_readdir),
    dfs_readdirplus: Some(dfs_readdirplus),
    dfs_mkdir: Some(dfs_mkdir),
    dfs_remove: Some(dfs_remove),
    dfs_move: Some(dfs_move),
    dfs_exchange: Some(dfs_exchange),
    dfs_stat: Some(dfs_stat),
    dfs_ostat: Some(dfs_ostat),
    dfs_osetattr: Some(dfs_osetattr),
    dfs_chmod: Some(dfs_chmod),
    dfs_chown: Some(dfs_chown),
    dfs_sync: Some(dfs_sync),
    dfs_setxattr: Some(dfs_setxattr),
    dfs_getxattr: Some(dfs_getxattr),
    dfs_removexattr: Some(dfs_removexattr),
    dfs_listxattr: Some(dfs_listxattr),
    dfs_get_mode: Some(dfs_get_mode),
    dfs_get_symlink_value: Some(dfs_get_symlink_value),
    dfs_obj2id: Some(dfs_obj2id),
    dfs_obj_get_info: Some(dfs_obj_get_info),
    dfs_get_chunk_size: Some(dfs_get_chunk_size),
    dfs_obj_set_chunk_size: Some(dfs_obj_set_chunk_size),
    dfs_obj_local2global: Some(dfs_obj_local2global),
    dfs_obj_global2local: Some(dfs_obj_global2local),
};
