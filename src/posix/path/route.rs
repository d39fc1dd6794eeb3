//! Which world a path leads to.

use super::buffer::{PathBuffer, is_finished};
use super::host;
use super::special::{Special, special};
use super::walk::{Place, Rules, Scope, Walked, walk};
use crate::ground::{Errno, Result};
use crate::posix::description::Description;
use crate::posix::descriptor::table;
use crate::posix::{mount, working_directory};
use crate::store::Kind;
use std::os::fd::BorrowedFd;

/// Where a relative path starts.
#[derive(Clone, Copy)]
pub enum Base<'a> {
    /// `AT_FDCWD`.
    WorkingDirectory,
    /// A directory of ours.
    Ours(&'a Description),
    /// A descriptor of the host, good or bad.
    Host(BorrowedFd<'a>),
}

/// Where a call on a path has to go.
pub enum Route<'a> {
    /// To the kernel, as it is. Where the kernel finds nothing, ask [`second_look`].
    Host,
    /// To the kernel, with this absolute path in the place of directory and path.
    HostAt(PathBuffer),
    /// Here.
    Ours(Place<'a>),
    /// To an open file: `/dev/stdin`, `/proc/self/fd/7`.
    Descriptor(i32),
}

/// The times a resolution may cross from one world to the other.
const CROSSINGS_COUNT_MAX: u32 = 40;

/// Where `path`, taken from `base`, leads. Not-ours absolute paths cost a comparison with each prefix.
///
/// # Errors
/// Those of a resolution that ends under a prefix: `ENOENT`, `ENOTDIR`, `EACCES`, `ELOOP`, `ENAMETOOLONG`, or what
/// keeps the container from being connected.
pub fn route<'a>(base: Base<'_>, path: &'a [u8], rules: impl Into<Rules>) -> Result<Route<'a>> {
    let rules = rules.into();
    let mut links = 0;
    if path.first() == Some(&b'/') && rules.scope != Scope::Everywhere {
        return scoped_route(base, path, rules, &mut links);
    }
    if path.first() == Some(&b'/') {
        if let Some((mount, rest)) = mount::find(path) {
            if mount.is_excluded(rest) {
                return Ok(Route::Host);
            }
            let connected = mount.connect()?;
            let walked = walk(mount, connected, connected.container.root(), rest, rules, &mut links)?;
            return settle(walked, rules, &mut links);
        }
        if let Some(special) = special(path)? {
            return special_route(special, rules, &mut links);
        }
        return unlikely_route(base, path, rules, &mut links);
    }
    if path.is_empty() {
        let is_ours = match base {
            Base::Ours(_) => true,
            Base::WorkingDirectory => working_directory::current().is_some(),
            Base::Host(_) => false,
        };
        // On the host an empty path may mean the descriptor itself.
        return if is_ours { Err(Errno::NOENT) } else { Ok(Route::Host) };
    }
    match base {
        Base::WorkingDirectory => match working_directory::current() {
            None => unlikely_route(base, path, rules, &mut links),
            Some((mount, node)) => {
                let connected = mount.connect()?;
                let walked = walk(mount, connected, node, path, rules, &mut links)?;
                settle(walked, rules, &mut links)
            }
        },
        Base::Ours(directory) => {
            if directory.found().kind != Kind::Directory {
                return Err(Errno::NOTDIR);
            }
            let (mount, connected) = (directory.mount, directory.mount.connect()?);
            let walked = walk(mount, connected, directory.found().node, path, rules, &mut links)?;
            settle(walked, rules, &mut links)
        }
        Base::Host(_) => unlikely_route(base, path, rules, &mut links),
    }
}

/// A path through the host's name for something of ours.
fn special_route<'a>(special: Special<'a>, rules: Rules, links: &mut u32) -> Result<Route<'a>> {
    let (mount, node, rest) = match special {
        Special::Descriptor(descriptor, b"") => return Ok(Route::Descriptor(descriptor)),
        // The link itself is the host's.
        Special::Directory(_, _, b"") | Special::OutOfReach(b"") if !rules.follows_last() => return Ok(Route::Host),
        Special::OutOfReach(_) => return Err(Errno::ACCESS),
        Special::Directory(mount, node, rest) => (mount, node, rest),
        Special::Descriptor(descriptor, rest) => {
            let opened = table::get(descriptor)?.ok_or(Errno::BADF)?;
            if opened.found().kind != Kind::Directory {
                return Err(Errno::NOTDIR);
            }
            (opened.mount, opened.found().node, rest)
        }
    };
    let rest = if is_finished(rest) { b"." } else { rest };
    settle(walk(mount, mount.connect()?, node, rest, rules, links)?, rules, links)
}

/// An absolute path that `openat2` confines to the directory that it starts from.
fn scoped_route<'a>(base: Base<'_>, path: &'a [u8], rules: Rules, links: &mut u32) -> Result<Route<'a>> {
    let (mount, start) = match base {
        Base::Host(_) => return Ok(Route::Host),
        Base::Ours(directory) => (directory.mount, directory.found().node),
        Base::WorkingDirectory => match working_directory::current() {
            None => return Ok(Route::Host),
            Some(place) => place,
        },
    };
    if rules.scope == Scope::Beneath {
        return Err(Errno::XDEV);
    }
    let walked = walk(mount, mount.connect()?, start, path, rules, links)?;
    settle(walked, rules, links)
}

/// A host path: nearly always left alone. Where the prefix is there on the host too, or could be made by this call,
/// the kernel would not fail where it should, and the path is followed beforehand.
fn unlikely_route(base: Base<'_>, path: &[u8], rules: Rules, links: &mut u32) -> Result<Route<'static>> {
    let is_doubtful = mount::is_any_on_host() || path.first() != Some(&b'/') && host::ends_like_a_prefix(path);
    if !is_doubtful {
        return Ok(Route::Host);
    }
    Ok(follow_host(base, path, rules, links)?.unwrap_or(Route::Host))
}

/// After the kernel answered `ENOENT` or `ENOTDIR`: the place under a prefix that the path leads to in a roundabout
/// way, if it does.
///
/// # Errors
/// Those of the resolution under the prefix; the kernel's answer stands where there is none.
pub fn second_look(base: Base<'_>, path: &[u8], rules: impl Into<Rules>) -> Result<Option<Route<'static>>> {
    let rules = rules.into();
    if path.is_empty() || matches!(base, Base::Ours(_)) || rules.scope != Scope::Everywhere {
        return Ok(None);
    }
    follow_host(base, path, rules, &mut 0)
}

fn follow_host(base: Base<'_>, path: &[u8], rules: Rules, links: &mut u32) -> Result<Option<Route<'static>>> {
    let base = match base {
        Base::Host(descriptor) => Some(descriptor),
        _ => None,
    };
    let Ok(Some(inside)) = host::into_prefix(base, path, rules.symlinks) else { return Ok(None) };
    let Some((mount, rest)) = mount::find(inside.as_bytes()) else { return Ok(None) };
    if mount.is_excluded(rest) {
        return Ok(Some(Route::HostAt(inside.clone())));
    }
    let connected = mount.connect()?;
    let walked = walk(mount, connected, connected.container.root(), rest, rules, links)?.into_owned();
    settle(walked, rules, links).map(Some)
}

/// Goes on where a walk has left its container.
fn settle<'a>(walked: Walked<'a>, rules: Rules, links: &mut u32) -> Result<Route<'a>> {
    let mut walked = walked;
    for _ in 0..CROSSINGS_COUNT_MAX {
        let path = match walked {
            Walked::Here(place) => return Ok(Route::Ours(place)),
            Walked::Elsewhere(path) => path,
        };
        let inside = match mount::find(path.as_bytes()) {
            Some(_) => Some(path.clone()),
            None => host::into_prefix(None, path.as_bytes(), rules.symlinks)?,
        };
        let Some(inside) = inside else { return Ok(Route::HostAt(path)) };
        let Some((mount, rest)) = mount::find(inside.as_bytes()) else { return Ok(Route::HostAt(path)) };
        if mount.is_excluded(rest) {
            return Ok(Route::HostAt(inside.clone()));
        }
        let connected = mount.connect()?;
        walked = walk(mount, connected, connected.container.root(), rest, rules, links)?.into_owned();
    }
    Err(Errno::LOOP)
}
