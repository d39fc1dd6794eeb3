//! One word for each descriptor number: whose it is. The doors read it before anything else.
#![allow(unsafe_code)]

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Descriptors from this number on are never ours: Linux's own default for `fs.nr_open`.
pub const DESCRIPTORS_COUNT_MAX: usize = 1 << 20;

/// The entry of a descriptor that is not ours: the next function, at once.
pub const NOT_OURS: u32 = 0;

/// The entry of a descriptor that the library keeps for itself: to the application it is closed.
pub const PARKED: u32 = u32::MAX;

/// The entry of a descriptor that another process handed over and nobody has used here yet.
pub const INHERITED: u32 = u32::MAX - 1;

/// The entry of a descriptor of a process that is about to end: its file is closed as far as the store is concerned, and
/// a thread that still calls has to wait for the end.
pub const ENDING: u32 = u32::MAX - 2;

/// The entry of a number that is set aside for a file that is being opened: for the application it is not open yet.
pub const RESERVED: u32 = u32::MAX - 3;

/// The entry of a descriptor whose engine can't be used in this fork child: its calls are `EIO` until it is closed.
pub const LOST: u32 = u32::MAX - 4;

/// Entries from here on are not a description's.
pub const SPECIAL_MIN: u32 = LOST;

/// How many numbers the table has: 0 until it is there, so that the doors need no other test. Numbers from here on are
/// never ours.
pub static COUNT: AtomicU64 = AtomicU64::new(0);

/// The table: [`NOT_OURS`] for a descriptor that is none of our business. Mapped, and not in `.bss`: the dynamic linker
/// would start no program whose `ulimit -v` or `ulimit -d` is below 4 MiB. Pages that nobody touched cost nothing.
pub static ENTRIES: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

/// The entry of a descriptor number; `None` for numbers that are never ours.
#[inline(always)]
pub fn entry(descriptor: i32) -> Option<&'static AtomicU32> {
    let number = usize::try_from(descriptor).ok()?;
    match table().get(number) {
        None => made_entry(number),
        found => found,
    }
}

/// All entries; none before the first was asked for.
#[inline(always)]
pub fn table() -> &'static [AtomicU32] {
    // In the order in which `make` stores them: the count is 0, or the table is there.
    let count = COUNT.load(Ordering::Acquire) as usize;
    let entries = ENTRIES.load(Ordering::Relaxed);
    if count == 0 {
        return &[];
    }
    // SAFETY: `make` mapped so many for good.
    unsafe { std::slice::from_raw_parts(entries, count) }
}

#[cold]
fn made_entry(number: usize) -> Option<&'static AtomicU32> {
    if number < DESCRIPTORS_COUNT_MAX && ENTRIES.load(Ordering::Acquire).is_null() {
        make();
    }
    table().get(number)
}

/// Makes the table, as large as the process's limits allow.
pub fn make() {
    let sizes = [DESCRIPTORS_COUNT_MAX, 1 << 16, 1 << 12];
    let Some((mapped, count)) = sizes.into_iter().find_map(|count| map(count).map(|mapped| (mapped, count))) else {
        return;
    };
    let first = ENTRIES.compare_exchange(std::ptr::null_mut(), mapped, Ordering::AcqRel, Ordering::Acquire);
    if first.is_ok() {
        COUNT.store(count as u64, Ordering::Release);
    } else {
        // SAFETY: nobody has seen this one.
        let _ = unsafe { munmap(mapped.cast(), count * size_of::<AtomicU32>()) };
    }
}

fn map(count: usize) -> Option<*mut AtomicU32> {
    let bytes = count * size_of::<AtomicU32>();
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
    // SAFETY: a fresh mapping. Zeros are entries that are not ours. One huge page for a handful of entries would be 2 MiB.
    unsafe {
        let mapped = mmap_anonymous(std::ptr::null_mut(), bytes, protection, flags).ok()?;
        let _ = madvise(mapped, bytes, Advice::LinuxNoHugepage);
        Some(mapped.cast())
    }
}

/// The highest number that was ever set, so that sweeps need not look at a million entries.
static HIGHEST: AtomicI32 = AtomicI32::new(0);

/// Notes that a number's entry is about to be set.
#[inline]
pub fn note(descriptor: i32) {
    if HIGHEST.load(Ordering::Relaxed) < descriptor {
        HIGHEST.fetch_max(descriptor, Ordering::AcqRel);
    }
}

/// The highest number whose entry was ever set.
pub fn highest() -> usize {
    HIGHEST.load(Ordering::Acquire).max(0) as usize
}
