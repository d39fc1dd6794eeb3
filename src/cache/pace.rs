//! Whether long reads in a row go faster when they are read ahead of.
//!
//! What is read ahead comes into the cache and is copied from there; a read of a block or more can also go past the cache,
//! with nothing else under way. Which of the two is faster depends on the network, on the servers and on what the program
//! does between two reads: so both are tried, and the faster one is kept.

use crate::ground::kernel;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// Reads that are timed each way: fewer tell little where processes share processors, more would leave short files out.
const TIMED: u32 = 8;

/// Reads that are read ahead of before they are timed: until then the window is still growing.
const GROWING: u32 = 4;

/// The first read of which the faster way is known.
const DECIDED: u32 = TIMED + GROWING + TIMED;

/// The times of one description's long reads in a row.
#[derive(Debug, Default)]
pub struct Pace {
    reads: AtomicU32,
    last: AtomicI64,
    direct_nanoseconds: AtomicI64,
    ahead_nanoseconds: AtomicI64,
}

impl Pace {
    /// A long read begins; whether it is to be read ahead of.
    pub fn step(&self) -> bool {
        self.step_at(kernel::monotonic())
    }

    fn step_at(&self, now: i64) -> bool {
        let reads = self.reads.load(Ordering::Relaxed);
        let passed = now - self.last.swap(now, Ordering::Relaxed);
        match reads {
            1..=TIMED => self.direct_nanoseconds.fetch_add(passed, Ordering::Relaxed),
            reads if reads > TIMED + GROWING && reads <= DECIDED => {
                self.ahead_nanoseconds.fetch_add(passed, Ordering::Relaxed)
            }
            _ => 0,
        };
        self.reads.store(reads.saturating_add(1), Ordering::Relaxed);
        let is_faster =
            self.ahead_nanoseconds.load(Ordering::Relaxed) < self.direct_nanoseconds.load(Ordering::Relaxed);
        reads >= TIMED && (reads < DECIDED || is_faster)
    }

    /// The row has ended.
    pub fn forget(&self) {
        if self.reads.load(Ordering::Relaxed) != 0 {
            self.reads.store(0, Ordering::Relaxed);
            self.direct_nanoseconds.store(0, Ordering::Relaxed);
            self.ahead_nanoseconds.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faster_way_is_kept_until_the_row_ends() {
        for (direct, ahead, is_kept) in [(100, 80, true), (100, 120, false)] {
            let pace = Pace::default();
            for _ in 0..2 {
                let mut now = 1_000_000;
                let mut ways = Vec::new();
                for _ in 0..40 {
                    let way = pace.step_at(now);
                    now += if way { ahead } else { direct };
                    ways.push(way);
                }
                assert!(ways[..8].iter().all(|way| !way) && ways[8..20].iter().all(|way| *way));
                assert!(ways[20..].iter().all(|way| *way == is_kept));
                pace.forget();
            }
        }
    }
}
