//! The memory of the open file descriptions: slots that are used again but never given back.
//!
//! A slot's count is the number of descriptors and calls under way that refer to it. A free slot has the `FREE` bit;
//! a call that comes too late may raise the count of a free slot for a moment, sees the bit, and lowers it again:
//! that is why the slots stay mapped for good, and why a bare pointer would not do.
#![allow(unsafe_code)]

use crate::ground::{Errno, Result, threads};
use crate::posix::description::Description;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Slots in one segment.
const SEGMENT_SLOTS_COUNT: usize = 1024;

/// Slots in all: as many as there can be descriptors.
const SEGMENTS_COUNT: usize = super::entries::DESCRIPTORS_COUNT_MAX / SEGMENT_SLOTS_COUNT;

/// Bits of an entry that are the slot's number plus one; above them is its round.
const INDEX_BITS: u32 = 21;

const FREE: u32 = 1 << 31;

/// The place of one open file description.
pub struct Slot {
    count: AtomicU32,
    /// Raised each time the slot is used anew, so that an old entry is not taken for a new one.
    round: AtomicU32,
    next_free: AtomicU32,
    description: UnsafeCell<MaybeUninit<Description>>,
}

// SAFETY: the description is written before the slot is published and dropped by whoever brings the count to zero;
// in between it is shared, and `Description` is `Sync`.
unsafe impl Sync for Slot {}

type Segment = [Slot; SEGMENT_SLOTS_COUNT];

static SEGMENTS: [AtomicPtr<Segment>; SEGMENTS_COUNT] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; SEGMENTS_COUNT];

/// The first free slot plus one (0: none) and a tag against ABA above it.
static FREE_LIST: AtomicU64 = AtomicU64::new(0);

/// The slots that were ever used.
static USED_COUNT: AtomicU32 = AtomicU32::new(0);

fn slot(index: u32) -> Option<&'static Slot> {
    let segment = SEGMENTS.get(index as usize / SEGMENT_SLOTS_COUNT)?.load(Ordering::Acquire);
    // SAFETY: null, or a segment that stays mapped for good.
    unsafe { segment.as_ref() }?.get(index as usize % SEGMENT_SLOTS_COUNT)
}

/// An open file description that this call may use: counted, so that no close can take it away.
pub struct Held {
    slot: &'static Slot,
    index: u32,
}

impl std::ops::Deref for Held {
    type Target = Description;

    #[inline(always)]
    fn deref(&self) -> &Description {
        // SAFETY: counted in `slot.count`, hence initialised and not dropped.
        unsafe { (*self.slot.description.get()).assume_init_ref() }
    }
}

impl Drop for Held {
    #[inline(always)]
    fn drop(&mut self) {
        if threads::add(&self.slot.count, u32::MAX) == 1 {
            retire(self.slot, self.index);
        }
    }
}

impl Held {
    /// The word by which a descriptor's entry refers to this description.
    pub fn entry(&self) -> u32 {
        encode(self.index, self.slot.round.load(Ordering::Relaxed))
    }

    /// Leaves this count to a descriptor's entry.
    pub fn into_entry(self) -> u32 {
        let entry = self.entry();
        std::mem::forget(self);
        entry
    }

    /// Another count of the same description.
    pub fn again(&self) -> Self {
        threads::add(&self.slot.count, 1);
        Self { slot: self.slot, index: self.index }
    }
}

fn encode(index: u32, round: u32) -> u32 {
    // The topmost rounds are left out, so that no entry is a special one.
    let round = round % ((1 << (u32::BITS - INDEX_BITS)) - 1);
    round << INDEX_BITS | (index + 1)
}

/// Takes hold of the description that `entry` refers to; `None` if it is gone.
#[inline(always)]
pub fn hold(entry: u32) -> Option<Held> {
    let index = (entry & ((1 << INDEX_BITS) - 1)).checked_sub(1)?;
    let slot = slot(index)?;
    if threads::add(&slot.count, 1) & FREE != 0 {
        threads::add(&slot.count, u32::MAX);
        return None;
    }
    let held = Held { slot, index };
    (held.entry() == entry).then_some(held)
}

/// Takes over the count that an entry, just taken out of the table, stood for.
pub fn take_over(entry: u32) -> Option<Held> {
    let index = (entry & ((1 << INDEX_BITS) - 1)).checked_sub(1)?;
    Some(Held { slot: slot(index)?, index })
}

/// Gives a description its slot.
///
/// # Errors
/// `ENFILE` when every slot is used, `ENOMEM`.
pub fn place(description: Description) -> Result<Held> {
    let index = match pop_free() {
        Some(index) => index,
        None => fresh()?,
    };
    let slot = slot(index).ok_or(Errno::NFILE)?;
    threads::add(&slot.round, 1);
    // SAFETY: the slot is free and was just taken off the list: nobody else writes it, and nobody reads it before
    // the count below.
    unsafe { (*slot.description.get()).write(description) };
    threads::add(&slot.count, (FREE - 1).wrapping_neg());
    Ok(Held { slot, index })
}

fn pop_free() -> Option<u32> {
    let mut head = FREE_LIST.load(Ordering::Acquire);
    loop {
        let index = (head as u32).checked_sub(1)?;
        let next = slot(index)?.next_free.load(Ordering::Relaxed);
        let new = ((head >> 32) + 1) << 32 | u64::from(next);
        match threads::replace(&FREE_LIST, head, new) {
            Ok(_) => return Some(index),
            Err(current) => head = current,
        }
    }
}

fn push_free(slot: &Slot, index: u32) {
    let mut head = FREE_LIST.load(Ordering::Acquire);
    loop {
        slot.next_free.store(head as u32, Ordering::Relaxed);
        let new = ((head >> 32) + 1) << 32 | u64::from(index + 1);
        match threads::replace(&FREE_LIST, head, new) {
            Ok(_) => return,
            Err(current) => head = current,
        }
    }
}

/// A slot that was never used, its segment mapped if need be.
fn fresh() -> Result<u32> {
    let index = USED_COUNT.fetch_add(1, Ordering::AcqRel);
    let Some(place) = SEGMENTS.get(index as usize / SEGMENT_SLOTS_COUNT) else {
        USED_COUNT.fetch_sub(1, Ordering::AcqRel);
        return Err(Errno::NFILE);
    };
    if place.load(Ordering::Acquire).is_null() {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
        let length = size_of::<Segment>();
        // SAFETY: a fresh private mapping; zeros are a valid `Segment` (atomics, and descriptions not initialised).
        let mapped: *mut Segment = unsafe {
            mmap_anonymous(std::ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?.cast()
        };
        // SAFETY: as above; not shared yet.
        for slot in unsafe { &*mapped } {
            slot.count.store(FREE, Ordering::Relaxed);
        }
        if place.compare_exchange(std::ptr::null_mut(), mapped, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // Another thread was faster; this mapping was never seen.
            // SAFETY: mapped above with this length.
            let _ = unsafe { munmap(mapped.cast(), length) };
        }
    }
    Ok(index)
}

/// The last count is gone: the description ends, unless somebody raised the count of the dead slot for a moment, who
/// then finds it at zero again and ends it himself.
#[cold]
fn retire(slot: &'static Slot, index: u32) {
    if slot.count.compare_exchange(0, FREE, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return;
    }
    // SAFETY: the count was zero and is FREE now: nobody else refers to the description, and nobody can any more.
    unsafe { (*slot.description.get()).assume_init_drop() };
    push_free(slot, index);
}

/// In a fork child of a process with several threads, where the list of the free may have been copied while one of them
/// was changing it: it is made anew from the slots' own words.
pub fn after_fork_in_child() {
    FREE_LIST.store(0, Ordering::Release);
    for index in 0..USED_COUNT.load(Ordering::Acquire) {
        if let Some(slot) = slot(index)
            && slot.count.load(Ordering::Acquire) & FREE != 0
        {
            push_free(slot, index);
        }
    }
}

/// Every description that is open now, one after the other.
pub fn every(mut visit: impl FnMut(Held)) {
    for index in 0..USED_COUNT.load(Ordering::Acquire) {
        let Some(slot) = slot(index) else { continue };
        if slot.count.fetch_add(1, Ordering::AcqRel) & FREE == 0 {
            visit(Held { slot, index });
        } else {
            slot.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
