//! Names: looked up without a lock, changed under the store's names lock.

use super::key::{self, Key, KeyOf, POSITIONS_PER_HASH};
use super::record::Record;
use super::shared_lock::Acquired;
use super::store::Store;
use super::tree::{Look, PAGE_BYTES, Writing};
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result, kernel};
use crate::store::{DirectoryEntry, Found, Kind, NodeId};
use std::sync::atomic::Ordering;

/// Pages at the end of the tree's file that one change may need, with room to spare: a path of pages copied and split, and
/// the list of free pages.
const PAGES_PER_CHANGE: u64 = 32;

/// The tree's file gets its space in steps of this.
const GROWTH_BYTES: u64 = 1 << 20;

impl Store {
    /// A directory's record.
    ///
    /// # Errors
    /// `ENOTDIR`, `ESTALE` for a node that is gone, `ENOENT` for a directory that was removed and is still held.
    #[inline]
    pub fn directory_record(&self, directory: NodeId) -> Result<&Record> {
        match self.live_record(directory)? {
            (_, Kind::File | Kind::Symlink) => Err(Errno::NOTDIR),
            (record, Kind::Directory) if record.links.load(Ordering::Acquire) == 0 => Err(Errno::NOENT),
            (record, Kind::Directory) => Ok(record),
        }
    }

    /// A name's entry in a directory, with its position.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn find(&self, look: &Look<'_>, directory: NodeId, name: &[u8]) -> Result<Option<(Found, u64)>> {
        let first = key::first_position(self.header().hash_key.load(Ordering::Relaxed), name);
        let mut at = look.seek(&Key::of_entry(directory.0, first, b""))?;
        while let Some((key, value)) = at {
            match KeyOf::parse(key) {
                KeyOf::Entry { directory: of, position, name: other }
                    if of == directory.0 && position < first + POSITIONS_PER_HASH =>
                {
                    if other == name {
                        return key::parse_entry_value(value).ok_or(Errno::IO).map(|found| Some((found, position)));
                    }
                }
                _ => break,
            }
            at = look.next()?;
        }
        Ok(None)
    }

    /// Where a new name goes. The names lock is held.
    ///
    /// # Errors
    /// `EEXIST`; `ENOSPC` where 128 names of one hash are there already.
    pub fn free_position(&self, look: &Look<'_>, directory: NodeId, name: &[u8]) -> Result<u64> {
        let first = key::first_position(self.header().hash_key.load(Ordering::Relaxed), name);
        let mut free = first;
        let mut at = look.seek(&Key::of_entry(directory.0, first, b""))?;
        while let Some((key, _)) = at {
            match KeyOf::parse(key) {
                KeyOf::Entry { directory: of, position, name: other }
                    if of == directory.0 && position < first + POSITIONS_PER_HASH =>
                {
                    if other == name {
                        return Err(Errno::EXIST);
                    }
                    if position == free {
                        free += 1;
                    }
                }
                _ => break,
            }
            at = look.next()?;
        }
        if free < first + POSITIONS_PER_HASH { Ok(free) } else { Err(Errno::NOSPC) }
    }

    /// What a name leads to.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ESTALE`.
    pub fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        self.directory_record(directory)?;
        self.with_reader(|look| self.find(look, directory, name))?.map(|(found, _)| found).ok_or(Errno::NOENT)
    }

    /// Does `look` with a view of the tree.
    ///
    /// # Errors
    /// What `look` answers, and what making a view does.
    #[inline]
    pub fn with_reader<T>(&self, look: impl FnOnce(&Look<'_>) -> Result<T>) -> Result<T> {
        self.process().with_reader(self, look)
    }

    /// Tells a directory's entries after `position`.
    ///
    /// # Errors
    /// As [`Store::lookup`].
    pub fn entries(
        &self,
        directory: NodeId,
        position: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<()> {
        match self.directory_record(directory) {
            Err(Errno::NOENT) => return Ok(()),
            record => record?,
        };
        self.with_reader(|look| {
            let mut at = look.seek(&Key::of_entry(directory.0, position.saturating_add(1), b""))?;
            while let Some((key, value)) = at {
                let KeyOf::Entry { directory: of, position, name } = KeyOf::parse(key) else { break };
                if of != directory.0 {
                    break;
                }
                let found = key::parse_entry_value(value).ok_or(Errno::IO)?;
                if !visit(DirectoryEntry { name, found, position }) {
                    break;
                }
                at = look.next()?;
            }
            Ok(())
        })
    }

    /// Whether a directory has no names.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn is_empty(&self, look: &Look<'_>, directory: NodeId) -> Result<bool> {
        let at = look.seek(&Key::of_entry(directory.0, 0, b""))?;
        Ok(!at.is_some_and(
            |(key, _)| matches!(KeyOf::parse(key), KeyOf::Entry { directory: of, .. } if of == directory.0),
        ))
    }

    /// A directory's parent and own name; the name goes to `name`.
    ///
    /// # Errors
    /// `ENOENT` for a directory that was removed.
    pub fn whereabouts(&self, directory: NodeId, name: &mut [u8]) -> Result<(NodeId, usize)> {
        if self.live_record(directory)?.1 != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        self.with_reader(|look| {
            let value = look.get(&Key::of_directory(directory.0))?.ok_or(Errno::NOENT)?;
            let (parent, own) = value.split_first_chunk::<8>().ok_or(Errno::IO)?;
            let target = name.get_mut(..own.len()).ok_or(Errno::RANGE)?;
            target.copy_from_slice(own);
            Ok((NodeId(u64::from_le_bytes(*parent)), own.len()))
        })
    }

    /// Copies a symlink's target.
    ///
    /// # Errors
    /// `EINVAL` for another kind of node.
    pub fn read_link(&self, node: NodeId, buffer: &mut [u8]) -> Result<usize> {
        let (record, kind) = self.live_record(node)?;
        if kind != Kind::Symlink {
            return Err(Errno::INVAL);
        }
        let count = self.with_reader(|look| {
            let target = look.get(&Key::of_symlink(node.0))?.ok_or(Errno::STALE)?;
            let count = target.len().min(buffer.len());
            buffer[..count].copy_from_slice(&target[..count]);
            Ok(count)
        })?;
        if !self.is_frozen() && record.access_is_stale() {
            record.accessed.store(kernel::now(), Ordering::Relaxed);
        }
        Ok(count)
    }

    /// Takes the names lock, putting right what a dead owner left.
    ///
    /// # Errors
    /// When this process's part cannot be made, or the repair fails.
    pub fn lock_names(&self) -> Result<NamesGuard<'_>> {
        let quiet = Quiet::enter();
        self.process().ready(self)?;
        let lock = &self.header().names_lock.lock;
        let acquired = lock.acquire(self.process().owner(), &|owner| self.process().is_dead(self, owner));
        let guard = NamesGuard { store: self, _quiet: quiet };
        if acquired == Acquired::FromTheDead {
            self.recover_names()?;
        }
        Ok(guard)
    }

    /// Finishes or takes back what a dead owner of the names lock began. The lock is held, or nobody else lives.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn recover_names(&self) -> Result<()> {
        let tree = self.process().tree()?;
        let journal = &self.header().names_lock.journal;
        // LMDB puts its own lock right when it is next taken: before its number is asked for.
        drop(tree.write()?);
        let transaction = journal.transaction.load(Ordering::Acquire);
        if transaction != 0 && tree.committed().0 >= transaction {
            self.finish()?;
        } else {
            self.take_back_node(journal.taken.load(Ordering::Acquire));
            journal.clear();
        }
        let freed = journal.freed.load(Ordering::Acquire);
        if freed != 0 {
            self.free_node(freed);
        }
        Ok(())
    }

    /// Does what the journal lists, after its transaction.
    fn finish(&self) -> Result<()> {
        let journal = &self.header().names_lock.journal;
        journal.apply(|node| self.record(node));
        let left = journal.left.load(Ordering::Relaxed);
        let released = if left == 0 { Ok(()) } else { self.release(left) };
        journal.clear();
        released
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
        if target > super::tree::MAP_BYTES as u64 {
            return Err(Errno::NOSPC);
        }
        kernel::allocate(kernel::borrow(tree.data_descriptor()), has, target - has)?;
        allocated.store(target, Ordering::Relaxed);
        Ok(())
    }

    /// Does `change` in one transaction, then the stores that the journal lists. The names lock is held. With an error nothing
    /// was done, and a node that was taken for it is given back. A change that frees space may use the last pages.
    ///
    /// # Errors
    /// What `change` answers; `ENOSPC`.
    pub fn commit(&self, frees: bool, change: impl FnOnce(&mut Writing) -> Result<()>) -> Result<()> {
        let journal = &self.header().names_lock.journal;
        let begun = self.begin(frees).and_then(|mut writing| {
            change(&mut writing)?;
            journal.arm(writing.number());
            writing.commit()
        });
        match begun {
            Ok(()) => self.finish(),
            Err(errno) => {
                self.abandon();
                Err(errno)
            }
        }
    }

    fn begin(&self, frees: bool) -> Result<Writing> {
        // Twice the pages for what fills the store: the second half is for removing from a full one.
        match self.reserve_pages(2 * PAGES_PER_CHANGE) {
            Err(Errno::NOSPC) if frees => self.reserve_pages(PAGES_PER_CHANGE / 2)?,
            reserved => reserved?,
        }
        self.process().tree()?.write()
    }

    /// Gives back what was taken for a change that does not come. The names lock is held.
    pub fn abandon(&self) {
        let journal = &self.header().names_lock.journal;
        self.take_back_node(journal.taken.load(Ordering::Relaxed));
        journal.clear();
    }
}

/// The names lock, held.
pub struct NamesGuard<'a> {
    store: &'a Store,
    // Dropped after the lock is given back.
    _quiet: Quiet,
}

impl Drop for NamesGuard<'_> {
    fn drop(&mut self) {
        self.store.header().names_lock.lock.release();
    }
}
