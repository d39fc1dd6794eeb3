//! `mkdir`, `mknod`, `unlink`, `rmdir`, `rename`, `link`, `symlink`, `readlink`.

use super::arguments::{Room, path, put_bytes};
use super::by_path::{TwoPaths, Where, on_path, on_two_paths};
use super::{Call, Verdict};
use house::ground::{Errno, Result};
use house::posix::descriptor::table;
use house::posix::operations::names;
use house::posix::path::special::{Special, special};
use house::posix::path::{LastName, Symlinks};
use house::posix::working_directory::{link_to, path_of};
use house::store::{Kind, RenameMode};

/// `mkdir(path, mode)`, `mkdirat(dirfd, path, mode)`
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
pub unsafe fn make_directory(call: &mut Call) -> Verdict {
    let (place, mode) = match call.number as i64 {
        libc::SYS_mkdir => (Where::plain(0, Symlinks::Name), call.arguments[1]),
        _ => (Where::at(0, 1, Symlinks::Name), call.arguments[2]),
    };
    // SAFETY: by the caller's word.
    unsafe {
        on_path(call, place.asking(LastName::AtHand), |place| names::make_directory(&place, mode as u32).map(|()| 0))
    }
}

/// `mknod(path, mode, device)`, `mknodat(dirfd, path, mode, device)`: regular files only.
pub unsafe fn make_node(call: &mut Call) -> Verdict {
    let (place, mode) = match call.number as i64 {
        libc::SYS_mknod => (Where::plain(0, Symlinks::Name), call.arguments[1]),
        _ => (Where::at(0, 1, Symlinks::Name), call.arguments[2]),
    };
    let mode = mode as u32;
    let makes_file = matches!(mode & libc::S_IFMT, 0 | libc::S_IFREG);
    // SAFETY: by the caller's word.
    unsafe {
        on_path(call, place.asking(if makes_file { LastName::AtHand } else { LastName::Found }), |place| {
            match mode & libc::S_IFMT {
                0 | libc::S_IFREG => names::make_file(&place, mode).map(|()| 0),
                _ if place.found.is_some() => Err(Errno::EXIST),
                libc::S_IFIFO | libc::S_IFSOCK | libc::S_IFCHR | libc::S_IFBLK => Err(Errno::PERM),
                _ => Err(Errno::INVAL),
            }
        })
    }
}

/// `unlink(path)`, `rmdir(path)`, `unlinkat(dirfd, path, flags)`
pub unsafe fn remove(call: &mut Call) -> Verdict {
    let (place, is_directory) = match call.number as i64 {
        libc::SYS_unlink => (Where::plain(0, Symlinks::Name), false),
        libc::SYS_rmdir => (Where::plain(0, Symlinks::Name), true),
        // Flags that nobody knows are the kernel's to refuse, here and in every call that has some.
        _ if call.arguments[2] as i32 & !libc::AT_REMOVEDIR != 0 => return Verdict::Pass,
        _ => (Where::at(0, 1, Symlinks::Name), call.arguments[2] as i32 & libc::AT_REMOVEDIR != 0),
    };
    // SAFETY: by the caller's word.
    unsafe {
        let asks = if is_directory { LastName::Found } else { LastName::AtHand };
        on_path(call, place.asking(asks), |place| {
            if is_directory { names::remove_directory(&place) } else { names::unlink(&place) }.map(|()| 0)
        })
    }
}

/// `rename(from, to)`, `renameat(dirfd, from, dirfd, to)`, `renameat2(dirfd, from, dirfd, to, flags)`
pub unsafe fn rename(call: &mut Call) -> Verdict {
    let (from, to, flags) = match call.number as i64 {
        libc::SYS_rename => (Where::plain(0, Symlinks::Name), Where::plain(1, Symlinks::Name), 0),
        libc::SYS_renameat => (Where::at(0, 1, Symlinks::Name), Where::at(2, 3, Symlinks::Name), 0),
        _ => (Where::at(0, 1, Symlinks::Name), Where::at(2, 3, Symlinks::Name), call.arguments[4] as u32),
    };
    const TOGETHER: u32 = libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE;
    if flags & !(TOGETHER | libc::RENAME_WHITEOUT) != 0 || flags & TOGETHER == TOGETHER {
        return Verdict::Pass;
    }
    // SAFETY: by the caller's word.
    unsafe {
        on_two_paths(call, TwoPaths::Rename, from, to, |from, to| {
            let mode = match flags {
                0 => RenameMode::Replace,
                libc::RENAME_NOREPLACE => RenameMode::NoReplace,
                libc::RENAME_EXCHANGE => RenameMode::Exchange,
                _ => return Err(Errno::INVAL),
            };
            names::rename(from, to, mode)
        })
    }
}

/// `link(from, to)`, `linkat(dirfd, from, dirfd, to, flags)`
pub unsafe fn link(call: &mut Call) -> Verdict {
    let (from, to) = match call.number as i64 {
        libc::SYS_link => (Where::plain(0, Symlinks::Keep), Where::plain(1, Symlinks::Name)),
        _ => {
            let flags = call.arguments[4] as i32;
            if flags & !(libc::AT_SYMLINK_FOLLOW | libc::AT_EMPTY_PATH) != 0 {
                return Verdict::Pass;
            }
            let follows = flags & libc::AT_SYMLINK_FOLLOW != 0;
            let symlinks = if follows { Symlinks::Follow } else { Symlinks::Keep };
            (Where::at(0, 1, symlinks), Where::at(2, 3, Symlinks::Name))
        }
    };
    // SAFETY: by the caller's word.
    unsafe { on_two_paths(call, TwoPaths::Link, from, to, names::link) }
}

/// `symlink(target, path)`, `symlinkat(target, dirfd, path)`
pub unsafe fn symlink(call: &mut Call) -> Verdict {
    let place = match call.number as i64 {
        libc::SYS_symlink => Where::plain(1, Symlinks::Name),
        _ => Where::at(1, 2, Symlinks::Name),
    };
    let mut room = Room::new();
    let Some(target) = path(call.arguments[0], &mut room).ok().filter(|target| !target.is_empty()) else {
        // Refused by the kernel before it looks at the path.
        return Verdict::Pass;
    };
    // SAFETY: by the caller's word.
    unsafe { on_path(call, place.asking(LastName::AtHand), |place| names::make_symlink(target, &place).map(|()| 0)) }
}

/// `readlink(path, buffer, size)`, `readlinkat(dirfd, path, buffer, size)`
pub unsafe fn read_link(call: &mut Call) -> Verdict {
    let (place, room, size) = match call.number as i64 {
        libc::SYS_readlink => (Where::plain(0, Symlinks::Keep), call.arguments[1], call.arguments[2]),
        _ => (Where::at(0, 1, Symlinks::Keep), call.arguments[2], call.arguments[3]),
    };
    let answer = |text: &[u8]| -> Result<i64> {
        let length = text.len().min(size as usize);
        // SAFETY: the application's word for `size` bytes.
        unsafe { put_bytes(room, &text[..length]) }?;
        Ok(length as i64)
    };
    if size as i32 <= 0 {
        return Verdict::Pass;
    }
    let mut text = Room::new();
    let text = path(call.arguments[place.path], &mut text);
    let named = text.map(special).unwrap_or(Ok(None));
    // An empty path means the symlink that the descriptor itself is open on.
    let is_empty = text.is_ok_and(<[u8]>::is_empty);
    if let (true, Some(held)) = (is_empty, place.start(call).held().filter(|held| held.found().kind == Kind::Symlink)) {
        return Verdict::of(held.mount.connect().and_then(|connected| {
            let mut text = vec![0; house::posix::path::buffer::PATH_BYTES_MAX];
            let length = connected.container.read_link(held.found().node, &mut text)?;
            answer(&text[..length])
        }));
    }
    match named {
        Ok(Some(Special::Descriptor(opened, b""))) => {
            return Verdict::of(opened_path(opened).and_then(|path| answer(path.as_bytes())));
        }
        Ok(Some(Special::Directory(mount, node, b""))) => {
            return Verdict::of(link_to(mount, node).and_then(|path| answer(path.as_bytes())));
        }
        // What leads further is walked below, and what must not be opened may be looked at.
        Ok(Some(_) | None) | Err(_) => {}
    }
    // SAFETY: by the caller's word.
    unsafe {
        on_path(call, place, |place| {
            let mut text = vec![0; house::posix::path::buffer::PATH_BYTES_MAX];
            let length = names::read_link(&place, &mut text)?;
            answer(&text[..length])
        })
    }
}

/// What the kernel would say of `/proc/self/fd/N`: the path that it was opened by, as far as its directory has moved.
fn opened_path(descriptor: i32) -> Result<house::posix::path::PathBuffer> {
    let held = table::get(descriptor)?.ok_or(Errno::BADF)?;
    if held.found().kind == Kind::Directory {
        return link_to(held.mount, held.found().node);
    }
    let mut path = path_of(held.mount, held.directory)?;
    path.push_component(&held.name)?;
    if held.object.attributes()?.link_count == 0 {
        path.push(b" (deleted)")?;
    }
    Ok(path)
}

/// Calls that a container can't serve: `inotify_add_watch`, `name_to_handle_at`, `chroot`.
pub unsafe fn refuse(call: &mut Call) -> Verdict {
    let (place, errno) = match call.number as i64 {
        libc::SYS_inotify_add_watch => (Where::plain(1, Symlinks::Follow), Errno::OPNOTSUPP),
        libc::SYS_chroot => (Where::plain(0, Symlinks::Follow), Errno::PERM),
        _ => (Where::at(0, 1, Symlinks::Keep), Errno::OPNOTSUPP),
    };
    // SAFETY: by the caller's word.
    unsafe {
        on_path(call, place, |place| {
            let found = place.existing()?;
            let must_be_directory = errno == Errno::PERM;
            Err(if must_be_directory && found.kind != Kind::Directory { Errno::NOTDIR } else { errno })
        })
    }
}
