//! The kernel's own calls about signals, which pass no door and no rule of libc's.
#![allow(unsafe_code)]

use super::{Result, kernel};
use std::ffi::c_int;

/// Bytes of the kernel's signal set, which libc's is longer than.
const SET_BYTES: usize = 8;

/// The kernel's `struct sigaction`. All zeros are the default action.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// `SIG_DFL`, `SIG_IGN`, or a function.
    pub handler: usize,
    /// `SA_*`.
    pub flags: usize,
    /// Where the handler returns to.
    pub restorer: usize,
    /// What is blocked while it runs.
    pub mask: u64,
}

/// rt_sigaction(2): asks for a signal's action, and sets it where there is a new one. Returns what it was.
///
/// # Errors
/// `EINVAL`.
pub fn action(signal: c_int, new: Option<&Action>) -> Result<Action> {
    let mut before = Action::default();
    let new = new.map_or(0, |new| std::ptr::from_ref(new) as usize);
    // SAFETY: two live structures as the kernel has them; what a new handler does is its owner's affair.
    unsafe {
        let before = (&raw mut before) as usize;
        kernel::call(libc::SYS_rt_sigaction, [signal as usize, new, before, SET_BYTES])
    }?;
    Ok(before)
}

/// Whether this thread runs on the alternate stack that it gave for handlers.
pub fn is_on_alternate_stack() -> bool {
    let mut stack = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: asks only, into a structure of the kernel's own shape.
    let told = unsafe { kernel::call(libc::SYS_sigaltstack, [0, (&raw mut stack) as usize, 0, 0]) };
    told.is_ok() && stack.ss_flags & libc::SS_ONSTACK != 0
}

/// Sends a signal to this thread once more, with what came with it.
///
/// # Safety
/// `information` is what a handler was given.
pub unsafe fn send_again(signal: c_int, information: *const libc::siginfo_t) {
    let process = rustix::process::getpid().as_raw_pid() as usize;
    let thread = rustix::thread::gettid().as_raw_pid() as usize;
    // SAFETY: by the caller's word for the structure. The kernel lets a process say anything of a signal to itself.
    let _ =
        unsafe { kernel::call(libc::SYS_rt_tgsigqueueinfo, [process, thread, signal as usize, information as usize]) };
}

/// Whether one of `signals` waits for this thread or the process, and would not be ignored.
pub fn is_pending(signals: &[i32]) -> bool {
    let mut pending = 0u64;
    // SAFETY: rt_sigpending with a live word of the set's size.
    let told = unsafe { kernel::call(libc::SYS_rt_sigpending, [(&raw mut pending) as usize, SET_BYTES, 0, 0]) };
    told.is_ok() && signals.iter().any(|signal| pending & 1 << (signal - 1) != 0 && !is_ignored(*signal))
}

fn is_ignored(signal: i32) -> bool {
    action(signal, None).is_ok_and(|action| action.handler == libc::SIG_IGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn handler(_signal: i32) {}

    #[test]
    fn what_is_ignored_does_not_count() {
        let signal = libc::SIGUSR2;
        // SAFETY: a signal that nobody else here uses, blocked in this thread, to which it is sent, and which ends with it.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&raw mut set, signal);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            libc::signal(signal, libc::SIG_IGN);
            libc::pthread_kill(libc::pthread_self(), signal);
            assert!(!is_pending(&[signal]));
            // One that is blocked is kept even so: there may be a handler in time.
            libc::signal(signal, handler as *const () as usize);
            assert!(is_pending(&[libc::SIGHUP, signal]) && !is_pending(&[libc::SIGHUP]));
        }
    }
}
