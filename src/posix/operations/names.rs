//! Names: `mkdir`, `unlink`, `rmdir`, `rename`, `symlink`, `readlink`, `link`.

use super::open::new_node;
use crate::ground::{Errno, Result};
use crate::posix::credentials;
use crate::posix::path::{Last, Place};
use crate::posix::permission::{self, Want};
use crate::store::{Attributes, Kind, NewNode, RenameMode};

/// Checks that a name may be made; the attributes of its directory. A name that is there already is `EEXIST` whatever
/// the rights are, so one that was left unasked is asked for where they are wanting.
fn may_create(place: &Place<'_>) -> Result<Attributes> {
    match place.check_directory_may_change() {
        // That the name is taken is said before that it may not be made.
        Err(error @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => {
            Err(if asked(place)?.found.is_some() { Errno::EXIST } else { error })
        }
        outcome => outcome,
    }
}

/// `mkdir`.
///
/// # Errors
/// As mkdir(2).
pub fn make_directory(place: &Place<'_>, mode: u32) -> Result<()> {
    let _quiet = place.connected.quiet();
    if !place.is_named() || place.found.is_some() {
        return Err(Errno::EXIST);
    }
    let directory = may_create(place)?;
    let new = new_node(&directory, Kind::Directory, mode & 0o1777);
    place.connected.container.create(place.directory, place.name(), &new).map(drop)
}

/// `mknod` of a regular file: the one kind of node besides `open`'s that a container has.
///
/// # Errors
/// As mknod(2).
pub fn make_file(place: &Place<'_>, mode: u32) -> Result<()> {
    let _quiet = place.connected.quiet();
    if !place.is_named() || place.found.is_some() {
        return Err(Errno::EXIST);
    }
    let directory = may_create(place)?;
    if place.must_be_directory {
        return Err(Errno::NOENT);
    }
    let new = new_node(&directory, Kind::File, mode & 0o7777);
    place.connected.container.create(place.directory, place.name(), &new).map(drop)
}

/// `symlink`.
///
/// # Errors
/// As symlink(2).
pub fn make_symlink(target: &[u8], place: &Place<'_>) -> Result<()> {
    let _quiet = place.connected.quiet();
    if target.is_empty() {
        return Err(Errno::NOENT);
    }
    if !place.is_named() || place.found.is_some() {
        return Err(Errno::EXIST);
    }
    if place.must_be_directory {
        return Err(if asked(place)?.found.is_some() { Errno::EXIST } else { Errno::NOENT });
    }
    let directory = may_create(place)?;
    let new = NewNode { mode: 0o777, target, ..new_node(&directory, Kind::Symlink, 0o777) };
    place.connected.container.create(place.directory, place.name(), &new).map(drop)
}

/// Asks what a name leads to that was left unasked, where the answer decides.
fn asked<'a>(place: &Place<'a>) -> Result<Place<'a>> {
    let mut place = place.clone();
    if place.is_unasked {
        place.look_again()?;
    }
    Ok(place)
}

/// Checks that the name at `place` may be taken away; the attributes of what it leads to.
fn check_removable(place: &Place<'_>) -> Result<Attributes> {
    let found = place.found.ok_or(Errno::NOENT)?;
    let directory = place.check_directory_may_change()?;
    let entry = place.rights_of(found.node)?;
    permission::check_sticky(&directory, &entry)?;
    Ok(entry)
}

/// `unlink`.
///
/// # Errors
/// As unlink(2).
pub fn unlink(place: &Place<'_>) -> Result<()> {
    let _quiet = place.connected.quiet();
    if !place.is_named() {
        return Err(Errno::ISDIR);
    }
    if place.is_unasked {
        return unlink_unasked(place);
    }
    let found = place.found.ok_or(Errno::NOENT)?;
    if place.must_be_directory && found.kind != Kind::Directory {
        return Err(Errno::NOTDIR);
    }
    if credentials::user() == 0 && found.kind != Kind::Directory && !place.connected.container.is_read_only() {
        // The superuser may, whatever the attributes say: they need not be asked.
        return place.connected.container.unlink(place.directory, place.name());
    }
    check_removable(place)?;
    if found.kind == Kind::Directory {
        return Err(Errno::ISDIR);
    }
    place.connected.container.unlink(place.directory, place.name())
}

/// `unlink` of a name that was not looked up: the engine finds out what it leads to, unless that decides who may.
fn unlink_unasked(place: &Place<'_>) -> Result<()> {
    const STICKY: u32 = 0o1000;
    let directory = place.check_directory_may_change()?;
    if place.must_be_directory || directory.mode & STICKY != 0 && credentials::user() != 0 {
        return unlink(&asked(place)?);
    }
    place.connected.container.unlink(place.directory, place.name())
}

/// `rmdir`.
///
/// # Errors
/// As rmdir(2).
pub fn remove_directory(place: &Place<'_>) -> Result<()> {
    let _quiet = place.connected.quiet();
    match place.last {
        Last::Root => return Err(Errno::BUSY),
        Last::Dot => return Err(Errno::INVAL),
        Last::DotDot => return Err(Errno::NOTEMPTY),
        Last::Name => {}
    }
    let entry = check_removable(place)?;
    if entry.kind != Kind::Directory {
        return Err(Errno::NOTDIR);
    }
    place.connected.container.remove_directory(place.directory, place.name())
}

/// `rename`, `renameat2`.
///
/// # Errors
/// As rename(2); `EXDEV` between two mounts.
pub fn rename(from: &Place<'_>, to: &Place<'_>, mode: RenameMode) -> Result<()> {
    let _quiet = from.connected.quiet();
    if !std::ptr::eq(from.connected, to.connected) {
        return Err(Errno::XDEV);
    }
    if !from.is_named() {
        return Err(Errno::BUSY);
    }
    if !to.is_named() {
        return Err(if mode == RenameMode::NoReplace { Errno::EXIST } else { Errno::BUSY });
    }
    let moved = from.found.ok_or(Errno::NOENT)?;
    if mode == RenameMode::NoReplace && to.found.is_some() {
        return Err(Errno::EXIST);
    }
    if mode == RenameMode::Exchange && to.found.is_none() {
        return Err(Errno::NOENT);
    }
    let other_is_directory = to.found.is_some_and(|found| found.kind == Kind::Directory);
    // A slash asks for a directory: behind the new name, for the one that is there in an exchange.
    let arriving_is_directory =
        if mode == RenameMode::Exchange { other_is_directory } else { moved.kind == Kind::Directory };
    if from.must_be_directory && moved.kind != Kind::Directory || to.must_be_directory && !arriving_is_directory {
        return Err(Errno::NOTDIR);
    }
    let entry = check_removable(from)?;
    check_parent_link(from, to, &entry)?;
    match to.found {
        None => drop(to.check_directory_may_change()?),
        Some(found) if found.node == moved.node => drop(to.check_directory_may_change()?),
        Some(_) => {
            let replaced = check_removable(to)?;
            if mode == RenameMode::Exchange {
                check_parent_link(to, from, &replaced)?;
            }
        }
    }
    from.connected.container.rename((from.directory, from.name()), (to.directory, to.name()), mode)
}

/// A directory that moves to another parent gets another `..`: that is a change of the directory itself.
fn check_parent_link(from: &Place<'_>, to: &Place<'_>, entry: &Attributes) -> Result<()> {
    if entry.kind == Kind::Directory && from.directory != to.directory {
        return permission::check(entry, Want::WRITE);
    }
    Ok(())
}

/// `link`: a container has no hard links (yet), and says so as file systems without them do.
///
/// # Errors
/// `EPERM`, after what link(2) finds wrong with the names themselves.
pub fn link(from: &Place<'_>, to: &Place<'_>) -> Result<()> {
    from.existing()?;
    if !to.is_named() || to.found.is_some() {
        return Err(Errno::EXIST);
    }
    Err(Errno::PERM)
}

/// `readlink`: the bytes copied to `room`.
///
/// # Errors
/// `EINVAL` for what is no symlink.
pub fn read_link(place: &Place<'_>, room: &mut [u8]) -> Result<usize> {
    let found = place.existing()?;
    if found.kind != Kind::Symlink {
        return Err(Errno::INVAL);
    }
    place.connected.container.read_link(found.node, room)
}
