//! Copies whose memory may not be there: the application's, which it names by a pointer, and a mapped file's, which a
//! stranger may cut.
//!
//! The kernel answers `EFAULT` for a bad pointer, and so must we, at no cost where the pointer is good. So all such
//! memory is read and written by the few instructions below, whose addresses are known. Where one of them faults,
//! [`super::fault_handler`] finds it among them and lets the copy end early. A thread that blocks the signal has it
//! copied by the kernel, which costs a system call. Where there is no such handler (libc is not rewritten) that is done for
//! what an argument points to alone ([`copy_surely`]), and bulk data is copied as it always was.
#![allow(unsafe_code)]

mod instructions;

use super::fault_handler;
use super::{Errno, Result};
use instructions::{ABILITIES, HAS_FAST_STRINGS, HAS_WIDE, HAS_WIDEST, PAGE_BYTES, sidestep_guarded_claim};
pub use instructions::{Landing, landing};
use instructions::{sidestep_guarded_fill, sidestep_guarded_length, sidestep_guarded_touch};
use std::sync::atomic::Ordering;

/// Finds out what the processor is good at: for a process that has files, since a virtual machine may take some
/// microseconds for each such question. Until then copies are made as any processor of the kind can.
pub fn start() {
    let mut abilities = 0;
    if std::arch::is_x86_feature_detected!("avx") {
        abilities |= HAS_WIDE;
    }
    // Without the second the processor may be one that slows down for it.
    if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vl") {
        abilities |= HAS_WIDEST;
    }
    if std::arch::is_x86_feature_detected!("ermsb") {
        abilities |= HAS_FAST_STRINGS;
    }
    ABILITIES.store(abilities, Ordering::Relaxed);
}

/// Why a copy ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes that were copied before it.
    pub copied: usize,
    /// What is not there.
    pub address: usize,
}

impl Fault {
    /// Whether it is not there in the `length` bytes at `start`.
    pub fn is_in(&self, start: *const u8, length: usize) -> bool {
        self.address.wrapping_sub(start as usize) < length
    }
}

/// Copies `length` bytes, as far as they are there.
///
/// # Errors
/// How far it came. Where there is no handler of ours, the program has the fault.
///
/// # Safety
/// What is mapped of the two pieces may be read and written, and they do not overlap.
#[inline(always)]
pub unsafe fn copy(target: *mut u8, source: *const u8, length: usize) -> std::result::Result<(), Fault> {
    if fault_handler::would_kill() {
        // SAFETY: by the caller's word.
        return unsafe { copy_all_by_kernel(target, source, length) };
    }
    // SAFETY: by the caller's word.
    unsafe { copy_guarded(target, source, length) }
}

#[inline(always)]
unsafe fn copy_guarded(target: *mut u8, source: *const u8, length: usize) -> std::result::Result<(), Fault> {
    let left: usize;
    let address: usize;
    // SAFETY: by the caller's word. The registers are those that the code above uses; it has no stack of its own but
    // the return address, below which the compiler keeps nothing here.
    unsafe {
        std::arch::asm!(
            "call sidestep_guarded_copy",
            inout("rdi") target => _,
            inout("rsi") source => _,
            inout("rdx") length => address,
            out("rax") left,
            out("rcx") _, out("r8") _, out("r9") _, out("r10") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
        );
    }
    if left == 0 { Ok(()) } else { Err(Fault { copied: length - left, address }) }
}

/// Sets `length` bytes to zero, as far as they are there.
///
/// # Errors
/// As [`copy`].
///
/// # Safety
/// As [`copy`].
pub unsafe fn zero(target: *mut u8, length: usize) -> std::result::Result<(), Fault> {
    if fault_handler::would_kill() {
        // SAFETY: by the caller's word.
        return unsafe { zero_by_kernel(target, length) };
    }
    // SAFETY: by the caller's word.
    let left = unsafe { sidestep_guarded_fill(target, 0, length) };
    let copied = length - left;
    if left == 0 { Ok(()) } else { Err(Fault { copied, address: target as usize + copied }) }
}

/// How many of `length` bytes can be read before the first page that is not there.
#[inline]
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "what is not there is found out")]
pub fn readable(start: *const u8, length: usize) -> usize {
    if length == 0 {
        return 0;
    }
    if fault_handler::would_kill() {
        return readable_by_kernel(start, length);
    }
    // SAFETY: only reads, and what is not there is found out.
    unsafe { sidestep_guarded_touch(start, length) - start as usize }
}

/// How many of `length` bytes can be written before the first page that can't.
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "what is not there is found out")]
pub fn writable(start: *mut u8, length: usize) -> usize {
    if length == 0 || fault_handler::would_kill() {
        // Where nobody can try it without harm, it is as it is.
        return length;
    }
    // SAFETY: nothing is changed, and what is not there is found out.
    unsafe { sidestep_guarded_claim(start, length) - start as usize }
}

/// Copies an argument: by the instructions above where a fault is ours to handle, else by the kernel.
///
/// # Errors
/// `EFAULT`.
///
/// # Safety
/// As [`copy`].
#[inline(always)]
pub unsafe fn copy_surely(target: *mut u8, source: *const u8, length: usize) -> Result<()> {
    if fault_handler::is_here() {
        // SAFETY: by the caller's word.
        return unsafe { copy_guarded(target, source, length) }.map_err(|_| Errno::FAULT);
    }
    // SAFETY: by the caller's word.
    if unsafe { copy_by_kernel(target, source, length) }? == length { Ok(()) } else { Err(Errno::FAULT) }
}

/// The length of a C string, or `length_max` for one that is at least as long.
///
/// # Errors
/// `EFAULT`.
#[inline(always)]
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "what is not there is found out")]
pub fn string_length(start: *const u8, length_max: usize) -> Result<usize> {
    if !fault_handler::is_here() {
        return string_length_by_kernel(start, length_max);
    }
    // SAFETY: only reads, and what is not there is found out.
    match unsafe { sidestep_guarded_length(start, length_max) } {
        usize::MAX => Err(Errno::FAULT),
        length => Ok(length),
    }
}

/// Copies within this process by `process_vm_readv`, which tells what is not there. Some 300 ns.
///
/// # Safety
/// As [`copy`].
#[cold]
unsafe fn copy_by_kernel(target: *mut u8, source: *const u8, length: usize) -> Result<usize> {
    let local = libc::iovec { iov_base: target.cast(), iov_len: length };
    let remote = libc::iovec { iov_base: source.cast_mut().cast(), iov_len: length };
    let own = rustix::process::getpid().as_raw_pid() as usize;
    let outcome: i64;
    // SAFETY: a call whose six arguments are as it takes them.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") libc::SYS_process_vm_readv => outcome,
            in("rdi") own,
            in("rsi") &raw const local,
            in("rdx") 1usize,
            in("r10") &raw const remote,
            in("r8") 1usize,
            in("r9") 0usize,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    match outcome {
        copied @ 0.. => Ok(copied as usize),
        refused if refused == -i64::from(libc::EFAULT) => Ok(0),
        // A sandbox without that call: the memory is taken to be there, as it nearly always is.
        _ => {
            // SAFETY: by the caller's word.
            unsafe { std::ptr::copy_nonoverlapping(source, target, length) };
            Ok(length)
        }
    }
}

/// As [`copy`], by the kernel: not a byte less than what is there.
///
/// # Safety
/// As [`copy`].
#[cold]
unsafe fn copy_all_by_kernel(target: *mut u8, source: *const u8, length: usize) -> std::result::Result<(), Fault> {
    let mut copied = 0;
    while copied < length {
        let (to, from) = (target.wrapping_add(copied), source.wrapping_add(copied));
        // A page of either side at a time: what the kernel says of more does not tell whose memory is missing.
        let in_page = |at: usize| PAGE_BYTES - at % PAGE_BYTES;
        let piece = in_page(to as usize).min(in_page(from as usize)).min(length - copied);
        // SAFETY: by the caller's word.
        let count = unsafe { copy_by_kernel(to, from, piece) }.unwrap_or(0);
        copied += count;
        if count < piece {
            let is_source = readable_by_kernel(source.wrapping_add(copied), 1) == 0;
            let address = if is_source { source as usize } else { target as usize } + copied;
            return Err(Fault { copied, address });
        }
    }
    Ok(())
}

/// As [`zero`], by the kernel.
///
/// # Safety
/// As [`zero`].
#[cold]
unsafe fn zero_by_kernel(target: *mut u8, length: usize) -> std::result::Result<(), Fault> {
    static ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];
    for at in (0..length).step_by(PAGE_BYTES) {
        let piece = PAGE_BYTES.min(length - at);
        // SAFETY: by the caller's word, and the zeros are ours.
        unsafe { copy_all_by_kernel(target.wrapping_add(at), ZEROS.as_ptr(), piece) }
            .map_err(|fault| Fault { copied: at + fault.copied, ..fault })?;
    }
    Ok(())
}

/// As [`readable`], by the kernel.
#[cold]
fn readable_by_kernel(start: *const u8, length: usize) -> usize {
    let mut byte = 0u8;
    let mut at = 0;
    while at < length {
        // SAFETY: a byte of our own; what is not there is found out.
        if unsafe { copy_by_kernel(&raw mut byte, start.wrapping_add(at), 1) } != Ok(1) {
            return at;
        }
        at += PAGE_BYTES - (start as usize + at) % PAGE_BYTES;
    }
    length
}

/// As [`string_length`], a piece of a page at a time.
#[cold]
fn string_length_by_kernel(start: *const u8, length_max: usize) -> Result<usize> {
    const PIECE_BYTES: usize = 256;
    let mut piece = [0u8; PIECE_BYTES];
    let mut length = 0;
    while length < length_max {
        let at = start.wrapping_add(length);
        let in_page = PAGE_BYTES - at as usize % PAGE_BYTES;
        let count = PIECE_BYTES.min(in_page).min(length_max - length);
        // SAFETY: the piece has that room; what is not there is found out.
        if unsafe { copy_by_kernel(piece.as_mut_ptr(), at, count) }? != count {
            return Err(Errno::FAULT);
        }
        if let Some(end) = piece[..count].iter().position(|byte| *byte == 0) {
            return Ok(length + end);
        }
        length += count;
    }
    Ok(length_max)
}

#[cfg(test)]
pub mod tests;
