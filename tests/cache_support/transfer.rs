//! Transfers under way: they reach for the cache's memory at a moment of their own, and go on doing so if they are given
//! up.
#![allow(unsafe_code)]

use super::faults::Faults;
use super::store::StoredFile;
use sidestep::ground::buffer::Segment;
use sidestep::ground::{Errno, Result};
use sidestep::store::{Extent, Transfer};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
}

/// A transfer that was begun.
pub struct MemoryTransfer {
    kind: Kind,
    file: Arc<StoredFile>,
    faults: Arc<Faults>,
    extents: Vec<Extent>,
    /// Of a write: its bytes when it was begun, which must be the same when it ends.
    bytes: Vec<u8>,
    done: Option<usize>,
    /// Not before then.
    ready: Instant,
}

// SAFETY: the memory that it points to is lent to it by the trait's contract, whichever thread it ends in.
unsafe impl Send for MemoryTransfer {}

/// Transfers that were given up on: where they reach.
static LOST: Mutex<Vec<Lost>> = Mutex::new(Vec::new());

struct Lost {
    kind: Kind,
    address: usize,
    length: usize,
    /// Of a write that is checked: its bytes.
    bytes: Vec<u8>,
}

fn copy_of(segment: &Segment) -> Vec<u8> {
    let mut bytes = vec![0; segment.len()];
    // SAFETY: the vector is as long as the segment.
    unsafe { segment.copy_to(bytes.as_mut_ptr()) }.unwrap();
    bytes
}

fn copies_of(extents: &[Extent]) -> Vec<u8> {
    extents.iter().flat_map(|extent| copy_of(&extent.segment)).collect()
}

/// Transfers that were given up on reach for their memory now: reads write to it, so that whoever uses it again finds
/// out, and writes must find in it what was there.
pub fn let_the_lost_reach() {
    let lost = LOST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for lost in lost.iter() {
        let start = lost.address as *mut u8;
        // SAFETY: the cache's memory stays mapped for the life of the process.
        let is_as_it_was = unsafe {
            if lost.kind == Kind::Read {
                start.write_bytes(0xEE, lost.length);
            }
            std::slice::from_raw_parts(start, lost.bytes.len()) == lost.bytes
        };
        assert!(is_as_it_was, "memory of a write that was given up is used again");
    }
}

impl MemoryTransfer {
    pub fn begin(kind: Kind, file: &Arc<StoredFile>, faults: &Arc<Faults>, extents: &[Extent], ready: Instant) -> Self {
        let is_checked = kind == Kind::Write && faults.checks.load(Ordering::Relaxed);
        let bytes = if is_checked { copies_of(extents) } else { Vec::new() };
        let extents = extents.to_vec();
        let mut transfer = Self { kind, file: file.clone(), faults: faults.clone(), extents, bytes, done: None, ready };
        if faults.one_in(2) {
            transfer.run();
        }
        transfer
    }

    fn run(&mut self) {
        if self.done.is_some() {
            return;
        }
        self.done = Some(match self.kind {
            Kind::Read => self.extents.iter().map(|extent| self.file.fetch(extent)).sum(),
            Kind::Write => {
                self.extents.iter().for_each(|extent| self.file.keep(extent));
                self.extents.iter().map(|extent| extent.segment.len()).sum()
            }
        });
    }
}

impl Transfer for MemoryTransfer {
    fn has_ended(&mut self) -> bool {
        let is_ready = Instant::now() >= self.ready;
        if is_ready && self.done.is_none() && self.faults.one_in(4) {
            self.run();
        }
        is_ready && self.done.is_some()
    }

    fn wait(mut self: Box<Self>) -> Result<usize> {
        if let Err(errno) = self.faults.judge() {
            if matches!(errno, Errno::IO | Errno::TIMEDOUT | Errno::NOTCONN) {
                let mut rest = &self.bytes[..];
                for Extent { segment, .. } in &self.extents {
                    let (address, length) = (segment.as_ptr() as usize, segment.len());
                    let (bytes, behind) = rest.split_at(length.min(rest.len()));
                    rest = behind;
                    LOST.lock().unwrap().push(Lost { kind: self.kind, address, length, bytes: bytes.to_vec() });
                }
            }
            return Err(errno);
        }
        self.run();
        while Instant::now() < self.ready {
            std::hint::spin_loop();
        }
        if !self.bytes.is_empty() {
            assert!(copies_of(&self.extents) == self.bytes, "memory of a write under way was changed");
        }
        Ok(self.done.unwrap_or(0))
    }
}
