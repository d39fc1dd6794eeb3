//! Names: looked up without a lock, changed under the store's names lock.

use super::key::{self, Key, KeyOf, POSITIONS_PER_HASH};
use super::recent::{Identity, Recalled};
use super::record::Record;
use super::shared_lock::Acquired;
use super::store::Store;
use super::tree::Look;
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result, kernel};
use crate::store::{Found, Kind, NodeId};
use std::sync::atomic::Ordering;

/// One in so many names that the tree had to be asked for is remembered: remembering costs as much as asking.
const MISSES_PER_REMEMBERED: u32 = 4;

/// A name's place in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is there, at this position.
    Taken(Found, u64),
    /// It is not, and would go to this position.
    Free(u64),
}

impl Place {
    /// The entry, if there is one.
    pub fn taken(self) -> Option<(Found, u64)> {
        match self {
            Self::Taken(found, position) => Some((found, position)),
            Self::Free(_) => None,
        }
    }
}

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

    /// Which name.
    #[inline]
    pub fn identity(&self, directory: NodeId, name: &[u8]) -> Identity {
        Identity::of(self.header().hash_key.load(Ordering::Relaxed), directory, name)
    }

    /// What a name leads to.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ESTALE`.
    pub fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        self.directory_record(directory)?;
        let identity = self.identity(directory, name);
        loop {
            match self.recent().recall(identity) {
                Recalled::Found(found, _) => return Ok(found),
                Recalled::Absent(_) => return Err(Errno::NOENT),
                Recalled::Unknown(version) => {
                    let place = self.with_reader(|look| seek(look, directory, name, identity))?;
                    self.process().hint().put(identity, version, place);
                    self.remember(identity, version, place);
                    return place.taken().map(|(found, _)| found).ok_or(Errno::NOENT);
                }
                // Its author is at it still, or dead: the lock tells.
                Recalled::Busy if self.is_frozen() => return Err(Errno::IO),
                Recalled::Busy => {
                    let _names = self.lock_names()?;
                    // Whoever marks a bucket holds the lock until the mark is gone: this one is nobody's.
                    if self.recent().is_in_change(identity) {
                        self.recent().rebuild(self.header().hash_key.load(Ordering::Relaxed));
                    }
                }
            }
        }
    }

    /// Remembers what the tree told, unless the bucket has changed since, or it costs a wait.
    fn remember(&self, identity: Identity, version: u32, place: Place) {
        let Place::Taken(found, position) = place else { return };
        if self.is_frozen() || !self.process().counts_to(MISSES_PER_REMEMBERED) {
            return;
        }
        let _quiet = Quiet::enter();
        let lock = &self.header().names_lock.lock;
        if lock.try_acquire(self.process().owner()) {
            let recent = self.recent();
            if recent.version(identity) == version {
                recent.begin(identity);
                recent.set(identity, Some(found), position, false);
                recent.end(identity);
            }
            lock.release();
        }
    }

    /// A name's place. The names lock is held.
    ///
    /// # Errors
    /// `EIO` for a damaged tree; `ENOSPC` where 128 names of one hash are there already.
    pub fn place(&self, directory: NodeId, name: &[u8], identity: Identity) -> Result<Place> {
        match self.recent().recall(identity) {
            Recalled::Found(found, position) => Ok(Place::Taken(found, position)),
            Recalled::Absent(position) => Ok(Place::Free(position)),
            Recalled::Unknown(version) => match self.process().hint().get(identity, version) {
                Some(position) => Ok(Place::Free(position)),
                None => self.with_reader(|look| seek(look, directory, name, identity)),
            },
            Recalled::Busy => Err(Errno::IO),
        }
    }

    /// Does `look` with a view of the tree.
    ///
    /// # Errors
    /// What `look` answers, and what making a view does.
    #[inline]
    pub fn with_reader<T>(&self, look: impl FnOnce(&Look<'_>) -> Result<T>) -> Result<T> {
        self.process().with_reader(self, look)
    }

    /// A directory's parent and own name; the name goes to `name`.
    ///
    /// # Errors
    /// `ENOENT` for a directory that was removed.
    pub fn whereabouts(&self, directory: NodeId, name: &mut [u8]) -> Result<(NodeId, usize)> {
        // One that was removed and is still held has its parent still: `..` leads on from it.
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
}

/// A name's place in the tree.
fn seek(look: &Look<'_>, directory: NodeId, name: &[u8], identity: Identity) -> Result<Place> {
    let first = identity.first_position;
    let mut free = first;
    let mut at = look.seek(&Key::of_entry(directory.0, first, b""))?;
    while let Some((key, value)) = at {
        match KeyOf::parse(key) {
            KeyOf::Entry { directory: of, position, name: other }
                if of == directory.0 && position < first + POSITIONS_PER_HASH =>
            {
                if other == name {
                    let found = key::parse_entry_value(value).ok_or(Errno::IO)?;
                    return Ok(Place::Taken(found, position));
                }
                if position == free {
                    free += 1;
                }
            }
            _ => break,
        }
        at = look.next()?;
    }
    if free < first + POSITIONS_PER_HASH { Ok(Place::Free(free)) } else { Err(Errno::NOSPC) }
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
