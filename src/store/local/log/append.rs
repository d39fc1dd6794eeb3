//! Entries, put at the log's end.
#![allow(unsafe_code)]

use super::super::commit::Outcome;
use super::super::store::Store;
use super::entry::{self, ENTRY_BYTES_MAX, Logged};
use super::state::LogState;
use crate::ground::{Errno, Result, file_size_limit, kernel};
use std::sync::atomic::Ordering;

/// What is mapped of the log at once. No entry lies in two.
pub const LOG_SEGMENT_BYTES: usize = 4 << 20;

/// Segments that a log may have, where no checkpoint can be written: 1 GiB.
pub const LOG_SEGMENTS_COUNT: usize = 256;

/// The longest log.
pub const LOG_BYTES_MAX: u64 = LOG_SEGMENT_BYTES as u64 * LOG_SEGMENTS_COUNT as u64;

/// The log gets its space in steps of this at first, and of [`GROWTH_BYTES_MAX`] later.
const GROWTH_BYTES_MIN: u64 = 256 << 10;
const GROWTH_BYTES_MAX: u64 = 4 << 20;

/// Space at the log's end for removals alone: on a full disk they free what a new log or checkpoint needs.
const RESERVED_BYTES: u64 = 64 << 10;

/// Space that the next checkpoint gets at a time.
const SPARE_STEP_BYTES: u64 = 256 << 10;

/// After a checkpoint that failed the log grows by so much before the next is tried.
const RETRY_BYTES: u64 = 4 << 20;

/// Condemned nodes, and bytes of them, that are too many to wait for somebody's sync.
const CONDEMNED_COUNT_MAX: u64 = 1 << 16;
const CONDEMNED_BYTES_MAX: u64 = 256 << 20;

impl LogState {
    /// Whether changes are logged.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed) != 0
    }

    /// Bytes of the log.
    fn used(&self) -> u64 {
        self.end.load(Ordering::Relaxed).saturating_sub(self.start.load(Ordering::Relaxed))
    }

    /// Where in the log file the next entry goes: not over a segment's end.
    fn next_offset(&self) -> u64 {
        let used = self.used();
        let segment = LOG_SEGMENT_BYTES as u64;
        if used % segment + ENTRY_BYTES_MAX as u64 > segment { used.next_multiple_of(segment) } else { used }
    }

    /// The position of the next entry.
    pub fn next_position(&self) -> u64 {
        self.start.load(Ordering::Relaxed) + self.next_offset()
    }
}

impl Store {
    /// Makes room for an entry, and keeps the log and what waits for it within bounds. The names lock is held, and its owner
    /// has begun nothing. A change that frees space may use the last bytes.
    ///
    /// # Errors
    /// `ENOSPC`; `ENOMEM`.
    pub fn make_log_room(&self, frees: bool) -> Result<()> {
        let state = &self.header().log;
        if !state.is_on() {
            return Ok(());
        }
        if state.used() >= state.checkpoint_at.load(Ordering::Relaxed) && self.checkpoint().is_err() {
            state.checkpoint_at.store(state.used() + RETRY_BYTES, Ordering::Relaxed);
        }
        let (nodes, bytes) = state.waiting();
        if nodes > CONDEMNED_COUNT_MAX || bytes > CONDEMNED_BYTES_MAX {
            self.sync_log()?;
            self.drain_locked()?;
        }
        match self.reserve_log(frees) {
            // A new log needs no more space than the old one has.
            Err(Errno::NOSPC) => self.checkpoint().and_then(|()| self.reserve_log(frees)),
            reserved => reserved,
        }
    }

    fn reserve_log(&self, frees: bool) -> Result<()> {
        let state = &self.header().log;
        let offset = state.next_offset();
        let wanted = offset + ENTRY_BYTES_MAX as u64;
        let allocated = state.allocated.load(Ordering::Relaxed);
        if wanted + RESERVED_BYTES > allocated {
            let step = allocated.clamp(GROWTH_BYTES_MIN, GROWTH_BYTES_MAX);
            match self.log().allocate(allocated, step) {
                Ok(()) => state.allocated.store(allocated + step, Ordering::Relaxed),
                Err(_) if frees && wanted <= allocated => {}
                Err(errno) => return Err(errno),
            }
        }
        if !frees {
            self.reserve_spare()?;
        }
        // Mapped now, so that nothing can fail later.
        self.log().at(offset).map(drop)
    }

    /// Sees to it that the next entries go where zeros were written, and not where there is space alone: to write into that
    /// for the first time is a change of the host's metadata, for which each sync would wait. For those who sync; the names
    /// lock is held, and there is room.
    pub fn write_log_ahead(&self) {
        let state = &self.header().log;
        let (from, zeroed) = (state.next_offset(), state.zeroed.load(Ordering::Relaxed));
        if from + ENTRY_BYTES_MAX as u64 > zeroed {
            let from = from.max(zeroed);
            let end = state.allocated.load(Ordering::Relaxed).min(from + GROWTH_BYTES_MIN);
            self.log().write_zeros(from, end.saturating_sub(from));
            // Once is enough, whatever came of it.
            state.zeroed.store(end.max(zeroed), Ordering::Relaxed);
        }
    }

    /// The next checkpoint has its space before a name comes that it will hold.
    fn reserve_spare(&self) -> Result<()> {
        let state = &self.header().log;
        let wanted = state.names_bytes.load(Ordering::Relaxed) + ENTRY_BYTES_MAX as u64;
        let has = state.spare_bytes.load(Ordering::Relaxed);
        if wanted <= has {
            return Ok(());
        }
        let spare = self.open_spare_checkpoint()?;
        let target = wanted.next_multiple_of(SPARE_STEP_BYTES);
        file_size_limit::without(|| kernel::allocate(std::os::fd::AsFd::as_fd(&spare), 0, target))?;
        state.spare_bytes.store(target, Ordering::Relaxed);
        Ok(())
    }

    /// Writes an entry behind the log's end. It is a part of the log once it is published. The names lock is held, and there
    /// is room ([`Store::make_log_room`]).
    ///
    /// # Errors
    /// `EIO` where there is none.
    pub fn write_entry(&self, outcomes: &[Outcome<'_>], logged: Logged<'_>) -> Result<()> {
        let state = &self.header().log;
        if !state.is_on() {
            return Ok(());
        }
        let hash_key = self.header().hash_key.load(Ordering::Relaxed);
        let (used, offset) = (state.used(), state.next_offset());
        let start = state.start.load(Ordering::Relaxed);
        if offset + ENTRY_BYTES_MAX as u64 > state.allocated.load(Ordering::Relaxed) {
            return Err(Errno::IO);
        }
        if offset != used && offset - used >= entry::ENTRY_BYTES_MIN as u64 {
            entry::write_filler(self.log_bytes(used, (offset - used) as usize)?, hash_key, start + used);
        }
        let bytes = self.log_bytes(offset, ENTRY_BYTES_MAX)?;
        let length = entry::write(bytes, hash_key, start + offset, outcomes, logged);
        for outcome in outcomes {
            let bytes = entry::checkpoint_name_bytes(outcome.name) + logged.target.len() as u64 + 16;
            match outcome.found {
                Some(_) => state.names_bytes.fetch_add(bytes, Ordering::Relaxed),
                // Too much is harmless: the next checkpoint counts anew. Too little is not, so a target stays counted.
                None => {
                    state.names_bytes.fetch_sub(bytes.min(state.names_bytes.load(Ordering::Relaxed)), Ordering::Relaxed)
                }
            };
        }
        state.next_end.store(start + offset + length as u64, Ordering::Release);
        Ok(())
    }

    /// Makes the entry that was written a part of the log, if there is one. Done twice it comes to the same.
    pub fn publish_entry(&self) {
        let state = &self.header().log;
        let end = state.next_end.load(Ordering::Acquire);
        if end != 0 {
            state.end.store(end, Ordering::Release);
            state.next_end.store(0, Ordering::Release);
        }
    }

    /// Takes back the entry that was written behind the log's end, if there is one: a recovery would believe it. The names
    /// lock is held.
    pub fn withdraw_entry(&self) {
        let state = &self.header().log;
        state.next_end.store(0, Ordering::Release);
        let offset = state.next_offset();
        if state.is_on()
            && offset + ENTRY_BYTES_MAX as u64 <= state.allocated.load(Ordering::Relaxed)
            && let Ok(seal) = self.log_bytes(offset, entry::ENTRY_BYTES_MIN)
        {
            seal.fill(0);
        }
    }

    /// Some bytes of the log, for the holder of the names lock, who alone writes there.
    #[allow(clippy::mut_from_ref)]
    fn log_bytes(&self, offset: u64, length: usize) -> Result<&mut [u8]> {
        let start = self.log().at(offset)?;
        // SAFETY: inside a segment that is mapped for as long as the store lives, and has its space, as the callers saw. The
        // names lock is held: nobody else reads or writes there, and the callers use one such slice at a time.
        Ok(unsafe { std::slice::from_raw_parts_mut(start, length) })
    }
}
