//! A part of a block on its way from the store.
//!
//! It comes into a frame of its own, never into a block: so a write or a flush that happens meanwhile meets no bytes of
//! another age, and what turns out to be stale is thrown away as a whole.

use super::file::{CachedFile, State};
use super::frame::Frame;
use super::opening::Opening;
use super::pages::PAGE_BYTES;
use super::read::Part;
use super::span::Span;
use crate::store::Extent;
use std::sync::atomic::Ordering;

/// What the first read of a file fetches, if it begins where the file begins, and so the second of a row: many files
/// are not longer, and a message of 32 KiB takes hardly more time than one of 4 KiB.
const WINDOW_BYTES_MIN: u64 = 32 << 10;

/// By how much a window grows with each read of a row that misses.
const WINDOW_GROWTH: u64 = 4;

/// A part of a block that is asked for.
pub struct Load {
    index: u64,
    /// What the reader asked for.
    asked: (u32, u32),
    /// What is fetched: `asked` to whole pages, and more for a reader in a row.
    start: u32,
    end: u32,
    /// Where it goes.
    pub frame: &'static Frame,
}

impl Load {
    /// Where the bytes come from and go to.
    pub fn extent(&self, file: &CachedFile) -> Extent {
        let offset = file.start_of(self.index) + u64::from(self.start);
        Extent { offset, segment: self.frame.segment(self.start, self.end) }
    }

    /// Sets to zero what a reader may see of the memory behind the end of the file. The rest is left alone: it may have
    /// no memory yet, and a small file is to cost a page or two.
    pub fn zero_behind(&self, file: &CachedFile, end: u64) {
        let there = end.saturating_sub(file.start_of(self.index)).min(u64::from(self.end)) as u32;
        let seen = there.max(self.asked.1).next_multiple_of(PAGE_BYTES).min(self.end);
        self.frame.zero(there.max(self.start), seen);
    }

    /// Copies what was asked for to the reader, dirty bytes laid over.
    pub fn copy_out(&self, file: &CachedFile, state: &State, span: Span<'_>) {
        let at = file.start_of(self.index);
        let (from, to) = self.asked;
        for (offset, piece) in span.pieces(at + u64::from(from), at + u64::from(to)) {
            self.frame.copy_out((offset - at) as u32, &piece);
        }
        if let Some(block) = state.blocks.get(&self.index) {
            block.lay_dirty_over(at, from, to, span);
        }
    }

    /// Makes what came part of the cache, if the file is still of that age.
    pub fn install(self, file: &CachedFile, state: &mut State, age: u64) {
        file.install(state, self.index, self.frame, self.start, self.end, age);
    }
}

impl CachedFile {
    /// What is to be fetched into blocks for the missing parts; `None` if they are as much as a block or more, or if
    /// there is no memory: then they go past the cache.
    pub fn loads(&self, state: &mut State, opening: &Opening, missing: &[Part]) -> Option<Vec<Load>> {
        let total: u64 = missing.iter().map(|(_, from, to)| u64::from(to - from)).sum();
        if total >= u64::from(self.block_bytes) || self.shared.is_strict(opening) {
            return None;
        }
        let mut loads: Vec<Load> = Vec::with_capacity(missing.len());
        for &(index, from, to) in missing {
            let (start, end) = self.window(state, opening, (index, from, to));
            let Some(frame) = self.acquire(state, start, end) else {
                loads.into_iter().for_each(|load| self.release(state, load.frame));
                return None;
            };
            loads.push(Load { index, asked: (from, to), start, end, frame });
        }
        Some(loads)
    }

    /// How much of a block is fetched for a read of a part of it.
    fn window(&self, state: &State, opening: &Opening, (index, from, to): Part) -> (u32, u32) {
        let at = self.start_of(index);
        let start = from / PAGE_BYTES * PAGE_BYTES;
        let mut end = to.next_multiple_of(PAGE_BYTES);
        let run = opening.run.load(Ordering::Relaxed);
        if run > 0 {
            let before = opening.window_bytes.load(Ordering::Relaxed);
            let grown = if before == 0 { WINDOW_BYTES_MIN } else { before * WINDOW_GROWTH };
            let grown = grown.min(u64::from(self.block_bytes));
            opening.window_bytes.store(grown, Ordering::Relaxed);
            // What is known of the block already is not fetched again.
            let wanted = start.saturating_add(grown as u32).min(self.block_bytes);
            let known = state.blocks.get(&index).map(|block| block.frame.valid());
            while end < wanted && !known.is_some_and(|known| known.holds_bytes(end, end + 1)) {
                end += PAGE_BYTES;
            }
        } else {
            opening.window_bytes.store(0, Ordering::Relaxed);
        }
        end = end.min(self.block_bytes);
        // Behind the known end there is nothing to fetch.
        let known = self.remote_end.load(Ordering::Acquire).saturating_sub(at);
        (start, end.min(known.max(u64::from(to)).min(u64::from(end)) as u32))
    }

    /// Makes `start..end` of a block that came into `frame` part of the cache; the frame is the file's or given back
    /// afterwards. Bytes behind the end of the file are zeros in it, up to `end`. `age` is the file's when the bytes
    /// were found to be good: making room may store dirty bytes, of which these know nothing.
    pub fn install(&self, state: &mut State, index: u64, frame: &'static Frame, start: u32, end: u32, age: u64) {
        let at = self.start_of(index);
        let known = self.remote_end.load(Ordering::Acquire);
        // Only whole pages become known, the last ones of the block and of the file counting as whole.
        let reached = (known.saturating_sub(at)).min(u64::from(self.block_bytes)) as u32;
        let up_to = if end >= reached {
            let up_to = reached.next_multiple_of(PAGE_BYTES).min(self.block_bytes);
            frame.zero(reached.min(end).max(start), up_to.max(start));
            up_to
        } else if end == self.block_bytes {
            end
        } else {
            end / PAGE_BYTES * PAGE_BYTES
        };
        if start >= up_to || state.age != age {
            self.release(state, frame);
            return;
        }
        let present = state.blocks.get(&index).map(|block| block.frame);
        let Some(present) = present else {
            frame.set_valid(start, up_to);
            self.place(state, index, frame);
            return;
        };
        if self.extend(state, index, present, start, up_to)
            && state.age == age
            && let Some(block) = state.blocks.get_mut(&index)
        {
            block.merge(frame, start, up_to);
            self.hints.put(index, present);
        }
        self.release(state, frame);
    }
}
