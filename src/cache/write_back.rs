//! From the cache to the store.

use super::block::Outgoing;
use super::file::{CachedFile, State, coarse_milliseconds};
use super::frame::{BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, Frame};
use super::opening::Opening;
use super::pages::PAGE_BYTES;
use super::ranges::Ranges;
use super::statistics::COUNTERS;
use crate::ground::buffer::Segment;
use crate::ground::{Errno, Result, causality};
use crate::store::Extent;
use std::sync::atomic::Ordering;

/// Full blocks of a file that are on their way at once: enough to keep the network busy while the program fills the
/// next, and few enough that their memory is nothing beside the bound.
const OUTGOING_MAX: usize = 4;

/// What a writer who goes upwards in the file, leaving gaps, must have left in a block for it to go out behind him, in
/// bytes: less of it is gathered with that of other blocks.
const SENT_BYTES_MIN: u64 = BLOCK_BYTES_MIN;

/// Pieces in one call to the engine.
const EXTENTS_MAX: usize = 512;

/// Bytes in one call to the engine, but for a single block that is larger.
const CALL_BYTES_MAX: u64 = 4 * BLOCK_BYTES_MAX;

/// Whether a transfer that ended so may still reach for its memory.
pub fn is_lost(errno: Errno) -> bool {
    matches!(errno, Errno::TIMEDOUT | Errno::INTR | Errno::IO | Errno::NOTCONN)
}

/// A block's part of a call.
struct Part {
    index: u64,
    ranges: Ranges,
    /// The bytes, where a writer may be changing those in the frame.
    copy: Option<Vec<u8>>,
}

impl CachedFile {
    /// A block has dirty bytes now.
    pub fn mark_dirty(&self, state: &mut State, index: u64) {
        let Some(block) = state.blocks.get_mut(&index) else { return };
        if !block.is_dirty {
            block.is_dirty = true;
            self.note_unstored();
            if self.dirty_blocks.fetch_add(1, Ordering::AcqRel) == 0 {
                self.dirty_since.store(coarse_milliseconds(), Ordering::Relaxed);
            }
            super::flusher::wake();
        } else if state.has_failed {
            super::flusher::wake();
        }
        state.has_failed = false;
    }

    /// A block has no dirty bytes any more.
    pub fn mark_clean(&self, state: &mut State, index: u64) {
        if let Some(block) = state.blocks.get_mut(&index)
            && std::mem::take(&mut block.is_dirty)
        {
            self.dirty_blocks.fetch_sub(1, Ordering::AcqRel);
            self.note_stored();
        }
    }

    /// No block has dirty bytes any more: they are lost.
    pub fn note_all_clean(&self) {
        for _ in 0..self.dirty_blocks.swap(0, Ordering::AcqRel) {
            self.note_stored();
        }
    }

    /// A block's bytes are not in the store, dirty or on their way: nothing may be told before they are.
    fn note_unstored(&self) {
        if self.shared.is_causal() {
            causality::note_unstored();
        }
    }

    fn note_stored(&self) {
        if self.shared.is_causal() {
            causality::note_stored();
        }
    }

    /// Begins to write a block that is dirty in full. What stands in the way leaves it dirty.
    pub fn send(&self, state: &mut State, index: u64) {
        if state.blocks.get(&index).is_some_and(|block| block.dirty().covers(0, self.block_bytes)) {
            self.send_dirty(state, index);
        }
    }

    /// Begins to write the blocks that a writer who goes upwards in the file left behind, from the one in which its last
    /// write ended to the one in which this one does.
    pub fn send_left(&self, state: &mut State, opening: &Opening, offset: u64, end: u64) {
        let before = opening.note_write_at(offset, end);
        if !opening.is_ascending() {
            return;
        }
        let here = self.index_of(end - 1);
        let left = [self.index_of(before.saturating_sub(1)), self.index_of(offset)];
        for index in left.into_iter().filter(|index| *index < here) {
            let dirty = state.blocks.get(&index).map(|block| block.dirty());
            if dirty.is_some_and(|dirty| dirty.bytes() >= SENT_BYTES_MIN && dirty.len() <= EXTENTS_MAX) {
                self.send_dirty(state, index);
            }
        }
    }

    fn send_dirty(&self, state: &mut State, index: u64) {
        while state.outgoing.len() >= OUTGOING_MAX {
            self.finish_oldest(state);
        }
        let Some(block) = state.blocks.get_mut(&index) else { return };
        if block.outgoing.is_some() || !block.frame.dirty.freeze_alone() {
            return;
        }
        let frame = block.frame;
        let at = self.start_of(index);
        let ranges = block.dirty();
        let extent = |(low, high)| Extent { offset: at + u64::from(low), segment: frame.segment(low, high) };
        let extents: Vec<Extent> = ranges.iter().map(extent).collect();
        COUNTERS.messages_written.add(1);
        match self.remote.begin_write(&extents) {
            Ok(transfer) => {
                block.take_dirty();
                if ranges.covers(0, self.block_bytes) {
                    frame.set_valid(0, self.block_bytes);
                }
                state.outgoing.push_back(index);
                self.note_unstored();
                state.dirty_bytes = state.dirty_bytes.saturating_sub(ranges.bytes());
                state.pieces = state.pieces.saturating_sub(ranges.len());
                self.transfers.fetch_add(1, Ordering::Relaxed);
                self.spoil_ranges(state, at, &ranges);
                self.mark_clean(state, index);
                if let Some(block) = state.blocks.get_mut(&index) {
                    block.outgoing = Some(Outgoing { transfer, ranges, is_newest: true });
                }
            }
            // It stays dirty, and is told where storing it together with the rest fails too.
            Err(_) => {
                COUNTERS.failed_writes.add(1);
                frame.dirty.thaw();
            }
        }
    }

    fn finish_oldest(&self, state: &mut State) {
        if let Some(index) = state.outgoing.front().copied() {
            self.finish(state, index);
        }
    }

    /// What is asked for and not here yet, or cached elsewhere, may be of before these bytes were written.
    fn spoil_ranges(&self, state: &mut State, at: u64, ranges: &Ranges) {
        for (low, high) in ranges.iter() {
            state.spoil(at + u64::from(low), at + u64::from(high), self.block_bytes);
        }
    }

    /// Waits for the write of a block, if one is under way. If it failed its bytes are dirty again.
    pub fn finish(&self, state: &mut State, index: u64) {
        let Some(outgoing) = state.blocks.get_mut(&index).and_then(|block| block.outgoing.take()) else { return };
        let Outgoing { transfer, ranges, is_newest } = outgoing;
        state.outgoing.retain(|sent| *sent != index);
        self.transfers.fetch_sub(1, Ordering::Relaxed);
        match transfer.wait() {
            Ok(written) if written as u64 >= ranges.bytes() => {
                COUNTERS.written_back_bytes.add(ranges.bytes());
                let at = self.start_of(index);
                let end = at + u64::from(ranges.end());
                self.raise_end(end);
                self.remote.note_written(end);
                self.spoil_ranges(state, at, &ranges);
                if let Some(block) = state.blocks.get(&index) {
                    for (low, high) in ranges.iter().filter(|_| is_newest) {
                        block.frame.set_valid_inside(low, high, self.block_bytes);
                    }
                    block.frame.dirty.thaw();
                }
                self.pass(state, index);
            }
            Ok(_) => self.take_back(state, index, &ranges, false),
            Err(errno) => self.take_back(state, index, &ranges, is_lost(errno)),
        }
        // After what failed is dirty again.
        self.note_stored();
    }

    /// A block's write failed: its bytes are dirty again, in other memory if the old may still be reached for.
    fn take_back(&self, state: &mut State, index: u64, ranges: &Ranges, is_memory_lost: bool) {
        COUNTERS.failed_writes.add(1);
        let Some(block) = state.blocks.get_mut(&index) else { return };
        let old = block.frame;
        if is_memory_lost && let Ok(frame) = super::frame::take(self.block_bytes, self.block_bytes) {
            self.replace_frame(state, index, ranges, old, frame);
        }
        if let Some(block) = state.blocks.get_mut(&index) {
            ranges.iter().for_each(|(low, high)| block.soil(low, high));
            block.frame.dirty.thaw();
        }
        self.mark_dirty(state, index);
    }

    /// Moves the bytes of `ranges` to another frame; what else the block knew it asks for again.
    fn replace_frame(
        &self,
        state: &mut State,
        index: u64,
        ranges: &Ranges,
        old: &'static Frame,
        frame: &'static Frame,
    ) {
        for (low, high) in ranges.iter() {
            frame.touch(low, high);
            frame.copy_from(old, 0, low, high);
        }
        // Over the bound, if need be: these bytes have nowhere else to be.
        let cost = frame.touched_bytes();
        state.used_bytes += cost;
        self.shared.used_bytes.fetch_add(cost, Ordering::Relaxed);
        frame.own(self.id, index);
        if let Some(block) = state.blocks.get_mut(&index) {
            block.frame = frame;
        }
        self.hints.put(index, frame);
        self.abandon(state, old);
    }

    /// Stores everything that is dirty, and waits for what is under way. `told` is the description that is told by the
    /// answer; all others that wrote are told by their next call.
    ///
    /// # Errors
    /// The engine's. What could not be stored stays dirty.
    pub fn write_back(&self, state: &mut State, told: Option<&Opening>) -> Result<()> {
        // What failed on its way is dirty again, and gets a second chance below before anybody is told.
        while !state.outgoing.is_empty() {
            self.finish_oldest(state);
        }
        let mut from = 0;
        while self.dirty_blocks.load(Ordering::Acquire) != 0 {
            let parts = self.gather(state, from);
            let Some(last) = parts.last() else { break };
            from = last.index + 1;
            if let Err(errno) = self.store_parts(state, parts) {
                COUNTERS.failed_writes.add(1);
                self.tell_writers(state, errno, told);
                state.has_failed = true;
                return Err(errno);
            }
        }
        state.has_failed = false;
        state.pieces = 0;
        state.dirty_bytes = 0;
        if self.dirty_blocks.load(Ordering::Acquire) == 0 {
            for opening in &state.openings {
                opening.note_stored();
            }
        }
        self.settle_own_end(state);
        Ok(())
    }

    /// Takes the dirty bytes of as many blocks from `from` on as go into one call. Their frames are frozen.
    fn gather(&self, state: &mut State, from: u64) -> Vec<Part> {
        let mut parts = Vec::new();
        let (mut extents, mut bytes) = (0, 0);
        for (&index, block) in state.blocks.range_mut(from..) {
            if !block.is_dirty {
                continue;
            }
            if !parts.is_empty() && (extents >= EXTENTS_MAX || bytes >= CALL_BYTES_MAX) {
                break;
            }
            let ranges = block.take_dirty();
            let has_writers = block.frame.dirty.seen().has_writers();
            let copy = has_writers.then(|| {
                let mut copy = vec![0; self.block_bytes as usize];
                for (low, high) in ranges.iter() {
                    // Memory of our own, which is there.
                    let _ = block.frame.copy_out(low, &Segment::of_slice_mut(&mut copy[low as usize..high as usize]));
                }
                copy
            });
            extents += ranges.len();
            bytes += ranges.bytes();
            parts.push(Part { index, ranges, copy });
        }
        parts
    }

    fn store_parts(&self, state: &mut State, parts: Vec<Part>) -> Result<()> {
        let mut extents = Vec::new();
        for part in &parts {
            let at = self.start_of(part.index);
            let Some(block) = state.blocks.get(&part.index) else { continue };
            for (low, high) in part.ranges.iter() {
                let segment = match &part.copy {
                    Some(copy) => Segment::of_slice(&copy[low as usize..high as usize]),
                    None => block.frame.segment(low, high),
                };
                extents.push(Extent { offset: at + u64::from(low), segment });
            }
        }
        let outcome = if extents.is_empty() { Ok(()) } else { self.remote.write_extents(&extents) };
        COUNTERS.messages_written.add(1);
        let end = extents.last().map_or(0, |extent| extent.offset + extent.segment.len() as u64);
        for extent in &extents {
            state.spoil(extent.offset, extent.offset + extent.segment.len() as u64, self.block_bytes);
        }
        if outcome.is_ok() {
            self.raise_end(end);
            self.remote.note_written(end);
        }
        for part in &parts {
            match &outcome {
                Ok(()) => self.note_part_stored(state, part),
                Err(_) => {
                    if let Some(block) = state.blocks.get_mut(&part.index) {
                        part.ranges.iter().for_each(|(low, high)| block.soil(low, high));
                    }
                }
            }
            if let Some(block) = state.blocks.get(&part.index) {
                block.frame.dirty.thaw();
            }
        }
        outcome
    }

    fn note_part_stored(&self, state: &mut State, part: &Part) {
        COUNTERS.written_back_bytes.add(part.ranges.bytes());
        let Some(block) = state.blocks.get(&part.index) else { return };
        let frame = block.frame;
        for (low, high) in part.ranges.iter() {
            frame.set_valid_inside(low, high, self.block_bytes);
        }
        // The page in which the file ends: behind the end there are zeros.
        let (at, end) = (self.start_of(part.index), part.ranges.end());
        let page = end / PAGE_BYTES * PAGE_BYTES;
        let is_end = self.end() == Some(at + u64::from(end));
        if page < end && part.copy.is_none() && is_end && part.ranges.covers(page, end) {
            frame.zero(end, (page + PAGE_BYTES).min(self.block_bytes));
            frame.set_valid(page, end);
        }
        self.mark_clean(state, part.index);
    }
}
