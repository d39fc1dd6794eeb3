//! Long writes from the application's own memory, without a copy.
//!
//! libdaos goes on with a write that nobody waits for any more, and reads the memory when it does: by then the application
//! may have other bytes there. What it was told is an error, so nobody counts on the bytes of such a write; but they must
//! not come over those of the next one. So a write that was given up on is kept, and nothing is written to the container by
//! this process before it has ended ([`LeftWrites`]). (A read has no such way out: it would change the application's memory
//! behind its back, see [`super::copied`].)
#![allow(unsafe_code)]

use super::client::handle::Handle;
use super::client::mounted::Mounted;
use super::client::operation::Operation;
use super::client::transfer::{Direction, Ranges};
use super::copied::Failed;
use super::entrance;
use super::lock::Lock;
use super::patience::Patience;
use crate::ground::Errno;
use crate::ground::Result;
use crate::store::Extent;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is shorter is copied: that takes less time than a message needs to tell of memory instead of carrying the bytes.
const SEGMENT_BYTES_MIN: usize = 64 << 10;

/// Whether `extents` are worth it.
pub fn is_for(extents: &[Extent]) -> bool {
    extents.iter().all(|extent| extent.segment.len() >= SEGMENT_BYTES_MIN)
}

/// Writes `extents`.
///
/// # Errors
/// As [`Failed`] has them.
pub fn write(
    mounted: &Arc<Mounted>,
    handle: &Arc<Handle>,
    extents: &[Extent],
    patience: &Patience,
) -> std::result::Result<(), Failed> {
    // A pointer that leads nowhere is found out here, and not by the connection.
    if extents.iter().any(|extent| extent.segment.readable().len() < extent.segment.len()) {
        return Err(Failed::Told(Errno::FAULT));
    }
    // SAFETY: the application's memory stays for as long as it is waited for here; what is given up on may read what the
    // application does with it then, see above.
    let operation = unsafe { Operation::transfer(mounted, handle, Direction::Write, extents) };
    let mut operation = operation.map_err(Failed::Told)?;
    match operation.wait_or_leave(patience) {
        Ok(outcome) => outcome.map_err(Failed::Told),
        Err(error) => {
            mounted.left_writes.keep(operation);
            entrance::note_given_up();
            Err(Failed::GivenUp(error))
        }
    }
}

/// Writes that were given up on.
pub struct LeftWrites {
    count: AtomicUsize,
    operations: Lock<Vec<Operation<Ranges>>>,
}

impl LeftWrites {
    /// None.
    pub const fn new() -> Self {
        Self { count: AtomicUsize::new(0), operations: Lock::new(Vec::new()) }
    }

    fn keep(&self, operation: Operation<Ranges>) {
        let mut operations = self.operations.lock();
        operations.push(operation);
        self.count.store(operations.len(), Ordering::Release);
    }

    /// Whether there are any.
    pub fn are_any(&self) -> bool {
        self.count.load(Ordering::Acquire) != 0
    }

    /// Waits until all have ended, however.
    ///
    /// # Errors
    /// `ETIMEDOUT`, `EINTR` where patience ends first.
    pub fn end(&self, patience: &Patience) -> Result<()> {
        let mut attempt = 0;
        while self.are_any() {
            {
                let mut operations = self.operations.lock();
                operations.retain_mut(|operation| !operation.poll(0));
                self.count.store(operations.len(), Ordering::Release);
            }
            if self.are_any() {
                patience.nap(attempt)?;
                attempt += 1;
            }
        }
        Ok(())
    }

    /// In a fork child, before anything else.
    pub fn after_fork_in_child(&self) {
        self.operations.free_in_child();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::buffer::Segment;

    #[test]
    fn short_pieces_are_copied() {
        let bytes = vec![0; SEGMENT_BYTES_MIN];
        let long = Extent { offset: 0, segment: Segment::of_slice(&bytes) };
        let short = Extent { offset: 1 << 20, segment: Segment::of_slice(&bytes[1..]) };
        assert!(is_for(&[long]));
        assert!(!is_for(&[long, short]));
    }
}
