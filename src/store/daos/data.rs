//! Bytes of an open file: lists of ranges, cut into calls that a server can take, made again where they fail in passing,
//! and given up when the mount's patience ends.

use super::client::handle::Handle;
use super::client::mounted::Mounted;
use super::client::operation::Operation;
use super::client::transfer::{Direction, Ranges};
use super::copied::{self, Failed};
use super::entrance;
use super::error::is_transient;
use super::straight;
use crate::ground::{Errno, Result};
use crate::store::{Extent, Transfer};
use std::sync::Arc;

/// Bytes in one call. A call is one message for each chunk and target at least; with more in it the servers run out of
/// buffers first (`DER_NOMEM`), and nothing is gained: 16 chunks of a MiB in flight fill any network.
const CALL_BYTES_MAX: usize = 64 << 20;

/// Ranges in one call: libdaos takes 16,384 short ones; a message's own limit is nearer for long ones.
const CALL_EXTENTS_MAX: usize = 1024;

/// Chunks in one call, each a message of its own: 32,768 at once go well, 65,536 end with `DER_NOMEM` (measured with 2.8.0
/// and chunks of 1 KiB), and nothing is gained by more than some.
const CALL_CHUNKS_MAX: u64 = 8192;

/// What is so short is never cut: chunks are larger than a hundred bytes.
const SHORT_BYTES: usize = 1 << 20;

/// How many bytes of `extents` may go in one call.
fn call_bytes_max(handle: &Handle, extents: &[Extent]) -> usize {
    if bytes_of(extents) <= SHORT_BYTES {
        return CALL_BYTES_MAX;
    }
    let chunk_bytes = handle.chunk_bytes().unwrap_or(1);
    let bytes = usize::try_from(chunk_bytes.saturating_mul(CALL_CHUNKS_MAX)).unwrap_or(usize::MAX);
    bytes.min(CALL_BYTES_MAX)
}

/// Moves `extents` in as few calls as possible; the bytes that were read, or that there were to write.
///
/// # Errors
/// The library's; `ETIMEDOUT` when patience ended, `EINTR` when a signal wants to end the program.
pub fn transfer(
    mounted: &Arc<Mounted>,
    handle: &Arc<Handle>,
    direction: Direction,
    extents: &[Extent],
) -> Result<usize> {
    cut(handle, extents, |extents, bytes| one_call(mounted, handle, direction, extents, bytes))
}

/// Writes `extents`, whose memory is the application's and stays what it is for as long as its call lasts: from there, where
/// they are long.
///
/// # Errors
/// As [`transfer`].
pub fn write(mounted: &Arc<Mounted>, handle: &Arc<Handle>, extents: &[Extent]) -> Result<usize> {
    cut(handle, extents, |extents, bytes| one_write(mounted, handle, extents, bytes))
}

/// Cuts `extents` into as few calls as possible; what they come to together.
fn cut(handle: &Handle, extents: &[Extent], one_call: impl Fn(&[Extent], usize) -> Result<usize>) -> Result<usize> {
    let bytes = bytes_of(extents);
    let has_empty = || extents.iter().any(|extent| extent.segment.is_empty());
    if bytes != 0 && bytes <= SHORT_BYTES && extents.len() <= CALL_EXTENTS_MAX && !has_empty() {
        return one_call(extents, bytes);
    }
    let call_bytes_max = call_bytes_max(handle, extents);
    let mut moved = 0;
    let mut call = Vec::new();
    let mut call_bytes = 0;
    for extent in extents.iter().filter(|extent| !extent.segment.is_empty()) {
        let mut done = 0;
        while done < extent.segment.len() {
            let segment = extent.segment.part(done, call_bytes_max - call_bytes);
            call.push(Extent { offset: extent.offset + done as u64, segment });
            call_bytes += segment.len();
            done += segment.len();
            if call_bytes == call_bytes_max || call.len() == CALL_EXTENTS_MAX {
                moved += one_call(&call, call_bytes)?;
                call.clear();
                call_bytes = 0;
            }
        }
    }
    if !call.is_empty() {
        moved += one_call(&call, call_bytes)?;
    }
    Ok(moved)
}

fn one_write(mounted: &Arc<Mounted>, handle: &Arc<Handle>, extents: &[Extent], bytes: usize) -> Result<usize> {
    if straight::is_for(extents) {
        let patience = mounted.patience();
        mounted.left_writes.end(&patience)?;
        mounted.count(1);
        match straight::write(mounted, handle, extents, &patience) {
            Ok(()) => return Ok(bytes),
            Err(Failed::GivenUp(error)) => return Err(error),
            // Whatever it was, of the memory perhaps, which not every network takes: once more, by a copy.
            Err(Failed::Told(_)) => {}
        }
    }
    one_call(mounted, handle, Direction::Write, extents, bytes)
}

fn one_call(
    mounted: &Arc<Mounted>,
    handle: &Arc<Handle>,
    direction: Direction,
    extents: &[Extent],
    bytes: usize,
) -> Result<usize> {
    let patience = mounted.patience();
    if direction == Direction::Write {
        mounted.left_writes.end(&patience)?;
    }
    for attempt in 0.. {
        mounted.count(1);
        match copied::transfer(mounted, handle, direction, extents, &patience) {
            Ok(count) => return Ok(if direction == Direction::Read { count } else { bytes }),
            Err(Failed::GivenUp(error)) => return Err(error),
            Err(Failed::Told(error)) if is_transient(error) => match patience.pause(attempt) {
                Ok(()) => {}
                Err(Errno::INTR) => return Err(Errno::INTR),
                Err(_) => return Err(error),
            },
            // Node, ranges and memory are right. What libdfs finds invalid is the connection, which the servers have
            // dropped: an agent that ends takes its clients' connections with it.
            Err(Failed::Told(Errno::INVAL)) => return Err(Errno::NOTCONN),
            Err(Failed::Told(error)) => return Err(error),
        }
    }
    Err(Errno::TIMEDOUT)
}

/// A transfer under way, for [`Transfer`].
pub struct Begun {
    mounted: Arc<Mounted>,
    handle: Arc<Handle>,
    direction: Direction,
    extents: Vec<Extent>,
    operation: Option<Operation<Ranges>>,
}

// SAFETY: the extents' memory is the caller's own by the contract of `begin_read` and `begin_write`, for any thread.
#[allow(unsafe_code)]
unsafe impl Send for Begun {}

/// Begins to move extents whose memory is the caller's own.
///
/// # Errors
/// What the library says before it has begun.
#[allow(unsafe_code)]
pub fn begin(mounted: &Arc<Mounted>, handle: &Arc<Handle>, direction: Direction, extents: &[Extent]) -> Result<Begun> {
    let extents: Vec<Extent> = extents.iter().filter(|extent| !extent.segment.is_empty()).copied().collect();
    let is_one_call = bytes_of(&extents) <= call_bytes_max(handle, &extents) && extents.len() <= CALL_EXTENTS_MAX;
    let has_to_wait = direction == Direction::Write && mounted.left_writes.are_any();
    let operation = if extents.is_empty() || !is_one_call || has_to_wait {
        // Nothing to do, or more than one call, or others have to end first: done by `wait`.
        None
    } else {
        mounted.count(1);
        // SAFETY: the caller's word that the memory stays, for good if the transfer is given up on.
        Some(unsafe { Operation::transfer(mounted, handle, direction, &extents) }?)
    };
    Ok(Begun { mounted: mounted.clone(), handle: handle.clone(), direction, extents, operation })
}

fn bytes_of(extents: &[Extent]) -> usize {
    extents.iter().map(|extent| extent.segment.len()).sum()
}

impl Transfer for Begun {
    fn has_ended(&mut self) -> bool {
        let Ok(_entered) = entrance::enter() else { return true };
        self.operation.as_mut().is_none_or(|operation| operation.poll(0))
    }

    fn wait(mut self: Box<Self>) -> Result<usize> {
        let _entered = entrance::enter()?;
        let bytes = bytes_of(&self.extents);
        if let Some(mut operation) = self.operation.take() {
            match operation.wait(&self.mounted.patience()) {
                Ok(()) if self.direction == Direction::Write => return Ok(bytes),
                Ok(()) => return Ok(usize::try_from(operation.byte_count()).unwrap_or(bytes)),
                Err(error) if operation.is_lost() || !is_transient(error) => return Err(error),
                Err(_) => {}
            }
        }
        transfer(&self.mounted, &self.handle, self.direction, &self.extents)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            let _entered = entrance::enter_as_is();
            drop(operation);
        }
    }
}
