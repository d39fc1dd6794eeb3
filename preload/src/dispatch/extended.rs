//! `getxattr`, `setxattr`, `listxattr`, `removexattr`, by path and by descriptor.

use super::arguments::{Room, path as text, put_bytes, take_bytes};
use super::by_path::{Where, on_path};
use super::io::on_descriptor;
use super::{Call, Verdict};
use house::ground::{Errno, Result};
use house::posix::operations::attributes::Subject;
use house::posix::operations::extended::{self, VALUE_BYTES_MAX};
use house::posix::path::Symlinks;
use house::posix::report::Class;
use house::store::OnlyIf;

/// What a call is to do.
type Operation<'a> = &'a dyn Fn(Subject<'_>) -> Result<i64>;

/// Does it to what the first argument leads to. `calls` are the three numbers: following symlinks, not, and by descriptor.
unsafe fn on_node(call: &mut Call, calls: [i64; 3], operation: Operation<'_>) -> Verdict {
    let number = call.number as i64;
    if number == calls[2] {
        return on_descriptor(call.arguments[0], Class::Name, |held| operation(Subject::Open(held)));
    }
    let symlinks = if number == calls[1] { Symlinks::Keep } else { Symlinks::Follow };
    // SAFETY: by the caller's word.
    unsafe { on_path(call, Where::plain(0, symlinks), |place| operation(Subject::At(&place))) }
}

/// An attribute's name; one that is longer than any may be is told from it by its length.
fn name(argument: u64, room: &mut Room) -> Result<&[u8]> {
    text(argument, room).map_err(|error| if error == Errno::NAMETOOLONG { Errno::RANGE } else { error })
}

/// Lets `fill` fill a copy of the application's room; a size of 0 asks for the length alone.
unsafe fn answer(room: u64, size: u64, fill: impl FnOnce(&mut [u8]) -> Result<usize>) -> Result<i64> {
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(VALUE_BYTES_MAX);
    let mut copy = vec![0u8; size];
    let length = fill(&mut copy)?;
    if size > 0 {
        // SAFETY: the application's word for its `size` bytes, of which no more are written.
        unsafe { put_bytes(room, &copy[..length.min(size)]) }?;
    }
    Ok(length as i64)
}

/// `getxattr(path, name, value, size)`, `lgetxattr(...)`, `fgetxattr(fd, ...)`
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
pub unsafe fn get(call: &mut Call) -> Verdict {
    let [_, attribute, room, size, ..] = call.arguments;
    let operation = |subject: Subject<'_>| {
        let mut text = Room::new();
        let name = name(attribute, &mut text)?;
        // SAFETY: by the caller's word.
        unsafe { answer(room, size, |copy| extended::get(subject, name, copy)) }
    };
    // SAFETY: by the caller's word.
    unsafe { on_node(call, [libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr], &operation) }
}

/// `setxattr(path, name, value, size, flags)`, `lsetxattr(...)`, `fsetxattr(fd, ...)`
pub unsafe fn set(call: &mut Call) -> Verdict {
    let [_, attribute, value, size, flags, _] = call.arguments;
    let operation = |subject: Subject<'_>| {
        let only = match flags as i32 {
            0 => None,
            libc::XATTR_CREATE => Some(OnlyIf::Absent),
            libc::XATTR_REPLACE => Some(OnlyIf::Present),
            _ => return Err(Errno::INVAL),
        };
        let mut text = Room::new();
        let name = name(attribute, &mut text)?;
        if size > VALUE_BYTES_MAX as u64 {
            return Err(Errno::TOOBIG);
        }
        let copy = take_bytes(value, size as usize)?;
        extended::set(subject, name, &copy, only).map(|()| 0)
    };
    // SAFETY: by the caller's word.
    unsafe { on_node(call, [libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr], &operation) }
}

/// `listxattr(path, list, size)`, `llistxattr(...)`, `flistxattr(fd, ...)`
pub unsafe fn list(call: &mut Call) -> Verdict {
    let [_, room, size, ..] = call.arguments;
    // SAFETY: by the caller's word.
    let operation = |subject: Subject<'_>| unsafe { answer(room, size, |copy| extended::list(subject, copy)) };
    // SAFETY: by the caller's word.
    unsafe { on_node(call, [libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr], &operation) }
}

/// `removexattr(path, name)`, `lremovexattr(...)`, `fremovexattr(fd, name)`
pub unsafe fn remove(call: &mut Call) -> Verdict {
    let attribute = call.arguments[1];
    let operation = |subject: Subject<'_>| extended::remove(subject, name(attribute, &mut Room::new())?).map(|()| 0);
    // SAFETY: by the caller's word.
    unsafe { on_node(call, [libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr], &operation) }
}
