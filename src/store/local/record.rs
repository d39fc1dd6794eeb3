//! A node's record in the inode table: everything that changes without a transaction.
//!
//! All of it is atomics in memory that every process of the store maps. Four rules keep it whole:
//!
//! * **Names** (`links`, `entries`) change under the store's names lock alone.
//! * **Size** is one word with the count of truncations, so that a writer that was overtaken by a truncation cannot
//!   bring the old size back.
//! * **Layout** (where the bytes are) changes under the record's own lock, with `sequence` odd meanwhile. Readers and
//!   writers take no lock: they look at `sequence` before and after, and do it again when it moved.
//! * **Zeros**: the bytes from `dirty_end` on are zero. What lies between the size and `dirty_end` is cleared by whoever
//!   makes the file grow over it.

use super::CHUNK_BYTES_RANGE;
use super::shared_lock::SharedLock;
use super::store::SLOT_BYTES;
use crate::ground::kernel;
use crate::store::{Attributes, Kind, NodeId, Timestamp};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// Bytes of a record; two cache lines.
pub const RECORD_BYTES: usize = 128;

/// A file's size has this many bits; the truncation count has the rest of the word. 256 TiB.
const SIZE_BITS: u32 = 48;

/// The largest size that a file may have.
pub const SIZE_BYTES_MAX: u64 = (1 << SIZE_BITS) - 1;

/// The bytes are in object files, not in a slot.
pub const HAS_OBJECT: u32 = 1;
/// Somebody has, or had, a descriptor that holds this node through a hand-over.
pub const HELD: u32 = 2;
/// The names know it as an orphan.
pub const ORPHAN: u32 = 4;
/// The objects may have space beyond the size, to be given back at the last close.
pub const TRIM: u32 = 8;
/// A directory that had a stand-in in the store: version 0.1 set it, and nobody asks any more.
pub const STANDS_IN: u32 = 16;

/// Object files may exist, though the bytes are not there yet: a move to them was begun.
pub const OBJECT_BEGUN: u32 = 32;

/// The slot came with the record from the node before: nothing of this node has been written to it.
pub const SLOT_BLANK: u32 = 64;

/// The node has no name any more, and keeps its bytes and its number until that is on stable storage.
pub const CONDEMNED: u32 = 128;

/// The host knows the object files by name on stable storage.
pub const OBJECTS_KNOWN: u32 = 256;

/// The log has the slot's bytes as they were synced, and the slot itself may not be on stable storage.
pub const SLOT_LOGGED: u32 = 512;

/// How many changes since that sync the log has as well, in two bits.
pub const SLOT_CHANGES: u32 = 1024 | 2048;

/// One of those changes.
pub const SLOT_CHANGE: u32 = 1024;

/// All of them.
const FLAGS_KNOWN: u32 = HAS_OBJECT
    | HELD
    | ORPHAN
    | TRIM
    | STANDS_IN
    | OBJECT_BEGUN
    | SLOT_BLANK
    | CONDEMNED
    | OBJECTS_KNOWN
    | FLAGS_OF_THE_LOG;

/// Flags that say what this log has: none of them outlives it.
pub const FLAGS_OF_THE_LOG: u32 = SLOT_LOGGED | SLOT_CHANGES;

/// One node.
#[repr(C, align(128))]
pub struct Record {
    pub(super) kind_mode: AtomicU32,
    /// Which of the nodes that had this number.
    pub generation: AtomicU32,
    /// Owner.
    pub uid: AtomicU32,
    /// Group.
    pub gid: AtomicU32,
    /// Names that lead here.
    pub links: AtomicU32,
    /// [`HAS_OBJECT`] and its siblings.
    pub flags: AtomicU32,
    /// Truncations and size, see [`Extent`].
    pub extent: AtomicU64,
    /// Nanoseconds since the epoch, as the three after it.
    pub accessed: AtomicI64,
    /// Of the bytes.
    pub modified: AtomicI64,
    /// Of anything.
    pub changed: AtomicI64,
    /// When it was made.
    pub born: AtomicI64,
    /// Odd while the layout changes.
    pub sequence: AtomicU32,
    /// Held for changes of the layout and for appends.
    pub lock: SharedLock,
    /// The inline slot's number and 1; 0 for none.
    pub slot: AtomicU32,
    pub(super) chunk_units: AtomicU32,
    /// The store's epoch and the count of live opens in it.
    pub opens: AtomicU64,
    /// The bytes of the objects from here on are zero.
    pub dirty_end: AtomicU64,
    /// The bytes of the objects before this have their space: no hole is among them.
    pub dense_end: AtomicU64,
    /// Of a directory: how many names it has. Of a condemned node, the one after it.
    pub entries: AtomicU32,
    /// How often it was synced, modulo 2^32: tells an image in the log that is older than this record from one that is newer.
    pub synced: AtomicU32,
    /// The next free record, while this one is free. While it is a file's, the lanes of its intents.
    pub next_free: AtomicU64,
    /// The position of the log when it was made: its name may return after a cut of power if that position is stable.
    pub created_at: AtomicU64,
}

const _: () = assert!(size_of::<Record>() == RECORD_BYTES);

/// The size word, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent(pub u64);

impl Extent {
    /// Of a size and a truncation count.
    pub fn new(truncations: u16, size_bytes: u64) -> Self {
        Self(u64::from(truncations) << SIZE_BITS | size_bytes)
    }

    /// The size.
    #[inline(always)]
    pub fn size(self) -> u64 {
        self.0 & SIZE_BYTES_MAX
    }

    /// How often it was cut, modulo 2^16.
    #[inline(always)]
    pub fn truncations(self) -> u16 {
        (self.0 >> SIZE_BITS) as u16
    }

    /// The word with another size.
    pub fn with_size(self, size_bytes: u64) -> Self {
        Self::new(self.truncations(), size_bytes)
    }
}

/// The slot that a record's bytes, as they are in the file, have a file's bytes in.
pub fn slot_in_use(image: &[u8; RECORD_BYTES]) -> Option<u64> {
    let half = |at: usize| image[at..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    let is_file = half(std::mem::offset_of!(Record, kind_mode)) >> 16 == Kind::File as u32;
    let flags = half(std::mem::offset_of!(Record, flags));
    let slot = u64::from(half(std::mem::offset_of!(Record, slot)));
    let has_bytes = is_file && flags & (HAS_OBJECT | SLOT_BLANK) == 0 && slot != 0;
    has_bytes.then(|| slot - 1)
}

/// The record of a root that lost its own: a directory of whoever mends it. What it counts is put right by who counts.
pub fn root_image() -> [u8; RECORD_BYTES] {
    let mut image = [0; RECORD_BYTES];
    let mut put = |offset: usize, bytes: &[u8]| image[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(std::mem::offset_of!(Record, kind_mode), &((Kind::Directory as u32) << 16 | 0o755).to_ne_bytes());
    put(std::mem::offset_of!(Record, uid), &rustix::process::geteuid().as_raw().to_ne_bytes());
    put(std::mem::offset_of!(Record, gid), &rustix::process::getegid().as_raw().to_ne_bytes());
    put(std::mem::offset_of!(Record, links), &2u32.to_ne_bytes());
    let now = kernel::now().to_ne_bytes();
    for offset in [
        std::mem::offset_of!(Record, accessed),
        std::mem::offset_of!(Record, modified),
        std::mem::offset_of!(Record, changed),
        std::mem::offset_of!(Record, born),
    ] {
        put(offset, &now);
    }
    image
}

impl Record {
    /// What it is; `None` for a free one.
    #[inline]
    pub fn kind(&self) -> Option<Kind> {
        match self.kind_mode.load(Ordering::Acquire) >> 16 {
            1 => Some(Kind::File),
            2 => Some(Kind::Directory),
            3 => Some(Kind::Symlink),
            _ => None,
        }
    }

    /// Whether its words can be those of a node: what is derived from them decides lengths and places.
    #[inline]
    pub fn is_plausible(&self) -> bool {
        let flags = self.flags.load(Ordering::Acquire);
        let extent = self.extent();
        let fits = match self.kind() {
            // A slot's file ends within it; only a move to objects lets it grow on.
            Some(Kind::File) => {
                CHUNK_BYTES_RANGE.contains(&self.chunk_bytes())
                    && (flags & HAS_OBJECT != 0
                        || self.slot.load(Ordering::Acquire) == 0
                        || extent.size() <= SLOT_BYTES
                        // Both change while somebody writes: the flag comes before the size.
                        || self.has(HAS_OBJECT))
            }
            Some(Kind::Directory | Kind::Symlink) => flags & (HAS_OBJECT | OBJECT_BEGUN) == 0,
            None => false,
        };
        fits && flags & !FLAGS_KNOWN == 0
            && self.dense_end.load(Ordering::Relaxed) <= SIZE_BYTES_MAX
            && self.dirty_end.load(Ordering::Relaxed) <= SIZE_BYTES_MAX
    }

    /// Permission bits.
    pub fn mode(&self) -> u32 {
        self.kind_mode.load(Ordering::Relaxed) & 0o7777
    }

    /// Sets the permission bits, whatever the kind.
    pub fn set_mode(&self, mode: u32) {
        let _ = self
            .kind_mode
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| Some(word & !0o7777 | mode & 0o7777));
    }

    /// Makes it a node, or free with `None`.
    pub fn set_kind(&self, kind: Option<Kind>, mode: u32) {
        self.kind_mode.store(kind.map_or(0, |kind| kind as u32) << 16 | mode & 0o7777, Ordering::Release);
    }

    /// The size word now.
    #[inline(always)]
    pub fn extent(&self) -> Extent {
        Extent(self.extent.load(Ordering::Acquire))
    }

    /// The lanes of a file's intents, see `intents`.
    #[inline(always)]
    pub fn intents(&self) -> &AtomicU64 {
        &self.next_free
    }

    /// The chunk size of a file.
    pub fn chunk_bytes(&self) -> u64 {
        u64::from(self.chunk_units.load(Ordering::Relaxed)) * 512
    }

    /// Sets the chunk size.
    pub fn set_chunk_bytes(&self, chunk_bytes: u64) {
        self.chunk_units.store((chunk_bytes / 512) as u32, Ordering::Relaxed);
    }

    /// Whether a flag is set.
    #[inline(always)]
    pub fn has(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Acquire) & flag != 0
    }

    /// Whether the slot, if there is one, has bytes of this node.
    #[inline]
    pub fn has_slot_bytes(&self) -> bool {
        self.slot.load(Ordering::Relaxed) != 0 && !self.has(SLOT_BLANK)
    }

    /// Marks the bytes as changed now.
    #[inline]
    pub fn touch_modified(&self, now: i64) {
        if self.modified.load(Ordering::Relaxed) != now {
            self.modified.store(now, Ordering::Relaxed);
        }
        if self.changed.load(Ordering::Relaxed) != now {
            self.changed.store(now, Ordering::Relaxed);
        }
    }

    /// Whether relatime would move the access time: it is not after the last change, or a day old.
    #[inline(always)]
    pub fn access_is_stale(&self) -> bool {
        let accessed = self.accessed.load(Ordering::Relaxed);
        accessed <= self.modified.load(Ordering::Relaxed) || accessed <= self.changed.load(Ordering::Relaxed)
    }

    /// The attributes, but for the blocks of a file with objects, which the caller has to count.
    pub fn attributes(&self, node: NodeId, kind: Kind) -> Attributes {
        let time = |time: &AtomicI64| Timestamp(time.load(Ordering::Relaxed));
        let extent = self.extent();
        let (size_bytes, blocks) = match kind {
            Kind::Directory => (40 + 20 * u64::from(self.entries.load(Ordering::Relaxed)), 0),
            Kind::Symlink => (extent.size(), 0),
            Kind::File if self.has_slot_bytes() && extent.size() != 0 => (extent.size(), 8),
            Kind::File => (extent.size(), 0),
        };
        Attributes {
            node,
            generation: self.generation.load(Ordering::Relaxed),
            kind,
            mode: self.mode(),
            uid: self.uid.load(Ordering::Relaxed),
            gid: self.gid.load(Ordering::Relaxed),
            link_count: self.links.load(Ordering::Relaxed),
            size_bytes,
            blocks,
            chunk_bytes: if kind == Kind::File { self.chunk_bytes() } else { 4096 },
            accessed: time(&self.accessed),
            modified: time(&self.modified),
            changed: time(&self.changed),
            born: time(&self.born),
        }
    }
}
