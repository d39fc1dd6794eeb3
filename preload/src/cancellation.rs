//! Thread cancellation stays outside.
//!
//! glibc up to 2.40 opens a window of asynchronous cancellation around each blocking call, and the gate is inside it.
//! A library under us may also reach a cancellation point of its own (LMDB writes through libc). Either would unwind
//! the thread out of the middle of our work, with locks held. So cancellation is disabled while we are at it.
#![allow(unsafe_code)]

use crate::runtime::link_map;
use house::ground::threads;
use std::ffi::c_int;

unsafe extern "C-unwind" {
    fn pthread_setcancelstate(state: c_int, previous: *mut c_int) -> c_int;
    fn pthread_setcanceltype(kind: c_int, previous: *mut c_int) -> c_int;
    fn pthread_testcancel();
}

const PTHREAD_CANCEL_DISABLE: c_int = 1;
const PTHREAD_CANCEL_DEFERRED: c_int = 0;

/// Looks for libc's word that there is one thread only. Not by `dlsym`: before glibc 2.34 that is in a library that would
/// have to be loaded now, before libc has been initialised, and libc would get no environment.
pub fn start() {
    let variable = link_map::find_first(c"__libc_single_threaded").unwrap_or(std::ptr::null());
    // SAFETY: null or the variable that libc writes to, which lives as long as libc.
    unsafe { threads::start(variable.cast_mut().cast()) };
}

/// Cancellation held off, until [`Cancellation::release`]. Has no destructor on purpose: releasing may unwind.
#[must_use = "cancellation stays off until it is released"]
pub struct Cancellation(Option<Before>);

/// What the thread had before.
#[derive(Clone, Copy)]
struct Before {
    kind: c_int,
    state: c_int,
}

impl Cancellation {
    /// Holds cancellation off for this thread. Costs nothing where there is one thread.
    #[inline]
    pub fn hold() -> Self {
        if threads::is_single() {
            return Self(None);
        }
        let mut before = Before { kind: PTHREAD_CANCEL_DEFERRED, state: PTHREAD_CANCEL_DISABLE };
        // The kind first: glibc's signal may be on its way, and its handler (2.36) looks at the kind only.
        // SAFETY: writes what was before to live words.
        unsafe {
            pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &raw mut before.kind);
            pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before.state);
        }
        Self(Some(before))
    }

    /// Lets it in again. A cancellation that came meanwhile inside libc's asynchronous window strikes here.
    #[inline]
    pub fn release(self) {
        let Some(before) = self.0 else { return };
        // Enabling it in an asynchronous window would strike at once, and glibc 2.36 forgets there to set the thread's
        // result. So it is enabled as deferred, and strikes at a point that doesn't forget.
        // SAFETY: restores what `hold` found.
        unsafe {
            if before.state != PTHREAD_CANCEL_DISABLE {
                pthread_setcancelstate(before.state, std::ptr::null_mut());
            }
            if before.kind != PTHREAD_CANCEL_DEFERRED {
                pthread_testcancel();
                pthread_setcanceltype(before.kind, std::ptr::null_mut());
            }
        }
    }
}

/// A cancellation point: unwinds the thread if it was cancelled. No destructor may be alive in our frames.
#[inline]
pub fn point() {
    if !threads::is_single() {
        // SAFETY: has no precondition.
        unsafe { pthread_testcancel() }
    }
}
