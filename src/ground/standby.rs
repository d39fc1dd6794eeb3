//! A thread that works for vfork children.
//!
//! Such a child runs on its parent's memory, with descriptors of its own. A library that it calls would remember in the
//! parent's memory a connection whose socket only the child has. So what a child calls of a library with descriptors is
//! done for it by this thread of the parent, which sees the same memory and has the parent's descriptors, while the
//! child waits ([`perform`]).
//!
//! The thread is made before the first vfork of a process that has a container on another machine ([`prepare`]), and
//! ends when there was no vfork for a while. A child that is killed while the thread works for it leaves the thread
//! with memory that the parent uses again: as it would if it were killed inside the library itself.
#![allow(unsafe_code)]

use super::guard::{self, Quiet};
use super::stopwatch::Stopwatch;
use super::{kernel, own_thread};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// How long the thread stays after a vfork, as it notices itself: a child that was stopped with its parent finds it there.
const STAY_NANOSECONDS: i64 = 2_000_000_000;

/// Between two looks of the thread, and of a child at whether the thread is still there, in milliseconds.
const LOOK_MILLISECONDS: u32 = 100;

const ABSENT: u32 = 0;
const WAITING: u32 = 1;
/// A child is about to say what it wants.
const CLAIMED: u32 = 2;
/// The thread works.
const WANTED: u32 = 3;
/// The thread looks whether it is wanted, for the last time.
const LEAVING: u32 = 4;

/// What the thread does; children and the thread wait on it.
static STATE: AtomicU32 = AtomicU32::new(ABSENT);

/// What is wanted.
static JOB: AtomicPtr<Job> = AtomicPtr::new(std::ptr::null_mut());

/// Counts the vforks.
static VFORKS: AtomicU32 = AtomicU32::new(0);

/// Since the thread last looked whether the program's have all ended, one did.
static HAS_ONE_ENDED: AtomicBool = AtomicBool::new(false);

/// A child's call, on the child's stack.
struct Job {
    work: unsafe fn(*mut ()),
    place: *mut (),
    is_done: AtomicU32,
}

/// Before a vfork: the thread is there. Where it can't be made, children do without.
pub fn prepare() {
    // Counted first: a thread that is leaving sees it, or is seen.
    VFORKS.fetch_add(1, Ordering::SeqCst);
    while STATE.load(Ordering::SeqCst) == LEAVING {
        kernel::wait_on(&STATE, LEAVING, 1);
    }
    let is_new = STATE.compare_exchange(ABSENT, WAITING, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if is_new && !own_thread::make(run) {
        STATE.store(ABSENT, Ordering::Release);
    }
}

/// A thread of the program is about to end: perhaps the last.
pub fn thread_ends() {
    if STATE.load(Ordering::Acquire) != ABSENT {
        HAS_ONE_ENDED.store(true, Ordering::Release);
        kernel::wake_all(&STATE);
    }
}

/// Does something where it belongs: here, or in a vfork child by the parent's thread.
#[inline(always)]
pub fn perform<R>(work: impl FnOnce() -> R) -> R {
    if guard::in_vfork_window() { for_child(work) } else { work() }
}

/// Whether the thread is there for children.
pub fn is_there() -> bool {
    STATE.load(Ordering::Acquire) != ABSENT
}

#[cold]
fn for_child<R>(work: impl FnOnce() -> R) -> R {
    struct Place<W, R> {
        work: Option<W>,
        answer: Option<R>,
    }
    unsafe fn call<W: FnOnce() -> R, R>(place: *mut ()) {
        // SAFETY: the place below, which its owner leaves alone until it is told that this is done.
        let place = unsafe { &mut *place.cast::<Place<W, R>>() };
        place.answer = place.work.take().map(|work| work());
    }
    fn caller<W: FnOnce() -> R, R>(_: &Place<W, R>) -> unsafe fn(*mut ()) {
        call::<W, R>
    }
    let mut place = Place { work: Some(work), answer: None };
    let work = caller(&place);
    let mut job = Job { work, place: (&raw mut place).cast(), is_done: AtomicU32::new(0) };
    if claim() {
        JOB.store(&raw mut job, Ordering::Release);
        STATE.store(WANTED, Ordering::Release);
        kernel::wake_all(&STATE);
        while job.is_done.load(Ordering::Acquire) == 0 {
            kernel::wait_on(&job.is_done, 0, LOOK_MILLISECONDS);
        }
    } else {
        // SAFETY: the place is ours alone: nobody was told of it.
        unsafe { work(job.place) };
    }
    match place.answer {
        Some(answer) => answer,
        // The work has run, here or there, and leaves its answer whenever it returns.
        None => unreachable!("work that returned left no answer"),
    }
}

/// Has the thread for itself, if there is one.
fn claim() -> bool {
    loop {
        match STATE.compare_exchange(WAITING, CLAIMED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return true,
            Err(ABSENT) => return false,
            // Another thread's child was faster.
            Err(other) => kernel::wait_on(&STATE, other, LOOK_MILLISECONDS),
        }
    }
}

/// In a fork child: the thread was left in the parent.
pub fn after_fork_in_child() {
    STATE.store(ABSENT, Ordering::Release);
}

fn run(_quiet: &Quiet) -> bool {
    let (mut vforks, mut since) = (VFORKS.load(Ordering::Acquire), Stopwatch::start());
    loop {
        if STATE.load(Ordering::Acquire) == WANTED {
            let job = JOB.load(Ordering::Acquire);
            // SAFETY: the child's, which waits until it is done.
            unsafe {
                let _library = Quiet::enter_library();
                guard::begin();
                ((*job).work)((*job).place);
                STATE.store(WAITING, Ordering::Release);
                // The last look at the job: its owner may go on at once.
                let is_done = &raw const (*job).is_done;
                (*is_done).store(1, Ordering::Release);
                kernel::wake_all(&*is_done);
            }
            kernel::wake_all(&STATE);
        } else {
            if !HAS_ONE_ENDED.load(Ordering::Acquire) {
                kernel::wait_on(&STATE, WAITING, LOOK_MILLISECONDS);
            }
            let are_alone = HAS_ONE_ENDED.swap(false, Ordering::AcqRel) && own_thread::are_alone();
            let now = VFORKS.load(Ordering::Acquire);
            if now != vforks {
                (vforks, since) = (now, Stopwatch::start());
            }
            let is_old = since.nanoseconds() > STAY_NANOSECONDS;
            if (is_old || are_alone) && leave(vforks) {
                return are_alone;
            }
        }
    }
}

/// The thread ends, unless there was another vfork than those that it knows of.
fn leave(vforks: u32) -> bool {
    if STATE.compare_exchange(WAITING, LEAVING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        return false;
    }
    let may_leave = VFORKS.load(Ordering::SeqCst) == vforks;
    STATE.store(if may_leave { ABSENT } else { WAITING }, Ordering::SeqCst);
    kernel::wake_all(&STATE);
    may_leave
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_on_our_memory_has_its_work_done_by_the_thread() {
        assert_eq!(perform(rustix::thread::gettid), rustix::thread::gettid());
        prepare();
        guard::set_vfork_window(true);
        let name = String::from("borrowed");
        let there = perform(|| (rustix::thread::gettid(), name.len()));
        guard::set_vfork_window(false);
        assert_ne!(there.0, rustix::thread::gettid());
        assert_eq!(there.1, 8);
        // And without the thread it is done all the same.
        after_fork_in_child();
        guard::set_vfork_window(true);
        let here = perform(rustix::thread::gettid);
        guard::set_vfork_window(false);
        assert_eq!(here, rustix::thread::gettid());
        // One that was counted is waited for; one that was not began after the thread had gone.
        STATE.store(WAITING, Ordering::SeqCst);
        let vforks = VFORKS.fetch_add(1, Ordering::SeqCst);
        assert!(!leave(vforks) && is_there());
        assert!(leave(vforks + 1) && !is_there());
        // The thread is there, and ends by itself.
        STATE.store(WAITING, Ordering::SeqCst);
    }
}
