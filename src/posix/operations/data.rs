//! Reading and writing.
//!
//! A call with the cursor reserves its range first, by one atomic step, and does the transfer then. So no lock is held
//! while bytes are copied: two threads get two ranges, a signal handler that interrupts a read may read itself, and a
//! process that is killed leaves nothing locked.

use crate::ground::buffer::{Segment, check_not_null, total_bytes};
use crate::ground::{Errno, Result};
use crate::posix::description::Description;
use crate::posix::limits;
use crate::store::Kind;

/// What `pwritev2` and `preadv2` may ask for beyond the usual; all of it per call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerCall {
    /// `RWF_APPEND`.
    pub append: bool,
    /// `RWF_DSYNC`, `RWF_SYNC`.
    pub sync: bool,
}

/// Largest file offset, `off_t`'s.
const OFFSET_MAX: u64 = i64::MAX as u64;

fn check_is_file(description: &Description) -> Result<()> {
    match description.found().kind {
        Kind::Directory => Err(Errno::ISDIR),
        Kind::File => Ok(()),
        Kind::Symlink => Err(Errno::BADF),
    }
}

/// `read` and `readv`: from the cursor on.
///
/// # Errors
/// `EBADF`, `EISDIR`, `EIO`.
#[inline]
pub fn read(description: &Description, segments: &[Segment]) -> Result<usize> {
    description.check_readable()?;
    check_is_file(description)?;
    let wanted = total_bytes(segments) as u64;
    let mut start = description.cursor();
    end_of(start, wanted as usize)?;
    let length = loop {
        let Some(size_bytes) = description.object.size_at_hand() else {
            return read_then_move(description, segments);
        };
        let left = size_bytes.saturating_sub(start);
        let length = wanted.min(left);
        if length == 0 {
            return Ok(0);
        }
        check_not_null(segments)?;
        match description.move_cursor(start, start + length) {
            Ok(()) => break length as usize,
            Err(current) => start = current,
        }
    };
    let outcome = if length as u64 == wanted {
        description.object.read_at(start, segments)
    } else {
        read_limited(description, start, segments, length)
    };
    give_back(description, start, length, &outcome);
    if outcome == Err(Errno::FAULT) {
        return read_again(segments, |segments| read(description, segments));
    }
    outcome
}

/// Where the size is on another machine, the read itself tells how much there is: the cursor moves afterwards, and if
/// another thread moved it meanwhile the bytes were that thread's, and are read again from where it went.
#[cold]
fn read_then_move(description: &Description, segments: &[Segment]) -> Result<usize> {
    check_not_null(segments)?;
    let mut start = description.cursor();
    loop {
        end_of(start, total_bytes(segments))?;
        let done = match description.object.read_at(start, segments) {
            Err(Errno::FAULT) => return read_again(segments, |segments| read_then_move(description, segments)),
            outcome => outcome?,
        };
        match description.move_cursor(start, start + done as u64) {
            Ok(()) => return Ok(done),
            Err(current) => start = current,
        }
    }
}

/// A read that ends within the segments: they are cut to what was reserved, or bytes that another process appended
/// in between would be read twice.
#[cold]
fn read_limited(description: &Description, start: u64, segments: &[Segment], length: usize) -> Result<usize> {
    let mut done = 0;
    for segment in segments {
        let part = segment.part(0, length - done);
        if part.is_empty() {
            continue;
        }
        match description.object.read_at(start + done as u64, &[part]) {
            Ok(read) => done += read,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if done < length && segment.len() > part.len() {
            break;
        }
    }
    Ok(done)
}

/// Puts the cursor back to where the transfer really ended, if nobody has moved it since.
#[inline(always)]
fn give_back(description: &Description, start: u64, reserved: usize, outcome: &Result<usize>) {
    let done = *outcome.as_ref().unwrap_or(&0);
    if done < reserved {
        let _ = description.move_cursor(start + reserved as u64, start + done as u64);
    }
}

/// `pread` and its kin. The cursor stays.
///
/// # Errors
/// `EBADF`, `EISDIR`, `EIO`.
#[inline]
pub fn read_at(description: &Description, offset: u64, segments: &[Segment]) -> Result<usize> {
    description.check_readable()?;
    check_is_file(description)?;
    end_of(offset, total_bytes(segments))?;
    if check_not_null(segments).is_err() {
        let is_at_end = offset >= description.object.size_bytes()?;
        return if is_at_end { Ok(0) } else { Err(Errno::FAULT) };
    }
    match description.object.read_at(offset, segments) {
        Err(Errno::FAULT) => read_again(segments, |segments| read_at(description, offset, segments)),
        outcome => outcome,
    }
}

/// Writes at the end, wherever that is by then: where it went, and the bytes.
fn append(description: &Description, segments: &[Segment]) -> Result<(u64, usize)> {
    if limits::is_unlimited() {
        return description.object.append(segments);
    }
    let segments = limits::within(description.object.size_bytes()?, segments)?;
    description.object.append(&segments)
}

/// `write` and `writev`: at the cursor, or at the end with `O_APPEND`.
///
/// # Errors
/// `EBADF`, `ENOSPC`, `EFAULT`, `EIO`; `EINVAL` past the largest offset, as Linux has it.
#[inline]
pub fn write(description: &Description, segments: &[Segment], per_call: PerCall) -> Result<usize> {
    description.check_writable()?;
    let length = total_bytes(segments);
    if length == 0 {
        return Ok(0);
    }
    if let Some(readable) = readable_part(segments)? {
        return write(description, &readable, per_call);
    }
    if description.appends() || per_call.append {
        let (start, written) = append(description, segments)?;
        description.set_cursor(start + written as u64);
        return finish(description, written, per_call);
    }
    let mut start = description.cursor();
    let segments = limits::within(start, segments)?;
    let length = total_bytes(&segments);
    loop {
        let end = end_of(start, length)?;
        match description.move_cursor(start, end) {
            Ok(()) => break,
            Err(current) => start = current,
        }
    }
    let outcome = description.object.write_at(start, &segments);
    give_back(description, start, length, &outcome);
    finish(description, outcome?, per_call)
}

/// `pwrite` and its kin. The cursor stays; with `O_APPEND` the bytes go to the end all the same, as on Linux.
///
/// # Errors
/// As `write`.
#[inline]
pub fn write_at(description: &Description, offset: u64, segments: &[Segment], per_call: PerCall) -> Result<usize> {
    description.check_writable()?;
    let length = total_bytes(segments);
    if length == 0 {
        return Ok(0);
    }
    if let Some(readable) = readable_part(segments)? {
        return write_at(description, offset, &readable, per_call);
    }
    if description.appends() || per_call.append {
        let (_, written) = append(description, segments)?;
        return finish(description, written, per_call);
    }
    end_of(offset, length)?;
    let segments = limits::within(offset, segments)?;
    let written = description.object.write_at(offset, &segments)?;
    finish(description, written, per_call)
}

/// Before anything is written: the segments up to the first page that is not there. `None`: all of it is.
///
/// # Errors
/// `EFAULT` where nothing is there.
#[inline(always)]
fn readable_part(segments: &[Segment]) -> Result<Option<Vec<Segment>>> {
    check_not_null(segments)?;
    if segments.iter().all(|segment| segment.readable().len() == segment.len()) {
        return Ok(None);
    }
    cut(segments, Segment::readable).map(Some)
}

/// Segments cut off where the first of them is not whole.
#[cold]
fn cut(segments: &[Segment], part: fn(&Segment) -> Segment) -> Result<Vec<Segment>> {
    let mut whole = Vec::new();
    for segment in segments {
        let there = part(segment);
        whole.push(there);
        if there.len() < segment.len() {
            break;
        }
    }
    if total_bytes(&whole) == 0 { Err(Errno::FAULT) } else { Ok(whole) }
}

/// A read whose memory is not all there gives what has room, as the kernel's does.
#[cold]
fn read_again(segments: &[Segment], read: impl FnOnce(&[Segment]) -> Result<usize>) -> Result<usize> {
    let there = cut(segments, Segment::writable)?;
    // Where all of it is there by now, nobody knows what was not: no third time.
    if total_bytes(&there) == total_bytes(segments) { Err(Errno::FAULT) } else { read(&there) }
}

#[inline(always)]
fn end_of(start: u64, length: usize) -> Result<u64> {
    start.checked_add(length as u64).filter(|end| *end <= OFFSET_MAX).ok_or(Errno::INVAL)
}

#[inline(always)]
fn finish(description: &Description, written: usize, per_call: PerCall) -> Result<usize> {
    if description.is_synchronous() || per_call.sync {
        match description.is_data_synchronous() && !per_call.sync {
            true => description.object.sync_data()?,
            false => description.object.sync()?,
        }
    }
    Ok(written)
}

/// From where `lseek` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// The start.
    Set,
    /// The cursor.
    Current,
    /// The end.
    End,
    /// The next data at or after the offset.
    Data,
    /// The next hole at or after the offset.
    Hole,
}

/// `lseek`. Returns the cursor's new place.
///
/// # Errors
/// `EINVAL` for a place before the start or past the largest offset, `ENXIO` for `SEEK_DATA` and `SEEK_HOLE` past the end.
pub fn seek(description: &Description, offset: i64, whence: Whence) -> Result<u64> {
    description.check_open()?;
    let from = match whence {
        Whence::Set => 0,
        Whence::Current if offset == 0 => return Ok(description.cursor()),
        Whence::Current => description.cursor(),
        Whence::End if description.found().kind == Kind::Directory => return Err(Errno::INVAL),
        Whence::End => description.object.size_bytes()?,
        Whence::Data | Whence::Hole => {
            check_is_file(description).map_err(|_| Errno::INVAL)?;
            let offset = u64::try_from(offset).map_err(|_| Errno::NXIO)?;
            let object = &description.object;
            let place = if whence == Whence::Data { object.seek_data(offset)? } else { object.seek_hole(offset)? };
            description.set_cursor(place);
            return Ok(place);
        }
    };
    let place = (from.cast_signed()).checked_add(offset).ok_or(Errno::INVAL)?;
    let place = u64::try_from(place).map_err(|_| Errno::INVAL)?;
    description.set_cursor(place);
    Ok(place)
}
