//! A file's size and space, changed by name and not by writing.
#![allow(unsafe_code)]

use super::open_node::OpenNode;
use super::record::{Extent, HAS_OBJECT, SIZE_BYTES_MAX, TRIM};
use super::store::{RecordGuard, SLOT_BYTES};
use crate::ground::kernel;
use crate::ground::{Errno, Result};
use crate::store::Allocation;
use rustix::fs::FallocateFlags;
use std::sync::atomic::Ordering;

impl OpenNode {
    /// Cuts the file, or lets it grow by a hole.
    ///
    /// # Errors
    /// `EFBIG`, `EISDIR`, `EINVAL` for a symlink, `EROFS`, `ENOSPC`.
    pub fn resize(&self, size_bytes: u64) -> Result<()> {
        self.attend_write()?;
        if size_bytes > SIZE_BYTES_MAX {
            return Err(Errno::FBIG);
        }
        let record = self.record();
        let guard = self.lock()?;
        let before = record.extent().size();
        if size_bytes < before {
            self.clear_the_way(Some(&guard), size_bytes, u64::MAX)?;
            // Bytes stay where they are, for those who are reading them; they are cleared when the file grows again,
            // and their space is given back at the last close.
            guard.change_layout(|| {
                let _ = record.extent.fetch_update(Ordering::SeqCst, Ordering::Acquire, |word| {
                    Some(Extent::new(Extent(word).truncations().wrapping_add(1), size_bytes).0)
                });
                if record.has(HAS_OBJECT) {
                    record.flags.fetch_or(TRIM, Ordering::AcqRel);
                    // Bytes that the host lost are no loss once the file ends before them.
                    if self.objects().are_cut() {
                        self.objects().recheck(&self.store);
                    }
                }
            });
        } else if size_bytes > before {
            self.grow_to(&guard, size_bytes)?;
        }
        record.touch_modified(kernel::now());
        Ok(())
    }

    /// Lets the file grow; what is new reads as zeros.
    fn grow_to(&self, guard: &RecordGuard<'_>, size_bytes: u64) -> Result<()> {
        let record = self.record();
        if record.slot.load(Ordering::Acquire) != 0 {
            self.grow_layout(guard, size_bytes)?;
        }
        self.clear_gap(guard, size_bytes)?;
        let _ = record.extent.fetch_update(Ordering::SeqCst, Ordering::Acquire, |word| {
            (Extent(word).size() < size_bytes).then(|| Extent(word).with_size(size_bytes).0)
        });
        Ok(())
    }

    /// fallocate(2).
    ///
    /// # Errors
    /// `EINVAL` for no length, `EFBIG`, `ENOSPC`, `EROFS`.
    pub fn reserve(&self, how: Allocation, offset: u64, length: u64) -> Result<()> {
        self.attend_write()?;
        if length == 0 {
            return Err(Errno::INVAL);
        }
        let end = offset.checked_add(length).filter(|&end| end <= SIZE_BYTES_MAX).ok_or(Errno::FBIG)?;
        let record = self.record();
        let guard = self.lock()?;
        match how {
            Allocation::Extend | Allocation::KeepSize => {
                self.grow_layout(&guard, end)?;
                if record.has(HAS_OBJECT) {
                    // Space beyond the size would show what was there before a cut: it is cleared as if the file grew.
                    self.allocate_objects(offset, end)?;
                }
            }
            Allocation::PunchHole | Allocation::ZeroExtend | Allocation::ZeroKeepSize => {
                self.clear_the_way(Some(&guard), offset, end)?;
                self.clear_range(&guard, offset, end.min(record.extent().size()))?;
            }
        }
        if matches!(how, Allocation::Extend | Allocation::ZeroExtend) && end > record.extent().size() {
            self.grow_to(&guard, end)?;
        }
        record.touch_modified(kernel::now());
        Ok(())
    }

    fn allocate_objects(&self, offset: u64, end: u64) -> Result<()> {
        let objects = self.objects();
        objects.for_each_piece(offset, end - offset, |piece| {
            let file = objects.file(&self.store, piece.target, true)?.ok_or(Errno::IO)?;
            kernel::allocate(kernel::borrow(file), piece.offset, piece.length)
        })?;
        let record = self.record();
        let dense_end = record.dense_end.load(Ordering::Acquire);
        if offset <= dense_end && end > dense_end {
            record.dense_end.store(end, Ordering::Release);
        }
        if end > record.extent().size() {
            record.flags.fetch_or(TRIM, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Zeros over a range that ends at the size at most.
    fn clear_range(&self, guard: &RecordGuard<'_>, from: u64, to: u64) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        let record = self.record();
        if record.has(HAS_OBJECT) {
            return guard.change_layout(|| {
                if !self.may_punch(from) {
                    return self.clear_by_writing(from, to);
                }
                match self.punch(from, to) {
                    Err(Errno::OPNOTSUPP) => self.clear_by_writing(from, to),
                    punched => punched,
                }
            });
        }
        guard.change_layout(|| {
            let (slot, to) = (self.slot()?, to.min(SLOT_BYTES) as usize);
            if !slot.is_null() && (from as usize) < to {
                // SAFETY: inside the slot.
                unsafe { slot.wrapping_add(from as usize).write_bytes(0, to - from as usize) };
            }
            Ok(())
        })
    }

    /// Whether a hole from `from` on can be made without taking a page from under somebody who is copying from a window: there
    /// is no dense part, or nobody else has the file open.
    pub fn may_punch(&self, from: u64) -> bool {
        let record = self.record();
        from >= record.dense_end.load(Ordering::Acquire)
            || self.store.open_count(record) <= 1 && kernel::is_single_threaded()
    }

    /// A hole in the object files. `sequence` is odd, or nobody else has the file open.
    ///
    /// # Errors
    /// As fallocate(2).
    pub fn punch(&self, from: u64, to: u64) -> Result<()> {
        // First: nobody may take for dense what is about to be none.
        self.record().dense_end.fetch_min(from, Ordering::SeqCst);
        let objects = self.objects();
        objects.for_each_piece(from, to - from, |piece| match objects.file(&self.store, piece.target, false)? {
            Some(file) => punch_file(file, piece.offset, piece.length),
            None => Ok(()),
        })
    }

    /// Gives back the space beyond the size. Nobody else has the file open.
    ///
    /// # Errors
    /// As fallocate(2).
    pub fn trim(&self, guard: &RecordGuard<'_>) -> Result<()> {
        let record = self.record();
        guard.change_layout(|| {
            let size = record.extent().size();
            record.dense_end.fetch_min(size, Ordering::SeqCst);
            let objects = self.objects();
            for (target, file) in objects.existing(&self.store)? {
                let host_size = rustix::fs::fstat(file)?.st_size.cast_unsigned();
                let from = objects.placement.target_end(target, size);
                if from < host_size {
                    punch_file(std::os::fd::AsRawFd::as_raw_fd(&file), from, host_size - from)?;
                }
            }
            record.dirty_end.fetch_min(size, Ordering::SeqCst);
            Ok(())
        })
    }
}

fn punch_file(file: i32, offset: u64, length: u64) -> Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(kernel::borrow(file), flags, offset, length)
}
