//! `open`, in all its forms.

use crate::ground::stopwatch::Stopwatch;
use crate::ground::{Errno, Result, kernel};
use crate::posix::credentials;
use crate::posix::description::{Access, Description};
use crate::posix::descriptor::table;
use crate::posix::path::Place;
use crate::posix::permission::{self, Want};
use crate::store::{Attributes, Found, Kind, NewNode};
use rustix::fs::OFlags;

/// Lookups that are made again at once because the name was changed between its being found and its being opened.
const ATTEMPTS_AT_ONCE_COUNT: u32 = 8;

/// Rest between two later ones: whoever is in the middle of changing the name may wait for this processor.
const REST_MICROSECONDS: u32 = 100;

/// How long they go on, together: the engines' own bound on the change of a name is half of it.
const PATIENCE_NANOSECONDS: i64 = 2_000_000_000;

/// What became of an open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// This descriptor.
    As(i32),
    /// The name, which was left unasked, leads to a symlink that is to be followed: the path has to be walked again, with
    /// the last name looked up.
    BehindSymlink,
}

/// Opens what is at `place`, or makes it. `mode` is the application's, without the mask.
///
/// # Errors
/// As open(2). `EOPNOTSUPP` for `O_TMPFILE`.
pub fn open(mut place: Place<'_>, flags: OFlags, mode: u32) -> Result<Opened> {
    if flags.contains(OFlags::TMPFILE) {
        return Err(Errno::OPNOTSUPP);
    }
    if flags.contains(OFlags::CREATE) && place.must_be_directory && !flags.contains(OFlags::PATH) {
        return Err(Errno::ISDIR);
    }
    let was_unasked = place.is_unasked;
    let _quiet = place.connected.quiet();
    let mut again = Again::default();
    loop {
        match attempt(&mut place, flags, mode) {
            Err(Attempt::Again) => match place.look_again() {
                // Replaced again meanwhile.
                Err(Errno::STALE) => {}
                looked => looked?,
            },
            Err(Attempt::Failed(error)) => return Err(error),
            Ok(descriptor) => return Ok(Opened::As(descriptor)),
        }
        let is_symlink = place.found.is_some_and(|found| found.kind == Kind::Symlink);
        if was_unasked && is_symlink && !flags.contains(OFlags::NOFOLLOW) {
            return Ok(Opened::BehindSymlink);
        }
        again.rest()?;
    }
}

/// The attempts of an open that others got ahead of.
#[derive(Default)]
struct Again {
    count: u32,
    since: Option<Stopwatch>,
}

impl Again {
    /// Before the next one.
    ///
    /// # Errors
    /// `ESTALE` after a time that nobody needs.
    fn rest(&mut self) -> Result<()> {
        self.count += 1;
        if self.count < ATTEMPTS_AT_ONCE_COUNT {
            return Ok(());
        }
        if self.since.get_or_insert_with(Stopwatch::start).nanoseconds() > PATIENCE_NANOSECONDS {
            return Err(Errno::STALE);
        }
        kernel::sleep(REST_MICROSECONDS);
        Ok(())
    }
}

enum Attempt {
    /// The name leads to something else by now.
    Again,
    Failed(Errno),
}

impl From<Errno> for Attempt {
    fn from(error: Errno) -> Self {
        Self::Failed(error)
    }
}

fn attempt(place: &mut Place<'_>, flags: OFlags, mode: u32) -> std::result::Result<i32, Attempt> {
    let close_on_exec = flags.contains(OFlags::CLOEXEC);
    let (found, reservation, is_new) = match place.found {
        Some(found) => {
            check(place, found, flags)?;
            (found, table::reserve(close_on_exec)?, false)
        }
        None => {
            if !flags.contains(OFlags::CREATE) || flags.contains(OFlags::PATH) {
                return Err(Errno::NOENT.into());
            }
            let directory = match place.check_directory_may_change() {
                // What is there may be opened all the same.
                Err(_) if place.is_unasked => return Err(Attempt::Again),
                directory => directory?,
            };
            let reservation = table::reserve(close_on_exec)?;
            let new = new_node(&directory, Kind::File, mode & 0o7777);
            match place.connected.container.create(place.directory, place.name(), &new) {
                Ok(found) => (found, reservation, true),
                Err(Errno::EXIST) if !flags.contains(OFlags::EXCL) => return Err(Attempt::Again),
                // What was found there before was replaced while this call looked.
                Err(Errno::STALE) => return Err(Attempt::Again),
                Err(error) => return Err(error.into()),
            }
        }
    };
    let container = place.connected.container.as_ref();
    // A file reached through its own open descriptor may have no name left.
    let opened = match place.is_named() {
        true if only_reads(flags) => container.open_to_read(found),
        true => container.open(found),
        false => container.adopt(found, &[]),
    };
    let object = match opened {
        Err(Errno::NOENT | Errno::STALE) if place.is_named() => return Err(Attempt::Again),
        Err(error) => return Err(error.into()),
        Ok(object) => object,
    };
    let empties = flags.contains(OFlags::TRUNC) && !flags.contains(OFlags::PATH) && found.kind == Kind::File;
    if empties && !is_new && object.size_at_hand() != Some(0) {
        object.set_size(0)?;
    }
    let description = Description::new(place.mount, object, flags, place.directory, place.name());
    Ok(reservation.install(description)?)
}

/// Whether a file that is opened so will be read, if anything, and is left as it is.
pub fn only_reads(flags: OFlags) -> bool {
    let mode = flags.bits().cast_signed() & libc::O_ACCMODE;
    let others = OFlags::CREATE | OFlags::TRUNC | OFlags::PATH | OFlags::DIRECTORY;
    mode == libc::O_RDONLY && !flags.intersects(others)
}

/// Checks that what is there may be opened so.
fn check(place: &Place<'_>, found: Found, flags: OFlags) -> Result<()> {
    if flags.contains(OFlags::CREATE | OFlags::EXCL) && !flags.contains(OFlags::PATH) {
        return Err(Errno::EXIST);
    }
    let access = Access::of_flags(flags);
    // 3 asks for both rights and gives neither: the descriptor is for ioctl only.
    let mode = flags.bits().cast_signed() & libc::O_ACCMODE;
    let (reads, writes) = (mode != libc::O_WRONLY, mode != libc::O_RDONLY);
    match found.kind {
        Kind::Symlink if flags.contains(OFlags::DIRECTORY) || place.must_be_directory => return Err(Errno::NOTDIR),
        Kind::Symlink if !access.path_only => return Err(Errno::LOOP),
        Kind::Directory if !access.path_only && (writes || flags.intersects(OFlags::CREATE | OFlags::TRUNC)) => {
            return Err(Errno::ISDIR);
        }
        Kind::File if flags.contains(OFlags::DIRECTORY) || place.must_be_directory => return Err(Errno::NOTDIR),
        _ => {}
    }
    if access.path_only {
        return Ok(());
    }
    let changes = writes || flags.contains(OFlags::TRUNC);
    if changes && place.connected.container.is_read_only() {
        return Err(Errno::ROFS);
    }
    if credentials::user() == 0 {
        return Ok(());
    }
    let attributes = place.rights_of(found.node)?;
    let wanted = if reads { Want::READ.0 } else { 0 } | if changes { Want::WRITE.0 } else { 0 };
    permission::check(&attributes, Want(wanted))?;
    if flags.contains(OFlags::NOATIME) {
        permission::check_owner(&attributes)?;
    }
    Ok(())
}

/// A node that this process makes in `directory`: its own, but a set-group-id directory gives its group on, and a
/// directory the bit as well.
pub fn new_node(directory: &Attributes, kind: Kind, mode: u32) -> NewNode<'static> {
    const SET_GROUP_ID: u32 = 0o2000;
    let inherits = directory.mode & SET_GROUP_ID != 0;
    let gid = if inherits { directory.gid } else { credentials::group() };
    let mut mode = mode & !credentials::mask();
    if kind == Kind::Directory && inherits {
        mode |= SET_GROUP_ID;
    } else if mode & SET_GROUP_ID != 0 && credentials::user() != 0 && !credentials::is_in_group(gid) {
        mode &= !SET_GROUP_ID;
    }
    NewNode { kind, mode, uid: credentials::user(), gid, target: &[] }
}
