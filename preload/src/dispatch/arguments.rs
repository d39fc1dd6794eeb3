//! The application's arguments, made safe to look at.

use super::Call;
use crate::serve::kernel;
use house::ground::buffer::Segment;
use house::ground::{Errno, Result, guard, guarded_copy};
use house::posix::descriptor::placeholder::borrowed;
use house::posix::descriptor::slots::Held;
use house::posix::descriptor::table;
use house::posix::path::Base;
use house::posix::path::buffer::PATH_BYTES_MAX;
use house::posix::process;
use std::mem::MaybeUninit;

/// Where user memory begins: below it every access is a fault (`vm.mmap_min_addr`).
const LOWEST_ADDRESS: u64 = 4096;

/// The largest transfer of one call, as Linux bounds it.
pub const TRANSFER_BYTES_MAX: usize = 0x7fff_f000;

/// `IOV_MAX`.
const SEGMENTS_COUNT_MAX: usize = 1024;

/// Checks a pointer that is to be read or written.
///
/// # Errors
/// `EFAULT` for the null page and the kernel's half.
pub fn pointer<T>(argument: u64) -> Result<*mut T> {
    let is_user = (LOWEST_ADDRESS..0x0000_8000_0000_0000).contains(&argument);
    if is_user { Ok(argument as *mut T) } else { Err(Errno::FAULT) }
}

/// Writes a result structure to the application's memory.
///
/// # Safety
/// The application's word that what is there may be written.
///
/// # Errors
/// `EFAULT`.
pub unsafe fn put<T>(argument: u64, value: T) -> Result<()> {
    let target = pointer::<T>(argument)?;
    // SAFETY: by the caller's word.
    unsafe { guarded_copy::copy_surely(target.cast(), (&raw const value).cast(), size_of::<T>()) }
}

/// Writes bytes to the application's memory.
///
/// # Safety
/// As `put`.
///
/// # Errors
/// `EFAULT`.
pub unsafe fn put_bytes(argument: u64, bytes: &[u8]) -> Result<()> {
    let target = pointer::<u8>(argument)?;
    // SAFETY: by the caller's word.
    unsafe { guarded_copy::copy_surely(target, bytes.as_ptr(), bytes.len()) }
}

/// Reads a structure from the application's memory.
///
/// # Safety
/// Any bytes are a valid `T`.
///
/// # Errors
/// `EFAULT`.
#[inline(always)]
pub unsafe fn take<T: Copy>(argument: u64) -> Result<T> {
    let source = pointer::<T>(argument)?;
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: our own room, and any bytes are valid by the caller's word.
    unsafe {
        guarded_copy::copy_surely(value.as_mut_ptr().cast(), source.cast(), size_of::<T>())?;
        Ok(value.assume_init())
    }
}

/// Reads the structure at `index` of an array.
///
/// # Safety
/// As `take`.
///
/// # Errors
/// `EFAULT`.
#[inline(always)]
pub unsafe fn take_of<T: Copy>(array: u64, index: usize) -> Result<T> {
    // SAFETY: by the caller's word.
    unsafe { take(array.wrapping_add((index * size_of::<T>()) as u64)) }
}

/// Reads bytes from the application's memory.
///
/// # Errors
/// `EFAULT`.
pub fn take_bytes(argument: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    if length > 0 {
        let source = pointer::<u8>(argument)?;
        // SAFETY: our own room.
        unsafe { guarded_copy::copy_surely(bytes.as_mut_ptr(), source, length) }?;
    }
    Ok(bytes)
}

/// Bytes of a string that need no allocation. Nearly every path is shorter; a stack that a whole `PATH_MAX` has no room
/// on is the program's good right.
const SHORT_BYTES: usize = 256;

/// Room for a copy of a string of the application's, which may change or take away its own at any time.
pub struct Room {
    short: [MaybeUninit<u8>; SHORT_BYTES],
    long: Vec<u8>,
}

impl Room {
    /// An empty one.
    #[inline(always)]
    pub fn new() -> Self {
        Self { short: [MaybeUninit::uninit(); SHORT_BYTES], long: Vec::new() }
    }
}

/// A path argument, copied to `room`.
///
/// # Errors
/// `EFAULT`, `ENAMETOOLONG`.
#[inline(always)]
pub fn path(argument: u64, room: &mut Room) -> Result<&[u8]> {
    let start = pointer::<u8>(argument)?;
    if guard::in_vfork_window() {
        // Ends the window where this is the parent again.
        process::standing();
    }
    let length = guarded_copy::string_length(start, PATH_BYTES_MAX)?;
    if length > SHORT_BYTES {
        return long_path(argument, length, &mut room.long);
    }
    let target = room.short.as_mut_ptr().cast::<u8>();
    // SAFETY: the room is as long, and its first `length` bytes are set then.
    unsafe {
        guarded_copy::copy_surely(target, start, length)?;
        Ok(std::slice::from_raw_parts(target, length))
    }
}

#[cold]
fn long_path(argument: u64, length: usize, room: &mut Vec<u8>) -> Result<&[u8]> {
    if length == PATH_BYTES_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    *room = take_bytes(argument, length)?;
    Ok(room)
}

/// A descriptor argument: the kernel looks at 32 bits.
pub fn descriptor(argument: u64) -> i32 {
    argument as u32 as i32
}

/// A buffer argument of `read` or `write`.
///
/// # Safety
/// The application's word that it has that memory.
///
/// # Errors
/// `EFAULT`, for a length that no memory has too.
#[inline(always)]
pub unsafe fn buffer(start: u64, length: u64) -> Result<Segment> {
    // SAFETY: by the caller's word.
    let whole = unsafe { Segment::new(start as *mut u8, length as usize) }?;
    Ok(whole.part(0, TRANSFER_BYTES_MAX))
}

/// The segments of an `iovec` array. Few of them need no allocation.
pub enum Segments {
    /// Up to eight.
    Few([Segment; 8], usize),
    /// More.
    Many(Vec<Segment>),
}

impl std::ops::Deref for Segments {
    type Target = [Segment];

    fn deref(&self) -> &[Segment] {
        match self {
            Self::Few(segments, count) => &segments[..*count],
            Self::Many(segments) => segments,
        }
    }
}

/// An `iovec` array, cut off where Linux bounds a transfer.
///
/// # Safety
/// The application's word for the array and for each buffer.
///
/// # Errors
/// `EINVAL` for too many or a negative length, `EFAULT`.
pub unsafe fn segments(array: u64, count: u64) -> Result<Segments> {
    let count = usize::try_from(count as i32).map_err(|_| Errno::INVAL)?;
    if count > SEGMENTS_COUNT_MAX {
        return Err(Errno::INVAL);
    }
    if count == 0 {
        return Ok(Segments::Few([Segment::of_slice(&[]); 8], 0));
    }
    let mut left = TRANSFER_BYTES_MAX;
    let mut one = |index: usize| -> Result<Segment> {
        // SAFETY: an `iovec` is any two words.
        let vector = unsafe { take_of::<libc::iovec>(array, index) }?;
        if vector.iov_len > isize::MAX as usize {
            return Err(Errno::INVAL);
        }
        // SAFETY: by the caller's word.
        let segment = unsafe { Segment::new(vector.iov_base.cast(), vector.iov_len) }?.part(0, left);
        left -= segment.len();
        Ok(segment)
    };
    if count <= 8 {
        let mut few = [Segment::of_slice(&[]); 8];
        for (index, segment) in few.iter_mut().enumerate().take(count) {
            *segment = one(index)?;
        }
        return Ok(Segments::Few(few, count));
    }
    (0..count).map(one).collect::<Result<Vec<_>>>().map(Segments::Many)
}

/// Where a call's relative path starts.
pub struct Start {
    descriptor: i32,
    held: Option<Held>,
}

impl Start {
    /// From a `dirfd` argument.
    pub fn at(argument: u64) -> Self {
        let descriptor = descriptor(argument);
        let held = if descriptor == libc::AT_FDCWD { None } else { table::get(descriptor).ok().flatten() };
        Self { descriptor, held }
    }

    /// From the working directory.
    pub fn working_directory() -> Self {
        Self { descriptor: libc::AT_FDCWD, held: None }
    }

    /// As the path layer takes it.
    pub fn base(&self) -> Base<'_> {
        match &self.held {
            Some(held) => Base::Ours(held),
            None if self.descriptor == libc::AT_FDCWD => Base::WorkingDirectory,
            None => Base::Host(borrowed(self.descriptor)),
        }
    }

    /// The description of ours that it is, if it is one.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Whether it is the working directory.
    pub fn is_working_directory(&self) -> bool {
        self.descriptor == libc::AT_FDCWD
    }
}

/// The kernel's part of a call, its failure as an errno.
///
/// # Safety
/// As for any system call.
pub unsafe fn kernel_result(call: &Call) -> Result<i64> {
    // SAFETY: by the caller's word.
    let result = unsafe { kernel(call) };
    if (-4095..0).contains(&result) { Err(Errno::from_raw_os_error(-result as i32)) } else { Ok(result) }
}
