//! A DAOS container, mounted: what the layers above see of it.

use super::array::DaosArray;
use super::client::mounted::ConnectTimes;
use super::client::names::Name;
use super::entrance;
use super::listing;
use super::object::ROOT;
use super::open_error::OpenError;
use super::store::Store;
use crate::ground::kernel::Parked;
use crate::ground::mounts::{FileSystemType, MountOptions};
use crate::ground::{Errno, Result};
use crate::store::{
    ArrayObject, Attributes, Capacity, Changes, Container, DirectoryEntry, Found, Kind, NewNode, NodeId, OnlyIf,
    RemoteArray, RemoteContainer, RenameMode, SIDESTEP_MAGIC,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// `DAOS_SUPER_MAGIC`: what DAOS says that its file systems are.
const MAGIC: u64 = 0xda05_ad10;

/// A mounted container.
pub struct DaosContainer {
    store: Arc<Store>,
}

impl DaosContainer {
    /// Connects to `pool`, opens `container` and mounts it: to be changed, or, where only that is granted, to be read.
    ///
    /// # Errors
    /// As [`OpenError`] has them.
    pub fn open(pool: &str, container: &str, options: &MountOptions) -> std::result::Result<Arc<Self>, OpenError> {
        let _entered = entrance::enter().map_err(|errno| OpenError::root(pool, container, errno))?;
        Ok(Arc::new(Self { store: Store::open(pool, container, options)? }))
    }

    /// How long each step of the connection took.
    pub fn connect_times(&self) -> ConnectTimes {
        self.store.mounted.times
    }

    /// Messages to the servers so far, by the count of those that each call of the library makes at least.
    pub fn messages(&self) -> u64 {
        self.store.mounted.messages.load(Ordering::Relaxed)
    }

    fn open_node(&self, found: Found) -> Result<DaosArray> {
        let _entered = entrance::enter()?;
        self.store.open_found(found)
    }

    /// With the message that belongs to an open.
    fn open_confirmed(&self, found: Found) -> Result<DaosArray> {
        let array = self.open_node(found)?;
        array.confirm()?;
        Ok(array)
    }

    fn adopt_node(&self, found: Found, ticket: &[u8]) -> Result<DaosArray> {
        let _entered = entrance::enter()?;
        self.store.adopt_found(found, ticket)
    }

    /// The name of an extended attribute; too long a one is `ERANGE`.
    fn attribute_name(name: &[u8]) -> Result<Name> {
        Name::new(name).map_err(|error| if error == Errno::NAMETOOLONG { Errno::RANGE } else { error })
    }
}

impl Container for DaosContainer {
    fn root(&self) -> NodeId {
        ROOT
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        let _entered = entrance::enter()?;
        self.store.look_up(directory, name, false)
    }

    fn lookup_at_hand(&self, directory: NodeId, name: &[u8]) -> Option<Result<Found>> {
        let _entered = match entrance::enter() {
            Ok(entered) => entered,
            Err(error) => return Some(Err(error)),
        };
        self.store.look_up_at_hand(directory, name)
    }

    fn lookup_to_tell(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        let _entered = entrance::enter()?;
        self.store.look_up(directory, name, true)
    }

    fn lookup_to_open(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        let _entered = entrance::enter()?;
        self.store.look_up_to_open(directory, name)
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes> {
        let _entered = entrance::enter()?;
        self.store.attributes(node)
    }

    fn change(&self, node: NodeId, changes: &Changes) -> Result<()> {
        let _entered = entrance::enter()?;
        self.store.change(node, changes)
    }

    fn create(&self, directory: NodeId, name: &[u8], new: &NewNode<'_>) -> Result<Found> {
        let _entered = entrance::enter()?;
        self.store.create(directory, name, new)
    }

    fn unlink(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        let _entered = entrance::enter()?;
        self.store.unlink(directory, name)
    }

    fn remove_directory(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        let _entered = entrance::enter()?;
        self.store.remove_directory(directory, name)
    }

    fn rename(&self, from: (NodeId, &[u8]), to: (NodeId, &[u8]), mode: RenameMode) -> Result<()> {
        let _entered = entrance::enter()?;
        self.store.rename(from, to, mode)
    }

    fn read_link(&self, node: NodeId, buffer: &mut [u8]) -> Result<usize> {
        let _entered = entrance::enter()?;
        let known = self.store.known(node)?;
        if known.kind != Kind::Symlink {
            return Err(Errno::INVAL);
        }
        Ok(known.handle.target(buffer)?.min(buffer.len()))
    }

    fn entries(
        &self,
        directory: NodeId,
        position: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<()> {
        let _entered = entrance::enter()?;
        listing::entries(&self.store, directory, position, visit)
    }

    fn whereabouts(&self, directory: NodeId, name: &mut [u8]) -> Result<(NodeId, usize)> {
        if directory == ROOT {
            return Ok((ROOT, 0));
        }
        let mut tell = || {
            self.store.with(directory, |node| {
                name.get_mut(..node.name.len()).ok_or(Errno::RANGE)?.copy_from_slice(&node.name);
                Ok((node.parent, node.name.len()))
            })
        };
        if !self.store.is_place_doubtful(directory) {
            let _entered = entrance::enter_as_is();
            if let Some(told) = tell() {
                return told;
            }
        }
        let _entered = entrance::enter()?;
        self.store.settle_place(directory);
        self.store.find_told(directory);
        tell().unwrap_or(Err(Errno::STALE))
    }

    fn open(&self, found: Found) -> Result<Box<dyn ArrayObject>> {
        Ok(Box::new(self.open_confirmed(found)?))
    }

    fn adopt(&self, found: Found, ticket: &[u8]) -> Result<Box<dyn ArrayObject>> {
        Ok(Box::new(self.adopt_node(found, ticket)?))
    }

    fn hold(&self, found: &[Found]) -> Result<Parked> {
        let _entered = entrance::enter_as_is();
        self.store.hold(found)
    }

    fn capacity(&self) -> Result<Capacity> {
        let _entered = entrance::enter()?;
        let (total_bytes, free_bytes) = self.store.retry(|| self.store.mounted.space())?;
        Ok(Capacity { total_bytes, free_bytes, total_nodes: 0, free_nodes: 0, id: self.id() })
    }

    fn sync(&self) -> Result<()> {
        let _entered = entrance::enter()?;
        self.store.mounted.sync()
    }

    fn is_read_only(&self) -> bool {
        self.store.mounted.is_read_only
    }

    fn after_fork_in_child(&self) -> Result<()> {
        self.store.after_fork_in_child()
    }

    fn leave(&self) {
        // Another thread may still be at work: an append has a lock of its own, and what else it needs is made anew.
        let _entered = entrance::enter_as_is();
        self.store.runtime.leave();
    }

    fn stand_in_name(&self, directory: NodeId) -> Result<String> {
        let _entered = entrance::enter_as_is();
        self.store.stand_in_name(directory)
    }

    fn directory_of_stand_in(&self, name: &str) -> Option<NodeId> {
        let _entered = entrance::enter().ok()?;
        self.store.directory_of_stand_in(name)
    }

    fn rights(&self, node: NodeId) -> Result<Attributes> {
        let _entered = entrance::enter()?;
        self.store.rights(node)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn file_system_magic(&self) -> u64 {
        match self.store.file_system_type {
            FileSystemType::Sidestep => SIDESTEP_MAGIC,
            FileSystemType::Daos => MAGIC,
        }
    }

    fn extended_attribute(&self, node: NodeId, name: &[u8], room: &mut [u8]) -> Result<usize> {
        let _entered = entrance::enter()?;
        let name = Self::attribute_name(name)?;
        self.store.of_entry(node, |mounted, handle| mounted.extended_attribute(handle, &name, room))
    }

    fn set_extended_attribute(&self, node: NodeId, name: &[u8], value: &[u8], only: Option<OnlyIf>) -> Result<()> {
        let _entered = entrance::enter()?;
        self.store.check_may_change()?;
        /// `XATTR_SIZE_MAX`, which is libdfs's `DFS_MAX_XATTR_LEN` too.
        const VALUE_BYTES_MAX: usize = 65536;
        if value.len() > VALUE_BYTES_MAX {
            return Err(Errno::TOOBIG);
        }
        let name = Self::attribute_name(name)?;
        let outcome =
            self.store.of_entry(node, |mounted, handle| mounted.set_extended_attribute(handle, &name, value, only));
        self.store.note_times_changed(node);
        outcome
    }

    fn remove_extended_attribute(&self, node: NodeId, name: &[u8]) -> Result<()> {
        let _entered = entrance::enter()?;
        self.store.check_may_change()?;
        let name = Self::attribute_name(name)?;
        let outcome = self.store.of_entry(node, |mounted, handle| mounted.remove_extended_attribute(handle, &name));
        self.store.note_times_changed(node);
        outcome
    }

    fn extended_attribute_names(&self, node: NodeId, room: &mut [u8]) -> Result<usize> {
        let _entered = entrance::enter()?;
        self.store.of_entry(node, |mounted, handle| mounted.extended_attribute_names(handle, room))
    }

    fn before_fork(&self) {
        self.store.before_fork();
    }

    fn after_fork_in_parent(&self) {
        self.store.after_fork_in_parent();
    }
}

impl DaosContainer {
    /// What tells this container from others: the first half of its UUID, mixed with the second.
    fn id(&self) -> u64 {
        let (one, other) = self.store.mounted.uuid.split_at(8);
        let word = |half: &[u8]| half.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        word(one) ^ word(other)
    }
}

impl RemoteContainer for DaosContainer {
    fn open_remote(&self, found: Found) -> Result<Arc<dyn RemoteArray>> {
        Ok(Arc::new(self.open_node(found)?))
    }

    fn adopt_remote(&self, found: Found, ticket: &[u8]) -> Result<Arc<dyn RemoteArray>> {
        Ok(Arc::new(self.adopt_node(found, ticket)?))
    }

    fn remote_attributes(&self, node: NodeId) -> Result<Attributes> {
        self.attributes(node)
    }
}
