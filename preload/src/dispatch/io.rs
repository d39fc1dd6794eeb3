//! Reading, writing, seeking and listing, on a descriptor.

use super::arguments::{buffer, descriptor, segments};
use super::{Call, Verdict, fault};
use house::ground::buffer::Segment;
use house::ground::{Errno, Result};
use house::posix::descriptor::slots::Held;
use house::posix::descriptor::table::{self, Lookup};
use house::posix::operations::data::{self, PerCall, Whence};
use house::posix::operations::listing;
use house::posix::report::{self, Class};

/// Does an operation on a description of ours, or passes the call on.
#[inline(always)]
pub fn on_descriptor(argument: u64, class: Class, operation: impl FnOnce(&Held) -> Result<i64>) -> Verdict {
    match table::look_up(descriptor(argument)) {
        Lookup::Ours(held) => {
            let begun = report::begin();
            let mount = held.mount.index;
            fault::strike();
            let verdict = Verdict::of(operation(&held));
            if let Verdict::Done(result) = verdict {
                report::end(begun, mount, class, result);
            }
            verdict
        }
        Lookup::NotOurs => Verdict::Pass,
        // A library under us works on its own; to the application the number is closed.
        Lookup::Parked => Verdict::of::<i64>(Err(Errno::BADF)),
        Lookup::Lost => Verdict::of::<i64>(Err(Errno::IO)),
    }
}

/// An operation's byte count as the call's result.
#[inline(always)]
fn bytes(outcome: Result<usize>) -> Result<i64> {
    outcome.map(|count| count as i64)
}

/// A file offset argument.
fn offset(argument: u64) -> Result<u64> {
    if argument > i64::MAX as u64 { Err(Errno::INVAL) } else { Ok(argument) }
}

/// `read(fd, buffer, length)`
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
#[inline(always)]
pub unsafe fn read(call: &Call) -> Verdict {
    let [fd, start, length, ..] = call.arguments;
    on_descriptor(fd, Class::Read, |held| {
        held.check_readable()?;
        // SAFETY: by the caller's word.
        let segment = unsafe { buffer(start, length) }?;
        bytes(data::read(held, &[segment]))
    })
}

/// `write(fd, buffer, length)`
#[inline(always)]
pub unsafe fn write(call: &Call) -> Verdict {
    let [fd, start, length, ..] = call.arguments;
    on_descriptor(fd, Class::Write, |held| {
        held.check_writable()?;
        // SAFETY: by the caller's word.
        let segment = unsafe { buffer(start, length) }?;
        bytes(data::write(held, &[segment], PerCall::default()))
    })
}

/// `pread64(fd, buffer, length, offset)`
#[inline(always)]
pub unsafe fn pread(call: &Call) -> Verdict {
    let [fd, start, length, place, ..] = call.arguments;
    on_descriptor(fd, Class::Read, |held| {
        let place = offset(place)?;
        held.check_readable()?;
        // SAFETY: by the caller's word.
        let segment = unsafe { buffer(start, length) }?;
        bytes(data::read_at(held, place, &[segment]))
    })
}

/// `pwrite64(fd, buffer, length, offset)`
#[inline(always)]
pub unsafe fn pwrite(call: &Call) -> Verdict {
    let [fd, start, length, place, ..] = call.arguments;
    on_descriptor(fd, Class::Write, |held| {
        let place = offset(place)?;
        held.check_writable()?;
        // SAFETY: by the caller's word.
        let segment = unsafe { buffer(start, length) }?;
        bytes(data::write_at(held, place, &[segment], PerCall::default()))
    })
}

/// A vectored read or write: at an offset, or at the cursor.
unsafe fn vectored(call: &Call, class: Class, place: Option<u64>, per_call: PerCall) -> Verdict {
    let [fd, array, count, ..] = call.arguments;
    on_descriptor(fd, class, |held| {
        let place = place.map(offset).transpose()?;
        match class {
            Class::Read => held.check_readable()?,
            _ => held.check_writable()?,
        }
        // SAFETY: by the caller's word.
        let segments: &[Segment] = &unsafe { segments(array, count) }?;
        if class == Class::Read && segments.iter().all(Segment::is_empty) {
            // Linux looks at what the descriptor leads to only where there is a byte to read: a directory is no error.
            return bytes(Ok(0));
        }
        bytes(match (class, place) {
            (Class::Read, None) => data::read(held, segments),
            (Class::Read, Some(place)) => data::read_at(held, place, segments),
            (_, None) => data::write(held, segments, per_call),
            (_, Some(place)) => data::write_at(held, place, segments, per_call),
        })
    })
}

/// `readv(fd, iovec, count)`
pub unsafe fn readv(call: &Call) -> Verdict {
    // SAFETY: by the caller's word.
    unsafe { vectored(call, Class::Read, None, PerCall::default()) }
}

/// `writev(fd, iovec, count)`
pub unsafe fn writev(call: &Call) -> Verdict {
    // SAFETY: by the caller's word.
    unsafe { vectored(call, Class::Write, None, PerCall::default()) }
}

/// `preadv(fd, iovec, count, low, high)`: on 64 bits the offset is all in `low`.
pub unsafe fn preadv(call: &Call) -> Verdict {
    // SAFETY: by the caller's word.
    unsafe { vectored(call, Class::Read, Some(call.arguments[3]), PerCall::default()) }
}

/// `pwritev(fd, iovec, count, low, high)`
pub unsafe fn pwritev(call: &Call) -> Verdict {
    // SAFETY: by the caller's word.
    unsafe { vectored(call, Class::Write, Some(call.arguments[3]), PerCall::default()) }
}

/// The flags that the fifth argument of the v2 calls may have: what each means is either done here anyway (`HIPRI`,
/// `NOWAIT`: we never wait) or done by the data layer.
fn per_call(flags: u64) -> Result<PerCall> {
    let flags = flags as i32;
    const KNOWN: i32 = libc::RWF_HIPRI | libc::RWF_DSYNC | libc::RWF_SYNC | libc::RWF_NOWAIT | libc::RWF_APPEND;
    if flags & !KNOWN != 0 {
        return Err(Errno::OPNOTSUPP);
    }
    Ok(PerCall { append: flags & libc::RWF_APPEND != 0, sync: flags & (libc::RWF_DSYNC | libc::RWF_SYNC) != 0 })
}

/// The offset of a v2 call: -1 is the cursor.
fn place_or_cursor(argument: u64) -> Option<u64> {
    (argument != u64::MAX).then_some(argument)
}

/// `preadv2(fd, iovec, count, low, high, flags)`
pub unsafe fn preadv2(call: &Call) -> Verdict {
    match per_call(call.arguments[5]) {
        // SAFETY: by the caller's word.
        Ok(flags) => unsafe { vectored(call, Class::Read, place_or_cursor(call.arguments[3]), flags) },
        Err(error) => on_descriptor(call.arguments[0], Class::Read, |_| Err(error)),
    }
}

/// `pwritev2(fd, iovec, count, low, high, flags)`
pub unsafe fn pwritev2(call: &Call) -> Verdict {
    match per_call(call.arguments[5]) {
        // SAFETY: by the caller's word.
        Ok(flags) => unsafe { vectored(call, Class::Write, place_or_cursor(call.arguments[3]), flags) },
        Err(error) => on_descriptor(call.arguments[0], Class::Write, |_| Err(error)),
    }
}

/// `lseek(fd, offset, whence)`
pub unsafe fn lseek(call: &Call) -> Verdict {
    let [fd, place, whence, ..] = call.arguments;
    on_descriptor(fd, Class::Descriptor, |held| {
        let whence = match whence as i32 {
            libc::SEEK_SET => Whence::Set,
            libc::SEEK_CUR => Whence::Current,
            libc::SEEK_END => Whence::End,
            libc::SEEK_DATA => Whence::Data,
            libc::SEEK_HOLE => Whence::Hole,
            _ => return Err(Errno::INVAL),
        };
        data::seek(held, place.cast_signed(), whence).map(u64::cast_signed)
    })
}

/// `getdents64(fd, buffer, length)`
pub unsafe fn getdents(call: &Call) -> Verdict {
    let [fd, start, length, ..] = call.arguments;
    on_descriptor(fd, Class::Descriptor, |held| {
        // SAFETY: by the caller's word.
        let room = unsafe { buffer(start, u64::from(length as u32)) }?;
        bytes(listing::list(held, &room))
    })
}
