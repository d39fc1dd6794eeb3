//! `open`, `truncate`, `access`, and the working directory.

use super::arguments::{Room, descriptor, path as text, put_bytes, take};
use super::by_path::{Where, on_path, on_path_counted};
use super::{Call, Verdict};
use crate::serve::kernel;
use house::ground::{Errno, Result};
use house::posix::descriptor::table;
use house::posix::operations::attributes::{self, Subject};
use house::posix::operations::open::{self, Opened};
use house::posix::operations::space;
use house::posix::path::buffer::PATH_BYTES_MAX;
use house::posix::path::{LastName, Place, Rules, Scope, Symlinks};
use house::posix::permission::{self, Want};
use house::posix::report::Class;
use house::posix::{credentials, process, working_directory};
use house::store::Kind;
use rustix::fs::OFlags;

/// `open_how`, as openat2 takes it.
#[derive(Clone, Copy)]
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// The limits on resolution that openat2 can set. A container has no magic links, and nothing to wait for.
const RESOLVE_KNOWN: u64 = libc::RESOLVE_NO_MAGICLINKS
    | libc::RESOLVE_NO_XDEV
    | libc::RESOLVE_CACHED
    | libc::RESOLVE_NO_SYMLINKS
    | libc::RESOLVE_BENEATH
    | libc::RESOLVE_IN_ROOT;

/// Reads an `open_how` of any size that the kernel would take; `None` for one that it would refuse.
///
/// # Safety
/// The application's word for `size` bytes.
unsafe fn open_how(argument: u64, size: u64) -> Option<OpenHow> {
    const FLAGS_KNOWN: i32 = libc::O_ACCMODE
        | libc::O_CREAT
        | libc::O_EXCL
        | libc::O_NOCTTY
        | libc::O_TRUNC
        | libc::O_APPEND
        | libc::O_NONBLOCK
        | libc::O_SYNC
        | libc::O_DSYNC
        | libc::O_ASYNC
        | libc::O_DIRECT
        | 0o100_000
        | libc::O_DIRECTORY
        | libc::O_NOFOLLOW
        | libc::O_NOATIME
        | libc::O_CLOEXEC
        | libc::O_PATH
        | libc::O_TMPFILE;
    const SIZE_BYTES_MAX: usize = 4096;
    let size = usize::try_from(size).ok().filter(|size| (size_of::<OpenHow>()..=SIZE_BYTES_MAX).contains(size))?;
    // SAFETY: by the caller's word.
    let how = unsafe { take::<OpenHow>(argument) }.ok()?;
    for place in size_of::<OpenHow>()..size {
        // SAFETY: by the caller's word.
        if unsafe { take::<u8>(argument + place as u64) }.ok()? != 0 {
            return None;
        }
    }
    let makes = how.flags as i32 & libc::O_CREAT != 0 || how.flags as i32 & libc::O_TMPFILE == libc::O_TMPFILE;
    let is_good = how.flags & !(FLAGS_KNOWN as u32 as u64) == 0
        && how.mode & !(if makes { 0o7777 } else { 0 }) == 0
        && how.resolve & !RESOLVE_KNOWN == 0;
    is_good.then_some(how)
}

/// `open(path, flags, mode)`, `creat(path, mode)`, `openat(dirfd, path, flags, mode)`, `openat2(dirfd, path, how, size)`
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
pub unsafe fn open(call: &mut Call) -> Verdict {
    let [_, second, third, fourth, ..] = call.arguments;
    let (directory, path, flags, mode, resolve) = match call.number as i64 {
        libc::SYS_open => (None, 0, second, third, 0),
        libc::SYS_creat => (None, 0, (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64, second, 0),
        libc::SYS_openat => (Some(0), 1, third, fourth, 0),
        _ => {
            // What is wrong with the structure is the kernel's to say: it looks at that before the path.
            // SAFETY: by the caller's word.
            match unsafe { open_how(third, fourth) } {
                Some(how) => (Some(0), 1, how.flags, how.mode, how.resolve),
                None => return Verdict::Pass,
            }
        }
    };
    let mut flags = OFlags::from_bits_retain(flags as u32);
    if flags.contains(OFlags::PATH) {
        // Such a descriptor is for the path alone: nothing is made, emptied or refused for it.
        flags &= OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    }
    if flags.contains(OFlags::CREATE | OFlags::DIRECTORY) {
        // Refused by the kernel (since 6.4) before it looks at the path.
        return Verdict::Pass;
    }
    let keeps = flags.contains(OFlags::NOFOLLOW) || flags.contains(OFlags::CREATE | OFlags::EXCL);
    let symlinks = match (flags.contains(OFlags::CREATE), keeps) {
        (true, true) => Symlinks::Name,
        (true, false) => Symlinks::FollowToMake,
        (false, true) => Symlinks::Keep,
        (false, false) => Symlinks::Follow,
    };
    let makes = flags.contains(OFlags::CREATE);
    let rules = Rules {
        symlinks,
        last: match makes {
            true => LastName::AtHand,
            false if open::only_reads(flags) => LastName::ToOpen,
            false => LastName::Found,
        },
        forbids_symlinks: resolve & libc::RESOLVE_NO_SYMLINKS != 0,
        stays_in_container: resolve & libc::RESOLVE_NO_XDEV != 0,
        scope: match (resolve & libc::RESOLVE_BENEATH != 0, resolve & libc::RESOLVE_IN_ROOT != 0) {
            (false, false) => Scope::Everywhere,
            (true, false) => Scope::Beneath,
            (false, true) => Scope::InRoot,
            (true, true) => return Verdict::Pass,
        },
    };
    for last in [rules.last, LastName::Found] {
        let place = Where { directory, path, rules: rules.asking(last) };
        let mut is_behind_symlink = false;
        let operation = |place: Place<'_>| match open::open(place, flags, mode as u32)? {
            Opened::As(descriptor) => Ok(i64::from(descriptor)),
            Opened::BehindSymlink => {
                is_behind_symlink = true;
                Err(Errno::LOOP)
            }
        };
        // SAFETY: by the caller's word.
        let verdict = unsafe { on_path_counted(call, place, Class::Open, operation) };
        if !is_behind_symlink {
            return verdict;
        }
    }
    Verdict::of::<i64>(Err(Errno::LOOP))
}

/// `truncate(path, length)`
pub unsafe fn truncate(call: &mut Call) -> Verdict {
    let length = call.arguments[1].cast_signed();
    // SAFETY: by the caller's word.
    unsafe { on_path(call, Where::plain(0, Symlinks::Follow), |place| space::truncate(&place, length).map(|()| 0)) }
}

/// `access(path, mode)`, `faccessat(dirfd, path, mode)`, `faccessat2(dirfd, path, mode, flags)`
pub unsafe fn access(call: &mut Call) -> Verdict {
    let (place, mode, flags) = match call.number as i64 {
        libc::SYS_access => (Where::plain(0, Symlinks::Follow), call.arguments[1], 0),
        libc::SYS_faccessat => (Where::at(0, 1, Symlinks::Follow), call.arguments[2], 0),
        _ => (Where::at(0, 1, Symlinks::Follow), call.arguments[2], call.arguments[3] as i32),
    };
    const KNOWN: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EACCESS | libc::AT_EMPTY_PATH;
    if flags & !KNOWN != 0 || mode as u32 & !7 != 0 {
        return Verdict::Pass;
    }
    let keeps = flags & libc::AT_SYMLINK_NOFOLLOW != 0;
    let symlinks = if keeps { Symlinks::Keep } else { Symlinks::Follow };
    let place = Where { rules: symlinks.into(), ..place };
    let effective = flags & libc::AT_EACCESS != 0;
    let check = |subject: Subject<'_>| attributes::access(subject, mode as u32, effective).map(|()| 0);
    // SAFETY: by the caller's word.
    unsafe { on_subject(call, place, flags, check) }
}

/// Makes a call on what is at a path, or with `AT_EMPTY_PATH` on what a descriptor is open on.
///
/// # Safety
/// As for the call.
pub unsafe fn on_subject(
    call: &mut Call,
    place: Where,
    flags: i32,
    operation: impl Fn(Subject<'_>) -> Result<i64>,
) -> Verdict {
    // SAFETY: by the caller's word.
    unsafe {
        on_empty_path(call, place, flags, &operation)
            .unwrap_or_else(|| on_path(call, place, |place| operation(Subject::At(&place))))
    }
}

/// `AT_EMPTY_PATH`: the operation on the descriptor itself, where it is ours. `None`: no such call.
///
/// # Safety
/// As for the call.
unsafe fn on_empty_path(
    call: &Call,
    place: Where,
    flags: i32,
    operation: impl Fn(Subject<'_>) -> Result<i64>,
) -> Option<Verdict> {
    if flags & libc::AT_EMPTY_PATH == 0 {
        return None;
    }
    // A null path means the same since Linux 6.11.
    let given = call.arguments[place.path];
    if given != 0 && !text(given, &mut Room::new()).ok()?.is_empty() {
        return None;
    }
    let start = place.start(call);
    if let Some(held) = start.held() {
        return Some(Verdict::of(operation(Subject::Open(held))));
    }
    if start.is_working_directory() {
        return working_place().map(|place| Verdict::of(place.and_then(|place| operation(Subject::At(&place)))));
    }
    None
}

/// The working directory as a place, if it is ours.
fn working_place() -> Option<Result<Place<'static>>> {
    let (mount, node) = working_directory::current()?;
    Some((|| {
        let connected = mount.connect()?;
        let attributes = connected.container.attributes(node).map_err(|_| Errno::NOENT)?;
        let found = house::store::Found { node, generation: attributes.generation, kind: Kind::Directory };
        Ok(Place::of_node(mount, connected, found, house::posix::path::Last::Dot))
    })())
}

/// Makes a place the working directory.
fn enter(place: &Place<'_>) -> Result<()> {
    let found = place.existing()?;
    if found.kind != Kind::Directory {
        return Err(Errno::NOTDIR);
    }
    permission::check(&place.attributes_of(found.node)?, Want::SEARCH)?;
    working_directory::enter(place.mount, found.node)
}

/// `chdir(path)`
pub unsafe fn change_directory(call: &mut Call) -> Verdict {
    let mut is_ours = false;
    // SAFETY: by the caller's word.
    let verdict = unsafe {
        on_path(call, Where::plain(0, Symlinks::Follow), |place| {
            is_ours = true;
            enter(&place).map(|()| 0)
        })
    };
    if !is_ours && verdict == Verdict::Done(0) {
        working_directory::left();
    }
    verdict
}

/// `fchdir(fd)`
pub unsafe fn change_directory_to(call: &Call) -> Verdict {
    match table::get(descriptor(call.arguments[0])) {
        Err(error) => Verdict::of::<i64>(Err(error)),
        Ok(Some(held)) => Verdict::of_nothing((|| {
            let place = Place::of_node(held.mount, held.mount.connect()?, held.found(), house::posix::path::Last::Dot);
            enter(&place)
        })()),
        Ok(None) => {
            // SAFETY: integers only.
            let result = unsafe { kernel(call) };
            if result == 0 {
                working_directory::left();
            }
            Verdict::Done(result)
        }
    }
}

/// `getcwd(buffer, size)`: the bytes written, the NUL included. The kernel tells no path of more than `PATH_MAX`, and libc
/// then finds it out name by name, which ends at a prefix that is not there on the host; so it is told here where there is
/// room for it.
pub unsafe fn working_directory(call: &Call) -> Verdict {
    let Some((mount, node)) = working_directory::current() else { return Verdict::Pass };
    let [room, size, ..] = call.arguments;
    Verdict::of((|| {
        let mut bytes = working_directory::deep_path_of(mount, node)?;
        bytes.push(0);
        if (size as usize) < bytes.len() {
            return Err(if bytes.len() > PATH_BYTES_MAX { Errno::NAMETOOLONG } else { Errno::RANGE });
        }
        // SAFETY: the application's word for `size` bytes.
        unsafe { put_bytes(room, &bytes) }?;
        Ok(bytes.len() as i64)
    })())
}

/// `umask(mask)`
pub unsafe fn set_mask(call: &Call) -> Verdict {
    if !process::is_guest() {
        credentials::mask_was_set(call.arguments[0] as u32);
    }
    Verdict::Pass
}
