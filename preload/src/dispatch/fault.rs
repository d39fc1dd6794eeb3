//! Fault injection, in builds made for it: `SIDESTEP_FAULT=panic:read` makes that call panic where it is ours.

#[cfg(feature = "fault-injection")]
mod injected {
    use std::cell::Cell;

    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }

    /// Notes which call is being made.
    pub fn note(number: u64) {
        NUMBER.set(number);
    }

    /// Panics where `SIDESTEP_FAULT` asks for it.
    pub fn strike() {
        let wanted = std::env::var("SIDESTEP_FAULT").unwrap_or_default();
        let number = match wanted.strip_prefix("panic:") {
            Some("read") => libc::SYS_read,
            Some("write") => libc::SYS_write,
            Some("openat") => libc::SYS_openat,
            Some("newfstatat") => libc::SYS_newfstatat,
            Some("unlink") => libc::SYS_unlink,
            _ => return,
        };
        assert!(NUMBER.get() != number as u64, "fault injected by SIDESTEP_FAULT");
    }
}

#[cfg(feature = "fault-injection")]
pub use injected::{note, strike};

/// Nothing, in every other build.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn note(_number: u64) {}

/// Nothing, in every other build.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn strike() {}
