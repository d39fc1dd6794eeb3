//! The application's memory, as it was handed to us.
#![allow(unsafe_code)]

use super::guarded_copy::{self, Fault};
use super::{Errno, Result};

/// A piece of the application's memory: where a read goes to, or where a write comes from.
///
/// The application may change it from another thread while we copy, so it is never a Rust slice.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Segment {
    start: *mut u8,
    length: usize,
}

/// The lowest page is never mapped on Linux (`vm.mmap_min_addr`).
const LOWEST_ADDRESS: usize = 4096;

/// User space ends here on x86-64, the last page left out.
const ADDRESSES_END: usize = 0x0000_7fff_ffff_f000;

impl Segment {
    /// The segment of `length` bytes at `start`.
    ///
    /// # Errors
    /// `EFAULT` where it reaches into the kernel's half. The null page is judged by [`check_not_null`] when bytes are
    /// copied, as the kernel does.
    ///
    /// # Safety
    /// The caller has the application's word (the call's own contract) that the memory is there.
    pub unsafe fn new(start: *mut u8, length: usize) -> Result<Self> {
        let address = start as usize;
        let end = address.checked_add(length).ok_or(Errno::FAULT)?;
        if end > ADDRESSES_END {
            return Err(Errno::FAULT);
        }
        Ok(Self { start, length })
    }

    /// A segment over memory of our own, to read into.
    pub fn of_slice_mut(slice: &mut [u8]) -> Self {
        Self { start: slice.as_mut_ptr(), length: slice.len() }
    }

    /// A segment over memory of our own, to write from. Nothing is ever stored to it.
    pub fn of_slice(slice: &[u8]) -> Self {
        Self { start: slice.as_ptr().cast_mut(), length: slice.len() }
    }

    /// Bytes in this segment.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where it starts.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start
    }

    /// The part from `offset` on, at most `length` bytes; both are clamped to the segment.
    pub fn part(&self, offset: usize, length: usize) -> Self {
        let offset = offset.min(self.length);
        let length = length.min(self.length - offset);
        Self { start: self.start.wrapping_add(offset), length }
    }

    /// Copies `self.len()` bytes from `source` into the application's memory.
    ///
    /// # Errors
    /// `EFAULT` where that is not there, `EIO` where the source is a window on a file that was cut: with a part copied.
    ///
    /// # Safety
    /// `source` is readable for `self.len()` bytes, or a mapping of a file, and does not overlap the segment.
    #[inline(always)]
    pub unsafe fn fill_from(&self, source: *const u8) -> Result<()> {
        // SAFETY: the source by the caller's word; what of the segment is not there is found out.
        unsafe { guarded_copy::copy(self.start, source, self.length) }.map_err(|fault| self.blame(fault))
    }

    /// Copies `self.len()` bytes of the application's memory to `target`.
    ///
    /// # Errors
    /// As [`Segment::fill_from`].
    ///
    /// # Safety
    /// `target` is writable for `self.len()` bytes, or a mapping of a file, and does not overlap the segment.
    #[inline(always)]
    pub unsafe fn copy_to(&self, target: *mut u8) -> Result<()> {
        // SAFETY: the target by the caller's word; what of the segment is not there is found out.
        unsafe { guarded_copy::copy(target, self.start, self.length) }.map_err(|fault| self.blame(fault))
    }

    /// Whose memory it was that a copy did not find.
    #[cold]
    fn blame(&self, fault: Fault) -> Errno {
        if fault.is_in(self.start, self.length) { Errno::FAULT } else { Errno::IO }
    }

    /// The part of it that can be read: up to the first page that is not there.
    pub fn readable(&self) -> Self {
        self.part(0, guarded_copy::readable(self.start, self.length))
    }

    /// The part of it that can be written, which stays as it is. Not cheap.
    pub fn writable(&self) -> Self {
        self.part(0, guarded_copy::writable(self.start, self.length))
    }

    /// Sets every byte to zero.
    ///
    /// # Errors
    /// `EFAULT`, with a part of it done.
    pub fn zero(&self) -> Result<()> {
        // SAFETY: what of the segment is not there is found out.
        unsafe { guarded_copy::zero(self.start, self.length) }.map_err(|_| Errno::FAULT)
    }
}

/// Checks that no segment with bytes in it lies in the null page.
///
/// # Errors
/// `EFAULT`.
#[inline(always)]
pub fn check_not_null(segments: &[Segment]) -> Result<()> {
    let is_null = |segment: &Segment| (segment.start as usize) < LOWEST_ADDRESS && segment.length != 0;
    if segments.iter().any(is_null) { Err(Errno::FAULT) } else { Ok(()) }
}

/// The bytes in `segments` together.
pub fn total_bytes(segments: &[Segment]) -> usize {
    segments.iter().map(Segment::len).sum()
}
