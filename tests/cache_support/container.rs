//! The container of one "process": it has files by number, and names nobody.

use super::faults::Faults;
use super::store::{MemoryArray, StoredFile};
use sidestep::ground::kernel::Parked;
use sidestep::ground::{Errno, Result};
use sidestep::store::{
    ArrayObject, Attributes, Capacity, Changes, Container, DirectoryEntry, Found, NewNode, NodeId, RemoteArray,
    RemoteContainer, RenameMode,
};
use std::sync::Arc;

/// Files that several such containers share.
pub struct MemoryContainer {
    pub files: Vec<Arc<StoredFile>>,
    pub faults: Arc<Faults>,
    /// Nanoseconds that each message takes.
    pub latency: u64,
    /// Nanoseconds that each MiB adds.
    pub latency_of_mib: u64,
}

impl MemoryContainer {
    pub fn new(files: &[Arc<StoredFile>], seed: u64) -> Arc<Self> {
        let faults = Arc::new(Faults::new(seed));
        Arc::new(Self { files: files.to_vec(), faults, latency: 0, latency_of_mib: 0 })
    }

    fn file(&self, node: NodeId) -> Result<&Arc<StoredFile>> {
        self.files.iter().find(|file| file.number == node.0).ok_or(Errno::NOENT)
    }
}

impl Container for MemoryContainer {
    fn root(&self) -> NodeId {
        NodeId(0)
    }

    fn lookup(&self, _: NodeId, _: &[u8]) -> Result<Found> {
        Err(Errno::NOENT)
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes> {
        Ok(self.file(node)?.attributes())
    }

    fn change(&self, node: NodeId, changes: &Changes) -> Result<()> {
        if let Some(modified) = changes.modified {
            self.file(node)?.lock().modified = modified.0;
        }
        Ok(())
    }

    fn create(&self, _: NodeId, _: &[u8], _: &NewNode<'_>) -> Result<Found> {
        Err(Errno::PERM)
    }

    fn unlink(&self, _: NodeId, _: &[u8]) -> Result<()> {
        Err(Errno::NOENT)
    }

    fn remove_directory(&self, _: NodeId, _: &[u8]) -> Result<()> {
        Err(Errno::NOENT)
    }

    fn rename(&self, _: (NodeId, &[u8]), _: (NodeId, &[u8]), _: RenameMode) -> Result<()> {
        Err(Errno::NOENT)
    }

    fn read_link(&self, _: NodeId, _: &mut [u8]) -> Result<usize> {
        Err(Errno::INVAL)
    }

    fn entries(&self, _: NodeId, _: u64, _: &mut dyn FnMut(DirectoryEntry<'_>) -> bool) -> Result<()> {
        Ok(())
    }

    fn whereabouts(&self, directory: NodeId, _: &mut [u8]) -> Result<(NodeId, usize)> {
        Ok((directory, 0))
    }

    fn open(&self, found: Found) -> Result<Box<dyn ArrayObject>> {
        Ok(Box::new(self.array(found)?))
    }

    fn adopt(&self, found: Found, _: &[u8]) -> Result<Box<dyn ArrayObject>> {
        self.open(found)
    }

    fn hold(&self, _: &[Found]) -> Result<Parked> {
        Err(Errno::NOTSUP)
    }

    fn capacity(&self) -> Result<Capacity> {
        Err(Errno::NOTSUP)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn after_fork_in_child(&self) -> Result<()> {
        Ok(())
    }

    fn stand_in_name(&self, _: NodeId) -> Result<String> {
        Err(Errno::NOENT)
    }

    fn directory_of_stand_in(&self, _: &str) -> Option<NodeId> {
        None
    }
}

impl MemoryContainer {
    fn array(&self, found: Found) -> Result<MemoryArray> {
        Ok(MemoryArray {
            file: self.file(found.node)?.clone(),
            faults: self.faults.clone(),
            latency: self.latency,
            latency_of_mib: self.latency_of_mib,
        })
    }
}

impl RemoteContainer for MemoryContainer {
    fn open_remote(&self, found: Found) -> Result<Arc<dyn RemoteArray>> {
        Ok(Arc::new(self.array(found)?))
    }

    fn adopt_remote(&self, found: Found, _: &[u8]) -> Result<Arc<dyn RemoteArray>> {
        self.open_remote(found)
    }

    fn remote_attributes(&self, node: NodeId) -> Result<Attributes> {
        self.attributes(node)
    }
}
