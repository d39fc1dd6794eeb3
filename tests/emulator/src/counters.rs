//! How often each call was made and how many messages it took: in a file that all processes of a test map.
//!
//! `SIDESTEP_EMULATOR_COUNTERS=FILE`. The file has one record for each call: 48 bytes of name, padded with zeros, then two
//! 64-bit numbers in the machine's order, the calls and the messages. Without the variable the counts are this
//! process's own.
#![allow(unsafe_code)]

use crate::calls::{Call, NAMES};
use crate::settings::{complain, settings};
use rustix::fs::{Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const NAME_BYTES: usize = 48;

/// One call's counts.
#[repr(C)]
struct Counter {
    name: [u8; NAME_BYTES],
    calls: AtomicU64,
    messages: AtomicU64,
}

/// All of them, mapped for the life of the process.
struct Counters(NonNull<Counter>);

// SAFETY: the names are written before anybody shares them and to the same bytes by everybody, the rest is atomics.
unsafe impl Send for Counters {}
// SAFETY: as above.
unsafe impl Sync for Counters {}

impl Counters {
    fn get(&self, index: usize) -> &Counter {
        debug_assert!(index < NAMES.len());
        // SAFETY: the mapping has a record for each call.
        unsafe { self.0.add(index).as_ref() }
    }
}

/// Counts a call.
pub fn count_call(call: Call) {
    if let Some(counters) = counters() {
        counters.get(call as usize).calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts messages of a call.
pub fn count_messages(call: Call, count: u64) {
    if let Some(counters) = counters() {
        counters.get(call as usize).messages.fetch_add(count, Ordering::Relaxed);
    }
}

/// The messages of all calls.
pub fn messages() -> u64 {
    let counters = counters();
    let of = |index| counters.map_or(0, |counters| counters.get(index).messages.load(Ordering::Relaxed));
    (0..NAMES.len()).map(of).sum()
}

fn counters() -> Option<&'static Counters> {
    static COUNTERS: OnceLock<Option<Counters>> = OnceLock::new();
    let made = COUNTERS.get_or_init(|| {
        let mapped = map();
        if let Err(errno) = mapped {
            complain(&format!("the counters cannot be mapped: {errno}"));
        }
        mapped.ok()
    });
    made.as_ref()
}

fn map() -> rustix::io::Result<Counters> {
    let length = NAMES.len() * size_of::<Counter>();
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping of a file that is made long enough first, or of new memory.
    let start = unsafe {
        match &settings().counters {
            Some(path) => {
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
                let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o666))?;
                rustix::fs::ftruncate(&file, length as u64)?;
                rustix::mm::mmap(ptr::null_mut(), length, protection, MapFlags::SHARED, &file, 0)?
            }
            None => rustix::mm::mmap_anonymous(ptr::null_mut(), length, protection, MapFlags::PRIVATE)?,
        }
    };
    let first: NonNull<Counter> = NonNull::new(start.cast()).ok_or(rustix::io::Errno::NOMEM)?;
    for (index, name) in NAMES.iter().enumerate() {
        // SAFETY: inside the mapping; every process writes the same bytes.
        unsafe { ptr::copy_nonoverlapping(name.as_ptr(), first.add(index).as_ptr().cast(), name.len()) };
    }
    Ok(Counters(first))
}
