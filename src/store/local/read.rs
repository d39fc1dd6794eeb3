//! Bytes out of a file, without a lock.
#![allow(unsafe_code)]

use super::object::for_each_part;
use super::open_node::OpenNode;
use super::record::HAS_OBJECT;
use super::store::SLOT_BYTES;
use crate::ground::buffer::{Segment, total_bytes};
use crate::ground::{Errno, Result, kernel};
use std::sync::atomic::{Ordering, fence};

impl OpenNode {
    /// Reads from `offset` on; fewer bytes than asked for only at the end.
    ///
    /// # Errors
    /// `EISDIR`, `EBADF` for a symlink, `EIO`.
    #[inline]
    pub fn read(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.attend_file(Errno::BADF)?;
        let record = self.record();
        let wanted = total_bytes(segments) as u64;
        loop {
            let sequence = record.sequence.load(Ordering::Acquire);
            // On a read-only host nobody changes a layout: a mark is one that was left, and the record is whole.
            if sequence % 2 == 1 && !self.store.is_frozen() {
                self.wait_for_layout()?;
                continue;
            }
            let size = record.extent().size();
            if offset >= size || wanted == 0 {
                return Ok(0);
            }
            let length = wanted.min(size - offset) as usize;
            let count = if record.has(HAS_OBJECT) {
                let dense_end = record.dense_end.load(Ordering::Acquire);
                self.objects().read(&self.store, offset, length, segments, dense_end)?
            } else {
                self.read_slot(offset, length, segments)?
            };
            // What was copied is what the file holds if nobody moved it meanwhile.
            fence(Ordering::Acquire);
            if record.sequence.load(Ordering::Relaxed) == sequence {
                // A killed writer's half is not what the file holds.
                if record.intents().load(Ordering::Relaxed) != 0
                    && !self.store.is_frozen()
                    && self.settle(None, offset, offset + length as u64)?
                {
                    continue;
                }
                if record.access_is_stale() && !self.store.is_frozen() {
                    record.accessed.store(kernel::now(), Ordering::Relaxed);
                }
                return Ok(count);
            }
        }
    }

    #[inline]
    fn read_slot(&self, offset: u64, length: usize, segments: &[Segment]) -> Result<usize> {
        let slot = self.slot()?;
        for_each_part(segments, length, |part, at| {
            let at = offset + at as u64;
            if slot.is_null() {
                part.zero()?;
            } else if at + part.len() as u64 <= SLOT_BYTES {
                // SAFETY: inside the slot, which stays mapped; its bytes may change meanwhile, as in any shared memory.
                unsafe { part.fill_from(slot.wrapping_add(at as usize)) }?;
            }
            // Past the slot: the size is of a layout that came meanwhile, and the caller sees it.
            Ok(part.len())
        })
    }
}
