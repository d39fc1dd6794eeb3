//! Fault injection, in builds made for it: `SIDESTEP_FAULT=panic:read` makes that call panic under the prefix.

/// Panics where `SIDESTEP_FAULT` asks for it.
#[cfg(feature = "fault-injection")]
pub fn strike(number: u64) {
    use std::sync::atomic::{AtomicU64, Ordering};
    /// Not read yet; one past it: nothing is to fail.
    const UNKNOWN: u64 = u64::MAX - 1;
    static NUMBER: AtomicU64 = AtomicU64::new(UNKNOWN);
    if NUMBER.load(Ordering::Relaxed) == UNKNOWN {
        let wanted = std::env::var("SIDESTEP_FAULT").unwrap_or_default();
        let number = match wanted.strip_prefix("panic:") {
            Some("read") => libc::SYS_read as u64,
            Some("write") => libc::SYS_write as u64,
            Some("openat") => libc::SYS_openat as u64,
            Some("newfstatat") => libc::SYS_newfstatat as u64,
            Some("unlink") => libc::SYS_unlink as u64,
            _ => u64::MAX,
        };
        NUMBER.store(number, Ordering::Relaxed);
    }
    assert!(NUMBER.load(Ordering::Relaxed) != number, "fault injected by SIDESTEP_FAULT");
}

/// Nothing, in every other build.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn strike(_number: u64) {}
