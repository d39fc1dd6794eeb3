//! `sendfile`, `copy_file_range`, `splice`.

use super::arguments::{descriptor, put, take};
use super::{Call, Verdict};
use house::ground::{Errno, Result, causality};
use house::posix::descriptor::placeholder::borrowed;
use house::posix::descriptor::slots::Held;
use house::posix::descriptor::table;
use house::posix::operations::transfer::{End, check_ranges, transfer};
use house::store::Kind;
use rustix::fs::{FileType, OFlags};

/// What a pipe holds: more is not read ahead for one, because it could not be put back.
const PIPE_BYTES: usize = 64 << 10;

/// An end of the transfer: a descriptor, and the offset that the application keeps for it, if it does.
struct Side {
    number: i32,
    held: Option<Held>,
    offset: Option<u64>,
    /// Where the application keeps the offset.
    place: u64,
}

impl Side {
    /// # Safety
    /// `place` is null or the application's word for an `off_t`; `before_start` is the error for a negative one.
    unsafe fn new(number: u64, place: u64, before_start: Errno) -> Result<Self> {
        let number = descriptor(number);
        let offset = match place {
            0 => None,
            // SAFETY: by the caller's word.
            _ => Some(u64::try_from(unsafe { take::<i64>(place) }?).map_err(|_| before_start)?),
        };
        Ok(Self { number, held: table::get(number)?, offset, place })
    }

    fn end(&self) -> End<'_> {
        match &self.held {
            Some(held) => End::Ours(held, self.offset),
            None => End::Host(self.number, self.offset),
        }
    }

    /// # Safety
    /// As `new`.
    unsafe fn advance(&self, moved: usize) -> Result<()> {
        match self.offset {
            // SAFETY: by the caller's word.
            Some(offset) => unsafe { put(self.place, offset + moved as u64) },
            None => Ok(()),
        }
    }

    fn check_data(&self) -> Result<()> {
        match &self.held {
            Some(held) if held.found().kind == Kind::Directory => Err(Errno::ISDIR),
            _ => Ok(()),
        }
    }
}

/// Moves bytes between two sides, unless neither is ours.
unsafe fn between(from: Result<Side>, to: Result<Side>, length: u64, step_bytes: usize, kind: Kinds) -> Verdict {
    let (from, to) = match (from, to) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(error), _) | (_, Err(error)) => return Verdict::of::<i64>(Err(error)),
    };
    if from.held.is_none() && to.held.is_none() {
        return Verdict::Pass;
    }
    Verdict::of((|| {
        if kind == Kinds::Copy {
            from.check_data()?;
            to.check_data()?;
        }
        match &from.held {
            Some(held) => held.check_readable()?,
            None => check_host(from.number, OFlags::WRONLY)?,
        }
        match &to.held {
            Some(held) => held.check_writable()?,
            None => check_host(to.number, OFlags::RDONLY)?,
        }
        if from.check_data().is_err() {
            return Err(Errno::INVAL);
        }
        if to.held.as_ref().is_some_and(|held| held.appends()) {
            return Err(if kind == Kinds::Copy { Errno::BADF } else { Errno::INVAL });
        }
        if length > i64::MAX as u64 {
            return Err(Errno::INVAL);
        }
        let length = length as usize;
        if let (Some(first), Some(second)) = (&from.held, &to.held) {
            let start = |side: &Side, held: &Held| side.offset.unwrap_or_else(|| held.cursor());
            // What is not there is not copied, and does not overlap.
            let there = first.object.size_bytes()?.saturating_sub(start(&from, first));
            let length = length.min(usize::try_from(there).unwrap_or(usize::MAX));
            check_ranges((first, start(&from, first)), (second, start(&to, second)), length)?;
        }
        // Only a file can be read from a place, and read again from there.
        if kind != Kinds::Splice && from.held.is_none() && !is_file(from.number) {
            return Err(Errno::INVAL);
        }
        let moved = transfer(&from.end(), &to.end(), length, step_bytes)?;
        // What is read from the host is another process's word.
        if from.held.is_none() && causality::is_on() {
            causality::hear();
        }
        // SAFETY: by the caller's word.
        unsafe {
            from.advance(moved)?;
            to.advance(moved)?;
        }
        Ok(moved as i64)
    })())
}

/// Which call: they differ in what they refuse, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    Copy,
    Send,
    Splice,
}

/// Checks that a host's descriptor is open, and not for the other direction only.
fn check_host(number: i32, wrong: OFlags) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(borrowed(number))?;
    let access = flags.bits() & libc::O_ACCMODE.cast_unsigned();
    if access == wrong.bits() || flags.contains(OFlags::PATH) { Err(Errno::BADF) } else { Ok(()) }
}

fn is_file(number: i32) -> bool {
    rustix::fs::fstat(borrowed(number)).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

/// `copy_file_range(from, offset, to, offset, length, flags)`
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
pub unsafe fn copy_file_range(call: &Call) -> Verdict {
    let [from, from_offset, to, to_offset, length, flags] = call.arguments;
    if flags != 0 {
        return Verdict::of::<i64>(Err(Errno::INVAL));
    }
    // SAFETY: by the caller's word.
    unsafe {
        between(
            Side::new(from, from_offset, Errno::OVERFLOW),
            Side::new(to, to_offset, Errno::OVERFLOW),
            length,
            usize::MAX,
            Kinds::Copy,
        )
    }
}

/// `sendfile(to, from, offset, count)`
pub unsafe fn sendfile(call: &Call) -> Verdict {
    let [to, from, offset, count, ..] = call.arguments;
    // SAFETY: by the caller's word.
    unsafe {
        let from = Side::new(from, offset, Errno::INVAL);
        // What goes to a pipe or socket may be refused half way: no more is read than can be put back.
        between(from, Side::new(to, 0, Errno::INVAL), count, usize::MAX, Kinds::Send)
    }
}

fn is_pipe(number: i32) -> bool {
    rustix::fs::fstat(borrowed(number)).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// Whether a pipe would make its reader or writer wait.
fn would_block(number: i32, writes: bool) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let wanted = if writes { PollFlags::OUT } else { PollFlags::IN };
    let mut polled = [PollFd::from_borrowed_fd(borrowed(number), wanted)];
    poll(&mut polled, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0)
}

/// `splice(from, offset, to, offset, length, flags)`: between a pipe and a file of ours.
pub unsafe fn splice(call: &Call) -> Verdict {
    const SPLICE_F_NONBLOCK: u64 = 2;
    let [from, from_offset, to, to_offset, length, flags] = call.arguments;
    // SAFETY: by the caller's word.
    let (source, target) =
        unsafe { (Side::new(from, from_offset, Errno::INVAL), Side::new(to, to_offset, Errno::INVAL)) };
    let (Ok(first), Ok(second)) = (&source, &target) else {
        // SAFETY: as above; one of the two is an error, which is the verdict.
        return unsafe { between(source, target, length, PIPE_BYTES, Kinds::Splice) };
    };
    let (pipe, writes, pipe_offset) = match (&first.held, &second.held) {
        (None, None) => return Verdict::Pass,
        (Some(_), Some(_)) => return Verdict::of::<i64>(Err(Errno::INVAL)),
        (Some(_), None) => (second.number, true, second.offset),
        (None, Some(_)) => (first.number, false, first.offset),
    };
    if !is_pipe(pipe) {
        return Verdict::of::<i64>(Err(Errno::INVAL));
    }
    if pipe_offset.is_some() {
        return Verdict::of::<i64>(Err(Errno::SPIPE));
    }
    if flags & SPLICE_F_NONBLOCK != 0 && would_block(pipe, writes) {
        return Verdict::of::<i64>(Err(Errno::AGAIN));
    }
    // One pipe's worth: whoever asks for more waits for the other side in the kernel's splice too.
    let length = length.min(PIPE_BYTES as u64);
    // SAFETY: by the caller's word.
    unsafe { between(source, target, length, PIPE_BYTES, Kinds::Splice) }
}
