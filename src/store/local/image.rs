//! A record as the log keeps it.

use super::record::{
    CONDEMNED, Extent, FLAGS_OF_THE_LOG, HAS_OBJECT, HELD, OBJECTS_KNOWN, ORPHAN, Record, SLOT_BLANK, STANDS_IN,
};
use crate::store::Kind;
use std::sync::atomic::Ordering;

/// Words of an image.
pub const IMAGE_WORDS: usize = 13;

/// Flags that say something about processes, or about this run of the store only.
const FLAGS_OF_THE_LIVING: u32 = HELD | ORPHAN | STANDS_IN | CONDEMNED | FLAGS_OF_THE_LOG;

/// The words of a record that outlive its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image(pub [u64; IMAGE_WORDS]);

impl Image {
    /// Of a record as it is now.
    pub fn of(record: &Record) -> Self {
        let two = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let word = |word: &std::sync::atomic::AtomicU32| word.load(Ordering::Relaxed);
        let time = |time: &std::sync::atomic::AtomicI64| time.load(Ordering::Relaxed).cast_unsigned();
        // Before the flags and the size: where those are of a later moment, the image is too.
        let synced = record.synced.load(Ordering::Acquire);
        Self([
            two(word(&record.kind_mode), word(&record.generation)),
            two(word(&record.uid), word(&record.gid)),
            two(word(&record.links), word(&record.flags) & !FLAGS_OF_THE_LIVING),
            record.extent().0,
            time(&record.accessed),
            time(&record.modified),
            time(&record.changed),
            time(&record.born),
            two(word(&record.slot), word(&record.chunk_units)),
            record.dirty_end.load(Ordering::Relaxed),
            record.dense_end.load(Ordering::Relaxed),
            two(word(&record.entries), synced),
            record.created_at.load(Ordering::Relaxed),
        ])
    }

    /// The image without a slot: of a node that is just made, whose slot has nothing of it yet.
    pub fn without_slot(mut self) -> Self {
        self.0[8] &= !0 << 32;
        self
    }

    /// Its words, without what a sync itself changes: whether another image says the same.
    pub fn sayings(&self) -> [u64; IMAGE_WORDS] {
        let mut words = self.0;
        words[2] &= !(u64::from(OBJECTS_KNOWN) << 32);
        words
    }

    /// The size.
    pub fn size(&self) -> u64 {
        Extent(self.0[3]).size()
    }

    /// Of a file, whether its bytes are in a slot.
    pub fn has_slot_bytes(&self) -> bool {
        self.0[8] as u32 != 0 && self.flags() & (HAS_OBJECT | SLOT_BLANK) == 0
    }

    /// What the node is.
    pub fn kind(&self) -> Option<Kind> {
        match self.0[0] as u32 >> 16 {
            1 => Some(Kind::File),
            2 => Some(Kind::Directory),
            3 => Some(Kind::Symlink),
            _ => None,
        }
    }

    /// Which of the nodes that had the number.
    pub fn generation(&self) -> u32 {
        (self.0[0] >> 32) as u32
    }

    /// How often the node had been synced.
    pub fn synced(&self) -> u32 {
        (self.0[11] >> 32) as u32
    }

    /// The flags.
    pub fn flags(&self) -> u32 {
        (self.0[2] >> 32) as u32
    }

    /// Makes a record what it was. Nobody else uses the store.
    pub fn restore(&self, record: &Record) {
        let (low, high) = (|at: usize| self.0[at] as u32, |at: usize| (self.0[at] >> 32) as u32);
        let time = |at: usize| self.0[at].cast_signed();
        record.kind_mode.store(low(0), Ordering::Relaxed);
        record.generation.store(high(0), Ordering::Relaxed);
        record.uid.store(low(1), Ordering::Relaxed);
        record.gid.store(high(1), Ordering::Relaxed);
        record.links.store(low(2), Ordering::Relaxed);
        record.flags.store(high(2), Ordering::Relaxed);
        record.extent.store(self.0[3], Ordering::Relaxed);
        record.accessed.store(time(4), Ordering::Relaxed);
        record.modified.store(time(5), Ordering::Relaxed);
        record.changed.store(time(6), Ordering::Relaxed);
        record.born.store(time(7), Ordering::Relaxed);
        record.slot.store(low(8), Ordering::Relaxed);
        record.chunk_units.store(high(8), Ordering::Relaxed);
        record.dirty_end.store(self.0[9], Ordering::Relaxed);
        record.dense_end.store(self.0[10], Ordering::Relaxed);
        record.entries.store(low(11), Ordering::Relaxed);
        record.synced.store(high(11), Ordering::Relaxed);
        record.created_at.store(self.0[12], Ordering::Relaxed);
    }
}
