//! `chmod`, `chown`, `utimensat` and extended attributes.

use super::arguments::{descriptor, take_of};
use super::by_path::Where;
use super::files::on_subject;
use super::io::on_descriptor;
use super::status::followed;
use super::{Call, Verdict};
use house::ground::{Errno, Result};
use house::posix::operations::attributes::change_times as set_times;
use house::posix::operations::attributes::{NewTime, Subject, change_mode as set_mode, change_owner as set_owner};
use house::posix::path::Symlinks;
use house::posix::report::Class;
use house::store::Timestamp;

/// Makes a change at a path, or with `AT_EMPTY_PATH` on what a descriptor is open on.
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
unsafe fn change(call: &mut Call, place: Where, flags: i32, operation: impl Fn(Subject<'_>) -> Result<()>) -> Verdict {
    if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
        return Verdict::Pass;
    }
    let operation = |subject: Subject<'_>| operation(subject).map(|()| 0);
    // SAFETY: by the caller's word.
    unsafe { on_subject(call, place, flags, operation) }
}

fn change_open(call: &Call, operation: impl Fn(Subject<'_>) -> Result<()>) -> Verdict {
    on_descriptor(call.arguments[0], Class::Descriptor, |held| operation(Subject::Open(held)).map(|()| 0))
}

/// `chmod(path, mode)`, `fchmod(fd, mode)`, `fchmodat(dirfd, path, mode)`, `fchmodat2(dirfd, path, mode, flags)`
pub unsafe fn change_mode(call: &mut Call) -> Verdict {
    let [_, second, third, fourth, ..] = call.arguments;
    let (place, mode, flags) = match call.number as i64 {
        libc::SYS_fchmod => return change_open(call, |subject| set_mode(subject, second as u32)),
        libc::SYS_chmod => (Where::plain(0, Symlinks::Follow), second, 0),
        libc::SYS_fchmodat => (Where::at(0, 1, Symlinks::Follow), third, 0),
        _ => (Where::at(0, 1, followed(fourth as i32)), third, fourth as i32),
    };
    // SAFETY: by the caller's word.
    unsafe { change(call, place, flags, |subject| set_mode(subject, mode as u32)) }
}

/// An owner argument: -1 leaves it alone.
fn owner(argument: u64) -> Option<u32> {
    (argument as u32 != u32::MAX).then_some(argument as u32)
}

/// `chown(path, uid, gid)`, `lchown`, `fchown(fd, uid, gid)`, `fchownat(dirfd, path, uid, gid, flags)`
pub unsafe fn change_owner(call: &mut Call) -> Verdict {
    let [_, second, third, fourth, fifth, _] = call.arguments;
    let (place, uid, gid, flags) = match call.number as i64 {
        libc::SYS_fchown => return change_open(call, |subject| set_owner(subject, owner(second), owner(third))),
        libc::SYS_chown => (Where::plain(0, Symlinks::Follow), second, third, 0),
        libc::SYS_lchown => (Where::plain(0, Symlinks::Keep), second, third, 0),
        _ => (Where::at(0, 1, followed(fifth as i32)), third, fourth, fifth as i32),
    };
    // SAFETY: by the caller's word.
    unsafe { change(call, place, flags, |subject| set_owner(subject, owner(uid), owner(gid))) }
}

/// The two times of a call, whose `units` tell how many there are in a second of the second field; a null pointer is
/// now for both.
unsafe fn times(argument: u64, per_second: i64) -> Result<(NewTime, NewTime)> {
    if argument == 0 {
        return Ok((NewTime::Now, NewTime::Now));
    }
    let one = |index: usize| {
        // SAFETY: any two words; `timeval` has the same shape.
        let time = unsafe { take_of::<libc::timespec>(argument, index) }?;
        match time.tv_nsec {
            libc::UTIME_NOW if per_second == 1_000_000_000 => Ok(NewTime::Now),
            libc::UTIME_OMIT if per_second == 1_000_000_000 => Ok(NewTime::Omit),
            fraction if (0..per_second).contains(&fraction) => {
                Ok(NewTime::At(Timestamp::from_parts(time.tv_sec, fraction * (1_000_000_000 / per_second))))
            }
            _ => Err(Errno::INVAL),
        }
    };
    Ok((one(0)?, one(1)?))
}

/// `utime(path, utimbuf)`, `utimes(path, timeval)`, `futimesat(dirfd, path, timeval)`,
/// `utimensat(dirfd, path, timespec, flags)`
pub unsafe fn change_times(call: &mut Call) -> Verdict {
    let [first, second, third, fourth, ..] = call.arguments;
    let (place, times, flags) = match call.number as i64 {
        // SAFETY: by the caller's word.
        libc::SYS_utime => (Where::plain(0, Symlinks::Follow), unsafe { whole_seconds(second) }, 0),
        // SAFETY: by the caller's word.
        libc::SYS_utimes => (Where::plain(0, Symlinks::Follow), unsafe { times(second, 1_000_000) }, 0),
        // SAFETY: by the caller's word.
        libc::SYS_futimesat => (Where::at(0, 1, Symlinks::Follow), unsafe { times(third, 1_000_000) }, 0),
        _ => {
            let flags = fourth as i32;
            // SAFETY: by the caller's word.
            (Where::at(0, 1, followed(flags)), unsafe { times(third, 1_000_000_000) }, flags)
        }
    };
    let apply = |subject: Subject<'_>| times.and_then(|(accessed, modified)| set_times(subject, accessed, modified));
    let takes_descriptor = matches!(call.number as i64, libc::SYS_utimensat | libc::SYS_futimesat);
    if takes_descriptor && second == 0 && descriptor(first) != libc::AT_FDCWD {
        // `futimens`: no path at all.
        return change_open(call, apply);
    }
    // SAFETY: by the caller's word.
    unsafe { change(call, place, flags, apply) }
}

/// The two whole seconds of `utime`.
unsafe fn whole_seconds(argument: u64) -> Result<(NewTime, NewTime)> {
    if argument == 0 {
        return Ok((NewTime::Now, NewTime::Now));
    }
    // SAFETY: by the caller's word.
    let both = unsafe { super::arguments::take::<[i64; 2]>(argument) }?;
    let [accessed, modified] = both.map(|seconds| NewTime::At(Timestamp::from_parts(seconds, 0)));
    Ok((accessed, modified))
}
