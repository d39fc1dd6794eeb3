//! Whether others wait for the processors that this process waits on: one of them may be the engine that is to answer.
//!
//! A wait that spins looks at the clock all the time. Where much time goes by between two looks somebody else had the
//! processor. If the next one that spins loses it again, others have it as often as we do, and for as long as they had it
//! waits sleep instead of spinning; for twice as long, if it is lost at once after that, and so on. So a thread of the
//! system's that comes every now and then changes nothing, and one that has half of the processor is let have it.

use std::sync::atomic::{AtomicI64, Ordering};

/// Between two looks of one wait so much time goes by only when somebody else had the processor.
const GAP_NANOSECONDS: i64 = 700_000;

/// A gap that ends no more than so many times its own length after the one before, or after waits have begun to spin again,
/// has come at once.
const SOON_TIMES: i64 = 3;

/// How many times as long as the gap waits sleep at most.
const SLEEP_TIMES_MAX: i64 = 32;

/// What the waits of a process have met.
pub struct Crowd {
    /// When a wait that spins last looked at the clock; 0 after one that slept.
    last_look: AtomicI64,
    /// Until when processors count as crowded.
    until: AtomicI64,
    /// How many times as long as the last gap that was.
    times: AtomicI64,
}

impl Crowd {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { last_look: AtomicI64::new(0), until: AtomicI64::new(0), times: AtomicI64::new(0) }
    }

    /// A wait spins.
    pub fn note_look(&self, now: i64) {
        self.last_look.store(now, Ordering::Relaxed);
    }

    /// A wait sleeps: what goes by meanwhile tells nothing.
    pub fn note_sleep(&self) {
        self.last_look.store(0, Ordering::Relaxed);
    }

    /// Whether a wait that began at `start` had better sleep.
    pub fn is_here(&self, start: i64, now: i64) -> bool {
        let last = self.last_look.load(Ordering::Relaxed);
        let until = self.until.load(Ordering::Relaxed);
        let gap = now - last;
        if last < start || gap <= GAP_NANOSECONDS || now < until {
            return now < until;
        }
        let is_soon = until != 0 && now - until < gap * SOON_TIMES;
        let times = if is_soon { (self.times.load(Ordering::Relaxed) * 2).clamp(1, SLEEP_TIMES_MAX) } else { 0 };
        self.times.store(times, Ordering::Relaxed);
        self.until.store(now + gap * times, Ordering::Relaxed);
        times != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: i64 = 1_000_000;

    /// Waits that spin lose the processor for 4 ms once so much time has gone by since they began to; which part of ten
    /// seconds counts as crowded, in percent.
    fn crowded_percent(every: i64) -> i64 {
        let crowd = Crowd::new();
        let (mut now, mut spun, mut crowded) = (MILLISECOND, 0, 0);
        while now < 10_000 * MILLISECOND {
            let start = now;
            crowd.note_look(now);
            now += 50_000;
            spun += 50_000;
            if spun >= every {
                spun = 0;
                now += 4 * MILLISECOND;
            }
            while crowd.is_here(start, now) {
                crowd.note_sleep();
                now += 50_000;
                crowded += 50_000;
            }
        }
        crowded / (100 * MILLISECOND)
    }

    #[test]
    fn who_comes_now_and_then_changes_nothing_and_who_shares_is_let() {
        assert_eq!(crowded_percent(36 * MILLISECOND), 0);
        assert!(crowded_percent(MILLISECOND / 10) >= 90);
    }
}
