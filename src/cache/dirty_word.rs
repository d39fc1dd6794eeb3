//! The word in which a block gathers sequential writes without a lock.
//!
//! One word tells the range of bytes that were written and are not in the store yet, how many writers are copying
//! right now, and whether the block is frozen. A writer joins by one atomic step, copies, and leaves by another that
//! makes its bytes part of the range. Whoever flushes takes the range out; a writer that was in the middle of its copy
//! then finds the range gone when it leaves, and makes its bytes dirty anew. So nobody waits for anybody, and a signal
//! handler may flush the very block into which the code that it interrupted was copying.

use crate::ground::threads;
use std::sync::atomic::{AtomicU64, Ordering};

const BITS: u32 = 23;
const MASK: u64 = (1 << BITS) - 1;
const WRITER: u64 = 1 << (2 * BITS);
const WRITERS: u64 = 0xffff << (2 * BITS);
const FROZEN: u64 = 1 << 63;

/// What the word said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(u64);

impl Seen {
    /// The dirty range's first byte in the block.
    #[inline(always)]
    pub fn start(self) -> u32 {
        (self.0 & MASK) as u32
    }

    /// The byte behind the range.
    #[inline(always)]
    pub fn end(self) -> u32 {
        ((self.0 >> BITS) & MASK) as u32
    }

    /// Whether no byte is dirty, as far as this word knows.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.start() == self.end()
    }

    /// Whether writers are copying.
    pub fn has_writers(self) -> bool {
        self.0 & WRITERS != 0
    }

    /// Whether writers have to take the slow way.
    pub fn is_frozen(self) -> bool {
        self.0 & FROZEN != 0
    }

    /// Whether `start..end` overlaps or adjoins the range.
    #[inline(always)]
    fn touches(self, start: u32, end: u32) -> bool {
        !self.is_empty() && start <= self.end() && self.start() <= end
    }

    fn with_range(self, start: u32, end: u32) -> Self {
        let range = if start == end { 0 } else { u64::from(start) | u64::from(end) << BITS };
        Self(self.0 & (WRITERS | FROZEN) | range)
    }
}

/// The word. Offsets are up to 4 MiB.
#[derive(Debug, Default)]
pub struct DirtyWord(AtomicU64);

impl DirtyWord {
    /// An empty range, no writer, not frozen.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// What it says now.
    #[inline(always)]
    pub fn seen(&self) -> Seen {
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Becomes a writer of `start..end`, which must touch the range that is there. False: take the slow way.
    #[inline(always)]
    pub fn join(&self, start: u32, end: u32) -> bool {
        let mut seen = self.seen();
        loop {
            let is_full = seen.0 & WRITERS == WRITERS;
            if seen.is_frozen() || !seen.touches(start, end) || is_full {
                return false;
            }
            match threads::replace(&self.0, seen.0, seen.0 + WRITER) {
                Ok(_) => return true,
                Err(other) => seen = Seen(other),
            }
        }
    }

    /// Ends a writer's part, its bytes `start..end` becoming dirty. `None`: the range that it joined is gone; it is
    /// still a writer and has to make its bytes dirty the slow way before it [`leaves`](Self::leave).
    #[inline(always)]
    pub fn publish(&self, start: u32, end: u32) -> Option<Seen> {
        let mut seen = self.seen();
        loop {
            if seen.is_frozen() || !seen.touches(start, end) {
                return None;
            }
            let next = Seen(seen.with_range(seen.start().min(start), seen.end().max(end)).0 - WRITER);
            match threads::replace(&self.0, seen.0, next.0) {
                Ok(_) => return Some(next),
                Err(other) => seen = Seen(other),
            }
        }
    }

    /// Ends a writer's part that has nothing to make dirty, or has done it already.
    pub fn leave(&self) {
        self.change(|seen| Seen(seen.0 - WRITER));
    }

    /// Keeps new writers out until [`thaw`](Self::thaw); tells what it froze. The range stays readable.
    pub fn freeze(&self) -> Seen {
        self.change(|seen| Seen(seen.0 | FROZEN))
    }

    /// Freezes, but only if no writer is copying.
    pub fn freeze_alone(&self) -> bool {
        let seen = self.freeze();
        if seen.has_writers() {
            if !seen.is_frozen() {
                self.thaw();
            }
            return false;
        }
        true
    }

    /// Lets writers in again.
    pub fn thaw(&self) {
        self.change(|seen| Seen(seen.0 & !FROZEN));
    }

    /// Replaces the range; what was there is told.
    pub fn set_range(&self, start: u32, end: u32) -> Seen {
        self.change(|seen| seen.with_range(start, end))
    }

    /// Adds `start..end` to the range if it touches it or the range is empty. `None`: it does not.
    pub fn add(&self, start: u32, end: u32) -> Option<Seen> {
        let mut seen = self.seen();
        loop {
            let next = match (seen.is_empty(), seen.touches(start, end)) {
                (true, _) => seen.with_range(start, end),
                (false, true) => seen.with_range(seen.start().min(start), seen.end().max(end)),
                (false, false) => return None,
            };
            match threads::replace(&self.0, seen.0, next.0) {
                Ok(_) => return Some(next),
                Err(other) => seen = Seen(other),
            }
        }
    }

    /// Clean, thawed and without writers: for a frame that nobody uses.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Release);
    }

    fn change(&self, next: impl Fn(Seen) -> Seen) -> Seen {
        let mut seen = self.seen();
        loop {
            match threads::replace(&self.0, seen.0, next(seen).0) {
                Ok(_) => return seen,
                Err(other) => seen = Seen(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_grows_where_it_is_touched() {
        let word = DirtyWord::new();
        assert!(!word.join(0, 10), "an empty range is begun the slow way");
        assert!(word.add(100, 200).is_some());
        assert!(word.add(201, 300).is_none());
        assert!(word.join(200, 250));
        assert!(word.seen().has_writers());
        let seen = word.publish(200, 250).unwrap();
        assert_eq!((seen.start(), seen.end(), seen.has_writers()), (100, 250, false));
        assert!(word.join(90, 100));
        assert_eq!(word.set_range(0, 0).end(), 250, "flushed under the writer's hands");
        assert!(word.publish(90, 100).is_none());
        assert!(word.seen().has_writers());
        assert!(word.add(90, 100).is_some());
        word.leave();
        assert!(word.freeze_alone());
        assert!(!word.join(95, 105));
        word.thaw();
        assert!(word.join(0, 4 << 20));
        assert!(!word.freeze_alone() && !word.seen().is_frozen());
        let seen = word.publish(0, 4 << 20).unwrap();
        assert_eq!((seen.start(), seen.end()), (0, 4 << 20));
    }
}
