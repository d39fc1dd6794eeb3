//! Whether this process has started the library, and whether it may use it: a fork child must start anew first.
//!
//! The real library misbehaves in a fork child that did not call `daos_reinit`: its network context is the parent's, and
//! calls hang or steal the parent's answers. Here such a call says so on standard error and fails.

use crate::calls::Call;
use crate::errors::{Answer, Der};
use crate::settings::{complain, settings};
use crate::{container, events};
use std::sync::atomic::{AtomicU32, Ordering};

static STARTS: AtomicU32 = AtomicU32::new(0);
static PROCESS: AtomicU32 = AtomicU32::new(0);

fn this_process() -> u32 {
    rustix::process::getpid().as_raw_nonzero().get().cast_unsigned()
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
        PROCESS.store(this_process(), Ordering::Release);
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
    PROCESS.store(this_process(), Ordering::Release);
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
    if PROCESS.load(Ordering::Acquire) != this_process() {
        complain(&format!("{} in a fork child without daos_reinit", call.name()));
        return Err(Der::UNINIT.into());
    }
    Ok(())
}
