//! Made of `include/sidestep_daos.h` by `build.rs`: change it there, and then
//! `SIDESTEP_WRITE_BINDINGS=1 cargo check --features bindgen`.
//!
//! Declarations: a946f81c01291dc2.
#![allow(unsafe_code, non_camel_case_types, clippy::pedantic)]

use super::types::*;
use core::ffi::{c_char, c_int, c_uint, c_void};
use libc::{dirent, gid_t, mode_t, stat, timespec, uid_t};

/// Every call that is used, each under its own name; null where the library does not have it.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sidestep_daos_calls {
    /// Opens the library's log, before it opens that itself: to no file, and with nothing but what `error_mask` says on
    /// standard error. Once; counted from then on.
    pub d_log_init_adv: Option<
        unsafe extern "C" fn(
            tag: *mut c_char,
            file: *mut c_char,
            flavor: c_uint,
            mask: u64,
            error_mask: u64,
            identity: Option<unsafe extern "C" fn(thread: *mut u32, user: *mut u64)>,
        ) -> c_int,
    >,
    /// Starts the library; each start has an end.
    pub daos_init: Option<unsafe extern "C" fn() -> c_int>,
    /// Ends it.
    pub daos_fini: Option<unsafe extern "C" fn() -> c_int>,
    /// Makes the library usable in a fork child. Not before 2.4.
    pub daos_reinit: Option<unsafe extern "C" fn() -> c_int>,
    /// Has a function called by each thread that waits for the network of one context, at each turn, without a lock:
    /// with the microseconds that the turn may sleep, for those that it shall.
    pub crt_register_progress_cb: Option<
        unsafe extern "C" fn(
            turn: Option<unsafe extern "C" fn(context: *mut c_void, timeout: i64, argument: *mut c_void) -> i64>,
            index: c_int,
            argument: *mut c_void,
        ) -> c_int,
    >,
    /// How many contexts there are; a new one has the last index.
    pub crt_context_num: Option<unsafe extern "C" fn(count: *mut c_int) -> c_int>,
    /// Connects to a pool by label or UUID; flags 1 to read, 2 to write.
    pub daos_pool_connect2: Option<
        unsafe extern "C" fn(
            pool: *const c_char,
            system: *const c_char,
            flags: c_uint,
            handle: *mut daos_handle_t,
            info: *mut daos_pool_info_t,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// Undoes that.
    pub daos_pool_disconnect: Option<unsafe extern "C" fn(pool: daos_handle_t, event: *mut daos_event_t) -> c_int>,
    /// Asks for what `info->pi_bits` says.
    pub daos_pool_query: Option<
        unsafe extern "C" fn(
            pool: daos_handle_t,
            ranks: *mut *mut d_rank_list_t,
            info: *mut daos_pool_info_t,
            properties: *mut daos_prop_t,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// Opens a container by label or UUID; flags 1 to read, 2 to write.
    pub daos_cont_open2: Option<
        unsafe extern "C" fn(
            pool: daos_handle_t,
            container: *const c_char,
            flags: c_uint,
            handle: *mut daos_handle_t,
            info: *mut daos_cont_info_t,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// Undoes that.
    pub daos_cont_close: Option<unsafe extern "C" fn(container: daos_handle_t, event: *mut daos_event_t) -> c_int>,
    /// Tells of a container.
    pub daos_cont_query: Option<
        unsafe extern "C" fn(
            container: daos_handle_t,
            info: *mut daos_cont_info_t,
            properties: *mut daos_prop_t,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// Makes an event queue, with a network context of its own.
    pub daos_eq_create: Option<unsafe extern "C" fn(queue: *mut daos_handle_t) -> c_int>,
    /// Removes one; flags 1 with what is under way.
    pub daos_eq_destroy: Option<unsafe extern "C" fn(queue: daos_handle_t, flags: c_int) -> c_int>,
    /// Drives a queue's operations for at most `timeout` microseconds (0 not at all, -1 for ever); answers how many
    /// ended.
    pub daos_eq_poll: Option<
        unsafe extern "C" fn(
            queue: daos_handle_t,
            wait_running: c_int,
            timeout: i64,
            event_count: c_uint,
            events: *mut *mut daos_event_t,
        ) -> c_int,
    >,
    /// Readies an event.
    pub daos_event_init: Option<
        unsafe extern "C" fn(event: *mut daos_event_t, queue: daos_handle_t, parent: *mut daos_event_t) -> c_int,
    >,
    /// Undoes that.
    pub daos_event_fini: Option<unsafe extern "C" fn(event: *mut daos_event_t) -> c_int>,
    /// Drives one operation for at most `timeout` microseconds.
    pub daos_event_test:
        Option<unsafe extern "C" fn(event: *mut daos_event_t, timeout: i64, has_ended: *mut bool) -> c_int>,
    /// Asks for the end of an operation.
    pub daos_event_abort: Option<unsafe extern "C" fn(event: *mut daos_event_t) -> c_int>,
    /// Opens an object; mode 2 to read, 4 to write. No message.
    pub daos_obj_open: Option<
        unsafe extern "C" fn(
            container: daos_handle_t,
            object: daos_obj_id_t,
            mode: c_uint,
            handle: *mut daos_handle_t,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// Undoes that. No message.
    pub daos_obj_close: Option<unsafe extern "C" fn(object: daos_handle_t, event: *mut daos_event_t) -> c_int>,
    /// Reads what is under keys of an object; flags 8: only if there is the first of them.
    pub daos_obj_fetch: Option<
        unsafe extern "C" fn(
            object: daos_handle_t,
            transaction: daos_handle_t,
            flags: u64,
            key: *mut daos_key_t,
            count: c_uint,
            what: *mut daos_iod_t,
            memory: *mut d_sg_list_t,
            maps: *mut daos_iom_t,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// Asks for an array's size and time of change.
    pub daos_array_stat: Option<
        unsafe extern "C" fn(
            array: daos_handle_t,
            transaction: daos_handle_t,
            stat: *mut daos_array_stbuf_t,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// A time as the servers count it, as one of the clock. No message.
    pub d_hlc2timespec: Option<unsafe extern "C" fn(epoch: u64, time: *mut timespec) -> c_int>,
    /// The array of a file. No message.
    pub dfs_get_file_oh: Option<unsafe extern "C" fn(file: *mut dfs_obj_t, array: *mut daos_handle_t) -> c_int>,
    /// Mounts a container; flags O_RDONLY or O_RDWR, with 4 for a balanced one.
    pub dfs_mount: Option<
        unsafe extern "C" fn(
            pool: daos_handle_t,
            container: daos_handle_t,
            flags: c_int,
            dfs: *mut *mut dfs_t,
        ) -> c_int,
    >,
    /// Mounts a snapshot by epoch, or by name with epoch 0.
    pub dfs_mount_snap: Option<
        unsafe extern "C" fn(
            pool: daos_handle_t,
            container: daos_handle_t,
            flags: c_int,
            epoch: u64,
            name: *const c_char,
            dfs: *mut *mut dfs_t,
        ) -> c_int,
    >,
    /// Undoes either.
    pub dfs_umount: Option<unsafe extern "C" fn(dfs: *mut dfs_t) -> c_int>,
    /// Tells the container's attributes, without a message.
    pub dfs_query: Option<unsafe extern "C" fn(dfs: *mut dfs_t, attributes: *mut dfs_attr_t) -> c_int>,
    /// Opens what an absolute path leads to.
    pub dfs_lookup: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            path: *const c_char,
            flags: c_int,
            node: *mut *mut dfs_obj_t,
            mode: *mut mode_t,
            stat: *mut stat,
        ) -> c_int,
    >,
    /// Opens what a name leads to in a directory.
    pub dfs_lookup_rel: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            directory: *mut dfs_obj_t,
            name: *const c_char,
            flags: c_int,
            node: *mut *mut dfs_obj_t,
            mode: *mut mode_t,
            stat: *mut stat,
        ) -> c_int,
    >,
    /// Opens or makes a node of the kind that `mode` says.
    pub dfs_open: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            directory: *mut dfs_obj_t,
            name: *const c_char,
            mode: mode_t,
            flags: c_int,
            object_class: u32,
            chunk_bytes: u64,
            target: *const c_char,
            node: *mut *mut dfs_obj_t,
        ) -> c_int,
    >,
    /// Another handle to the same node.
    pub dfs_dup: Option<
        unsafe extern "C" fn(dfs: *mut dfs_t, node: *mut dfs_obj_t, flags: c_int, copy: *mut *mut dfs_obj_t) -> c_int,
    >,
    /// Closes a node.
    pub dfs_release: Option<unsafe extern "C" fn(node: *mut dfs_obj_t) -> c_int>,
    /// Reads one range.
    pub dfs_read: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            file: *mut dfs_obj_t,
            memory: *mut d_sg_list_t,
            offset: u64,
            byte_count: *mut u64,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// Reads several.
    pub dfs_readx: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            file: *mut dfs_obj_t,
            ranges: *mut dfs_iod_t,
            memory: *mut d_sg_list_t,
            byte_count: *mut u64,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// Writes one range.
    pub dfs_write: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            file: *mut dfs_obj_t,
            memory: *mut d_sg_list_t,
            offset: u64,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// Writes several.
    pub dfs_writex: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            file: *mut dfs_obj_t,
            ranges: *mut dfs_iod_t,
            memory: *mut d_sg_list_t,
            event: *mut daos_event_t,
        ) -> c_int,
    >,
    /// A file's size in bytes.
    pub dfs_get_size:
        Option<unsafe extern "C" fn(dfs: *mut dfs_t, file: *mut dfs_obj_t, byte_count: *mut u64) -> c_int>,
    /// Makes a hole; with a length of 2^64 - 1 sets the size.
    pub dfs_punch:
        Option<unsafe extern "C" fn(dfs: *mut dfs_t, file: *mut dfs_obj_t, offset: u64, length: u64) -> c_int>,
    /// Tells up to `count` names.
    pub dfs_readdir: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            directory: *mut dfs_obj_t,
            anchor: *mut daos_anchor_t,
            count: *mut u32,
            entries: *mut dirent,
        ) -> c_int,
    >,
    /// Tells up to `count` names and their attributes. Not before 2.6.
    pub dfs_readdirplus: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            directory: *mut dfs_obj_t,
            anchor: *mut daos_anchor_t,
            count: *mut u32,
            entries: *mut dirent,
            stats: *mut stat,
        ) -> c_int,
    >,
    /// Makes a directory.
    pub dfs_mkdir: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            directory: *mut dfs_obj_t,
            name: *const c_char,
            mode: mode_t,
            object_class: u32,
        ) -> c_int,
    >,
    /// Removes a name, and with `force` what is below.
    pub dfs_remove: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            directory: *mut dfs_obj_t,
            name: *const c_char,
            force: bool,
            object: *mut daos_obj_id_t,
        ) -> c_int,
    >,
    /// Renames.
    pub dfs_move: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            from: *mut dfs_obj_t,
            name: *const c_char,
            to: *mut dfs_obj_t,
            new_name: *const c_char,
            replaced: *mut daos_obj_id_t,
        ) -> c_int,
    >,
    /// Exchanges two names.
    pub dfs_exchange: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            first: *mut dfs_obj_t,
            first_name: *const c_char,
            second: *mut dfs_obj_t,
            second_name: *const c_char,
        ) -> c_int,
    >,
    /// Attributes by name.
    pub dfs_stat: Option<
        unsafe extern "C" fn(dfs: *mut dfs_t, directory: *mut dfs_obj_t, name: *const c_char, stat: *mut stat) -> c_int,
    >,
    /// Attributes of an open node.
    pub dfs_ostat: Option<unsafe extern "C" fn(dfs: *mut dfs_t, node: *mut dfs_obj_t, stat: *mut stat) -> c_int>,
    /// The same, with its two messages under way at once. Exported by libdfs for dfuse, in no installed header.
    pub dfs_ostatx: Option<
        unsafe extern "C" fn(dfs: *mut dfs_t, node: *mut dfs_obj_t, stat: *mut stat, event: *mut daos_event_t) -> c_int,
    >,
    /// Sets those that `flags` name.
    pub dfs_osetattr:
        Option<unsafe extern "C" fn(dfs: *mut dfs_t, node: *mut dfs_obj_t, stat: *mut stat, flags: c_int) -> c_int>,
    /// Sets the permission bits.
    pub dfs_chmod: Option<
        unsafe extern "C" fn(dfs: *mut dfs_t, directory: *mut dfs_obj_t, name: *const c_char, mode: mode_t) -> c_int,
    >,
    /// Sets the owner. Not before 2.4.
    pub dfs_chown: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            directory: *mut dfs_obj_t,
            name: *const c_char,
            uid: uid_t,
            gid: gid_t,
            flags: c_int,
        ) -> c_int,
    >,
    /// Nothing today: what was written is kept already.
    pub dfs_sync: Option<unsafe extern "C" fn(dfs: *mut dfs_t) -> c_int>,
    /// Sets an extended attribute.
    pub dfs_setxattr: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            node: *mut dfs_obj_t,
            name: *const c_char,
            value: *const c_void,
            byte_count: u64,
            flags: c_int,
        ) -> c_int,
    >,
    /// Reads one.
    pub dfs_getxattr: Option<
        unsafe extern "C" fn(
            dfs: *mut dfs_t,
            node: *mut dfs_obj_t,
            name: *const c_char,
            value: *mut c_void,
            byte_count: *mut u64,
        ) -> c_int,
    >,
    /// Removes one.
    pub dfs_removexattr:
        Option<unsafe extern "C" fn(dfs: *mut dfs_t, node: *mut dfs_obj_t, name: *const c_char) -> c_int>,
    /// Lists them.
    pub dfs_listxattr: Option<
        unsafe extern "C" fn(dfs: *mut dfs_t, node: *mut dfs_obj_t, names: *mut c_char, byte_count: *mut u64) -> c_int,
    >,
    /// Kind and permission bits as they were when the node was opened.
    pub dfs_get_mode: Option<unsafe extern "C" fn(node: *mut dfs_obj_t, mode: *mut mode_t) -> c_int>,
    /// A symlink's target.
    pub dfs_get_symlink_value:
        Option<unsafe extern "C" fn(node: *mut dfs_obj_t, target: *mut c_char, byte_count: *mut u64) -> c_int>,
    /// A node's object.
    pub dfs_obj2id: Option<unsafe extern "C" fn(node: *mut dfs_obj_t, object: *mut daos_obj_id_t) -> c_int>,
    /// What is known of a node.
    pub dfs_obj_get_info:
        Option<unsafe extern "C" fn(dfs: *mut dfs_t, node: *mut dfs_obj_t, info: *mut dfs_obj_info_t) -> c_int>,
    /// A file's chunk size.
    pub dfs_get_chunk_size: Option<unsafe extern "C" fn(file: *mut dfs_obj_t, byte_count: *mut u64) -> c_int>,
    /// Sets the chunk size of files that will be made in a directory.
    pub dfs_obj_set_chunk_size: Option<
        unsafe extern "C" fn(dfs: *mut dfs_t, directory: *mut dfs_obj_t, flags: c_int, chunk_bytes: u64) -> c_int,
    >,
    /// The mount as bytes for another process; with no memory, how many. No message.
    pub dfs_local2global: Option<unsafe extern "C" fn(dfs: *mut dfs_t, bytes: *mut d_iov_t) -> c_int>,
    /// An open node as bytes for another process; with no memory, how many.
    pub dfs_obj_local2global:
        Option<unsafe extern "C" fn(dfs: *mut dfs_t, node: *mut dfs_obj_t, bytes: *mut d_iov_t) -> c_int>,
    /// And back.
    pub dfs_obj_global2local:
        Option<unsafe extern "C" fn(dfs: *mut dfs_t, flags: c_int, bytes: d_iov_t, node: *mut *mut dfs_obj_t) -> c_int>,
}
