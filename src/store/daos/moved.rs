//! Nodes that another process of this node renames while they are open here, or what is below them.
//!
//! libdfs reaches a node's attributes by its parent and its name, and tells nobody of a rename. So whoever renames what
//! another process of this user on this node has open ([`super::runtime`]), or a directory while another has anything
//! open, leaves a note of where it went: `moved/OBJECT.path`, a symlink with the new path in the container. Who then does
//! not find the node under its name, nor in the hidden directory, looks there. That he has to look, a call that sends no
//! message learns from the board ([`Store::settle_place`]). A note is only ever a hint: what it leads to is compared by
//! its object, so one that is out of date does no harm.
//!
//! The last who has a node open removes the note that it has used, and who removes a directory the directory's; the rest is
//! removed when the container is next connected on this node while nobody has anything open. A rename on another node
//! leaves no note: there the node has no attributes any more (`ESTALE`).

use super::client::handle::Handle;
use super::client::names::Name;
use super::hidden;
use super::nodes::Node;
use super::object::{ObjectId, ROOT};
use super::patience;
use super::stand_in::{PATH, read_path, write_path};
use super::store::{Known, Store};
use crate::ground::{Errno, Result};
use crate::store::{Kind, NodeId};
use std::sync::Arc;

/// The folder of the notes, in the runtime directory.
pub const FOLDER: &str = "moved";

/// What the note about a directory says that was removed; paths begin with a slash.
const REMOVED: &[u8] = b"removed";

/// Past so many notes a directory that nobody has open gets none: each rename of a directory looks through them all, at
/// some two microseconds each.
const NOTES_COUNT_MAX: usize = 512;

/// How often a node is looked for that goes on being moved.
const ATTEMPTS_COUNT_MAX: u32 = 8;

/// Where the name of a node may be by now.
enum Place {
    /// Under its name.
    Named(Arc<Handle>),
    /// In the hidden directory.
    Hidden(Arc<Handle>),
}

impl Store {
    /// Opens a node's handle again under the name that it is known by; or, of one that this process has open, where
    /// another process of this node has moved it: to the hidden directory, or to where a note says.
    ///
    /// # Errors
    /// `ENOENT` if it is nowhere.
    pub fn reopen(&self, id: NodeId) -> Result<Known> {
        for _ in 0..ATTEMPTS_COUNT_MAX {
            let asked = patience::now();
            if let Some(place) = self.find(id)? {
                return self.note_reopened(id, place, asked);
            }
            match self.find_moved(id) {
                // Hidden, or moved again, since the note was read; or it is out of date, and stays so.
                Err(Errno::AGAIN) => {}
                found => return found,
            }
        }
        Err(Errno::NOENT)
    }

    /// Looks for a node under its name, and in the hidden directory if it may be there.
    fn find(&self, id: NodeId) -> Result<Option<Place>> {
        let (parent, name, object, is_hidden, may_be_moved) = {
            let mut nodes = self.nodes.lock();
            let node = nodes.get(id).ok_or(Errno::STALE)?;
            (node.parent, node.name.clone(), node.object, node.is_hidden, may_be_moved(node))
        };
        if !is_hidden {
            match self.open_child(parent, &name, object) {
                Err(Errno::NOENT | Errno::STALE) => {}
                handle => return Ok(Some(Place::Named(handle?))),
            }
        }
        if !is_hidden && !may_be_moved {
            return Ok(None);
        }
        if let Some(parent) = self.with(parent, |node| node.object) {
            // Whoever is in the middle of moving it tells where to before he is done.
            self.board.wait_for_name(parent, &name);
        }
        let Some(hidden) = self.hidden_directory()? else { return Ok(None) };
        match self.open_in(&hidden, hidden::name_of(object).as_bytes(), object) {
            Err(Errno::NOENT | Errno::STALE) => Ok(None),
            handle => Ok(Some(Place::Hidden(handle?))),
        }
    }

    fn note_reopened(&self, id: NodeId, place: Place, asked: i64) -> Result<Known> {
        let (handle, is_hidden) = match place {
            Place::Named(handle) => (handle, false),
            Place::Hidden(handle) => (handle, true),
        };
        let mut nodes = self.nodes.lock();
        let node = nodes.get(id).ok_or(Errno::STALE)?;
        let before = std::mem::replace(&mut node.handle, handle.clone());
        node.is_handle_renamed = false;
        node.is_confirmed = !is_hidden;
        node.is_removed |= is_hidden;
        node.is_hidden |= is_hidden;
        let (object, kind) = (node.object, node.kind);
        if !is_hidden {
            nodes.believe(id, asked);
        }
        drop(nodes);
        drop(before);
        Ok(Known { id, object, kind, handle })
    }

    /// Looks for a node that this process has open where a note says that it went.
    ///
    /// # Errors
    /// `ENOENT` without a note; `EAGAIN` where it has led elsewhere.
    fn find_moved(&self, id: NodeId) -> Result<Known> {
        let (object, may_be_moved) = self.with(id, |node| (node.object, may_be_moved(node))).ok_or(Errno::STALE)?;
        let path = match self.note_file(object) {
            Some(file) if may_be_moved => read_path(&file).map_err(|_| Errno::NOENT)?,
            _ => return Err(Errno::NOENT),
        };
        if path == REMOVED {
            self.with(id, |node| (node.is_removed, node.has_used_note) = (true, true));
            return Err(Errno::NOENT);
        }
        let at = path.iter().rposition(|byte| *byte == b'/').ok_or(Errno::NOENT)?;
        let found = self.walk(&path[..at]).and_then(|parent| self.ask(parent, &path[at + 1..], false));
        match found {
            Ok(found) if found.node == id => {}
            Ok(_) | Err(Errno::NOENT | Errno::STALE | Errno::NOTDIR) => return Err(Errno::AGAIN),
            Err(error) => return Err(error),
        }
        self.with(id, |node| node.has_used_note = true);
        self.known(id)
    }

    fn open_child(&self, parent: NodeId, name: &[u8], object: ObjectId) -> Result<Arc<Handle>> {
        let parent = self.known(parent).or_else(|_| {
            self.find_told(parent);
            self.known(parent)
        })?;
        self.open_in(&parent.handle, name, object)
    }

    fn open_in(&self, directory: &Handle, name: &[u8], object: ObjectId) -> Result<Arc<Handle>> {
        let name = Name::new(name)?;
        let handle = Arc::new(self.retry(|| self.mounted.look_up(directory, &name))?);
        if handle.object()? == object { Ok(handle) } else { Err(Errno::NOENT) }
    }

    /// This process has given nodes other names, which the table knows: leaves notes for others that have them open. With
    /// each comes a directory's path of until then.
    pub fn note_moved(&self, moved: &[(&Known, Option<Vec<u8>>)]) {
        // What goes wrong costs others the attributes of what they have open.
        let mut paths = Vec::new();
        let mut notes = Vec::new();
        for (known, before) in moved {
            self.board.note_moved(known.object);
            let is_open_elsewhere = self.runtime.is_open_elsewhere(known.object);
            if !is_open_elsewhere && before.is_none() {
                continue;
            }
            let Ok(after) = self.path_of(known.id) else { continue };
            notes.push((known.object, is_open_elsewhere, after.clone()));
            paths.extend(before.clone().map(|before| (before, after)));
        }
        let notes_count = if paths.is_empty() { 0 } else { self.move_paths(&paths) };
        let are_told_all =
            notes_count < NOTES_COUNT_MAX && !paths.is_empty() && self.runtime.is_anything_open_elsewhere();
        for (object, is_open_elsewhere, after) in notes {
            if (is_open_elsewhere || are_told_all)
                && let Some(file) = self.note_file(object)
            {
                let _ = write_path(&file, &after);
            }
        }
    }

    /// Whether another process of this node has renamed a node since it was last found, or removed it.
    pub fn is_place_doubtful(&self, id: NodeId) -> bool {
        let told = self.with(id, |node| (node.object, node.placed, node.is_removed));
        told.is_some_and(|(object, placed, is_removed)| id != ROOT && !is_removed && self.board.moved(object) > placed)
    }

    /// Finds out where a node is that another process of this node has renamed.
    pub fn settle_place(&self, id: NodeId) {
        if self.is_place_doubtful(id) {
            // One that is not found keeps the place that it had.
            let _ = self.reopen(id);
        }
    }

    /// Whether another process of this node has removed a directory that is open here: libdfs would go on making names in
    /// its object.
    pub(super) fn is_found_removed(&self, id: NodeId) -> bool {
        if !self.is_place_doubtful(id) {
            return false;
        }
        self.settle_place(id);
        self.with(id, |node| node.is_removed) == Some(true)
    }

    /// This process has removed a directory: a note says so to others that have it open.
    pub fn note_directory_removed(&self, object: ObjectId) {
        let Some(file) = self.note_file(object) else { return };
        let _ = match self.runtime.is_open_elsewhere(object) {
            true => write_path(&file, REMOVED),
            false => rustix::fs::unlink(file.as_str()),
        };
        self.board.note_moved(object);
    }

    /// A directory's path, for `note_moved` after the move.
    pub fn path_before(&self, moved: &Known) -> Option<Vec<u8>> {
        if moved.kind == Kind::Directory { self.path_of(moved.id).ok() } else { None }
    }

    /// The last who had a node open, and found it by a note, has closed it.
    pub fn remove_note(&self, object: ObjectId) {
        if let Some(file) = self.note_file(object)
            && !self.runtime.is_open_elsewhere(object)
        {
            let _ = rustix::fs::unlink(file.as_str());
        }
    }

    /// Removes notes that nobody needs any more.
    pub fn remove_old_notes(&self) {
        if !self.runtime.is_anything_open_elsewhere() {
            self.runtime.visit(FOLDER, |_, file| {
                let _ = rustix::fs::unlink(file);
            });
        }
    }

    fn note_file(&self, object: ObjectId) -> Option<String> {
        self.runtime.directory().map(|directory| format!("{directory}/{FOLDER}/{}{PATH}", object.to_name()))
    }
}

/// Whether it may be of use to look for a node at other places than under its name.
fn may_be_moved(node: &Node) -> bool {
    node.opens != 0 || node.kind == Kind::Directory
}
