//! The one line that a user sees when something is wrong, and the report at the end.

use super::kernel;
use std::sync::atomic::{AtomicI32, Ordering};

/// Standard error's number, or that of a copy which the program can't close.
static STANDARD_ERROR: AtomicI32 = AtomicI32::new(2);

/// Keeps a copy of standard error: many programs close it on their way to the exit, where the report is told.
pub fn keep_standard_error() {
    if let Ok(copy) = kernel::park_copy(kernel::borrow(2)) {
        STANDARD_ERROR.store(copy.into_number(), Ordering::Relaxed);
    }
}

/// Writes `sidestep: MESSAGE` to standard error in one call, past every door. Never fails, never blocks for long.
pub fn say(message: &str) {
    let line = format!("sidestep: {message}\n");
    let standard_error = kernel::borrow(STANDARD_ERROR.load(Ordering::Relaxed));
    let _ = rustix::io::write(standard_error, line.as_bytes());
}
