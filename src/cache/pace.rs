//! Which of two ways long reads or writes in a row go faster.
//!
//! A read of a block or more can go past the cache, with nothing else under way, or be read ahead of and copied from the
//! cache. A write of that length can go from the application's memory, or be copied and go on its way while the program
//! goes on. Which is faster depends on the network, on the servers, on the memory and on what the program does between two
//! calls: so both are tried, and the faster one is kept.

use crate::ground::kernel;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

/// Calls that are timed each way: fewer tell little where processes share processors, more would leave short files out.
const TIMED: u32 = 8;

/// Calls each way before those: until then what is under way grows to its eight blocks and is waited for, or what the other
/// way has left under way is used up.
const SETTLING: u32 = 12;

/// Calls each way.
const TRIED: u32 = SETTLING + TIMED;

/// By what part of its time the second way must be faster to be taken: less is chance.
const GAIN_PART: i64 = 8;

/// A call that took so many times as long as the others did on the average had to wait for something else, such as its
/// processor.
const OUTLIER_TIMES: i64 = 4;

/// The times of calls that went one way.
#[derive(Debug, Default)]
struct Times {
    nanoseconds: AtomicI64,
    longest_nanoseconds: AtomicI64,
}

impl Times {
    fn note(&self, nanoseconds: i64) {
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.longest_nanoseconds.fetch_max(nanoseconds, Ordering::Relaxed);
    }

    /// All of them, the longest without what it waited for something else.
    fn total(&self) -> i64 {
        let longest = self.longest_nanoseconds.load(Ordering::Relaxed);
        let others = self.nanoseconds.load(Ordering::Relaxed) - longest;
        let average = others / i64::from(TIMED - 1);
        others + if longest > average * OUTLIER_TIMES { average } else { longest }
    }

    fn forget(&self) {
        self.nanoseconds.store(0, Ordering::Relaxed);
        self.longest_nanoseconds.store(0, Ordering::Relaxed);
    }
}

/// The times of one description's long calls in a row.
#[derive(Debug, Default)]
pub struct Pace {
    calls: AtomicU32,
    last: AtomicI64,
    /// The way that is tried first: whether by the cache.
    is_first_cached: AtomicBool,
    first: Times,
    second: Times,
}

impl Pace {
    /// A long call begins; whether it is to go by the cache. `is_first_cached` is the way to try first.
    pub fn step(&self, is_first_cached: bool) -> bool {
        self.step_at(is_first_cached, kernel::monotonic())
    }

    fn step_at(&self, is_first_cached: bool, now: i64) -> bool {
        let calls = self.calls.load(Ordering::Relaxed);
        let passed = now - self.last.swap(now, Ordering::Relaxed);
        if calls == 0 {
            self.is_first_cached.store(is_first_cached, Ordering::Relaxed);
        } else {
            // How long the call before this one took, with what the program did after it.
            let of = calls - 1;
            if of < 2 * TRIED && of % TRIED >= SETTLING {
                if of < TRIED { &self.first } else { &self.second }.note(passed);
            }
        }
        self.calls.store(calls.saturating_add(1), Ordering::Relaxed);
        let first = self.is_first_cached.load(Ordering::Relaxed);
        match calls {
            calls if calls < TRIED => first,
            calls if calls < 2 * TRIED => !first,
            _ => self.faster().unwrap_or(first),
        }
    }

    /// Whether the cache is the way to take, once both were tried.
    pub fn faster(&self) -> Option<bool> {
        if self.calls.load(Ordering::Relaxed) <= 2 * TRIED {
            return None;
        }
        let first = self.first.total();
        let is_second_faster = self.second.total() < first - first / GAIN_PART;
        Some(self.is_first_cached.load(Ordering::Relaxed) != is_second_faster)
    }

    /// The row has ended.
    pub fn forget(&self) {
        if self.calls.load(Ordering::Relaxed) != 0 {
            self.calls.store(0, Ordering::Relaxed);
            self.first.forget();
            self.second.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faster_way_is_kept_until_the_row_ends() {
        for (direct, cached) in [(100, 80), (100, 120)] {
            for first in [false, true] {
                let pace = Pace::default();
                for _ in 0..2 {
                    let mut now = 1_000_000;
                    let mut ways = Vec::new();
                    for _ in 0..60 {
                        let way = pace.step_at(first, now);
                        now += if way { cached } else { direct };
                        ways.push(way);
                    }
                    assert!(ways[..20].iter().all(|way| *way == first) && ways[20..40].iter().all(|way| *way != first));
                    assert!(ways[40..].iter().all(|way| *way == (cached < direct)));
                    assert_eq!(pace.faster(), Some(cached < direct));
                    pace.forget();
                    assert_eq!(pace.faster(), None);
                }
            }
        }
    }

    #[test]
    fn one_call_that_waited_for_something_else_decides_nothing() {
        let pace = Pace::default();
        let mut now = 1_000_000;
        for call in 0..50 {
            let way = pace.step_at(true, now);
            now += if way { 100 } else { 120 } + if call == 15 { 5000 } else { 0 };
        }
        assert_eq!(pace.faster(), Some(true));
    }

    #[test]
    fn a_little_faster_is_not_enough_for_the_second_way() {
        for (first, second, is_taken) in [(100, 95, false), (100, 80, true)] {
            let pace = Pace::default();
            let mut now = 1_000_000;
            for _ in 0..50 {
                now += if pace.step_at(true, now) { first } else { second };
            }
            assert_eq!(pace.faster(), Some(!is_taken));
        }
    }
}
