//! Faults of the engine: which call fails next, and how.

use super::random::Random;
use sidestep::ground::{Errno, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Decides about each call of the engine.
#[derive(Debug)]
pub struct Faults {
    random: Mutex<Random>,
    /// One call in so many fails; 0 for none.
    rate: AtomicU64,
    /// Calls until one fails for sure; 0 for none.
    countdown: AtomicU64,
    /// Calls that failed.
    pub told: AtomicU64,
    /// Calls that moved bytes or asked for sizes.
    pub messages: AtomicU64,
    /// Bytes that these moved.
    pub bytes: AtomicU64,
    /// Whether transfers are checked for what the cache does to their memory; costs copies.
    pub checks: AtomicBool,
    /// Short answers to give.
    pub short_reads: AtomicU64,
}

impl Faults {
    /// No faults, until some are asked for.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Mutex::new(Random::new(seed)),
            rate: AtomicU64::new(0),
            countdown: AtomicU64::new(0),
            told: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            checks: AtomicBool::new(true),
            short_reads: AtomicU64::new(0),
        }
    }

    /// One call in `rate` fails from now on; 0 for none.
    pub fn set_rate(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// The `count`th call from now fails; 0 for none.
    pub fn fail_at(&self, count: u64) {
        self.countdown.store(count, Ordering::Relaxed);
    }

    /// A message is sent.
    pub fn call(&self) -> Result<()> {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.judge()
    }

    /// Whether what is being done now fails.
    pub fn judge(&self) -> Result<()> {
        let left = self.countdown.load(Ordering::Relaxed);
        if left != 0 {
            self.countdown.store(left - 1, Ordering::Relaxed);
        }
        let rate = self.rate.load(Ordering::Relaxed);
        if left == 1 || rate != 0 && self.one_in(rate) {
            self.told.fetch_add(1, Ordering::Relaxed);
            let errors = [Errno::IO, Errno::NOSPC, Errno::TIMEDOUT, Errno::NOTCONN];
            return Err(errors[self.below(4) as usize]);
        }
        Ok(())
    }

    /// The messages since the last time that this was asked, and the bytes that they moved.
    pub fn taken(&self) -> (u64, u64) {
        (self.messages.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }

    /// True once in `count` times.
    pub fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        self.random.lock().unwrap().below(bound)
    }

    /// Whether this read is to answer short.
    pub fn is_short(&self) -> bool {
        let left = self.short_reads.load(Ordering::Relaxed);
        left != 0 && self.one_in(3) && {
            self.short_reads.store(left - 1, Ordering::Relaxed);
            true
        }
    }
}
