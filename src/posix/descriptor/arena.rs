//! The memory that descriptions share with other processes: a memfd with room for many of them, mapped by each process
//! that has one.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | [`Header`] |
//! | 4096 | the live part of each place: cursor and status flags |
//! | after these | a [`Page`] for each place: what it takes to open the description anew |
//!
//! A description moves its live part to a place before the first fork after it was opened, which costs no system call.
//! The page is filled when a new program is to find it: that program has under its number a *view* of the memfd, which
//! can't be read or written, and whose file position tells memfd and place. Duplicates of a view tell the same.
#![allow(unsafe_code)]

use super::page::Page;
use super::placeholder::{self, borrowed};
use crate::ground::kernel::Parked;
use crate::ground::{Errno, Result, file_size_limit};
use crate::posix::description::Shared;
use crate::posix::path::host::descriptor_link;
use rustix::fs::{CWD, Mode, OFlags, SeekFrom};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Places of one memfd. Only what is used costs memory.
pub const PLACES_COUNT: u32 = 4096;

const LIVE_AT: usize = 4096;
const PAGES_AT: usize = LIVE_AT + PLACES_COUNT as usize * size_of::<Shared>();

/// Bytes of a memfd; by its length, too, a new program knows one.
pub const ARENA_BYTES: usize = (PAGES_AT + PLACES_COUNT as usize * size_of::<Page>()).next_multiple_of(4096);

/// "sidestep", and the layout's version: memory of another version is not understood and not touched.
const MAGIC: u64 = u64::from_le_bytes(*b"sidestp4");

/// An access mode of open(2) that gives neither right: read(2) and write(2) answer `EBADF`, lseek(2) does not.
const NEITHER: OFlags = OFlags::from_bits_retain(3);

/// A view's position: the place plus one, and above it a part of the inode's number. Positions have 63 bits.
const TAG_SHIFT: u32 = 32;
const TAG_MASK: u64 = (1 << 31) - 1;

/// What a view tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViewedPlace {
    tag: u64,
    /// The place in the memfd.
    pub index: u32,
}

/// The memfd's first bytes.
#[repr(C)]
struct Header {
    magic: u64,
}

/// A memfd, mapped.
pub struct Arena {
    memory: Parked,
    start: NonNull<u8>,
    inode: u64,
    /// The places that this process has given away; of another process's memfd, all.
    used: AtomicU32,
}

// SAFETY: the live parts are atomics, and a page is written once, before anybody else is told of it.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

/// Where this process's descriptions move to; from `Arc::into_raw`, or null.
static CURRENT: AtomicPtr<Arena> = AtomicPtr::new(std::ptr::null_mut());

/// In a fork child, whose parent goes on giving places away.
pub fn after_fork_in_child() {
    let inherited = CURRENT.swap(std::ptr::null_mut(), Ordering::AcqRel);
    if !inherited.is_null() {
        // SAFETY: from `take_place`.
        drop(unsafe { Arc::from_raw(inherited) });
    }
}

/// A place of this process's own. One thread at a time asks.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn take_place() -> Result<(Arc<Arena>, u32)> {
    let current = CURRENT.load(Ordering::Acquire);
    if !current.is_null() {
        // SAFETY: from below, and nobody else changes it meanwhile.
        let arena = unsafe {
            Arc::increment_strong_count(current);
            Arc::from_raw(current)
        };
        let place = arena.used.fetch_add(1, Ordering::AcqRel);
        if place < PLACES_COUNT {
            return Ok((arena, place));
        }
    }
    let arena = Arena::make()?;
    arena.used.store(1, Ordering::Release);
    let before = CURRENT.swap(Arc::into_raw(arena.clone()).cast_mut(), Ordering::AcqRel);
    if !before.is_null() {
        // SAFETY: as above.
        drop(unsafe { Arc::from_raw(before) });
    }
    Ok((arena, 0))
}

impl Arena {
    /// A new one.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn make() -> Result<Arc<Self>> {
        let memory = placeholder::memory()?;
        file_size_limit::without(|| rustix::fs::ftruncate(&memory, ARENA_BYTES as u64))?;
        let arena = Self::map(memory, 0)?;
        // SAFETY: mapped just now, and nobody else has it.
        unsafe { arena.start.cast::<Header>().as_mut().magic = MAGIC };
        Ok(Arc::new(arena))
    }

    /// The one that a view is of.
    ///
    /// # Errors
    /// `EBADF` for something else.
    pub fn of_view(view: BorrowedFd<'_>) -> Result<Arc<Self>> {
        let memory = Parked::open(CWD, descriptor_link(view)?.as_c_str(), OFlags::RDWR, Mode::empty())?;
        // Reading a mapping of a shorter file would be a SIGBUS.
        if rustix::fs::fstat(&memory)?.st_size != ARENA_BYTES as i64 {
            return Err(Errno::BADF);
        }
        let arena = Self::map(memory, PLACES_COUNT)?;
        // SAFETY: mapped just now.
        if unsafe { arena.start.cast::<Header>().as_ref().magic } != MAGIC {
            return Err(Errno::BADF);
        }
        Ok(Arc::new(arena))
    }

    fn map(memory: Parked, used: u32) -> Result<Self> {
        let inode = rustix::fs::fstat(&memory)?.st_ino;
        // SAFETY: a new mapping of a memfd of ARENA_BYTES, wherever the kernel likes.
        let start = unsafe {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            mmap(std::ptr::null_mut(), ARENA_BYTES, protection, MapFlags::SHARED, &memory, 0)?
        };
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { memory, start, inode, used: AtomicU32::new(used) })
    }

    /// What tells it from others, in a view's position.
    fn tag(&self) -> u64 {
        self.inode & TAG_MASK
    }

    /// Whether a view is of this one, by what [`place_of`] tells.
    pub fn has(&self, place: ViewedPlace) -> bool {
        self.tag() == place.tag
    }

    /// The memfd's inode.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The live part of a place.
    pub fn shared(&self, place: u32) -> NonNull<Shared> {
        // SAFETY: inside the mapping for every place there is.
        unsafe { self.start.add(LIVE_AT).cast::<Shared>().add(place.min(PLACES_COUNT - 1) as usize) }
    }

    /// The page of a place.
    pub fn page(&self, place: u32) -> *mut Page {
        // SAFETY: as above.
        unsafe { self.start.add(PAGES_AT).cast::<Page>().add(place.min(PLACES_COUNT - 1) as usize) }.as_ptr()
    }

    /// A view of a place.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn view(&self, place: u32) -> Result<Parked> {
        let link = descriptor_link(self.memory.as_fd())?;
        let view = Parked::open(CWD, link.as_c_str(), NEITHER, Mode::empty())?;
        rustix::fs::seek(&view, SeekFrom::Start(self.tag() << TAG_SHIFT | (u64::from(place) + 1)))?;
        Ok(view)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and nobody has a pointer into it any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), ARENA_BYTES) };
    }
}

/// Whether a placeholder of ours is a view already.
pub fn is_view(number: i32) -> bool {
    rustix::fs::fcntl_getfl(borrowed(number)).is_ok_and(|flags| flags.contains(NEITHER))
}

/// Which place of which memfd a number is a view of; `None` for what can't be one. Two system calls of 0.1 us: a program
/// may inherit thousands. Whether it is a memfd at all, [`Arena::of_view`] sees.
pub fn place_of(number: i32) -> Option<ViewedPlace> {
    if !is_view(number) {
        return None;
    }
    let position = rustix::fs::tell(borrowed(number)).ok()?;
    let index = (position as u32).checked_sub(1).filter(|index| *index < PLACES_COUNT)?;
    Some(ViewedPlace { tag: position >> TAG_SHIFT, index })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_view_tells_its_place_and_gives_no_bytes() {
        let arena = Arena::make().unwrap();
        let view = arena.view(7).unwrap();
        let number = view.as_fd().as_raw_fd();
        let place = place_of(number).unwrap();
        assert!(arena.has(place) && place.index == 7);
        let copy = rustix::io::dup(&view).unwrap();
        assert_eq!(place_of(copy.as_raw_fd()), Some(place));
        assert_eq!(rustix::io::read(&view, &mut [0; 8]), Err(Errno::BADF));
        assert_eq!(rustix::io::write(&view, b"bytes"), Err(Errno::BADF));
        let again = Arena::of_view(view.as_fd()).unwrap();
        // SAFETY: both mappings are of one memfd.
        unsafe {
            arena.shared(7).as_ref().cursor.store(42, Ordering::Release);
            assert_eq!(again.shared(7).as_ref().cursor.load(Ordering::Acquire), 42);
        }
    }

    #[test]
    fn nothing_else_is_a_view() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(ARENA_BYTES as u64).unwrap();
        assert_eq!(place_of(file.as_raw_fd()), None);
        assert_eq!(place_of(-1), None);
        assert!(Arena::of_view(file.as_fd()).is_err());
    }
}
