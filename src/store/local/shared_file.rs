//! A file that is mapped piece by piece, shared with every process of the store, and never shrinks.
#![allow(unsafe_code)]

use super::store_directory::{Refusal, StoreDirectory};
use crate::ground::buffer::Segment;
use crate::ground::{Errno, Result, file_size_limit, kernel};
use rustix::fs::OFlags;
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicPtr, Ordering};

/// The file, and the segments of it that this process has mapped.
///
/// Only what is known to have its space on the disk is ever touched: see [`SharedFile::allocate`].
pub struct SharedFile {
    directory: StoreDirectory,
    name: &'static str,
    segment_bytes: usize,
    writable: bool,
    segments: Box<[AtomicPtr<u8>]>,
}

impl SharedFile {
    /// The file `name` in `directory` (which outlives this), in segments of `segment_bytes`, `segments_count` at most.
    pub fn new(
        directory: StoreDirectory,
        name: &'static str,
        segment_bytes: usize,
        segments_count: usize,
        writable: bool,
    ) -> Self {
        let segments = (0..segments_count).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect();
        Self { directory, name, segment_bytes, writable, segments }
    }

    /// Bytes that it can grow to.
    pub fn bytes_max(&self) -> u64 {
        (self.segment_bytes * self.segments.len()) as u64
    }

    /// Where the first segment is in memory, if it is mapped.
    #[inline(always)]
    pub fn mapped(&self) -> Option<*mut u8> {
        let start = self.segments.first()?.load(Ordering::Acquire);
        (!start.is_null()).then_some(start)
    }

    /// Where the file's byte `offset` is in memory. It has its space, the caller knows.
    ///
    /// # Errors
    /// `EIO` past the last segment, `ENOMEM`, or what opening the file answers.
    #[inline]
    pub fn at(&self, offset: u64) -> Result<*mut u8> {
        let index = (offset / self.segment_bytes as u64) as usize;
        let within = (offset % self.segment_bytes as u64) as usize;
        let segment = self.segments.get(index).ok_or(Errno::IO)?;
        let mut start = segment.load(Ordering::Acquire);
        if start.is_null() {
            start = self.map(index)?;
        }
        Ok(start.wrapping_add(within))
    }

    #[cold]
    fn map(&self, index: usize) -> Result<*mut u8> {
        let (access, protection) = if self.writable {
            (OFlags::RDWR, ProtFlags::READ | ProtFlags::WRITE)
        } else {
            (OFlags::RDONLY, ProtFlags::READ)
        };
        let file = self.open(access)?;
        let offset = (index * self.segment_bytes) as u64;
        // SAFETY: a new mapping of a file of the store.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                self.segment_bytes,
                protection,
                MapFlags::SHARED,
                file.as_fd(),
                offset,
            )
        }?;
        match self.segments[index].compare_exchange(
            std::ptr::null_mut(),
            start.cast(),
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => Ok(start.cast()),
            Err(other) => {
                // SAFETY: our own mapping, that nobody has seen.
                let _ = unsafe { rustix::mm::munmap(start, self.segment_bytes) };
                Ok(other)
            }
        }
    }

    /// A copy of some bytes that have their space.
    ///
    /// # Errors
    /// As [`SharedFile::at`].
    pub fn copy_out(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        // SAFETY: the caller's word; segments are whole multiples of what is copied.
        unsafe { self.at(offset)?.copy_to_nonoverlapping(bytes.as_mut_ptr(), length) };
        Ok(bytes)
    }

    /// Puts bytes where there is space for them.
    ///
    /// # Errors
    /// As [`SharedFile::at`].
    pub fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: as above.
        unsafe { self.at(offset)?.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    fn open(&self, access: OFlags) -> Result<kernel::Low> {
        self.directory.open(self.name, access).map_err(Refusal::errno)
    }

    /// Gives the range its space on the disk; the file grows to its end.
    ///
    /// # Errors
    /// `ENOSPC` and its like.
    pub fn allocate(&self, offset: u64, length: u64) -> Result<()> {
        if offset + length > self.bytes_max() {
            return Err(Errno::NOSPC);
        }
        let file = self.open(OFlags::RDWR)?;
        file_size_limit::without(|| kernel::allocate(file.as_fd(), offset, length))
    }

    /// Writes zeros to a range that has its space, and begins to write them back. Without errors: what fails here fails, or
    /// takes longer, when it is synced.
    pub fn write_zeros(&self, offset: u64, length: u64) {
        const PIECE_BYTES: usize = 64 << 10;
        let Ok(file) = self.open(OFlags::RDWR) else { return };
        let zeros = vec![0; PIECE_BYTES];
        let mut at = offset;
        while at < offset + length {
            let piece = Segment::of_slice(&zeros[..(offset + length - at).min(PIECE_BYTES as u64) as usize]);
            match file_size_limit::without(|| kernel::write_at(file.as_fd().as_raw_fd(), &piece, at)) {
                Ok(count @ 1..) => at += count as u64,
                Ok(0) | Err(_) => return,
            }
        }
        kernel::begin_write_back(file.as_fd(), offset, length);
    }

    /// Waits until some mapped bytes are on stable storage.
    ///
    /// # Errors
    /// As msync(2).
    pub fn sync_range(&self, start: *mut u8, length: usize) -> Result<()> {
        const PAGE_BYTES: usize = 4096;
        let skew = start as usize % PAGE_BYTES;
        // SAFETY: whole pages of a mapping of ours: segments begin and end at pages.
        unsafe { rustix::mm::msync(start.wrapping_sub(skew).cast(), length + skew, rustix::mm::MsyncFlags::SYNC) }
    }

    /// Waits until the whole file is on stable storage.
    ///
    /// # Errors
    /// As fdatasync(2).
    pub fn sync(&self) -> Result<()> {
        rustix::fs::fdatasync(self.open(OFlags::RDWR)?)
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        for segment in &self.segments {
            let start = segment.load(Ordering::Acquire);
            if !start.is_null() {
                // SAFETY: mapped by `map`; whoever points into it holds the store.
                let _ = unsafe { rustix::mm::munmap(start.cast(), self.segment_bytes) };
            }
        }
    }
}
