//! The clocks, read as libc reads them.
//!
//! A clock is a function in the vDSO, memory that the kernel adds to each program. Where it lies is in the auxiliary
//! vector; but what runs a program under its own control (valgrind) takes that memory away and tells only libc. So the
//! door says where libc's own function is, and before that, or without a door, it is a system call.
#![allow(unsafe_code)]

use super::kernel;
use std::ffi::c_int;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Clock {
    /// The time of day.
    Realtime = libc::CLOCK_REALTIME,
    /// One that nobody sets, the same for all processes of the node.
    Monotonic = libc::CLOCK_MONOTONIC,
    /// The same, exact to a tick of 4 ms, and quicker to read.
    MonotonicCoarse = libc::CLOCK_MONOTONIC_COARSE,
}

type Function = unsafe extern "C" fn(clock: c_int, time: *mut libc::timespec) -> c_int;

/// libc's `clock_gettime`; null until somebody found it.
static FUNCTION: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Tells where libc's `clock_gettime` is.
///
/// # Safety
/// `function` is null, or a function of that signature which stays where it is.
pub unsafe fn start(function: *mut ()) {
    FUNCTION.store(function, Ordering::Relaxed);
}

/// A clock's time in nanoseconds.
#[inline]
pub fn nanoseconds(clock: Clock) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let function = FUNCTION.load(Ordering::Relaxed);
    // These clocks never fail.
    if function.is_null() {
        // SAFETY: the call writes to a live `struct timespec`.
        let _ = unsafe { kernel::call(libc::SYS_clock_gettime, [clock as usize, (&raw mut time) as usize, 0, 0]) };
    } else {
        // SAFETY: by `start`'s contract; it writes to a live `struct timespec`.
        unsafe { std::mem::transmute::<*mut (), Function>(function)(clock as c_int, &raw mut time) };
    }
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_tell_the_same_time() {
        for clock in [Clock::Realtime, Clock::Monotonic, Clock::MonotonicCoarse] {
            // SAFETY: null is allowed.
            unsafe { start(std::ptr::null_mut()) };
            let by_call = nanoseconds(clock);
            // SAFETY: libc's own function.
            unsafe { start(libc::clock_gettime as *mut ()) };
            let by_function = nanoseconds(clock);
            assert!(by_call > 0 && by_function >= by_call && by_function - by_call < 1_000_000_000, "{clock:?}");
        }
    }
}
