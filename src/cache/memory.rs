//! Memory for blocks: who may have how much, and who makes room.

use super::CACHE_BYTES_MIN;
use super::block::Block;
use super::file::{CachedFile, State};
use super::frame::{self, AHEAD, Frame, REFERENCED};
use super::statistics::COUNTERS;
use crate::ground::guard::Quiet;
use std::sync::atomic::Ordering;

/// Blocks that a sequential reader or writer is through with and that stay, for whoever steps back a little: with the
/// block that it is in, an open file that was read once keeps no more than two chunks.
const PASSED_KEPT: usize = 1;

/// What an open file costs beside its blocks, in bytes: the cache's memory and the descriptions', the node's and the
/// library's object. Measured with 16 files of four blocks each: 8.7 KiB.
const FILE_BYTES: u64 = 9 << 10;

/// However many files are open, so great a part of the bound is left to blocks.
const BLOCKS_SHARE: u64 = 2;

impl CachedFile {
    /// What this file's blocks may come to, in bytes.
    fn bound_bytes(&self) -> u64 {
        self.shared.descriptor_bytes.saturating_mul(u64::from(self.users.load(Ordering::Relaxed).max(1)))
    }

    /// A frame that will hold bytes `start..end` of a block, paid for; `None` where there is no room for it.
    pub fn acquire(&self, state: &mut State, start: u32, end: u32) -> Option<&'static Frame> {
        self.acquire_for(state, &[(start, end)], end - start)
    }

    /// The same for several ranges; `need_bytes` of it will be used soon.
    pub fn acquire_for(&self, state: &mut State, ranges: &[(u32, u32)], need_bytes: u32) -> Option<&'static Frame> {
        // Room is made first: what is evicted for it is the memory that the new block gets.
        let least = ranges.iter().map(|range| u64::from(range.1 - range.0)).sum();
        if !self.make_room(state, least, None) {
            return None;
        }
        let frame = frame::take(self.block_bytes, need_bytes).ok()?;
        // Ranges may share a page at their ends: that is paid for twice here, and settled below.
        let cost = frame.touched_bytes() + ranges.iter().map(|range| frame.cost_of(range.0, range.1)).sum::<u64>();
        if !self.make_room(state, cost, None) {
            frame.give_back();
            return None;
        }
        for (start, end) in ranges {
            frame.touch(*start, *end);
        }
        self.pay(state, frame.touched_bytes());
        Some(frame)
    }

    /// Gives a frame back that [`acquire`](Self::acquire) gave.
    pub fn release(&self, state: &mut State, frame: &'static Frame) {
        let cost = frame.give_back();
        self.earn(state, cost);
    }

    /// Gives a frame up for which a lost transfer may still reach.
    pub fn abandon(&self, state: &mut State, frame: &'static Frame) {
        let cost = frame.abandon();
        self.earn(state, cost);
    }

    /// Pays for more of a frame that block `index` has. False: there is no room.
    pub fn extend(&self, state: &mut State, index: u64, frame: &'static Frame, start: u32, end: u32) -> bool {
        let cost = frame.cost_of(start, end);
        if cost != 0 {
            if !self.make_room(state, cost, Some(index)) {
                return false;
            }
            frame.touch(start, end);
            self.pay(state, cost);
        }
        true
    }

    fn pay(&self, state: &mut State, bytes: u64) {
        state.used_bytes += bytes;
        let used = self.shared.used_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.keep_spare_within(used);
    }

    fn earn(&self, state: &mut State, bytes: u64) {
        state.used_bytes = state.used_bytes.saturating_sub(bytes);
        let used = self.shared.used_bytes.fetch_sub(bytes, Ordering::Relaxed).saturating_sub(bytes);
        self.keep_spare_within(used);
    }

    /// What waits to be used again counts too.
    fn keep_spare_within(&self, used: u64) {
        let room = self.shared.blocks_bound_bytes().saturating_sub(used);
        if frame::spare_bytes() > room {
            frame::trim_spare(room);
        }
    }

    /// Makes room for `bytes` more, block `kept` staying. False: there is none to be had.
    fn make_room(&self, state: &mut State, bytes: u64, kept: Option<u64>) -> bool {
        let bound = self.bound_bytes();
        while state.used_bytes + bytes > bound {
            if !self.evict_one(state, kept) && !self.evict_dirty(state, kept) {
                return false;
            }
        }
        let shared = &self.shared;
        while shared.used_bytes.load(Ordering::Relaxed) + bytes > shared.blocks_bound_bytes() {
            // Whoever has most gives first; the others are asked where nothing is left here.
            let is_large = state.used_bytes * shared.files_open() >= shared.bound_bytes;
            let made = (is_large && self.evict_one(state, kept))
                || shared.evict_elsewhere(self.id, bytes)
                || self.evict_one(state, kept)
                || self.evict_dirty(state, kept);
            if !made {
                return false;
            }
        }
        true
    }

    /// Drops one clean block: the first under the clock's hand that was not read since the hand's last round. False:
    /// there is none.
    pub fn evict_one(&self, state: &mut State, kept: Option<u64>) -> bool {
        for _ in 0..2 * state.blocks.len() {
            let found = state.blocks.range(state.hand..).next().or_else(|| state.blocks.iter().next());
            let Some((&index, block)) = found else { return false };
            state.hand = index + 1;
            if Some(index) == kept || block.is_dirty || block.outgoing.is_some() {
                continue;
            }
            if block.frame.marks.fetch_and(!REFERENCED, Ordering::Relaxed) & REFERENCED != 0 {
                continue;
            }
            if self.drop_block(state, index) {
                COUNTERS.evicted_blocks.add(1);
                return true;
            }
        }
        false
    }

    /// Stores what is dirty, so that it may be evicted. False where that fails or helps nothing.
    fn evict_dirty(&self, state: &mut State, kept: Option<u64>) -> bool {
        self.has_unstored(state) && self.write_back(state, None).is_ok() && self.evict_one(state, kept)
    }

    /// Drops a clean block. False: somebody is writing to it.
    pub fn drop_block(&self, state: &mut State, index: u64) -> bool {
        let Some(block) = state.blocks.get(&index) else { return false };
        if block.is_dirty || block.outgoing.is_some() || !block.frame.dirty.freeze_alone() {
            return false;
        }
        let frame = block.frame;
        if frame.marks.load(Ordering::Relaxed) & AHEAD != 0 {
            COUNTERS.ahead_unused_bytes.add(frame.valid_bytes());
        }
        self.hints.remove(index, frame);
        state.blocks.remove(&index);
        self.release(state, frame);
        true
    }

    /// Puts a frame in place as block `index`, of which nothing was cached.
    pub fn place(&self, state: &mut State, index: u64, frame: &'static Frame) {
        frame.own(self.id, index);
        state.blocks.insert(index, Block::new(frame));
        if self.hints.reserve(state.blocks.len()) {
            for (index, block) in &state.blocks {
                self.hints.put(*index, block.frame);
            }
        }
        self.hints.put(index, frame);
    }

    /// A sequential reader or writer is through with a block: only the last few such stay, unless the file turned out
    /// to be read again and again.
    pub fn pass(&self, state: &mut State, index: u64) {
        if state.is_read_again || state.passed.contains(&index) {
            return;
        }
        state.passed.push_back(index);
        self.drop_passed(state, PASSED_KEPT);
    }

    /// Drops the blocks that were passed, but for the last `kept`.
    pub fn drop_passed(&self, state: &mut State, kept: usize) {
        while !state.is_read_again && state.passed.len() > kept {
            let Some(index) = state.passed.pop_front() else { return };
            if self.drop_block(state, index) {
                state.passed_end = state.passed_end.max(index + 1);
            }
        }
    }

    /// Drops every clean byte, and what is coming in; dirty bytes stay.
    pub fn drop_clean(&self, state: &mut State) {
        state.spoil(0, u64::MAX, self.block_bytes);
        self.invalidate(state, 0, u64::MAX);
        state.passed.clear();
        state.passed_end = 0;
    }

    /// The bytes `start..end` of the file are unknown from now on, where they are not dirty.
    pub fn invalidate(&self, state: &mut State, start: u64, end: u64) {
        let first = self.index_of(start);
        let reached: Vec<u64> = state.blocks.range(first..).map(|(index, _)| *index).collect();
        for index in reached {
            let at = self.start_of(index);
            if at >= end {
                break;
            }
            let low = start.saturating_sub(at) as u32;
            let high = (end - at).min(u64::from(self.block_bytes)) as u32;
            let Some(block) = state.blocks.get_mut(&index) else { continue };
            if let Some(outgoing) = &mut block.outgoing {
                // Own bytes on their way to the store: nothing is newer. But for them nothing is known any more.
                if !outgoing.ranges.covers(0, self.block_bytes) && low < high {
                    outgoing.is_newest = false;
                    block.frame.invalidate(low, high);
                }
                continue;
            }
            if low < high {
                block.frame.invalidate(low, high);
            }
            if block.frame.valid().is_empty() {
                self.drop_block(state, index);
            }
        }
    }
}

impl super::container::Shared {
    /// What the blocks of all files may come to: `cache=` bounds what the files cost beside them too.
    fn blocks_bound_bytes(&self) -> u64 {
        let left = self.bound_bytes.saturating_sub(self.files_open().saturating_mul(FILE_BYTES));
        left.max(self.bound_bytes / BLOCKS_SHARE).max(CACHE_BYTES_MIN)
    }

    /// Evicts clean blocks of other files than `id`, whose locks nobody has right now, until `bytes` are free. False:
    /// nothing was evicted.
    fn evict_elsewhere(&self, id: u64, bytes: u64) -> bool {
        let quiet = Quiet::enter();
        let Some(mut registry) = self.registry.try_lock(&quiet) else { return false };
        let wanted =
            self.used_bytes.load(Ordering::Relaxed).saturating_add(bytes).saturating_sub(self.blocks_bound_bytes());
        let mut freed = 0;
        for _ in 0..registry.files.len() {
            let found = registry.files.range(registry.hand..).next().or_else(|| registry.files.iter().next());
            let Some((&key, file)) = found else { break };
            if file.id != id
                && let Some(mut state) = file.lock.try_lock(&quiet)
            {
                let before = state.used_bytes;
                while before - state.used_bytes < wanted - freed && file.evict_one(&mut state, None) {}
                freed += before - state.used_bytes;
            }
            if freed >= wanted {
                break;
            }
            registry.hand = (key.0, key.1.wrapping_add(1));
        }
        freed != 0
    }
}
