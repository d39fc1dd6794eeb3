//! Which run of the host's kernel, and which mount of its file system, the store is used in: whether writes may have been lost.

use super::super::key;
use crate::ground::buffer::Segment;
use crate::ground::kernel::{self, Low};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};

/// `STATX_MNT_ID_UNIQUE`, Linux 6.8: a number that no other mount of this run of the kernel has or had.
const MOUNT_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// File systems that live in memory: nothing of them survives a cut of power.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// ext4 and XFS: their journal keeps changes in order, and a new file's inode and name are one change. So whoever waits for the
/// file has waited for its name, and for the directory that was made before.
const NAMES_BEFORE_FILES: [u64; 2] = [EXT4, 0x5846_5342];

const EXT4: u64 = 0xef53;

/// The first kernel whose sync_file_range(2) leaves out no page that is just being changed.
const WRITES_BACK_ALL: (u32, u32) = (5, 2);

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

/// Whether pages of one file that were written back, to blocks that are the file's for good, are stable once *another* file of a
/// directory's file system was synced: ext4 and XFS flush their device in each sync. Not where ext4 has pages in its journal
/// first, which is what "data=journal" means.
pub fn has_one_flush(directory: BorrowedFd<'_>) -> bool {
    let is_new_enough = || {
        let system = rustix::system::uname();
        let mut numbers =
            system.release().to_str().unwrap_or("").split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= WRITES_BACK_ALL
    };
    syncs_names_with_files(directory)
        && is_new_enough()
        && (!is_one_of(directory, &[EXT4])
            || ext4_options(directory).is_some_and(|options| !has_journaled_data(&options)))
}

fn has_journaled_data(options: &str) -> bool {
    options.lines().any(|line| line.trim() == "data=journal")
}

/// The options that an ext4 is mounted with, those that are not told by mountinfo(5) too.
fn ext4_options(directory: BorrowedFd<'_>) -> Option<String> {
    let device = rustix::fs::fstat(directory).ok()?.st_dev;
    let link = format!("/sys/dev/block/{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let target = rustix::fs::readlinkat(rustix::fs::CWD, link, Vec::new()).ok()?;
    let target = target.to_str().ok()?.to_owned();
    let path = format!("/proc/fs/ext4/{}/options", target.rsplit('/').next()?);
    let file = Low::open(rustix::fs::CWD, path, OFlags::RDONLY, Mode::empty()).ok()?;
    let mut text = vec![0; 4096];
    let count = kernel::read_at(file.as_fd().as_raw_fd(), &Segment::of_slice_mut(&mut text), 0).ok()?;
    // All of it, or nothing is known.
    (0 < count && count < text.len()).then(|| String::from_utf8_lossy(&text[..count]).into_owned())
}

/// An answer that does not change, once it is known. Without a lock, so that a fork leaves none locked.
#[derive(Default)]
pub struct Known(AtomicU8);

impl Known {
    /// The answer, asked for at the first time.
    pub fn get(&self, ask: impl FnOnce() -> bool) -> bool {
        const YES: u8 = 1;
        const NO: u8 = 2;
        match self.0.load(Ordering::Relaxed) {
            0 => {
                let answer = ask();
                self.0.store(if answer { YES } else { NO }, Ordering::Relaxed);
                answer
            }
            known => known == YES,
        }
    }
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
