//! The one thread of a process that stores what was written a while ago: about a second where the mode is close-to-open,
//! 10 ms after the last write where it is causal.
//!
//! It is made when the first byte becomes dirty, and ends when none has been for a moment, or when the program's own
//! threads have all ended ([`crate::ground::own_thread`]); the next dirty byte has it made again, and so has a fork
//! child's. It has all signals blocked but the one by which libc carries `setuid` to every thread, and everything it
//! calls passes the doors.
#![allow(unsafe_code)]

use super::container::Shared;
use super::file::{CachedFile, coarse_milliseconds};
use super::lock::Lock;
use crate::ground::guard::{self, Quiet};
use crate::ground::{causality, kernel, own_thread};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the thread looks, in milliseconds.
const TICK_MILLISECONDS: u32 = 200;

/// The same while a causal file has what is not stored: whoever waits for bytes without a call that would have brought
/// them (a flag in memory that two programs share) finds them after [`PAUSE_NANOSECONDS`] and this.
const SHORT_TICK_MILLISECONDS: u32 = 5;

/// A causal file's writer has paused when it has not written for so long, in nanoseconds. Writers of many small pieces
/// come back sooner, and their pieces go on being gathered.
const PAUSE_NANOSECONDS: i64 = 10_000_000;

/// How old dirty bytes become before they are stored, in milliseconds: with a tick, the coarse clock and the message
/// itself that makes a second at most.
const AGE_MILLISECONDS: i64 = 700;

/// How long the thread waits for a file that somebody else is busy with; it comes back.
const LOCK_TIME: Duration = Duration::from_millis(20);

/// Looks that find nothing before the thread ends. To make one takes some 30 us, so a program that writes now and then
/// hardly notices; and a process of which nothing else is left has to wait no longer.
const IDLE_LOOKS_MAX: u32 = 2;

const ABSENT: u32 = 0;
/// It was made, and has not begun.
const STARTING: u32 = 1;
const RUNNING: u32 = 2;

static THREAD: AtomicU32 = AtomicU32::new(ABSENT);

/// Since the thread's last look, a thread of the program has begun to end.
static HAS_ONE_ENDED: AtomicBool = AtomicBool::new(false);

/// Changed when the thread is to look before its tick.
static TICK: AtomicU32 = AtomicU32::new(0);

/// Whether the thread waits for a long tick, though something causal may become dirty meanwhile.
static IS_SLOW: AtomicBool = AtomicBool::new(false);

static WATCHED: Lock<Vec<Weak<Shared>>> = Lock::new(Vec::new());

/// Whether the thread is there and looks after that container's files; it is made if need be. False, where it can't be
/// made, or in a child that runs on its parent's memory: then nothing may become dirty.
pub fn is_running(shared: &Arc<Shared>) -> bool {
    if shared.is_watched.load(Ordering::Acquire) && THREAD.load(Ordering::Acquire) == RUNNING {
        return !guard::in_vfork_window();
    }
    start(shared)
}

#[cold]
fn start(shared: &Arc<Shared>) -> bool {
    if guard::in_vfork_window() {
        return false;
    }
    let quiet = Quiet::enter();
    if !make() {
        // None is to be had, or another thread is at it: this write goes to the store by itself.
        return false;
    }
    if !shared.is_watched.swap(true, Ordering::AcqRel) {
        let mut watched = WATCHED.lock(&quiet);
        watched.retain(|other| other.strong_count() != 0);
        watched.push(Arc::downgrade(shared));
    }
    true
}

/// Makes the thread, if there is none. False where it is not there.
fn make() -> bool {
    match THREAD.compare_exchange(ABSENT, STARTING, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => {
            let is_made = own_thread::make(run);
            if !is_made {
                THREAD.store(ABSENT, Ordering::Release);
            }
            is_made
        }
        Err(state) => state == RUNNING,
    }
}

/// Something is dirty. The thread was there when that was allowed, and may have ended since.
pub fn wake() {
    // The thread says that it ends, and looks once more; whoever has something dirty looks after that.
    fence(Ordering::SeqCst);
    if THREAD.load(Ordering::SeqCst) == ABSENT {
        // If none is to be had, the bytes wait for the next call on their file.
        make();
    } else if causality::has_unstored() && IS_SLOW.swap(false, Ordering::SeqCst) {
        TICK.fetch_add(1, Ordering::AcqRel);
        kernel::wake_one(&TICK);
    }
}

/// The containers in which something was written.
pub fn watched(quiet: &Quiet) -> Vec<Arc<Shared>> {
    WATCHED.lock(quiet).iter().filter_map(Weak::upgrade).collect()
}

/// A thread of the program is about to end: perhaps the last.
pub fn thread_ends() {
    if THREAD.load(Ordering::Acquire) != ABSENT {
        HAS_ONE_ENDED.store(true, Ordering::Release);
        TICK.fetch_add(1, Ordering::AcqRel);
        kernel::wake_one(&TICK);
    }
}

/// In a fork child: the thread was left in the parent.
pub fn after_fork_in_child() {
    THREAD.store(ABSENT, Ordering::Release);
    causality::after_fork_in_child();
    if WATCHED.is_held() {
        // SAFETY: one thread is left, and it is here.
        unsafe { WATCHED.start_again(Vec::new()) };
    }
}

/// The thread; true where it ends because it is the last.
fn run(quiet: &Quiet) -> bool {
    THREAD.store(RUNNING, Ordering::Release);
    let mut idle_looks = 0;
    loop {
        let tick = TICK.load(Ordering::Acquire);
        IS_SLOW.store(true, Ordering::SeqCst);
        if !HAS_ONE_ENDED.load(Ordering::Acquire) {
            let is_short = causality::has_unstored();
            kernel::wait_on(&TICK, tick, if is_short { SHORT_TICK_MILLISECONDS } else { TICK_MILLISECONDS });
        }
        IS_SLOW.store(false, Ordering::SeqCst);
        let are_alone = HAS_ONE_ENDED.swap(false, Ordering::AcqRel) && own_thread::are_alone();
        // When the process is about to end, nothing is too young to be stored.
        let age = if are_alone { 0 } else { AGE_MILLISECONDS };
        idle_looks = if look(quiet, age) { 0 } else { idle_looks + 1 };
        if idle_looks < IDLE_LOOKS_MAX && !are_alone {
            continue;
        }
        THREAD.store(ABSENT, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        // A byte that became dirty before that was seen is found now. What can't be stored even so is tried once more
        // when the process ends.
        let is_over = are_alone || !look(quiet, AGE_MILLISECONDS);
        if is_over || THREAD.compare_exchange(ABSENT, RUNNING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return are_alone;
        }
        idle_looks = 0;
    }
}

/// Stores what is so many milliseconds old; whether anything is left.
fn look(quiet: &Quiet, age: i64) -> bool {
    let mut is_any_left = false;
    for shared in watched(quiet) {
        for file in shared.all_files().unwrap_or_default() {
            guard::begin();
            is_any_left |= look_at(quiet, &file, age);
        }
    }
    is_any_left
}

fn look_at(quiet: &Quiet, file: &CachedFile, wanted_age: i64) -> bool {
    if file.is_stored() {
        return false;
    }
    if file.shared.is_forking() {
        return true;
    }
    if let Some(mut state) = file.lock.lock_within(quiet, LOCK_TIME) {
        file.look_after_transfers(&mut state);
        // What failed and was told is tried again by the calls that can tell it, not here for ever.
        if is_due(file, wanted_age) && !state.has_failed {
            let _ = file.write_back(&mut state, None);
        }
        return !file.is_stored() && !state.has_failed;
    }
    true
}

/// Whether a file's dirty bytes are old enough, or its writer has paused. Under the file's lock: a writer that has it has
/// not told yet when it wrote.
fn is_due(file: &CachedFile, wanted_age: i64) -> bool {
    if file.dirty_blocks.load(Ordering::Acquire) == 0 {
        return false;
    }
    let age = coarse_milliseconds() - file.dirty_since.load(Ordering::Relaxed);
    let pause = kernel::now() - file.written_at.load(Ordering::Relaxed);
    age >= wanted_age || file.shared.is_causal() && pause >= PAUSE_NANOSECONDS
}
