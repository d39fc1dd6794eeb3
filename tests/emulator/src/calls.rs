//! The calls by their names: for counting, and for faults.

macro_rules! calls {
    ($($name:ident)*) => {
        /// A call of libdaos or libdfs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, missing_docs)]
        #[repr(usize)]
        pub enum Call { $($name),* }

        /// Their names, in the order of [`Call`].
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

calls! {
    d_log_init_adv crt_register_progress_cb crt_context_num daos_init daos_fini daos_reinit
    daos_pool_connect2 daos_pool_disconnect daos_pool_query
    daos_cont_open2 daos_cont_close daos_cont_query daos_cont_create_snap
    daos_eq_create daos_eq_destroy daos_eq_poll
    daos_event_init daos_event_fini daos_event_test daos_event_abort
    daos_obj_open daos_obj_close daos_obj_fetch daos_array_stat d_hlc2timespec
    dfs_get_file_oh
    dfs_mount dfs_mount_snap dfs_umount dfs_query
    dfs_lookup dfs_lookup_rel dfs_open dfs_dup dfs_release
    dfs_read dfs_readx dfs_write dfs_writex
    dfs_get_size dfs_punch dfs_readdir dfs_readdirplus dfs_mkdir dfs_remove dfs_move dfs_exchange
    dfs_stat dfs_ostat dfs_ostatx dfs_osetattr dfs_chmod dfs_chown dfs_sync
    dfs_setxattr dfs_getxattr dfs_removexattr dfs_listxattr
    dfs_get_mode dfs_get_symlink_value dfs_obj2id dfs_obj_get_info dfs_get_chunk_size dfs_obj_set_chunk_size
    dfs_local2global dfs_obj_local2global dfs_obj_global2local
}

impl Call {
    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}
