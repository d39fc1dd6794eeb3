//! The working directory, when it is under a prefix.
//!
//! The kernel's own working directory is then a directory of the store that stands for it ([`host_stand_in`]): so a
//! vfork child that changes it, a spawned program that starts in it and one whose environment was made by hand all
//! know where they are. What is kept here is only a cache of that.
//!
//! [`host_stand_in`]: crate::store::Container::host_stand_in

use super::mount::{self, Mount};
use super::path::buffer::PathBuffer;
use super::path::host;
use super::process;
use crate::ground::mounts::StoreUrl;
use crate::ground::{Errno, Result};
use crate::store::NodeId;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Not asked yet: a new program, or a call whose effect is not known.
const UNKNOWN: u64 = 0;
/// On the host.
const HOST: u64 = 1;
/// Under a prefix: the node, the mount's index above it and this bit.
const OURS: u64 = 1 << 63;
const MOUNT_SHIFT: u32 = 56;
const NODE_MASK: u64 = (1 << MOUNT_SHIFT) - 1;

static STATE: AtomicU64 = AtomicU64::new(UNKNOWN);

/// The mount and directory that relative paths start from, or `None` on the host.
#[inline]
pub fn current() -> Option<(&'static Mount, NodeId)> {
    if process::is_guest() {
        return ask_the_kernel();
    }
    let mut state = STATE.load(Ordering::Acquire);
    if state == UNKNOWN {
        let place = ask_the_kernel();
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
    let length = host::working_directory(path.room()).ok()?;
    path.set_length(length);
    mount::all().iter().find_map(|mount| {
        let StoreUrl::Local { directory } = &mount.configuration.url else { return None };
        // A store is connected only where its own directory is the working directory: the text rules out the rest.
        let name = directory.file_name()?.as_bytes();
        if !path.as_bytes().windows(name.len()).any(|window| window == name) {
            return None;
        }
        let node = mount.connect().ok()?.container.directory_at(path.as_bytes())?;
        Some((mount, node))
    })
}

/// Makes a directory of ours the working directory.
///
/// # Errors
/// What the kernel says of the stand-in.
pub fn enter(mount: &'static Mount, node: NodeId) -> Result<()> {
    let mut path = PathBuffer::new();
    let length = mount.connect()?.container.host_stand_in(node, path.room())?;
    path.set_length(length);
    rustix::process::chdir(path.as_c_str())?;
    if !process::is_guest() {
        STATE.store(encode(mount, node), Ordering::Release);
    }
    Ok(())
}

/// The kernel's working directory is about to change, or has changed, to something on the host.
pub fn left() {
    if !process::is_guest() {
        STATE.store(UNKNOWN, Ordering::Release);
    }
}

/// The path of a directory of ours: the prefix, and the names that lead to it now.
///
/// # Errors
/// `ENOENT` where it has been removed.
pub fn path_of(mount: &'static Mount, node: NodeId) -> Result<PathBuffer> {
    let container = mount.connect()?.container.as_ref();
    // From the end of the room to its front, since the names come from the last to the first.
    let mut text = [0u8; super::path::buffer::PATH_BYTES_MAX];
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
