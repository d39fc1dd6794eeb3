//! Signals that wait: what runs inside the library has them blocked.
#![allow(unsafe_code)]

use super::kernel;

/// Bytes of the kernel's signal set, which libc's is longer than.
const SET_BYTES: usize = 8;

/// The kernel's `struct sigaction`.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

/// Whether one of `signals` waits for this thread or the process, and would not be ignored.
pub fn is_pending(signals: &[i32]) -> bool {
    let mut pending = 0u64;
    // SAFETY: rt_sigpending with a live word of the set's size.
    let told = unsafe { kernel::call(libc::SYS_rt_sigpending, [(&raw mut pending) as usize, SET_BYTES, 0, 0]) };
    told.is_ok() && signals.iter().any(|signal| pending & 1 << (signal - 1) != 0 && !is_ignored(*signal))
}

fn is_ignored(signal: i32) -> bool {
    let mut action = Action::default();
    // SAFETY: rt_sigaction that asks alone, with a live structure as the kernel has it.
    let told =
        unsafe { kernel::call(libc::SYS_rt_sigaction, [signal as usize, 0, (&raw mut action) as usize, SET_BYTES]) };
    told.is_ok() && action.handler == libc::SIG_IGN
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
