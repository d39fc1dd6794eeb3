//! Whether this process has started the library, and whether it may use it: a fork child must start anew first.
//!
//! The real library misbehaves in a fork child that did not call `daos_reinit`: its network context is the parent's, and
//! calls hang or steal the parent's answers. Here such a call says so on standard error and fails. A vfork child runs in its
//! parent's memory and is no fork child in this sense: it is told apart by a page that the kernel wipes in a copy.
#![allow(unsafe_code)]

use crate::calls::Call;
use crate::errors::{Answer, Der};
use crate::settings::{complain, settings};
use crate::{container, events};
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

static STARTS: AtomicU32 = AtomicU32::new(0);

/// How often the library was started anew in a fork child, counted along the line of processes.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// 1 where the library was started in this very memory, on a page that is wiped in a fork child.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

const PAGE_BYTES: usize = 4096;

/// Which of the processes along a line of forks has this memory.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Acquire)
}

fn mark() -> Answer<()> {
    if MARK.load(Ordering::Acquire).is_null() {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: new memory of our own, of atomics alone, mapped for the life of the process.
        unsafe {
            let page = rustix::mm::mmap_anonymous(ptr::null_mut(), PAGE_BYTES, protection, MapFlags::PRIVATE)?;
            rustix::mm::madvise(page, PAGE_BYTES, Advice::LinuxWipeOnFork)?;
            MARK.store(page.cast(), Ordering::Release);
        }
    }
    // SAFETY: as above.
    unsafe { (*MARK.load(Ordering::Acquire)).store(1, Ordering::Release) };
    Ok(())
}

fn is_marked() -> bool {
    // SAFETY: null, or mapped for the life of the process.
    unsafe { MARK.load(Ordering::Acquire).as_ref() }.is_some_and(|mark| mark.load(Ordering::Acquire) == 1)
}

/// `daos_init`.
///
/// # Errors
/// Where no agent answers, or the store is not named.
pub fn start() -> Answer<()> {
    let settings = settings();
    if settings.store.is_none() {
        complain("SIDESTEP_EMULATOR_STORE names no directory");
    }
    if settings.is_agent_absent || settings.store.is_none() {
        return Err(AGENT_ABSENT.into());
    }
    if STARTS.fetch_add(1, Ordering::AcqRel) == 0 {
        mark()?;
    }
    Ok(())
}

/// What `daos_init` answers where the agent's socket is not there.
const AGENT_ABSENT: Der = Der(2034);

/// `daos_fini`.
///
/// # Errors
/// Where there was no start.
pub fn end() -> Answer<()> {
    let one_less = |starts: u32| starts.checked_sub(1);
    match STARTS.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less) {
        Ok(_) => Ok(()),
        Err(_) => Err(Der::UNINIT.into()),
    }
}

/// `daos_reinit`.
///
/// # Errors
/// Where the parent had not started.
pub fn start_in_child() -> Answer<()> {
    if STARTS.load(Ordering::Acquire) == 0 {
        return Err(Der::UNINIT.into());
    }
    container::after_fork_in_child();
    events::after_fork_in_child();
    GENERATION.fetch_add(1, Ordering::AcqRel);
    mark()
}

/// Whether a call may go on.
///
/// # Errors
/// `DER_UNINIT` before `daos_init`, and in a fork child before `daos_reinit`.
pub fn check(call: Call) -> Answer<()> {
    if STARTS.load(Ordering::Acquire) == 0 {
        return Err(Der::UNINIT.into());
    }
    if !is_marked() {
        complain(&format!("{} in a fork child without daos_reinit", call.name()));
        return Err(Der::UNINIT.into());
    }
    Ok(())
}
