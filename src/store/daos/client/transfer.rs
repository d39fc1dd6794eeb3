//! Reads and writes of an open file, each a list of ranges in one call.
#![allow(unsafe_code)]

use super::dfs_call;
use super::handle::Handle;
use super::mounted::Mounted;
use super::operation::{Operation, Subject};
use crate::ground::{Errno, Result};
use crate::store::Extent;
use crate::store::daos::bindings::{d_iov_t, d_sg_list_t, daos_range_t, dfs_iod_t};
use crate::store::daos::error::of_dfs;
use std::sync::Arc;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into memory.
    Read,
    /// Out of memory.
    Write,
}

/// Ranges of a file, and pieces of memory.
pub struct Ranges {
    iovs: Vec<d_iov_t>,
    list: d_sg_list_t,
    /// Of the file.
    ranges: Vec<daos_range_t>,
    /// The same, as the library has it.
    iod: dfs_iod_t,
    /// Bytes that were read.
    byte_count: u64,
    // Open for as long as the library uses it.
    _handle: Arc<Handle>,
}

impl Subject for Ranges {
    fn outcome(number: i32) -> Result<()> {
        of_dfs(number)
    }
}

impl Ranges {
    fn new(handle: &Arc<Handle>, extents: &[Extent], ranges: Vec<daos_range_t>) -> Result<Self> {
        let iov = |extent: &Extent| d_iov_t {
            iov_buf: extent.segment.as_ptr().cast(),
            iov_buf_len: extent.segment.len(),
            iov_len: extent.segment.len(),
        };
        let iovs: Vec<d_iov_t> = extents.iter().map(iov).collect();
        let iovs_count = u32::try_from(iovs.len()).map_err(|_| Errno::INVAL)?;
        let list = d_sg_list_t { sg_nr: iovs_count, sg_nr_out: 0, sg_iovs: std::ptr::null_mut() };
        let iod = dfs_iod_t { iod_nr: ranges.len() as u64, iod_rgs: std::ptr::null_mut() };
        Ok(Self { iovs, list, ranges, iod, byte_count: 0, _handle: handle.clone() })
    }
}

impl Operation<Ranges> {
    /// Begins to read or write `extents`; none of them is empty, and there is at least one.
    ///
    /// # Errors
    /// What the library says before it has begun.
    ///
    /// # Safety
    /// The memory stays until the operation has ended, or for good if it is given up on.
    pub unsafe fn transfer(
        mounted: &Arc<Mounted>,
        handle: &Arc<Handle>,
        direction: Direction,
        extents: &[Extent],
    ) -> Result<Self> {
        // Segments that follow one another in the file are one range of it.
        let mut ranges: Vec<daos_range_t> = Vec::new();
        for extent in extents {
            let length = extent.segment.len() as u64;
            match ranges.last_mut() {
                Some(last) if last.rg_idx + last.rg_len == extent.offset => last.rg_len += length,
                _ => ranges.push(daos_range_t { rg_idx: extent.offset, rg_len: length }),
            }
        }
        let first = *ranges.first().ok_or(Errno::INVAL)?;
        let subject = Ranges::new(handle, extents, ranges)?;
        let (library, dfs, node) = (mounted.library, mounted.dfs(), handle.as_ptr());
        Self::begin(mounted, subject, |subject, event| {
            subject.list.sg_iovs = subject.iovs.as_mut_ptr();
            subject.iod.iod_rgs = subject.ranges.as_mut_ptr();
            let (list, offset) = (&raw mut subject.list, first.rg_idx);
            let (iod, count) = (&raw mut subject.iod, &raw mut subject.byte_count);
            match (direction, subject.ranges.len()) {
                (Direction::Read, 1) => dfs_call!(library, dfs_read(dfs, node, list, offset, count, event)),
                (Direction::Read, _) => dfs_call!(library, dfs_readx(dfs, node, iod, list, count, event)),
                (Direction::Write, 1) => dfs_call!(library, dfs_write(dfs, node, list, offset, event)),
                (Direction::Write, _) => dfs_call!(library, dfs_writex(dfs, node, iod, list, event)),
            }
        })
    }

    /// Bytes that were read, once it has ended.
    pub fn byte_count(&self) -> u64 {
        self.subject().map_or(0, |ranges| ranges.byte_count)
    }
}
