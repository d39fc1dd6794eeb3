//! Which run of the host's kernel, and which mount of its file system, the store is used in: whether writes may have been lost.

use super::super::key;
use crate::ground::buffer::Segment;
use crate::ground::kernel::{self, Low};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// `STATX_MNT_ID_UNIQUE`, Linux 6.8: a number that no other mount of this run of the kernel has or had.
const MOUNT_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// File systems that live in memory: nothing of them survives a cut of power.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// ext4 and XFS: their journal keeps changes in order, and a new file's inode and name are one change. So whoever waits for the
/// file has waited for its name, and for the directory that was made before.
const NAMES_BEFORE_FILES: [u64; 2] = [0xef53, 0x5846_5342];

/// Where these numbers' hashes start from: from 0 or 1 all hashes are 0.
const KEY: u64 = 0x5163_7465_702d_686f;

/// A number for this run of the host's kernel; 0 where it can't be had.
pub fn boot_number() -> u64 {
    let mut text = [0; 36];
    let file = Low::open(rustix::fs::CWD, "/proc/sys/kernel/random/boot_id", OFlags::RDONLY, Mode::empty());
    let read = file.and_then(|file| {
        let segment = Segment::of_slice_mut(&mut text);
        kernel::read_at(file.as_fd().as_raw_fd(), &segment, 0)
    });
    // Not known is another one each time: what is to be done then does no harm.
    if read.is_ok() { key::hash(KEY, &text) | 1 } else { 0 }
}

/// A number for the mount that a directory lies on; 0 where it can't be had. Before Linux 6.8 the number of a mount that is
/// gone may come again: then a file system that lost writes and was mounted anew in one run of the kernel passes for itself.
pub fn mount_number(directory: BorrowedFd<'_>) -> u64 {
    for which in [MOUNT_UNIQUE, StatxFlags::MNT_ID] {
        let told = rustix::fs::statx(directory, "", AtFlags::EMPTY_PATH, which);
        if let Ok(told) = told
            && told.stx_mask & which.bits() != 0
        {
            let device = u64::from(told.stx_dev_major) << 32 | u64::from(told.stx_dev_minor);
            return key::hash(KEY ^ device, &told.stx_mnt_id.to_ne_bytes()) | 1;
        }
    }
    rustix::fs::fstat(directory).map_or(0, |stat| key::hash(KEY ^ stat.st_dev, b"device") | 1)
}

/// Whether a directory's file system lives in memory.
pub fn is_in_memory(directory: BorrowedFd<'_>) -> bool {
    is_one_of(directory, &IN_MEMORY)
}

/// Whether fsync(2) of a new file in a directory makes its name stable too.
pub fn syncs_names_with_files(directory: BorrowedFd<'_>) -> bool {
    is_one_of(directory, &NAMES_BEFORE_FILES)
}

fn is_one_of(directory: BorrowedFd<'_>, kinds: &[u64]) -> bool {
    rustix::fs::fstatfs(directory).is_ok_and(|told| kinds.contains(&(told.f_type.cast_unsigned() & 0xffff_ffff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_each_time_and_say_something() {
        let [one, other] = [0, 1].map(|_| tempfile::tempfile().unwrap());
        let (boot, mount) = (boot_number(), mount_number(one.as_fd()));
        assert!(boot > 1 && mount > 1 && boot != mount);
        assert_eq!((boot_number(), mount_number(other.as_fd())), (boot, mount));
        let elsewhere = tempfile::tempfile_in("/dev/shm").unwrap();
        assert_ne!(mount_number(elsewhere.as_fd()), mount);
        assert!(is_in_memory(elsewhere.as_fd()));
    }
}
