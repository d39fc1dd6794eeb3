//! A part of a block on its way from the store.
//!
//! It comes into a frame of its own, never into a block: so a write or a flush that happens meanwhile meets no bytes of
//! another age, and what turns out to be stale is thrown away as a whole.

use super::file::{CachedFile, State, UNKNOWN};
use super::frame::{AHEAD, Frame};
use super::opening::Opening;
use super::pages::PAGE_BYTES;
use super::ranges::Ranges;
use super::read::Part;
use super::span::Span;
use crate::ground::Result;
use crate::store::Extent;
use std::sync::atomic::Ordering;

/// What the second read of a row fetches, and the first where the file's end is known: many files are not longer, and a
/// message of 32 KiB takes hardly more time than one of 4 KiB.
const WINDOW_BYTES_MIN: u64 = 32 << 10;

/// By how much a window grows with each read of a row that misses.
const WINDOW_GROWTH: u64 = 4;

/// For so many bytes at most pages are made while a message is under way, which takes about as long.
const PREPARED_BYTES_MAX: u32 = 64 << 10;

/// Bytes of a block in a frame that is no block's.
#[derive(Clone, Copy)]
pub struct Arrived {
    /// The frame.
    pub frame: &'static Frame,
    /// Which byte of the block is the frame's first: 0 if the frame is to become the block's. Where the block has a frame
    /// already this one only carries the bytes, and carries them where it has memory already, at its beginning.
    pub first: u32,
    /// The first byte that it has.
    pub start: u32,
    /// The byte behind the last.
    pub end: u32,
}

/// A part of a block that is asked for.
pub struct Load {
    index: u64,
    /// What the reader asked for.
    asked: (u32, u32),
    /// What is fetched: `asked` to whole pages, and more for a reader in a row.
    fetched: Arrived,
}

impl Arrived {
    fn zero(&self, start: u32, end: u32) {
        self.frame.zero(start - self.first, end.max(start) - self.first);
    }
}

impl Load {
    /// Where it goes.
    pub fn frame(&self) -> &'static Frame {
        self.fetched.frame
    }

    /// Where the bytes come from and go to.
    pub fn extent(&self, file: &CachedFile) -> Extent {
        let Arrived { frame, first, start, end } = self.fetched;
        let offset = file.start_of(self.index) + u64::from(start);
        Extent { offset, segment: frame.segment(start - first, end - first) }
    }

    /// Makes sure that the block has memory for what comes, if there is a block: then it will be copied to there.
    pub fn prepare(&self, file: &CachedFile, state: &mut State) {
        let Arrived { start, end, .. } = self.fetched;
        let Some(frame) = state.blocks.get(&self.index).map(|block| block.frame) else { return };
        if end - start <= PREPARED_BYTES_MAX
            && frame.cost_of(start, end) != 0
            && file.extend(state, self.index, frame, start, end)
        {
            frame.populate(start, end);
        }
    }

    /// Sets to zero what a reader may see of the memory behind the end of the file. The rest is left alone: it may have
    /// no memory yet, and a small file is to cost a page or two.
    pub fn zero_behind(&self, file: &CachedFile, end_of_file: u64) {
        let Arrived { start, end, .. } = self.fetched;
        let there = end_of_file.saturating_sub(file.start_of(self.index)).min(u64::from(end)) as u32;
        let seen = there.max(self.asked.1).next_multiple_of(PAGE_BYTES).min(end);
        self.fetched.zero(there.max(start), seen);
    }

    /// Copies what was asked for to the reader, dirty bytes laid over.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn copy_out(&self, file: &CachedFile, state: &State, span: Span<'_>) -> Result<()> {
        let at = file.start_of(self.index);
        let (from, to) = self.asked;
        for (offset, piece) in span.pieces(at + u64::from(from), at + u64::from(to)) {
            self.fetched.frame.copy_out((offset - at) as u32 - self.fetched.first, &piece)?;
        }
        state.blocks.get(&self.index).map_or(Ok(()), |block| block.lay_dirty_over(at, from, to, span))
    }

    /// Makes what came part of the cache, if the file is still of that age.
    pub fn install(self, file: &CachedFile, state: &mut State, age: u64) {
        file.install(state, self.index, self.fetched, age);
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
        if opening.run.load(Ordering::Relaxed) == 0 && self.is_seldom_read(state, missing) {
            return None;
        }
        let mut loads: Vec<Load> = Vec::with_capacity(missing.len());
        for &(index, from, to) in missing {
            let (start, end) = self.window(state, opening, (index, from, to));
            let first = if state.blocks.contains_key(&index) { start } else { 0 };
            let Some(frame) = self.acquire(state, start - first, end - first) else {
                loads.into_iter().for_each(|load| self.release(state, load.frame()));
                return None;
            };
            loads.push(Load { index, asked: (from, to), fetched: Arrived { frame, first, start, end } });
        }
        Some(loads)
    }

    /// Whether these parts, which no reader in a row asks for, are not worth the memory yet.
    fn is_seldom_read(&self, state: &mut State, missing: &[Part]) -> bool {
        if self.end().is_none() {
            // Once for each opening: a message, for knowing whether the file fits.
            match self.remote.size_bytes() {
                Ok(end) => self.meet_end(state, end),
                Err(_) => return false,
            }
        }
        if self.end().is_none_or(|end| end <= self.shared.descriptor_bytes) {
            return false;
        }
        let page = |part: &Part| (self.start_of(part.0) + u64::from(part.1)) / u64::from(PAGE_BYTES);
        !missing.iter().any(|part| state.ghosts.meet(page(part)))
    }

    /// How much of a block is fetched for a read of a part of it.
    fn window(&self, state: &State, opening: &Opening, (index, from, to): Part) -> (u32, u32) {
        let at = self.start_of(index);
        let start = from / PAGE_BYTES * PAGE_BYTES;
        let mut end = to.next_multiple_of(PAGE_BYTES);
        let run = opening.run.load(Ordering::Relaxed);
        if run == 1 && self.remote_end.load(Ordering::Acquire) == UNKNOWN {
            // Nobody knows whether there is more, and a store that meets the end of the file may need a second message
            // to tell where it is (libdaos does): a program that knows how long its file is pays for one.
            return (start, to);
        }
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

    /// Makes bytes of a block part of the cache; their frame is the block's or given back afterwards. `age` is the file's
    /// when the bytes were found to be good: making room may store dirty bytes, of which these know nothing.
    pub fn install(&self, state: &mut State, index: u64, arrived: Arrived, age: u64) {
        let Arrived { frame, first, start, .. } = arrived;
        let up_to = self.known_up_to(index, &arrived);
        let present = state.blocks.get(&index).map(|block| block.frame);
        let is_good = start < up_to && state.age == age;
        match present {
            None if is_good && first == 0 => {
                frame.set_valid(start, up_to);
                self.place(state, index, frame);
                return;
            }
            Some(present) if is_good => self.merge(state, index, present, &arrived, up_to, age),
            _ => {}
        }
        self.release(state, frame);
    }

    /// The same for bytes that were read ahead: several ranges of a frame that is to become the block's.
    pub fn install_ahead(&self, state: &mut State, index: u64, frame: &'static Frame, ranges: &Ranges, age: u64) {
        let arrived = |(start, end)| Arrived { frame, first: 0, start, end };
        let Some(present) = state.blocks.get(&index).map(|block| block.frame) else {
            for arrived in ranges.iter().map(arrived) {
                let up_to = self.known_up_to(index, &arrived);
                if arrived.start < up_to {
                    frame.set_valid(arrived.start, up_to);
                }
            }
            frame.marks.fetch_or(AHEAD, Ordering::Relaxed);
            return self.place(state, index, frame);
        };
        for arrived in ranges.iter().map(arrived) {
            let up_to = self.known_up_to(index, &arrived).max(arrived.start);
            self.merge(state, index, present, &arrived, up_to, age);
        }
        self.release(state, frame);
    }

    fn merge(&self, state: &mut State, index: u64, present: &'static Frame, arrived: &Arrived, up_to: u32, age: u64) {
        let Arrived { frame, first, start, .. } = *arrived;
        if self.extend(state, index, present, start, up_to)
            && state.age == age
            && let Some(block) = state.blocks.get_mut(&index)
        {
            block.merge(frame, first, start, up_to);
            self.hints.put(index, present);
        }
    }

    /// Up to where what arrived is known; behind the end of the file there are zeros.
    fn known_up_to(&self, index: u64, arrived: &Arrived) -> u32 {
        let Arrived { start, end, .. } = *arrived;
        let known = self.remote_end.load(Ordering::Acquire);
        // Only whole pages become known, the last ones of the block and of the file counting as whole.
        let reached = known.saturating_sub(self.start_of(index)).min(u64::from(self.block_bytes)) as u32;
        if end >= reached {
            let up_to = reached.next_multiple_of(PAGE_BYTES).min(self.block_bytes);
            arrived.zero(reached.min(end).max(start), up_to);
            up_to
        } else if end == self.block_bytes {
            end
        } else {
            end / PAGE_BYTES * PAGE_BYTES
        }
    }
}
