//! The embedded engine as a container.

use super::layout;
use super::open_node::OpenNode;
use super::store::{ROOT, Store};
use super::{OpenError, TARGETS_RANGE};
use crate::ground::kernel::Parked;
use crate::ground::mounts::MountOptions;
use crate::ground::{Errno, Result};
use crate::store::{
    ArrayObject, Attributes, Capacity, Changes, Container, DirectoryEntry, Found, NewNode, NodeId, RenameMode,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A store on the host's file system, mounted.
pub struct LocalContainer {
    store: Arc<Store>,
    chunk_bytes: u64,
    read_only: bool,
}

impl LocalContainer {
    /// Opens the store in `directory`, and makes it if there is none. The target count is the store's from then on; the
    /// chunk size is this mount's, for files that it makes.
    ///
    /// # Errors
    /// As [`OpenError`] has them.
    pub fn open(directory: &Path, options: &MountOptions) -> std::result::Result<Self, OpenError> {
        let store = Store::open(directory, options)?;
        let own = store.header().chunk_bytes.load(Ordering::Relaxed);
        let chunk_bytes = options.chunk_bytes.unwrap_or(own);
        let read_only = options.readonly || store.is_frozen();
        Ok(Self { store, chunk_bytes, read_only })
    }

    /// Whether a directory is a store.
    pub fn is_there(directory: &Path) -> bool {
        layout::is_there(directory)
    }

    /// How many targets the store has.
    pub fn targets(&self) -> u32 {
        self.store.header().targets.load(Ordering::Relaxed).clamp(*TARGETS_RANGE.start(), *TARGETS_RANGE.end())
    }

    fn for_change(&self) -> Result<&Store> {
        if self.read_only { Err(Errno::ROFS) } else { Ok(&self.store) }
    }
}

impl Container for LocalContainer {
    fn root(&self) -> NodeId {
        NodeId(ROOT)
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        self.store.lookup(directory, name)
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes> {
        self.store.attributes(node)
    }

    fn change(&self, node: NodeId, changes: &Changes) -> Result<()> {
        self.for_change()?.change(node, changes)
    }

    fn create(&self, directory: NodeId, name: &[u8], new: &NewNode<'_>) -> Result<Found> {
        let store = self.for_change()?;
        store.with_reclaim(|| store.create(directory, name, new, self.chunk_bytes))
    }

    fn unlink(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        self.for_change()?.unlink(directory, name)
    }

    fn remove_directory(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        self.for_change()?.remove_directory(directory, name)
    }

    fn rename(&self, from: (NodeId, &[u8]), to: (NodeId, &[u8]), mode: RenameMode) -> Result<()> {
        self.for_change()?.rename(from, to, mode)
    }

    fn read_link(&self, node: NodeId, buffer: &mut [u8]) -> Result<usize> {
        self.store.read_link(node, buffer)
    }

    fn entries(
        &self,
        directory: NodeId,
        position: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<()> {
        self.store.entries(directory, position, visit)
    }

    fn whereabouts(&self, directory: NodeId, name: &mut [u8]) -> Result<(NodeId, usize)> {
        self.store.whereabouts(directory, name)
    }

    fn open(&self, found: Found) -> Result<Box<dyn ArrayObject>> {
        let node = OpenNode::open(self.store.clone(), found, self.read_only, false)?;
        Ok(Box::new(node))
    }

    fn adopt(&self, found: Found, _ticket: &[u8]) -> Result<Box<dyn ArrayObject>> {
        let node = OpenNode::open(self.store.clone(), found, self.read_only, true)?;
        Ok(Box::new(node))
    }

    fn hold(&self, found: &[Found]) -> Result<Parked> {
        self.store.hold(found)
    }

    fn capacity(&self) -> Result<Capacity> {
        let host = rustix::fs::statvfs(self.store.path())?;
        let nodes = &self.store.header().names_lock.nodes;
        let next = nodes.next.load(Ordering::Relaxed);
        let total_nodes = super::store::NODES_COUNT_MAX;
        // What waits for a sync is freed for whoever needs it.
        let (condemned, condemned_bytes) = self.store.header().log.waiting();
        Ok(Capacity {
            total_bytes: host.f_blocks * host.f_frsize,
            free_bytes: (host.f_bavail * host.f_frsize)
                .saturating_add(condemned_bytes)
                .min(host.f_blocks * host.f_frsize),
            total_nodes,
            free_nodes: total_nodes
                .saturating_sub(next)
                .saturating_add(nodes.free_count.load(Ordering::Relaxed).saturating_add(condemned))
                .min(total_nodes),
            id: self.store.header().id.load(Ordering::Relaxed),
        })
    }

    fn sync(&self) -> Result<()> {
        self.store.sync_all()
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn after_fork_in_child(&self) -> Result<()> {
        self.store.process().after_fork_in_child();
        Ok(())
    }

    fn stand_in_name(&self, directory: NodeId) -> Result<String> {
        self.store.stand_in_name(directory)
    }

    fn directory_of_stand_in(&self, name: &str) -> Option<NodeId> {
        self.store.directory_of_stand_in(name)
    }
}
