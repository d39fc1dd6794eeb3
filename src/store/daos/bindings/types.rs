//! Made of `include/sidestep_daos.h` by `build.rs`: change it there, and then
//! `SIDESTEP_WRITE_BINDINGS=1 cargo check --features bindgen`.
//!
//! Declarations: a946f81c01291dc2.
#![allow(unsafe_code, non_camel_case_types, clippy::pedantic)]

use core::ffi::{c_char, c_int, c_void};

/// A handle to a pool, a container or an event queue; 0 is none.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_handle_t {
    /// The library's own number.
    pub cookie: u64,
}
/// An object's number: its upper 32 bits of `hi` belong to DAOS (type, class, metadata).
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_obj_id_t {
    /// Lower half.
    pub lo: u64,
    /// Upper half.
    pub hi: u64,
}
/// A piece of memory.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct d_iov_t {
    /// Where it begins.
    pub iov_buf: *mut c_void,
    /// Its room in bytes.
    pub iov_buf_len: usize,
    /// The bytes of it that count.
    pub iov_len: usize,
}
/// Pieces of memory in the order of the transfer. None may be empty: the servers refuse them.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct d_sg_list_t {
    /// How many pieces.
    pub sg_nr: u32,
    /// How many the library used.
    pub sg_nr_out: u32,
    /// The pieces.
    pub sg_iovs: *mut d_iov_t,
}
/// A range of an array, in bytes.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_range_t {
    /// Its first byte.
    pub rg_idx: u64,
    /// Its length.
    pub rg_len: u64,
}
/// Ranges of a file.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dfs_iod_t {
    /// How many.
    pub iod_nr: u64,
    /// The ranges.
    pub iod_rgs: *mut daos_range_t,
}
/// A key, as bytes.
pub type daos_key_t = d_iov_t;
/// A range of records under a key.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_recx_t {
    /// The first.
    pub rx_idx: u64,
    /// How many.
    pub rx_nr: u64,
}
/// What of a key is to be read.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_iod_t {
    /// The key.
    pub iod_name: daos_key_t,
    /// 1 a single value, 2 an array of records.
    pub iod_type: u32,
    /// Bytes of a record.
    pub iod_size: u64,
    /// Conditions; 0.
    pub iod_flags: u64,
    /// How many ranges.
    pub iod_nr: u32,
    /// The ranges.
    pub iod_recxs: *mut daos_recx_t,
}
/// Which records of the ranges that are read there are.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_iom_t {
    /// 1 a single value, 2 an array of records.
    pub iom_type: u32,
    /// Room in `iom_recxs`; 0, with null there, has the library make it.
    pub iom_nr: u32,
    /// How many ranges there are.
    pub iom_nr_out: u32,
    /// 1: all of them are wanted, not only the outermost.
    pub iom_flags: u32,
    /// Bytes of a record.
    pub iom_size: u64,
    /// The lowest range.
    pub iom_recx_lo: daos_recx_t,
    /// The highest range.
    pub iom_recx_hi: daos_recx_t,
    /// All of them; who asked frees them with `free`.
    pub iom_recxs: *mut daos_recx_t,
}
/// What an array tells of itself.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_array_stbuf_t {
    /// Its size in bytes.
    pub st_size: u64,
    /// When it was last changed, as the servers count; 0 for never.
    pub st_max_epoch: u64,
}
/// An operation under way: it stays where it is in memory until it has ended.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_event {
    /// Its outcome: 0 or a positive errno from libdfs, 0 or a negative DER number from libdaos.
    pub ev_error: c_int,
    /// The library's own.
    pub ev_private: [u64; 20usize],
    /// For debugging.
    pub ev_debug: u64,
}
/// An operation under way: it stays where it is in memory until it has ended.
pub type daos_event_t = daos_event;
/// Where a listing goes on; all zeros is its beginning, `da_type` 3 its end.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_anchor_t {
    /// 0 beginning, 1 and 2 on the way, 3 end.
    pub da_type: u16,
    /// The library's own.
    pub da_shard: u16,
    /// The library's own.
    pub da_flags: u32,
    /// The library's own.
    pub da_sub_anchors: u64,
    /// The library's own.
    pub da_buf: [u8; 104usize],
}
/// Room and free bytes by kind of storage: memory (or persistent memory) first, then drives.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_space {
    /// Bytes in all.
    pub s_total: [u64; 2usize],
    /// Bytes free.
    pub s_free: [u64; 2usize],
}
/// A pool's space.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_pool_space {
    /// Of all targets that are up.
    pub ps_space: daos_space,
    /// Of the target with the least free.
    pub ps_free_min: [u64; 2usize],
    /// Of the target with the most free.
    pub ps_free_max: [u64; 2usize],
    /// The mean over the targets.
    pub ps_free_mean: [u64; 2usize],
    /// Targets.
    pub ps_ntargets: u32,
    /// Nothing.
    pub ps_padding: u32,
}
/// How far a rebuild is.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_rebuild_status {
    /// Version of the pool's map.
    pub rs_version: u32,
    /// Seconds that it took.
    pub rs_seconds: u32,
    /// Its error.
    pub rs_errno: i32,
    /// Its state.
    pub rs_state: i32,
    /// Highest layout version.
    pub rs_max_supported_layout_ver: u16,
    /// Flags.
    pub rs_flags: u8,
    /// The library's own.
    pub rs_reserved_: u8,
    /// The rank that failed.
    pub rs_fail_rank: i32,
    /// Objects to be rebuilt.
    pub rs_toberb_obj_nr: u64,
    /// Objects rebuilt.
    pub rs_obj_nr: u64,
    /// Records rebuilt.
    pub rs_rec_nr: u64,
    /// Bytes.
    pub rs_size: u64,
}
/// What a pool tells of itself.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_pool_info_t {
    /// Its UUID.
    pub pi_uuid: [u8; 16usize],
    /// Targets.
    pub pi_ntargets: u32,
    /// Engines.
    pub pi_nnodes: u32,
    /// Targets that are out.
    pub pi_ndisabled: u32,
    /// Version of the pool's map.
    pub pi_map_ver: u32,
    /// The leader's rank.
    pub pi_leader: u32,
    /// In: what is asked for beside the above; 1 is the space.
    pub pi_bits: u64,
    /// Space.
    pub pi_space: daos_pool_space,
    /// Rebuild.
    pub pi_rebuild_st: daos_rebuild_status,
}
/// What a container tells of itself.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct daos_cont_info_t {
    /// Its UUID.
    pub ci_uuid: [u8; 16usize],
    /// The last snapshot's epoch.
    pub ci_lsnapshot: u64,
    /// Handles that are open.
    pub ci_nhandles: u32,
    /// Snapshots.
    pub ci_nsnapshots: u32,
    /// When it was last opened.
    pub ci_md_otime: u64,
    /// When it was last closed or changed.
    pub ci_md_mtime: u64,
}
/// A list of ranks; always null here.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct d_rank_list_t {
    /// The ranks.
    pub rl_ranks: *mut u32,
    /// How many.
    pub rl_nr: u32,
}
/// Properties; always null here.
#[repr(C)]
#[derive(Debug)]
pub struct daos_prop {
    _unused: [u8; 0],
}
/// Properties; always null here.
pub type daos_prop_t = daos_prop;
/// The attributes of a POSIX container.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dfs_attr_t {
    /// A number that its owner chose.
    pub da_id: u64,
    /// Chunk size of its files in bytes; 0 is the library's.
    pub da_chunk_size: u64,
    /// Object class of everything; 0 is the library's.
    pub da_oclass_id: u32,
    /// Its properties.
    pub da_props: *mut daos_prop_t,
    /// 0 relaxed, 4 balanced.
    pub da_mode: u32,
    /// Object class of directories.
    pub da_dir_oclass_id: u32,
    /// Object class of files.
    pub da_file_oclass_id: u32,
    /// Hints that it was made with.
    pub da_hints: [c_char; 128usize],
}
/// What is known of an open node without a message.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dfs_obj_info_t {
    /// Object class.
    pub doi_oclass_id: u32,
    /// Chunk size in bytes.
    pub doi_chunk_size: u64,
    /// Object class of directories made in it.
    pub doi_dir_oclass_id: u32,
    /// Object class of files made in it.
    pub doi_file_oclass_id: u32,
    /// Object.
    pub doi_oid: daos_obj_id_t,
}
/// A mounted container.
#[repr(C)]
#[derive(Debug)]
pub struct dfs {
    _unused: [u8; 0],
}
/// A mounted container.
pub type dfs_t = dfs;
/// An open node.
#[repr(C)]
#[derive(Debug)]
pub struct dfs_obj {
    _unused: [u8; 0],
}
/// An open node.
pub type dfs_obj_t = dfs_obj;
