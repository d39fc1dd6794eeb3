//! The last name that the tree did not have: who looks a name up and finds none often makes it next.

use super::names::Place;
use super::recent::Identity;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// One absent name. Part of a process's own page; written and read by its threads and their signal handlers without waiting.
#[repr(C)]
pub struct Hint {
    /// Odd while it is written.
    sequence: AtomicU32,
    version: AtomicU32,
    identity: [AtomicU64; 2],
    position: AtomicU64,
}

impl Hint {
    /// Keeps an absent name; one that is there is of no use.
    pub fn put(&self, identity: Identity, version: u32, place: Place) {
        let Place::Free(position) = place else { return };
        let before = self.sequence.load(Ordering::Relaxed);
        let is_ours = before.is_multiple_of(2)
            && self.sequence.compare_exchange(before, before | 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if !is_ours {
            return;
        }
        fence(Ordering::Release);
        for (word, value) in self.identity.iter().zip(identity.words()) {
            word.store(value, Ordering::Relaxed);
        }
        self.version.store(version, Ordering::Relaxed);
        self.position.store(position, Ordering::Relaxed);
        self.sequence.store(before.wrapping_add(2), Ordering::Release);
    }

    /// The position of a name, if it is the kept one and nothing has changed in its bucket since.
    pub fn get(&self, identity: Identity, version: u32) -> Option<u64> {
        let sequence = self.sequence.load(Ordering::Acquire);
        let words = [0, 1].map(|index: usize| self.identity[index].load(Ordering::Relaxed));
        let kept = self.version.load(Ordering::Relaxed);
        let position = self.position.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let is_it = sequence.is_multiple_of(2)
            && position != 0
            && words == identity.words()
            && kept == version
            && self.sequence.load(Ordering::Relaxed) == sequence;
        is_it.then_some(position)
    }
}
