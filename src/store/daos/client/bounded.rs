//! Calls about names, bounded by `timeout=`.
//!
//! libdfs makes them again for as long as a server does not answer, and has no way to end one. So:
//!
//! 1. [`bounded`] makes the call on a stack of its own ([`super::fiber`]). Nothing is handed to another thread.
//! 2. At each turn of the library's waiting, which is without a lock, it calls [`turn`]. Once patience has ended, that
//!    leaves the call as it is, and `bounded` answers `ETIMEDOUT`, or `EINTR` where a signal wants to end the program.
//! 3. The next call of this thread first goes on with the one that was left, and so waits for the servers too. When they
//!    are back both end, and what the first one answers is dropped: that it was made is what a file system cannot say of
//!    a request whose answer never came.
//!
//! A thread has at most one call that was left, because libdaos has one event for such calls in each thread. A call that
//! was left keeps what it uses: it owns its arguments, and while there is one no node is closed ([`is_any_left`]).
#![allow(unsafe_code)]

use super::daos_call;
use super::fiber::{self, Fiber};
use crate::ground::{Errno, Result, waiting};
use crate::store::daos::entrance;
use crate::store::daos::library::Library;
use crate::store::daos::patience::Patience;
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What this thread does with fibers.
struct Here {
    /// The fiber that runs.
    running: Cell<*mut Fiber>,
    /// How long it may.
    patience: Cell<Patience>,
    /// Why it was left.
    why: Cell<Errno>,
    /// The call that was left, with the process that it belongs to in a line of forks.
    left: Cell<(*mut Fiber, u32)>,
}

thread_local! {
    static HERE: Here = const {
        Here {
            running: Cell::new(std::ptr::null_mut()),
            patience: Cell::new(Patience::NONE),
            why: Cell::new(Errno::TIMEDOUT),
            left: Cell::new((std::ptr::null_mut(), 0)),
        }
    };
}

/// Whether the library calls [`turn`]: else a call is made as it is, and ends when it ends.
static IS_CALLED: AtomicBool = AtomicBool::new(false);

/// Calls of this process that were left.
static LEFT: AtomicU32 = AtomicU32::new(0);

/// The key whose destructor ends the call that a thread has left, plus one; 0 before there is one.
static AT_THREAD_END: AtomicU32 = AtomicU32::new(0);

/// Asks the library to call [`turn`]: after its start, and after its new start in a fork child.
pub fn register(library: &'static Library) {
    let mut count = 0;
    let is_known = daos_call!(library, crt_context_num(&raw mut count)) == 0 && count > 0;
    let is_called =
        is_known && daos_call!(library, crt_register_progress_cb(Some(turn), count - 1, std::ptr::null_mut())) == 0;
    let mut key = 0;
    if is_called
        && AT_THREAD_END.load(Ordering::Relaxed) == 0
        // SAFETY: a live word, and a function that stays.
        && unsafe { libc::pthread_key_create(&raw mut key, Some(end_with_thread)) } == 0
    {
        AT_THREAD_END.store(key + 1, Ordering::Relaxed);
    }
    IS_CALLED.store(is_called && AT_THREAD_END.load(Ordering::Relaxed) != 0, Ordering::Relaxed);
}

/// Makes a call of the library's, for as long as `patience` lasts. Whoever calls is inside. The call owns what it uses,
/// but for open nodes and mounts.
///
/// # Errors
/// `ETIMEDOUT` or `EINTR` where patience ended first. The call may be made all the same, later.
pub fn bounded<T: 'static>(patience: Patience, call: impl FnOnce() -> T + 'static) -> Result<T> {
    if !IS_CALLED.load(Ordering::Relaxed) {
        return Ok(call());
    }
    HERE.with(|here| {
        if !here.running.get().is_null() {
            // Within another one: an answer that nobody wants is dropped there.
            return Ok(call());
        }
        here.end_left(patience)?;
        let fiber = Fiber::new(call)?;
        if here.go_on(fiber, patience) {
            waiting::answered();
            // SAFETY: it has ended, and answers with a `T`.
            return unsafe { Fiber::answer::<T>(fiber) }.ok_or(Errno::IO);
        }
        here.left.set((fiber, entrance::generation()));
        LEFT.fetch_add(1, Ordering::Relaxed);
        entrance::note_given_up();
        set_at_thread_end(fiber.cast());
        Err(here.why.get())
    })
}

/// Whether a call was left that may use any open node of this process.
pub fn is_any_left() -> bool {
    LEFT.load(Ordering::Relaxed) != 0
}

/// Whether this thread has left a call.
pub fn is_left_here() -> bool {
    HERE.with(|here| !here.left.get().0.is_null())
}

/// In a fork child: what was left is the parent's.
pub fn after_fork_in_child() {
    LEFT.store(0, Ordering::Relaxed);
    fiber::after_fork_in_child();
}

impl Here {
    /// Goes on with a fiber; whether it has ended.
    fn go_on(&self, fiber: *mut Fiber, patience: Patience) -> bool {
        self.patience.set(patience);
        self.running.set(fiber);
        // SAFETY: it has not ended, and is of this thread.
        let has_ended = unsafe { Fiber::go_on(fiber) };
        self.running.set(std::ptr::null_mut());
        has_ended
    }

    /// Ends the call that was left, if one was.
    fn end_left(&self, patience: Patience) -> Result<()> {
        let (fiber, generation) = self.left.get();
        if fiber.is_null() {
            return Ok(());
        }
        if generation == entrance::generation() {
            if !self.go_on(fiber, patience) {
                return Err(self.why.get());
            }
            LEFT.fetch_sub(1, Ordering::Relaxed);
            // What it opened is closed on the way. Not before: a node that is closed is not to be used by another call.
            // SAFETY: it has ended.
            unsafe { Fiber::discard(fiber) };
        }
        self.left.set((std::ptr::null_mut(), 0));
        set_at_thread_end(std::ptr::null());
        Ok(())
    }
}

/// One turn of the library's waiting, on any thread that waits.
unsafe extern "C" fn turn(_context: *mut c_void, timeout: i64, _argument: *mut c_void) -> i64 {
    HERE.with(|here| {
        let fiber = here.running.get();
        if fiber.is_null() {
            return timeout;
        }
        match here.patience.get().next() {
            Ok(0) => timeout,
            // So a call that gets no answer does not take a processor either. Less, where somebody asked for less.
            Ok(microseconds) if timeout > 0 => timeout.min(microseconds),
            Ok(microseconds) => microseconds,
            Err(why) => {
                here.why.set(why);
                // SAFETY: the fiber that this thread runs.
                unsafe { Fiber::leave(fiber) };
                0
            }
        }
    })
}

fn set_at_thread_end(value: *const c_void) {
    let key = AT_THREAD_END.load(Ordering::Relaxed);
    if key != 0 {
        // SAFETY: a key of our own. Where there is no memory for it the thread's end is as if nothing had been left.
        let _ = unsafe { libc::pthread_setspecific(key - 1, value) };
    }
}

/// A thread that has left a call ends: the library has the call's event in the thread's own memory, which is about to
/// go. So the call is ended first, however long the servers take; the end of the process waits for nobody.
unsafe extern "C" fn end_with_thread(_fiber: *mut c_void) {
    let _entered = entrance::enter_as_is();
    HERE.with(|here| while here.end_left(Patience::of_seconds(60)).is_err() {});
}
