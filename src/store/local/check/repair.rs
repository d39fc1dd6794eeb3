//! What a repair changes.

use super::super::create::whereabouts;
use super::super::key::{Key, entry_value};
use super::super::names::Place;
use super::super::record::Record;
use super::super::store::{ROOT, Store};
use super::super::tree::Writing;
use crate::ground::{Errno, Result};
use crate::store::{Found, Kind, NewNode, NodeId};
use std::sync::atomic::Ordering;

/// Where lost nodes go, in the root.
const LOST_AND_FOUND: &[u8] = b"lost+found";

impl Store {
    /// One transaction on the tree. The names lock is held.
    pub fn change_tree(&self, change: impl FnOnce(&mut Writing) -> Result<()>) -> Result<()> {
        self.reserve_for_repair()?;
        let mut writing = self.process().tree()?.write()?;
        change(&mut writing)?;
        writing.commit()
    }

    /// Gives a node that lost its name another one. The names lock is held.
    pub fn link_lost(&self, node: u64, kind: Kind) -> Result<()> {
        let record = self.record(node).ok_or(Errno::IO)?;
        let (directory, parent) = self.lost_and_found()?;
        let name = node.to_string().into_bytes();
        let Place::Free(position) = self.place(directory, &name, self.identity(directory, &name))? else {
            return Err(Errno::EXIST);
        };
        let found = Found { node: NodeId(node), generation: record.generation.load(Ordering::Relaxed), kind };
        self.change_tree(|writing| {
            writing.put(&Key::of_entry(directory.0, position, &name), &entry_value(found))?;
            match kind {
                Kind::Directory => writing.put(&Key::of_directory(node), &whereabouts(directory, &name)),
                Kind::File | Kind::Symlink => Ok(()),
            }
        })?;
        parent.entries.fetch_add(1, Ordering::Relaxed);
        match kind {
            Kind::Directory => {
                parent.links.fetch_add(1, Ordering::Relaxed);
            }
            Kind::File | Kind::Symlink => record.links.store(1, Ordering::Relaxed),
        }
        Ok(())
    }

    fn lost_and_found(&self) -> Result<(NodeId, &Record)> {
        let root = NodeId(ROOT);
        let found = self.place(root, LOST_AND_FOUND, self.identity(root, LOST_AND_FOUND))?.taken();
        let directory = match found {
            Some((found, _)) if found.kind == Kind::Directory => found.node,
            Some(_) => return Err(Errno::NOTDIR),
            None => {
                let new = NewNode { kind: Kind::Directory, mode: 0o700, uid: 0, gid: 0, target: b"" };
                self.create_locked(root, LOST_AND_FOUND, &new, 0)?.node
            }
        };
        Ok((directory, self.directory_record(directory)?))
    }
}
