//! New names, removed names, moved names: with POSIX's rules where libdfs has others.

use super::client::names::Name;
use super::hidden;
use super::nodes::Rights;
use super::object::ROOT;
use super::patience;
use super::store::{Known, Store, Which};
use crate::ground::{Errno, Result};
use crate::store::{Changes, Found, Kind, NewNode, NodeId, RenameMode};

/// `XATTR_LIST_MAX` and `XATTR_SIZE_MAX`.
const EXTENDED_NAMES_BYTES_MAX: usize = 65536;
const EXTENDED_VALUE_BYTES_MAX: usize = 65536;

/// How often a change of names is begun anew that others change too.
const ATTEMPTS_COUNT_MAX: u32 = 16;

/// An extended attribute.
struct Extended {
    name: Name,
    value: Vec<u8>,
}

/// What is kept of a node over a move.
struct Kept {
    times: Changes,
    extended: Vec<Extended>,
}

impl Store {
    /// Makes a node: one message.
    ///
    /// # Errors
    /// `EEXIST`, `ENOSPC`, `EROFS`, `ENOENT` where the directory was removed.
    pub fn create(&self, directory: NodeId, name: &[u8], new: &NewNode<'_>) -> Result<Found> {
        self.check_may_change()?;
        if hidden::is_hidden(directory, name) {
            return Err(Errno::PERM);
        }
        let (parent, c_name) = (self.directory(directory)?, Name::new(name)?);
        let asked = patience::now();
        let mut attempts = 0u32;
        let handle = match self.retry(|| {
            attempts += 1;
            self.mounted.create(&parent.handle, &c_name, new)
        }) {
            // An attempt before, whose answer was lost, may have made it: what is there decides.
            Err(Errno::EXIST) if attempts > 1 => self.mounted.look_up(&parent.handle, &c_name)?,
            handle => handle?,
        };
        let found = self.note((directory, name), handle, None, asked)?;
        self.board.note_node(parent.object);
        // libdfs makes everything the effective user's.
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        if (new.uid, new.gid) != (user, group) {
            let known = self.known(found.node)?;
            let changes = Changes { uid: Some(new.uid), gid: Some(new.gid), ..Changes::default() };
            self.retry(|| self.mounted.change(&known.handle, new.kind, &changes))?;
        }
        let mode = if new.kind == Kind::Symlink { 0o777 } else { new.mode };
        self.with(found.node, |node| {
            node.rights = Rights { mode, owner: Some((new.uid, new.gid)), told: patience::now() };
        });
        self.with(directory, |node| node.forget_times());
        Ok(found)
    }

    /// What a name leads to, from memory or asked: enough for a rule about its kind.
    fn entry(&self, directory: NodeId, name: &[u8]) -> Result<Known> {
        let found = self.look_up(directory, name, false)?;
        self.known(found.node)
    }

    /// Whether anybody on this node has it open.
    fn is_in_use(&self, which: Which) -> bool {
        let is_ours = which.id.and_then(|id| self.with(id, |node| node.opens != 0)).unwrap_or(false);
        is_ours || self.runtime.is_open_elsewhere(which.object)
    }

    /// Removes the name of a file or symlink: three messages, and one before where it is not known what it is.
    ///
    /// # Errors
    /// `ENOENT`, `EISDIR`, `EROFS`.
    pub fn unlink(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        self.check_may_change()?;
        self.settled(&[(directory, name)], || self.try_unlink(directory, name))
    }

    fn try_unlink(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        let parent = self.directory(directory)?;
        let c_name = Name::new(name)?;
        if hidden::is_hidden(directory, name) {
            return Err(Errno::NOENT);
        }
        let _turn = self.take_turns(&[(parent.object, name)])?;
        let which = self.entry(directory, name)?.which();
        if which.kind == Kind::Directory {
            return Err(Errno::ISDIR);
        }
        let change = self.board.change_name(parent.object, name);
        if which.kind == Kind::File && self.is_in_use(which) {
            self.hide(&parent, &c_name, which)?;
        } else {
            self.remove(&parent, &c_name)?;
        }
        drop(change);
        self.note_removed((&parent, name), which);
        Ok(())
    }

    /// Removes a name that was just found, with its object.
    fn remove(&self, parent: &Known, name: &Name) -> Result<()> {
        let mut attempts = 0u32;
        self.retry(|| {
            attempts += 1;
            match self.mounted.remove(&parent.handle, name) {
                // An attempt before, whose answer was lost, has done it.
                Err(Errno::NOENT) if attempts > 1 => Ok(()),
                outcome => outcome,
            }
        })
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ENOTEMPTY`, `EROFS`.
    pub fn remove_directory(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        self.check_may_change()?;
        self.settled(&[(directory, name)], || self.try_remove_directory(directory, name))
    }

    fn try_remove_directory(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        let parent = self.directory(directory)?;
        let c_name = Name::new(name)?;
        let _turn = self.take_turns(&[(parent.object, name)])?;
        let entry = self.entry(directory, name)?;
        if entry.kind != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        let change = self.board.change_name(parent.object, name);
        self.remove(&parent, &c_name)?;
        drop(change);
        self.remove_stand_in(entry.object);
        self.note_removed((&parent, name), entry.which());
        Ok(())
    }

    /// This process removed a name.
    fn note_removed(&self, (parent, name): (&Known, &[u8]), removed: Which) {
        let directory = parent.id;
        self.board.note_node(parent.object);
        self.board.note_node(removed.object);
        if removed.kind == Kind::Directory {
            self.note_directory_removed(removed.object);
        }
        let handle = {
            let mut nodes = self.nodes.lock();
            nodes.forget_name(directory, name);
            if let Some(node) = removed.id.and_then(|id| nodes.get(id)) {
                node.is_removed = true;
                node.is_confirmed = false;
                if let Some(attributes) = &mut node.attributes {
                    attributes.link_count = 0;
                }
            }
            if let Some(node) = nodes.get(directory) {
                node.forget_times();
            }
            removed.id.and_then(|id| nodes.forget(id))
        };
        drop(handle);
    }

    /// Gives a node another name. Not in one step for other clients, who may for a moment see neither name, or both,
    /// unless the container is a balanced one: so libdfs does it.
    ///
    /// # Errors
    /// As rename(2).
    pub fn rename(&self, from: (NodeId, &[u8]), to: (NodeId, &[u8]), mode: RenameMode) -> Result<()> {
        self.check_may_change()?;
        if hidden::is_hidden(from.0, from.1) || hidden::is_hidden(to.0, to.1) {
            return Err(Errno::PERM);
        }
        self.settled(&[from, to], || self.try_rename(from, to, mode))
    }

    /// Does what was begun with what names lead to, again if that is something else by now.
    fn settled(&self, names: &[(NodeId, &[u8])], mut call: impl FnMut() -> Result<()>) -> Result<()> {
        for _ in 0..ATTEMPTS_COUNT_MAX {
            match call() {
                Err(Errno::STALE) => {
                    let mut nodes = self.nodes.lock();
                    for (directory, name) in names {
                        nodes.forget_name(*directory, name);
                    }
                }
                outcome => return outcome,
            }
        }
        Err(Errno::NOENT)
    }

    fn try_rename(&self, from: (NodeId, &[u8]), to: (NodeId, &[u8]), mode: RenameMode) -> Result<()> {
        let (from_parent, to_parent) = (self.directory(from.0)?, self.directory(to.0)?);
        let (from_name, to_name) = (Name::new(from.1)?, Name::new(to.1)?);
        let _turns = self.take_turns(&[(from_parent.object, from.1), (to_parent.object, to.1)])?;
        let moved = self.entry(from.0, from.1)?;
        let other = match self.entry(to.0, to.1) {
            Err(Errno::NOENT) => None,
            other => Some(other?),
        };
        match (mode, &other) {
            (RenameMode::NoReplace, Some(_)) => return Err(Errno::EXIST),
            (RenameMode::Exchange, None) => return Err(Errno::NOENT),
            (_, Some(other)) if other.id == moved.id => return Ok(()),
            _ => {}
        }
        let goes_into =
            |known: &Known, directory| known.kind == Kind::Directory && self.nodes.lock().is_below(directory, known.id);
        if goes_into(&moved, to.0) {
            return Err(Errno::INVAL);
        }
        let changing = || {
            let change = |parent: &Known, name| self.board.change_name(parent.object, name);
            (change(&from_parent, from.1), change(&to_parent, to.1))
        };
        if let (RenameMode::Exchange, Some(other)) = (mode, &other) {
            if goes_into(other, from.0) {
                return Err(Errno::INVAL);
            }
            let kept = [self.keep(&moved)?, self.keep(other)?];
            let change = changing();
            self.mounted.exchange((&from_parent.handle, &from_name), (&to_parent.handle, &to_name))?;
            self.note_names_changed(&from_parent, &to_parent);
            let before = [self.path_before(&moved), self.path_before(other)];
            {
                let mut nodes = self.nodes.lock();
                nodes.rename(moved.id, to);
                nodes.rename(other.id, from);
            }
            let [before_moved, before_other] = before;
            self.note_moved(&[(&moved, before_moved), (other, before_other)]);
            drop(change);
            self.believe_now(&[moved.id, other.id]);
            self.put_back(&moved, &kept[0]);
            self.put_back(other, &kept[1]);
            return Ok(());
        }
        if let Some(other) = &other {
            if goes_into(other, from.0) {
                // The directory that would be replaced holds what is moved.
                return Err(Errno::NOTEMPTY);
            }
            match (moved.kind == Kind::Directory, other.kind == Kind::Directory) {
                (false, true) => return Err(Errno::ISDIR),
                (true, false) => return Err(Errno::NOTDIR),
                _ => {}
            }
        }
        let kept = Kept { extended: self.extended_of_symlink(&moved)?, times: self.times_of(&moved)? };
        let change = changing();
        if let Some(other) = other.as_ref().filter(|other| other.kind == Kind::File && self.is_in_use(other.which())) {
            self.hide(&to_parent, &to_name, other.which())?;
        }
        let outcome = self.mounted.rename((&from_parent.handle, &from_name), (&to_parent.handle, &to_name));
        outcome.map_err(|error| match error {
            // It says so of a directory that came to be there since it was asked for.
            Errno::INVAL => Errno::STALE,
            // And so of a file that was made after it had taken the old one away: a rename replaces that one too.
            Errno::EXIST if mode != RenameMode::NoReplace => Errno::STALE,
            error => error,
        })?;
        self.note_names_changed(&from_parent, &to_parent);
        if let Some(other) = other {
            if other.kind == Kind::Directory {
                self.remove_stand_in(other.object);
            }
            self.note_removed((&to_parent, to.1), other.which());
        }
        let before = self.path_before(&moved);
        self.nodes.lock().rename(moved.id, to);
        self.note_moved(&[(&moved, before)]);
        drop(change);
        self.believe_now(&[moved.id]);
        self.put_back(&moved, &kept);
        Ok(())
    }

    /// What was renamed in the table is where the table says.
    fn believe_now(&self, ids: &[NodeId]) {
        let mut nodes = self.nodes.lock();
        ids.iter().for_each(|id| nodes.believe(*id, patience::now()));
    }

    /// When a node was modified: libdfs forgets it in a move.
    fn times_of(&self, known: &Known) -> Result<Changes> {
        if known.kind == Kind::Symlink {
            // A symlink's entry moves as it is.
            return Ok(Changes::default());
        }
        let attributes = self.attributes(known.id)?;
        Ok(Changes { modified: Some(attributes.modified), ..Changes::default() })
    }

    /// Everything of an entry that an exchange loses: times, and extended attributes (measured with 2.8.0).
    fn keep(&self, known: &Known) -> Result<Kept> {
        Ok(Kept { times: self.times_of(known)?, extended: self.extended_of(known)? })
    }

    /// A move takes extended attributes along, but for a symlink's.
    fn extended_of_symlink(&self, known: &Known) -> Result<Vec<Extended>> {
        if known.kind == Kind::Symlink { self.extended_of(known) } else { Ok(Vec::new()) }
    }

    fn extended_of(&self, known: &Known) -> Result<Vec<Extended>> {
        let mut names = vec![0; EXTENDED_NAMES_BYTES_MAX];
        let length = self.of_entry(known.id, |mounted, handle| mounted.extended_attribute_names(handle, &mut names))?;
        let mut kept = Vec::new();
        for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let c_name = Name::new(name)?;
            let mut value = vec![0; EXTENDED_VALUE_BYTES_MAX];
            let told = self.of_entry(known.id, |mounted, node| mounted.extended_attribute(node, &c_name, &mut value));
            match told {
                Ok(length) => value.truncate(length),
                Err(Errno::NODATA) => continue,
                Err(error) => return Err(error),
            }
            kept.push(Extended { name: c_name, value });
        }
        Ok(kept)
    }

    /// Gives a moved node back what the move lost. By times: who copies by them (make, rsync) would take every renamed
    /// file for a new one.
    fn put_back(&self, known: &Known, kept: &Kept) {
        // The move itself is done: what goes wrong here costs an attribute and no more.
        for extended in &kept.extended {
            let _ = self.of_entry(known.id, |mounted, handle| {
                mounted.set_extended_attribute(handle, &extended.name, &extended.value, None)
            });
        }
        if kept.times != Changes::default() {
            let _ = self.of_entry(known.id, |mounted, handle| mounted.change(handle, known.kind, &kept.times));
        }
        self.with(known.id, |node| node.forget_times());
        self.board.note_node(known.object);
    }

    /// Names in two directories lead elsewhere.
    fn note_names_changed(&self, one: &Known, other: &Known) {
        let mut nodes = self.nodes.lock();
        for parent in [one, other] {
            self.board.note_node(parent.object);
            if let Some(node) = nodes.get(parent.id) {
                node.forget_times();
            }
        }
    }

    /// Changes attributes: three messages.
    ///
    /// # Errors
    /// `EROFS`, `ESTALE`, `EOPNOTSUPP` for the sticky bit, which libdfs does not keep.
    pub fn change(&self, id: NodeId, changes: &Changes) -> Result<()> {
        self.check_may_change()?;
        // The access time is not kept: accepted, so that `cp -p` and `touch -a` work, and forgotten.
        let changes = Changes { accessed: None, ..*changes };
        if changes == Changes::default() {
            return Ok(());
        }
        let mut known = self.known(id)?;
        let outcome = if id == ROOT {
            self.change_root(&changes)
        } else {
            if self.with(id, |node| node.is_handle_renamed) == Some(true) {
                known = self.reopen(id)?;
            }
            match self.retry(|| self.mounted.change(&known.handle, known.kind, &changes)) {
                Err(Errno::NOENT) => {
                    let known =
                        self.reopen(id).map_err(|error| if error == Errno::NOENT { Errno::STALE } else { error })?;
                    self.retry(|| self.mounted.change(&known.handle, known.kind, &changes))
                }
                outcome => outcome,
            }
        };
        self.with(id, |node| node.forget_attributes());
        self.board.note_node(known.object);
        self.board.note_rights(known.object);
        outcome
    }

    fn change_root(&self, changes: &Changes) -> Result<()> {
        if let Some(mode) = changes.mode {
            self.retry(|| self.mounted.change_root_mode(mode))?;
        }
        if changes.uid.is_some() || changes.gid.is_some() {
            self.retry(|| self.mounted.change_root_owner(changes.uid, changes.gid))?;
        }
        // libdfs has no call for the root's own times: they are those of its last change.
        Ok(())
    }
}
