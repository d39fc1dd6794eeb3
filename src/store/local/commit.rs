//! How a change of names becomes true: listed among the recent ones, or in a transaction on the tree with all of them.

use super::journal::DEFERRED;
use super::key::{self, Key};
use super::log::entry::Logged;
use super::recent::Identity;
use super::store::Store;
use super::tree::{PAGE_BYTES, Writing};
use crate::ground::{Errno, Result, file_size_limit, kernel};
use crate::store::{Found, NodeId};
use std::sync::atomic::Ordering;

/// Pages at the end of the tree's file that one change may need, with room to spare: a path of pages copied and split, and
/// the list of free pages.
const PAGES_PER_CHANGE: u64 = 32;

/// What a change may make do with that frees space: two paths of pages, and the list of free ones.
const PAGES_LAST: u64 = 12;

/// Pages that each of many changes in one transaction may need: its leaf, half of a new one, and what is above.
const PAGES_PER_RECENT_CHANGE: u64 = 3;

/// The tree's file gets its space in steps of this.
const GROWTH_BYTES: u64 = 1 << 20;

/// What a change means for a name.
#[derive(Clone, Copy)]
pub struct Outcome<'a> {
    /// The directory.
    pub directory: NodeId,
    /// The name.
    pub name: &'a [u8],
    /// Which that is.
    pub identity: Identity,
    /// The place in the directory that it has, or had.
    pub position: u64,
    /// What it leads to from now on; `None` for nothing.
    pub found: Option<Found>,
}

impl Store {
    /// Lists a change among the recent ones, then does the stores that the journal lists. The names lock is held, and there is
    /// room ([`Store::make_room`]). With an error nothing was done, and a node that was taken for it is given back.
    ///
    /// # Errors
    /// `ENOSPC`: also the tree must have room for it, once it goes there.
    pub fn defer(&self, outcome: Outcome<'_>, logged: Logged<'_>) -> Result<()> {
        let (recent, journal) = (self.recent(), &self.header().names_lock.journal);
        let count = recent.count() + 1;
        let reserved = self.reserve_for_recent(count, outcome.found.is_none());
        if let Err(errno) = reserved.and_then(|()| self.write_entry(&[outcome], logged)) {
            self.abandon();
            return Err(errno);
        }
        recent.write(outcome.directory, outcome.position, outcome.name, outcome.found);
        journal.deferred.store(count, Ordering::Relaxed);
        // From here on it is done, even if we die.
        journal.arm(DEFERRED);
        recent.set_count(count);
        recent.begin(outcome.identity);
        recent.set(outcome.identity, outcome.found, outcome.position, true);
        recent.end(outcome.identity);
        self.finish()
    }

    /// Does `change` in one transaction, with all recent changes before it, then the stores that the journal lists. The names
    /// lock is held. With an error nothing was done, and a node that was taken for it is given back. A change that frees
    /// space may use the last pages.
    ///
    /// # Errors
    /// What `change` answers; `ENOSPC`.
    pub fn commit(
        &self,
        frees: bool,
        outcomes: &[Outcome<'_>],
        logged: Logged<'_>,
        change: impl FnOnce(&mut Writing) -> Result<()>,
    ) -> Result<()> {
        let (recent, journal) = (self.recent(), &self.header().names_lock.journal);
        let done = self.begin(frees).and_then(|mut writing| {
            self.replay(&mut writing)?;
            change(&mut writing)?;
            if !outcomes.is_empty() {
                self.write_entry(outcomes, logged)?;
            }
            journal.arm(writing.number());
            for outcome in outcomes {
                recent.begin(outcome.identity);
            }
            let committed = writing.commit();
            if committed.is_ok() {
                recent.forget_changes();
                for outcome in outcomes {
                    recent.set(outcome.identity, outcome.found, outcome.position, false);
                }
            }
            for outcome in outcomes {
                recent.end(outcome.identity);
            }
            committed
        });
        match done {
            Ok(()) => self.finish(),
            Err(errno) => {
                self.abandon();
                Err(errno)
            }
        }
    }

    fn begin(&self, frees: bool) -> Result<Writing> {
        let pages = self.pages_for_recent(self.recent().count());
        // The last pages are for removing from a full store.
        match self.reserve_pages(pages + PAGES_PER_CHANGE) {
            Err(Errno::NOSPC) if frees => self.reserve_pages(pages - PAGES_PER_CHANGE + PAGES_LAST)?,
            reserved => reserved?,
        }
        self.process().tree()?.write()
    }

    /// Puts the recent changes into a transaction, in the tree's order. Of several of one name the last one counts.
    fn replay(&self, writing: &mut Writing) -> Result<()> {
        let changes = self.recent().changes();
        if changes.is_empty() {
            return Ok(());
        }
        let mut in_order = writing.in_order()?;
        let mut order: Vec<usize> = (0..changes.len()).filter(|&index| changes[index].is_sound()).collect();
        order.sort_by_key(|&index| changes[index].place());
        for (at, &index) in order.iter().enumerate() {
            let is_last = order.get(at + 1).is_none_or(|&next| changes[next].place() != changes[index].place());
            if !is_last {
                continue;
            }
            let (directory, position, name, found) = changes[index].get();
            let key = Key::of_entry(directory.0, position, &name);
            match found {
                Some(found) => in_order.put(&key, &key::entry_value(found))?,
                None => in_order.delete(&key)?,
            }
        }
        Ok(())
    }

    /// Puts the recent changes into the tree. The names lock is held.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn flush_recent(&self) -> Result<()> {
        if self.recent().count() == 0 {
            return Ok(());
        }
        self.commit(true, &[], Logged::default(), |_| Ok(()))
    }

    /// Sees to it that the tree has every change that was complete before.
    ///
    /// # Errors
    /// As [`Store::flush_recent`].
    pub fn settle(&self) -> Result<()> {
        if self.recent().count() == 0 || self.is_frozen() {
            return Ok(());
        }
        let _names = self.lock_names()?;
        self.flush_recent()
    }

    /// Makes room for a change of a name among the recent ones. The names lock is held. One that frees space may use the
    /// last pages.
    ///
    /// # Errors
    /// As [`Store::flush_recent`].
    pub fn make_room(&self, identity: Identity, frees: bool) -> Result<()> {
        self.make_log_room(frees)?;
        let recent = self.recent();
        if recent.has_room(identity) && self.reserve_for_recent(recent.count() + 1, frees).is_ok() {
            return Ok(());
        }
        // With few changes listed, fewer pages are needed for one more.
        self.flush_recent()
    }

    /// Sees to it that the recent changes, so many with the next one, have their space when they go to the tree.
    fn reserve_for_recent(&self, count: u32, frees: bool) -> Result<()> {
        let pages = self.pages_for_recent(count);
        match self.reserve_pages(pages) {
            Err(Errno::NOSPC) if frees => self.reserve_pages(pages - PAGES_PER_CHANGE + PAGES_LAST),
            reserved => reserved,
        }
    }

    /// Gives back what was taken for a change that does not come. The names lock is held.
    pub fn abandon(&self) {
        self.withdraw_entry();
        let journal = &self.header().names_lock.journal;
        self.take_back_node(journal.taken.load(Ordering::Relaxed));
        journal.clear();
    }

    /// Finishes or takes back what a dead owner of the names lock began. The lock is held, or nobody else lives.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn recover_names(&self) -> Result<()> {
        let tree = self.process().tree()?;
        let (recent, journal) = (self.recent(), &self.header().names_lock.journal);
        self.mend_condemned();
        // LMDB puts its own lock right when it is next taken: before its number is asked for.
        drop(tree.write()?);
        let transaction = journal.transaction.load(Ordering::Acquire);
        let is_deferred = transaction == DEFERRED;
        let is_committed = transaction != 0 && !is_deferred && tree.committed().0 >= transaction;
        if is_deferred {
            recent.set_count(journal.deferred.load(Ordering::Relaxed));
        }
        if is_committed {
            recent.forget_changes();
        }
        recent.rebuild(self.header().hash_key.load(Ordering::Relaxed));
        if is_deferred || is_committed {
            self.finish()?;
        } else {
            self.abandon();
        }
        let freed = journal.freed.load(Ordering::Acquire);
        if freed != 0 {
            self.free_node(freed);
        }
        if self.header().log.checkpointing.load(Ordering::Acquire) != 0 {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Does what the journal lists, after the change that it is listed for.
    fn finish(&self) -> Result<()> {
        let journal = &self.header().names_lock.journal;
        journal.apply(|node| self.record(node));
        self.publish_entry();
        let left = journal.left.load(Ordering::Relaxed);
        let released = if left == 0 { Ok(()) } else { self.release(left) };
        journal.clear();
        released
    }

    /// Pages for a transaction with so many recent changes: no more than they touch, nor than there are and are split.
    fn pages_for_recent(&self, count: u32) -> u64 {
        let count = u64::from(count);
        let used = self.process().tree().map_or(0, |tree| tree.committed().1 / PAGE_BYTES);
        (count * PAGES_PER_RECENT_CHANGE).min(used + count / 8) + PAGES_PER_CHANGE
    }

    /// Space for so many names in one transaction.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn reserve_for_names(&self, count: u32) -> Result<()> {
        self.reserve_pages(2 * self.pages_for_recent(count))
    }

    /// Space for a change that mends.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn reserve_for_repair(&self) -> Result<()> {
        self.reserve_pages(PAGES_PER_CHANGE)
    }

    /// Sees to it that the tree's file has the space that a change may need.
    fn reserve_pages(&self, pages: u64) -> Result<()> {
        let tree = self.process().tree()?;
        let allocated = &self.header().names_bytes;
        let (_, used) = tree.committed();
        let has = allocated.load(Ordering::Relaxed);
        if used + pages * PAGE_BYTES <= has {
            return Ok(());
        }
        // The tree grows because old pages are in use: not by the dead, at least.
        tree.clear_dead_readers();
        let target = (used + pages * PAGE_BYTES).next_multiple_of(GROWTH_BYTES);
        if target > self.header().names_map_bytes.load(Ordering::Relaxed) {
            return Err(Errno::NOSPC);
        }
        let file = kernel::borrow(tree.data_descriptor());
        file_size_limit::without(|| kernel::allocate(file, has, target - has))?;
        allocated.store(target, Ordering::Relaxed);
        Ok(())
    }
}
