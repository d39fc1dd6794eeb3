//! Whether this process has one thread: then a count needs no locked instruction.
//!
//! A locked operation waits until all earlier stores are done: behind a copy of 4 KiB that is 24 ns, a quarter of the
//! whole call (measured). A plain `add` to memory is one instruction, so a signal handler of the same thread can't
//! come between its halves, and while there is no second thread nobody else can either.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

thread_local! {
    static HERE: u8 = const { 0 };
}

/// A number for this thread, the same in its fork child; never 0.
pub fn here() -> usize {
    HERE.try_with(|here| std::ptr::from_ref(here) as usize).unwrap_or(1)
}

/// libc's `__libc_single_threaded` (glibc 2.32): null until somebody found it.
static WORD: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

/// Tells where libc says that there is one thread only.
///
/// # Safety
/// `word` is null, or one byte that lives for good.
pub unsafe fn start(word: *mut u8) {
    WORD.store(word, Ordering::Relaxed);
}

/// Whether libc is sure that there is no second thread. It says so before a second one runs, and an old truth does no
/// harm: counts stay right when plain and locked operations follow one another.
#[inline(always)]
pub fn is_single() -> bool {
    let word = WORD.load(Ordering::Relaxed);
    // SAFETY: null or by `start`'s contract.
    !word.is_null() && unsafe { word.read_volatile() } != 0
}

/// Adds to a count; returns what it was.
#[inline(always)]
pub fn add(count: &AtomicU32, value: u32) -> u32 {
    if !is_single() {
        return count.fetch_add(value, Ordering::AcqRel);
    }
    let mut before = value;
    // `xadd` without the lock prefix: one instruction to this thread and its signal handlers.
    // SAFETY: the address is a live, aligned word.
    unsafe {
        std::arch::asm!("xadd dword ptr [{count}], {before:e}", count = in(reg) count.as_ptr(), before = inout(reg) before, options(nostack));
    }
    before
}

/// Replaces a word that is still `current`; the word as it was, in the error if it was another.
///
/// # Errors
/// Never as a failure: `Err` is the word that was found instead.
#[inline(always)]
pub fn replace(word: &AtomicU64, current: u64, new: u64) -> Result<u64, u64> {
    if !is_single() {
        return word.compare_exchange_weak(current, new, Ordering::AcqRel, Ordering::Acquire);
    }
    let found: u64;
    // `cmpxchg` without the lock prefix, for the same reason.
    // SAFETY: the address is a live, aligned word.
    unsafe {
        std::arch::asm!(
            "cmpxchg qword ptr [{word}], {new}",
            word = in(reg) word.as_ptr(),
            new = in(reg) new,
            inout("rax") current => found,
            options(nostack),
        );
    }
    if found == current { Ok(found) } else { Err(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_counting_agree() {
        let count = AtomicU32::new(5);
        assert_eq!(add(&count, 2), 5);
        assert_eq!(add(&count, u32::MAX), 7);
        let mut one = 1u8;
        // SAFETY: outlives its use: taken back below.
        unsafe { start(&raw mut one) };
        assert_eq!(add(&count, 3), 6);
        assert_eq!(add(&count, u32::MAX), 9);
        let word = AtomicU64::new(3);
        assert_eq!(replace(&word, 4, 5), Err(3));
        assert_eq!(replace(&word, 3, 5), Ok(3));
        assert_eq!(word.load(Ordering::Relaxed), 5);
        // SAFETY: null is allowed.
        unsafe { start(std::ptr::null_mut()) };
        assert_eq!(count.load(Ordering::Relaxed), 8);
    }
}
