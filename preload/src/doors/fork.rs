//! Fork handlers: locks are taken before a fork and given back on both sides.
#![allow(unsafe_code)]

use crate::dispatch;

unsafe extern "C" fn prepare() {
    dispatch::before_fork();
}

unsafe extern "C" fn parent() {
    dispatch::after_fork_in_parent();
}

unsafe extern "C" fn child() {
    dispatch::after_fork_in_child();
}

/// Registers the handlers. libc runs `prepare` handlers in reverse order: an application's own come before ours.
pub fn start() {
    // SAFETY: the three functions stay where they are, for a preloaded library is never unloaded.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
}
