//! Since when a thread has waited for servers, over all the waits of one call of the application's: a lock whose holder
//! waits, then messages of its own. Together they have the time that one has.

use super::guard;
use super::stopwatch::Stopwatch;
use std::cell::Cell;

thread_local! {
    /// In which of this thread's beginnings, and since when.
    static WAITING: Cell<Option<(u64, Stopwatch)>> = const { Cell::new(None) };
}

/// Since when this call has waited without an answer: from now on, if this is its first wait.
pub fn since() -> Stopwatch {
    let beginnings = guard::beginnings();
    WAITING.with(|waiting| match waiting.get() {
        Some((known, watch)) if known == beginnings => watch,
        _ => {
            let watch = Stopwatch::start();
            waiting.set(Some((beginnings, watch)));
            watch
        }
    })
}

/// The servers have answered this thread.
pub fn answered() {
    WAITING.with(|waiting| waiting.set(None));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::kernel;

    #[test]
    fn the_waits_of_a_call_are_one() {
        guard::begin();
        let first = since();
        kernel::sleep(1000);
        assert_eq!(since(), first);
        answered();
        let second = since();
        assert!(second != first);
        guard::begin();
        kernel::sleep(1000);
        assert!(since() != second);
    }
}
