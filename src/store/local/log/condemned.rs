//! Nodes that wait to be freed until the removal of their names is on stable storage.
//!
//! After a cut of power the log may lead to a name again whose removal was not stable. Its record, its slot and its object
//! files must be what they were then: so they are not used again before. A node that was made after the last sync has no
//! name to come back to that anybody was promised, and is freed at once: a store that nobody syncs never gets here.

use super::super::record::{CONDEMNED, HAS_OBJECT, Record};
use super::super::store::Store;
use super::state::LogState;
use crate::ground::Result;
use std::sync::atomic::Ordering;

impl Store {
    /// Whether a cut of power may bring back the name of a node that has none.
    pub fn may_return(&self, record: &Record) -> bool {
        let state = &self.header().log;
        state.is_on() && record.created_at.load(Ordering::Relaxed) < state.stable.load(Ordering::Acquire)
    }

    /// Whether a sync may have promised a node's bytes.
    pub fn is_promised(&self, record: &Record) -> bool {
        let state = &self.header().log;
        state.is_on()
            && (record.synced.load(Ordering::Acquire) != 0
                || record.created_at.load(Ordering::Relaxed) < state.stable_bytes.load(Ordering::Acquire))
    }

    /// Lists a node to be freed later. The names lock is held. Done again from any point on the way, it comes to the same.
    pub fn condemn(&self, node: u64, record: &Record) {
        let state = &self.header().log;
        if record.has(CONDEMNED) {
            return;
        }
        let last = state.condemned_last.load(Ordering::Relaxed);
        if last != node {
            record.entries.store(0, Ordering::Relaxed);
            match self.record(last) {
                Some(before) => before.entries.store(node as u32, Ordering::Release),
                None => state.condemned_first.store(node, Ordering::Release),
            }
            state.condemned_last.store(node, Ordering::Release);
        }
        record.flags.fetch_or(CONDEMNED, Ordering::AcqRel);
        state.condemned_bytes.fetch_add(bytes_of(record), Ordering::Relaxed);
        // Last: who dies before has one counted too few, which waits for one sync more.
        state.condemned.fetch_add(1, Ordering::AcqRel);
    }

    /// Frees the condemned whose removal is stable by now.
    ///
    /// # Errors
    /// As [`Store::lock_names`].
    pub fn drain(&self) -> Result<()> {
        let state = &self.header().log;
        if state.drained.load(Ordering::Acquire) >= state.condemned_stable.load(Ordering::Acquire) {
            return Ok(());
        }
        let _names = self.lock_names()?;
        self.drain_locked()
    }

    /// As [`Store::drain`]. The names lock is held.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn drain_locked(&self) -> Result<()> {
        let state = &self.header().log;
        while state.drained.load(Ordering::Relaxed) < state.condemned_stable.load(Ordering::Acquire) {
            let node = state.condemned_first.load(Ordering::Relaxed);
            // A list that leads elsewhere is damaged; what it had is found by fsck.
            let condemned = self.record(node).filter(|record| record.has(CONDEMNED) && record.kind().is_some());
            let Some(record) = condemned else {
                state.condemned_first.store(0, Ordering::Relaxed);
                state.condemned_last.store(0, Ordering::Relaxed);
                state.condemned_bytes.store(0, Ordering::Relaxed);
                state.drained.store(state.condemned.load(Ordering::Relaxed), Ordering::Release);
                break;
            };
            let bytes = bytes_of(record).min(state.condemned_bytes.load(Ordering::Relaxed));
            state.condemned_bytes.fetch_sub(bytes, Ordering::Relaxed);
            if self.is_kept(record, node) {
                self.pop_condemned(node, record);
                record.flags.fetch_and(!CONDEMNED, Ordering::AcqRel);
                self.release(node)?;
            } else {
                self.header().names_lock.journal.freed.store(node, Ordering::Release);
                self.pop_condemned(node, record);
                self.free_node(node);
            }
            state.drained.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Takes the first of the list out of it. The names lock is held. Who did it before does nothing.
    fn pop_condemned(&self, node: u64, record: &Record) {
        let state = &self.header().log;
        if state.condemned_first.load(Ordering::Relaxed) == node {
            let next = u64::from(record.entries.load(Ordering::Acquire));
            state.condemned_first.store(next, Ordering::Release);
            if next == 0 {
                state.condemned_last.store(0, Ordering::Release);
            }
        }
    }

    /// Puts the list right after a death in the middle of a change of it. The names lock is held.
    pub fn mend_condemned(&self) {
        let state = &self.header().log;
        let freed = self.header().names_lock.journal.freed.load(Ordering::Acquire);
        if let Some(record) = self.record(freed) {
            self.pop_condemned(freed, record);
        }
        let (mut last, mut at, mut count) = (0, state.condemned_first.load(Ordering::Relaxed), 0);
        while let Some(record) = self.record(at).filter(|_| count < super::super::store::NODES_COUNT_MAX) {
            (last, at, count) = (at, u64::from(record.entries.load(Ordering::Relaxed)), count + 1);
        }
        state.condemned_last.store(last, Ordering::Release);
    }
}

/// What the host gets back when a node is freed: a slot stays with the store.
fn bytes_of(record: &Record) -> u64 {
    if record.has(HAS_OBJECT) { record.extent().size() } else { 0 }
}

impl LogState {
    /// Nodes that wait to be freed, and the bytes that the host gets back by that.
    pub fn waiting(&self) -> (u64, u64) {
        let drained = self.drained.load(Ordering::Relaxed);
        let nodes = self.condemned.load(Ordering::Relaxed).saturating_sub(drained);
        (nodes, self.condemned_bytes.load(Ordering::Relaxed))
    }
}
