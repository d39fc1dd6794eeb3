//! Whether this process has started the library, and whether it may use it: a fork child must start anew first.
//!
//! The real library misbehaves in a fork child that did not call `daos_reinit`: its network context is the parent's, and
//! calls hang or steal the parent's answers. Here such a call says so on standard error and fails.
#![allow(unsafe_code)]

use crate::calls::Call;
use crate::errors::{Answer, Der};
use crate::settings::{complain, settings};
use crate::{container, descriptors, events, server, turns};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

static STARTS: AtomicU32 = AtomicU32::new(0);

/// How often the library was started anew in a fork child, counted along the line of processes.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Which of the processes along a line of forks has this memory.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Acquire)
}

/// A word that the kernel sets to 0 in a fork child (`MADV_WIPEONFORK`), and 1 in a process that may use the library. A
/// vfork child runs on its parent's memory, network context and all, and may use it like another thread.
static IS_OURS: OnceLock<&'static AtomicU32> = OnceLock::new();

fn is_ours() -> &'static AtomicU32 {
    static FALLBACK: AtomicU32 = AtomicU32::new(1);
    IS_OURS.get_or_init(|| {
        use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
        // SAFETY: a new private page, which is never unmapped; zeros are a valid word.
        unsafe {
            let page =
                mmap_anonymous(std::ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
            match page {
                Ok(page) if madvise(page, 4096, Advice::LinuxWipeOnFork).is_ok() => &*page.cast::<AtomicU32>(),
                _ => &FALLBACK,
            }
        }
    })
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
        is_ours().store(1, Ordering::Release);
        descriptors::make();
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
    server::after_fork_in_child();
    turns::after_fork_in_child();
    GENERATION.fetch_add(1, Ordering::AcqRel);
    is_ours().store(1, Ordering::Release);
    Ok(())
}

/// Whether a call may go on.
///
/// # Errors
/// `DER_UNINIT` before `daos_init`, and in a fork child before `daos_reinit`.
pub fn check(call: Call) -> Answer<()> {
    if STARTS.load(Ordering::Acquire) == 0 {
        return Err(Der::UNINIT.into());
    }
    if is_ours().load(Ordering::Acquire) == 0 {
        complain(&format!("{} in a fork child without daos_reinit", call.name()));
        return Err(Der::UNINIT.into());
    }
    Ok(())
}
