//! Mapped windows of an object file: a read or an overwrite of bytes that have their space is a copy, with no system call.
//!
//! Measured on tmpfs, 4 KiB at a time: a copy of a mapped hot page 0.05 us where pread takes 0.3; of a cold one 0.44 where
//! it takes 0.7. Mapping a page costs 0.17 us when its neighbours come with it (a *read* fault maps 16 pages, a write
//! fault one for 1 us), so a piece is read through its window from the second time on, and pages are read before they are
//! written to. Bytes that have no space yet always go through pwrite, 1.4 us: allocating ahead (0.43), the fault that
//! clears the page (0.92) and the copy (0.44) come to more.
//!
//! Only bytes before the record's `dense_end` are touched through a window: a page of a hole would be allocated by a
//! read, or be SIGBUS on a full disk. Windows stay mapped until the file is closed.
#![allow(unsafe_code)]

use crate::ground::guard::Quiet;
use crate::ground::kernel;
use rustix::mm::{MapFlags, ProtFlags};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Address space of a window.
const WINDOW_BYTES: u64 = 64 << 20;

/// Windows of an object file: what lies beyond their 8 GiB is read by pread.
const WINDOWS_COUNT: usize = 128;

/// What is seen at once: the kernel's own reach around a fault.
const PIECE_BYTES: u64 = 64 << 10;
const PIECES_COUNT: usize = (WINDOW_BYTES / PIECE_BYTES) as usize;

/// Copies are for no more bytes than this: beyond, one system call is a small part of the work, and it faults no pages in.
pub const COPY_BYTES_MAX: usize = 1 << 20;

/// Uses of a file before a window is made: a file that is read once, whole, never needs one.
const USES_BEFORE_MAPPING: u32 = 2;

/// Windows that a process may have: a host has 65,530 mappings in all.
const WINDOWS_PER_PROCESS_MAX: u32 = 4096;

static WINDOWS_MAPPED: AtomicU32 = AtomicU32::new(0);

struct Window {
    start: *mut u8,
    seen: [AtomicU64; PIECES_COUNT / 64],
}

/// The windows of one object file, made as they are used.
#[derive(Default)]
pub struct Windows {
    uses: AtomicU32,
    table: AtomicPtr<[AtomicPtr<Window>; WINDOWS_COUNT]>,
}

// SAFETY: what is behind the pointers is atomics, and mapped memory that nothing but copies touches.
unsafe impl Send for Windows {}
// SAFETY: as above.
unsafe impl Sync for Windows {}

impl Windows {
    /// Where `length` bytes from `offset` on are in memory, if it is time to use a window for them.
    #[inline]
    pub fn at(&self, file: i32, writable: bool, offset: u64, length: usize) -> Option<*mut u8> {
        let table = self.table.load(Ordering::Acquire);
        // SAFETY: set once, freed with `self`.
        let Some(table) = (unsafe { table.as_ref() }) else { return self.begin() };
        let within = offset % WINDOW_BYTES;
        let end = within + length as u64;
        let place = table.get((offset / WINDOW_BYTES) as usize)?;
        if end > WINDOW_BYTES || length == 0 {
            return None;
        }
        // SAFETY: set once, freed with `self`.
        let window = match unsafe { place.load(Ordering::Acquire).as_ref() } {
            Some(window) => window,
            None => map(place, file, writable, offset - within)?,
        };
        let (first, last) = ((within / PIECE_BYTES) as usize, ((end - 1) / PIECE_BYTES) as usize);
        let mut all_seen = true;
        for piece in first..=last {
            let (word, bit) = (&window.seen[piece / 64], 1 << (piece % 64));
            if word.load(Ordering::Relaxed) & bit == 0 {
                word.fetch_or(bit, Ordering::Relaxed);
                all_seen = false;
            }
        }
        all_seen.then(|| window.start.wrapping_add(within as usize))
    }

    #[cold]
    fn begin(&self) -> Option<*mut u8> {
        if self.uses.fetch_add(1, Ordering::Relaxed) >= USES_BEFORE_MAPPING {
            let _quiet = Quiet::enter();
            let table = Box::into_raw(Box::new([const { AtomicPtr::new(ptr::null_mut()) }; WINDOWS_COUNT]));
            if self.table.compare_exchange(ptr::null_mut(), table, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                // SAFETY: ours, and nobody has seen it.
                drop(unsafe { Box::from_raw(table) });
            }
        }
        None
    }
}

#[cold]
fn map(place: &AtomicPtr<Window>, file: i32, writable: bool, offset: u64) -> Option<&Window> {
    // A host whose address space is limited needs it itself.
    let is_limited = rustix::process::getrlimit(rustix::process::Resource::As).current.is_some();
    if is_limited || WINDOWS_MAPPED.load(Ordering::Relaxed) >= WINDOWS_PER_PROCESS_MAX {
        return None;
    }
    let _quiet = Quiet::enter();
    let protection = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
    let length = WINDOW_BYTES as usize;
    let file = kernel::borrow(file);
    // SAFETY: a new mapping of an object file. No address space left is no error: pread does it.
    let start =
        unsafe { rustix::mm::mmap(ptr::null_mut(), length, protection, MapFlags::SHARED, file, offset) }.ok()?;
    let window = Box::new(Window { start: start.cast(), seen: [const { AtomicU64::new(0) }; PIECES_COUNT / 64] });
    let window = Box::into_raw(window);
    // SAFETY: ours until it is in its place, and then kept until the windows are dropped; another's likewise.
    unsafe {
        match place.compare_exchange(ptr::null_mut(), window, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                WINDOWS_MAPPED.fetch_add(1, Ordering::Relaxed);
                window.as_ref()
            }
            Err(other) => {
                drop(Box::from_raw(window));
                let _ = rustix::mm::munmap(start, length);
                other.as_ref()
            }
        }
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        let table = self.table.swap(ptr::null_mut(), Ordering::AcqRel);
        if table.is_null() {
            return;
        }
        // SAFETY: from `begin` and `map`, and nobody uses this any more.
        unsafe {
            let table = Box::from_raw(table);
            for place in table.iter() {
                let window = place.load(Ordering::Acquire);
                if !window.is_null() {
                    let window = Box::from_raw(window);
                    let _ = rustix::mm::munmap(window.start.cast(), WINDOW_BYTES as usize);
                    WINDOWS_MAPPED.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }
}
