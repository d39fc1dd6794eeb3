//! Writes that a hit could not take: into the cache, or through it.

use super::file::{CachedFile, State, UNKNOWN};
use super::flusher;
use super::frame::Frame;
use super::lock::Guard;
use super::opening::Opening;
use super::pages::PAGE_BYTES;
use super::read::Part;
use super::span::Span;
use super::statistics::COUNTERS;
use crate::ground::buffer::Segment;
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result};
use std::sync::atomic::Ordering;

/// Pieces that a file gathers before all of them go out in one call.
const PIECES_MAX: usize = 512;

/// Bytes that a file gathers before they go out, full blocks apart, which go at once.
const DIRTY_BYTES_MAX: u64 = 16 << 20;

/// A longer write goes past the cache. A shorter one of a block or more may gain by it, because the program goes on while
/// its bytes are on their way, or lose by being copied: see [`super::pace`].
const GATHERED_BYTES_MAX: u64 = 16 << 20;

impl CachedFile {
    /// Writes `segments` at `offset`. Bytes written; fewer where only a part could be taken.
    ///
    /// # Errors
    /// The engine's, or one that an earlier write of this description left to be told.
    pub fn write(&self, opening: &Opening, offset: u64, segments: &[Segment]) -> Result<usize> {
        let span = Span::new(offset, segments);
        let end = span.end();
        if end <= offset {
            return Ok(0);
        }
        let quiet = Quiet::enter();
        let mut state = self.lock(&quiet)?;
        opening.take_failure()?;
        let is_direct = self.shared.is_strict(opening) || !flusher::is_running(&self.shared);
        if is_direct || self.is_faster_direct(opening, end - offset) {
            return self.write_through(&quiet, state, span, segments);
        }
        COUNTERS.gathered_writes.add(1);
        opening.note_write();
        let mut done = 0;
        for (index, from, to) in self.parts(offset, end) {
            match self.write_part(&mut state, opening, span, (index, from, to)) {
                Ok(()) => done += (to - from) as usize,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        self.send_left(&mut state, opening, offset, offset + done as u64);
        if state.pieces > PIECES_MAX || state.dirty_bytes > DIRTY_BYTES_MAX {
            // These bytes are taken: an error is told by the next call.
            let _ = self.write_back(&mut state, None);
        }
        Ok(done)
    }

    /// Whether a write of so many bytes had better go past the cache.
    fn is_faster_direct(&self, opening: &Opening, bytes: u64) -> bool {
        if bytes > GATHERED_BYTES_MAX || bytes < u64::from(self.block_bytes) {
            return bytes > GATHERED_BYTES_MAX;
        }
        let were_cached = &self.shared.are_long_writes_cached;
        let is_cached = opening.write_pace.step(were_cached.load(Ordering::Relaxed));
        if let Some(is_cached) = opening.write_pace.faster() {
            were_cached.store(is_cached, Ordering::Relaxed);
        }
        !is_cached
    }

    fn write_part(&self, state: &mut State, opening: &Opening, span: Span<'_>, (index, from, to): Part) -> Result<()> {
        self.finish(state, index);
        let at = self.start_of(index);
        let (low, high) = (at + u64::from(from), at + u64::from(to));
        let Some(frame) = self.frame_for(state, opening, (index, from, to)) else {
            // No room, not even by storing what is there: these bytes go by themselves.
            let segments: Vec<Segment> = span.pieces(low, high).map(|(_, piece)| piece).collect();
            let written = self.remote.write_at(low, &segments)?;
            self.note_written_through(state, low, low + written as u64);
            return if written as u64 == high - low { Ok(()) } else { Err(Errno::NOSPC) };
        };
        // Memory that the program takes away while it is copied leaves some bytes changed: they count as written.
        let copied = span.pieces(low, high).try_for_each(|(offset, piece)| frame.write((offset - at) as u32, &piece));
        let Some(block) = state.blocks.get_mut(&index) else { return Err(Errno::IO) };
        let before = block.others.len();
        block.soil(from, to);
        state.pieces += block.others.len().saturating_sub(before);
        state.dirty_bytes += u64::from(to - from);
        let seen = block.frame.dirty.seen();
        let may_be_whole = seen.start() == 0 && seen.end() == self.block_bytes || !block.others.is_empty();
        self.mark_dirty(state, index);
        self.note_written(high);
        opening.note_write();
        if may_be_whole {
            self.send(state, index);
        }
        copied
    }

    /// The frame of a block, with memory for `from..to` and some more for a writer that goes on.
    fn frame_for(&self, state: &mut State, opening: &Opening, (index, from, to): Part) -> Option<&'static Frame> {
        let Some(block) = state.blocks.get(&index) else {
            // A writer who goes upwards will need more of it, and is through with other frames, whose memory is there.
            let need_bytes = if opening.is_ascending() { self.block_bytes } else { to - from };
            let frame = self.acquire_for(state, &[(from, to)], need_bytes)?;
            frame.room.store(to.next_multiple_of(PAGE_BYTES).min(self.block_bytes), Ordering::Relaxed);
            self.place(state, index, frame);
            return Some(frame);
        };
        let frame = block.frame;
        let seen = frame.dirty.seen();
        let run = if seen.end() == from { to - seen.start() } else { to - from };
        let ahead = to.saturating_add(run).next_multiple_of(PAGE_BYTES).min(self.block_bytes);
        if self.extend(state, index, frame, from, ahead) {
            frame.room.store(ahead, Ordering::Relaxed);
            return Some(frame);
        }
        frame.room.store(to, Ordering::Relaxed);
        self.extend(state, index, frame, from, to).then_some(frame)
    }

    /// Makes bytes dirty that a writer on the fast way copied to a frame whose dirty range was taken away meanwhile, and
    /// ends that writer's part.
    ///
    /// # Errors
    /// `EIO` where the file's lock is not to be had: nobody knows then whether the bytes will be stored.
    pub fn publish_late(&self, opening: &Opening, frame: &'static Frame, index: u64, from: u32, to: u32) -> Result<()> {
        let quiet = Quiet::enter();
        let mut state = match self.lock(&quiet) {
            Ok(state) => state,
            Err(errno) => {
                frame.dirty.leave();
                return Err(errno);
            }
        };
        if let Some(block) = state.blocks.get_mut(&index) {
            block.soil(from, to);
            self.mark_dirty(&mut state, index);
            self.note_written(self.start_of(index) + u64::from(to));
            opening.note_write();
        }
        frame.dirty.leave();
        Ok(())
    }

    /// A writer on the fast way filled a block.
    pub fn send_full(&self, index: u64) {
        let quiet = Quiet::enter();
        if let Ok(mut state) = self.lock(&quiet) {
            self.send(&mut state, index);
        }
    }

    /// Writes to the store at once, from the application's memory.
    fn write_through<'a>(
        &'a self,
        quiet: &'a Quiet,
        mut state: Guard<'a, State>,
        span: Span<'_>,
        segments: &[Segment],
    ) -> Result<usize> {
        COUNTERS.direct_writes.add(1);
        COUNTERS.messages_written.add(1);
        let (start, end) = (span.start(), span.end());
        let (first, last) = (self.index_of(start), self.index_of(end - 1));
        let reached: Vec<u64> = state.blocks.range(first..=last).map(|(index, _)| *index).collect();
        reached.iter().for_each(|index| self.finish(&mut state, *index));
        let written = if reached.is_empty() {
            // Nothing of it is cached: others may use the file meanwhile.
            let ticket = state.begin_message(start, start);
            drop(state);
            let outcome = self.remote.write_at(start, segments);
            state = self.lock_again(quiet)?;
            state.end_message(ticket);
            outcome
        } else {
            self.remote.write_at(start, segments)
        };
        match written {
            Ok(written) => {
                self.note_written_through(&mut state, start, start + written as u64);
                Ok(written)
            }
            Err(errno) => {
                // Nobody knows which of the bytes arrived.
                state.spoil(start, end, self.block_bytes);
                self.invalidate(&mut state, start, end);
                self.forget_end(&mut state);
                Err(errno)
            }
        }
    }

    /// The lock, for a call that was under way without it: a fork waits for such calls, so they don't wait for it.
    ///
    /// # Errors
    /// `EIO` where it is not to be had.
    pub fn lock_again<'a>(&'a self, quiet: &'a Quiet) -> Result<Guard<'a, State>> {
        self.lock.lock_within(quiet, self.shared.patience).ok_or(Errno::IO)
    }

    /// `start..end` went to the store past the cache: what the cache has of it is old.
    pub fn note_written_through(&self, state: &mut State, start: u64, end: u64) {
        state.spoil(start, end, self.block_bytes);
        self.forget_dirty(state, start, end);
        self.invalidate(state, start, end);
        let known = self.remote_end.load(Ordering::Acquire);
        if known != UNKNOWN && known < end {
            // Zeros that stood for what is behind the end.
            self.invalidate(state, known, end);
            self.raise_end(end);
        }
        self.remote.note_written(end);
        self.settle_own_end(state);
    }

    /// Dirty bytes in `start..end` are not to be stored any more.
    pub fn forget_dirty(&self, state: &mut State, start: u64, end: u64) {
        let reached: Vec<u64> = state.blocks.range(self.index_of(start)..).map(|(index, _)| *index).collect();
        for index in reached {
            let at = self.start_of(index);
            if at >= end {
                break;
            }
            let low = start.saturating_sub(at) as u32;
            let high = (end - at).min(u64::from(self.block_bytes)) as u32;
            if let Some(block) = state.blocks.get_mut(&index)
                && block.is_dirty
                && !block.clean(low, high)
            {
                self.mark_clean(state, index);
            }
        }
    }

    /// Writes at the end of the file as it is in the store, in one step against every other append of this node.
    ///
    /// # Errors
    /// The engine's, or one that was left to be told.
    pub fn append(&self, opening: &Opening, segments: &[Segment]) -> Result<(u64, usize)> {
        let quiet = Quiet::enter();
        let mut state = self.lock(&quiet)?;
        opening.take_failure()?;
        let turn = self.remote.lock_for_append()?;
        self.write_back(&mut state, Some(opening))?;
        let end = self.remote.size_bytes()?;
        COUNTERS.direct_writes.add(1);
        COUNTERS.messages_written.add(1);
        let written = self.remote.write_at(end, segments)?;
        drop(turn);
        self.meet_end(&mut state, end);
        self.note_written_through(&mut state, end, end + written as u64);
        Ok((end, written))
    }
}
