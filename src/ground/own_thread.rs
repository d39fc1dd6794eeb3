//! The threads that Sidestep makes in the program's process, and how they leave it alone.
//!
//! libc ends a process when the last of its threads ends, and counts ours. A thread of ours that stayed when the
//! program's have all ended (`main` left by `pthread_exit`) would keep the process alive for good; and since it blocks
//! signals, SIGTERM would not end it either. So:
//!
//! 1. A thread of ours is there only while there is work for it, and for a moment longer.
//! 2. When a thread of the program ends, ours look whether they are alone ([`are_alone`]). If so they do what is left to
//!    do and end, at once; libc then ends the process as it would have without them, by `exit(0)`.

use super::guard::{self, Quiet};
use super::kernel;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Enough for libraries that go through several others.
const STACK_BYTES: usize = 1 << 20;

/// How many there are.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether the program's first thread has ended, or is about to.
static HAS_FIRST_ENDED: AtomicBool = AtomicBool::new(false);

/// Between two looks whether a thread that ends is gone, in microseconds.
const LOOK_MICROSECONDS: u32 = 500;

/// Looks: a thread that has begun to end is gone within some microseconds, but for a busy machine.
const LOOKS_COUNT: u32 = 20;

thread_local! {
    static IS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is one of ours.
pub fn is_own() -> bool {
    IS_OWN.try_with(Cell::get).unwrap_or(false)
}

/// What a thread does; true if it ends because the program's have.
pub type Work = fn(&Quiet) -> bool;

/// Makes a thread that does `work`, with all signals blocked but libc's own. False where none can be made.
pub fn make(work: Work) -> bool {
    let _quiet = Quiet::enter();
    let mask = guard::mask_before();
    COUNT.fetch_add(1, Ordering::AcqRel);
    let made = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        IS_OWN.set(true);
        let is_last = {
            let quiet = Quiet::enter();
            guard::allow_libc_signals();
            work(&quiet)
        };
        COUNT.fetch_sub(1, Ordering::AcqRel);
        if is_last {
            // libc's `exit` is about to run here what the program left to be done at its end: as in its last thread.
            guard::set_signal_mask(mask);
        } else {
            // The guard has put back the mask of whoever made the thread, in which all is blocked. Until libc has noted
            // that this thread ends, a `setuid` of the program waits for its answer.
            guard::allow_libc_signals();
        }
    });
    if made.is_err() {
        COUNT.fetch_sub(1, Ordering::AcqRel);
    }
    made.is_ok()
}

/// In a fork child: they were left in the parent.
pub fn after_fork_in_child() {
    COUNT.store(0, Ordering::Release);
    HAS_FIRST_ENDED.store(false, Ordering::Release);
}

/// A thread of the program is about to end. Whether the program may have no other: its first thread has ended, which is
/// nearly always the last to do so.
pub fn may_be_last() -> bool {
    if rustix::thread::gettid() == rustix::process::getpid() {
        HAS_FIRST_ENDED.store(true, Ordering::Release);
    }
    HAS_FIRST_ENDED.load(Ordering::Acquire)
}

/// Whether the process has no threads but ours, or will have none in a moment. False where nobody can tell.
pub fn are_alone() -> bool {
    for _ in 0..LOOKS_COUNT {
        match others() {
            None => return false,
            Some(0) => return true,
            Some(_) => kernel::sleep(LOOK_MICROSECONDS),
        }
    }
    false
}

/// The program's threads that have not ended.
fn others() -> Option<u32> {
    // The directory has a link from itself, one from above it, and one from each thread; the first thread stays there
    // when it has ended, until all have.
    let threads = u32::try_from(rustix::fs::stat("/proc/self/task").ok()?.st_nlink).ok()?.checked_sub(2)?;
    let ended = u32::from(HAS_FIRST_ENDED.load(Ordering::Acquire));
    threads.checked_sub(ended + COUNT.load(Ordering::Acquire))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_ours_does_not_count() {
        static IS_OVER: AtomicBool = AtomicBool::new(false);
        let before = COUNT.load(Ordering::Acquire);
        assert!(make(|_| {
            while !IS_OVER.load(Ordering::Acquire) {
                kernel::sleep(1000);
            }
            false
        }));
        assert!(COUNT.load(Ordering::Acquire) > before);
        // The test's own thread is one of the program's.
        assert!(others().unwrap() >= 1);
        assert!(!are_alone());
        IS_OVER.store(true, Ordering::Release);
    }
}
