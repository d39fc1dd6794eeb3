//! Node numbers and slots: taken, and given back, so that a kill on the way loses and doubles none.
#![allow(unsafe_code)]

use super::complaint::complain;
use super::header::Pool;
use super::journal::AllocationJournal;
use super::record::{HAS_OBJECT, OBJECT_BEGUN, RECORD_BYTES, Record};
use super::shared_lock::Acquired;
use super::store::{SLOT_BYTES, Store};
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result};

use std::sync::atomic::{AtomicU64, Ordering};

/// Records that get their space at once: 64 KiB.
const NODES_PER_BATCH: u64 = 512;

/// Slots that get their space at once: 256 KiB.
const SLOTS_PER_BATCH: u64 = 64;

/// Slots have numbers of 32 bits, and 1 is added.
const SLOTS_COUNT_MAX: u64 = u32::MAX as u64 - 1;

impl Store {
    /// Takes a record for a new node, free still. The names lock is held.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn take_node(&self) -> Result<(u64, &Record)> {
        let lock = &self.header().names_lock;
        let pool = &lock.nodes;
        let free = pool.free.load(Ordering::Relaxed);
        let is_free = free != 0 && self.record(free).is_some_and(|record| record.kind().is_none());
        if free != 0 && !is_free {
            self.drop_free_list(pool, "nodes");
        }
        if is_free {
            let record = self.record(free).ok_or(Errno::IO)?;
            lock.journal.taken.store(free, Ordering::Release);
            pool.free.store(record.next_free.load(Ordering::Relaxed), Ordering::Release);
            pool.free_count.fetch_sub(1, Ordering::Relaxed);
            return Ok((free, record));
        }
        let next = pool.next.load(Ordering::Relaxed);
        self.grow(pool, next, NODES_PER_BATCH, |number, count| {
            self.nodes().allocate(number * RECORD_BYTES as u64, count * RECORD_BYTES as u64)
        })?;
        let record = self.record_unchecked(next).ok_or(Errno::NOMEM)?;
        lock.journal.taken.store(next, Ordering::Release);
        pool.next.store(next + 1, Ordering::Release);
        Ok((next, record))
    }

    /// A free list that leads to what is not free is given up: what hangs on it is lost space until the next check, and a node
    /// that lives is not taken for another.
    #[cold]
    fn drop_free_list(&self, pool: &Pool, of: &str) {
        pool.free.store(0, Ordering::Release);
        pool.free_count.store(0, Ordering::Relaxed);
        complain(self, format_args!("the list of free {of} leads to one that is not free"));
    }

    fn grow(&self, pool: &Pool, next: u64, batch: u64, allocate: impl Fn(u64, u64) -> Result<()>) -> Result<()> {
        let allocated = pool.allocated.load(Ordering::Relaxed);
        if next < allocated {
            return Ok(());
        }
        // A batch more each time it has doubled: 1/8 of what there is, up to 4 MiB of slots.
        let count = (allocated / 8).clamp(batch, batch * 16);
        match allocate(allocated, count) {
            Ok(()) => pool.allocated.store(allocated + count, Ordering::Release),
            // A disk that is nearly full may have room for one.
            Err(Errno::NOSPC) if next == allocated => {
                allocate(next, 1)?;
                pool.allocated.store(next + 1, Ordering::Release);
            }
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// Gives a record back that was taken and not used, or whose node is gone. The names lock is held.
    pub fn give_back_node(&self, node: u64) {
        let pool = &self.header().names_lock.nodes;
        let Some(record) = self.record(node) else { return };
        record.set_kind(None, 0);
        if pool.free.load(Ordering::Relaxed) != node {
            record.next_free.store(pool.free.load(Ordering::Relaxed), Ordering::Relaxed);
            pool.free.store(node, Ordering::Release);
            pool.free_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes back what a dead owner's [`Store::take_node`] took, if it came to that. The names lock is held.
    pub fn take_back_node(&self, node: u64) {
        let pool = &self.header().names_lock.nodes;
        if node == 0 || node >= pool.next.load(Ordering::Relaxed) {
            return;
        }
        self.give_back_node(node);
    }

    /// Frees a node that has no name and that nobody has open: its bytes and its number. Its slot stays with its record, for
    /// the next file. The names lock is held. Done again from any point on the way, it comes to the same.
    pub fn free_node(&self, node: u64) {
        let lock = &self.header().names_lock;
        let Some(record) = self.record(node) else { return };
        lock.journal.freed.store(node, Ordering::Release);
        if record.kind().is_some() {
            let generation = record.generation.load(Ordering::Relaxed);
            if record.has(HAS_OBJECT | OBJECT_BEGUN) {
                super::object::remove(self, node, generation);
            }
            // Whoever looks for the old generation finds neither it nor a node.
            record.generation.store(generation.wrapping_add(1), Ordering::Release);
        }
        self.give_back_node(node);
        lock.journal.freed.store(0, Ordering::Release);
    }

    fn with_allocation_lock<T>(&self, work: impl FnOnce(&AllocationJournal, &Pool) -> Result<T>) -> Result<T> {
        let _quiet = Quiet::enter();
        self.process().ready(self)?;
        let lock = &self.header().allocation_lock;
        let process = self.process();
        if lock.lock.acquire(process.owner(), &|owner| process.is_dead(self, owner)) == Acquired::FromTheDead {
            let recovered = self.recover_allocation();
            if let Err(errno) = recovered {
                lock.lock.release();
                return Err(errno);
            }
        }
        let answer = work(&lock.journal, &lock.slots);
        lock.lock.release();
        answer
    }

    /// Gives a node a slot. Its own lock is held, and it has none. What is in the slot is anybody's.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn take_slot(&self, node: u64, record: &Record) -> Result<u64> {
        self.with_allocation_lock(|journal, pool| {
            let mut free = pool.free.load(Ordering::Relaxed);
            if free != 0 && !self.is_free_slot(free) {
                self.drop_free_list(pool, "slots");
                free = 0;
            }
            let slot = if free != 0 {
                free
            } else {
                let next = pool.next.load(Ordering::Relaxed);
                if next >= SLOTS_COUNT_MAX {
                    return Err(Errno::NOSPC);
                }
                self.grow(pool, next, SLOTS_PER_BATCH, |number, count| {
                    self.slots().allocate(number * SLOT_BYTES, count * SLOT_BYTES)
                })?;
                next
            };
            journal.node.store(node, Ordering::Relaxed);
            journal.giving_back.store(0, Ordering::Relaxed);
            journal.slot.store(slot, Ordering::Release);
            if free != 0 {
                let [link, seal] = self.slot_link(free)?;
                let next = link.load(Ordering::Relaxed);
                pool.free.store(next, Ordering::Release);
                // Only now: killed before, the slot is still the list's first.
                seal.store(0, Ordering::Release);
                pool.free_count.fetch_sub(1, Ordering::Relaxed);
            } else {
                pool.next.store(slot + 1, Ordering::Release);
            }
            record.slot.store(slot as u32 + 1, Ordering::Release);
            journal.slot.store(0, Ordering::Release);
            Ok(slot)
        })
    }

    /// Takes a node's slot away, if it has one. Nobody reads or writes the node's bytes there any more.
    ///
    /// # Errors
    /// When the slot cannot be mapped.
    pub fn give_back_slot(&self, node: u64, record: &Record) -> Result<()> {
        if record.slot.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        self.with_allocation_lock(|journal, pool| {
            let slot = u64::from(record.slot.load(Ordering::Acquire));
            if slot == 0 {
                return Ok(());
            }
            journal.node.store(node, Ordering::Relaxed);
            journal.giving_back.store(1, Ordering::Relaxed);
            journal.slot.store(slot - 1, Ordering::Release);
            record.slot.store(0, Ordering::Release);
            self.push_slot(pool, slot - 1)?;
            journal.slot.store(0, Ordering::Release);
            Ok(())
        })
    }

    /// A free slot's first words: the link to the next one, and a seal by which a slot with a file's bytes is told from it.
    fn slot_link(&self, slot: u64) -> Result<&[AtomicU64; 2]> {
        let start: *mut [AtomicU64; 2] = self.slots().at(slot * SLOT_BYTES)?.cast();
        // SAFETY: a page of the slots' file that has its space, mapped for as long as the store lives; free, so that
        // nobody else looks at it but under this lock.
        unsafe { start.as_ref() }.ok_or(Errno::IO)
    }

    /// The seal of a free slot. Nobody can write it into a file's bytes: the hash key is secret.
    fn slot_seal(&self, slot: u64, next: u64) -> u64 {
        let key = self.header().hash_key.load(Ordering::Relaxed);
        (key ^ slot.rotate_left(32) ^ next).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
    }

    /// Whether a slot is one of those that were given back.
    fn is_free_slot(&self, slot: u64) -> bool {
        if slot == 0 || slot >= self.header().allocation_lock.slots.next.load(Ordering::Relaxed) {
            return false;
        }
        self.slot_link(slot).is_ok_and(|[link, seal]| {
            seal.load(Ordering::Relaxed) == self.slot_seal(slot, link.load(Ordering::Relaxed))
        })
    }

    /// Lists a slot as free. The allocation lock is held.
    pub fn push_slot(&self, pool: &Pool, slot: u64) -> Result<()> {
        let head = pool.free.load(Ordering::Relaxed);
        if head != slot {
            let [link, seal] = self.slot_link(slot)?;
            link.store(head, Ordering::Relaxed);
            seal.store(self.slot_seal(slot, head), Ordering::Relaxed);
            pool.free.store(slot, Ordering::Release);
            pool.free_count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The slot after a free one in the list.
    pub fn next_free_slot(&self, slot: u64) -> Result<u64> {
        if !self.is_free_slot(slot) {
            return Err(Errno::IO);
        }
        let next = self.slot_link(slot)?[0].load(Ordering::Relaxed);
        if next >= self.header().allocation_lock.slots.next.load(Ordering::Relaxed) { Err(Errno::IO) } else { Ok(next) }
    }

    /// Finishes what a dead owner of the allocation lock began. The lock is held, or nobody else lives.
    ///
    /// # Errors
    /// When the slot cannot be mapped.
    pub fn recover_allocation(&self) -> Result<()> {
        let lock = &self.header().allocation_lock;
        let (journal, pool) = (&lock.journal, &lock.slots);
        let slot = journal.slot.load(Ordering::Acquire);
        if slot == 0 {
            return Ok(());
        }
        let record = self.record(journal.node.load(Ordering::Relaxed));
        let holds = record.is_some_and(|record| u64::from(record.slot.load(Ordering::Acquire)) == slot + 1);
        let giving_back = journal.giving_back.load(Ordering::Relaxed) == 1;
        if giving_back && let Some(record) = record.filter(|_| holds) {
            record.slot.store(0, Ordering::Release);
        }
        let never_taken = slot >= pool.next.load(Ordering::Relaxed);
        if (giving_back || !holds) && !never_taken {
            self.push_slot(pool, slot)?;
        }
        journal.slot.store(0, Ordering::Release);
        Ok(())
    }
}
