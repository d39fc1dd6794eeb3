//! Short overwrites, each of which a kill leaves undone or done.
//!
//! A copy into mapped memory that is killed half way would leave half of it. So a write of up to a page over bytes that are
//! there goes by way of an *intent*, in a file that all processes of the store map:
//!
//! 1. The writer takes an entry, copies the application's bytes to the entry's image, and notes which node they go to and
//!    where.
//! 2. It puts the entry's number into one of the record's lanes. From here on the write is going to be done.
//! 3. It copies the image to its place, clears the lane, and gives the entry back.
//!
//! Whoever reads or writes bytes that an intent in a lane covers, and finds its writer dead, does step 3 in its stead, under the
//! record's lock. Who opens the store alone does it for all. So nobody sees the bytes half changed once the writer is gone.
//!
//! A lane is also what makes writers of the same bytes go one after another: the later one waits. Not for ever: a signal handler
//! may stand above the writer that it waits for, or a jump out of one may have left a lane that nobody clears. After some
//! milliseconds a waiting writer clears the lane itself, so that old bytes never come over its own.
#![allow(unsafe_code)]

use super::layout::INTENTS;
use super::object::ObjectFiles;
use super::record::{Extent, HAS_OBJECT, Record, SLOT_BLANK};
use super::shared_file::SharedFile;
use super::store::{SLOT_BYTES, Store};
use super::store_directory::{Refusal, StoreDirectory};
use crate::ground::buffer::Segment;
use crate::ground::{Errno, Result, file_size_limit, kernel};
use crate::store::Kind;
use rustix::fs::OFlags;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Bytes that an intent holds at most: what the kernel changes at once.
pub const IMAGE_BYTES: usize = 4096;

/// Writers that can be between steps 1 and 3 at once; one more writes without an intent.
const ENTRIES_COUNT: usize = 64;

/// Where the images begin: after the entries, a cache line each.
const IMAGES_AT: usize = 4096;

/// Bytes of the file.
pub const INTENTS_BYTES: usize = IMAGES_AT + ENTRIES_COUNT * IMAGE_BYTES;

/// Lanes of a record, 16 bits each. The last is for whoever holds the record's lock.
const LANES_COUNT: u32 = 4;
const LANE_BITS: u32 = 16;

/// One intent.
#[repr(C, align(64))]
struct Entry {
    /// The owner word of its writer's session; 0 for a free entry.
    owner: AtomicU32,
    generation: AtomicU32,
    node: AtomicU64,
    offset: AtomicU64,
    length: AtomicU64,
}

const _: () = assert!(size_of::<Entry>() * ENTRIES_COUNT <= IMAGES_AT);

/// What an intent is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    lane: u32,
    index: usize,
    /// Its writer.
    pub owner: u32,
    /// Where its bytes go.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
}

impl Intent {
    /// Whether it covers some of the bytes from `from` to `to`.
    pub fn overlaps(&self, from: u64, to: u64) -> bool {
        self.offset < to && from < self.offset.saturating_add(self.length)
    }
}

/// Answers of [`Intents::enter`].
pub enum Entrance {
    /// The intent is in a lane: go on with its image.
    Entered(Ticket),
    /// Other intents are in the way; wait, and look who they are.
    Occupied,
    /// There is no entry left.
    Unable,
}

/// An intent of this process, in a lane. To be given back by [`Intents::leave`].
pub struct Ticket {
    lane: u32,
    index: usize,
}

/// The file of intents, made and mapped at the first need.
pub struct Intents {
    file: SharedFile,
    directory: StoreDirectory,
    /// It can't be made, as on a full disk: writes go without.
    is_refused: AtomicBool,
}

impl Intents {
    /// Of a store that is written to.
    pub fn new(directory: StoreDirectory) -> Self {
        let file = SharedFile::new(directory, INTENTS, INTENTS_BYTES, 1, true);
        Self { file, directory, is_refused: AtomicBool::new(false) }
    }

    #[inline]
    fn base(&self) -> Option<*mut u8> {
        match self.file.mapped() {
            Some(base) => Some(base),
            None => self.make(),
        }
    }

    #[cold]
    fn make(&self) -> Option<*mut u8> {
        if self.is_refused.load(Ordering::Relaxed) {
            return None;
        }
        let made = self.directory.open(INTENTS, OFlags::RDWR | OFlags::CREATE).and_then(|file| {
            let has = rustix::fs::fstat(file.as_fd()).map_err(Refusal::Host)?.st_size;
            if has >= INTENTS_BYTES as i64 {
                return Ok(());
            }
            let length = INTENTS_BYTES as u64;
            file_size_limit::without(|| kernel::allocate(file.as_fd(), 0, length)).map_err(Refusal::Host)
        });
        let base = made.ok().and_then(|()| self.file.at(0).ok());
        self.is_refused.store(base.is_none(), Ordering::Relaxed);
        base
    }

    fn entry(base: *mut u8, index: usize) -> &'static Entry {
        let entry: *const Entry = base.cast();
        // SAFETY: one of the entries at the file's begin, which stays mapped for as long as the store; all of it atomics.
        unsafe { &*entry.wrapping_add(index % ENTRIES_COUNT) }
    }

    fn image(base: *mut u8, index: usize) -> *mut u8 {
        base.wrapping_add(IMAGES_AT + index % ENTRIES_COUNT * IMAGE_BYTES)
    }

    /// Steps 1 and 2 for `me`. The record is `node`'s. Whoever holds its lock says so.
    ///
    /// # Errors
    /// `EFAULT` for memory of the application's that is not there.
    #[inline]
    pub fn enter(&self, me: u32, place: Place<'_>, segments: &[Segment], has_lock: bool) -> Result<Entrance> {
        let Some(base) = self.base() else { return Ok(Entrance::Unable) };
        let lanes = place.record.intents();
        let seen = lanes.load(Ordering::Acquire);
        if seen != 0 && self.any_overlaps(base, seen, place) {
            return Ok(Entrance::Occupied);
        }
        let Some(index) = claim(base, me) else { return Ok(Entrance::Unable) };
        let (entry, image) = (Self::entry(base, index), Self::image(base, index));
        let mut at = 0;
        for segment in segments {
            let part = segment.part(0, place.length - at);
            // SAFETY: inside the image, which is ours while the entry is.
            let copied = unsafe { part.copy_to(image.wrapping_add(at)) };
            if let Err(errno) = copied {
                entry.owner.store(0, Ordering::Release);
                return Err(errno);
            }
            at += part.len();
        }
        entry.generation.store(place.generation, Ordering::Relaxed);
        entry.node.store(place.node, Ordering::Relaxed);
        entry.offset.store(place.offset, Ordering::Relaxed);
        entry.length.store(place.length as u64, Ordering::Relaxed);
        let mut word = seen;
        loop {
            let free = |&lane: &u32| word >> (lane * LANE_BITS) & 0xffff == 0;
            let usable = if has_lock { LANES_COUNT } else { LANES_COUNT - 1 };
            let lane = (0..usable).find(free).filter(|_| word == seen || !self.any_overlaps(base, word, place));
            let Some(lane) = lane else {
                entry.owner.store(0, Ordering::Release);
                return Ok(Entrance::Occupied);
            };
            let with = word | (index as u64 + 1) << (lane * LANE_BITS);
            match lanes.compare_exchange_weak(word, with, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(Entrance::Entered(Ticket { lane, index })),
                Err(other) => word = other,
            }
        }
    }

    /// The image of an intent.
    #[inline]
    pub fn bytes(&self, ticket: &Ticket, length: usize) -> Option<Segment> {
        let base = self.file.mapped()?;
        // SAFETY: the image is mapped, and longer than any intent.
        unsafe { Segment::new(Self::image(base, ticket.index), length.min(IMAGE_BYTES)) }.ok()
    }

    /// The end of step 3.
    #[inline]
    pub fn leave(&self, ticket: Ticket, record: &Record) {
        clear_lane(record, ticket.lane, ticket.index);
        if let Some(base) = self.file.mapped() {
            Self::entry(base, ticket.index).owner.store(0, Ordering::Release);
        }
    }

    fn any_overlaps(&self, base: *mut u8, word: u64, place: Place<'_>) -> bool {
        let (from, to) = (place.offset, place.offset + place.length as u64);
        in_lanes(word).any(|(lane, index)| {
            read(base, lane, index, place.node, place.generation).is_none_or(|intent| intent.overlaps(from, to))
        })
    }

    /// The intents in a record's lanes. A lane that leads to none of this node is cleared.
    pub fn of(&self, record: &Record, node: u64, generation: u32) -> impl Iterator<Item = Intent> + use<> {
        let mut intents = [None; LANES_COUNT as usize];
        if let Some(base) = self.base() {
            for (lane, index) in in_lanes(record.intents().load(Ordering::Acquire)) {
                let intent = read(base, lane, index, node, generation);
                if intent.is_none() {
                    clear_lane(record, lane, index);
                }
                intents[lane as usize] = intent;
            }
        }
        intents.into_iter().flatten()
    }

    /// Takes an intent out of its lane without doing it.
    pub fn overtake(&self, record: &Record, intent: Intent) {
        clear_lane(record, intent.lane, intent.index);
    }

    /// Does what the dead did not finish. The record's lock is held, or nobody else lives.
    fn finish(&self, store: &Store, record: &Record, objects: &ObjectFiles, intent: Intent) -> Result<()> {
        let base = self.base().ok_or(Errno::IO)?;
        let word = record.intents().load(Ordering::Acquire);
        if word >> (intent.lane * LANE_BITS) & 0xffff != intent.index as u64 + 1 {
            return Ok(());
        }
        let length = (intent.length as usize).min(IMAGE_BYTES);
        // SAFETY: the image is mapped, and its writer is dead.
        let image = unsafe { Segment::new(Self::image(base, intent.index), length) }?;
        apply(store, record, objects, intent.offset, image)?;
        clear_lane(record, intent.lane, intent.index);
        Self::entry(base, intent.index).owner.store(0, Ordering::Release);
        Ok(())
    }
}

/// Which bytes of which node.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The node's record.
    pub record: &'a Record,
    /// Its number.
    pub node: u64,
    /// Which of those that had the number.
    pub generation: u32,
    /// Where the bytes begin.
    pub offset: u64,
    /// How many they are, [`IMAGE_BYTES`] at most.
    pub length: usize,
}

/// The lanes that are taken, with their entries.
fn in_lanes(word: u64) -> impl Iterator<Item = (u32, usize)> {
    (0..LANES_COUNT).filter_map(move |lane| {
        let index = (word >> (lane * LANE_BITS) & 0xffff) as usize;
        (index != 0).then(|| (lane, index - 1))
    })
}

fn clear_lane(record: &Record, lane: u32, index: usize) {
    let lanes = record.intents();
    let own = (index as u64 + 1) << (lane * LANE_BITS);
    let mask = 0xffff << (lane * LANE_BITS);
    let _ =
        lanes.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| (word & mask == own).then_some(word & !mask));
}

/// An entry that is an intent for the node.
fn read(base: *mut u8, lane: u32, index: usize, node: u64, generation: u32) -> Option<Intent> {
    if index >= ENTRIES_COUNT {
        return None;
    }
    let entry = Intents::entry(base, index);
    let intent = Intent {
        lane,
        index,
        owner: entry.owner.load(Ordering::Acquire),
        offset: entry.offset.load(Ordering::Relaxed),
        length: entry.length.load(Ordering::Relaxed),
    };
    let is_ours = intent.owner != 0
        && entry.node.load(Ordering::Relaxed) == node
        && entry.generation.load(Ordering::Relaxed) == generation
        && intent.length <= IMAGE_BYTES as u64
        && intent.offset <= super::record::SIZE_BYTES_MAX;
    is_ours.then_some(intent)
}

/// Takes a free entry, the same one as the last time where it can be had: its image is in this processor's cache.
#[inline]
fn claim(base: *mut u8, me: u32) -> Option<usize> {
    let start = me.wrapping_mul(0x9e37_79b9) as usize >> 20;
    (0..ENTRIES_COUNT).map(|step| (start + step) % ENTRIES_COUNT).find(|&index| {
        let owner = &Intents::entry(base, index).owner;
        owner.load(Ordering::Relaxed) == 0
            && owner.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
    })
}

/// Puts an image in its place.
fn apply(store: &Store, record: &Record, objects: &ObjectFiles, offset: u64, image: Segment) -> Result<()> {
    let end = offset + image.len() as u64;
    if record.has(HAS_OBJECT) {
        record.dirty_end.fetch_max(end, Ordering::AcqRel);
        // By system calls: nothing is known of what has its space.
        if objects.write(store, offset, image.len(), &[image], 0)? < image.len() {
            return Err(Errno::NOSPC);
        }
    } else {
        let slot = u64::from(record.slot.load(Ordering::Acquire));
        let next = store.header().allocation_lock.slots.next.load(Ordering::Relaxed);
        if slot < 2 || slot > next || end > SLOT_BYTES {
            // The layout that it needs was not there yet, so nothing of it was written.
            return Ok(());
        }
        record.flags.fetch_and(!SLOT_BLANK, Ordering::AcqRel);
        let start = store.slots().at((slot - 1) * SLOT_BYTES)?;
        // SAFETY: inside the slot, which has its space.
        unsafe { image.copy_to(start.wrapping_add(offset as usize)) }?;
    }
    let _ = record.extent.fetch_update(Ordering::SeqCst, Ordering::Acquire, |word| {
        (Extent(word).size() < end).then(|| Extent(word).with_size(end).0)
    });
    record.touch_modified(kernel::now());
    Ok(())
}

impl Store {
    /// Finishes an intent whose writer is dead. The record's lock is held.
    ///
    /// # Errors
    /// As pwrite(2).
    pub fn finish_intent(&self, record: &Record, objects: &ObjectFiles, intent: Intent) -> Result<()> {
        self.intents().finish(self, record, objects, intent)
    }

    /// Frees the entries of the dead that are in no lane. Those of the living, and those still to be finished, stay.
    pub fn sweep_intents(&self) {
        let Some(base) = self.intents().base() else { return };
        for index in 0..ENTRIES_COUNT {
            let entry = Intents::entry(base, index);
            let owner = entry.owner.load(Ordering::Acquire);
            if owner != 0 && self.process().is_dead(self, owner) && !self.is_in_lane(entry, index) {
                let _ = entry.owner.compare_exchange(owner, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    fn is_in_lane(&self, entry: &Entry, index: usize) -> bool {
        self.record(entry.node.load(Ordering::Relaxed)).is_some_and(|record| {
            record.kind() == Some(Kind::File)
                && record.generation.load(Ordering::Relaxed) == entry.generation.load(Ordering::Relaxed)
                && in_lanes(record.intents().load(Ordering::Acquire)).any(|(_, in_lane)| in_lane == index)
        })
    }

    /// Finishes all intents, or forgets them where they may be torn themselves. Nobody else lives.
    ///
    /// # Errors
    /// As pwrite(2).
    pub fn recover_intents(&self, are_whole: bool) -> Result<()> {
        match self.directory().stat(INTENTS) {
            Ok(stat) if stat.st_size >= INTENTS_BYTES as i64 => {}
            // Cut off, or not there: it is made when it is needed, and a lane that leads to nothing is cleared then.
            _ => return Ok(()),
        }
        let Some(base) = self.intents().base() else { return Ok(()) };
        for index in 0..ENTRIES_COUNT {
            let entry = Intents::entry(base, index);
            if entry.owner.load(Ordering::Acquire) == 0 {
                continue;
            }
            let (node, generation) = (entry.node.load(Ordering::Relaxed), entry.generation.load(Ordering::Relaxed));
            if are_whole
                && self.is_in_lane(entry, index)
                && let Some(record) = self.record(node).filter(|record| record.links.load(Ordering::Relaxed) != 0)
            {
                let objects = ObjectFiles::new(self, node, generation, record);
                let intents = self.intents().of(record, node, generation);
                for intent in intents.filter(|intent| intent.index == index) {
                    // One that can't be done, on a full disk or a damaged file, leaves the bytes as they are.
                    let _ = self.finish_intent(record, &objects, intent);
                }
            }
            entry.owner.store(0, Ordering::Release);
        }
        Ok(())
    }
}
