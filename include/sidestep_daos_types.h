/* The types that calls of libdaos and libdfs take. */
#ifndef SIDESTEP_DAOS_TYPES_H
#define SIDESTEP_DAOS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A handle to a pool, a container or an event queue; 0 is none. */
typedef struct {
	/** The library's own number. */
	uint64_t cookie;
} daos_handle_t;

/** An object's number: its upper 32 bits of `hi` belong to DAOS (type, class, metadata). */
typedef struct {
	/** Lower half. */
	uint64_t lo;
	/** Upper half. */
	uint64_t hi;
} daos_obj_id_t;

/** A piece of memory. */
typedef struct {
	/** Where it begins. */
	void *iov_buf;
	/** Its room in bytes. */
	size_t iov_buf_len;
	/** The bytes of it that count. */
	size_t iov_len;
} d_iov_t;

/** Pieces of memory in the order of the transfer. None may be empty: the servers refuse them. */
typedef struct {
	/** How many pieces. */
	uint32_t sg_nr;
	/** How many the library used. */
	uint32_t sg_nr_out;
	/** The pieces. */
	d_iov_t *sg_iovs;
} d_sg_list_t;

/** A range of an array, in bytes. */
typedef struct {
	/** Its first byte. */
	uint64_t rg_idx;
	/** Its length. */
	uint64_t rg_len;
} daos_range_t;

/** Ranges of a file. */
typedef struct {
	/** How many. */
	uint64_t iod_nr;
	/** The ranges. */
	daos_range_t *iod_rgs;
} dfs_iod_t;

/** A key, as bytes. */
typedef d_iov_t daos_key_t;

/** A range of records under a key. */
typedef struct {
	/** The first. */
	uint64_t rx_idx;
	/** How many. */
	uint64_t rx_nr;
} daos_recx_t;

/** What of a key is to be read. */
typedef struct {
	/** The key. */
	daos_key_t iod_name;
	/** 1 a single value, 2 an array of records. */
	uint32_t iod_type;
	/** Bytes of a record. */
	uint64_t iod_size;
	/** Conditions; 0. */
	uint64_t iod_flags;
	/** How many ranges. */
	uint32_t iod_nr;
	/** The ranges. */
	daos_recx_t *iod_recxs;
} daos_iod_t;

/** Which records of the ranges that are read there are. */
typedef struct {
	/** 1 a single value, 2 an array of records. */
	uint32_t iom_type;
	/** Room in `iom_recxs`; 0, with null there, has the library make it. */
	uint32_t iom_nr;
	/** How many ranges there are. */
	uint32_t iom_nr_out;
	/** 1: all of them are wanted, not only the outermost. */
	uint32_t iom_flags;
	/** Bytes of a record. */
	uint64_t iom_size;
	/** The lowest range. */
	daos_recx_t iom_recx_lo;
	/** The highest range. */
	daos_recx_t iom_recx_hi;
	/** All of them; who asked frees them with `free`. */
	daos_recx_t *iom_recxs;
} daos_iom_t;

/** What an array tells of itself. */
typedef struct {
	/** Its size in bytes. */
	uint64_t st_size;
	/** When it was last changed, as the servers count; 0 for never. */
	uint64_t st_max_epoch;
} daos_array_stbuf_t;

/** An operation under way: it stays where it is in memory until it has ended. */
typedef struct daos_event {
	/** Its outcome: 0 or a positive errno from libdfs, 0 or a negative DER number from libdaos. */
	int ev_error;
	/** The library's own. */
	uint64_t ev_private[20];
	/** For debugging. */
	uint64_t ev_debug;
} daos_event_t;

/** Where a listing goes on; all zeros is its beginning, `da_type` 3 its end. */
typedef struct {
	/** 0 beginning, 1 and 2 on the way, 3 end. */
	uint16_t da_type;
	/** The library's own. */
	uint16_t da_shard;
	/** The library's own. */
	uint32_t da_flags;
	/** The library's own. */
	uint64_t da_sub_anchors;
	/** The library's own. */
	uint8_t da_buf[104];
} daos_anchor_t;

/** Room and free bytes by kind of storage: memory (or persistent memory) first, then drives. */
struct daos_space {
	/** Bytes in all. */
	uint64_t s_total[2];
	/** Bytes free. */
	uint64_t s_free[2];
};

/** A pool's space. */
struct daos_pool_space {
	/** Of all targets that are up. */
	struct daos_space ps_space;
	/** Of the target with the least free. */
	uint64_t ps_free_min[2];
	/** Of the target with the most free. */
	uint64_t ps_free_max[2];
	/** The mean over the targets. */
	uint64_t ps_free_mean[2];
	/** Targets. */
	uint32_t ps_ntargets;
	/** Nothing. */
	uint32_t ps_padding;
};

/** How far a rebuild is. */
struct daos_rebuild_status {
	/** Version of the pool's map. */
	uint32_t rs_version;
	/** Seconds that it took. */
	uint32_t rs_seconds;
	/** Its error. */
	int32_t rs_errno;
	/** Its state. */
	int32_t rs_state;
	/** Highest layout version. */
	uint16_t rs_max_supported_layout_ver;
	/** Flags. */
	uint8_t rs_flags;
	/** The library's own. */
	uint8_t rs_reserved_;
	/** The rank that failed. */
	int32_t rs_fail_rank;
	/** Objects to be rebuilt. */
	uint64_t rs_toberb_obj_nr;
	/** Objects rebuilt. */
	uint64_t rs_obj_nr;
	/** Records rebuilt. */
	uint64_t rs_rec_nr;
	/** Bytes. */
	uint64_t rs_size;
};

/** What a pool tells of itself. */
typedef struct {
	/** Its UUID. */
	uint8_t pi_uuid[16];
	/** Targets. */
	uint32_t pi_ntargets;
	/** Engines. */
	uint32_t pi_nnodes;
	/** Targets that are out. */
	uint32_t pi_ndisabled;
	/** Version of the pool's map. */
	uint32_t pi_map_ver;
	/** The leader's rank. */
	uint32_t pi_leader;
	/** In: what is asked for beside the above; 1 is the space. */
	uint64_t pi_bits;
	/** Space. */
	struct daos_pool_space pi_space;
	/** Rebuild. */
	struct daos_rebuild_status pi_rebuild_st;
} daos_pool_info_t;

/** What a container tells of itself. */
typedef struct {
	/** Its UUID. */
	uint8_t ci_uuid[16];
	/** The last snapshot's epoch. */
	uint64_t ci_lsnapshot;
	/** Handles that are open. */
	uint32_t ci_nhandles;
	/** Snapshots. */
	uint32_t ci_nsnapshots;
	/** When it was last opened. */
	uint64_t ci_md_otime;
	/** When it was last closed or changed. */
	uint64_t ci_md_mtime;
} daos_cont_info_t;

/** A list of ranks; always null here. */
typedef struct {
	/** The ranks. */
	uint32_t *rl_ranks;
	/** How many. */
	uint32_t rl_nr;
} d_rank_list_t;

/** Properties; always null here. */
struct daos_prop;
/** Properties; always null here. */
typedef struct daos_prop daos_prop_t;

/** The attributes of a POSIX container. */
typedef struct {
	/** A number that its owner chose. */
	uint64_t da_id;
	/** Chunk size of its files in bytes; 0 is the library's. */
	uint64_t da_chunk_size;
	/** Object class of everything; 0 is the library's. */
	uint32_t da_oclass_id;
	/** Its properties. */
	daos_prop_t *da_props;
	/** 0 relaxed, 4 balanced. */
	uint32_t da_mode;
	/** Object class of directories. */
	uint32_t da_dir_oclass_id;
	/** Object class of files. */
	uint32_t da_file_oclass_id;
	/** Hints that it was made with. */
	char da_hints[128];
} dfs_attr_t;

/** What is known of an open node without a message. */
typedef struct {
	/** Object class. */
	uint32_t doi_oclass_id;
	/** Chunk size in bytes. */
	uint64_t doi_chunk_size;
	/** Object class of directories made in it. */
	uint32_t doi_dir_oclass_id;
	/** Object class of files made in it. */
	uint32_t doi_file_oclass_id;
	/** Object. */
	daos_obj_id_t doi_oid;
} dfs_obj_info_t;

/** A mounted container. */
struct dfs;
/** A mounted container. */
typedef struct dfs dfs_t;

/** An open node. */
struct dfs_obj;
/** An open node. */
typedef struct dfs_obj dfs_obj_t;

#endif
