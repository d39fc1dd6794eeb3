//! Frames: the memory of blocks, with the words that a hit looks at.
//!
//! A frame is made once and stays for the life of the process, at its address; it serves one block after another. So
//! a reader needs no reference and no lock: it looks at the frame's version, copies, and looks again. If the frame
//! changed hands meanwhile, the copy is thrown away. A frame's memory is address space of its block's full size, and
//! real memory only where bytes were put.
#![allow(unsafe_code)]

use super::dirty_word::DirtyWord;
use super::lock::Lock;
use super::pages::{PAGE_BYTES, PageSet};
use super::statistics::COUNTERS;
use crate::ground::buffer::Segment;
use crate::ground::guard::Quiet;
use crate::ground::{Result, kernel};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Blocks are this long at least, in bytes: below, their upkeep outweighs them.
pub const BLOCK_BYTES_MIN: u64 = 64 << 10;

/// And at most this long: a [`DirtyWord`] counts no further.
pub const BLOCK_BYTES_MAX: u64 = 4 << 20;

/// Sizes of frames: powers of two from the smallest to the largest block.
const CLASSES: usize = 7;

/// Real memory that unused frames may keep, in all, those with little and those with more of it: enough that a program
/// that opens, reads and closes one file after another touches the same warm pages.
const SPARE_LIGHT_BYTES_MAX: u64 = 2 << 20;
/// For a reader or writer of large files: what is under way, and what it steps through.
const SPARE_HEAVY_BYTES_MAX: u64 = 8 << 20;

/// Marks of a frame: it was read since the clock's hand passed it.
pub const REFERENCED: u32 = 1;
/// It was read ahead, and nobody has read it yet: the first reader asks for more.
pub const AHEAD: u32 = 2;

/// The memory of one block, and what a hit looks at.
#[repr(C, align(64))]
pub struct Frame {
    /// Odd while the frame changes hands or loses bytes.
    version: AtomicU64,
    /// The id of the file that it belongs to; 0 for none.
    file: AtomicU64,
    /// The block's number in the file.
    index: AtomicU64,
    /// What was written and not stored.
    pub dirty: DirtyWord,
    /// [`REFERENCED`], [`AHEAD`].
    pub marks: AtomicU32,
    /// Writers on the fast way stay below this byte: up to here memory was accounted for.
    pub room: AtomicU32,
    buffer: *mut u8,
    class: usize,
    /// Pages whose bytes are all as the store has them, or newer.
    valid: PageSet,
    /// Pages that have memory.
    touched: PageSet,
}

// SAFETY: the buffer is reached by the rules above; everything else is atomic.
unsafe impl Sync for Frame {}
// SAFETY: as above.
unsafe impl Send for Frame {}

/// A frame with no more memory than this is one for a small file, or for a few pages of a large one.
const LIGHT_BYTES: u64 = 64 << 10;

struct Spare {
    /// Those with little memory, and those with more.
    light: [Vec<&'static Frame>; CLASSES],
    heavy: [Vec<&'static Frame>; CLASSES],
    light_bytes: u64,
    heavy_bytes: u64,
}

impl Spare {
    const fn new() -> Self {
        Self {
            light: [const { Vec::new() }; CLASSES],
            heavy: [const { Vec::new() }; CLASSES],
            light_bytes: 0,
            heavy_bytes: 0,
        }
    }

    fn tell(&self) {
        SPARE_BYTES.store(self.light_bytes + self.heavy_bytes, Ordering::Relaxed);
    }
}

/// Their memory, for a look without the lock.
static SPARE_BYTES: AtomicU64 = AtomicU64::new(0);

static SPARE: Lock<Spare> = Lock::new(Spare::new());

/// Real memory of frames that wait to be used again, in bytes.
pub fn spare_bytes() -> u64 {
    SPARE_BYTES.load(Ordering::Relaxed)
}

/// Gives memory of frames that wait back to the kernel, until no more than that is left.
pub fn trim_spare(bytes_max: u64) {
    let quiet = Quiet::enter();
    let mut spare = SPARE.lock(&quiet);
    for class in (0..CLASSES).rev() {
        while spare.light_bytes + spare.heavy_bytes > bytes_max
            && let Some(frame) = spare.heavy[class].pop()
        {
            spare.heavy_bytes -= frame.touched_bytes();
            frame.give_memory_back();
            spare.light[class].insert(0, frame);
        }
    }
    for class in 0..CLASSES {
        let mut at = 0;
        while spare.light_bytes + spare.heavy_bytes > bytes_max
            && let Some(&frame) = spare.light[class].get(at)
        {
            spare.light_bytes -= frame.touched_bytes();
            frame.give_memory_back();
            at += 1;
        }
    }
    spare.tell();
}

/// In a fork child: frames that another thread was handling are given up.
pub fn after_fork_in_child() {
    if SPARE.is_held() {
        // SAFETY: the child has one thread, and it calls this without a lock.
        unsafe { SPARE.start_again(Spare::new()) };
        SPARE_BYTES.store(0, Ordering::Relaxed);
    }
}

/// A frame for a block of `block_bytes` that belongs to nobody yet, of which `need_bytes` will be used soon.
///
/// # Errors
/// `ENOMEM`.
pub fn take(block_bytes: u32, need_bytes: u32) -> Result<&'static Frame> {
    let smallest = BLOCK_BYTES_MIN.trailing_zeros();
    let class = block_bytes.next_power_of_two().trailing_zeros().saturating_sub(smallest) as usize;
    let class = class.min(CLASSES - 1);
    let quiet = Quiet::enter();
    {
        let mut spare = SPARE.lock(&quiet);
        if u64::from(need_bytes) > LIGHT_BYTES
            && let Some(frame) = spare.heavy[class].pop()
        {
            spare.heavy_bytes -= frame.touched_bytes();
            spare.tell();
            return Ok(frame);
        }
        if let Some(frame) = spare.light[class].pop() {
            spare.light_bytes -= frame.touched_bytes();
            spare.tell();
            return Ok(frame);
        }
    }
    let length = (BLOCK_BYTES_MIN as usize) << class;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let buffer = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        )
    }?;
    // A huge page would be 2 MiB of memory for the first byte. Where the kernel has none there is nothing to forbid.
    // SAFETY: our own new mapping; the advice changes no byte.
    let _ = unsafe { kernel::advise(buffer.cast(), length, libc::MADV_NOHUGEPAGE) };
    Ok(Box::leak(Box::new(Frame {
        version: AtomicU64::new(0),
        file: AtomicU64::new(0),
        index: AtomicU64::new(0),
        dirty: DirtyWord::new(),
        marks: AtomicU32::new(0),
        room: AtomicU32::new(0),
        buffer: buffer.cast(),
        class,
        valid: PageSet::new(),
        touched: PageSet::new(),
    })))
}

impl Frame {
    /// Gives the frame up: another block may have it from now on. What it cost is told, in bytes.
    pub fn give_back(&'static self) -> u64 {
        let cost = self.touched_bytes();
        self.disown();
        let quiet = Quiet::enter();
        let mut spare = SPARE.lock(&quiet);
        let is_light = cost <= LIGHT_BYTES;
        let is_kept = if is_light {
            spare.light_bytes + cost <= SPARE_LIGHT_BYTES_MAX
        } else {
            spare.heavy_bytes + cost <= SPARE_HEAVY_BYTES_MAX
        };
        if !is_kept {
            self.give_memory_back();
        }
        if is_light || !is_kept {
            spare.light_bytes += self.touched_bytes();
            spare.light[self.class].push(self);
        } else {
            spare.heavy_bytes += cost;
            spare.heavy[self.class].push(self);
        }
        spare.tell();
        cost
    }

    fn give_memory_back(&self) {
        // SAFETY: our own mapping, which belongs to no block; a late reader reads zeros, and then sees the version.
        let _ = unsafe { kernel::advise(self.buffer, self.capacity(), libc::MADV_DONTNEED) };
        self.touched.clear();
    }

    /// Gives the frame up for good: a transfer that nobody heard of again may still reach for its memory. What it cost
    /// is told, in bytes.
    pub fn abandon(&'static self) -> u64 {
        self.disown();
        COUNTERS.abandoned_bytes.add(self.touched_bytes());
        self.touched_bytes()
    }

    fn disown(&self) {
        self.change(|| {
            self.file.store(0, Ordering::Relaxed);
            self.valid.clear();
        });
        self.dirty.reset();
        self.marks.store(0, Ordering::Relaxed);
        self.room.store(0, Ordering::Relaxed);
    }

    /// Makes it the frame of a block.
    pub fn own(&self, file: u64, index: u64) {
        self.change(|| {
            self.index.store(index, Ordering::Relaxed);
            self.file.store(file, Ordering::Relaxed);
        });
    }

    /// Runs what readers must not see half of.
    fn change(&self, change: impl FnOnce()) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version | 1, Ordering::Relaxed);
        fence(Ordering::Release);
        change();
        self.version.store((version | 1) + 1, Ordering::Release);
    }

    /// Whether it is that block's frame.
    #[inline(always)]
    pub fn is_of(&self, file: u64, index: u64) -> bool {
        self.file.load(Ordering::Acquire) == file && self.index.load(Ordering::Relaxed) == index
    }

    /// Copies `start..start + target.len()` of the block to `target`, if this is the block's frame and those bytes are
    /// known. False: nothing is known, and `target` may hold anything.
    #[inline(always)]
    pub fn read(&self, file: u64, index: u64, start: u32, target: &Segment) -> bool {
        let version = self.version.load(Ordering::Acquire);
        let end = start + target.len() as u32;
        if version & 1 != 0 || !self.is_of(file, index) {
            return false;
        }
        if !self.valid.holds_bytes(start, end) {
            let dirty = self.dirty.seen();
            if start < dirty.start() || end > dirty.end() {
                return false;
            }
        }
        // SAFETY: within the buffer, whose bytes may change meanwhile as any file's may under a reader; it is never
        // unmapped. It does not overlap the application's memory.
        let copied = unsafe { target.fill_from(self.buffer.add(start as usize)) };
        fence(Ordering::Acquire);
        self.version.load(Ordering::Relaxed) == version && copied.is_ok()
    }

    /// Copies `source` to the block's bytes from `start` on. The caller is a writer of the frame's [`DirtyWord`], or
    /// has the file's lock.
    ///
    /// # Errors
    /// `EFAULT` where the application takes its memory away meanwhile; a part of the bytes is changed.
    #[inline(always)]
    pub fn write(&self, start: u32, source: &Segment) -> Result<()> {
        debug_assert!(start as usize + source.len() <= self.capacity());
        // SAFETY: within the buffer; the application's memory does not overlap it.
        unsafe { source.copy_to(self.buffer.add(start as usize)) }
    }

    /// Copies known bytes to `target`, under the file's lock.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn copy_out(&self, start: u32, target: &Segment) -> Result<()> {
        // SAFETY: within the buffer, which does not overlap the application's memory.
        unsafe { target.fill_from(self.buffer.add(start as usize)) }
    }

    /// Copies `start..end` from another frame, which has byte `from` of the block as its first; under the file's lock.
    pub fn copy_from(&self, other: &Frame, from: u32, start: u32, end: u32) {
        debug_assert!(from <= start && (end - from) as usize <= other.capacity());
        // SAFETY: both frames were taken for blocks of one file and so have these bytes; frames don't overlap.
        unsafe {
            let source = other.buffer.add((start - from) as usize);
            source.copy_to_nonoverlapping(self.buffer.add(start as usize), (end - start) as usize);
        }
    }

    /// Sets `start..end` to zero, under the file's lock.
    pub fn zero(&self, start: u32, end: u32) {
        if start < end {
            // Memory of our own, which is there.
            let _ = self.segment(start, end).zero();
        }
    }

    /// The memory of `start..end`, for a transfer.
    pub fn segment(&self, start: u32, end: u32) -> Segment {
        debug_assert!(start <= end && end as usize <= self.capacity());
        // SAFETY: within the buffer, which stays mapped.
        unsafe { Segment::new(self.buffer.add(start as usize), (end - start) as usize) }
            .unwrap_or(Segment::of_slice(&[]))
    }

    /// Notes that `start..end` will hold bytes; tells how much memory that costs anew.
    pub fn touch(&self, start: u32, end: u32) -> u64 {
        self.touched.add_bytes(start, end) * u64::from(PAGE_BYTES)
    }

    /// Has the kernel give `start..end` its memory at once. Where it can't (before Linux 5.14) each page gets it when it is
    /// touched.
    pub fn populate(&self, start: u32, end: u32) {
        debug_assert!(start <= end && end as usize <= self.capacity());
        // SAFETY: within our own mapping, of which it changes no byte.
        let _ = unsafe {
            kernel::advise(self.buffer.add(start as usize), (end - start) as usize, libc::MADV_POPULATE_WRITE)
        };
    }

    /// What [`touch`](Self::touch) would cost.
    pub fn cost_of(&self, start: u32, end: u32) -> u64 {
        self.touched.lacking(start, end) * u64::from(PAGE_BYTES)
    }

    /// Memory that it has, in bytes.
    pub fn touched_bytes(&self) -> u64 {
        self.touched.count() * u64::from(PAGE_BYTES)
    }

    /// The pages of `start..end` are as the store has them, dirty bytes apart. Of the last page the bytes up to `end`
    /// must be all that the block or the file has.
    pub fn set_valid(&self, start: u32, end: u32) {
        self.valid.add_bytes(start, end);
    }

    /// The whole pages in `start..end` are as the store has them.
    pub fn set_valid_inside(&self, start: u32, end: u32, block_bytes: u32) {
        let first = start.div_ceil(PAGE_BYTES) * PAGE_BYTES;
        let last = if end == block_bytes { end } else { end / PAGE_BYTES * PAGE_BYTES };
        if first < last {
            self.valid.add_bytes(first, last);
        }
    }

    /// Every page that `start..end` touches is unknown from now on.
    pub fn invalidate(&self, start: u32, end: u32) {
        self.change(|| self.valid.remove_bytes(start, end));
    }

    /// The pages that are known.
    pub fn valid(&self) -> &PageSet {
        &self.valid
    }

    /// Bytes of the pages that are known.
    pub fn valid_bytes(&self) -> u64 {
        self.valid.count() * u64::from(PAGE_BYTES)
    }

    /// Bytes of address space behind it.
    pub fn capacity(&self) -> usize {
        (BLOCK_BYTES_MIN as usize) << self.class
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_by_its_owner_only() {
        let frame = take(1 << 20, 1 << 20).unwrap();
        frame.own(7, 3);
        assert_eq!(frame.touch(0, 5000), 8192);
        assert_eq!((frame.touch(4000, 5000), frame.touch(8191, 8193)), (0, 4096));
        frame.write(0, &Segment::of_slice(&[5; 5000])).unwrap();
        let mut room = [0; 4096];
        let target = Segment::of_slice_mut(&mut room);
        assert!(!frame.read(7, 3, 0, &target), "nothing is known yet");
        frame.set_valid(0, 4096);
        assert!(frame.read(7, 3, 0, &target));
        assert!(!frame.read(7, 2, 0, &target) && !frame.read(8, 3, 0, &target));
        assert!(!frame.read(7, 3, 1, &target));
        assert!(frame.dirty.add(4000, 6000).is_some());
        assert!(frame.read(7, 3, 4000, &Segment::of_slice_mut(&mut room[..2000])));
        frame.invalidate(4095, 4096);
        assert!(!frame.read(7, 3, 0, &Segment::of_slice_mut(&mut room[..1])));
        assert_eq!(frame.give_back(), 12288);
        assert!(!frame.read(7, 3, 4000, &Segment::of_slice_mut(&mut room[..2000])));
    }
}
