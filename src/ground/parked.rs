//! The descriptors that Sidestep keeps for itself, so that the application's `close` and `close_range` can spare them.
//!
//! A bitmap over all numbers, in `.bss`: a bit is read and set without a lock, from any thread and any signal handler.

use super::entries::{self, NOT_OURS, PARKED, entry};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;

/// Marks a number as ours. False if it is too large to be kept.
pub fn insert(number: RawFd) -> bool {
    let Some(entry) = entry(number) else { return false };
    entries::note(number);
    entry.store(PARKED, Ordering::Release);
    true
}

/// Forgets a number: before it is closed, or another thread's new descriptor of that number would be spared.
pub fn remove(number: RawFd) {
    if let Some(entry) = entry(number) {
        let _ = entry.compare_exchange(PARKED, NOT_OURS, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Whether a number is ours.
#[inline]
pub fn contains(number: RawFd) -> bool {
    entry(number).is_some_and(|entry| entry.load(Ordering::Acquire) == PARKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_walked_and_forgotten() {
        // Numbers that no other test's descriptors reach.
        let numbers = [900_001, 900_063, 900_064, 1_048_575];
        for number in numbers {
            assert!(!contains(number));
            assert!(insert(number));
        }
        for number in numbers {
            remove(number);
            assert!(!contains(number));
        }
        assert!(!insert(-1) && !insert(1 << 20));
        assert!(!contains(-1) && !contains(i32::MAX));
    }
}
