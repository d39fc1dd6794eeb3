//! Whether what is read past libdfs is what libdfs says.
//!
//! libdfs stays the judge of what a container holds. The first thing that is read past it in a process is read by libdfs
//! too, and the two are compared to the byte: if they differ, nothing of this kind is read past it in the process.

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

    /// Notes what a comparison came to; `None` where libdfs can't be passed by.
    pub fn note(&self, agrees: Option<Result<bool>>) {
        let is_last = self.comparisons.fetch_add(1, Ordering::Relaxed) + 1 >= COMPARISONS_COUNT_MAX;
        let state = match agrees {
            Some(Ok(true)) => REACHED,
            Some(_) if !is_last => return,
            _ => REFUSED,
        };
        self.state.store(state, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::Errno;

    #[test]
    fn one_that_agrees_is_enough_and_some_that_do_not_are_the_end() {
        let agreement = Agreement::default();
        agreement.note(Some(Ok(false)));
        agreement.note(Some(Err(Errno::IO)));
        assert!(!agreement.is_settled());
        agreement.note(Some(Ok(true)));
        assert!(agreement.is_reached());
        let agreement = Agreement::default();
        (0..COMPARISONS_COUNT_MAX).for_each(|_| agreement.note(Some(Ok(false))));
        assert!(agreement.is_settled() && agreement.is_refused() && !agreement.is_reached());
        let agreement = Agreement::default();
        agreement.note(None);
        assert!(agreement.is_settled() && agreement.is_refused() && !agreement.is_reached());
    }
}
