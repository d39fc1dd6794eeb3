//! What a directory is called as a working directory: by the store, the node and its generation.

use super::store::Store;
use crate::ground::{Errno, Result};
use crate::store::{Kind, NodeId};
use std::sync::atomic::Ordering;

impl Store {
    /// The name that tells a directory.
    ///
    /// # Errors
    /// `ENOTDIR`, `ENOENT` for one that was removed.
    pub fn stand_in_name(&self, directory: NodeId) -> Result<String> {
        let (record, kind) = self.live_record(directory)?;
        if kind != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        let generation = record.generation.load(Ordering::Acquire);
        Ok(format!("{}{:x}.{generation:x}", self.stand_in_start(), directory.0))
    }

    /// The directory that a name tells, if it is one of this store and still there.
    pub fn directory_of_stand_in(&self, name: &str) -> Option<NodeId> {
        let (node, generation) = name.strip_prefix(self.stand_in_start().as_str())?.split_once('.')?;
        let node = u64::from_str_radix(node, 16).ok()?;
        let generation = u32::from_str_radix(generation, 16).ok()?;
        let record = self.record(node)?;
        let is_it = record.generation.load(Ordering::Acquire) == generation && record.kind() == Some(Kind::Directory);
        is_it.then_some(NodeId(node))
    }

    fn stand_in_start(&self) -> String {
        format!("l.{:x}.", self.header().id.load(Ordering::Relaxed))
    }
}
