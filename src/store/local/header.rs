//! The store's header: what all of its processes share besides records, slots and names.
//!
//! A file of its own, mapped. Its first bytes say that this is a store, and of which format.

use super::journal::{AllocationJournal, NamesJournal};
use super::log::state::LogState;
use super::shared_lock::SharedLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The first bytes of the header file.
pub const MAGIC: [u8; 16] = *b"Sidestep store\n\0";

/// The format that this release writes. Format 1 is the same without a log: its stores are given one when they are opened alone.
pub const FORMAT: u32 = 2;

/// Bytes of the header file.
pub const HEADER_BYTES: usize = 32 << 10;

/// Processes that may use a store at once.
pub const SESSIONS_COUNT: u32 = 4096;

/// Numbers handed out in order, then again from a list of those given back. Changes under a lock.
#[repr(C)]
pub struct Pool {
    /// The lowest number that was never used.
    pub next: AtomicU64,
    /// Numbers below this have their space on the disk.
    pub allocated: AtomicU64,
    /// The first number of the free list, 0 for none.
    pub free: AtomicU64,
    /// How many are on the free list.
    pub free_count: AtomicU64,
}

/// The header. Fresh memory is all zero; [`Header::initialise`] does the rest.
#[repr(C)]
pub struct Header {
    magic: [u8; 16],
    /// [`FORMAT`].
    pub format: AtomicU32,
    /// Target directories.
    pub targets: AtomicU32,
    /// The chunk size of new files, unless the mount says otherwise.
    pub chunk_bytes: AtomicU64,
    /// A random number that tells this store from others.
    pub id: AtomicU64,
    /// A random number that the names' hashes start from: nobody can choose names that collide.
    pub hash_key: AtomicU64,
    /// Raised by whoever opens the store alone: open counts of an earlier epoch are the dead's.
    pub epoch: AtomicU32,
    /// Where the next process looks for a free session.
    pub session_hint: AtomicU32,
    /// Bytes of the names' file that have their space.
    pub names_bytes: AtomicU64,
    /// Bytes that the names' file may grow to: the same for all who have it open.
    pub names_map_bytes: AtomicU64,
    /// Nodes that are unlinked and open.
    pub orphans: AtomicU64,
    /// Which run of the host's kernel the store was opened in last: after another one, what was not synced may be torn.
    pub boot: AtomicU64,
    /// Held for changes of names.
    pub names_lock: NamesLock,
    /// Held to take or give back an inline slot, inside any other lock.
    pub allocation_lock: AllocationLock,
    /// Which of the processes that had a session has it now.
    pub incarnations: [AtomicU32; SESSIONS_COUNT as usize],
    /// The log of changes.
    pub log: LogState,
}

/// The names lock and what it protects.
#[repr(C, align(128))]
pub struct NamesLock {
    /// The lock.
    pub lock: SharedLock,
    /// What its owner is doing.
    pub journal: NamesJournal,
    /// Node numbers.
    pub nodes: Pool,
}

/// The allocation lock and what it protects.
#[repr(C, align(128))]
pub struct AllocationLock {
    /// The lock.
    pub lock: SharedLock,
    /// What its owner is doing.
    pub journal: AllocationJournal,
    /// Slot numbers; 0 is never used.
    pub slots: Pool,
}

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES);

impl Header {
    /// Fills in a new store's header. `bytes` is what will be the file.
    pub fn initialise(
        bytes: &mut [u8; HEADER_BYTES],
        targets: u32,
        chunk_bytes: u64,
        [id, hash_key]: [u64; 2],
        is_logged: bool,
    ) {
        let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
        put(std::mem::offset_of!(Header, magic), &MAGIC);
        put(std::mem::offset_of!(Header, format), &FORMAT.to_ne_bytes());
        put(std::mem::offset_of!(Header, targets), &targets.to_ne_bytes());
        put(std::mem::offset_of!(Header, chunk_bytes), &chunk_bytes.to_ne_bytes());
        put(std::mem::offset_of!(Header, id), &id.to_ne_bytes());
        put(std::mem::offset_of!(Header, hash_key), &hash_key.to_ne_bytes());
        put(std::mem::offset_of!(Header, epoch), &1u32.to_ne_bytes());
        let on = std::mem::offset_of!(Header, log) + std::mem::offset_of!(LogState, on);
        put(on, &u32::from(is_logged).to_ne_bytes());
        let next = std::mem::offset_of!(Pool, next);
        // Node 0 and slot 0 mean "none".
        put(std::mem::offset_of!(Header, names_lock.nodes) + next, &1u64.to_ne_bytes());
        put(std::mem::offset_of!(Header, allocation_lock.slots) + next, &1u64.to_ne_bytes());
    }

    /// The owner word of a session as it is now, for [`SharedLock`].
    pub fn owner_word(&self, session: u32) -> u32 {
        let incarnation = self.incarnations[session as usize].load(Ordering::Acquire);
        (incarnation % (1 << 19)) << 12 | session
    }
}

/// The session of an owner word.
pub fn session_of(owner: u32) -> u32 {
    owner % SESSIONS_COUNT
}
