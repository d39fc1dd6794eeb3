//! Whether there is memory for the library's own work: `ulimit -v` and `ulimit -d` bound what a process may map.
//!
//! Rust ends a process that gets no memory. So before the library starts, and before a store is opened, it asks whether
//! there is plenty; and the allocator keeps a reserve, and says here when it had to take it. From then on what would begin
//! on a prefix is `ENOMEM`, until there is memory again.
#![allow(unsafe_code)]

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that a start, or the opening of a store, may ask for one after another. A start with no list of sites decodes
/// libc, which takes the most.
const PLENTY_BYTES: usize = 4 << 20;

/// Bytes that show that the need has passed.
const ENOUGH_BYTES: usize = 1 << 20;

static IS_LOW: AtomicBool = AtomicBool::new(false);

/// Whether there is memory for a start, or for the opening of a store.
pub fn is_plenty() -> bool {
    can_map(PLENTY_BYTES)
}

/// The allocator took its reserve.
pub fn note_low() {
    IS_LOW.store(true, Ordering::Relaxed);
}

/// Whether the reserve is in use and there is no other memory.
#[inline]
pub fn is_low() -> bool {
    IS_LOW.load(Ordering::Relaxed) && is_still_low()
}

#[cold]
fn is_still_low() -> bool {
    let is_low = !can_map(ENOUGH_BYTES);
    IS_LOW.store(is_low, Ordering::Relaxed);
    is_low
}

fn can_map(bytes: usize) -> bool {
    // SAFETY: a fresh mapping that nobody knows, and its end.
    unsafe {
        mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
            .and_then(|mapped| munmap(mapped, bytes))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_need_passes_when_there_is_memory() {
        assert!(is_plenty() && !is_low());
        note_low();
        assert!(!is_low());
        assert!(!can_map(usize::MAX / 2));
    }
}
