//! An operation under way: an event, on the network context that the library has anyway, and the memory that the library
//! looks at until it has ended.
#![allow(unsafe_code)]

use super::handle::Handle;
use super::mounted::Mounted;
use super::{daos_call, dfs_call};
use crate::ground::{Errno, Result, waiting};
use crate::store::Extent;
use crate::store::daos::bindings::{d_iov_t, d_sg_list_t, daos_event_t, daos_handle_t, daos_range_t, dfs_iod_t};
use crate::store::daos::entrance;
use crate::store::daos::error::{of_daos, of_dfs};
use crate::store::daos::patience::Patience;
use std::sync::Arc;

/// What the library keeps addresses of.
struct Memory {
    event: daos_event_t,
    iovs: Vec<d_iov_t>,
    ranges: Vec<daos_range_t>,
    list: d_sg_list_t,
    iod: dfs_iod_t,
    byte_count: u64,
    stat: libc::stat,
    // Open for as long as the library uses it.
    _handle: Arc<Handle>,
}

/// An operation that was begun. Dropped before it has ended it is given up on: its memory is lost.
pub struct Operation {
    memory: Option<Box<Memory>>,
    byte_count: u64,
    is_lost: bool,
    mounted: Arc<Mounted>,
    generation: u32,
    outcome: Option<Result<()>>,
}

// SAFETY: the memory is this operation's alone, and libdaos lets any thread drive an event.
unsafe impl Send for Operation {}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into memory.
    Read,
    /// Out of memory.
    Write,
}

impl Operation {
    fn new(mounted: &Arc<Mounted>, handle: &Arc<Handle>) -> Result<Self> {
        let mut memory = Box::new(Memory {
            event: daos_event_t { ev_error: 0, ev_private: [0; 20], ev_debug: 0 },
            iovs: Vec::new(),
            ranges: Vec::new(),
            list: d_sg_list_t { sg_nr: 0, sg_nr_out: 0, sg_iovs: std::ptr::null_mut() },
            iod: dfs_iod_t { iod_nr: 0, iod_rgs: std::ptr::null_mut() },
            byte_count: 0,
            // SAFETY: a plain structure of numbers.
            stat: unsafe { std::mem::zeroed() },
            _handle: handle.clone(),
        });
        let no_queue = daos_handle_t { cookie: 0 };
        of_daos(daos_call!(mounted.library, daos_event_init(&raw mut memory.event, no_queue, std::ptr::null_mut())))?;
        Ok(Self {
            memory: Some(memory),
            byte_count: 0,
            is_lost: false,
            mounted: mounted.clone(),
            generation: entrance::generation(),
            outcome: None,
        })
    }

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
        let mut operation = Self::new(mounted, handle)?;
        let memory = operation.memory.as_deref_mut().ok_or(Errno::IO)?;
        memory.iovs = extents
            .iter()
            .map(|extent| d_iov_t {
                iov_buf: extent.segment.as_ptr().cast(),
                iov_buf_len: extent.segment.len(),
                iov_len: extent.segment.len(),
            })
            .collect();
        // Segments that follow one another in the file are one range of it.
        for extent in extents {
            let length = extent.segment.len() as u64;
            match memory.ranges.last_mut() {
                Some(last) if last.rg_idx + last.rg_len == extent.offset => last.rg_len += length,
                _ => memory.ranges.push(daos_range_t { rg_idx: extent.offset, rg_len: length }),
            }
        }
        memory.list.sg_nr = u32::try_from(memory.iovs.len()).map_err(|_| Errno::INVAL)?;
        memory.list.sg_iovs = memory.iovs.as_mut_ptr();
        memory.iod.iod_nr = memory.ranges.len() as u64;
        memory.iod.iod_rgs = memory.ranges.as_mut_ptr();
        let (library, dfs, node) = (mounted.library, mounted.dfs(), handle.as_ptr());
        let (list, iod, event) = (&raw mut memory.list, &raw mut memory.iod, &raw mut memory.event);
        let (count, offset) = (&raw mut memory.byte_count, memory.ranges[0].rg_idx);
        let answer = match (direction, memory.ranges.len()) {
            (Direction::Read, 1) => dfs_call!(library, dfs_read(dfs, node, list, offset, count, event)),
            (Direction::Read, _) => dfs_call!(library, dfs_readx(dfs, node, iod, list, count, event)),
            (Direction::Write, 1) => dfs_call!(library, dfs_write(dfs, node, list, offset, event)),
            (Direction::Write, _) => dfs_call!(library, dfs_writex(dfs, node, iod, list, event)),
        };
        operation.begun(answer)
    }

    /// Begins to ask for the attributes of an open node.
    ///
    /// # Errors
    /// What the library says before it has begun; `ENOSYS` where it has no such call.
    pub fn stat(mounted: &Arc<Mounted>, handle: &Arc<Handle>) -> Result<Self> {
        let mut operation = Self::new(mounted, handle)?;
        let memory = operation.memory.as_deref_mut().ok_or(Errno::IO)?;
        let (stat, event) = (&raw mut memory.stat, &raw mut memory.event);
        let answer = dfs_call!(mounted.library, dfs_ostatx(mounted.dfs(), handle.as_ptr(), stat, event));
        operation.begun(answer)
    }

    fn begun(mut self, answer: i32) -> Result<Self> {
        match of_dfs(answer) {
            Ok(()) => Ok(self),
            Err(error) => {
                // Whether the library completed the event with the error or never launched it, nothing is under way:
                // both leave an event that can be finished. One that can not is left alone.
                self.outcome = Some(Err(error));
                self.finish();
                Err(error)
            }
        }
    }

    /// Drives the network for at most `microseconds`; whether the operation has ended.
    pub fn poll(&mut self, microseconds: i64) -> bool {
        if self.outcome.is_some() {
            return true;
        }
        if self.generation != entrance::generation() {
            // Begun by the parent before a fork: it ends there.
            self.outcome = Some(Err(Errno::CANCELED));
            self.lose();
            return true;
        }
        let Some(memory) = self.memory.as_deref_mut() else { return true };
        let mut has_ended = false;
        let answer =
            daos_call!(self.mounted.library, daos_event_test(&raw mut memory.event, microseconds, &raw mut has_ended));
        if let Err(error) = of_daos(answer) {
            self.outcome = Some(Err(error));
            self.lose();
            return true;
        }
        if has_ended {
            self.outcome = Some(of_dfs(memory.event.ev_error));
            self.byte_count = memory.byte_count;
            self.finish();
        }
        has_ended
    }

    /// Waits for the end. On an error the memory may be in use for good if the operation was given up on:
    /// [`Operation::is_lost`] tells.
    ///
    /// # Errors
    /// The operation's own; `ETIMEDOUT` or `EINTR` where patience ended first, and it was given up on.
    pub fn wait(&mut self, patience: &Patience) -> Result<()> {
        loop {
            let next = patience.next();
            // One look in any case: what went before may have taken the time, and the answer be there.
            if self.poll(next.unwrap_or(0)) {
                waiting::answered();
                return self.outcome.unwrap_or(Err(Errno::IO));
            }
            match next {
                Ok(_) => {}
                Err(error) => {
                    self.outcome = Some(Err(error));
                    self.lose();
                    entrance::note_given_up();
                    return Err(error);
                }
            }
        }
    }

    /// Whether it was given up on: what it read into or wrote from may still be looked at.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Bytes that were read, once it has ended.
    pub fn byte_count(&self) -> u64 {
        self.byte_count
    }

    /// The attributes, once it has ended.
    pub fn attributes(&self) -> Result<libc::stat> {
        self.memory.as_ref().map(|memory| memory.stat).ok_or(Errno::IO)
    }

    /// The event is over.
    fn finish(&mut self) {
        let Some(memory) = self.memory.as_deref_mut() else { return };
        let answer = daos_call!(self.mounted.library, daos_event_fini(&raw mut memory.event));
        if answer != 0 {
            self.lose();
        }
    }

    /// The library may look at the memory for ever: it is leaked.
    fn lose(&mut self) {
        self.is_lost = true;
        if let Some(memory) = self.memory.take() {
            std::mem::forget(memory);
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.lose();
        }
    }
}
