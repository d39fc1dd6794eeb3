//! The descriptors that Sidestep keeps for itself, so that the application's `close` and `close_range` can spare them.
//!
//! A bitmap over all numbers, in `.bss`: a bit is read and set without a lock, from any thread and any signal handler.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Numbers from here on are not kept: Linux's own default for `fs.nr_open`.
const NUMBERS_COUNT_MAX: usize = 1 << 20;
const WORDS_COUNT: usize = NUMBERS_COUNT_MAX / 64;

static WORDS: [AtomicU64; WORDS_COUNT] = [const { AtomicU64::new(0) }; WORDS_COUNT];

// The words that have ever held a bit: a walk need not touch the rest of the bitmap's pages.
static FIRST_WORD: AtomicUsize = AtomicUsize::new(WORDS_COUNT);
static END_WORD: AtomicUsize = AtomicUsize::new(0);

/// Marks a number as ours. False if it is too large to be kept.
pub fn insert(number: RawFd) -> bool {
    let Some((word, bit)) = place(number) else { return false };
    FIRST_WORD.fetch_min(word, Ordering::Relaxed);
    END_WORD.fetch_max(word + 1, Ordering::Relaxed);
    WORDS[word].fetch_or(bit, Ordering::Release);
    true
}

/// Forgets a number: before it is closed, or another thread's new descriptor of that number would be spared.
pub fn remove(number: RawFd) {
    if let Some((word, bit)) = place(number) {
        WORDS[word].fetch_and(!bit, Ordering::Release);
    }
}

/// Whether a number is ours.
#[inline]
pub fn contains(number: RawFd) -> bool {
    place(number).is_some_and(|(word, bit)| WORDS[word].load(Ordering::Acquire) & bit != 0)
}

/// The lowest number of ours that is at least `from`.
pub fn next_from(from: RawFd) -> Option<RawFd> {
    let from = usize::try_from(from).unwrap_or(0);
    let end = END_WORD.load(Ordering::Acquire);
    let mut word = (from / 64).max(FIRST_WORD.load(Ordering::Acquire));
    let mut mask = if word == from / 64 { u64::MAX << (from % 64) } else { u64::MAX };
    while word < end {
        let bits = WORDS[word].load(Ordering::Acquire) & mask;
        if bits != 0 {
            return RawFd::try_from(word * 64 + bits.trailing_zeros() as usize).ok();
        }
        mask = u64::MAX;
        word += 1;
    }
    None
}

fn place(number: RawFd) -> Option<(usize, u64)> {
    let number = usize::try_from(number).ok().filter(|&number| number < NUMBERS_COUNT_MAX)?;
    Some((number / 64, 1 << (number % 64)))
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
        assert_eq!(next_from(900_000), Some(900_001));
        assert_eq!(next_from(900_002), Some(900_063));
        assert_eq!(next_from(900_064), Some(900_064));
        assert_eq!(next_from(900_065), Some(1_048_575));
        for number in numbers {
            remove(number);
            assert!(!contains(number));
        }
        assert_eq!(next_from(900_000), None);
        assert!(!insert(-1) && !insert(1 << 20));
        assert!(!contains(-1) && !contains(i32::MAX));
    }
}
