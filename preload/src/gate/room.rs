//! Memory for the trampolines, within a jump's reach of an object; writable first, executable afterwards.
#![allow(unsafe_code)]

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::ops::Range;

/// Anonymous memory near given addresses.
pub struct Room {
    start: usize,
    bytes: usize,
}

/// A rel32 reaches 2 GiB; a MiB is kept for what is counted from the end of an instruction.
const REACH_BYTES: usize = (2 << 30) - (1 << 20);

/// How far apart the addresses lie that are tried when the kernel's own choice is out of reach.
const STEP_BYTES: usize = 16 << 20;

impl Room {
    /// Maps `bytes` writable bytes from which all of `reached` can be jumped to, and the other way round.
    ///
    /// # Errors
    /// Why there is none.
    pub fn near(reached: &Range<usize>, bytes: usize) -> Result<Self, &'static str> {
        let bytes = bytes.next_multiple_of(4096);
        let (lowest, highest) = (reached.start, reached.end);
        let reaches = |start: usize| {
            start + bytes <= lowest.saturating_add(REACH_BYTES) && start.saturating_add(REACH_BYTES) >= highest
        };
        // The kernel maps from the top down, so its own choice is nearly always right below the libraries.
        let hints = std::iter::once(0)
            .chain((1..100).map(|step| lowest.saturating_sub(step * STEP_BYTES)))
            .chain((1..100).map(|step| highest.saturating_add(step * STEP_BYTES)));
        let mut last = "no memory for trampolines within 2 GiB of the C library";
        for hint in hints.map(|hint| hint & !4095) {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: a new mapping; the address is a hint only, so nothing is replaced.
            match unsafe { mmap_anonymous(hint as *mut _, bytes, protection, MapFlags::PRIVATE) } {
                Ok(start) if reaches(start as usize) => return Ok(Self { start: start as usize, bytes }),
                // SAFETY: mapped just now and used by nobody.
                Ok(start) => drop(unsafe { munmap(start, bytes) }),
                Err(_) => last = "no memory for trampolines",
            }
        }
        Err(last)
    }

    /// Its addresses.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.bytes
    }

    /// Puts `code` at the start and makes the room executable and read-only, for ever.
    ///
    /// # Errors
    /// The kernel forbids it (a policy against turning written memory into code); the room is given back.
    pub fn seal(self, code: &[u8]) -> Result<(), &'static str> {
        assert!(code.len() <= self.bytes, "the trampolines outgrew their room");
        // SAFETY: the room is this mapping's own, large enough, and nobody else knows it yet.
        unsafe {
            std::ptr::copy_nonoverlapping(code.as_ptr(), self.start as *mut u8, code.len());
            let executable = MprotectFlags::READ | MprotectFlags::EXEC;
            mprotect(self.start as *mut _, self.bytes, executable).map_err(|_| {
                let _ = munmap(self.start as *mut _, self.bytes);
                "the kernel does not allow new executable memory"
            })
        }
    }
}
