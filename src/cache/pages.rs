//! Sets of pages of a block, readable without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// The grain of what is known of a block: small enough that a random read of 4 KiB fetches no more than was asked.
pub const PAGE_BYTES: u32 = 4096;

const WORDS: usize = (super::frame::BLOCK_BYTES_MAX / PAGE_BYTES as u64 / 64) as usize;

/// One bit for each page of a block.
#[derive(Debug, Default)]
pub struct PageSet([AtomicU64; WORDS]);

/// The words that `start..end` (bytes, not empty) reaches, each with the bits of its pages.
#[inline(always)]
fn masks(start: u32, end: u32) -> impl Iterator<Item = (usize, u64)> {
    let (first, last) = (start / PAGE_BYTES, (end - 1) / PAGE_BYTES);
    (first / 64..=last / 64).map(move |word| {
        let low = if word == first / 64 { first % 64 } else { 0 };
        let high = if word == last / 64 { last % 64 } else { 63 };
        (word as usize, (u64::MAX << low) & (u64::MAX >> (63 - high)))
    })
}

impl PageSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    /// Whether every page that `start..end` touches is in it; true for no byte.
    #[inline(always)]
    pub fn holds_bytes(&self, start: u32, end: u32) -> bool {
        if start >= end {
            return true;
        }
        let (first, last) = (start / PAGE_BYTES, (end - 1) / PAGE_BYTES);
        if first == last {
            let word = self.0.get((first / 64) as usize).map_or(0, |word| word.load(Ordering::Acquire));
            return word >> (first % 64) & 1 != 0;
        }
        masks(start, end)
            .all(|(word, mask)| self.0.get(word).is_some_and(|word| word.load(Ordering::Acquire) & mask == mask))
    }

    /// Adds every page that `start..end` touches; tells how many are new.
    pub fn add_bytes(&self, start: u32, end: u32) -> u64 {
        self.each(start, end, |word, mask| u64::from((mask & !word.fetch_or(mask, Ordering::AcqRel)).count_ones()))
    }

    /// How many of the pages that `start..end` touches are not in it.
    pub fn lacking(&self, start: u32, end: u32) -> u64 {
        self.each(start, end, |word, mask| u64::from((mask & !word.load(Ordering::Relaxed)).count_ones()))
    }

    /// Takes every page that `start..end` touches out.
    pub fn remove_bytes(&self, start: u32, end: u32) {
        self.each(start, end, |word, mask| {
            word.fetch_and(!mask, Ordering::AcqRel);
            0
        });
    }

    fn each(&self, start: u32, end: u32, change: impl Fn(&AtomicU64, u64) -> u64) -> u64 {
        if start >= end {
            return 0;
        }
        masks(start, end).filter_map(|(word, mask)| self.0.get(word).map(|word| change(word, mask))).sum()
    }

    /// Empties it.
    pub fn clear(&self) {
        for word in &self.0 {
            word.store(0, Ordering::Release);
        }
    }

    /// Pages in it.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_across_words() {
        let set = PageSet::new();
        assert!(set.is_empty() && set.holds_bytes(5, 5) && !set.holds_bytes(5, 6));
        assert_eq!(set.lacking(4095, 4097), 2);
        assert_eq!(set.add_bytes(4095, 4097), 2);
        assert!(set.holds_bytes(0, 8192) && !set.holds_bytes(0, 8193));
        assert_eq!(set.add_bytes(0, 4 << 20), 1022);
        assert!(set.holds_bytes(1, 4 << 20));
        set.remove_bytes(63 * 4096, 65 * 4096);
        assert_eq!(set.count(), 1022);
        assert!(!set.holds_bytes(64 * 4096, 64 * 4096 + 1) && set.holds_bytes(65 * 4096, 66 * 4096));
        set.clear();
        assert_eq!((set.count(), set.add_bytes(9, 9)), (0, 0));
    }
}
