//! The working directory, when it is under a prefix.
//!
//! The kernel's own working directory is then a directory that stands for it ([`stand_in`]): so a vfork child that
//! changes it, a spawned program that starts in it and one whose environment was made by hand all know where they are.
//! What is kept here is only a cache of that. A new program is told the path too, in `SIDESTEP_CWD`, together with the
//! stand-in's device and number: for an engine that can't find a directory by what its stand-in tells, and for a program
//! without `/proc`. Where no stand-in can be made, the kernel is in a directory of procfs ([`stand_in::LAST_RESORT`]), and
//! that is all there is.

#![allow(unsafe_code)]

use super::mount::{self, Mount};
use super::path::buffer::{PATH_BYTES_MAX, PathBuffer};
use super::path::{Base, Route, Symlinks, route};
use super::{process, stand_in};
use crate::ground::{Errno, Result, kernel};
use crate::store::{ArrayObject, Found, NodeId};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// Not asked yet: a new program, or a call whose effect is not known.
const UNKNOWN: u64 = 0;
/// On the host.
const HOST: u64 = 1;
/// Under a prefix: the node, the mount's index above it and this bit.
const OURS: u64 = 1 << 63;
const MOUNT_SHIFT: u32 = 56;
const NODE_MASK: u64 = (1 << MOUNT_SHIFT) - 1;

/// The longest path of a directory that is told: there is a loop in the names of a store where one is longer.
const DEEP_PATH_BYTES_MAX: usize = 1 << 24;

/// A longer path is not told to a new program: the kernel takes no variable of 128 KiB.
const TOLD_PATH_BYTES_MAX: usize = 1 << 16;

static STATE: AtomicU64 = AtomicU64::new(UNKNOWN);

/// Which directory the kernel is in while this process is where `STATE` says: device and number; 0 for both if it is on the
/// host, or nobody knows.
static KERNEL_AT: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// What `SIDESTEP_CWD` said when this program was started: it may have another environment by the time it asks.
static TOLD: OnceLock<Vec<u8>> = OnceLock::new();

/// Whether the working directory was ever asked for.
static WAS_ASKED: AtomicBool = AtomicBool::new(false);

/// The working directory, opened, where it is ours.
static KEPT: AtomicPtr<Box<dyn ArrayObject>> = AtomicPtr::new(std::ptr::null_mut());

/// Remembers what this program was told. Called once, when the library starts.
pub fn start() {
    if let Some(told) = std::env::var_os("SIDESTEP_CWD") {
        let _ = TOLD.set(told.into_encoded_bytes());
    }
}

/// The mount and directory that relative paths start from, or `None` on the host.
#[inline]
pub fn current() -> Option<(&'static Mount, NodeId)> {
    if process::is_guest() {
        // It is where its parent is until it has gone elsewhere.
        let at = KERNEL_AT.each_ref().map(|word| word.load(Ordering::Acquire));
        let is_with_parent = at != [0, 0] && kernels_own() == Some(at);
        return if is_with_parent { decode(STATE.load(Ordering::Acquire)) } else { ask_the_kernel() };
    }
    let mut state = STATE.load(Ordering::Acquire);
    if state == UNKNOWN {
        let is_first = !WAS_ASKED.swap(true, Ordering::AcqRel);
        let place = ask_the_kernel().or_else(|| if is_first { told() } else { None });
        if let Some((mount, node)) = place {
            keep_open(mount, node);
            note_kernel_at(kernels_own());
        }
        state = place.map_or(HOST, |(mount, node)| encode(mount, node));
        STATE.store(state, Ordering::Release);
    }
    decode(state)
}

fn encode(mount: &Mount, node: NodeId) -> u64 {
    OURS | (mount.index as u64) << MOUNT_SHIFT | (node.0 & NODE_MASK)
}

fn decode(state: u64) -> Option<(&'static Mount, NodeId)> {
    if state & OURS == 0 {
        return None;
    }
    let mount = mount::all().get((state & !OURS) as usize >> MOUNT_SHIFT)?;
    Some((mount, NodeId(state & NODE_MASK)))
}

fn ask_the_kernel() -> Option<(&'static Mount, NodeId)> {
    let mut path = PathBuffer::new();
    match kernel::working_directory(path.room()) {
        // It has been removed, as a stand-in has. The leader's link is gone with the leader.
        Err(Errno::NOENT) => stand_in::place_at(c"/proc/thread-self/cwd"),
        _ => None,
    }
}

/// Which directory the kernel is in: device and number.
fn kernels_own() -> Option<[u64; 2]> {
    rustix::fs::stat(c".").ok().map(|stat| [stat.st_dev, stat.st_ino])
}

fn note_kernel_at(place: Option<[u64; 2]>) {
    for (word, value) in KERNEL_AT.iter().zip(place.unwrap_or_default()) {
        word.store(value, Ordering::Release);
    }
}

/// Makes a directory of ours the working directory.
///
/// # Errors
/// What the engine has against it; for a child on its parent's memory also what keeps a stand-in from being made.
pub fn enter(mount: &'static Mount, node: NodeId) -> Result<()> {
    let told = stand_in::enter(mount, node);
    if process::is_guest() {
        return told;
    }
    if let Err(error) = told {
        // The engine's own refusals come again.
        mount.connect()?.container.stand_in_name(node)?;
        rustix::process::chdir(stand_in::LAST_RESORT).map_err(|_| error)?;
    }
    note_kernel_at(kernels_own());
    keep_open(mount, node);
    STATE.store(encode(mount, node), Ordering::Release);
    Ok(())
}

/// What a new program is told, for the case that the kernel can't tell it. No store is connected for that.
pub fn to_tell() -> Option<Vec<u8>> {
    let (is_guest, state) = (process::is_guest(), STATE.load(Ordering::Acquire));
    let told = TOLD.get().filter(|_| is_guest || state == UNKNOWN);
    if !is_guest && told.is_none() && state & OURS == 0 {
        return None;
    }
    let at = kernels_own()?;
    if let Some(told) = told.filter(|told| parts_of(told).is_some_and(|(place, _)| place == at)) {
        return Some(told.clone());
    }
    if !is_guest && state & OURS == 0 {
        return None;
    }
    let (mount, node) = current()?;
    let path = deep_path_of(mount, node).ok().filter(|path| path.len() <= TOLD_PATH_BYTES_MAX)?;
    Some([format!("{:x}:{:x}:", at[0], at[1]).as_bytes(), &path].concat())
}

/// What is told: the kernel's directory, by device and number, and the path that it stands for.
fn parts_of(told: &[u8]) -> Option<([u64; 2], &[u8])> {
    let mut parts = told.splitn(3, |byte| *byte == b':');
    let mut number = || u64::from_str_radix(std::str::from_utf8(parts.next()?).ok()?, 16).ok();
    Some(([number()?, number()?], parts.next()?))
}

/// Where this program was told that it is, if the kernel is still where it was when that was written: a program that
/// Sidestep does not see may have come in between, and have gone elsewhere.
fn told() -> Option<(&'static Mount, NodeId)> {
    let (_, path) = parts_of(TOLD.get()?).filter(|(place, _)| kernels_own() == Some(*place))?;
    match route(Base::WorkingDirectory, path, Symlinks::Follow) {
        Ok(Route::Ours(found)) => found.existing().ok().map(|existing| (found.mount, existing.node)),
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
        note_kernel_at(None);
        STATE.store(UNKNOWN, Ordering::Release);
    }
}

/// The path of a directory of ours: the prefix, and the names that lead to it now.
///
/// # Errors
/// `ENOENT` where it has been removed; `ENAMETOOLONG` where it is longer than a path may be.
pub fn path_of(mount: &'static Mount, node: NodeId) -> Result<PathBuffer> {
    PathBuffer::of(&deep_path_of(mount, node)?)
}

/// The same, however long it is.
///
/// # Errors
/// `ENOENT` where it has been removed.
pub fn deep_path_of(mount: &'static Mount, node: NodeId) -> Result<Vec<u8>> {
    let container = mount.connect()?.container.as_ref();
    if container.attributes(node).map_err(|_| Errno::NOENT)?.link_count == 0 {
        return Err(Errno::NOENT);
    }
    names_to(mount, node)
}

/// What the kernel's link to a directory says: its path, and whether it has been removed.
///
/// # Errors
/// `ENAMETOOLONG`, as the kernel's.
pub fn link_to(mount: &'static Mount, node: NodeId) -> Result<PathBuffer> {
    let container = mount.connect()?.container.as_ref();
    let is_there = container.attributes(node).is_ok_and(|attributes| attributes.link_count != 0);
    let mut path = PathBuffer::of(&names_to(mount, node)?)?;
    if !is_there {
        path.push(stand_in::DELETED)?;
    }
    Ok(path)
}

fn names_to(mount: &'static Mount, node: NodeId) -> Result<Vec<u8>> {
    let container = mount.connect()?.container.as_ref();
    // From the end of the room to its front, since the names come from the last to the first.
    let mut text = vec![0u8; PATH_BYTES_MAX];
    let mut start = text.len();
    let mut node = node;
    while node != container.root() {
        let mut name = [0u8; 255];
        let (parent, length) = container.whereabouts(node, &mut name)?;
        let needed = length + 1;
        if start < needed {
            let more = text.len();
            if more >= DEEP_PATH_BYTES_MAX {
                return Err(Errno::LOOP);
            }
            text.splice(..0, std::iter::repeat_n(0, more));
            start += more;
        }
        text[start - length..start].copy_from_slice(&name[..length]);
        start -= needed;
        text[start] = b'/';
        node = parent;
    }
    Ok([mount.configuration.prefix.as_slice(), &text[start..]].concat())
}
