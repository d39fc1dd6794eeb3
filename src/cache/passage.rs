//! Open directories and symlinks: they have no bytes, and nothing of them is cached here.

use crate::ground::{Result, buffer::Segment};
use crate::store::{Allocation, ArrayObject, Attributes, Changes, Found, RemoteArray};
use std::sync::Arc;

/// An open node without bytes: every call goes on to the engine.
pub struct Passage(pub Arc<dyn RemoteArray>);

impl ArrayObject for Passage {
    fn found(&self) -> Found {
        self.0.found()
    }

    fn size_bytes(&self) -> Result<u64> {
        self.0.size_bytes()
    }

    fn attributes(&self) -> Result<Attributes> {
        self.0.attributes()
    }

    fn change(&self, changes: &Changes) -> Result<()> {
        self.0.change(changes)
    }

    fn read_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.0.read_at(offset, segments)
    }

    fn write_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.0.write_at(offset, segments)
    }

    fn append(&self, segments: &[Segment]) -> Result<(u64, usize)> {
        self.0.append(segments)
    }

    fn set_size(&self, size_bytes: u64) -> Result<()> {
        self.0.set_size(size_bytes)
    }

    fn allocate(&self, how: Allocation, offset: u64, length: u64) -> Result<()> {
        self.0.allocate(how, offset, length)
    }

    fn seek_data(&self, offset: u64) -> Result<u64> {
        self.0.seek_data(offset)
    }

    fn seek_hole(&self, offset: u64) -> Result<u64> {
        self.0.seek_hole(offset)
    }

    fn sync(&self) -> Result<()> {
        self.0.sync()
    }

    fn sync_data(&self) -> Result<()> {
        self.0.sync_data()
    }

    fn size_at_hand(&self) -> Option<u64> {
        self.0.size_at_hand()
    }

    fn flush(&self) -> Result<()> {
        self.0.flush()
    }

    fn set_strict(&self, is_strict: bool) {
        self.0.set_strict(is_strict);
    }

    fn ticket(&self, room: &mut [u8]) -> Result<usize> {
        self.0.ticket(room)
    }
}
