//! Since when a thread has waited for servers, over all the waits of one call of the application's: a lock whose holder
//! waits, then messages of its own. Together they have the time that one has.

use super::{guard, kernel};
use std::cell::Cell;

/// Of no call.
const NOT_WAITING: (u64, i64) = (u64::MAX, 0);

thread_local! {
    /// In which of this thread's beginnings, and since when.
    static WAITING: Cell<(u64, i64)> = const { Cell::new(NOT_WAITING) };
}

/// Since when this call has waited without an answer, by [`kernel::monotonic`]: from now on, if this is its first wait.
pub fn since() -> i64 {
    let beginnings = guard::beginnings();
    WAITING.with(|waiting| match waiting.get() {
        (known, start) if known == beginnings => start,
        _ => {
            let start = kernel::monotonic();
            waiting.set((beginnings, start));
            start
        }
    })
}

/// The servers have answered this thread.
pub fn answered() {
    WAITING.with(|waiting| waiting.set(NOT_WAITING));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_of_a_call_are_one() {
        guard::begin();
        let first = since();
        kernel::sleep(1000);
        assert_eq!(since(), first);
        answered();
        let second = since();
        assert!(second > first);
        guard::begin();
        kernel::sleep(1000);
        assert!(since() > second);
    }
}
