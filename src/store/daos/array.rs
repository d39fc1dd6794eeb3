//! An open node of a DAOS container.

use super::client::handle::Handle;
use super::client::transfer::Direction;
use super::data;
use super::entrance;
use super::object::{ObjectId, ROOT};
use super::store::Store;
use crate::ground::buffer::{Segment, total_bytes};
use crate::ground::{Errno, Result};
use crate::store::{
    Allocation, AppendGuard, ArrayObject, Attributes, Changes, Extent, Found, Kind, RemoteArray, Transfer,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// An open file, directory or symlink.
pub struct DaosArray {
    store: Arc<Store>,
    found: Found,
    object: ObjectId,
    handle: Arc<Handle>,
    chunk_bytes: u64,
    /// When the node's attributes were told; 0 makes them be asked for.
    attributes_told: Arc<AtomicI64>,
}

impl DaosArray {
    /// Opens a node that is in the table, and counts it there and on this node. Whoever calls is inside.
    ///
    /// # Errors
    /// `ESTALE` if it is not in the table.
    pub(super) fn open(store: &Arc<Store>, found: Found) -> Result<Self> {
        let told = store.with(found.node, |node| {
            node.opens += 1;
            (node.object, node.handle.clone(), node.kind, node.attributes_told.clone(), node.opens == 1)
        });
        let (object, handle, kind, attributes_told, is_first) = told.ok_or(Errno::STALE)?;
        if is_first && found.node != ROOT {
            store.runtime.note_open(object, &|| store.nodes.lock().open_objects());
        }
        let chunk_bytes = if kind == Kind::File { handle.chunk_bytes().unwrap_or(0) } else { 0 };
        let chunk_bytes = if chunk_bytes == 0 { store.mounted.container_chunk_bytes } else { chunk_bytes };
        Ok(Self { store: store.clone(), found: Found { kind, ..found }, object, handle, chunk_bytes, attributes_told })
    }

    fn check_file(&self) -> Result<()> {
        match self.found.kind {
            Kind::File => Ok(()),
            Kind::Directory => Err(Errno::ISDIR),
            Kind::Symlink => Err(Errno::BADF),
        }
    }

    fn for_change(&self) -> Result<()> {
        self.check_file()?;
        self.store.check_may_change()
    }

    fn note_changed(&self) {
        self.attributes_told.store(0, Ordering::Release);
        self.store.board.note_node(self.object);
    }

    fn size(&self) -> Result<u64> {
        self.store.retry(|| self.store.mounted.size(&self.handle))
    }

    fn extents(offset: u64, segments: &[Segment]) -> Vec<Extent> {
        let mut at = offset;
        let follow = |segment: &Segment| {
            let extent = Extent { offset: at, segment: *segment };
            at += segment.len() as u64;
            extent
        };
        segments.iter().map(follow).collect()
    }

    /// Zeros a range without changing the size.
    fn zero(&self, offset: u64, length: u64) -> Result<()> {
        let size = self.size()?;
        let end = offset.saturating_add(length).min(size);
        if offset >= end {
            return Ok(());
        }
        let mounted = &self.store.mounted;
        if end < size {
            return self.store.retry(|| mounted.punch(&self.handle, offset, end - offset));
        }
        // libdfs takes a hole up to the end for a cut: so the last byte is written, and the hole ends before it.
        if end - 1 > offset {
            self.store.retry(|| mounted.punch(&self.handle, offset, end - 1 - offset))?;
        }
        let zero = [0u8];
        let last = Extent { offset: end - 1, segment: Segment::of_slice(&zero) };
        data::transfer(mounted, &self.handle, Direction::Write, &[last]).map(drop)
    }

    fn grow(&self, size_bytes: u64) -> Result<()> {
        if self.size()? < size_bytes { self.resize(size_bytes) } else { Ok(()) }
    }

    /// Sets the size. One byte into a chunk, libdaos 2.8 neither cuts the file there nor leaves that byte as it was
    /// (measured; its `dc_array.c` takes the record for the cell): then the file is cut before that byte, and the byte
    /// written again.
    fn resize(&self, size_bytes: u64) -> Result<()> {
        let mounted = &self.store.mounted;
        let Some(last) = size_bytes.checked_sub(1).filter(|last| last % self.chunk_bytes == 0) else {
            return self.store.retry(|| mounted.set_size(&self.handle, size_bytes));
        };
        let mut byte = [0u8];
        let extent = Extent { offset: last, segment: Segment::of_slice_mut(&mut byte) };
        data::transfer(mounted, &self.handle, Direction::Read, &[extent])?;
        self.store.retry(|| mounted.set_size(&self.handle, last))?;
        data::transfer(mounted, &self.handle, Direction::Write, &[extent]).map(drop)
    }
}

/// Past this a file has no bytes.
const SIZE_BYTES_MAX: u64 = i64::MAX as u64;

fn end_of(offset: u64, length: u64) -> Result<u64> {
    offset.checked_add(length).filter(|end| *end <= SIZE_BYTES_MAX).ok_or(Errno::FBIG)
}

fn check_ends(extents: &[Extent]) -> Result<()> {
    extents.iter().try_for_each(|extent| end_of(extent.offset, extent.segment.len() as u64).map(drop))
}

impl ArrayObject for DaosArray {
    fn found(&self) -> Found {
        self.found
    }

    fn size_bytes(&self) -> Result<u64> {
        if self.found.kind != Kind::File {
            return self.attributes().map(|attributes| attributes.size_bytes);
        }
        let _entered = entrance::enter()?;
        self.store.with(self.found.node, |node| self.store.told.note_asked(node));
        self.size()
    }

    fn attributes(&self) -> Result<Attributes> {
        let _entered = entrance::enter()?;
        self.store.attributes(self.found.node)
    }

    fn change(&self, changes: &Changes) -> Result<()> {
        let _entered = entrance::enter()?;
        self.store.change(self.found.node, changes)
    }

    fn read_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.check_file()?;
        if offset >= SIZE_BYTES_MAX {
            return Ok(0);
        }
        self.read_extents(&Self::extents(offset, segments))
    }

    fn write_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.for_change()?;
        let bytes = total_bytes(segments);
        end_of(offset, bytes as u64)?;
        let _entered = entrance::enter()?;
        let outcome = data::write(&self.store.mounted, &self.handle, &Self::extents(offset, segments));
        self.note_changed();
        outcome
    }

    fn append(&self, segments: &[Segment]) -> Result<(u64, usize)> {
        self.for_change()?;
        let _turn = self.lock_for_append()?;
        let end = self.size_bytes()?;
        Ok((end, self.write_at(end, segments)?))
    }

    fn set_size(&self, size_bytes: u64) -> Result<()> {
        self.for_change()?;
        end_of(size_bytes, 0)?;
        let _entered = entrance::enter()?;
        let outcome = self.resize(size_bytes);
        self.note_changed();
        outcome
    }

    /// Space is not set aside: the servers have no call for that. A range "allocated" may still meet `ENOSPC`.
    fn allocate(&self, how: Allocation, offset: u64, length: u64) -> Result<()> {
        self.for_change()?;
        let end = end_of(offset, length)?;
        let _entered = entrance::enter()?;
        let outcome = match how {
            Allocation::KeepSize => Ok(()),
            Allocation::Extend => self.grow(end),
            Allocation::PunchHole | Allocation::ZeroKeepSize => self.zero(offset, length),
            Allocation::ZeroExtend => self.zero(offset, length).and_then(|()| self.grow(end)),
        };
        self.note_changed();
        outcome
    }

    /// Where holes are is not told by the servers: a file is data up to its end, as lseek(2) allows.
    fn seek_data(&self, offset: u64) -> Result<u64> {
        if offset < self.size_bytes()? { Ok(offset) } else { Err(Errno::NXIO) }
    }

    fn seek_hole(&self, offset: u64) -> Result<u64> {
        let size = self.size_bytes()?;
        if offset < size { Ok(size) } else { Err(Errno::NXIO) }
    }

    /// What a write has acknowledged is stored: there is nothing behind it to be flushed.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// What an open or a look-up was told a moment ago.
    fn size_at_hand(&self) -> Option<u64> {
        let _entered = entrance::enter_as_is();
        self.store.size_just_told(self.found.node)
    }

    /// The object's number, parent and name, and libdfs's own words on the node.
    fn ticket(&self, room: &mut [u8]) -> Result<usize> {
        let _entered = entrance::enter()?;
        self.store.write_ticket(self.found.node, &self.handle, room)
    }
}

impl RemoteArray for DaosArray {
    fn read_extents(&self, extents: &[Extent]) -> Result<usize> {
        self.check_file()?;
        let _entered = entrance::enter()?;
        data::transfer(&self.store.mounted, &self.handle, Direction::Read, extents)
    }

    fn write_extents(&self, extents: &[Extent]) -> Result<()> {
        self.for_change()?;
        check_ends(extents)?;
        let _entered = entrance::enter()?;
        let outcome = data::transfer(&self.store.mounted, &self.handle, Direction::Write, extents);
        self.note_changed();
        outcome.map(drop)
    }

    fn begin_read(&self, extents: &[Extent]) -> Result<Box<dyn Transfer>> {
        self.check_file()?;
        let _entered = entrance::enter()?;
        Ok(Box::new(data::begin(&self.store.mounted, &self.handle, Direction::Read, extents)?))
    }

    fn begin_write(&self, extents: &[Extent]) -> Result<Box<dyn Transfer>> {
        self.for_change()?;
        check_ends(extents)?;
        let _entered = entrance::enter()?;
        self.note_changed();
        Ok(Box::new(data::begin(&self.store.mounted, &self.handle, Direction::Write, extents)?))
    }

    fn confirm(&self) -> Result<()> {
        let _entered = entrance::enter()?;
        self.store.confirm_open(self.found.node)
    }

    fn size_to_expect(&self) -> Option<u64> {
        let _entered = entrance::enter_as_is();
        self.store.size_to_expect(self.found.node)
    }

    fn last_change(&self) -> Result<(u64, Option<u64>)> {
        let mounted = &self.store.mounted;
        if self.found.kind != Kind::File || !mounted.has_array_stat() {
            return Ok((self.size_bytes()?, None));
        }
        let _entered = entrance::enter()?;
        let (size_bytes, epoch) = self.store.retry(|| mounted.array_stat(&self.handle))?;
        Ok((size_bytes, Some(epoch)))
    }

    fn chunk_bytes(&self) -> u64 {
        self.chunk_bytes
    }

    /// The time of a write is the servers': so what is remembered is forgotten, and asked for when it is wanted.
    fn note_written(&self, _size_bytes_min: u64) {
        self.note_changed();
    }

    fn lock_for_append(&self) -> Result<Box<dyn AppendGuard + '_>> {
        let _entered = entrance::enter_as_is();
        let guard = self.store.runtime.lock_for_append(self.object, &self.store.mounted.patience())?;
        Ok(guard)
    }
}

impl Drop for DaosArray {
    fn drop(&mut self) {
        let _entered = entrance::enter_as_is();
        self.store.close(self.found.node, self.object);
    }
}
