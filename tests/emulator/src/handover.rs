//! An open object as bytes that another process of the same container makes an object of: laid out as libdfs's are, so
//! that they are as long.

use crate::array::Array;
use crate::errors::Answer;
use crate::mount::{Body, Mount, Object, check_access};
use crate::oid::Oid;
use rustix::io::Errno;
use std::sync::Arc;

/// Their length.
pub const HANDOVER_BYTES: usize = 344;

/// libdfs's own mark.
const MAGIC: u32 = 0xdf50_0b90;

const NAME_AT: usize = 88;

/// The length of a mount's, and libdfs's mark of those.
pub const MOUNT_BYTES: usize = 128;
const MOUNT_MAGIC: u32 = 0xda05_df50;

/// `dfs_local2global`: what the layout's version is in, and the container. Nobody makes a mount of them here.
pub fn mount_to_bytes(mount: &Mount) -> [u8; MOUNT_BYTES] {
    let mut bytes = [0; MOUNT_BYTES];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &MOUNT_MAGIC.to_ne_bytes());
    put(6, &mount.container.layout_version.to_ne_bytes());
    put(52, &mount.container.uuid);
    bytes
}

/// `dfs_obj_local2global`.
///
/// # Errors
/// `EINVAL` for a symlink.
pub fn to_bytes(mount: &Mount, object: &Object) -> Answer<[u8; HANDOVER_BYTES]> {
    let chunk_bytes = match &object.body {
        Body::File(array) => array.chunk_bytes(),
        Body::Directory { .. } => 0,
        Body::Symlink(_) => return Err(Errno::INVAL.into()),
    };
    let mut bytes = [0; HANDOVER_BYTES];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &MAGIC.to_ne_bytes());
    put(4, &object.flags.to_ne_bytes());
    put(8, &object.mode.to_ne_bytes());
    let words = [object.oid.lo, object.oid.hi, object.parent.lo, object.parent.hi, chunk_bytes];
    for (index, word) in words.iter().enumerate() {
        put(16 + 8 * index, &word.to_ne_bytes());
    }
    put(56, &mount.container.uuid);
    put(NAME_AT, &object.name);
    Ok(bytes)
}

/// `dfs_obj_global2local`, with other flags if they are not 0.
///
/// # Errors
/// `EINVAL` for other bytes, or those of another container.
pub fn from_bytes(mount: &Mount, flags: i32, bytes: &[u8; HANDOVER_BYTES]) -> Answer<Object> {
    let word = |at: usize| u64::from_ne_bytes(*bytes[at..].first_chunk().unwrap_or(&[0; 8]));
    let half = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().unwrap_or(&[0; 4]));
    if half(0) != MAGIC || bytes[56..72] != mount.container.uuid {
        return Err(Errno::INVAL.into());
    }
    let flags = if flags == 0 { half(4).cast_signed() } else { flags };
    check_access(flags)?;
    let (oid, parent) = (Oid { lo: word(16), hi: word(24) }, Oid { lo: word(32), hi: word(40) });
    let mode = half(8);
    let body = if mode & libc::S_IFMT == libc::S_IFDIR {
        Body::Directory { chunk_bytes: 0, class: 0 }
    } else {
        Body::File(Arc::new(Array::open(mount.container.clone(), oid, word(48))))
    };
    let name = bytes[NAME_AT..].split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    Ok(Object { oid, parent, name, mode, flags, body })
}
