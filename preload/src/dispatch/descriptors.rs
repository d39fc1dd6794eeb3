//! Calls on the descriptor itself: `close`, `dup`, `fcntl`, `ioctl`, and on the size and space behind it.

use super::arguments::{descriptor, kernel_result, put, take};
use super::io::on_descriptor;
use super::{Call, Verdict};
use house::ground::Errno;
use house::posix::description::Access;
use house::posix::descriptor::placeholder::borrowed;
use house::posix::descriptor::table::{self, Lookup};
use house::posix::operations::close::{self, Closed};
use house::posix::operations::duplicate::{self, Duplicated};
use house::posix::operations::space;
use house::posix::report::Class;
use house::store::Kind;
use rustix::fs::OFlags;
use rustix::io::FdFlags;

/// `close(fd)`
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
pub unsafe fn close(call: &Call) -> Verdict {
    match close::close(descriptor(call.arguments[0])) {
        Ok(Closed::Wholly) => Verdict::Done(0),
        Ok(Closed::NotOurs) => Verdict::Pass,
        Err(error) => Verdict::of::<i64>(Err(error)),
    }
}

/// `close_range(first, last, flags)`
pub unsafe fn close_range(call: &Call) -> Verdict {
    const CLOSE_RANGE_UNSHARE: u64 = 2;
    const CLOSE_RANGE_CLOEXEC: u64 = 4;
    let [first, last, flags, ..] = call.arguments;
    let (first, last) = (first as u32, last as u32);
    if first > last || flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 {
        return Verdict::Pass;
    }
    Verdict::of_nothing(close::close_range(first, last, flags & CLOSE_RANGE_CLOEXEC != 0, |first, last| {
        let mut part = *call;
        part.arguments[0] = u64::from(first);
        part.arguments[1] = u64::from(last);
        // SAFETY: integers only.
        unsafe { kernel_result(&part) }.map(drop)
    }))
}

fn duplicated(outcome: house::ground::Result<Duplicated>) -> Verdict {
    match outcome {
        Ok(Duplicated::As(number)) => Verdict::Done(i64::from(number)),
        Ok(Duplicated::NotOurs) => Verdict::Pass,
        Err(error) => Verdict::of::<i64>(Err(error)),
    }
}

/// `dup(fd)`
pub unsafe fn dup(call: &Call) -> Verdict {
    dup_from(descriptor(call.arguments[0]), 0, false)
}

fn dup_from(number: i32, minimum: i32, close_on_exec: bool) -> Verdict {
    match table::look_up(number) {
        Lookup::Ours(held) => duplicated(duplicate::duplicate(number, held, minimum, close_on_exec)),
        Lookup::NotOurs => Verdict::Pass,
        Lookup::Parked => Verdict::of::<i64>(Err(Errno::BADF)),
        Lookup::Lost => Verdict::of::<i64>(Err(Errno::IO)),
    }
}

/// `dup2(old, new)`, `dup3(old, new, flags)`
pub unsafe fn dup_to(call: &Call) -> Verdict {
    let (old, new) = (descriptor(call.arguments[0]), descriptor(call.arguments[1]));
    if old == new {
        // The kernel says whether the number is good; dup3 refuses.
        return Verdict::Pass;
    }
    duplicated(duplicate::replace(old, new, || {
        // SAFETY: integers only.
        unsafe { kernel_result(call) }.map(|number| number as i32)
    }))
}

/// `fcntl(fd, command, argument)`
pub unsafe fn fcntl(call: &Call) -> Verdict {
    let [fd, command, argument, ..] = call.arguments;
    match command as i32 {
        libc::F_DUPFD => dup_from(descriptor(fd), descriptor(argument), false),
        libc::F_DUPFD_CLOEXEC => dup_from(descriptor(fd), descriptor(argument), true),
        // The placeholder has them.
        libc::F_GETFD | libc::F_SETFD => on_kernel(call),
        libc::F_GETFL => on_descriptor(fd, Class::Descriptor, |held| Ok(i64::from(held.flags().bits()))),
        libc::F_SETFL => on_descriptor(fd, Class::Descriptor, |held| {
            held.check_open()?;
            held.set_flags(OFlags::from_bits_retain(argument as u32));
            Ok(0)
        }),
        // Locks: a later version has them; until then no program is to believe that it holds one. `ENOSYS` is what programs
        // live with that can do without (HDF5, cargo): they go on, where any other errno is a failure to them.
        libc::F_GETLK | libc::F_SETLK | libc::F_SETLKW | libc::F_OFD_GETLK | libc::F_OFD_SETLK | libc::F_OFD_SETLKW => {
            on_descriptor(fd, Class::Descriptor, |held| {
                held.check_open()?;
                Err(Errno::NOSYS)
            })
        }
        libc::F_GETOWN => on_descriptor(fd, Class::Descriptor, |_| Ok(0)),
        libc::F_SETPIPE_SZ | libc::F_GETPIPE_SZ => on_descriptor(fd, Class::Descriptor, |_| Err(Errno::BADF)),
        _ => on_descriptor(fd, Class::Descriptor, |_| Err(Errno::INVAL)),
    }
}

/// What the kernel does to the placeholder is what was meant.
fn on_kernel(call: &Call) -> Verdict {
    match table::look_up(descriptor(call.arguments[0])) {
        Lookup::Parked => Verdict::of::<i64>(Err(Errno::BADF)),
        _ => Verdict::Pass,
    }
}

/// `ioctl(fd, request, argument)`
pub unsafe fn ioctl(call: &Call) -> Verdict {
    let [fd, request, argument, ..] = call.arguments;
    on_descriptor(fd, Class::Descriptor, |held| match request {
        _ if held.access.path_only => Err(Errno::BADF),
        libc::FIOCLEX | libc::FIONCLEX => {
            let flags = if request == libc::FIOCLEX { FdFlags::CLOEXEC } else { FdFlags::empty() };
            rustix::io::fcntl_setfd(borrowed(descriptor(fd)), flags)?;
            Ok(0)
        }
        libc::FIONREAD if held.found().kind == Kind::File => {
            let left = held.object.size_bytes()?.saturating_sub(held.cursor());
            // SAFETY: the application's word for the integer.
            unsafe { put(argument, i32::try_from(left).unwrap_or(i32::MAX)) }?;
            Ok(0)
        }
        // Non-blocking means nothing to a file, and is only remembered.
        libc::FIONBIO => {
            // SAFETY: the application's word for the integer.
            let wanted = unsafe { take::<i32>(argument) }? != 0;
            let mut flags = held.flags();
            flags.set(OFlags::NONBLOCK, wanted);
            held.set_flags(flags);
            Ok(0)
        }
        _ => Err(Errno::NOTTY),
    })
}

/// `flock(fd, operation)`
pub unsafe fn flock(call: &Call) -> Verdict {
    on_descriptor(call.arguments[0], Class::Descriptor, |held| {
        held.check_open()?;
        Err(Errno::NOSYS)
    })
}

/// `fsync(fd)`, `sync_file_range(fd, offset, length, flags)`
pub unsafe fn sync(call: &Call) -> Verdict {
    on_descriptor(call.arguments[0], Class::Descriptor, |held| space::sync(held).map(|()| 0))
}

/// `fdatasync(fd)`
pub unsafe fn sync_data(call: &Call) -> Verdict {
    on_descriptor(call.arguments[0], Class::Descriptor, |held| space::sync_data(held).map(|()| 0))
}

/// `syncfs(fd)`
pub unsafe fn sync_container(call: &Call) -> Verdict {
    on_descriptor(call.arguments[0], Class::Descriptor, |held| {
        held.check_open()?;
        space::sync_container(held.mount).map(|()| 0)
    })
}

/// `sync()`: the containers here, all else by the kernel.
pub unsafe fn sync_all() -> Verdict {
    space::sync_all();
    Verdict::Pass
}

/// `ftruncate(fd, length)`
pub unsafe fn truncate(call: &Call) -> Verdict {
    let [fd, length, ..] = call.arguments;
    on_descriptor(fd, Class::Descriptor, |held| space::truncate_open(held, length.cast_signed()).map(|()| 0))
}

/// `fallocate(fd, mode, offset, length)`
pub unsafe fn allocate(call: &Call) -> Verdict {
    let [fd, mode, offset, length, ..] = call.arguments;
    on_descriptor(fd, Class::Descriptor, |held| {
        space::allocate(held, mode as i32, offset.cast_signed(), length.cast_signed()).map(|()| 0)
    })
}

/// `fadvise64(fd, offset, length, advice)`, `readahead(fd, offset, count)`: advice, taken without a word.
pub unsafe fn advise(call: &Call) -> Verdict {
    let [_, _, length, advice, ..] = call.arguments;
    let is_advice = call.number as i64 == libc::SYS_fadvise64;
    on_descriptor(call.arguments[0], Class::Descriptor, |held| {
        held.check_open()?;
        match (is_advice, held.access) {
            (true, _) if advice > 5 || length.cast_signed() < 0 => Err(Errno::INVAL),
            (false, Access { read: false, .. }) => Err(Errno::BADF),
            _ => Ok(0),
        }
    })
}

/// `mmap(address, length, protection, flags, fd, offset)`
pub unsafe fn map(call: &Call) -> Verdict {
    let [_, _, _, flags, fd, _] = call.arguments;
    if flags & libc::MAP_ANONYMOUS as u64 != 0 {
        return Verdict::Pass;
    }
    on_descriptor(fd, Class::Descriptor, |held| {
        held.check_open()?;
        Err(if held.access.read { Errno::NODEV } else { Errno::ACCESS })
    })
}
