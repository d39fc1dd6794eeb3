//! What a cache needs of an engine whose every transfer is a message to another machine: many ranges in one call,
//! transfers that run while the program does, and words on when to write back.

use super::{ArrayObject, Attributes, Container, Found, NodeId};
use crate::ground::{Result, buffer::Segment};
use std::sync::Arc;

/// One contiguous piece of a transfer: bytes of the array from `offset` on, from or to `segment`.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Where in the array, in bytes.
    pub offset: u64,
    /// The memory; its length is the piece's.
    pub segment: Segment,
}

/// A transfer that was begun and not waited for. Its memory must stay as it is until the transfer has ended; a
/// transfer that was given up on ([`Transfer::wait`] answered `ETIMEDOUT`, `EINTR`, `EIO` or `ENOTCONN`) may still reach
/// for its memory, which is then never to be used again.
pub trait Transfer: Send {
    /// Whether it has ended, with a look at the network but without waiting.
    fn has_ended(&mut self) -> bool;

    /// Waits for its end. Bytes that were read (fewer only at the end of the file), or written.
    ///
    /// # Errors
    /// The engine's, after the retries that it makes, within the mount's `timeout=`.
    fn wait(self: Box<Self>) -> Result<usize>;
}

/// An array object on another machine. The `ArrayObject` calls on it go to the store at once, each as few messages as
/// its ranges allow, and never through a cache of bytes. Its size, unlike a local one's, costs messages.
pub trait RemoteArray: ArrayObject {
    /// Reads `extents`, ascending and apart from one another, in as few messages as possible. What lies past the end
    /// of the file is left as it was. Returns the bytes that were there, counted from the first extent's start to the
    /// end of the file in each extent.
    fn read_extents(&self, extents: &[Extent]) -> Result<usize>;

    /// Writes `extents`, ascending and apart from one another; the file grows as needed. All or an error, and with an
    /// error nobody knows which of them arrived: writing them again is harmless.
    fn write_extents(&self, extents: &[Extent]) -> Result<()>;

    /// Begins to read `extents`, as [`read_extents`](Self::read_extents) does, into memory that is the caller's own and no
    /// application's.
    fn begin_read(&self, extents: &[Extent]) -> Result<Box<dyn Transfer>>;

    /// Begins to write `extents`, as [`write_extents`](Self::write_extents) does, from memory that is the caller's own and
    /// no application's.
    fn begin_write(&self, extents: &[Extent]) -> Result<Box<dyn Transfer>>;

    /// An open's own message: finds the node under its name as it is now. What was begun on the array before, its first
    /// bytes, goes on meanwhile.
    ///
    /// # Errors
    /// `ENOENT` if the name leads elsewhere by now: look it up again.
    fn confirm(&self) -> Result<()> {
        Ok(())
    }

    /// The size in bytes as it was last told, however long ago: what may be begun to be read before it is known.
    fn size_to_expect(&self) -> Option<u64> {
        None
    }

    /// The size in bytes and the epoch of the array's last change, by whichever client, as the store has them now: one
    /// message. No epoch where the engine can't tell it.
    ///
    /// # Errors
    /// The engine's.
    fn last_change(&self) -> Result<(u64, Option<u64>)> {
        Ok((self.size_bytes()?, None))
    }

    /// The array's chunk size, in bytes: 1 KiB to 64 MiB or more, of any multiple. A transfer within a chunk goes to
    /// one target.
    fn chunk_bytes(&self) -> u64;

    /// The array changed through this process at this moment and is `size_bytes_min` long at least: what the engine
    /// remembers of its attributes is brought up to date without a message.
    fn note_written(&self, size_bytes_min: u64);

    /// A rule for appends within this node: while the guard lives, no other process of this node that asks for the
    /// same array's guard has it.
    ///
    /// # Errors
    /// `ENOLCK` where the node's lock file can't be had.
    fn lock_for_append(&self) -> Result<Box<dyn AppendGuard + '_>>;
}

/// Held while an append asks for the size and writes; dropping it lets the next one in.
pub trait AppendGuard {}

/// A container on another machine.
pub trait RemoteContainer: Container {
    /// Opens a node as [`Container::open`] does, for a cache to be put before it; but without the message, which
    /// [`RemoteArray::confirm`] sends: only then is it good.
    ///
    /// # Errors
    /// As `open`.
    fn open_remote(&self, found: Found) -> Result<Arc<dyn RemoteArray>>;

    /// As [`Container::adopt`], for a cache to be put before it.
    ///
    /// # Errors
    /// As `adopt`.
    fn adopt_remote(&self, found: Found, ticket: &[u8]) -> Result<Arc<dyn RemoteArray>>;

    /// What is remembered of a node's attributes, or asked where nothing fresh is.
    ///
    /// # Errors
    /// As [`Container::attributes`].
    fn remote_attributes(&self, node: NodeId) -> Result<Attributes>;
}
