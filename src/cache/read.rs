//! Reads that a hit could not serve.

use super::file::{CachedFile, State, UNKNOWN};
use super::frame::AHEAD;
use super::lock::Guard;
use super::opening::Opening;
use super::span::Span;
use super::statistics::COUNTERS;
use super::write_back::is_lost;
use crate::ground::buffer::Segment;
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result};
use crate::store::Extent;
use std::sync::atomic::Ordering;

/// How often a read is asked again because what it read was changed meanwhile, before it keeps everybody else out.
const FREE_ATTEMPTS: u32 = 3;

/// How often the store may answer with fewer bytes than it says that there are.
const SHORT_ATTEMPTS: u32 = 8;

/// A read of more bytes than this asks first where the file ends. A program may name more memory than it has where it
/// knows that the file is short, and no network is to be told of that memory; for a read this long a message is nothing.
const UNASKED_BYTES_MAX: u64 = 8 << 20;

/// Part of a block: its number, and the first and the last byte's end in it.
pub type Part = (u64, u32, u32);

/// How a fetch ended.
pub enum Fetched {
    /// All is in place, up to this byte of the file at most.
    UpTo(u64),
    /// What came was changed meanwhile: it has to be asked again.
    Stale,
    /// The store sent fewer bytes than it says that there are.
    Short,
}

impl CachedFile {
    /// Reads from `offset` into `segments`. Fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// The engine's.
    pub fn read(&self, opening: &Opening, offset: u64, segments: &[Segment]) -> Result<usize> {
        let span = Span::new(offset, segments);
        let quiet = Quiet::enter();
        let mut state = self.lock(&quiet)?;
        let is_strict = self.shared.is_strict(opening);
        if !is_strict
            && self.is_proved()
            && self.end().is_none()
            && let Some(end) = self.remote.size_at_hand()
        {
            // The open has just been told.
            self.meet_end(&mut state, end);
        }
        self.look_after_transfers(&mut state);
        if is_strict && self.has_unstored(&state) {
            // What could not be stored is laid over what the store has; its writers are told.
            let _ = self.write_back(&mut state, None);
        }
        let is_in_row = opening.next.load(Ordering::Relaxed) == offset;
        let run = if is_in_row { opening.run.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
        opening.run.store(run, Ordering::Relaxed);
        if is_in_row {
            // Hits are not told of: what is left of reads in a row would look like pieces with gaps.
            opening.stride.forget();
        } else if !is_strict {
            opening.stride.note(offset, span.end() - offset);
        }
        let (mut stale, mut short) = (0, 0);
        loop {
            let is_long = span.end() - offset > UNASKED_BYTES_MAX;
            let is_proved = !is_strict && self.prove_for(&mut state, span)?;
            let end = match is_proved {
                true => self.readable_end(&mut state, span)?,
                false if is_long => span.end().min(self.remote.size_bytes()?),
                false => span.end(),
            };
            if end <= offset {
                return Ok(0);
            }
            let missing = if is_strict {
                self.parts(offset, end).collect()
            } else {
                let missing = self.copy_known(&mut state, opening, span, end)?;
                if is_proved {
                    self.read_ahead(&mut state, opening, offset, end);
                    self.read_stride_ahead(&mut state, opening, end);
                }
                missing
            };
            let up_to = if missing.is_empty() {
                end
            } else {
                let holds_on = stale >= FREE_ATTEMPTS;
                let (again, fetched) = self.fetch(&quiet, state, opening, span, &missing, holds_on)?;
                state = again;
                match fetched {
                    Fetched::UpTo(up_to) => up_to.min(end),
                    Fetched::Stale => {
                        stale += 1;
                        continue;
                    }
                    Fetched::Short if short < SHORT_ATTEMPTS => {
                        short += 1;
                        continue;
                    }
                    Fetched::Short => return Err(Errno::IO),
                }
            };
            opening.next.store(up_to.max(offset), Ordering::Relaxed);
            return Ok(up_to.saturating_sub(offset) as usize);
        }
    }

    /// Where a read of `span` ends, as far as is known: at the end of the file, which is asked for again where this
    /// read meets it and it was learnt a while ago.
    fn readable_end(&self, state: &mut State, span: Span<'_>) -> Result<u64> {
        match self.end() {
            Some(end) if span.end() <= end => Ok(span.end()),
            None if span.end() - span.start() <= UNASKED_BYTES_MAX => Ok(span.end()),
            known if known.is_none() || !self.is_end_fresh() => {
                let end = self.remote.size_bytes()?;
                self.meet_end(state, end);
                Ok(span.end().min(self.end().unwrap_or(end)))
            }
            known => Ok(span.end().min(known.unwrap_or(span.end()))),
        }
    }

    /// The store says that the file ends at `end`. If that is another end than the one known, what was cached from the
    /// nearer of the two on is of no more use.
    pub fn meet_end(&self, state: &mut State, end: u64) {
        let known = self.remote_end.load(Ordering::Acquire);
        if known != end {
            if known != UNKNOWN && self.shared.is_causal() {
                // Somebody has changed the file: bytes from before that would not go with the end.
                self.drop_clean(state);
                state.change_epoch = None;
            }
            let low = if known == UNKNOWN { end } else { known.min(end) };
            state.spoil(low, u64::MAX, self.block_bytes);
            self.invalidate(state, low, u64::MAX);
        }
        self.learn_end(end);
    }

    /// Nobody knows where the file ends.
    pub fn forget_end(&self, state: &mut State) {
        let known = self.remote_end.swap(UNKNOWN, Ordering::AcqRel);
        if known != UNKNOWN {
            self.invalidate(state, known, u64::MAX);
        }
    }

    fn direct_extents(&self, span: Span<'_>, missing: &[Part]) -> Vec<Extent> {
        let extent = |(offset, segment)| Extent { offset, segment };
        let pieces = |part: &Part| {
            let at = self.start_of(part.0);
            span.pieces(at + u64::from(part.1), at + u64::from(part.2)).map(extent)
        };
        missing.iter().flat_map(pieces).collect()
    }

    /// Copies what is cached; the rest is told.
    ///
    /// # Errors
    /// `EFAULT`.
    fn copy_known(&self, state: &mut State, opening: &Opening, span: Span<'_>, end: u64) -> Result<Vec<Part>> {
        let mut missing = Vec::new();
        let is_run = opening.run.load(Ordering::Relaxed) > 1 || opening.stride.pieces().is_some();
        for (index, from, to) in self.parts(span.start(), end) {
            let covers = |state: &State| state.blocks.get(&index).is_some_and(|block| block.covers(from, to));
            if !covers(state) {
                self.receive_block(state, index);
            }
            if !covers(state) {
                // Bytes on their way to the store must be there before they can be read from there.
                self.finish(state, index);
            }
            if is_run && index > 0 {
                self.pass(state, index - 1);
                if self.end().is_some_and(|end| end <= self.start_of(index + 1)) {
                    // The last block: the reader is through with the whole file soon, and one of it stays.
                    self.drop_passed(state, 0);
                }
            }
            match state.blocks.get(&index) {
                Some(block) if block.covers(from, to) => {
                    let marks = &block.frame.marks;
                    if marks.load(Ordering::Relaxed) & AHEAD != 0 {
                        marks.fetch_and(!AHEAD, Ordering::Relaxed);
                        COUNTERS.ahead_used_bytes.add(block.frame.valid_bytes());
                    }
                    block.copy_out(self.start_of(index), from, to, span)?;
                    self.hints.put(index, block.frame);
                }
                _ => {
                    state.is_read_again |= index < state.passed_end;
                    missing.push((index, from, to));
                }
            }
        }
        Ok(missing)
    }

    /// Gets the missing parts from the store: into blocks where they are small, and past the cache into the
    /// application's memory where they are large.
    fn fetch<'a>(
        &'a self,
        quiet: &'a Quiet,
        mut state: Guard<'a, State>,
        opening: &Opening,
        span: Span<'_>,
        missing: &[Part],
        holds_on: bool,
    ) -> Result<(Guard<'a, State>, Fetched)> {
        let loads = self.loads(&mut state, opening, missing);
        let extents = match &loads {
            Some(loads) => loads.iter().map(|load| load.extent(self)).collect(),
            None => self.direct_extents(span, missing),
        };
        let low = extents.first().map_or(0, |extent| extent.offset);
        let high = extents.last().map_or(0, |extent| extent.offset + extent.segment.len() as u64);
        COUNTERS.misses.add(1);
        COUNTERS.messages_read.add(1);
        let ticket = state.begin_message(low, high);
        // Memory of our own, which stays if nobody hears of the transfer again.
        let begun = loads.as_ref().map(|_| self.remote.begin_read(&extents));
        if let (Some(loads), Some(Ok(_))) = (&loads, &begun) {
            // While it is on its way, pages that will be written to are made: a fault behind it would be waited for.
            loads.iter().for_each(|load| load.prepare(self, &mut state));
        }
        let read = || match begun {
            Some(begun) => begun?.wait(),
            None => self.remote.read_extents(&extents),
        };
        let outcome = if holds_on {
            read()
        } else {
            drop(state);
            let outcome = read();
            state = self.lock_again(quiet)?;
            outcome
        };
        let is_lost = outcome.is_err_and(is_lost);
        let is_stale = state.end_message(ticket);
        let mut is_end_sure = true;
        // What was fetched is known, also where the application's memory is not there to take it.
        let mut told = Ok(());
        let fetched = match outcome {
            Ok(_) if is_stale => Ok(Fetched::Stale),
            Ok(count) => {
                let seen = super::seen_end::SeenEnd::of(&extents, count);
                is_end_sure = seen.is_none_or(|seen| seen.is_exact);
                self.settle_end(&mut state, seen, high).map(|is_short| match (is_short, seen) {
                    (true, _) => Fetched::Short,
                    (false, None) => Fetched::UpTo(u64::MAX),
                    (false, Some(seen)) => {
                        match &loads {
                            Some(loads) => loads.iter().for_each(|load| load.zero_behind(self, seen.end)),
                            // Past the end of the file the application's memory is left alone.
                            None => told = seen.zero_behind(&extents, self.own_end.load(Ordering::Acquire)),
                        }
                        Fetched::UpTo(seen.end.max(self.own_end.load(Ordering::Acquire)))
                    }
                })
            }
            Err(errno) => Err(errno),
        };
        let is_good = matches!(fetched, Ok(Fetched::UpTo(_)));
        // Where nobody knows where the file ends, zeros behind the end must not pass for its bytes.
        is_end_sure |= self.remote_end.load(Ordering::Acquire) != UNKNOWN;
        let age = state.age;
        match loads {
            Some(loads) => {
                if is_good {
                    told = loads.iter().try_for_each(|load| load.copy_out(self, &state, span));
                }
                for load in loads {
                    if is_good && is_end_sure {
                        load.install(self, &mut state, age);
                    } else if is_lost {
                        self.abandon(&mut state, load.frame());
                    } else {
                        self.release(&mut state, load.frame());
                    }
                }
            }
            None if is_good => {
                for (index, from, to) in missing {
                    if let Some(block) = state.blocks.get(index) {
                        told = told.and(block.lay_dirty_over(self.start_of(*index), *from, *to, span));
                    }
                }
            }
            None => {}
        }
        told.and(fetched).map(|fetched| (state, fetched))
    }

    /// Compares what a read of bytes up to `high` saw of the end of the file with what is known of it. True: the store
    /// sent fewer bytes than it says that there are.
    fn settle_end(&self, state: &mut State, seen: Option<super::seen_end::SeenEnd>, high: u64) -> Result<bool> {
        let known = self.remote_end.load(Ordering::Acquire);
        match seen {
            None if known != UNKNOWN && high > known => {
                // It has grown beyond what is known.
                self.forget_end(state);
                Ok(false)
            }
            None => Ok(false),
            Some(seen) if known != UNKNOWN && seen.end < known.min(high) => {
                let end = self.remote.size_bytes()?;
                self.meet_end(state, end);
                Ok(end > seen.end)
            }
            Some(seen) => {
                if seen.is_exact && known != seen.end {
                    self.meet_end(state, seen.end);
                }
                Ok(false)
            }
        }
    }
}
