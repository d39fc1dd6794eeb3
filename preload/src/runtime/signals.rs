//! Signal sets and this thread's mask.
#![allow(unsafe_code)]

use super::calls::raw;
use super::errno::answer;
use std::ffi::c_int;

/// The signals that libc keeps for itself: a mask of all others.
const NOT_OF_LIBC: u64 = !(0b11 << 31);

/// Words of libc's set.
const WORDS: usize = size_of::<libc::sigset_t>() / 8;

/// `sigfillset(set)`: all but libc's own.
unsafe extern "C" fn sigfillset(set: *mut u64) -> c_int {
    // SAFETY: the caller's set, which is as long.
    unsafe {
        std::slice::from_raw_parts_mut(set, WORDS).fill(u64::MAX);
        set.write(NOT_OF_LIBC);
    }
    0
}

/// `sigemptyset(set)`
unsafe extern "C" fn sigemptyset(set: *mut u64) -> c_int {
    // SAFETY: the caller's set, which is as long.
    unsafe { std::slice::from_raw_parts_mut(set, WORDS).fill(0) };
    0
}

/// `sigaddset(set, signal)`
unsafe extern "C" fn sigaddset(set: *mut u64, signal: c_int) -> c_int {
    // SAFETY: the caller's set.
    change(signal, |bit| unsafe { *set |= bit })
}

/// `sigdelset(set, signal)`
unsafe extern "C" fn sigdelset(set: *mut u64, signal: c_int) -> c_int {
    // SAFETY: the caller's set.
    change(signal, |bit| unsafe { *set &= !bit })
}

/// Changes a signal's bit in the first word of a set, the only one that the kernel has.
fn change(signal: c_int, work: impl FnOnce(u64)) -> c_int {
    if !(1..=64).contains(&signal) {
        return answer(-i64::from(libc::EINVAL)) as c_int;
    }
    work(1 << (signal - 1));
    0
}

/// `pthread_sigmask(how, set, previous)`
unsafe extern "C" fn pthread_sigmask(how: usize, set: *const u64, previous: *mut u64) -> c_int {
    // SAFETY: null, or the caller's set.
    let wanted = unsafe { set.as_ref() }.map(|set| set & NOT_OF_LIBC);
    let wanted = wanted.as_ref().map_or(0, |set| std::ptr::from_ref(set) as usize);
    // SAFETY: as the C function's; the kernel's set is eight bytes.
    -unsafe { raw(libc::SYS_rt_sigprocmask, [how, wanted, previous as usize, 8, 0, 0]) } as c_int
}

super::provide! {
    "sigfillset" = crate::runtime::signals::sigfillset;
    "sigemptyset" = crate::runtime::signals::sigemptyset;
    "sigaddset" = crate::runtime::signals::sigaddset;
    "sigdelset" = crate::runtime::signals::sigdelset;
    "pthread_sigmask" = crate::runtime::signals::pthread_sigmask;
}
