//! Where a file's blocks are, for a hit: a table that is read without a lock.
//!
//! It holds hints and no truth. A frame that it leads to says itself which block it holds, and a block that it does not
//! lead to may be cached all the same: the slow way then puts the hint right.
#![allow(unsafe_code)]

use super::frame::Frame;
use std::sync::atomic::{AtomicPtr, Ordering};

struct Table {
    slots: Box<[AtomicPtr<Frame>]>,
    /// The smaller table that this one replaced: a reader may still be looking at it.
    older: *mut Table,
}

/// The slots of a file's first table: a small file needs no more.
const SLOTS_MIN: usize = 16;

/// A direct-mapped table from block numbers to frames. It grows; what it grew out of is freed with it.
pub struct Hints {
    table: AtomicPtr<Table>,
}

// SAFETY: tables are reached by shared reference, their slots are atomic, and they live as long as the whole.
unsafe impl Send for Hints {}
// SAFETY: as above.
unsafe impl Sync for Hints {}

impl Hints {
    /// An empty table.
    pub fn new() -> Self {
        Self { table: AtomicPtr::new(std::ptr::null_mut()) }
    }

    #[inline(always)]
    fn slot(&self, index: u64) -> Option<&AtomicPtr<Frame>> {
        // SAFETY: null, or a table that is freed in `drop` only.
        let table = unsafe { self.table.load(Ordering::Acquire).as_ref() }?;
        table.slots.get(index as usize & (table.slots.len() - 1))
    }

    /// The frame that may hold block `index`.
    #[inline(always)]
    pub fn get(&self, index: u64) -> Option<&'static Frame> {
        // SAFETY: frames live as long as the process.
        unsafe { self.slot(index)?.load(Ordering::Acquire).as_ref() }
    }

    /// Leads to `frame` for block `index`. Under the file's lock.
    pub fn put(&self, index: u64, frame: &'static Frame) {
        if let Some(slot) = self.slot(index) {
            slot.store(std::ptr::from_ref(frame).cast_mut(), Ordering::Release);
        }
    }

    /// Leads nowhere for block `index`, if it led to `frame`. Under the file's lock.
    pub fn remove(&self, index: u64, frame: &'static Frame) {
        if let Some(slot) = self.slot(index)
            && std::ptr::eq(slot.load(Ordering::Relaxed), frame)
        {
            slot.store(std::ptr::null_mut(), Ordering::Release);
        }
    }

    /// Makes room for so many blocks. Under the file's lock; true if the table is new, and empty.
    pub fn reserve(&self, blocks: usize) -> bool {
        let current = self.table.load(Ordering::Relaxed);
        // SAFETY: null, or a table that is freed in `drop` only.
        let slots = unsafe { current.as_ref() }.map_or(0, |table| table.slots.len());
        if blocks * 2 <= slots {
            return false;
        }
        let slots = (blocks * 4).next_power_of_two().max(SLOTS_MIN);
        let slots = (0..slots).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect();
        self.table.store(Box::into_raw(Box::new(Table { slots, older: current })), Ordering::Release);
        true
    }

    /// Leads nowhere any more. What was there is left to its fate: in a fork child nobody knows its state.
    pub fn forget(&self) {
        self.table.store(std::ptr::null_mut(), Ordering::Release);
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        let mut table = *self.table.get_mut();
        while !table.is_null() {
            // SAFETY: made by `Box::into_raw`, and nobody looks any more: `self` is borrowed for good.
            table = unsafe { Box::from_raw(table) }.older;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_lead_and_mislead_and_grow() {
        let frame = super::super::frame::take(64 << 10, 1).unwrap();
        let hints = Hints::new();
        assert!(hints.get(3).is_none());
        hints.put(3, frame);
        assert!(hints.get(3).is_none(), "no table, no hint");
        assert!(hints.reserve(1) && !hints.reserve(8));
        hints.put(3, frame);
        assert!(std::ptr::eq(hints.get(3).unwrap(), frame));
        assert!(hints.get(3 + 16).is_some(), "a hint, and the frame knows better");
        assert!(hints.reserve(9));
        assert!(hints.get(3).is_none());
        hints.put(3, frame);
        hints.remove(3, frame);
        assert!(hints.get(3).is_none());
        frame.give_back();
    }
}
