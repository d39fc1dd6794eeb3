//! What `stat` tells of a node, and what `chmod` and its like change.

use super::record::{HAS_OBJECT, Record};
use super::store::Store;
use crate::ground::{Errno, Result, kernel};
use crate::store::{Attributes, Changes, Found, Kind, NodeId};
use std::sync::atomic::Ordering;

/// tmpfs counts its blocks in pages.
const PAGE_BYTES: u64 = 4096;
const BLOCKS_PER_PAGE: u64 = 8;

impl Store {
    /// The attributes of a node that lives.
    ///
    /// # Errors
    /// `ESTALE` for one that is gone.
    #[inline]
    pub fn attributes(&self, node: NodeId) -> Result<Attributes> {
        let (record, kind) = self.live_record(node)?;
        let generation = record.generation.load(Ordering::Acquire);
        self.attributes_of(record, Found { node, generation, kind })
    }

    /// The attributes of a record that is `found`'s.
    ///
    /// # Errors
    /// `ESTALE` if it no longer is.
    #[inline]
    pub fn attributes_of(&self, record: &Record, found: Found) -> Result<Attributes> {
        let mut attributes = record.attributes(found.node, found.kind);
        if found.kind == Kind::File && record.has(HAS_OBJECT) {
            attributes.blocks = self.object_blocks(record, &attributes);
        }
        // A number that became another node's while we looked.
        if record.generation.load(Ordering::Acquire) != found.generation || record.kind() != Some(found.kind) {
            return Err(Errno::STALE);
        }
        Ok(attributes)
    }

    /// The blocks of a file with objects: its pages, if it has no hole; what the host counts, if it has.
    fn object_blocks(&self, record: &Record, attributes: &Attributes) -> u64 {
        let pages = attributes.size_bytes.div_ceil(PAGE_BYTES) * BLOCKS_PER_PAGE;
        if record.dense_end.load(Ordering::Acquire) >= attributes.size_bytes {
            return pages;
        }
        super::object::host_blocks(self, attributes.node.0, attributes.generation).min(pages)
    }

    /// Changes the attributes of a node that lives.
    ///
    /// # Errors
    /// `ESTALE`, `EROFS` on a read-only host.
    pub fn change(&self, node: NodeId, changes: &Changes) -> Result<()> {
        if self.is_frozen() {
            return Err(Errno::ROFS);
        }
        self.process().ready(self)?;
        apply(self.live_record(node)?.0, changes);
        Ok(())
    }
}

/// Makes changes to a record.
pub fn apply(record: &Record, changes: &Changes) {
    if let Some(mode) = changes.mode {
        record.set_mode(mode);
    }
    if let Some(uid) = changes.uid {
        record.uid.store(uid, Ordering::Relaxed);
    }
    if let Some(gid) = changes.gid {
        record.gid.store(gid, Ordering::Relaxed);
    }
    if let Some(accessed) = changes.accessed {
        record.accessed.store(accessed.0, Ordering::Relaxed);
    }
    if let Some(modified) = changes.modified {
        record.modified.store(modified.0, Ordering::Relaxed);
    }
    record.changed.store(kernel::now(), Ordering::Relaxed);
}
