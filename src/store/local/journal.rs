//! What the owner of a lock is about to do, written down where its heir will find it.
//!
//! A change of names is a transaction on the tree and then some stores to records. The stores are listed here with
//! their final values before the transaction commits, next to the transaction's number. Whoever takes the lock from a
//! dead owner looks whether that transaction is in the tree: if so it does the stores (once more), if not it takes back
//! what was prepared. So a kill at any instruction leaves nothing half done.

use super::record::Record;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// In place of a transaction's number: the change is among the recent ones, and true whatever became of its author.
pub const DEFERRED: u64 = u64::MAX;

/// Stores that one change of names needs at most: a rename that exchanges directories between two others.
const EFFECTS_COUNT_MAX: usize = 20;

/// Which word of a record a store goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Field {
    /// `links`.
    Links = 1,
    /// `entries`.
    Entries = 2,
    /// `modified` and `changed`.
    Modified = 4,
    /// `changed`.
    Changed = 5,
    /// Sets bits in `flags`.
    Flags = 6,
}

/// One store.
#[repr(C)]
pub struct Effect {
    node: AtomicU64,
    value: AtomicU64,
    field: AtomicU32,
    padding: AtomicU32,
}

/// What the owner of the names lock is doing.
#[repr(C)]
pub struct NamesJournal {
    /// The transaction that the effects belong to; 0 while there is none.
    pub transaction: AtomicU64,
    count: AtomicU32,
    /// With [`DEFERRED`]: how many recent changes there are with this one.
    pub deferred: AtomicU32,
    /// The node whose record is being taken: given back if the transaction fails.
    pub taken: AtomicU64,
    /// The node that may have lost its last name: to be looked at after the effects.
    pub left: AtomicU64,
    /// The node whose record is being freed.
    pub freed: AtomicU64,
    effects: [Effect; EFFECTS_COUNT_MAX],
}

/// What the owner of the allocation lock is doing.
#[repr(C)]
pub struct AllocationJournal {
    /// The slot that is being moved; 0 for none.
    pub slot: AtomicU64,
    /// The node that it goes to or comes from.
    pub node: AtomicU64,
    /// 1 while a slot is given back, 0 while it is taken.
    pub giving_back: AtomicU32,
    padding: AtomicU32,
}

impl NamesJournal {
    /// Whether nothing is being done.
    pub fn is_idle(&self) -> bool {
        [&self.transaction, &self.taken, &self.freed].iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// Lists a store. The values are final ones, so that doing it twice does no harm.
    pub fn list(&self, node: u64, field: Field, value: u64) {
        let index = self.count.load(Ordering::Relaxed) as usize;
        // More than the longest rename lists would be a fault of ours; the store below is then merely not crash-safe.
        let Some(effect) = self.effects.get(index) else { return };
        effect.node.store(node, Ordering::Relaxed);
        effect.field.store(field as u32, Ordering::Relaxed);
        effect.value.store(value, Ordering::Relaxed);
        self.count.store(index as u32 + 1, Ordering::Relaxed);
    }

    /// Binds the list to the transaction that is about to commit.
    pub fn arm(&self, transaction: u64) {
        self.transaction.store(transaction, Ordering::Release);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.transaction.store(0, Ordering::Release);
        self.count.store(0, Ordering::Relaxed);
        self.left.store(0, Ordering::Relaxed);
        self.taken.store(0, Ordering::Release);
    }

    /// Does the stores.
    pub fn apply<'a>(&self, record: impl Fn(u64) -> Option<&'a Record>) {
        let count = (self.count.load(Ordering::Relaxed) as usize).min(EFFECTS_COUNT_MAX);
        for effect in &self.effects[..count] {
            let Some(record) = record(effect.node.load(Ordering::Relaxed)) else { continue };
            let value = effect.value.load(Ordering::Relaxed);
            match effect.field.load(Ordering::Relaxed) {
                // Sequentially consistent: against an opener's count, see `opens`.
                field if field == Field::Links as u32 => record.links.store(value as u32, Ordering::SeqCst),
                field if field == Field::Entries as u32 => record.entries.store(value as u32, Ordering::Relaxed),
                field if field == Field::Flags as u32 => {
                    record.flags.fetch_or(value as u32, Ordering::AcqRel);
                }
                field if field == Field::Modified as u32 => record.touch_modified(value.cast_signed()),
                field if field == Field::Changed as u32 => {
                    record.changed.store(value.cast_signed(), Ordering::Relaxed);
                }
                _ => {}
            }
        }
    }
}
