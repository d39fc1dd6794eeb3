//! A lock in memory that processes share, which the living take from the dead.
//!
//! The word names its owner: a session and which of the processes that had it. A waiter whose owner is dead takes the
//! lock over and is told so, to put right what the dead left half done. Held under [`crate::ground::guard::Quiet`]
//! only: a signal handler must not wait for its own thread.

use crate::ground::kernel;
use std::sync::atomic::{AtomicU32, Ordering};

/// Set while somebody sleeps on the word.
const WAITERS: u32 = 1 << 31;

/// How long a waiter sleeps before it looks whether the owner lives.
const LOOK_AFTER_MILLISECONDS: u32 = 10;

/// Rounds of spinning before a sleep: holders hold for about a microsecond.
const SPINS: u32 = 100;

/// Free when zero, which is what fresh memory holds.
#[derive(Default)]
#[repr(transparent)]
pub struct SharedLock(AtomicU32);

/// How the lock was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It was free.
    Free,
    /// Its owner had died: what it protects may be half changed.
    FromTheDead,
}

impl SharedLock {
    /// Takes the lock for `me`; `is_dead` tells whether another owner is gone.
    pub fn acquire(&self, me: u32, is_dead: &dyn Fn(u32) -> bool) -> Acquired {
        if self.0.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return Acquired::Free;
        }
        self.acquire_slow(me, is_dead)
    }

    /// Takes the lock if it is free.
    pub fn try_acquire(&self, me: u32) -> bool {
        self.0.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn acquire_slow(&self, me: u32, is_dead: &dyn Fn(u32) -> bool) -> Acquired {
        for _ in 0..SPINS {
            if self.0.load(Ordering::Relaxed) == 0
                && self.0.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return Acquired::Free;
            }
            std::hint::spin_loop();
        }
        let mut waited = false;
        loop {
            let word = self.0.load(Ordering::Relaxed);
            if word == 0 {
                // Others may sleep still: whoever slept leaves the mark for them.
                if self.0.compare_exchange(0, me | WAITERS, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return Acquired::Free;
                }
                continue;
            }
            let owner = word & !WAITERS;
            if waited && is_dead(owner) {
                if self.0.compare_exchange(word, me | WAITERS, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return Acquired::FromTheDead;
                }
                continue;
            }
            if word & WAITERS == 0
                && self.0.compare_exchange(word, word | WAITERS, Ordering::Relaxed, Ordering::Relaxed).is_err()
            {
                continue;
            }
            kernel::wait_on(&self.0, word | WAITERS, LOOK_AFTER_MILLISECONDS);
            waited = true;
        }
    }

    /// Gives it back.
    pub fn release(&self) {
        if self.0.swap(0, Ordering::Release) & WAITERS != 0 {
            kernel::wake_one(&self.0);
        }
    }

    /// Who has it: 0 for nobody.
    pub fn owner(&self) -> u32 {
        self.0.load(Ordering::Relaxed) & !WAITERS
    }

    /// Frees it whoever had it: nobody else lives.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn one_at_a_time_and_the_dead_are_relieved() {
        let lock = SharedLock::default();
        let counter = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for me in 1..=4 {
                let (lock, counter) = (&lock, &counter);
                scope.spawn(move || {
                    for _ in 0..5_000 {
                        assert_eq!(lock.acquire(me, &|_| false), Acquired::Free);
                        assert_eq!(lock.owner(), me);
                        let seen = counter.load(Ordering::Relaxed);
                        counter.store(seen + 1, Ordering::Relaxed);
                        lock.release();
                    }
                });
            }
        });
        assert_eq!(counter.load(Ordering::Relaxed), 20_000);
        assert_eq!(lock.acquire(7, &|_| false), Acquired::Free);
        assert_eq!(lock.acquire(8, &|owner| owner == 7), Acquired::FromTheDead);
        assert_eq!(lock.owner(), 8);
        lock.release();
        assert_eq!(lock.owner(), 0);
    }
}
