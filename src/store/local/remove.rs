//! Names that go.

use super::commit::Outcome;
use super::journal::Field;
use super::key::Key;
use super::log::entry::Logged;
use super::record::{ORPHAN, Record};
use super::store::Store;
use crate::ground::{Errno, Result, kernel};
use crate::store::{Found, Kind, NodeId};
use std::sync::atomic::Ordering;

impl Store {
    /// Removes the name of a file or symlink.
    ///
    /// # Errors
    /// `ENOENT`, `EISDIR`.
    pub fn unlink(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        self.remove(directory, name, |found, _| match found.kind {
            Kind::Directory => Err(Errno::ISDIR),
            Kind::File | Kind::Symlink => Ok(()),
        })
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ENOTEMPTY`.
    pub fn remove_directory(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        self.remove(directory, name, |found, is_empty| match found.kind {
            Kind::File | Kind::Symlink => Err(Errno::NOTDIR),
            Kind::Directory if is_empty => Ok(()),
            Kind::Directory => Err(Errno::NOTEMPTY),
        })
    }

    fn remove(&self, directory: NodeId, name: &[u8], allow: impl FnOnce(Found, bool) -> Result<()>) -> Result<()> {
        let _names = self.lock_names()?;
        let parent = self.directory_record(directory)?;
        let identity = self.identity(directory, name);
        let (found, position) = self.place(directory, name, identity)?.taken().ok_or(Errno::NOENT)?;
        let record = self.record(found.node.0).ok_or(Errno::IO)?;
        allow(found, record.entries.load(Ordering::Relaxed) == 0)?;
        self.make_room(identity, true)?;
        let journal = &self.header().names_lock.journal;
        let now = kernel::now();
        let is_directory = found.kind == Kind::Directory;
        let count = |value: u32, less: u32| u64::from(value.saturating_sub(less));
        journal.list(directory.0, Field::Entries, count(parent.entries.load(Ordering::Relaxed), 1));
        journal.list(directory.0, Field::Modified, now.cast_unsigned());
        if is_directory {
            journal.list(directory.0, Field::Links, count(parent.links.load(Ordering::Relaxed), 1));
        }
        let outcome = Outcome { directory, name, identity, position, found: None };
        if found.kind == Kind::File {
            self.list_loss(found, record, now, false);
            return self.defer(outcome, Logged::default());
        }
        let becomes_orphan = self.list_loss(found, record, now, true);
        self.commit(true, &[outcome], Logged::default(), |writing| {
            writing.delete(&Key::of_entry(directory.0, position, name))?;
            forget_node(writing, found, record, becomes_orphan)
        })
    }

    /// Lists what losing a name means for the node itself. True if it is to be listed as an orphan in the same
    /// transaction, where there is one: its last name goes while somebody has it open.
    pub fn list_loss(&self, found: Found, record: &Record, now: i64, in_transaction: bool) -> bool {
        let journal = &self.header().names_lock.journal;
        let node = found.node.0;
        let links = match found.kind {
            Kind::Directory => 0,
            Kind::File | Kind::Symlink => record.links.load(Ordering::Relaxed).saturating_sub(1),
        };
        journal.list(node, Field::Links, u64::from(links));
        journal.list(node, Field::Changed, now.cast_unsigned());
        if links != 0 {
            return false;
        }
        journal.left.store(node, Ordering::Relaxed);
        let becomes_orphan = in_transaction && self.open_count(record) != 0;
        if becomes_orphan {
            journal.list(node, Field::Flags, u64::from(ORPHAN));
            self.header().orphans.fetch_add(1, Ordering::Relaxed);
        }
        becomes_orphan
    }
}

/// Takes from the tree what it has of a node that loses its name.
pub fn forget_node(
    writing: &mut super::tree::Writing,
    found: Found,
    record: &Record,
    becomes_orphan: bool,
) -> Result<()> {
    let node = found.node.0;
    match found.kind {
        // `..` leads on from a removed directory for as long as somebody is in it.
        Kind::Directory if becomes_orphan => {}
        Kind::Directory => writing.delete(&Key::of_directory(node))?,
        Kind::File => {}
        Kind::Symlink if record.links.load(Ordering::Relaxed) > 1 => {}
        // The target of a symlink that is open still can be asked for; it goes with its number.
        Kind::Symlink if becomes_orphan => {}
        Kind::Symlink => writing.delete(&Key::of_symlink(node))?,
    }
    if becomes_orphan {
        let generation = record.generation.load(Ordering::Relaxed);
        writing.put(&Key::of_orphan(node), &generation.to_le_bytes())?;
    }
    Ok(())
}
