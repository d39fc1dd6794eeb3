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
    extent: Extent,
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
    unsafe { segment.copy_to(bytes.as_mut_ptr()) };
    bytes
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
    pub fn begin(kind: Kind, file: &Arc<StoredFile>, faults: &Arc<Faults>, extent: Extent, ready: Instant) -> Self {
        let is_checked = kind == Kind::Write && faults.checks.load(Ordering::Relaxed);
        let bytes = if is_checked { copy_of(&extent.segment) } else { Vec::new() };
        let mut transfer = Self { kind, file: file.clone(), faults: faults.clone(), extent, bytes, done: None, ready };
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
            Kind::Read => self.file.fetch(&self.extent),
            Kind::Write => {
                self.file.keep(&self.extent);
                self.extent.segment.len()
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
                let (address, length) = (self.extent.segment.as_ptr() as usize, self.extent.segment.len());
                LOST.lock().unwrap().push(Lost { kind: self.kind, address, length, bytes: self.bytes });
            }
            return Err(errno);
        }
        self.run();
        while Instant::now() < self.ready {
            std::hint::spin_loop();
        }
        if !self.bytes.is_empty() {
            assert!(copy_of(&self.extent.segment) == self.bytes, "memory of a write under way was changed");
        }
        Ok(self.done.unwrap_or(0))
    }
}
