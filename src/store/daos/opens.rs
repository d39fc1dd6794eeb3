//! Opening and closing nodes, and handing them to another process.

use super::array::DaosArray;
use super::client::handle::Handle;
use super::object::{ObjectId, ROOT};
use super::store::Store;
use crate::ground::kernel::Parked;
use crate::ground::{Errno, Result};
use crate::store::{Found, Kind, NodeId};
use std::sync::Arc;

/// A ticket's own part: object, parent, whether the name was removed, and the lengths of name and parent's path.
const HEADER_BYTES: usize = 28;

/// A parent's path that is longer stays out of a ticket: libdfs's own part of it takes some 360 bytes.
const PATH_BYTES_MAX: usize = 360;

impl Store {
    /// Opens a node that was found, without a message: an open sees what other clients did before it, so it is good once
    /// [`Store::confirm_open`] has answered.
    ///
    /// # Errors
    /// `ENOENT` if its name was removed.
    pub fn open_found(self: &Arc<Self>, found: Found) -> Result<DaosArray> {
        let is_removed = self.with(found.node, |node| node.is_removed).ok_or(Errno::NOENT)?;
        if found.node != ROOT && is_removed {
            return Err(Errno::NOENT);
        }
        DaosArray::open(self, found)
    }

    /// Where a node is no more what its name leads to, the name is not believed any longer: it is asked for next time.
    pub(super) fn disbelieve(&self, id: NodeId, error: Errno) {
        if matches!(error, Errno::NOENT | Errno::STALE) {
            let mut nodes = self.nodes.lock();
            if let Some((parent, name)) = nodes.get(id).map(|node| (node.parent, node.name.clone())) {
                nodes.forget_name_if(parent, &name, id);
            }
        }
    }

    /// Opens a node that this process has open, or that another handed over.
    ///
    /// # Errors
    /// `ESTALE` for one that is not known and comes without a ticket.
    pub fn adopt_found(self: &Arc<Self>, found: Found, ticket: &[u8]) -> Result<DaosArray> {
        if found.node != ROOT && !ticket.is_empty() {
            self.read_ticket(found, ticket)?;
        }
        DaosArray::open(self, found)
    }

    /// Writes what another process needs to open a node; its length.
    ///
    /// # Errors
    /// `ESTALE`, `ERANGE`.
    pub fn write_ticket(&self, id: NodeId, handle: &Handle, room: &mut [u8]) -> Result<usize> {
        let (object, parent, name, kind, is_removed) = self
            .with(id, |node| (node.object, node.parent, node.name.clone(), node.kind, node.is_removed))
            .ok_or(Errno::STALE)?;
        let path = self.path_of(parent).ok().filter(|path| path.len() <= PATH_BYTES_MAX).unwrap_or_default();
        let (name_end, path_end) = (HEADER_BYTES + name.len(), HEADER_BYTES + name.len() + path.len());
        let global = room.get_mut(path_end..).ok_or(Errno::RANGE)?;
        // libdfs writes down no symlinks: they are looked up again.
        let length = if kind == Kind::Symlink { 0 } else { self.mounted.to_global(handle, global)? };
        room[..8].copy_from_slice(&object.low.to_ne_bytes());
        room[8..16].copy_from_slice(&object.high.to_ne_bytes());
        room[16..24].copy_from_slice(&parent.0.to_ne_bytes());
        room[24] = u8::from(is_removed);
        room[25] = u8::try_from(name.len()).map_err(|_| Errno::NAMETOOLONG)?;
        room[26..HEADER_BYTES].copy_from_slice(&(path.len() as u16).to_ne_bytes());
        room[HEADER_BYTES..name_end].copy_from_slice(&name);
        room[name_end..path_end].copy_from_slice(&path);
        Ok(path_end + length)
    }

    /// Puts the node of a ticket into the table, if it is not there.
    fn read_ticket(&self, found: Found, ticket: &[u8]) -> Result<()> {
        let (header, rest) = ticket.split_at_checked(HEADER_BYTES).ok_or(Errno::INVAL)?;
        let word = |at: usize| header[at..at + 8].try_into().map(u64::from_ne_bytes).map_err(|_| Errno::INVAL);
        let object = ObjectId { low: word(0)?, high: word(8)? };
        let (parent, is_removed) = (NodeId(word(16)?), header[24] != 0);
        if self.nodes.lock().of_object(object) == Some(found.node) {
            return Ok(());
        }
        let (name, rest) = rest.split_at_checked(usize::from(header[25])).ok_or(Errno::INVAL)?;
        let path_length = usize::from(u16::from_ne_bytes([header[26], header[27]]));
        let (path, global) = rest.split_at_checked(path_length).ok_or(Errno::INVAL)?;
        if global.is_empty() {
            if self.known(parent).is_err() {
                self.walk(path)?;
            }
            return self.ask(parent, name, false).map(drop);
        }
        let handle = Arc::new(self.mounted.open_global(global)?);
        let mode = handle.mode()? & 0o7777;
        let mut nodes = self.nodes.lock();
        let id = nodes.insert((parent, name), (object, found.kind), handle, mode, 0);
        if let Some(node) = nodes.get(id) {
            node.is_removed = is_removed;
            node.is_hidden = is_removed && found.kind == Kind::File;
            node.is_handle_renamed = is_removed;
            node.parent_path = (!path.is_empty()).then(|| path.into());
        }
        if id == found.node { Ok(()) } else { Err(Errno::STALE) }
    }

    /// Looks up a directory that only a node knows of which was handed over, if its path still leads there.
    pub fn find_told(&self, directory: NodeId) {
        let told = self.nodes.lock().told_path(directory);
        if let Some(path) = told {
            // What it leads to is in the table then, the directory itself if all is well.
            let _ = self.walk(&path);
        }
    }

    /// A descriptor that keeps nodes alive, see [`super::runtime`].
    ///
    /// # Errors
    /// `ENOLCK`, `EMFILE`.
    pub fn hold(&self, found: &[Found]) -> Result<Parked> {
        let mut nodes: Vec<NodeId> = found.iter().map(|found| found.node).collect();
        nodes.dedup();
        let known = nodes.into_iter().filter_map(|node| self.known(node).ok());
        self.runtime.hold(&known.map(|known| known.object).collect::<Vec<_>>())
    }

    /// An open node was dropped.
    pub fn close(&self, id: NodeId, object: ObjectId) {
        let told = self.with(id, |node| {
            node.opens = node.opens.saturating_sub(1);
            self.told.note_closed(node);
            let has_used_note = node.opens == 0 && std::mem::take(&mut node.has_used_note);
            (node.opens == 0, node.is_removed, node.is_hidden, has_used_note)
        });
        let Some((true, is_removed, is_hidden, has_used_note)) = told else { return };
        if id != ROOT {
            self.runtime.note_closed(object, &|| self.nodes.lock().open_objects());
        }
        if has_used_note {
            self.remove_note(object);
        }
        if is_hidden {
            self.remove_hidden(object);
        }
        if is_removed {
            let handle = self.nodes.lock().forget(id);
            drop(handle);
        }
    }
}
