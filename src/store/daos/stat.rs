//! libdfs's `struct stat` as attributes.

use crate::store::{Attributes, Kind, NodeId, Timestamp};

/// What a directory or symlink says of its chunk size.
const PAGE_BYTES: u64 = 4096;

/// The attributes that `stat` tells. `chunk_bytes` is the file's, which only some calls of libdfs fill in.
pub fn attributes(node: NodeId, kind: Kind, stat: &libc::stat, chunk_bytes: u64) -> Attributes {
    let modified = Timestamp::from_parts(stat.st_mtime, stat.st_mtime_nsec);
    let changed = Timestamp::from_parts(stat.st_ctime, stat.st_ctime_nsec);
    Attributes {
        node,
        generation: 0,
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        // 1 for directories too: there are no counts of what is in them, and 1 is what a program takes for "not told",
        // where 2 would say "no directory in it".
        link_count: 1,
        size_bytes: stat.st_size.cast_unsigned(),
        blocks: stat.st_blocks.cast_unsigned(),
        chunk_bytes: if kind == Kind::File && chunk_bytes != 0 { chunk_bytes } else { PAGE_BYTES },
        // Not kept: the later one of the others, as dfuse tells it.
        accessed: modified.max(changed),
        modified,
        changed,
        // Not kept either: no later than any other.
        born: modified.min(changed),
    }
}

/// What is known of a node without having been told: its kind and its rights.
pub fn unknown(node: NodeId, kind: Kind, mode: u32, owner: Option<(u32, u32)>) -> Attributes {
    let (uid, gid) = owner.unwrap_or((0, 0));
    let time = Timestamp::default();
    Attributes {
        node,
        generation: 0,
        kind,
        mode,
        uid,
        gid,
        link_count: 1,
        size_bytes: 0,
        blocks: 0,
        chunk_bytes: PAGE_BYTES,
        accessed: time,
        modified: time,
        changed: time,
        born: time,
    }
}
