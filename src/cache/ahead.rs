//! Reads begun ahead of a sequential reader, and the looking after of transfers under way.

use super::file::{CachedFile, Incoming, State, UNKNOWN};
use super::frame::BLOCK_BYTES_MIN;
use super::opening::Opening;
use super::pages::PAGE_BYTES;
use super::ranges::Ranges;
use super::statistics::COUNTERS;
use super::write_back::is_lost;
use crate::ground::kernel;
use crate::store::Extent;
use std::sync::atomic::Ordering;

/// What may be asked for ahead of one reader, in bytes: at 5 GB/s and 200 us for each MiB, enough to bridge some
/// milliseconds in which the program computes.
const AHEAD_BYTES_MAX: u64 = 8 << 20;

/// Which part of a description's memory may be asked for ahead.
const AHEAD_SHARE: u64 = 4;

/// A file that is no longer is read while it is opened: half of all files are, and a message of so many bytes takes
/// hardly more time than one of a page.
const FIRST_BYTES_MAX: u64 = 32 << 10;

/// How long after an open what was begun with it is good for a read, in nanoseconds. Longer than a program needs to come
/// to its first read; shorter than it needs to start another one that writes to the file, and to wait for it.
const FIRST_GOOD_NANOSECONDS: i64 = 1_000_000;

/// Reads in a row after which somebody reads on, most likely. The first read of a file counts as one.
const RUN_MIN: u32 = 2;

/// Bytes that are read from the cache between two looks at what is under way: an engine whose network moves only when
/// it is looked at must not stand still while its reader is served from here.
pub const POLL_BYTES: i64 = BLOCK_BYTES_MIN as i64;

impl CachedFile {
    /// Begins to read the blocks behind `end` for a reader that reads one piece after another, if they are not here or
    /// on their way.
    pub fn read_ahead(&self, state: &mut State, opening: &Opening, offset: u64, end: u64) {
        let block = u64::from(self.block_bytes);
        let window = opening.window_bytes.load(Ordering::Relaxed);
        if opening.run.load(Ordering::Relaxed) < RUN_MIN {
            opening.ahead_blocks.store(0, Ordering::Relaxed);
            opening.read_pace.forget();
            return;
        }
        let is_long = end - offset >= block;
        if !is_long && window < block || self.shared.is_forking() || is_long && !opening.read_pace.step(true) {
            return;
        }
        let bound = AHEAD_BYTES_MAX.min(self.shared.descriptor_bytes / AHEAD_SHARE) / block;
        let blocks = (opening.ahead_blocks.load(Ordering::Relaxed) * 2).clamp(1, bound.max(1));
        opening.ahead_blocks.store(blocks, Ordering::Relaxed);
        // Asking once where the file ends is cheaper than reading ahead of its end.
        if self.end().is_none() {
            match self.remote.size_bytes() {
                Ok(end) => self.meet_end(state, end),
                Err(_) => return,
            }
        }
        let file_end = self.end().unwrap_or(UNKNOWN);
        let first = self.index_of(end - 1) + 1;
        for index in first..first + blocks {
            if self.start_of(index) >= file_end {
                break;
            }
            let is_coming = state.incoming.iter().any(|incoming| incoming.index == index);
            let mut whole = Ranges::new();
            whole.add(0, self.block_bytes);
            if !is_coming && !state.blocks.contains_key(&index) && !self.begin(state, index, whole) {
                break;
            }
        }
    }

    /// Begins to read the pieces behind `end` for a reader of equal pieces at equal distances: those of a block in one
    /// message, of one block, then 2, 4... ahead.
    pub fn read_stride_ahead(&self, state: &mut State, opening: &Opening, end: u64) {
        let stride = &opening.stride;
        let Some(pieces) = stride.pieces() else { return };
        if pieces.length >= u64::from(self.block_bytes) || self.shared.is_forking() {
            return;
        }
        if self.end().is_none() {
            match self.remote.size_bytes() {
                Ok(end) => self.meet_end(state, end),
                Err(_) => return,
            }
        }
        let bound = AHEAD_BYTES_MAX.min(self.shared.descriptor_bytes / AHEAD_SHARE) / u64::from(self.block_bytes);
        let blocks = stride.grow(bound.max(1));
        let mut at = end;
        for _ in 0..=blocks {
            let Some(next) = pieces.first_behind(at).filter(|next| *next < self.end().unwrap_or(0)) else { return };
            let index = self.index_of(next);
            let start = self.start_of(index);
            at = start.saturating_add(u64::from(self.block_bytes));
            let is_coming = state.incoming.iter().any(|incoming| incoming.index == index);
            if is_coming || state.blocks.contains_key(&index) {
                continue;
            }
            let mut ranges = Ranges::new();
            for (low, high) in pieces.within(next, at) {
                let low = (low - start) as u32 / PAGE_BYTES * PAGE_BYTES;
                ranges.add(low, ((high - start) as u32).next_multiple_of(PAGE_BYTES).min(self.block_bytes));
            }
            if !self.begin(state, index, ranges) {
                return;
            }
        }
    }

    /// Begins to read a short file from its first byte to where it was last known to end, while its open is under way.
    pub fn begin_first(&self, state: &mut State) {
        let end = self.remote.size_to_expect().filter(|end| *end <= FIRST_BYTES_MAX.min(u64::from(self.block_bytes)));
        if let Some(end) = end.filter(|_| state.blocks.is_empty() && !self.shared.is_forking()) {
            let mut ranges = Ranges::new();
            ranges.add(0, end as u32);
            self.begin_until(state, 0, ranges, kernel::monotonic() + FIRST_GOOD_NANOSECONDS);
        }
    }

    /// Begins to read `ranges` of a block, as far as the store has them.
    fn begin(&self, state: &mut State, index: u64, mut ranges: Ranges) -> bool {
        let at = self.start_of(index);
        let known = self.remote_end.load(Ordering::Acquire);
        ranges.remove(known.saturating_sub(at).min(u64::from(self.block_bytes)) as u32, u32::MAX);
        self.begin_until(state, index, ranges, i64::MAX)
    }

    fn begin_until(&self, state: &mut State, index: u64, ranges: Ranges, good_until: i64) -> bool {
        let at = self.start_of(index);
        if ranges.is_empty() {
            return false;
        }
        let wanted: Vec<(u32, u32)> = ranges.iter().collect();
        // A frame for several ranges had better be one whose memory is there.
        let need_bytes = if wanted.len() > 1 { self.block_bytes } else { ranges.bytes() as u32 };
        let Some(frame) = self.acquire_for(state, &wanted, need_bytes) else { return false };
        let extent = |(low, high)| Extent { offset: at + u64::from(low), segment: frame.segment(low, high) };
        let extents: Vec<Extent> = ranges.iter().map(extent).collect();
        COUNTERS.messages_read.add(1);
        match self.remote.begin_read(&extents) {
            Ok(transfer) => {
                COUNTERS.ahead_begun_bytes.add(ranges.bytes());
                self.transfers.fetch_add(1, Ordering::Relaxed);
                state.incoming.push(Incoming { index, frame, transfer, ranges, is_stale: false, good_until });
                true
            }
            Err(_) => {
                self.release(state, frame);
                false
            }
        }
    }

    /// Waits for a block that is coming, if it is, and makes it part of the cache. A read ahead that failed is told to
    /// nobody: who needs the bytes asks again.
    pub fn receive_block(&self, state: &mut State, index: u64) {
        if let Some(at) = state.incoming.iter().position(|incoming| incoming.index == index) {
            COUNTERS.misses.add(1);
            let incoming = state.incoming.swap_remove(at);
            self.receive(state, incoming);
        }
    }

    /// Waits for everything that is coming.
    pub fn receive_all(&self, state: &mut State) {
        while let Some(incoming) = state.incoming.pop() {
            self.receive(state, incoming);
        }
    }

    fn receive(&self, state: &mut State, incoming: Incoming) {
        let Incoming { index, frame, transfer, ranges, is_stale, good_until } = incoming;
        let is_first = good_until != i64::MAX;
        let has_no_end = self.remote_end.load(Ordering::Acquire) == UNKNOWN;
        // What came with an open is good for as long as what the open was told of the end would be.
        let is_stale = is_stale || is_first && kernel::monotonic() > good_until;
        self.transfers.fetch_sub(1, Ordering::Relaxed);
        let count = match transfer.wait() {
            Ok(count) => count,
            Err(errno) if is_lost(errno) => return self.abandon(state, frame),
            Err(_) => return self.release(state, frame),
        };
        let asked = ranges.bytes();
        // Nothing was asked for behind the end that was known then. So a short answer tells that the file ends elsewhere
        // now: somebody who waits for the bytes had better ask himself.
        let is_short = (count as u64) < asked;
        if is_first && has_no_end && !is_short && !is_stale {
            // The open was told of no end. All that the file was expected to have is there; whether more is, somebody will
            // ask who reads on.
            self.suppose_end(asked);
        }
        let is_end_known = self.remote_end.load(Ordering::Acquire) != UNKNOWN;
        if is_stale || is_short || !is_end_known {
            COUNTERS.ahead_unused_bytes.add(asked);
            return self.release(state, frame);
        }
        let age = state.age;
        self.install_ahead(state, index, frame, &ranges, age);
    }

    /// Looks whether transfers under way have ended, and takes in what has. Without waiting.
    pub fn look_after_transfers(&self, state: &mut State) {
        if self.transfers.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut at = 0;
        while at < state.incoming.len() {
            if state.incoming[at].transfer.has_ended() {
                let incoming = state.incoming.swap_remove(at);
                self.receive(state, incoming);
            } else {
                at += 1;
            }
        }
        let sent: Vec<u64> = state.outgoing.iter().copied().collect();
        for index in sent {
            let outgoing = state.blocks.get_mut(&index).and_then(|block| block.outgoing.as_mut());
            if outgoing.is_some_and(|outgoing| outgoing.transfer.has_ended()) {
                self.finish(state, index);
            }
        }
    }
}
