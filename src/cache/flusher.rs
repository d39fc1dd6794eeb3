//! The one thread of a process that stores what is about a second old.
//!
//! It is made when the first byte becomes dirty, and never ends; a fork child makes its own. It has all signals blocked
//! but the one by which libc carries `setuid` to every thread, and everything it calls passes the doors.
#![allow(unsafe_code)]

use super::container::Shared;
use super::file::{CachedFile, coarse_milliseconds};
use super::lock::Lock;
use crate::ground::guard::{self, Quiet};
use crate::ground::kernel;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the thread looks, in milliseconds, while anything is dirty.
const TICK_MILLISECONDS: u32 = 200;

/// How old dirty bytes become before they are stored, in milliseconds: with a tick, the coarse clock and the message
/// itself that makes a second at most.
const AGE_MILLISECONDS: i64 = 700;

/// How long the thread waits for a file that somebody else is busy with; it comes back.
const LOCK_TIME: Duration = Duration::from_millis(20);

/// The longest sleep while nothing is dirty.
const IDLE_MILLISECONDS: u32 = 3_600_000;

/// Enough for an engine that goes through several libraries.
const STACK_BYTES: usize = 1 << 20;

const ABSENT: u32 = 0;
const STARTING: u32 = 1;
const RUNNING: u32 = 2;

static THREAD: AtomicU32 = AtomicU32::new(ABSENT);

/// 1 while something may be dirty.
static IS_AWAKE: AtomicU32 = AtomicU32::new(0);

/// Only the clock ends the wait on it.
static TICK: AtomicU32 = AtomicU32::new(0);

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
    match THREAD.compare_exchange(ABSENT, STARTING, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            let made = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run).is_ok();
            THREAD.store(if made { RUNNING } else { ABSENT }, Ordering::Release);
            if !made {
                return false;
            }
        }
        Err(RUNNING) => {}
        // Another thread is at it: this write goes to the store by itself.
        Err(_) => return false,
    }
    if !shared.is_watched.swap(true, Ordering::AcqRel) {
        let mut watched = WATCHED.lock(&quiet);
        watched.retain(|other| other.strong_count() != 0);
        watched.push(Arc::downgrade(shared));
    }
    true
}

/// Something is dirty.
pub fn wake() {
    if IS_AWAKE.load(Ordering::Acquire) == 0 && IS_AWAKE.swap(1, Ordering::AcqRel) == 0 {
        kernel::wake_one(&IS_AWAKE);
    }
}

/// In a fork child: the thread was left in the parent.
pub fn after_fork_in_child() {
    THREAD.store(ABSENT, Ordering::Release);
    IS_AWAKE.store(0, Ordering::Release);
    if WATCHED.is_held() {
        // SAFETY: one thread is left, and it is here.
        unsafe { WATCHED.start_again(Vec::new()) };
    }
}

fn run() {
    let quiet = Quiet::enter();
    guard::allow_libc_signals();
    loop {
        while IS_AWAKE.load(Ordering::Acquire) == 0 {
            kernel::wait_on(&IS_AWAKE, 0, IDLE_MILLISECONDS);
        }
        kernel::wait_on(&TICK, 0, TICK_MILLISECONDS);
        if !look(&quiet) {
            // A byte that becomes dirty now wakes us again; one that did so just before is found by the second look.
            IS_AWAKE.store(0, Ordering::SeqCst);
            if look(&quiet) {
                IS_AWAKE.store(1, Ordering::Release);
            }
        }
    }
}

/// Stores what is old enough; whether anything is left.
fn look(quiet: &Quiet) -> bool {
    let watched: Vec<Arc<Shared>> = WATCHED.lock(quiet).iter().filter_map(Weak::upgrade).collect();
    let mut is_any_left = false;
    for shared in watched {
        for file in shared.all_files().unwrap_or_default() {
            guard::begin();
            is_any_left |= look_at(quiet, &file);
        }
    }
    is_any_left
}

fn look_at(quiet: &Quiet, file: &CachedFile) -> bool {
    if file.is_stored() {
        return false;
    }
    if file.shared.is_forking() {
        return true;
    }
    let age = coarse_milliseconds() - file.dirty_since.load(Ordering::Relaxed);
    let is_old = file.dirty_blocks.load(Ordering::Acquire) != 0 && age >= AGE_MILLISECONDS;
    if let Some(mut state) = file.lock.lock_within(quiet, LOCK_TIME) {
        file.look_after_transfers(&mut state);
        // What failed and was told is tried again by the calls that can tell it, not here for ever.
        if is_old && !state.has_failed {
            let _ = file.write_back(&mut state, None);
        }
        return !file.is_stored() && !state.has_failed;
    }
    true
}
