//! An open array object: bytes at offsets.

use super::{Attributes, Changes, Found};
use crate::ground::{Result, buffer::Segment};

/// What `fallocate` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Mode 0: the range is allocated, the file grows to its end.
    Extend,
    /// `FALLOC_FL_KEEP_SIZE`.
    KeepSize,
    /// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`: zeros, and the space given back.
    PunchHole,
    /// `FALLOC_FL_ZERO_RANGE`, with the file growing to the range's end.
    ZeroExtend,
    /// `FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE`.
    ZeroKeepSize,
}

/// An open node. Dropping it closes it. Directories and symlinks are opened too, to hold them; their data calls
/// answer `EISDIR` and `EBADF`. Reads and writes may come from several threads and from a signal handler that
/// interrupted one of them: they take no lock that a thread's own handler could wait for.
///
/// Times are kept by the object: writes move the modification time, reads the access time under relatime's rule.
pub trait ArrayObject: Send + Sync {
    /// Which node this is.
    fn found(&self) -> Found;

    /// Its size now, in bytes, other processes' completed writes included.
    fn size_bytes(&self) -> Result<u64>;

    /// Its attributes now.
    fn attributes(&self) -> Result<Attributes>;

    /// Changes its attributes.
    fn change(&self, changes: &Changes) -> Result<()>;

    /// Reads from `offset` into `segments`, in their order; holes are zeros. Fewer bytes only at the end of the file.
    fn read_at(&self, offset: u64, segments: &[Segment]) -> Result<usize>;

    /// Writes `segments` at `offset`; the file grows as needed. Fewer bytes only where space ran out on the way.
    ///
    /// # Errors
    /// `ENOSPC` with nothing written, `EFBIG` past 2^63 - 1, `EIO`.
    fn write_at(&self, offset: u64, segments: &[Segment]) -> Result<usize>;

    /// Writes `segments` at the end, in one step against every other process's append. Returns the offset that they
    /// went to, and the bytes.
    fn append(&self, segments: &[Segment]) -> Result<(u64, usize)>;

    /// Cuts the file off, or lets it grow with a hole.
    fn set_size(&self, size_bytes: u64) -> Result<()>;

    /// Allocates, zeroes or punches a range.
    fn allocate(&self, how: Allocation, offset: u64, length: u64) -> Result<()>;

    /// The next byte of data at or after `offset`; `ENXIO` where there is none before the end.
    fn seek_data(&self, offset: u64) -> Result<u64>;

    /// The next hole at or after `offset`, the end of the file being one; `ENXIO` past the end.
    fn seek_hole(&self, offset: u64) -> Result<u64>;

    /// What was written and is known of this file is on stable storage when this returns.
    fn sync(&self) -> Result<()>;

    /// As [`ArrayObject::sync`], of what it takes to read the bytes: other attributes may follow later.
    ///
    /// # Errors
    /// As there.
    fn sync_data(&self) -> Result<()> {
        self.sync()
    }

    /// Its size, if that is known without asking another machine. `None`: a reader had better read and see.
    fn size_at_hand(&self) -> Option<u64> {
        self.size_bytes().ok()
    }

    /// Every byte written so far is in the store, if not yet on stable storage, and every error that a write made
    /// after it had returned is told, once. Called by `close` of any of its descriptors.
    ///
    /// # Errors
    /// Of a write that went out late: `ENOSPC`, `EIO`, `EDQUOT`...
    fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Whether this opening is strict whatever its mount says: a write is in the store when it returns, and a read
    /// never comes from a cache that another process's completed write has passed by. So it is with `O_SYNC`, `O_DSYNC`,
    /// `O_DIRECT`, and for as long as several processes share the description.
    fn set_strict(&self, _is_strict: bool) {}

    /// Whether this process counts as one that has the node open, or has anything else to do at the end.
    fn counts(&self) -> bool {
        true
    }

    /// The process is about to become another program, and something else keeps the node alive: it does not count this
    /// opening any more, until it is used again.
    fn leave(&self) {}

    /// What another process needs beside [`Found`] to open this node, unlinked or not: written to `room`
    /// ([`TICKET_BYTES_MAX`] are enough); returns its length.
    ///
    /// # Errors
    /// What the engine says.
    fn ticket(&self, _room: &mut [u8]) -> Result<usize> {
        Ok(0)
    }
}

/// Bytes that a ticket may have.
pub const TICKET_BYTES_MAX: usize = 1024;
