//! A page of counters that all processes of a store map.
#![allow(unsafe_code)]

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::mm::{MapFlags, ProtFlags};
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE_BYTES: usize = 4096;

/// The page, mapped until this is dropped.
pub struct SharedPage(NonNull<AtomicU64>);

// SAFETY: all of it is atomics.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// Maps the file at `path`, made if it is not there.
    ///
    /// # Errors
    /// What the host answers.
    pub fn map(path: &Path) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
        rustix::fs::ftruncate(&file, PAGE_BYTES as u64)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping of a file that is long enough.
        let start = unsafe { rustix::mm::mmap(ptr::null_mut(), PAGE_BYTES, protection, MapFlags::SHARED, &file, 0)? };
        NonNull::new(start.cast()).map(Self).ok_or(Errno::NOMEM)
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        debug_assert!(index < PAGE_BYTES / size_of::<u64>());
        // SAFETY: inside the page.
        unsafe { self.0.add(index).as_ref() }
    }

    /// A word.
    pub fn get(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Acquire)
    }

    /// Adds to a word; answers what it was.
    pub fn add(&self, index: usize, value: u64) -> u64 {
        self.word(index).fetch_add(value, Ordering::AcqRel)
    }

    /// Takes from a word, not below 0.
    pub fn subtract(&self, index: usize, value: u64) {
        let less = |word: u64| Some(word.saturating_sub(value));
        let _ = self.word(index).fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: the mapping of `map`, which nobody refers to any more.
        let _ = unsafe { rustix::mm::munmap(self.0.as_ptr().cast(), PAGE_BYTES) };
    }
}
