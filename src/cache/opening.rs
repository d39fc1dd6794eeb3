//! What the cache keeps for each open file description.

use super::pace::Pace;
use super::statistics::Count;
use super::stride::Stride;
use crate::ground::Errno;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};

/// Writes in a row, each behind the one before, that do not happen by chance: among random ones, one row in 40,000.
const ASCENTS_MIN: u32 = 8;

/// One open file description: how it reads, and what went wrong after its writes had returned.
#[derive(Debug)]
pub struct Opening {
    /// The errno of a write-back that failed and that nobody was told of; 0 for none.
    late: AtomicI32,
    /// Whether it wrote what may not be in the store yet.
    wrote: AtomicBool,
    /// Whether it is strict whatever its mount says.
    strict: AtomicBool,
    /// Where its last read ended.
    pub next: AtomicU64,
    /// Reads in a row, each beginning where the one before ended.
    pub run: AtomicU32,
    /// How much a read that misses fetches, in bytes, while they are in a row.
    pub window_bytes: AtomicU64,
    /// Blocks to be asked for ahead of the reader.
    pub ahead_blocks: AtomicU64,
    /// How fast its long reads in a row go.
    pub read_pace: Pace,
    /// How fast its long writes go.
    pub write_pace: Pace,
    /// Equal pieces that it reads at equal distances.
    pub stride: Stride,
    /// Where its last write that no hit could take ended.
    write_end: AtomicU64,
    /// How many such writes in a row began where the one before had ended, or behind.
    ascents: AtomicU32,
    /// Bytes that may be read from the cache before transfers under way are looked after.
    pub until_poll: AtomicI64,
    /// Reads that were copies.
    pub hits: Count,
    /// Writes that were copies.
    pub writes: Count,
}

impl Opening {
    /// A new one, that did nothing.
    pub fn new(strict: bool) -> Self {
        Self {
            late: AtomicI32::new(0),
            wrote: AtomicBool::new(false),
            strict: AtomicBool::new(strict),
            next: AtomicU64::new(0),
            run: AtomicU32::new(0),
            window_bytes: AtomicU64::new(0),
            ahead_blocks: AtomicU64::new(0),
            read_pace: Pace::default(),
            write_pace: Pace::default(),
            stride: Stride::default(),
            write_end: AtomicU64::new(0),
            ascents: AtomicU32::new(0),
            until_poll: AtomicI64::new(0),
            hits: Count::default(),
            writes: Count::default(),
        }
    }

    /// Whether it is strict.
    #[inline(always)]
    pub fn is_strict(&self) -> bool {
        self.strict.load(Ordering::Relaxed)
    }

    /// Makes it strict, or not.
    pub fn set_strict(&self, strict: bool) {
        self.strict.store(strict, Ordering::Relaxed);
    }

    /// Notes a write that is not in the store yet.
    #[inline(always)]
    pub fn note_write(&self) {
        if !self.wrote.load(Ordering::Relaxed) {
            self.wrote.store(true, Ordering::Relaxed);
        }
    }

    /// Notes where it writes; where its last write ended is told.
    pub fn note_write_at(&self, offset: u64, end: u64) -> u64 {
        let before = self.write_end.load(Ordering::Relaxed);
        let ascents = if offset >= before { self.ascents.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
        self.ascents.store(ascents, Ordering::Relaxed);
        self.write_end.store(end, Ordering::Relaxed);
        before
    }

    /// Whether it writes upwards in the file, and so most likely never again where it wrote last.
    pub fn is_ascending(&self) -> bool {
        self.ascents.load(Ordering::Relaxed) >= ASCENTS_MIN
    }

    /// Everything that it wrote is in the store.
    pub fn note_stored(&self) {
        self.wrote.store(false, Ordering::Relaxed);
    }

    /// A write-back failed after this description's writes had returned, if it made any.
    pub fn note_failure(&self, errno: Errno) {
        if self.wrote.load(Ordering::Relaxed) {
            let _ = self.late.compare_exchange(0, errno.raw_os_error(), Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Whether there is an error to be told.
    #[inline(always)]
    pub fn has_failed(&self) -> bool {
        self.late.load(Ordering::Relaxed) != 0
    }

    /// Takes the error that was to be told, so that it is told once.
    ///
    /// # Errors
    /// That error.
    pub fn take_failure(&self) -> Result<(), Errno> {
        match self.late.swap(0, Ordering::AcqRel) {
            0 => Ok(()),
            errno => Err(Errno::from_raw_os_error(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_and_to_writers_only() {
        let opening = Opening::new(false);
        opening.note_failure(Errno::IO);
        assert_eq!(opening.take_failure(), Ok(()));
        opening.note_write();
        opening.note_failure(Errno::NOSPC);
        opening.note_failure(Errno::IO);
        assert!(opening.has_failed());
        assert_eq!(opening.take_failure(), Err(Errno::NOSPC));
        assert_eq!(opening.take_failure(), Ok(()));
    }
}
