//! A cached block: its frame, and what of it is known, dirty or on its way.

use super::frame::{Frame, REFERENCED};
use super::pages::PAGE_BYTES;
use super::ranges::Ranges;
use super::span::Span;
use crate::ground::Result;
use crate::store::Transfer;
use std::sync::atomic::Ordering;

/// A write of a block's dirty bytes that is under way.
pub struct Outgoing {
    /// The write.
    pub transfer: Box<dyn Transfer>,
    /// The bytes.
    pub ranges: Ranges,
    /// Nobody asked meanwhile to see what the store has of them.
    pub is_newest: bool,
}

/// A block that the cache holds. All of it is under the file's lock, but for what a hit looks at: that is in the frame.
pub struct Block {
    /// Its memory.
    pub frame: &'static Frame,
    /// Dirty bytes beside those that the frame's word tells of.
    pub others: Ranges,
    /// The write that takes what was dirty to the store, while it is under way. The frame is frozen for as long.
    pub outgoing: Option<Outgoing>,
    /// Whether it counts as dirty: it has dirty bytes and no write under way.
    pub is_dirty: bool,
}

impl Block {
    /// A block with that memory; what the frame says is known is known.
    pub fn new(frame: &'static Frame) -> Self {
        Self { frame, others: Ranges::new(), outgoing: None, is_dirty: false }
    }

    /// The dirty bytes.
    pub fn dirty(&self) -> Ranges {
        let mut ranges = self.others.clone();
        let seen = self.frame.dirty.seen();
        ranges.add(seen.start(), seen.end());
        ranges
    }

    /// Whether all of `start..end` is known.
    pub fn covers(&self, start: u32, end: u32) -> bool {
        let valid = self.frame.valid();
        if valid.holds_bytes(start, end) {
            return true;
        }
        let seen = self.frame.dirty.seen();
        if seen.start() <= start && end <= seen.end() {
            return true;
        }
        let dirty = self.dirty();
        if dirty.is_empty() {
            return false;
        }
        dirty.gaps(start, end).iter().all(|gap| valid.holds_bytes(gap.0, gap.1))
    }

    /// Makes `start..end` dirty, its bytes being in the frame already.
    pub fn soil(&mut self, start: u32, end: u32) {
        while self.frame.dirty.add(start, end).is_none() {
            // The range that the word had stays dirty here, and the word follows the writer to where it is now.
            let before = self.frame.dirty.set_range(start, end);
            self.others.add(before.start(), before.end());
        }
    }

    /// Takes all dirty bytes out, for them to be stored. The frame stays frozen until somebody thaws it.
    pub fn take_dirty(&mut self) -> Ranges {
        self.frame.dirty.freeze();
        let mut ranges = std::mem::take(&mut self.others);
        let before = self.frame.dirty.set_range(0, 0);
        ranges.add(before.start(), before.end());
        ranges
    }

    /// `start..end` is not dirty any more. Told: whether anything still is.
    pub fn clean(&mut self, start: u32, end: u32) -> bool {
        let frozen = self.frame.dirty.freeze().is_frozen();
        let mut ranges = self.take_dirty();
        ranges.remove(start, end);
        let largest = ranges.iter().max_by_key(|range| range.1 - range.0);
        if let Some((low, high)) = largest {
            self.frame.dirty.set_range(low, high);
        }
        let is_dirty = !ranges.is_empty();
        self.others = ranges;
        if !frozen {
            self.frame.dirty.thaw();
        }
        is_dirty
    }

    /// Copies `start..end`, all of it known, to where `span` has it. `at` is the block's first byte in the file.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn copy_out(&self, at: u64, start: u32, end: u32, span: Span<'_>) -> Result<()> {
        for (from, piece) in span.pieces(at + u64::from(start), at + u64::from(end)) {
            self.frame.copy_out((from - at) as u32, &piece)?;
        }
        if self.frame.marks.load(Ordering::Relaxed) & REFERENCED == 0 {
            self.frame.marks.fetch_or(REFERENCED, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lays the dirty bytes of `start..end` over what `span` has there.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn lay_dirty_over(&self, at: u64, start: u32, end: u32, span: Span<'_>) -> Result<()> {
        for (low, high) in self.dirty().within(start, end) {
            for (from, piece) in span.pieces(at + u64::from(low), at + u64::from(high)) {
                self.frame.copy_out((from - at) as u32, &piece)?;
            }
        }
        Ok(())
    }

    /// Takes over what is not known yet of the pages of `start..end` from another frame that has them from the store, its
    /// first byte being the block's byte `first`. False: a writer is copying right now, and nothing was taken.
    pub fn merge(&mut self, from: &Frame, first: u32, start: u32, end: u32) -> bool {
        if self.outgoing.is_some() || !self.frame.dirty.freeze_alone() {
            return false;
        }
        let dirty = self.dirty();
        let mut page = start;
        while page < end {
            let next = (page / PAGE_BYTES + 1).saturating_mul(PAGE_BYTES).min(end);
            if !self.frame.valid().holds_bytes(page, next) {
                for (low, high) in dirty.gaps(page, next) {
                    self.frame.copy_from(from, first, low, high);
                }
                self.frame.set_valid(page, next);
            }
            page = next;
        }
        self.frame.dirty.thaw();
        true
    }
}
