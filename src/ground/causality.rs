//! The words of `consistency=causal`: what this process may have heard of, and what it could tell.
//!
//! 1. A call that may tell another process something (a write to a pipe, a `kill`, a new name) is preceded by a
//!    *release*: what was written under a prefix is in the store first. [`UNSTORED`] is 0 where nothing has to be done.
//! 2. A call that may have told this process something (a read from a socket, a `wait`) is followed by an *acquire*: a
//!    plain store of 1 to [`HAS_HEARD`]. (A locked instruction waits behind a system call until all that the kernel has
//!    stored is written: 35 ns, measured.) Whoever looks next takes that back and raises [`HEARD`].
//! 3. What the cache has is good for as long as [`HAS_HEARD`] is 0 and [`HEARD`] is what it was when the store was last
//!    asked about it. [`HEARD`] is odd while it is being raised, and an odd value proves nothing. Nobody waits for it to be
//!    even again: the thread that raises it may be the one whose signal handler looks.
//! 4. Names under a prefix tell and hear too: the cache sees to that where it passes them on. What was heard by a look-up
//!    there is counted in [`BY_NAMES`] as well, so that one look-up does not make the next one ask anew.
//!
//! The doors read and write the words in assembly, and before all of them [`IS_ON`]: it is 0 in a process that has connected
//! no container of that mode.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// 1 once a container is connected whose mode is causal.
pub static IS_ON: AtomicU32 = AtomicU32::new(0);

/// 1 where this process may have heard from another one since [`HEARD`] was last raised.
pub static HAS_HEARD: AtomicU32 = AtomicU32::new(0);

/// Twice how often that was noticed, and one more while it is. It begins above 0, so that 0 is no proof.
static HEARD: AtomicU64 = AtomicU64::new(2);

/// How many blocks hold bytes of this process that are not in the store, in all causal containers.
pub static UNSTORED: AtomicU64 = AtomicU64::new(0);

/// How much of [`HEARD`] was by names under a prefix.
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

/// This process may have heard from another one: an acquire.
#[inline(always)]
pub fn hear() {
    HAS_HEARD.store(1, Ordering::Release);
}

/// Whether this process has heard nothing since it had heard that.
#[inline(always)]
pub fn is_all(heard: u64) -> bool {
    // In this order: whoever takes the 1 back has made the other word odd before, and makes it another one behind.
    HAS_HEARD.load(Ordering::Acquire) == 0 && HEARD.load(Ordering::Acquire) == heard && heard.is_multiple_of(2)
}

/// What this process may have heard so far. An odd value, which is no proof of anything, while another thread notices more.
pub fn heard() -> u64 {
    if HAS_HEARD.load(Ordering::Acquire) != 0 {
        raise();
    }
    HEARD.load(Ordering::Acquire)
}

/// Raises the word. Gives what it was and whether anything was heard other than what the caller has to say; nothing where
/// another thread is at it.
fn raise() -> Option<(u64, bool)> {
    let before = HEARD.load(Ordering::Acquire);
    if !before.is_multiple_of(2) {
        return None;
    }
    HEARD.compare_exchange(before, before + 1, Ordering::SeqCst, Ordering::Acquire).ok()?;
    let has_heard = HAS_HEARD.swap(0, Ordering::SeqCst) != 0;
    HEARD.store(before + 2, Ordering::SeqCst);
    Some((before, has_heard))
}

/// The store has said something of a name. If this process has heard nothing else since it had heard `before`, what it has
/// heard now.
pub fn hear_name(before: u64) -> Option<u64> {
    match raise() {
        Some((was, false)) => {
            BY_NAMES.fetch_add(2, Ordering::AcqRel);
            (was == before).then_some(was + 2)
        }
        Some((_, true)) => None,
        None => {
            // Whoever raises it may have looked before this was heard.
            hear();
            None
        }
    }
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

/// In a fork child: what was not stored is the parent's, and no other thread is in the middle of anything.
pub fn after_fork_in_child() {
    UNSTORED.store(0, Ordering::Release);
    HEARD.store(HEARD.load(Ordering::Relaxed).next_multiple_of(2), Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_ends_a_proof() {
        // Other tests of this process may hear too.
        let find = |what: fn() -> bool| (0..1000).any(|_| what());
        assert!(find(|| is_all(heard())));
        assert!(find(|| {
            let (all, elsewhere) = (heard(), heard_elsewhere());
            hear_name(all).is_some_and(|now| is_all(now) && !is_all(all) && heard_elsewhere() == elsewhere)
        }));
        let (all, elsewhere) = (heard(), heard_elsewhere());
        hear();
        assert!(!is_all(all) && hear_name(all).is_none());
        assert!(heard() != all && heard_elsewhere() != elsewhere);
    }
}
