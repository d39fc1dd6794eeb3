//! The words of `consistency=causal`: what this process may have heard of, and what it could tell.
//!
//! 1. A call that may tell another process something (a write to a pipe, a `kill`, a new name) is preceded by a
//!    *release*: what was written under a prefix is in the store first. [`UNSTORED`] is 0 where nothing has to be done.
//! 2. A call that may have told this process something (a read from a socket, a `wait`) is followed by an *acquire*:
//!    [`HEARD`] is one more than before. What the cache has is good for as long as [`HEARD`] is what it was when the store
//!    was last asked about it.
//! 3. Names under a prefix tell and hear too: the cache sees to that where it passes them on. What was heard by a look-up
//!    there is counted in [`BY_NAMES`] as well, so that one look-up does not make the next one ask anew.
//!
//! The doors read the words from assembly, and before all of them [`IS_ON`]: it is 0 in a process that has connected no
//! container of that mode.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// 1 once a container is connected whose mode is causal.
pub static IS_ON: AtomicU32 = AtomicU32::new(0);

/// How often this process may have heard from another one. It begins above 0, so that 0 is no proof.
pub static HEARD: AtomicU64 = AtomicU64::new(1);

/// How many blocks hold bytes of this process that are not in the store, in all causal containers.
pub static UNSTORED: AtomicU64 = AtomicU64::new(0);

/// How often of [`HEARD`] it was by a name under a prefix.
static BY_NAMES: AtomicU64 = AtomicU64::new(0);

/// Whether the doors miss calls that tell or hear.
static IS_DEAF: AtomicBool = AtomicBool::new(false);

/// Has the doors look from now on.
pub fn switch_on() {
    IS_ON.store(1, Ordering::Release);
}

/// Whether the doors look.
#[inline(always)]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed) != 0
}

/// The doors can't see all calls that tell or hear: containers that would be causal are strict from now on.
pub fn note_deaf() {
    IS_DEAF.store(true, Ordering::Release);
}

/// Whether the doors miss such calls.
#[inline(always)]
pub fn is_deaf() -> bool {
    IS_DEAF.load(Ordering::Relaxed)
}

/// What this process may have heard so far.
#[inline(always)]
pub fn heard() -> u64 {
    HEARD.load(Ordering::Acquire)
}

/// This process may have heard from another one: an acquire.
#[inline(always)]
pub fn hear() {
    HEARD.fetch_add(1, Ordering::AcqRel);
}

/// The same, by what the store said of a name. Tells what was heard before.
pub fn hear_name() -> u64 {
    let before = HEARD.fetch_add(1, Ordering::AcqRel);
    BY_NAMES.fetch_add(1, Ordering::AcqRel);
    before
}

/// What was heard other than by names. Too much, if anything, while another thread hears of a name.
pub fn heard_elsewhere() -> u64 {
    let by_names = BY_NAMES.load(Ordering::Acquire);
    heard().wrapping_sub(by_names)
}

/// Whether bytes of this process are not in the store.
#[inline(always)]
pub fn has_unstored() -> bool {
    UNSTORED.load(Ordering::Acquire) != 0
}

/// A block has bytes that are not in the store.
pub fn note_unstored() {
    UNSTORED.fetch_add(1, Ordering::AcqRel);
}

/// They are stored, or lost and told.
pub fn note_stored() {
    UNSTORED.fetch_sub(1, Ordering::AcqRel);
}

/// In a fork child: what was not stored is the parent's.
pub fn after_fork_in_child() {
    UNSTORED.store(0, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_heard_apart() {
        let (all, elsewhere) = (heard(), heard_elsewhere());
        assert_eq!(hear_name(), all);
        assert_eq!((heard(), heard_elsewhere()), (all + 1, elsewhere));
        hear();
        assert_eq!((heard(), heard_elsewhere()), (all + 2, elsewhere + 1));
    }
}
