//! The descriptor that keeps nodes alive while they are in the air between processes.

use crate::ground::kernel::Parked;
use rustix::io::FdFlags;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The holds of this process that a new program inherits.
static INHERITED_COUNT: AtomicU32 = AtomicU32::new(0);

/// A descriptor whose locks an engine looks at; one for all descriptions that were handed over together, up to some.
/// Closed with the last of them.
pub struct Hold {
    descriptor: Parked,
    is_inherited: AtomicBool,
}

impl Hold {
    /// Of this process's own making: close-on-exec.
    pub fn new(descriptor: Parked) -> Self {
        Self { descriptor, is_inherited: AtomicBool::new(false) }
    }

    /// One that this program was started with, by its number.
    pub fn inherited(descriptor: Parked) -> Self {
        INHERITED_COUNT.fetch_add(1, Ordering::AcqRel);
        Self { descriptor, is_inherited: AtomicBool::new(true) }
    }

    /// Its number, the same in every process that has it.
    pub fn number(&self) -> i32 {
        self.descriptor.number()
    }

    /// A new program is to have it too.
    pub fn let_inherit(&self) {
        if !self.is_inherited.swap(true, Ordering::AcqRel) {
            INHERITED_COUNT.fetch_add(1, Ordering::AcqRel);
        }
        // In a vfork child as well, whose descriptors are its own.
        let _ = rustix::io::fcntl_setfd(&self.descriptor, FdFlags::empty());
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if *self.is_inherited.get_mut() {
            INHERITED_COUNT.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Whether a new program has to look for holds, to keep or to close.
pub fn is_any_inherited() -> bool {
    INHERITED_COUNT.load(Ordering::Acquire) != 0
}
