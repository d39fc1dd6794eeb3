//! New nodes.

use super::commit::Outcome;
use super::image::Image;
use super::journal::Field;
use super::key::{self, Key};
use super::log::entry::Logged;
use super::names::Place;
use super::record::{Extent, Record, SLOT_BLANK};
use super::store::{ROOT, Store};
use crate::ground::{Errno, Result, kernel};
use crate::store::{Found, Kind, NewNode, NodeId};
use std::sync::atomic::Ordering;

impl Store {
    /// Makes a node under a new name.
    ///
    /// # Errors
    /// `EEXIST`, `ENOSPC`, `ENOENT` where the directory was removed.
    pub fn create(&self, directory: NodeId, name: &[u8], new: &NewNode<'_>, chunk_bytes: u64) -> Result<Found> {
        let _names = self.lock_names()?;
        self.create_locked(directory, name, new, chunk_bytes)
    }

    /// As [`Store::create`], the names lock being held.
    ///
    /// # Errors
    /// As there.
    pub fn create_locked(&self, directory: NodeId, name: &[u8], new: &NewNode<'_>, chunk_bytes: u64) -> Result<Found> {
        let parent = self.directory_record(directory)?;
        let identity = self.identity(directory, name);
        self.make_room(identity, false)?;
        let Place::Free(position) = self.place(directory, name, identity)? else { return Err(Errno::EXIST) };
        let (node, record) = self.take_node()?;
        let now = kernel::now();
        if new.kind != Kind::File
            && let Err(errno) = self.give_back_slot(node, record)
        {
            self.abandon();
            return Err(errno);
        }
        fill(record, new, chunk_bytes, now);
        record.created_at.store(self.header().log.next_position(), Ordering::Relaxed);
        let found = Found { node: NodeId(node), generation: record.generation.load(Ordering::Relaxed), kind: new.kind };
        let journal = &self.header().names_lock.journal;
        let is_directory = new.kind == Kind::Directory;
        journal.list(directory.0, Field::Entries, u64::from(parent.entries.load(Ordering::Relaxed)) + 1);
        if is_directory {
            journal.list(directory.0, Field::Links, u64::from(parent.links.load(Ordering::Relaxed)) + 1);
        }
        journal.list(directory.0, Field::Modified, now.cast_unsigned());
        let outcome = Outcome { directory, name, identity, position, found: Some(found) };
        let image = Some((node, Image::of(record).without_slot()));
        let logged = Logged { image, target: new.target, ..Logged::default() };
        if new.kind == Kind::File {
            self.defer(outcome, logged)?;
            return Ok(found);
        }
        self.commit(false, &[outcome], logged, |writing| {
            writing.put(&Key::of_entry(directory.0, position, name), &key::entry_value(found))?;
            match new.kind {
                Kind::File => Ok(()),
                Kind::Directory => writing.put(&Key::of_directory(node), &whereabouts(directory, name)),
                Kind::Symlink => writing.put(&Key::of_symlink(node), new.target),
            }
        })?;
        Ok(found)
    }

    /// Makes the root directory of a new store. Nobody else lives.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn make_root(&self) -> Result<()> {
        let _names = self.lock_names()?;
        let (node, record) = self.take_node()?;
        if node != ROOT {
            // A store whose root was lost later: for `sidestep fsck`.
            self.free_node(node);
            return Ok(());
        }
        let new = NewNode {
            kind: Kind::Directory,
            mode: 0o755,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            target: b"",
        };
        fill(record, &new, 0, kernel::now());
        self.commit(false, &[], Logged::default(), |writing| {
            writing.put(&Key::of_directory(ROOT), &whereabouts(NodeId(ROOT), b""))
        })
    }
}

/// A directory's value in the tree.
pub fn whereabouts(parent: NodeId, name: &[u8]) -> Vec<u8> {
    let mut value = parent.0.to_le_bytes().to_vec();
    value.extend_from_slice(name);
    value
}

/// Fills in a record that nobody refers to yet. The generation goes on from the node before:
/// what others remember of that one must not fit this one. So does the count of opens: it is 0 but for those who are just
/// finding out that the node before is gone.
fn fill(record: &Record, new: &NewNode<'_>, chunk_bytes: u64, now: i64) {
    record.uid.store(new.uid, Ordering::Relaxed);
    record.gid.store(new.gid, Ordering::Relaxed);
    record.links.store(if new.kind == Kind::Directory { 2 } else { 1 }, Ordering::Relaxed);
    let has_slot = record.slot.load(Ordering::Relaxed) != 0;
    record.flags.store(if has_slot { SLOT_BLANK } else { 0 }, Ordering::Relaxed);
    record.extent.store(Extent::new(0, new.target.len() as u64).0, Ordering::Relaxed);
    for time in [&record.accessed, &record.modified, &record.changed, &record.born] {
        time.store(now, Ordering::Relaxed);
    }
    record.sequence.store(0, Ordering::Relaxed);
    record.lock.reset();
    record.set_chunk_bytes(chunk_bytes);
    record.dirty_end.store(0, Ordering::Relaxed);
    record.dense_end.store(0, Ordering::Relaxed);
    record.entries.store(0, Ordering::Relaxed);
    record.next_free.store(0, Ordering::Relaxed);
    record.synced.store(0, Ordering::Relaxed);
    record.set_kind(Some(new.kind), new.mode);
}
