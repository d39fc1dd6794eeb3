//! The page that a description leaves for other processes: its shared part, and what it takes to open it anew.
#![allow(unsafe_code)]

use crate::ground::{Errno, Result};
use crate::posix::description::{Description, Shared};
use crate::store::{Found, Kind, NodeId, TICKET_BYTES_MAX};
use rustix::fs::OFlags;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// Bytes of a page's memfd.
pub const PAGE_BYTES: usize = 4096;

/// "sidestep", and the layout's version: a page of another version is not understood and not touched.
const MAGIC: u64 = u64::from_le_bytes(*b"sidestp3");

/// The page. Everything but `shared` and `hold` is written once, before anybody else can see it.
#[repr(C)]
pub struct Page {
    /// Cursor and status flags: the live part.
    pub shared: Shared,
    magic: u64,
    container: u64,
    prefix_hash: u64,
    node: u64,
    directory: u64,
    generation: u32,
    kind: u32,
    flags: u32,
    /// The number of the descriptor that holds the node, the same in every process that inherits it.
    hold: AtomicI32,
    name_length: u32,
    name: [u8; 255],
    ticket_length: u32,
    ticket: [u8; TICKET_BYTES_MAX],
}

const _: () = assert!(size_of::<Page>() <= PAGE_BYTES);

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

/// Maps a hand-over's memfd.
///
/// # Errors
/// `ENOMEM`, or what the kernel has against it.
pub fn map(memory: BorrowedFd<'_>) -> Result<*mut Page> {
    // SAFETY: a new mapping of a memfd of PAGE_BYTES, wherever the kernel likes.
    let mapped = unsafe {
        mmap(std::ptr::null_mut(), PAGE_BYTES, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, memory, 0)?
    };
    Ok(mapped.cast())
}

/// Unmaps a page, given its live part.
pub fn unmap(page: *mut Shared) {
    // SAFETY: `shared` is the page's first field, and the page was mapped by `map`.
    let _ = unsafe { munmap(page.cast(), PAGE_BYTES) };
}

/// A small hash (FNV-1a) that tells prefixes apart.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Fills a fresh page from a description; its shared part is left to the move.
///
/// # Errors
/// What the engine has against telling its ticket.
///
/// # Safety
/// `page` comes from [`map`], and nobody else has seen it.
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
    page.hold = AtomicI32::new(hold);
    let name = &description.name[..description.name.len().min(page.name.len())];
    page.name[..name.len()].copy_from_slice(name);
    page.name_length = name.len() as u32;
    page.ticket_length = description.object.ticket(&mut page.ticket)? as u32;
    page.magic = MAGIC;
    Ok(())
}

/// Reads a page that somebody else filled.
///
/// # Errors
/// `EBADF` for memory that is not a page of this version.
///
/// # Safety
/// `page` comes from [`map`].
pub unsafe fn read(page: *const Page) -> Result<Record> {
    // SAFETY: by the caller's word; the plain fields do not change any more.
    let page = unsafe { &*page };
    let kind = match page.kind {
        1 => Kind::File,
        2 => Kind::Directory,
        3 => Kind::Symlink,
        _ => return Err(Errno::BADF),
    };
    let name = page.name.get(..page.name_length as usize).ok_or(Errno::BADF)?;
    let ticket = page.ticket.get(..page.ticket_length as usize).ok_or(Errno::BADF)?;
    if page.magic != MAGIC {
        return Err(Errno::BADF);
    }
    Ok(Record {
        container: page.container,
        prefix_hash: page.prefix_hash,
        found: Found { node: NodeId(page.node), generation: page.generation, kind },
        directory: NodeId(page.directory),
        flags: OFlags::from_bits_retain(page.flags),
        hold: page.hold.load(Ordering::Relaxed),
        name: name.to_vec(),
        ticket: ticket.to_vec(),
    })
}
