//! The log's part of the header.

use super::super::shared_lock::SharedLock;
use super::append::LOG_BYTES_MAX;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where the log stands. Positions count the bytes of all logs that the store ever had, so that an entry of an earlier log
/// is never taken for one of this. All zero in a store without a log.
#[repr(C, align(128))]
pub struct LogState {
    /// 1 while changes are logged.
    pub on: AtomicU32,
    /// Which checkpoint file has the names that the log begins with.
    pub current: AtomicU32,
    /// 1 from the beginning of a checkpoint until the log is the new one: who dies on the way leaves it to be done again.
    pub checkpointing: AtomicU32,
    /// 1 while the positions below change together. Under [`LogState::lock`].
    pub switching: AtomicU32,
    /// 1 once the store's own directories and files are on stable storage.
    pub anchored: AtomicU32,
    /// Held to flush the log, inside the names lock if both are held.
    pub lock: SharedLock,
    /// Which mount of the host's file system the store was opened on last.
    pub mount: AtomicU64,
    /// The position of the log file's first byte.
    pub start: AtomicU64,
    /// The position after the last entry.
    pub end: AtomicU64,
    /// The position after the entry that is being made true, 0 for none.
    pub next_end: AtomicU64,
    /// The position up to which the log is on stable storage.
    pub stable: AtomicU64,
    /// The position up to which all bytes of all files are on stable storage.
    pub stable_bytes: AtomicU64,
    /// Bytes of the log file that have their space.
    pub allocated: AtomicU64,
    /// Bytes of log after which a checkpoint is written.
    pub checkpoint_at: AtomicU64,
    /// Bytes that a checkpoint would have now, or some more.
    pub names_bytes: AtomicU64,
    /// Bytes that the checkpoint file whose turn is next has room for.
    pub spare_bytes: AtomicU64,
    /// The condemned node that is freed first, 0 for none. Each knows the one after it.
    pub condemned_first: AtomicU64,
    /// The one that is freed last.
    pub condemned_last: AtomicU64,
    /// How many were ever condemned.
    pub condemned: AtomicU64,
    /// How many of them have lost their names on stable storage.
    pub condemned_stable: AtomicU64,
    /// How many of them were freed.
    pub drained: AtomicU64,
    /// Bytes of those that were not freed yet.
    pub condemned_bytes: AtomicU64,
    /// Bytes of the log file that were written at least once; less where that is not known.
    pub zeroed: AtomicU64,
    /// The part of the log file of which it is known where it lies on the device for good, see [`super::extents`].
    pub settled_from: AtomicU64,
    /// Its end.
    pub settled_to: AtomicU64,
    /// A hash of where it lies; 0 for nowhere.
    pub settled_hash: AtomicU64,
}

impl LogState {
    /// Whether the words, told by their offsets, can be those of a log. Not between the two halves of a change, of which its
    /// heir knows.
    pub fn is_possible(word: impl Fn(usize) -> u64) -> bool {
        let half = |offset| word(offset) & 0xffff_ffff;
        let [start, stable, end] =
            [offset_of!(Self, start), offset_of!(Self, stable), offset_of!(Self, end)].map(&word);
        let [drained, condemned_stable, condemned] =
            [offset_of!(Self, drained), offset_of!(Self, condemned_stable), offset_of!(Self, condemned)].map(&word);
        let is_switching = half(offset_of!(Self, switching)) != 0 && half(offset_of!(Self, checkpointing)) != 0;
        let is_ordered = start <= stable && stable <= end && end - start <= word(offset_of!(Self, allocated));
        (is_switching || is_ordered && drained <= condemned && condemned_stable <= condemned)
            && word(offset_of!(Self, allocated)) <= LOG_BYTES_MAX
            && half(offset_of!(Self, current)) <= 1
            && start.is_multiple_of(8)
    }

    /// As [`LogState::is_possible`], of this one. A store without a log has nothing to be wrong.
    pub fn is_sound(&self) -> bool {
        let words: [(usize, &AtomicU64); 7] = [
            (offset_of!(Self, start), &self.start),
            (offset_of!(Self, stable), &self.stable),
            (offset_of!(Self, end), &self.end),
            (offset_of!(Self, drained), &self.drained),
            (offset_of!(Self, condemned_stable), &self.condemned_stable),
            (offset_of!(Self, condemned), &self.condemned),
            (offset_of!(Self, allocated), &self.allocated),
        ];
        let halves: [(usize, &AtomicU32); 3] = [
            (offset_of!(Self, switching), &self.switching),
            (offset_of!(Self, checkpointing), &self.checkpointing),
            (offset_of!(Self, current), &self.current),
        ];
        let find = |offset| {
            let whole = words.iter().find(|(at, _)| *at == offset).map(|(_, word)| word.load(Ordering::Relaxed));
            let half =
                || halves.iter().find(|(at, _)| *at == offset).map(|(_, half)| half.load(Ordering::Relaxed).into());
            whole.or_else(half).unwrap_or(0)
        };
        self.on.load(Ordering::Relaxed) == 0 || Self::is_possible(find)
    }
}
