//! Files that were removed while somebody has them open.
//!
//! libdfs removes an object with its name: who has it open reads zeros from then on. So a file that a process of this
//! user on this node has open ([`super::runtime`]) is moved instead, to a directory that is shown to nobody, and removed
//! by whoever closes it last. Files of processes that were killed are found when the container is next connected on this
//! node: nobody has their lock any more.
//!
//! What a client on another node has open, or a program that does not run under Sidestep, loses its bytes, as it does
//! with libdfs itself.

use super::client::handle::Handle;
use super::client::names::{Anchor, Name};
use super::entrance;
use super::object::{ObjectId, ROOT};
use super::store::{Known, Store, Which};
use crate::ground::{Errno, Result};
use crate::store::{Kind, NewNode, NodeId};
use std::sync::Arc;

/// The directory's name, in the root.
const DIRECTORY: &[u8] = b".sidestep-unlinked";

/// Orphans that are looked at when a container is connected; what is left is for the next time.
const ORPHANS_COUNT_MAX: usize = 256;

/// Whether this name is the hidden directory's.
pub fn is_hidden(directory: NodeId, name: &[u8]) -> bool {
    directory == ROOT && name == DIRECTORY
}

/// What an object is called there: with this node's name, since only here is it known who has it open.
pub fn name_of(object: ObjectId) -> String {
    format!("{}.{}", object.to_name(), node_name())
}

fn node_name() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.iter().filter(|byte| plain(byte)).take(200).map(|byte| char::from(*byte)).collect()
}

impl Store {
    /// The hidden directory's handle, if there is such a directory.
    ///
    /// # Errors
    /// The library's.
    pub fn hidden_directory(&self) -> Result<Option<Arc<Handle>>> {
        if let Some(handle) = self.hidden.lock().clone() {
            return Ok(Some(handle));
        }
        let (root, name) = (self.known(ROOT)?, Name::new(DIRECTORY)?);
        match self.retry(|| self.mounted.look_up(&root.handle, &name)) {
            Ok(handle) => {
                let handle = Arc::new(handle);
                *self.hidden.lock() = Some(handle.clone());
                Ok(Some(handle))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn made_hidden_directory(&self) -> Result<Arc<Handle>> {
        if let Some(handle) = self.hidden_directory()? {
            return Ok(handle);
        }
        let (root, name) = (self.known(ROOT)?, Name::new(DIRECTORY)?);
        let new = NewNode { kind: Kind::Directory, mode: 0o777, uid: 0, gid: 0, target: b"" };
        let made = match self.mounted.create(&root.handle, &name, &new) {
            // Another client was as fast.
            Err(Errno::EXIST) => self.mounted.look_up(&root.handle, &name)?,
            made => made?,
        };
        let handle = Arc::new(made);
        *self.hidden.lock() = Some(handle.clone());
        Ok(handle)
    }

    /// Moves a file out of sight, which stands under `name` in `parent`.
    ///
    /// # Errors
    /// The library's.
    pub fn hide(&self, parent: &Known, name: &Name, file: Which) -> Result<()> {
        let hidden = self.made_hidden_directory()?;
        let target = Name::new(name_of(file.object).as_bytes())?;
        self.retry(|| self.mounted.rename((&parent.handle, name), (&hidden, &target)))?;
        if let Some(id) = file.id {
            self.with(id, |node| {
                (node.is_removed, node.is_hidden, node.is_handle_renamed) = (true, true, true);
                node.is_confirmed = false;
                node.forget_attributes();
            });
        }
        Ok(())
    }

    /// Removes a hidden file that nobody has open any more.
    pub fn remove_hidden(&self, object: ObjectId) {
        if self.runtime.is_open_elsewhere(object) {
            return;
        }
        // It may be the first message of a fork child, whose network is still the parent's.
        let Ok(_entered) = entrance::enter() else { return };
        // What goes wrong leaves an orphan, for the next connection.
        if let (Ok(Some(hidden)), Ok(name)) = (self.hidden_directory(), Name::new(name_of(object).as_bytes())) {
            let _ = self.mounted.remove(&hidden, &name);
        }
    }

    /// Removes what processes of this node left that are no more. One message where there never was anything.
    pub fn remove_orphans(&self) {
        self.remove_old_notes();
        if self.mounted.is_read_only || self.runtime.directory().is_none() {
            return;
        }
        let Ok(Some(hidden)) = self.hidden_directory() else { return };
        let mut names = Vec::new();
        let mut anchor = Anchor::start();
        while !anchor.is_at_end() && names.len() < ORPHANS_COUNT_MAX {
            let told = self.mounted.list(&hidden, &mut anchor, 64, &mut |name| names.push(name.to_vec()));
            if told.is_err() {
                return;
            }
        }
        let suffix = format!(".{}", node_name());
        for name in names {
            let object = name.strip_suffix(suffix.as_bytes()).and_then(ObjectId::from_name);
            let Some(object) = object.filter(|object| !self.runtime.is_open_elsewhere(*object)) else { continue };
            if let (Ok(name), false) = (Name::new(&name), self.nodes.lock().of_object(object).is_some()) {
                let _ = self.mounted.remove(&hidden, &name);
            }
        }
    }
}
