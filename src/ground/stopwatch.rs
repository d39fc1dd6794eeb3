//! How long a thread has waited, as it notices itself.
//!
//! The clock goes on while a job is stopped for another one, a machine is paused, or the processor time of a group of
//! processes is used up. Whoever judged by the clock would then give up on others that were given no time either: a call
//! would fail that nothing was wrong with. So what passes between two looks of a thread counts only as long as a look and
//! its sleep can take.

use super::kernel;
use std::cell::Cell;
use std::marker::PhantomData;
use std::time::Duration;

/// What counts at most of the time between two looks of a thread: no waiter sleeps longer between them.
const STEP_NANOSECONDS_MAX: i64 = 100_000_000;

thread_local! {
    /// This thread's last look, and what did not count of the time before it.
    static LOOKS: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

/// Now, less what did not count.
fn look() -> i64 {
    let now = kernel::monotonic();
    let skipped = LOOKS.with(|looks| {
        let (last, skipped) = looks.get();
        let skipped = skipped + (now - last - STEP_NANOSECONDS_MAX).max(0);
        looks.set((now, skipped));
        skipped
    });
    now - skipped
}

/// A wait of this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopwatch {
    start: i64,
    // What did not count is known to this thread only.
    _here: PhantomData<*const ()>,
}

impl Stopwatch {
    /// One that was started so long ago that no time is left.
    pub const OVER: Self = Self::of(i64::MIN / 2);

    const fn of(start: i64) -> Self {
        Self { start, _here: PhantomData }
    }

    /// From now on.
    pub fn start() -> Self {
        Self::of(look())
    }

    /// The nanoseconds that were waited so far. A waiter looks at least every 100 ms.
    pub fn nanoseconds(&self) -> i64 {
        look() - self.start
    }

    /// The same.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds().cast_unsigned())
    }

    /// The same wait, begun so much earlier.
    #[cfg(test)]
    pub fn earlier(self, nanoseconds: i64) -> Self {
        Self::of(self.start - nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_as_one_step() {
        let watch = Stopwatch::start();
        kernel::sleep(2000);
        let before = watch.nanoseconds();
        assert!((2_000_000..=STEP_NANOSECONDS_MAX).contains(&before));
        // As if the clock had been put forward.
        let hour = 3_600_000_000_000;
        LOOKS.with(|looks| looks.set((looks.get().0 - hour, looks.get().1)));
        let after = watch.earlier(hour).nanoseconds();
        assert!(
            (STEP_NANOSECONDS_MAX..=STEP_NANOSECONDS_MAX + 1_000_000).contains(&(after - before)),
            "{before} {after}"
        );
        assert!(Stopwatch::OVER.nanoseconds() > i64::from(u32::MAX) * 1_000_000_000);
    }
}
