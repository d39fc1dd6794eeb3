//! The host's paths that lead into a prefix: through a symlink, through `..`, or from a directory above it.

use super::buffer::{PathBuffer, is_finished, split_first};
use super::special::{Special, special};
use super::walk::{SYMLINKS_COUNT_MAX, Symlinks};
use crate::ground::descriptor_links::LinkPath;
use crate::ground::{Errno, Result, kernel};
use crate::posix::{mount, working_directory};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Where the kernel's relative paths start from `base`.
///
/// # Errors
/// `EBADF`, or what `getcwd` says.
pub fn starting_point(base: Option<BorrowedFd<'_>>) -> Result<PathBuffer> {
    let mut path = PathBuffer::new();
    let length = match base {
        None => kernel::working_directory(path.room())?,
        Some(directory) => {
            let link = descriptor_link(directory)?;
            rustix::fs::readlinkat_raw(CWD, link.as_c_str(), path.room())?
        }
    };
    path.set_length(length);
    if path.as_bytes().starts_with(b"/") { Ok(path) } else { Err(Errno::NOENT) }
}

/// The link of a kernel descriptor in `/proc`.
///
/// # Errors
/// `ENAMETOOLONG` as a matter of form.
pub fn descriptor_link(descriptor: BorrowedFd<'_>) -> Result<PathBuffer> {
    PathBuffer::of(LinkPath::of(descriptor.as_raw_fd())?.as_bytes())
}

/// Whether a path that the kernel did not find can lead into a prefix only in ways that its text does not show: one
/// system call where there is no symlink on the way, which is nearly always.
fn has_no_symlink(path: &PathBuffer) -> bool {
    let outcome = rustix::fs::openat2(
        CWD,
        path.as_c_str(),
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    );
    matches!(outcome, Err(Errno::NOENT))
}

/// An absolute path below a prefix that the host path `path`, taken from `base`, leads to, if it does.
///
/// # Errors
/// `ELOOP`, `ENAMETOOLONG`: then it leads nowhere at all.
pub fn into_prefix(base: Option<BorrowedFd<'_>>, path: &[u8], symlinks: Symlinks) -> Result<Option<PathBuffer>> {
    let mut rest = PathBuffer::of(path)?;
    let mut here = if path.starts_with(b"/") { PathBuffer::of(b"/")? } else { starting_point(base)? };
    if path.starts_with(b"/") && !has_dots(path) && has_no_symlink(&rest) {
        return Ok(None);
    }
    let mut walked = 0;
    let mut links = 0;
    loop {
        let (name, behind) = split_first(&rest.as_bytes()[walked..]);
        let after = rest.as_bytes().len() - behind.len();
        match name {
            b"" => return Ok(None),
            b"." => {
                walked = after;
                continue;
            }
            b".." => {
                here.pop_component();
                walked = after;
                continue;
            }
            _ => here.push_component(name)?,
        }
        if let Some((_, below)) = mount::find(here.as_bytes())
            && below.is_empty()
        {
            here.push(behind)?;
            return Ok(Some(here));
        }
        let keeps = match symlinks {
            Symlinks::Follow => false,
            Symlinks::FollowToMake => is_finished(behind) && !behind.is_empty(),
            Symlinks::Keep => behind.is_empty(),
            Symlinks::Name => is_finished(behind),
        };
        if keeps {
            return Ok(None);
        }
        match special(here.as_bytes())? {
            Some(Special::Directory(mount, node, _)) => {
                let mut inside = working_directory::path_of(mount, node)?;
                inside.push(behind)?;
                return Ok(Some(inside));
            }
            Some(Special::OutOfReach(_)) => return Err(Errno::ACCESS),
            Some(Special::Descriptor(..)) | None => {}
        }
        let mut target = PathBuffer::new();
        match rustix::fs::readlinkat_raw(CWD, here.as_c_str(), target.room()) {
            Ok(length) => {
                target.set_length(length);
                links += 1;
                if links > SYMLINKS_COUNT_MAX {
                    return Err(Errno::LOOP);
                }
                target.push(behind)?;
                here.pop_component();
                if target.as_bytes().starts_with(b"/") {
                    here = PathBuffer::of(b"/")?;
                }
                rest = target;
                walked = 0;
            }
            // A plain file or directory, or something that only exists as the way to a prefix.
            Err(Errno::INVAL) => walked = after,
            Err(_) if is_above_a_prefix(here.as_bytes()) => walked = after,
            Err(_) => return Ok(None),
        }
    }
}

/// Whether a directory of the host can be read as the way to some prefix.
fn is_above_a_prefix(path: &[u8]) -> bool {
    mount::all()
        .iter()
        .any(|mount| mount.configuration.prefix.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/")))
}

/// Whether a path holds `.`, `..` or a doubled slash, so that its text is not its meaning.
fn has_dots(path: &[u8]) -> bool {
    path.windows(2).any(|pair| pair == b"//" || pair == b"/.")
}

/// Whether the last name of a host path is the last name of a prefix: then a call that makes it could make the prefix.
pub fn ends_like_a_prefix(path: &[u8]) -> bool {
    let last = |text: &[u8]| -> usize { text.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1) };
    let trimmed = &path[..path.iter().rposition(|byte| *byte != b'/').map_or(0, |end| end + 1)];
    let name = &trimmed[last(trimmed)..];
    mount::all().iter().any(|mount| {
        let prefix = &mount.configuration.prefix;
        &prefix[last(prefix)..] == name
    })
}
