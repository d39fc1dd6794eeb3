//! Object ids: 128 bits, of which DAOS keeps the upper 32 for the kind and class of the object.
//!
//! As libdfs does it, a mount takes one number `lo` from its container and counts in the lower half of `hi`. dfuse's
//! inode number is that lower half, exclusive-or `lo` shifted up by 32 bits: here too, no two objects have the same.

use crate::container::Container;
use crate::errors::Answer;
use std::sync::Mutex;

/// An object's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Oid {
    /// Lower half.
    pub lo: u64,
    /// Upper half.
    pub hi: u64,
}

/// Type and class of a directory: hashed keys, one shard.
const DIRECTORY_BITS: u64 = 1 << 48 | 1 << 32;

/// Type and class of a file: an array of bytes, over all targets.
const FILE_BITS: u64 = 13 << 56 | 1 << 48 | 0xffff << 32;

/// Class of directories, as an object class has it.
pub const DIRECTORY_CLASS: u32 = 1 << 24 | 1;

/// Class of files.
pub const FILE_CLASS: u32 = 1 << 24 | 0xffff;

/// The object that holds the root's entry.
pub const SUPER: Oid = Oid { lo: 0, hi: DIRECTORY_BITS };

/// The root directory.
pub const ROOT: Oid = Oid { lo: 0, hi: DIRECTORY_BITS | 1 };

impl Oid {
    /// A name for files of the host.
    pub fn to_name(self) -> String {
        format!("{:016x}.{:016x}", self.hi, self.lo)
    }

    /// Its object class.
    pub fn class(self) -> u32 {
        let (class, groups) = ((self.hi >> 48) & 0xff, (self.hi >> 32) & 0xffff);
        u32::try_from(class << 24 | groups).unwrap_or(0)
    }
}

/// A prime step through the 32-bit numbers, so that objects made one after another do not lie side by side.
const STEP: u32 = 999_999_937;

/// Makes a mount's object ids.
#[derive(Debug)]
pub struct OidMaker {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lo: u64,
    next: u32,
    last: u32,
}

impl OidMaker {
    /// With a number from the container, beginning anywhere.
    ///
    /// # Errors
    /// Where the container cannot be written.
    pub fn new(container: &Container) -> Answer<Self> {
        let lo = container.take_number()?;
        let mut seed = [0; 4];
        rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
        let last = u32::from_ne_bytes(seed).max(2);
        Ok(Self { state: Mutex::new(State { lo, next: last.wrapping_add(STEP), last }) })
    }

    /// A new id, for a file or for anything else.
    ///
    /// # Errors
    /// Where the container gives no more numbers.
    pub fn make(&self, container: &Container, is_file: bool) -> Answer<Oid> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.next == state.last {
            state.lo = container.take_number()?;
        }
        let oid = Oid { lo: state.lo, hi: u64::from(state.next) | if is_file { FILE_BITS } else { DIRECTORY_BITS } };
        state.next = state.next.wrapping_add(STEP);
        Ok(oid)
    }
}
