//! One word for each descriptor number: whose it is. The doors read it before anything else.

use std::sync::atomic::AtomicU32;

/// Descriptors from this number on are never ours: Linux's own default for `fs.nr_open`.
pub const DESCRIPTORS_COUNT_MAX: usize = 1 << 20;

/// The entry of a descriptor that is not ours: the next function, at once.
pub const NOT_OURS: u32 = 0;

/// 0 for a descriptor that is none of our business. In `.bss`, so that untouched pages cost nothing.
pub static ENTRIES: [AtomicU32; DESCRIPTORS_COUNT_MAX] = [const { AtomicU32::new(NOT_OURS) }; DESCRIPTORS_COUNT_MAX];
