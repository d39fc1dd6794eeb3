//! The one line that a user sees when something is wrong.

use rustix::fd::BorrowedFd;

/// Writes `sidestep: MESSAGE` to standard error in one call, past every door. Never fails, never blocks for long.
#[allow(unsafe_code)]
pub fn say(message: &str) {
    let line = format!("sidestep: {message}\n");
    // SAFETY: 2 may be closed: the write then fails with EBADF, which is all that the borrow is used for.
    let standard_error = unsafe { BorrowedFd::borrow_raw(2) };
    let _ = rustix::io::write(standard_error, line.as_bytes());
}
