//! Bytes into a file.
//!
//! 1. Where the layout stays as it is, no lock is taken: raise `dirty_end`, copy, raise the size, look whether `sequence`
//!    moved. If it did, or the file was cut meanwhile, do it again under the lock.
//! 2. Otherwise (the first bytes, bytes after a gap, a file that outgrows its slot, an append) the record's lock is held,
//!    and `sequence` is odd while bytes move or are cleared.
#![allow(unsafe_code)]

use super::object::for_each_part;
use super::open_node::OpenNode;
use super::record::{Extent, HAS_OBJECT, OBJECT_BEGUN, SIZE_BYTES_MAX, SLOT_BLANK};
use super::store::{RecordGuard, SLOT_BYTES};
use crate::ground::buffer::{Segment, total_bytes};
use crate::ground::deep_stack::run_quiet;
use crate::ground::{Errno, Result, kernel};
use std::sync::atomic::{Ordering, fence};

/// Zeros are written in pieces of this.
const ZEROS_BYTES: usize = 64 << 10;

/// More than this is cleared by punching: a hole costs no writing, but what comes after is no longer dense.
const CLEARED_BY_WRITING_BYTES_MAX: u64 = 4 << 20;

static ZEROS: [u8; ZEROS_BYTES] = [0; ZEROS_BYTES];

impl OpenNode {
    /// Writes at `offset`.
    ///
    /// # Errors
    /// `ENOSPC` with nothing written, `EFBIG`, `EISDIR`, `EBADF` for a symlink, `EROFS`.
    #[inline]
    pub fn write(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.attend_write()?;
        let length = self.clamp(offset, segments)?;
        if length == 0 {
            return Ok(0);
        }
        match self.write_unlocked(offset, length, segments)? {
            Some(count) => Ok(count),
            None => {
                let guard = self.lock()?;
                self.write_locked(&guard, offset, length, segments)
            }
        }
    }

    /// Writes at the end, wherever that is when nobody else is appending.
    ///
    /// # Errors
    /// As [`OpenNode::write`].
    pub fn write_at_end(&self, segments: &[Segment]) -> Result<(u64, usize)> {
        self.attend_write()?;
        let guard = self.lock()?;
        let offset = self.record().extent().size();
        let length = self.clamp(offset, segments)?;
        if length == 0 {
            return Ok((offset, 0));
        }
        self.write_locked(&guard, offset, length, segments).map(|count| (offset, count))
    }

    /// The bytes of `segments` that a file can hold from `offset` on.
    #[inline]
    fn clamp(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        let length = total_bytes(segments) as u64;
        if length == 0 {
            return Ok(0);
        }
        if offset >= SIZE_BYTES_MAX {
            return Err(Errno::FBIG);
        }
        Ok(length.min(SIZE_BYTES_MAX - offset) as usize)
    }

    /// Writes without the record's lock, unless that is needed: `None`.
    #[inline]
    fn write_unlocked(&self, offset: u64, length: usize, segments: &[Segment]) -> Result<Option<usize>> {
        if !Self::is_overwrite(offset, length, self.record().extent().size()) {
            self.clear_the_way(None, offset, offset + length as u64)?;
            return self.write_at_rest(offset, length, segments);
        }
        self.write_by_intent(None, offset, length, segments, |image| {
            match self.write_at_rest(offset, length, image)? {
                Some(count) => Ok(count),
                // The intent stands until it is done: some of the bytes may be where the layout was.
                None => self.write_and_change(&self.lock()?, offset, length, image),
            }
        })
    }

    /// Writes where no layout has to change; `None` where one has to, or did meanwhile.
    #[inline]
    fn write_at_rest(&self, offset: u64, length: usize, segments: &[Segment]) -> Result<Option<usize>> {
        let record = self.record();
        let sequence = record.sequence.load(Ordering::Acquire);
        if sequence % 2 == 1 {
            return Ok(None);
        }
        let extent = record.extent();
        let end = offset + length as u64;
        let count = if record.has(HAS_OBJECT) {
            if offset > extent.size() && record.dirty_end.load(Ordering::Acquire) > extent.size() {
                return Ok(None);
            }
            self.write_object(offset, length, segments)?
        } else {
            let slot = self.slot()?;
            if slot.is_null() || end > SLOT_BYTES || offset > extent.size() {
                return Ok(None);
            }
            self.write_slot(slot, offset, length, segments)?
        };
        if !self.publish(extent, offset + count as u64) {
            return Ok(None);
        }
        // Against whoever changes the layout: it sees our size, or we see its mark.
        fence(Ordering::SeqCst);
        if record.sequence.load(Ordering::Relaxed) != sequence {
            return Ok(None);
        }
        record.touch_modified(kernel::now());
        Ok(Some(count))
    }

    /// Raises the size to `end`; false if the file was cut since `seen`.
    #[inline]
    fn publish(&self, seen: Extent, end: u64) -> bool {
        let record = self.record();
        let mut now = record.extent();
        loop {
            if now.truncations() != seen.truncations() {
                return false;
            }
            if now.size() >= end {
                return true;
            }
            let raised = now.with_size(end).0;
            match record.extent.compare_exchange_weak(now.0, raised, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return true,
                Err(other) => now = Extent(other),
            }
        }
    }

    #[inline]
    fn write_object(&self, offset: u64, length: usize, segments: &[Segment]) -> Result<usize> {
        let record = self.record();
        let end = offset + length as u64;
        if record.dirty_end.load(Ordering::Relaxed) < end {
            record.dirty_end.fetch_max(end, Ordering::AcqRel);
        }
        let dense_end = record.dense_end.load(Ordering::Acquire);
        let count = self.objects().write(&self.store, offset, length, segments, dense_end)?;
        let end = offset + count as u64;
        if offset <= dense_end && end > dense_end {
            // Not if it moved: a hole may have been punched meanwhile.
            let _ = record.dense_end.compare_exchange(dense_end, end, Ordering::AcqRel, Ordering::Relaxed);
        }
        Ok(count)
    }

    /// Writes under the record's lock, changing the layout as needed.
    pub fn write_locked(
        &self,
        guard: &RecordGuard<'_>,
        offset: u64,
        length: usize,
        segments: &[Segment],
    ) -> Result<usize> {
        if !Self::is_overwrite(offset, length, self.record().extent().size()) {
            self.clear_the_way(Some(guard), offset, offset + length as u64)?;
            return self.write_and_change(guard, offset, length, segments);
        }
        let write = |image: &[Segment]| self.write_and_change(guard, offset, length, image);
        self.write_by_intent(Some(guard), offset, length, segments, write).map(|count| count.unwrap_or(0))
    }

    fn write_and_change(
        &self,
        guard: &RecordGuard<'_>,
        offset: u64,
        length: usize,
        segments: &[Segment],
    ) -> Result<usize> {
        let record = self.record();
        run_quiet(|| self.grow_layout(guard, offset + length as u64))?;
        self.clear_gap(guard, offset)?;
        let extent = record.extent();
        let count = if record.has(HAS_OBJECT) {
            self.write_object(offset, length, segments)?
        } else {
            self.write_slot(self.slot()?, offset, length, segments)?
        };
        // Nobody cuts the file while its lock is ours.
        self.publish(extent, offset + count as u64);
        record.touch_modified(kernel::now());
        Ok(count)
    }

    #[inline]
    fn write_slot(&self, slot: *mut u8, offset: u64, length: usize, segments: &[Segment]) -> Result<usize> {
        if slot.is_null() || offset + length as u64 > SLOT_BYTES {
            return Err(Errno::IO);
        }
        let record = self.record();
        if record.has(SLOT_BLANK) {
            record.flags.fetch_and(!SLOT_BLANK, Ordering::AcqRel);
        }
        for_each_part(segments, length, |part, at| {
            // SAFETY: inside the slot, as just seen; it is shared memory that others may read meanwhile.
            unsafe { part.copy_to(slot.wrapping_add(offset as usize + at)) }?;
            Ok(part.len())
        })
    }

    /// Makes room for bytes up to `end`: a slot, or object files with what was in the slot.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn grow_layout(&self, guard: &RecordGuard<'_>, end: u64) -> Result<()> {
        let record = self.record();
        if record.has(HAS_OBJECT) {
            return Ok(());
        }
        let size = record.extent().size();
        let slot = self.slot()?;
        if end.max(size) > SLOT_BYTES {
            return guard.change_layout(|| self.move_to_objects(slot));
        }
        if !slot.is_null() {
            return Ok(());
        }
        guard.change_layout(|| {
            let slot = self.store.take_slot(self.found.node.0, record)?;
            let slot = self.store.slots().at(slot * SLOT_BYTES)?;
            // Another file's bytes may be in it.
            // SAFETY: the whole slot at most, ours now.
            unsafe { slot.write_bytes(0, size as usize) };
            Ok(())
        })
    }

    /// The slot's bytes go to the object files; the slot stays until the last close, for whoever is copying still.
    fn move_to_objects(&self, slot: *mut u8) -> Result<()> {
        let record = self.record();
        let size = record.extent().size();
        // Killed on the way, they are found by this mark and go with the node.
        record.flags.fetch_or(OBJECT_BEGUN, Ordering::AcqRel);
        if record.has_slot_bytes() && size != 0 {
            let length = size.min(SLOT_BYTES) as usize;
            // SAFETY: the slot is readable memory of that size.
            let bytes = unsafe { Segment::new(slot, length) }?;
            if self.write_object(0, length, &[bytes])? < length {
                return Err(Errno::NOSPC);
            }
        } else {
            // The file has to be there before the record says so.
            let target = self.objects().placement.piece(0, 1).target;
            self.objects().file(&self.store, target, true)?;
        }
        // After a cut of power the record may say so before the host has the bytes.
        if self.store.is_promised(record) {
            self.store.sync_objects(self)?;
        }
        record.flags.fetch_or(HAS_OBJECT, Ordering::AcqRel);
        Ok(())
    }

    /// Clears what is between the size and `start`, where bytes from before a cut may be.
    ///
    /// # Errors
    /// As pwrite(2).
    pub fn clear_gap(&self, guard: &RecordGuard<'_>, start: u64) -> Result<()> {
        let record = self.record();
        if start <= record.extent().size() {
            return Ok(());
        }
        if record.has(HAS_OBJECT) {
            if record.extent().size() >= record.dirty_end.load(Ordering::Acquire) {
                return Ok(());
            }
            return guard.change_layout(|| {
                let from = record.extent().size();
                let to = start.min(record.dirty_end.load(Ordering::Acquire));
                if from < to { self.clear_objects(from, to) } else { Ok(()) }
            });
        }
        guard.change_layout(|| {
            let (slot, from) = (self.slot()?, record.extent().size().min(SLOT_BYTES) as usize);
            let to = start.min(SLOT_BYTES) as usize;
            if !slot.is_null() && from < to {
                // SAFETY: inside the slot.
                unsafe { slot.wrapping_add(from).write_bytes(0, to - from) };
            }
            Ok(())
        })
    }

    /// Zeros over a range of the object files.
    ///
    /// # Errors
    /// As pwrite(2).
    pub fn clear_objects(&self, from: u64, to: u64) -> Result<()> {
        // Where there may be no space yet, none is to be taken.
        let is_dense = to <= self.record().dense_end.load(Ordering::Acquire);
        let by_writing = is_dense && to - from <= CLEARED_BY_WRITING_BYTES_MAX;
        if !by_writing && self.may_punch(from) && self.punch(from, to).is_ok() {
            return Ok(());
        }
        self.clear_by_writing(from, to)
    }

    /// Zeros over a range of the object files, written.
    ///
    /// # Errors
    /// As pwrite(2).
    pub fn clear_by_writing(&self, from: u64, to: u64) -> Result<()> {
        let zeros = Segment::of_slice(&ZEROS);
        let mut at = from;
        while at < to {
            let length = (to - at).min(ZEROS_BYTES as u64) as usize;
            let count = self.write_object(at, length, &[zeros.part(0, length)])?;
            if count == 0 {
                return Err(Errno::NOSPC);
            }
            at += count as u64;
        }
        Ok(())
    }
}
