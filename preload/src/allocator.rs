//! The library's own memory.
//!
//! The host's `malloc` is not for us: a door may be called from a signal handler that interrupted `malloc`, by a
//! program that brings an allocator of its own, or in a fork child of a process with many threads. This one has no
//! lock, so it can be entered anywhere and any number of times: a stack of free blocks for each size (tagged against
//! ABA), filled from chunks that are never given back. What is larger is mapped and unmapped by itself.
#![allow(unsafe_code)]

use house::ground::{room, threads};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Blocks come in powers of two from 16 bytes on.
const SMALLEST_SHIFT: u32 = 4;

/// Up to this size blocks are kept; larger memory is mapped. 64 KiB is a pipe's worth, the largest that is used often.
const LARGEST_SHIFT: u32 = 16;

const SIZES_COUNT: usize = (LARGEST_SHIFT - SMALLEST_SHIFT + 1) as usize;

/// Chunks are this long and aligned so. Pages of it cost memory when they are first used only, but all of it counts for
/// `ulimit -v` and `ulimit -d`.
const CHUNK_BYTES: usize = 1 << 18;

/// Addresses of user space have 47 bits; the tag is above them.
const TAG_SHIFT: u32 = 48;
const ADDRESS_MASK: u64 = (1 << TAG_SHIFT) - 1;

/// The allocator.
pub struct Allocator {
    free: [AtomicU64; SIZES_COUNT],
    /// The next unused byte of the current chunk; 0 before the first.
    unused: AtomicUsize,
    /// A chunk for when there is no memory; 0 for none.
    reserve: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator {
    free: [const { AtomicU64::new(0) }; SIZES_COUNT],
    unused: AtomicUsize::new(0),
    reserve: AtomicUsize::new(0),
};

/// In a fork child of a process with several threads: the kernel copied the stacks page by page while other threads used
/// them. What was free is left, and new chunks are begun.
pub fn start_again() {
    ALLOCATOR.free.iter().for_each(|stack| stack.store(0, Ordering::Release));
    ALLOCATOR.unused.store(0, Ordering::Release);
}

/// Which size of block serves a layout; `None` where it is mapped by itself.
fn size_shift(layout: Layout) -> Option<u32> {
    let bytes = layout.size().max(layout.align()).max(1 << SMALLEST_SHIFT);
    let shift = bytes.next_power_of_two().trailing_zeros();
    (shift <= LARGEST_SHIFT).then_some(shift)
}

fn map(bytes: usize) -> *mut u8 {
    // SAFETY: a fresh private mapping.
    unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }
        .map_or(std::ptr::null_mut(), <*mut _>::cast)
}

impl Allocator {
    fn stack(&self, shift: u32) -> &AtomicU64 {
        &self.free[(shift - SMALLEST_SHIFT) as usize]
    }

    fn pop(&self, shift: u32) -> Option<*mut u8> {
        let stack = self.stack(shift);
        let mut head = stack.load(Ordering::Acquire);
        loop {
            let block = (head & ADDRESS_MASK) as *mut u64;
            if block.is_null() {
                return None;
            }
            // SAFETY: chunks stay mapped for good. Somebody else may have the block by now and write to it: then the
            // tag has moved on, and what was read here is not used.
            let next = unsafe { AtomicU64::from_ptr(block) }.load(Ordering::Relaxed);
            let new = (head >> TAG_SHIFT).wrapping_add(1) << TAG_SHIFT | (next & ADDRESS_MASK);
            match threads::replace(stack, head, new) {
                Ok(_) => return Some(block.cast()),
                Err(current) => head = current,
            }
        }
    }

    fn push(&self, shift: u32, block: *mut u8) {
        let stack = self.stack(shift);
        let mut head = stack.load(Ordering::Acquire);
        loop {
            // SAFETY: the block is free and ours, and 16 bytes long at least.
            unsafe { AtomicU64::from_ptr(block.cast()) }.store(head & ADDRESS_MASK, Ordering::Relaxed);
            let new = (head >> TAG_SHIFT).wrapping_add(1) << TAG_SHIFT | block as u64;
            match threads::replace(stack, head, new) {
                Ok(_) => return,
                Err(current) => head = current,
            }
        }
    }

    /// A block that was never used.
    fn carve(&self, shift: u32) -> *mut u8 {
        let bytes = 1usize << shift;
        let mut unused = self.unused.load(Ordering::Acquire);
        loop {
            let start = unused.next_multiple_of(bytes.min(4096));
            let is_room = !unused.is_multiple_of(CHUNK_BYTES) && start % CHUNK_BYTES + bytes <= CHUNK_BYTES;
            if is_room && start / CHUNK_BYTES == unused / CHUNK_BYTES {
                match self.unused.compare_exchange_weak(unused, start + bytes, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => return start as *mut u8,
                    Err(current) => unused = current,
                }
                continue;
            }
            let chunk = self.chunk();
            if chunk.is_null() {
                return chunk;
            }
            match self.unused.compare_exchange(unused, chunk as usize + bytes, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return chunk,
                Err(current) => {
                    // SAFETY: nobody has seen this chunk.
                    let _ = unsafe { munmap(chunk.cast(), CHUNK_BYTES) };
                    unused = current;
                }
            }
        }
    }
}

impl Allocator {
    /// A chunk: a new one, and with it a reserve where there is none; or else the reserve.
    #[cold]
    fn chunk(&self) -> *mut u8 {
        let chunk = map_chunk();
        if chunk.is_null() {
            room::note_low();
            return self.reserve.swap(0, Ordering::AcqRel) as *mut u8;
        }
        if self.reserve.load(Ordering::Acquire) == 0 {
            let spare = map_chunk();
            if !spare.is_null()
                && self.reserve.compare_exchange(0, spare as usize, Ordering::AcqRel, Ordering::Acquire).is_err()
            {
                // SAFETY: nobody has seen it.
                let _ = unsafe { munmap(spare.cast(), CHUNK_BYTES) };
            }
        }
        chunk
    }
}

/// A chunk, aligned to its own length: more is mapped, and the ends are given back.
fn map_chunk() -> *mut u8 {
    let mapped = map(2 * CHUNK_BYTES);
    if mapped.is_null() {
        return mapped;
    }
    let start = (mapped as usize).next_multiple_of(CHUNK_BYTES);
    let before = start - mapped as usize;
    // SAFETY: both ranges lie in the mapping just made, outside the chunk.
    unsafe {
        if before > 0 {
            let _ = munmap(mapped.cast(), before);
        }
        let _ = munmap((start + CHUNK_BYTES) as *mut _, CHUNK_BYTES - before);
    }
    start as *mut u8
}

// SAFETY: blocks are at least as large and as aligned as their layout, and no two live ones overlap.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match size_shift(layout) {
            Some(shift) if layout.align() <= 4096 => self.pop(shift).unwrap_or_else(|| self.carve(shift)),
            _ if layout.align() <= 4096 => map(layout.size().next_multiple_of(4096)),
            // Nothing here asks for more than a page's alignment.
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's own layout.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && size_shift(layout).is_some() {
            // SAFETY: at least `layout.size()` bytes; a mapping is zero already.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match size_shift(layout) {
            Some(shift) => self.push(shift, block),
            // SAFETY: mapped by `alloc` with this length.
            None => drop(unsafe { munmap(block.cast(), layout.size().next_multiple_of(4096)) }),
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        // SAFETY: the alignment was good before, and the caller's size does not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_bytes, layout.align()) };
        if size_shift(layout).is_some() && size_shift(layout) == size_shift(new_layout) {
            return block;
        }
        // SAFETY: the caller's block, and a new one that is as large as the smaller of the two.
        unsafe {
            let new = self.alloc(new_layout);
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size().min(new_bytes));
                self.dealloc(block, layout);
            }
            new
        }
    }
}
