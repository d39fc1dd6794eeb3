//! When this process may last have heard from another one, as far as what is remembered of files goes.

use super::patience;
use crate::ground::causality;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What was heard, and when that was noticed: by the first question after it, so that hearing itself costs no look at the
/// clock.
pub struct Hearing {
    is_causal: bool,
    heard: AtomicU64,
    noticed: AtomicI64,
}

impl Hearing {
    /// Nothing heard so far. What is not causal never hears.
    pub fn new(is_causal: bool) -> Self {
        let heard = AtomicU64::new(causality::heard_elsewhere());
        Self { is_causal, heard, noticed: AtomicI64::new(i64::MIN) }
    }

    /// What was told of a file before this time may be older than what this process has heard of.
    pub fn since(&self) -> i64 {
        if !self.is_causal {
            return i64::MIN;
        }
        let heard = causality::heard_elsewhere();
        if self.heard.load(Ordering::Acquire) != heard {
            // The time first: whoever finds the new word finds the time that goes with it, or a later one.
            self.noticed.fetch_max(patience::now(), Ordering::AcqRel);
            self.heard.store(heard, Ordering::Release);
        }
        self.noticed.load(Ordering::Acquire)
    }
}
