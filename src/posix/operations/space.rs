//! Sizes and space: `truncate`, `ftruncate`, `fallocate`, `fsync`, `statfs`.

use crate::ground::{Errno, Result};
use crate::posix::description::Description;
use crate::posix::limits;
use crate::posix::mount::{self, Mount};
use crate::posix::path::Place;
use crate::posix::permission::{self, Want};
use crate::store::{Allocation, Capacity, Kind};

/// Largest size of a file.
const SIZE_BYTES_MAX: u64 = i64::MAX as u64;

fn check_size(size_bytes: i64) -> Result<u64> {
    u64::try_from(size_bytes).map_err(|_| Errno::INVAL)
}

/// `truncate`.
///
/// # Errors
/// As truncate(2).
pub fn truncate(place: &Place<'_>, size_bytes: i64) -> Result<()> {
    let size_bytes = check_size(size_bytes)?;
    let found = place.existing()?;
    match found.kind {
        Kind::File => {}
        Kind::Directory => return Err(Errno::ISDIR),
        Kind::Symlink => return Err(Errno::INVAL),
    }
    if place.connected.container.is_read_only() {
        return Err(Errno::ROFS);
    }
    permission::check(&place.rights_of(found.node)?, Want::WRITE)?;
    limits::check_size(size_bytes)?;
    let container = &place.connected.container;
    let object = if place.is_named() { container.open(found)? } else { container.adopt(found, &[])? };
    object.set_size(size_bytes)
}

/// `ftruncate`.
///
/// # Errors
/// `EINVAL` for a descriptor that is not open for writing.
pub fn truncate_open(description: &Description, size_bytes: i64) -> Result<()> {
    description.check_open()?;
    let size_bytes = check_size(size_bytes)?;
    if !description.access.write || description.found().kind != Kind::File {
        return Err(Errno::INVAL);
    }
    limits::check_size(size_bytes)?;
    description.object.set_size(size_bytes)
}

/// `fallocate`, with the mode's bits as fallocate(2) has them.
///
/// # Errors
/// `EOPNOTSUPP` for the modes that move data or share it.
pub fn allocate(description: &Description, mode: i32, offset: i64, length: i64) -> Result<()> {
    const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    const ZERO_KEEP: i32 = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;
    let offset = u64::try_from(offset).map_err(|_| Errno::INVAL)?;
    let length = u64::try_from(length).ok().filter(|length| *length > 0).ok_or(Errno::INVAL)?;
    let how = match mode {
        0 => Allocation::Extend,
        libc::FALLOC_FL_KEEP_SIZE => Allocation::KeepSize,
        PUNCH => Allocation::PunchHole,
        libc::FALLOC_FL_ZERO_RANGE => Allocation::ZeroExtend,
        ZERO_KEEP => Allocation::ZeroKeepSize,
        _ => return Err(Errno::OPNOTSUPP),
    };
    description.check_writable()?;
    if description.found().kind != Kind::File {
        return Err(Errno::NODEV);
    }
    if offset.checked_add(length).is_none_or(|end| end > SIZE_BYTES_MAX) {
        return Err(Errno::FBIG);
    }
    if matches!(how, Allocation::Extend | Allocation::ZeroExtend) {
        limits::check_size(offset + length)?;
    }
    description.object.allocate(how, offset, length)
}

/// `fsync`, `sync_file_range`.
///
/// # Errors
/// `EIO`.
pub fn sync(description: &Description) -> Result<()> {
    description.check_open()?;
    description.object.sync()
}

/// `fdatasync`.
///
/// # Errors
/// `EIO`.
pub fn sync_data(description: &Description) -> Result<()> {
    description.check_open()?;
    description.object.sync_data()
}

/// `sync`: all containers that there are, whether or not this process has used them. It has no way to tell of an error.
pub fn sync_all() {
    for mount in mount::all() {
        if mount.connected().is_some() || mount.has_store() && mount.connect().is_ok() {
            let _ = sync_container(mount);
        }
    }
}

/// `syncfs`, and what `sync` asks of each mount.
///
/// # Errors
/// `EIO`.
pub fn sync_container(mount: &'static Mount) -> Result<()> {
    match mount.connected() {
        Some(connected) => connected.container.sync(),
        None => Ok(()),
    }
}

/// `statfs`.
///
/// # Errors
/// What the engine says.
pub fn capacity(mount: &'static Mount) -> Result<Capacity> {
    mount.connect()?.container.capacity()
}
