//! Whether what is read past libdfs is what libdfs says.
//!
//! The first thing of a kind that is read past it in a process is read by libdfs too, and the two are compared to the byte:
//! if they differ, nothing of this kind is read past it in the process. The whole rule is in [`super::layout`].

use crate::ground::Result;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often a comparison is made that tells nothing, or that others may have disturbed, who changed what was read
/// meanwhile.
const COMPARISONS_COUNT_MAX: u32 = 8;

const REACHED: u32 = 1;
const REFUSED: u32 = 2;

/// What the comparisons of one kind came to.
#[derive(Default)]
pub struct Agreement {
    /// 0 until it is known; then [`REACHED`] or [`REFUSED`].
    state: AtomicU32,
    comparisons: AtomicU32,
}

impl Agreement {
    /// Whether libdfs may be passed by.
    pub fn is_reached(&self) -> bool {
        self.state.load(Ordering::Acquire) == REACHED
    }

    /// Whether libdfs is to make all calls.
    pub fn is_refused(&self) -> bool {
        self.state.load(Ordering::Acquire) == REFUSED
    }

    /// Whether nothing is to be compared any more.
    pub fn is_settled(&self) -> bool {
        self.state.load(Ordering::Acquire) != 0
    }

    /// Notes what a comparison came to.
    pub fn note(&self, agrees: Result<bool>) {
        let is_last = self.comparisons.fetch_add(1, Ordering::Relaxed) + 1 >= COMPARISONS_COUNT_MAX;
        let state = match agrees {
            Ok(true) => REACHED,
            _ if !is_last => return,
            _ => REFUSED,
        };
        // What is refused stays refused: another thread may have met something since the comparison was begun.
        let _ = self.state.compare_exchange(0, state, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// libdfs is to make all calls, whatever was or will be compared.
    pub fn refuse(&self) {
        self.state.store(REFUSED, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::Errno;

    #[test]
    fn one_that_agrees_is_enough_and_some_that_do_not_are_the_end() {
        let agreement = Agreement::default();
        agreement.note(Ok(false));
        agreement.note(Err(Errno::IO));
        assert!(!agreement.is_settled());
        agreement.note(Ok(true));
        assert!(agreement.is_reached());
        let agreement = Agreement::default();
        (0..COMPARISONS_COUNT_MAX).for_each(|_| agreement.note(Ok(false)));
        assert!(agreement.is_settled() && agreement.is_refused() && !agreement.is_reached());
        agreement.note(Ok(true));
        assert!(agreement.is_refused());
    }
}
