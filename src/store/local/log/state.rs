//! The log's part of the header.

use super::super::shared_lock::SharedLock;
use std::sync::atomic::{AtomicU32, AtomicU64};

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
}
