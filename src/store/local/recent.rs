//! The names that were used or changed last: shared memory between the processes of the store and the tree.
//!
//! Two things in one table. It is a cache of names, found ones and absent ones, that all processes share: a lookup that hits
//! costs some 30 ns where the tree takes 250. And it holds the changes that are not in the tree yet: making and removing a
//! file by a transaction each costs 1.2 us, by the thousand 0.3. A change is complete once it is listed here, whatever
//! happens to its process: the memory is the host's page cache, as the tree's own is.
//!
//! 1. Who holds the names lock writes a change to the list and its name to the table, *pending*.
//! 2. Lookups see the table first. A pending name is not evicted, so what is not in the table is in the tree as it stands.
//! 3. When the list is full, and before anything that needs the tree whole (a listing, a rename, a sync), the list goes
//!    into the tree in one transaction, sorted, and its names are no longer pending.
//!
//! Only the holder of the names lock writes. Readers take no lock: a bucket's `version` is odd while it changes.

use super::key;
use crate::store::{Found, Kind, NodeId};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

const BUCKETS_COUNT: usize = 8192;
const SLOTS_PER_BUCKET: usize = 3;

/// Changes that are listed before they go to the tree.
pub const CHANGES_COUNT_MAX: usize = 1024;

/// Looks at a bucket in change before the reader goes and waits for the lock.
const LOOKS_MAX: u32 = 2000;

/// Stands in the memory once it was set up.
const MARK: u64 = u64::from_le_bytes(*b"recent-1");

/// The kind of a name that is not there.
const ABSENT: u64 = 7;

/// One name.
#[repr(C)]
struct Slot {
    key: AtomicU64,
    check: AtomicU64,
    /// Node, and the kind in the top byte: 0 for an empty slot.
    found: AtomicU64,
    position: AtomicU64,
    generation: AtomicU32,
    /// Pending while this is the epoch and 1.
    pending: AtomicU32,
}

/// Names whose key falls here.
#[repr(C, align(128))]
struct Bucket {
    version: AtomicU32,
    hand: AtomicU32,
    slots: [Slot; SLOTS_PER_BUCKET],
}

const _: () = assert!(size_of::<Bucket>() == 128);

/// A change that is not in the tree yet.
#[repr(C)]
pub struct Change {
    directory: AtomicU64,
    position: AtomicU64,
    node: AtomicU64,
    generation: AtomicU32,
    /// 0 for a name that went.
    kind: AtomicU32,
    name_bytes: AtomicU32,
    /// A hash of the rest: a power failure may tear what was not synced.
    seal: AtomicU32,
    name: [AtomicU8; 256],
}

/// The shared memory.
#[repr(C)]
pub struct Recent {
    epoch: AtomicU32,
    count: AtomicU32,
    mark: AtomicU64,
    padding: [AtomicU64; 14],
    buckets: [Bucket; BUCKETS_COUNT],
    changes: [Change; CHANGES_COUNT_MAX],
}

/// Bytes of the file that holds it.
pub const RECENT_BYTES: usize = size_of::<Recent>().next_multiple_of(4096);

/// Which name: 56 bits of hash make the key, 64 more the check. Both start from the store's secret number, so two names are
/// taken for one as seldom as the disk errs, and by nobody's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    key: u64,
    check: u64,
    /// The first position of its hash in the directory.
    pub first_position: u64,
}

impl Identity {
    /// Of a name in a directory.
    #[inline]
    pub fn of(hash_key: u64, directory: NodeId, name: &[u8]) -> Self {
        let first_position = key::first_position(hash_key, name);
        let key = (first_position ^ directory.0.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let check = key::hash(hash_key.rotate_left(17) ^ directory.0, name);
        Self { key: key ^ key >> 29, check, first_position }
    }
}

/// What is remembered of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// It is there, at this position.
    Found(Found, u64),
    /// It is not there; it would go to this position.
    Absent(u64),
    /// The tree knows. The bucket had this version.
    Unknown(u32),
    /// The bucket stays in change: wait for the names lock, and ask again.
    Busy,
}

impl Identity {
    /// Its words, to be kept elsewhere.
    pub fn words(self) -> [u64; 2] {
        [self.key, self.check]
    }
}

impl Recent {
    #[inline]
    fn bucket(&self, identity: Identity) -> &Bucket {
        &self.buckets[identity.key as usize % BUCKETS_COUNT]
    }

    /// What is remembered of a name. Takes no lock.
    #[inline]
    pub fn recall(&self, identity: Identity) -> Recalled {
        let bucket = self.bucket(identity);
        for _ in 0..LOOKS_MAX {
            let version = bucket.version.load(Ordering::Acquire);
            if version.is_multiple_of(2) {
                let mut answer = Recalled::Unknown(version);
                for slot in &bucket.slots {
                    if slot.is(identity)
                        && let Some(recalled) = slot.recall()
                    {
                        answer = recalled;
                        break;
                    }
                }
                fence(Ordering::Acquire);
                if bucket.version.load(Ordering::Relaxed) == version {
                    return answer;
                }
            }
            std::hint::spin_loop();
        }
        Recalled::Busy
    }

    /// The version of a name's bucket.
    pub fn version(&self, identity: Identity) -> u32 {
        self.bucket(identity).version.load(Ordering::Acquire)
    }

    /// Whether a name can be made pending: its bucket has a slot that may be overwritten, and no pending name shares its
    /// whole key. The names lock is held.
    pub fn has_room(&self, identity: Identity) -> bool {
        let epoch = self.epoch.load(Ordering::Relaxed);
        let slots = &self.bucket(identity).slots;
        let shares = |slot: &Slot| {
            slot.key.load(Ordering::Relaxed) == identity.key && !slot.is(identity) && slot.is_pending(epoch)
        };
        (self.count.load(Ordering::Relaxed) as usize) < CHANGES_COUNT_MAX
            && !slots.iter().any(shares)
            && slots.iter().any(|slot| slot.is(identity) || !slot.is_pending(epoch))
    }

    /// Marks a name's bucket as in change: lookups of it wait. The names lock is held.
    pub fn begin(&self, identity: Identity) {
        let version = &self.bucket(identity).version;
        version.store(version.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Ends [`Recent::begin`].
    pub fn end(&self, identity: Identity) {
        let version = &self.bucket(identity).version;
        version.store((version.load(Ordering::Relaxed) | 1).wrapping_add(1), Ordering::Release);
    }

    /// Remembers a name, between [`Recent::begin`] and [`Recent::end`]: where it leads, or that it is absent and would go to the
    /// position. A name that is not pending may find no room; it is not remembered then.
    pub fn set(&self, identity: Identity, found: Option<Found>, position: u64, pending: bool) {
        let epoch = self.epoch.load(Ordering::Relaxed);
        let bucket = self.bucket(identity);
        // Names of the same whole key may be after the same position.
        for slot in &bucket.slots {
            if slot.key.load(Ordering::Relaxed) == identity.key && !slot.is(identity) && !slot.is_pending(epoch) {
                slot.found.store(0, Ordering::Relaxed);
            }
        }
        let hand = bucket.hand.load(Ordering::Relaxed);
        let in_turn = (0..SLOTS_PER_BUCKET).map(|step| &bucket.slots[(hand as usize + step) % SLOTS_PER_BUCKET]);
        let own = bucket.slots.iter().find(|slot| slot.is(identity));
        let Some(slot) = own.or_else(|| in_turn.into_iter().find(|slot| !slot.is_pending(epoch))) else { return };
        bucket.hand.store(hand.wrapping_add(1), Ordering::Relaxed);
        slot.key.store(identity.key, Ordering::Relaxed);
        slot.check.store(identity.check, Ordering::Relaxed);
        slot.position.store(position, Ordering::Relaxed);
        slot.pending.store(if pending { epoch.wrapping_add(1) } else { 0 }, Ordering::Relaxed);
        slot.generation.store(found.map_or(0, |found| found.generation), Ordering::Relaxed);
        let word = found.map_or(ABSENT << 56, |found| found.node.0 | (found.kind as u64) << 56);
        slot.found.store(word, Ordering::Relaxed);
    }

    /// How many changes are listed.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Makes a change one of those listed, after [`Recent::write`].
    pub fn set_count(&self, count: u32) {
        self.count.store(count, Ordering::Release);
    }

    /// Writes a change to the place after the last one; it is not listed yet. There is room.
    pub fn write(&self, directory: NodeId, position: u64, name: &[u8], found: Option<Found>) {
        let Some(change) = self.changes.get(self.count() as usize) else { return };
        change.directory.store(directory.0, Ordering::Relaxed);
        change.position.store(position, Ordering::Relaxed);
        change.node.store(found.map_or(0, |found| found.node.0), Ordering::Relaxed);
        change.generation.store(found.map_or(0, |found| found.generation), Ordering::Relaxed);
        change.kind.store(found.map_or(0, |found| found.kind as u32), Ordering::Relaxed);
        change.name_bytes.store(name.len() as u32, Ordering::Relaxed);
        for (place, &byte) in change.name.iter().zip(name) {
            place.store(byte, Ordering::Relaxed);
        }
        change.seal.store(change.seal_of(name), Ordering::Relaxed);
    }

    /// The changes that are listed, in their order.
    pub fn changes(&self) -> &[Change] {
        &self.changes[..(self.count() as usize).min(CHANGES_COUNT_MAX)]
    }

    /// The changes are in the tree: no name is pending any more.
    pub fn forget_changes(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.count.store(0, Ordering::Release);
    }

    /// Whether the memory is what was left in it, and not another file's bytes.
    pub fn is_sound(&self) -> bool {
        self.mark.load(Ordering::Relaxed) == MARK && self.count() as usize <= CHANGES_COUNT_MAX
    }

    /// Begins anew, with no name and no change. Nobody else lives.
    pub fn reset(&self, hash_key: u64) {
        self.set_count(0);
        self.rebuild(hash_key);
        self.mark.store(MARK, Ordering::Release);
    }

    /// Whether a name's bucket is marked as in change.
    pub fn is_in_change(&self, identity: Identity) -> bool {
        !self.version(identity).is_multiple_of(2)
    }

    /// Forgets every name and remembers those of the changes: after an owner of the names lock died, or when the tree was changed
    /// behind the table's back. The names lock is held.
    pub fn rebuild(&self, hash_key: u64) {
        for bucket in &self.buckets {
            bucket.version.store(bucket.version.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        for slot in self.buckets.iter().flat_map(|bucket| &bucket.slots) {
            slot.found.store(0, Ordering::Relaxed);
            slot.pending.store(0, Ordering::Relaxed);
        }
        for change in self.changes().iter().filter(|change| change.is_sound()) {
            let (directory, position, name, found) = change.get();
            self.set(Identity::of(hash_key, directory, &name), found, position, true);
        }
        for bucket in &self.buckets {
            let version = bucket.version.load(Ordering::Relaxed) | 1;
            bucket.version.store(version.wrapping_add(1), Ordering::Release);
        }
    }
}

impl Slot {
    #[inline]
    fn is(&self, identity: Identity) -> bool {
        self.key.load(Ordering::Relaxed) == identity.key
            && self.check.load(Ordering::Relaxed) == identity.check
            && self.found.load(Ordering::Relaxed) != 0
    }

    fn is_pending(&self, epoch: u32) -> bool {
        self.found.load(Ordering::Relaxed) != 0
            && self.pending.load(Ordering::Relaxed) == epoch.wrapping_add(1)
            && epoch.wrapping_add(1) != 0
    }

    #[inline]
    fn recall(&self) -> Option<Recalled> {
        let word = self.found.load(Ordering::Relaxed);
        let position = self.position.load(Ordering::Relaxed);
        let kind = match word >> 56 {
            1 => Kind::File,
            2 => Kind::Directory,
            3 => Kind::Symlink,
            ABSENT => return Some(Recalled::Absent(position)),
            _ => return None,
        };
        let generation = self.generation.load(Ordering::Relaxed);
        Some(Recalled::Found(Found { node: NodeId(word & ((1 << 56) - 1)), generation, kind }, position))
    }
}

impl Change {
    /// The directory, the position, the name, and what it leads to now; `None` for a name that went.
    pub fn get(&self) -> (NodeId, u64, Vec<u8>, Option<Found>) {
        let length = (self.name_bytes.load(Ordering::Relaxed) as usize).min(key::NAME_BYTES_MAX);
        let name = self.name[..length].iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
        let kind = match self.kind.load(Ordering::Relaxed) {
            1 => Some(Kind::File),
            2 => Some(Kind::Directory),
            3 => Some(Kind::Symlink),
            _ => None,
        };
        let found = kind.map(|kind| Found {
            node: NodeId(self.node.load(Ordering::Relaxed)),
            generation: self.generation.load(Ordering::Relaxed),
            kind,
        });
        let directory = NodeId(self.directory.load(Ordering::Relaxed));
        (directory, self.position.load(Ordering::Relaxed), name, found)
    }

    fn seal_of(&self, name: &[u8]) -> u32 {
        let words = [&self.directory, &self.position, &self.node].map(|word| word.load(Ordering::Relaxed));
        let rest =
            u64::from(self.generation.load(Ordering::Relaxed)) << 8 | u64::from(self.kind.load(Ordering::Relaxed));
        let key = words.into_iter().fold(rest, |sum, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        key::hash(key, name) as u32 | 1
    }

    /// Whether the change is as it was written.
    pub fn is_sound(&self) -> bool {
        let (_, _, name, _) = self.get();
        !name.is_empty() && self.seal.load(Ordering::Relaxed) == self.seal_of(&name)
    }

    /// Where the change goes in the tree's order.
    pub fn place(&self) -> (u64, u64) {
        (self.directory.load(Ordering::Relaxed), self.position.load(Ordering::Relaxed))
    }
}
