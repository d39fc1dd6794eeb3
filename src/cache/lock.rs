//! A lock for the slow paths of the cache: taken only with signals blocked, waited for only as long as the caller says,
//! and repairable in a fork child.
#![allow(unsafe_code)]

use crate::ground::guard::Quiet;
use crate::ground::stopwatch::Stopwatch;
use crate::ground::{kernel, waiting};
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody sleeps on it.
const AWAITED: u32 = 2;

/// Looks at a held lock before going to sleep: most are held for less than a system call takes.
const SPINS: u32 = 100;

/// The longest single sleep, in milliseconds; only so that a deadline is met.
const NAP_MILLISECONDS: u32 = 50;

/// A value that one thread at a time may touch. Whoever holds it has its signals blocked: that is what the [`Quiet`] in
/// the calls stands for, so no handler of the holder's thread ever finds it held by the code that it interrupted.
pub struct Lock<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through the guard only, and there is one guard at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self { word: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// The value, if nobody else has it now.
    pub fn try_lock<'a>(&'a self, _quiet: &'a Quiet) -> Option<Guard<'a, T>> {
        let taken = self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok();
        taken.then(|| Guard { lock: self, _here: std::marker::PhantomData })
    }

    /// The value, however long it takes: for locks that are held for some instructions and never over a message.
    pub fn lock<'a>(&'a self, quiet: &'a Quiet) -> Guard<'a, T> {
        loop {
            if let Some(guard) = self.lock_within(quiet, Duration::from_secs(3600)) {
                return guard;
            }
        }
    }

    /// The value, or `None` if it was not to be had in that time.
    pub fn lock_within<'a>(&'a self, quiet: &'a Quiet, time: Duration) -> Option<Guard<'a, T>> {
        if let Some(guard) = self.try_lock(quiet) {
            return Some(guard);
        }
        self.wait(quiet, time)
    }

    #[cold]
    fn wait<'a>(&'a self, quiet: &'a Quiet, time: Duration) -> Option<Guard<'a, T>> {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if self.word.load(Ordering::Relaxed) == FREE
                && let Some(guard) = self.try_lock(quiet)
            {
                return Some(guard);
            }
        }
        // Whoever has it may wait for servers: that is this call's waiting too.
        waiting::since();
        let since = Stopwatch::start();
        while self.word.swap(AWAITED, Ordering::Acquire) != FREE {
            let left = time.checked_sub(since.elapsed())?;
            let nap = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).clamp(1, NAP_MILLISECONDS);
            kernel::wait_on(&self.word, AWAITED, nap);
        }
        Some(Guard { lock: self, _here: std::marker::PhantomData })
    }

    fn release(&self) {
        if self.word.swap(FREE, Ordering::Release) == AWAITED {
            kernel::wake_one(&self.word);
        }
    }

    /// Gives a lock back whose guard was forgotten.
    ///
    /// # Safety
    /// The caller has it by a guard that went through `std::mem::forget`, in this thread or in the thread of which this
    /// is the fork child.
    pub unsafe fn release_forgotten(&self) {
        self.release();
    }

    /// Whether somebody has it.
    pub fn is_held(&self) -> bool {
        self.word.load(Ordering::Acquire) != FREE
    }

    /// Puts a fresh value in the place of one that a thread had which this process does not have, and frees the lock.
    /// What was there is not dropped: nobody knows in which state it is.
    ///
    /// # Safety
    /// This is a fork child with one thread, and that thread does not hold the lock.
    pub unsafe fn start_again(&self, value: T) {
        // SAFETY: nobody else is there to look at it, by the caller's word.
        unsafe { self.value.get().write(value) };
        self.word.store(FREE, Ordering::Release);
    }
}

/// The value of a held lock; dropping it frees the lock.
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
    // It belongs to the thread whose signals are blocked.
    _here: std::marker::PhantomData<*const ()>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: held, and `self` is borrowed for as long.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns_and_a_wait_has_an_end() {
        let lock = Lock::new(0u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let quiet = Quiet::enter();
                        *lock.lock(&quiet) += 1;
                    }
                });
            }
        });
        let quiet = Quiet::enter();
        let guard = lock.lock(&quiet);
        assert_eq!(*guard, 80_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let quiet = Quiet::enter();
                assert!(lock.try_lock(&quiet).is_none());
                assert!(lock.lock_within(&quiet, Duration::from_millis(20)).is_none());
            });
        });
        std::mem::forget(guard);
        assert!(lock.is_held());
        // SAFETY: the guard was forgotten just now.
        unsafe { lock.release_forgotten() };
        assert!(!lock.is_held());
    }
}
