//! One word for each descriptor number: whose it is. The doors read it before anything else.

use std::sync::atomic::AtomicU32;

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

/// Entries from here on are not a description's.
pub const SPECIAL_MIN: u32 = RESERVED;

/// 0 for a descriptor that is none of our business. In `.bss`, so that untouched pages cost nothing.
pub static ENTRIES: [AtomicU32; DESCRIPTORS_COUNT_MAX] = [const { AtomicU32::new(NOT_OURS) }; DESCRIPTORS_COUNT_MAX];

/// The entry of a descriptor number; `None` for numbers that are never ours.
#[inline(always)]
pub fn entry(descriptor: i32) -> Option<&'static AtomicU32> {
    ENTRIES.get(usize::try_from(descriptor).ok()?)
}

/// The highest number that was ever set, so that sweeps need not look at a million entries.
static HIGHEST: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);

/// Notes that a number's entry is about to be set.
#[inline]
pub fn note(descriptor: i32) {
    use std::sync::atomic::Ordering;
    if HIGHEST.load(Ordering::Relaxed) < descriptor {
        HIGHEST.fetch_max(descriptor, Ordering::AcqRel);
    }
}

/// The highest number whose entry was ever set.
pub fn highest() -> usize {
    HIGHEST.load(std::sync::atomic::Ordering::Acquire).max(0) as usize
}
