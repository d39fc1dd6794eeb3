//! The page that a description leaves for other processes: what it takes to open it anew.
#![allow(unsafe_code)]

use crate::ground::{Errno, Result};
use crate::posix::description::Description;
use crate::store::{Found, Kind, NodeId, TICKET_BYTES_MAX};
use rustix::fs::OFlags;
use std::sync::atomic::{AtomicU32, Ordering};

/// The page. Written once, before anybody else can see it; zeros are one that was not.
#[repr(C)]
pub struct Page {
    is_filled: AtomicU32,
    container: u64,
    prefix_hash: u64,
    node: u64,
    directory: u64,
    generation: u32,
    kind: u32,
    flags: u32,
    /// The number of the descriptor that holds the node, the same in every process that inherits it.
    hold: i32,
    name_length: u32,
    name: [u8; 255],
    ticket_length: u32,
    ticket: [u8; TICKET_BYTES_MAX],
}

/// A page as it was read from another process.
pub struct Record {
    /// The container's id.
    pub container: u64,
    /// A hash of the mount's prefix.
    pub prefix_hash: u64,
    /// The node.
    pub found: Found,
    /// The directory that it was opened in.
    pub directory: NodeId,
    /// The flags of `open`.
    pub flags: OFlags,
    /// The descriptor that holds the node.
    pub hold: i32,
    /// The last name.
    pub name: Vec<u8>,
    /// What the engine needs beside the node to open it.
    pub ticket: Vec<u8>,
}

/// A small hash (FNV-1a) that tells prefixes apart.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Fills a fresh page from a description.
///
/// # Errors
/// What the engine has against telling its ticket.
///
/// # Safety
/// `page` is in a mapped arena, and nobody else fills or reads it.
pub unsafe fn fill(page: *mut Page, description: &Description, container: u64, hold: i32) -> Result<()> {
    let found = description.found();
    // SAFETY: by the caller's word.
    let page = unsafe { &mut *page };
    page.container = container;
    page.prefix_hash = hash(&description.mount.configuration.prefix);
    page.node = found.node.0;
    page.directory = description.directory.0;
    page.generation = found.generation;
    page.kind = found.kind as u32;
    page.flags = description.fixed_flags.bits();
    page.hold = hold;
    let name = &description.name[..description.name.len().min(page.name.len())];
    page.name[..name.len()].copy_from_slice(name);
    page.name_length = name.len() as u32;
    page.ticket_length = description.object.ticket(&mut page.ticket)? as u32;
    page.is_filled.store(1, Ordering::Release);
    Ok(())
}

/// The number of the descriptor that holds the node; `None` for a page that nobody filled.
///
/// # Safety
/// As [`read`].
pub unsafe fn hold_of(page: *const Page) -> Option<i32> {
    // SAFETY: by the caller's word.
    unsafe { ((*page).is_filled.load(Ordering::Acquire) != 0).then(|| (*page).hold) }
}

/// Reads a page that somebody else filled.
///
/// # Errors
/// `EBADF` for one that nobody filled.
///
/// # Safety
/// `page` is in a mapped arena.
pub unsafe fn read(page: *const Page) -> Result<Record> {
    // SAFETY: by the caller's word; the plain fields do not change once they are filled.
    let page = unsafe { &*page };
    if page.is_filled.load(Ordering::Acquire) == 0 {
        return Err(Errno::BADF);
    }
    let kind = match page.kind {
        1 => Kind::File,
        2 => Kind::Directory,
        3 => Kind::Symlink,
        _ => return Err(Errno::BADF),
    };
    let name = page.name.get(..page.name_length as usize).ok_or(Errno::BADF)?;
    let ticket = page.ticket.get(..page.ticket_length as usize).ok_or(Errno::BADF)?;
    Ok(Record {
        container: page.container,
        prefix_hash: page.prefix_hash,
        found: Found { node: NodeId(page.node), generation: page.generation, kind },
        directory: NodeId(page.directory),
        flags: OFlags::from_bits_retain(page.flags),
        hold: page.hold,
        name: name.to_vec(),
        ticket: ticket.to_vec(),
    })
}
