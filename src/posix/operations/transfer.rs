//! `sendfile`, `copy_file_range` and `splice`: from one descriptor to another, one of them ours at least.

use crate::ground::buffer::Segment;
use crate::ground::{Errno, Result, kernel};
use crate::posix::description::Description;
use crate::posix::descriptor::placeholder::borrowed;
use crate::posix::operations::data::{self, PerCall};

/// Bytes that are moved at a time: large enough that a step is the copy and little else.
const STEP_BYTES: usize = 1 << 20;

/// Bytes that one call moves at the most: a signal is not kept waiting for the rest of a large file.
const CALL_BYTES_MAX: usize = 128 << 20;

/// One end of a transfer.
pub enum End<'a> {
    /// A description of ours, at an offset or at its cursor.
    Ours(&'a Description, Option<u64>),
    /// A kernel descriptor, at an offset or wherever it is.
    Host(i32, Option<u64>),
}

impl End<'_> {
    fn read(&self, moved: usize, room: Segment) -> Result<usize> {
        match self {
            Self::Ours(description, Some(offset)) => data::read_at(description, offset + moved as u64, &[room]),
            Self::Ours(description, None) => data::read(description, &[room]),
            Self::Host(descriptor, Some(offset)) => kernel::read_at(*descriptor, &room, offset + moved as u64),
            Self::Host(descriptor, None) => kernel::read(*descriptor, &room),
        }
    }

    fn write(&self, moved: usize, bytes: Segment) -> Result<usize> {
        match self {
            Self::Ours(description, Some(offset)) => {
                data::write_at(description, offset + moved as u64, &[bytes], PerCall::default())
            }
            Self::Ours(description, None) => data::write(description, &[bytes], PerCall::default()),
            Self::Host(descriptor, Some(offset)) => kernel::write_at(*descriptor, &bytes, offset + moved as u64),
            Self::Host(descriptor, None) => kernel::write(*descriptor, &bytes),
        }
    }

    /// Bytes that a file still has from here on; as much as can be for anything else.
    fn bytes_left(&self) -> u64 {
        let (size_bytes, start) = match self {
            Self::Ours(description, offset) => {
                (description.object.size_bytes().ok(), offset.unwrap_or_else(|| description.cursor()))
            }
            Self::Host(descriptor, offset) => {
                let stat = rustix::fs::fstat(borrowed(*descriptor)).ok().filter(|stat| stat.st_size > 0);
                (stat.map(|stat| stat.st_size.cast_unsigned()), offset.unwrap_or(0))
            }
        };
        size_bytes.map_or(u64::MAX, |size_bytes| size_bytes.saturating_sub(start))
    }

    /// Gives back what was read and could not be written. A pipe can't take it back: it is never read ahead of.
    fn unread(&self, bytes: usize) {
        match self {
            Self::Ours(description, None) => description.set_cursor(description.cursor().saturating_sub(bytes as u64)),
            Self::Host(descriptor, None) => {
                let back = rustix::fs::SeekFrom::Current(-(bytes as i64));
                let _ = rustix::fs::seek(borrowed(*descriptor), back);
            }
            Self::Ours(_, Some(_)) | Self::Host(_, Some(_)) => {}
        }
    }
}

/// Moves up to `length` bytes; how many it were. `step_bytes_max` bounds what is under way at a time, for an end that
/// can't take bytes back.
///
/// # Errors
/// What the first step says; a later error ends the transfer, and the next call meets it again.
pub fn transfer(from: &End<'_>, to: &End<'_>, length: usize, step_bytes_max: usize) -> Result<usize> {
    let length = length.min(CALL_BYTES_MAX);
    // A small file, which is what most are, needs no large buffer; one byte more shows its end.
    let there = usize::try_from(from.bytes_left()).unwrap_or(usize::MAX).saturating_add(1);
    let mut buffer = vec![0u8; length.min(STEP_BYTES).min(step_bytes_max).min(there)];
    let mut moved = 0;
    while moved < length {
        let wanted = buffer.len().min(length - moved);
        let read = match from.read(moved, Segment::of_slice_mut(&mut buffer[..wanted])) {
            Ok(read) => read,
            Err(error) if moved == 0 => return Err(error),
            Err(_) => break,
        };
        let mut written = 0;
        let mut failure = None;
        while written < read {
            match to.write(moved + written, Segment::of_slice(&buffer[written..read])) {
                Ok(0) => break,
                Ok(bytes) => written += bytes,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        moved += written;
        if written < read {
            from.unread(read - written);
            return match failure {
                Some(error) if moved == 0 => Err(error),
                _ => Ok(moved),
            };
        }
        if read < wanted {
            break;
        }
    }
    Ok(moved)
}

/// Checks the ends of a `copy_file_range` within one file.
///
/// # Errors
/// `EINVAL` where the ranges overlap.
pub fn check_ranges(from: (&Description, u64), to: (&Description, u64), length: usize) -> Result<()> {
    let is_same = std::ptr::eq(from.0.mount, to.0.mount) && from.0.found() == to.0.found();
    let distance = from.1.abs_diff(to.1);
    if is_same && distance < length as u64 { Err(Errno::INVAL) } else { Ok(()) }
}
