//! The working directory, when it is under a prefix.
//!
//! The kernel's own working directory is then a directory of the store that stands for it ([`host_stand_in`]): so a
//! vfork child that changes it, a spawned program that starts in it and one whose environment was made by hand all
//! know where they are. What is kept here is only a cache of that. Where the process may not enter the stand-in (it
//! gave up its rights, or the host is read-only) the cache is all there is, and `SIDESTEP_CWD` tells a new program.
//!
//! [`host_stand_in`]: crate::store::Container::host_stand_in

#![allow(unsafe_code)]

use super::mount::{self, Mount};
use super::path::buffer::PathBuffer;
use super::path::{Base, Route, Symlinks, route};
use super::process;
use crate::ground::mounts::StoreUrl;
use crate::ground::{Errno, Result, kernel};
use crate::store::daos;
use crate::store::{ArrayObject, Found, NodeId};
use rustix::fs::{AtFlags, CWD};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// Not asked yet: a new program, or a call whose effect is not known.
const UNKNOWN: u64 = 0;
/// On the host.
const HOST: u64 = 1;
/// Under a prefix: the node, the mount's index above it and this bit.
const OURS: u64 = 1 << 63;
const MOUNT_SHIFT: u32 = 56;
const NODE_MASK: u64 = (1 << MOUNT_SHIFT) - 1;

/// What every stand-in of an embedded store has in its path.
const STAND_INS: &[u8] = b"/stand-ins/";

static STATE: AtomicU64 = AtomicU64::new(UNKNOWN);

/// Whether the kernel's working directory is somewhere else.
static IS_ONLY_HERE: AtomicBool = AtomicBool::new(false);

/// Whether the working directory was ever asked for.
static WAS_ASKED: AtomicBool = AtomicBool::new(false);

/// The working directory, opened, where it is ours.
static KEPT: AtomicPtr<Box<dyn ArrayObject>> = AtomicPtr::new(std::ptr::null_mut());

/// The mount and directory that relative paths start from, or `None` on the host.
#[inline]
pub fn current() -> Option<(&'static Mount, NodeId)> {
    if process::is_guest() {
        return ask_the_kernel();
    }
    let mut state = STATE.load(Ordering::Acquire);
    if state == UNKNOWN {
        let is_first = !WAS_ASKED.swap(true, Ordering::AcqRel);
        let place = if is_first { told() } else { None }.or_else(ask_the_kernel);
        if let Some((mount, node)) = place {
            keep_open(mount, node);
        }
        state = place.map_or(HOST, |(mount, node)| encode(mount, node));
        STATE.store(state, Ordering::Release);
    }
    if state == HOST {
        return None;
    }
    let mount = mount::all().get((state & !OURS) as usize >> MOUNT_SHIFT)?;
    Some((mount, NodeId(state & NODE_MASK)))
}

fn encode(mount: &Mount, node: NodeId) -> u64 {
    OURS | (mount.index as u64) << MOUNT_SHIFT | (node.0 & NODE_MASK)
}

fn ask_the_kernel() -> Option<(&'static Mount, NodeId)> {
    let mut path = PathBuffer::new();
    let length = kernel::working_directory(path.room()).ok()?;
    path.set_length(length);
    mount::all().iter().find_map(|mount| {
        // A store is connected only where this is inside it: a process that never touches the prefix does not.
        let may_be_inside = match &mount.configuration.url {
            StoreUrl::Local { directory } => is_inside(path.as_bytes(), directory),
            StoreUrl::Daos { .. } => daos::is_stand_in(path.as_bytes()),
        };
        if !may_be_inside {
            return None;
        }
        let node = mount.connect().ok()?.container.directory_at(path.as_bytes())?;
        Some((mount, node))
    })
}

/// Whether a host path is that of a stand-in of an embedded store.
fn is_inside(path: &[u8], store: &Path) -> bool {
    let identity = |path: &[u8]| rustix::fs::stat(path).map(|stat| (stat.st_dev, stat.st_ino));
    let at = path.windows(STAND_INS.len()).position(|window| window == STAND_INS);
    at.is_some_and(|at| {
        let (there, store) = (identity(&path[..at]), identity(store.as_os_str().as_bytes()));
        there.is_ok() && there == store
    })
}

/// Makes a directory of ours the working directory.
///
/// # Errors
/// What the kernel says of the stand-in.
pub fn enter(mount: &'static Mount, node: NodeId) -> Result<()> {
    let mut path = PathBuffer::new();
    let entered = mount.connect()?.container.host_stand_in(node, path.room()).and_then(|length| {
        path.set_length(length);
        rustix::process::chdir(path.as_c_str())?;
        // Nobody would remove the stand-in of a directory that is removed already.
        let is_removed = mount.connect()?.container.attributes(node).is_ok_and(|attributes| attributes.link_count == 0);
        if is_removed {
            let _ = rustix::fs::unlinkat(CWD, path.as_c_str(), AtFlags::REMOVEDIR);
        }
        Ok(())
    });
    match entered {
        Ok(()) => {}
        Err(Errno::ACCESS | Errno::ROFS) if !process::is_guest() => {}
        Err(error) => return Err(error),
    }
    if !process::is_guest() {
        IS_ONLY_HERE.store(entered.is_err(), Ordering::Release);
        keep_open(mount, node);
        STATE.store(encode(mount, node), Ordering::Release);
    }
    Ok(())
}

/// The path that a new program has to be told, because the kernel does not know it.
pub fn untold() -> Option<PathBuffer> {
    if !IS_ONLY_HERE.load(Ordering::Acquire) {
        return None;
    }
    let (mount, node) = current()?;
    path_of(mount, node).ok()
}

/// What `SIDESTEP_CWD` told this program.
fn told() -> Option<(&'static Mount, NodeId)> {
    let path = std::env::var_os("SIDESTEP_CWD")?;
    match route(Base::WorkingDirectory, path.as_bytes(), Symlinks::Follow) {
        Ok(Route::Ours(place)) => {
            IS_ONLY_HERE.store(true, Ordering::Release);
            place.existing().ok().map(|found| (place.mount, found.node))
        }
        _ => None,
    }
}

/// Keeps the working directory's number from being used again once it is removed, as an open file is kept.
fn keep_open(mount: &'static Mount, node: NodeId) {
    let opened = mount.connect().and_then(|connected| {
        let attributes = connected.container.attributes(node)?;
        connected.container.adopt(Found { node, generation: attributes.generation, kind: attributes.kind }, &[])
    });
    let kept = opened.map_or(std::ptr::null_mut(), |object| Box::into_raw(Box::new(object)));
    let before = KEPT.swap(kept, Ordering::AcqRel);
    if !before.is_null() {
        // SAFETY: from `Box::into_raw` above, and taken out of its place by one thread only; nobody looks through it.
        drop(unsafe { Box::from_raw(before) });
    }
}

/// The kernel's working directory is about to change, or has changed, to something on the host.
pub fn left() {
    if !process::is_guest() {
        WAS_ASKED.store(true, Ordering::Release);
        IS_ONLY_HERE.store(false, Ordering::Release);
        STATE.store(UNKNOWN, Ordering::Release);
    }
}

/// The path of a directory of ours: the prefix, and the names that lead to it now.
///
/// # Errors
/// `ENOENT` where it has been removed.
pub fn path_of(mount: &'static Mount, node: NodeId) -> Result<PathBuffer> {
    let container = mount.connect()?.container.as_ref();
    if container.attributes(node).map_err(|_| Errno::NOENT)?.link_count == 0 {
        return Err(Errno::NOENT);
    }
    // From the end of the room to its front, since the names come from the last to the first.
    let mut text = vec![0; super::path::buffer::PATH_BYTES_MAX];
    let mut start = text.len();
    let mut node = node;
    while node != container.root() {
        let mut name = [0u8; 255];
        let (parent, length) = container.whereabouts(node, &mut name)?;
        let needed = length + 1;
        if start < needed {
            return Err(Errno::NAMETOOLONG);
        }
        text[start - length..start].copy_from_slice(&name[..length]);
        start -= needed;
        text[start] = b'/';
        node = parent;
    }
    let mut path = PathBuffer::of(&mount.configuration.prefix)?;
    path.push(&text[start..])?;
    Ok(path)
}
