//! How long a call waits, and what makes it stop earlier.

pub use crate::ground::kernel::monotonic as now;
use crate::ground::stopwatch::Stopwatch;
use crate::ground::{Errno, Result, kernel, signals, waiting};

/// A call that has waited longer than this looks for a signal that wants to end the program: signals are blocked inside
/// the library, and a Ctrl-C is not to wait for a dead server's whole `timeout=`.
const SIGNALS_FROM_NANOSECONDS: i64 = 1_000_000_000;

/// So long the network is polled without sleeping, as libdaos itself does always: a wake-up costs a third of a message.
const SPIN_NANOSECONDS: i64 = 2_000_000;

/// How long one poll sleeps after that, in microseconds.
const SLEEP_MICROSECONDS: i64 = 1000;

/// The signals that people and batch systems end programs with.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// The time that a call has.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    since: Stopwatch,
    limit_nanoseconds: i64,
}

impl Patience {
    /// None at all.
    pub const NONE: Self = Self { since: Stopwatch::OVER, limit_nanoseconds: 0 };

    /// From now on, `seconds`.
    pub fn of_seconds(seconds: u32) -> Self {
        Self { since: Stopwatch::start(), limit_nanoseconds: i64::from(seconds) * 1_000_000_000 }
    }

    /// The same for one of the waits of a call of the application's, which may be several, one after another: together they
    /// have the time that one has, but from the last answer on.
    pub fn of_call(seconds: u32) -> Self {
        Self { since: waiting::since(), ..Self::of_seconds(seconds) }
    }

    /// How long the next poll may sleep, in microseconds.
    ///
    /// # Errors
    /// `ETIMEDOUT` when the time is over, `EINTR` when a signal wants to end the program.
    pub fn next(&self) -> Result<i64> {
        let waited = self.since.nanoseconds();
        if waited < SPIN_NANOSECONDS {
            return Ok(0);
        }
        if waited > self.limit_nanoseconds {
            return Err(Errno::TIMEDOUT);
        }
        if waited > SIGNALS_FROM_NANOSECONDS && signals::is_pending(&ENDING) {
            return Err(Errno::INTR);
        }
        Ok(SLEEP_MICROSECONDS)
    }

    /// Waits a little before the `attempt`th look at what another thread or process of this node has: 20 us, twice as long
    /// each time, up to a millisecond.
    ///
    /// # Errors
    /// As `next`.
    pub fn nap(&self, attempt: u32) -> Result<()> {
        self.next()?;
        kernel::sleep((20 << attempt.min(6)).min(1000));
        Ok(())
    }

    /// Waits a little before a call is made again for the `attempt`th time: a millisecond, twice as long each time, up
    /// to 128.
    ///
    /// # Errors
    /// As `next`.
    pub fn pause(&self, attempt: u32) -> Result<()> {
        self.next()?;
        kernel::sleep(1000 << attempt.min(7));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::guard;

    #[test]
    fn waits_of_one_call_have_one_time_until_there_is_an_answer() {
        let call = guard::Quiet::enter();
        let first = Patience::of_call(5);
        assert_eq!(Patience::of_call(5).since, first.since);
        waiting::answered();
        let second = Patience::of_call(5);
        assert_ne!(second.since, first.since);
        drop(call);
        let _next = guard::Quiet::enter();
        assert_ne!(Patience::of_call(5).since, second.since);
    }

    #[test]
    fn time_runs_out() {
        let patience = Patience::of_seconds(1);
        assert_eq!(patience.next(), Ok(0));
        let later = Patience { since: patience.since.earlier(3_000_000), ..patience };
        assert_eq!(later.next(), Ok(SLEEP_MICROSECONDS));
        let over = Patience { since: patience.since.earlier(1_000_000_001), ..patience };
        assert_eq!(over.next(), Err(Errno::TIMEDOUT));
    }
}
