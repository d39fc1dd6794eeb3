//! Free lists, made anew.

use super::super::record::Record;
use super::super::store::{ROOT, SLOT_BYTES, Store};
use crate::ground::{Errno, Result};
use std::collections::HashSet;
use std::sync::atomic::Ordering;

impl Store {
    /// Lists every slot as free that is not among `owned`. Nobody else lives.
    pub fn relist_slots(&self, owned: impl Iterator<Item = u64>) -> Result<()> {
        let pool = &self.header().allocation_lock.slots;
        let owned: HashSet<u64> = owned.collect();
        pool.free.store(0, Ordering::Release);
        pool.free_count.store(0, Ordering::Relaxed);
        for slot in (1..pool.next.load(Ordering::Relaxed)).rev().filter(|slot| !owned.contains(slot)) {
            self.push_slot(pool, slot)?;
        }
        Ok(())
    }

    /// Lists every record without a node as free. Nobody else lives.
    pub fn relist_nodes(&self) -> Result<()> {
        let pool = &self.header().names_lock.nodes;
        pool.free.store(0, Ordering::Release);
        pool.free_count.store(0, Ordering::Relaxed);
        for node in (ROOT..pool.next.load(Ordering::Relaxed)).rev() {
            if self.record(node).is_some_and(|record| record.kind().is_none()) {
                self.give_back_node(node);
            }
        }
        Ok(())
    }

    /// Gives a file a slot of its own instead of another's, with what is in that one.
    pub fn give_other_slot(&self, node: u64, record: &Record, slot: u32) -> Result<()> {
        let other = u64::from(slot);
        let pool = &self.header().allocation_lock.slots;
        let is_one = other != 0 && other < pool.next.load(Ordering::Relaxed);
        let bytes = if is_one {
            self.slots().copy_out(other * SLOT_BYTES, SLOT_BYTES as usize)?
        } else {
            vec![0; SLOT_BYTES as usize]
        };
        record.slot.store(0, Ordering::Release);
        let own = self.take_slot(node, record)?;
        if is_one && own == other {
            return Err(Errno::IO);
        }
        self.slots().copy_in(own * SLOT_BYTES, &bytes)
    }
}
