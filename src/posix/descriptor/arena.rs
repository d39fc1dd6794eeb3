//! The memory that descriptions share with other processes: a memfd with room for many of them, mapped by each process
//! that has one.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | [`Header`] |
//! | 64 | the live part of each place: cursor and status flags |
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

/// Bytes of a memfd: room for some thousand places, of which only those that are used cost memory. Where the process may
/// not make files that long, a shorter one serves as well.
const LENGTHS: [usize; 3] = [4 << 20, 64 << 10, 4 << 10];

const LIVE_AT: usize = 64;

/// The most places that a memfd has.
const PLACES_COUNT_MAX: u32 = places_of(LENGTHS[0]);

const _: () = assert!(size_of::<Header>() <= LIVE_AT && places_of(LENGTHS[2]) > 0);

/// How many places there are in so many bytes.
const fn places_of(bytes: usize) -> u32 {
    ((bytes - LIVE_AT) / (size_of::<Shared>() + size_of::<Page>())) as u32
}

/// "sidestep", and the layout's version: memory of another version is not understood and not touched.
const MAGIC: u64 = u64::from_le_bytes(*b"sidestp5");

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
    /// The places that the processes which have the memfd have given away.
    used: AtomicU32,
}

/// A memfd, mapped.
pub struct Arena {
    memory: Parked,
    start: NonNull<u8>,
    bytes: usize,
    inode: u64,
}

// SAFETY: the live parts are atomics, and a page is written once, before anybody else is told of it.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

/// Where this process's descriptions move to; from `Arc::into_raw`, or null.
static CURRENT: AtomicPtr<Arena> = AtomicPtr::new(std::ptr::null_mut());

/// A place of a description's own. One thread at a time asks. A fork child goes on in its parent's memfd: a limit on file
/// sizes that was set meanwhile may forbid another one.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`, `EFBIG`.
pub fn take_place() -> Result<(Arc<Arena>, u32)> {
    if let Some(arena) = current()
        && let Some(place) = arena.take()
    {
        return Ok((arena, place));
    }
    let arena = Arena::make()?;
    let place = arena.take().ok_or(Errno::NOMEM)?;
    let before = CURRENT.swap(Arc::into_raw(arena.clone()).cast_mut(), Ordering::AcqRel);
    if !before.is_null() {
        // SAFETY: from here, and nobody else changes it meanwhile.
        drop(unsafe { Arc::from_raw(before) });
    }
    Ok((arena, place))
}

/// Makes a memfd, unless there is one, while file sizes are not limited yet. One thread at a time asks.
pub fn prepare() {
    if current().is_none()
        && let Ok(arena) = Arena::make()
    {
        CURRENT.store(Arc::into_raw(arena).cast_mut(), Ordering::Release);
    }
}

fn current() -> Option<Arc<Arena>> {
    let current = CURRENT.load(Ordering::Acquire);
    // SAFETY: from `Arc::into_raw`; nobody else changes it meanwhile.
    (!current.is_null()).then(|| unsafe {
        Arc::increment_strong_count(current);
        Arc::from_raw(current)
    })
}

impl Arena {
    /// A new one.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn make() -> Result<Arc<Self>> {
        let memory = placeholder::memory()?;
        let lengthen =
            |bytes: usize| file_size_limit::without(|| rustix::fs::ftruncate(&memory, bytes as u64)).map(|()| bytes);
        let made = LENGTHS.into_iter().map(lengthen).find(|made| *made != Err(Errno::FBIG));
        let arena = Self::map(memory, made.unwrap_or(Err(Errno::FBIG))?)?;
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
        let length = rustix::fs::fstat(&memory)?.st_size as usize;
        let arena = Self::map(memory, LENGTHS.into_iter().find(|bytes| *bytes == length).ok_or(Errno::BADF)?)?;
        // SAFETY: mapped just now.
        if unsafe { arena.start.cast::<Header>().as_ref().magic } != MAGIC {
            return Err(Errno::BADF);
        }
        Ok(Arc::new(arena))
    }

    /// A place that nobody has; `None` when all are given away, or the count is not what processes of ours make of it.
    fn take(&self) -> Option<u32> {
        // SAFETY: the mapping's begin; other processes change the count only.
        let used = unsafe { &(*self.start.cast::<Header>().as_ptr()).used };
        used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < self.places()).then(|| count + 1)).ok()
    }

    fn places(&self) -> u32 {
        places_of(self.bytes)
    }

    fn map(memory: Parked, bytes: usize) -> Result<Self> {
        let inode = rustix::fs::fstat(&memory)?.st_ino;
        // SAFETY: a new mapping of a memfd of that length, wherever the kernel likes.
        let start = unsafe {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, &memory, 0)?
        };
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { memory, start, bytes, inode })
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
        unsafe { self.start.add(LIVE_AT).cast::<Shared>().add(place.min(self.places() - 1) as usize) }
    }

    /// The page of a place.
    pub fn page(&self, place: u32) -> *mut Page {
        let pages_at = LIVE_AT + self.places() as usize * size_of::<Shared>();
        // SAFETY: as above.
        unsafe { self.start.add(pages_at).cast::<Page>().add(place.min(self.places() - 1) as usize) }.as_ptr()
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
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
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
    let index = (position as u32).checked_sub(1).filter(|index| *index < PLACES_COUNT_MAX)?;
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
    fn each_place_is_given_away_once_whoever_has_the_memfd() {
        let arena = Arena::make().unwrap();
        let other = Arena::of_view(arena.view(0).unwrap().as_fd()).unwrap();
        assert_eq!([arena.take(), other.take(), arena.take()], [Some(0), Some(1), Some(2)]);
        assert_eq!(std::iter::from_fn(|| other.take()).count(), PLACES_COUNT_MAX as usize - 3);
        assert_eq!(arena.take(), None);
    }

    #[test]
    fn nothing_else_is_a_view() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(LENGTHS[0] as u64).unwrap();
        assert_eq!(place_of(file.as_raw_fd()), None);
        assert_eq!(place_of(-1), None);
        assert!(Arena::of_view(file.as_fd()).is_err());
    }
}
