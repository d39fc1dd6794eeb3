//! One flush for a file's bytes and for the log.
//!
//! A flush of the host's device is for all that the device was given before, whosever call it is. So the log's pages are
//! written back first, and the sync of the file that comes after them makes them stable too. That holds only where the pages
//! went to blocks that the host will still take for the log's after a cut of power:
//!
//! * The blocks were the log's when all of the log file was last synced, which is when the host made it known to itself for
//!   good. A part of the log file of which that is so is **settled**, and a hash says where it lies.
//! * They are so still, after the pages were written back. Blocks that were shared in between (a copy by reference), moved
//!   (by a defragmenter) or had nothing written to them give another hash, and the log is synced by itself, and settled anew.

use super::super::key;
use super::super::layout::LOG;
use super::super::store::Store;
use super::super::store_directory::Refusal;
use super::append::LOG_SEGMENT_BYTES;
use super::entry::ENTRY_BYTES_MAX;
use super::host;
use crate::ground::Result;
use crate::ground::kernel::{self, Extent};
use rustix::fs::OFlags;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;

/// So much of the log is settled at once.
const SETTLED_BYTES: u64 = 1 << 20;

const PAGE_BYTES: u64 = 4096;

/// `FIEMAP_EXTENT_LAST` and `FIEMAP_EXTENT_MERGED`: they say nothing against a block. All others do.
const FLAGS_HARMLESS: u32 = 0x1 | 0x1000;

/// Where hashes start from: from 0 or 1 all hashes are 0.
const KEY: u64 = 0x5163_7465_702d_6578;

/// Where the log stood while nobody changed it.
#[derive(Clone, Copy, Default)]
pub struct LogMark {
    /// The position of the log file's first byte.
    pub start: u64,
    /// The position up to which it was on stable storage.
    pub stable: u64,
    /// The position after the last entry.
    pub end: u64,
    /// How many nodes had been condemned.
    pub condemned: u64,
}

impl Store {
    /// Where the log stands. The names lock is held.
    pub fn mark_log(&self) -> LogMark {
        let state = &self.header().log;
        // In this order: what was condemned lost its name by an entry before.
        let condemned = state.condemned.load(Ordering::Acquire);
        let [start, stable, end] = [&state.start, &state.stable, &state.end].map(|word| word.load(Ordering::Acquire));
        LogMark { start, stable: stable.max(start), end, condemned }
    }

    /// Writes the log back up to a mark, so that a sync of one of these files makes it stable. False where it has to be synced
    /// by itself.
    ///
    /// # Errors
    /// As sync_file_range(2).
    pub fn write_log_back(&self, mark: &LogMark, files: &[(u32, BorrowedFd<'_>)]) -> Result<bool> {
        let state = &self.header().log;
        if !state.is_on() || state.anchored.load(Ordering::Acquire) == 0 || !self.has_one_flush() {
            return Ok(false);
        }
        let Some((settled, hash)) = self.settled() else { return Ok(false) };
        let wanted = mark.stable - mark.start..mark.end.saturating_sub(mark.start);
        if wanted.is_empty() || wanted.start < settled.start || wanted.end > settled.end {
            return Ok(false);
        }
        let log = self.directory().open(LOG, OFlags::RDONLY).map_err(Refusal::errno)?;
        let device = rustix::fs::fstat(log.as_fd())?.st_dev;
        let is_beside = |file: BorrowedFd<'_>| {
            rustix::fs::fstat(file).is_ok_and(|stat| stat.st_dev == device) && !kernel::is_realtime(file)
        };
        if kernel::is_realtime(log.as_fd()) || !files.iter().any(|(_, file)| is_beside(*file)) {
            return Ok(false);
        }
        kernel::write_back(log.as_fd(), wanted.start, wanted.end - wanted.start)?;
        Ok(lies_at(log.as_fd(), settled) == Some(hash))
    }

    /// Notes that the log is stable up to a mark.
    pub fn note_stable(&self, mark: &LogMark) {
        let state = &self.header().log;
        // A log that began anew meanwhile is further on already.
        state.condemned_stable.fetch_max(mark.condemned, Ordering::AcqRel);
        state.stable.fetch_max(mark.end, Ordering::AcqRel);
    }

    /// The settled part of the log file, and the hash of where it lies.
    fn settled(&self) -> Option<(std::ops::Range<u64>, u64)> {
        let state = &self.header().log;
        let hash = state.settled_hash.load(Ordering::Acquire);
        let [from, to] = [&state.settled_from, &state.settled_to].map(|word| word.load(Ordering::Acquire));
        // Somebody may be settling another part.
        (hash != 0 && state.settled_hash.load(Ordering::Acquire) == hash).then_some((from..to, hash))
    }

    /// Syncs the whole log file and settles the part of it that comes next, if that is due. False, with nothing done, where
    /// it is not. The log's lock is held; `end` is where the log ends in its file.
    ///
    /// # Errors
    /// As fdatasync(2).
    pub fn settle_log_at(&self, end: u64) -> Result<bool> {
        let state = &self.header().log;
        let zeroed = state.zeroed.load(Ordering::Acquire);
        let next = (end + ENTRY_BYTES_MAX as u64).min(end.next_multiple_of(LOG_SEGMENT_BYTES as u64));
        if !self.has_one_flush() || zeroed < next {
            return Ok(false);
        }
        let log = self.directory().open(LOG, OFlags::RDWR).map_err(Refusal::errno)?;
        if let Some((settled, hash)) = self.settled()
            && (settled.start..=settled.end).contains(&end)
            && next <= settled.end
            && lies_at(log.as_fd(), settled) == Some(hash)
        {
            return Ok(false);
        }
        let from = end / PAGE_BYTES * PAGE_BYTES;
        let part = from..zeroed.min(from + SETTLED_BYTES) / PAGE_BYTES * PAGE_BYTES;
        state.settled_hash.store(0, Ordering::SeqCst);
        kernel::write_back(log.as_fd(), part.start, part.end - part.start)?;
        let hash = lies_at(log.as_fd(), part.clone());
        rustix::fs::fdatasync(log.as_fd())?;
        state.settled_from.store(part.start, Ordering::Release);
        state.settled_to.store(part.end, Ordering::Release);
        state.settled_hash.store(hash.unwrap_or(0), Ordering::SeqCst);
        Ok(true)
    }

    /// Whether the host's file system lets one flush be for several files. Asked once in a process.
    fn has_one_flush(&self) -> bool {
        self.one_flush().get(|| host::has_one_flush(self.directory().as_fd()))
    }
}

/// A hash of where a part of a file lies; `None` where not all of it is written and the file's alone.
fn lies_at(file: BorrowedFd<'_>, part: std::ops::Range<u64>) -> Option<u64> {
    let extents = kernel::extents(file, part.start, part.end - part.start).ok()?;
    hash_of(&extents, part)
}

fn hash_of(extents: &[Extent], part: std::ops::Range<u64>) -> Option<u64> {
    let (mut hash, mut at) = (KEY, part.start);
    let mut expected = None;
    for extent in extents {
        let skipped = at.checked_sub(extent.offset).filter(|&skipped| skipped < extent.length)?;
        if extent.flags & !FLAGS_HARMLESS != 0 {
            return None;
        }
        // The same blocks may be told as one extent or as several.
        if expected != Some(extent.place + skipped) {
            let words = [at, extent.place + skipped].map(u64::to_le_bytes);
            hash = key::hash(KEY ^ hash, words.as_flattened());
        }
        at = extent.offset + extent.length;
        expected = Some(extent.place + extent.length);
        if at >= part.end {
            return Some(hash | 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, place: u64, length: u64) -> Extent {
        Extent { offset, place, length, flags: 0 }
    }

    #[test]
    fn only_another_place_gives_another_hash() {
        let part = 4096..65536;
        let whole = hash_of(&[extent(0, 1 << 20, 1 << 20)], part.clone()).unwrap();
        let pieces = [extent(0, 1 << 20, 8192), extent(8192, (1 << 20) + 8192, 1 << 20)];
        assert_eq!(hash_of(&pieces, part.clone()), Some(whole));
        let moved = [pieces[0], Extent { place: 5 << 20, ..pieces[1] }];
        assert_ne!(hash_of(&moved, part.clone()), Some(whole));
        assert_eq!(hash_of(&[extent(8192, 1 << 20, 1 << 20)], part.clone()), None);
        assert_eq!(hash_of(&[extent(0, 1 << 20, 32768)], part.clone()), None);
        for flag in [0x2, 0x800, 0x2000] {
            assert_eq!(hash_of(&[Extent { flags: flag, ..extent(0, 1 << 20, 1 << 20) }], part.clone()), None);
        }
        assert_eq!(hash_of(&[Extent { flags: 1, ..extent(0, 1 << 20, 1 << 20) }], part), Some(whole));
    }
}
