//! What the cache did, counted for the report.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that is raised by a load and a store: a locked instruction would cost a hit more than the copy of 256
/// bytes. Two threads at once may lose one of their counts.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds.
    #[inline(always)]
    pub fn add(&self, value: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(value), Ordering::Relaxed);
    }

    /// Takes what was counted.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of this process, all containers together.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub hits: Count,
    pub misses: Count,
    pub messages_read: Count,
    pub ahead_begun_bytes: Count,
    pub ahead_used_bytes: Count,
    pub ahead_unused_bytes: Count,
    pub gathered_writes: Count,
    pub direct_writes: Count,
    pub messages_written: Count,
    pub written_back_bytes: Count,
    pub evicted_blocks: Count,
    pub failed_writes: Count,
    pub abandoned_bytes: Count,
}

pub(super) static COUNTERS: Counters = Counters {
    hits: Count::new(),
    misses: Count::new(),
    messages_read: Count::new(),
    ahead_begun_bytes: Count::new(),
    ahead_used_bytes: Count::new(),
    ahead_unused_bytes: Count::new(),
    gathered_writes: Count::new(),
    direct_writes: Count::new(),
    messages_written: Count::new(),
    written_back_bytes: Count::new(),
    evicted_blocks: Count::new(),
    failed_writes: Count::new(),
    abandoned_bytes: Count::new(),
};

/// What the caches of this process did so far. Counted without locked instructions: of calls that several threads made
/// at the same moment some may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Reads that were copies.
    pub hits: u64,
    /// Reads that asked the store, or waited for what had been asked ahead.
    pub misses: u64,
    /// Calls to the engine that read.
    pub messages_read: u64,
    /// Bytes that were asked for ahead of their reader.
    pub ahead_begun_bytes: u64,
    /// Of these, the bytes of blocks that were read.
    pub ahead_used_bytes: u64,
    /// Of these, the bytes of blocks that were dropped unread.
    pub ahead_unused_bytes: u64,
    /// Writes that were copied to the cache.
    pub gathered_writes: u64,
    /// Writes that went to the store before they returned.
    pub direct_writes: u64,
    /// Calls to the engine that wrote.
    pub messages_written: u64,
    /// Bytes that went from the cache to the store.
    pub written_back_bytes: u64,
    /// Blocks that made room for others.
    pub evicted_blocks: u64,
    /// Calls to the engine that failed to write back.
    pub failed_writes: u64,
    /// Memory given up with transfers that never ended.
    pub abandoned_bytes: u64,
    /// Memory that waits to be used again, in bytes.
    pub spare_bytes: u64,
}

/// The counts so far.
pub fn statistics() -> Statistics {
    let counters = &COUNTERS;
    Statistics {
        hits: counters.hits.get(),
        misses: counters.misses.get(),
        messages_read: counters.messages_read.get(),
        ahead_begun_bytes: counters.ahead_begun_bytes.get(),
        ahead_used_bytes: counters.ahead_used_bytes.get(),
        ahead_unused_bytes: counters.ahead_unused_bytes.get(),
        gathered_writes: counters.gathered_writes.get(),
        direct_writes: counters.direct_writes.get(),
        messages_written: counters.messages_written.get(),
        written_back_bytes: counters.written_back_bytes.get(),
        evicted_blocks: counters.evicted_blocks.get(),
        failed_writes: counters.failed_writes.get(),
        abandoned_bytes: counters.abandoned_bytes.get(),
        spare_bytes: super::frame::spare_bytes(),
    }
}
