//! Where a file has bytes and where holes.

use super::object::ObjectFiles;
use super::open_node::OpenNode;
use super::record::HAS_OBJECT;
use crate::ground::{Errno, Result, kernel};
use rustix::fs::SeekFrom;

impl OpenNode {
    /// The next byte of data from `offset` on.
    ///
    /// # Errors
    /// `ENXIO` where there is none before the end.
    pub fn next_data(&self, offset: u64) -> Result<u64> {
        self.attend_file(Errno::BADF)?;
        let record = self.record();
        let size = record.extent().size();
        if offset >= size {
            return Err(Errno::NXIO);
        }
        if !record.has(HAS_OBJECT) {
            return if record.has_slot_bytes() { Ok(offset) } else { Err(Errno::NXIO) };
        }
        let objects = self.objects();
        let mut next = size;
        for (target, file) in objects.existing(&self.store)? {
            // The first data at or after the offset's place on this target.
            let from = objects.placement.target_end(target, offset);
            match rustix::fs::seek(file, SeekFrom::Data(from)) {
                Ok(at) => next = next.min(objects.placement.file_offset(target, at).max(offset)),
                Err(Errno::NXIO) => {}
                Err(errno) => return Err(errno),
            }
        }
        if next < size { Ok(next) } else { Err(Errno::NXIO) }
    }

    /// The next hole from `offset` on; the end is one.
    ///
    /// # Errors
    /// `ENXIO` past the end.
    pub fn next_hole(&self, offset: u64) -> Result<u64> {
        self.attend_file(Errno::BADF)?;
        let record = self.record();
        let size = record.extent().size();
        if offset >= size {
            return Err(Errno::NXIO);
        }
        if !record.has(HAS_OBJECT) {
            return Ok(if record.has_slot_bytes() { size } else { offset });
        }
        let objects = self.objects();
        let mut at = offset;
        while at < size {
            let piece = objects.placement.piece(at, size - at);
            let hole = self.hole_in(objects, piece.target, piece.offset)?;
            if hole < piece.offset + piece.length {
                return Ok((at + (hole - piece.offset)).min(size));
            }
            at += piece.length;
        }
        Ok(size)
    }

    fn hole_in(&self, objects: &ObjectFiles, target: u32, offset: u64) -> Result<u64> {
        let Some(file) = objects.file(&self.store, target, false)? else { return Ok(offset) };
        match rustix::fs::seek(kernel::borrow(file), SeekFrom::Hole(offset)) {
            // Past the object file's end all is hole.
            Err(Errno::NXIO) => Ok(offset),
            found => found,
        }
    }
}
