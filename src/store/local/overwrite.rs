//! A file's bytes, overwritten so that a kill leaves the old ones or the new ones: see [`super::intents`].

use super::intents::{Entrance, IMAGE_BYTES, Intent, Place};
use super::open_node::OpenNode;
use super::store::RecordGuard;
use crate::ground::buffer::Segment;
use crate::ground::{Result, kernel};
use std::sync::atomic::Ordering;

/// Looks at a lane before it is asked whether its writer lives: a copy takes some 100 ns.
const SPINS: u32 = 100;

/// Times that a writer gives way to the one before it, at first at once, then for longer: some 5 ms together.
const YIELDS: u32 = 60;
const YIELDS_AT_ONCE: u32 = 40;
const PAUSE_MICROSECONDS: u32 = 200;

/// With so many lanes taken there is none for the next writer.
const LANES_ENOUGH: usize = 3;

impl OpenNode {
    /// Whether a write has to be kept from being torn.
    #[inline(always)]
    pub fn is_overwrite(offset: u64, length: usize, size: u64) -> bool {
        length <= IMAGE_BYTES && offset < size && length > 1
    }

    fn place(&self, offset: u64, length: usize) -> Place<'_> {
        let found = self.found;
        Place { record: self.record(), node: found.node.0, generation: found.generation, offset, length }
    }

    /// Does `write` with an image of the segments; `None` where other writers stay in the way, and the record's lock is what
    /// helps.
    #[inline]
    pub fn write_by_intent(
        &self,
        guard: Option<&RecordGuard<'_>>,
        offset: u64,
        length: usize,
        segments: &[Segment],
        write: impl Fn(&[Segment]) -> Result<usize>,
    ) -> Result<Option<usize>> {
        let intents = self.store.intents();
        let me = self.store.process().owner();
        let place = self.place(offset, length);
        let mut has_waited = false;
        loop {
            match intents.enter(me, place, segments, guard.is_some())? {
                Entrance::Entered(ticket) => {
                    let Some(image) = intents.bytes(&ticket, length) else { return write(segments).map(Some) };
                    let written = write(&[image]);
                    intents.leave(ticket, self.record());
                    return written.map(Some);
                }
                Entrance::Occupied if !has_waited => {
                    self.make_way(guard, offset, offset + length as u64)?;
                    has_waited = true;
                }
                Entrance::Occupied if guard.is_none() => return Ok(None),
                Entrance::Occupied => return write(segments).map(Some),
                Entrance::Unable => {
                    self.store.sweep_intents();
                    return write(segments).map(Some);
                }
            }
        }
    }

    /// Before bytes are written past intents: those of others there are done, one way or the other.
    #[inline]
    pub fn clear_the_way(&self, guard: Option<&RecordGuard<'_>>, from: u64, to: u64) -> Result<()> {
        if self.record().intents().load(Ordering::Acquire) == 0 { Ok(()) } else { self.make_way(guard, from, to) }
    }

    #[cold]
    fn make_way(&self, guard: Option<&RecordGuard<'_>>, from: u64, to: u64) -> Result<()> {
        for round in 0..YIELDS {
            self.settle(guard, from, to)?;
            // None of this range, and a lane to spare.
            let is_clear = !self.intents_now().any(|intent| intent.overlaps(from, to));
            if is_clear && self.intents_now().count() < LANES_ENOUGH {
                return Ok(());
            }
            if round < YIELDS_AT_ONCE {
                rustix::thread::sched_yield();
            } else {
                kernel::sleep(PAUSE_MICROSECONDS);
            }
        }
        for intent in self.intents_now() {
            if intent.overlaps(from, to) {
                self.store.intents().overtake(self.record(), intent);
            }
        }
        Ok(())
    }

    fn intents_now(&self) -> impl Iterator<Item = Intent> {
        self.store.intents().of(self.record(), self.found.node.0, self.found.generation)
    }

    /// Finishes what the dead were writing to a range, and to any where the lanes are full. True if there was something.
    ///
    /// # Errors
    /// As pwrite(2), and when the lock cannot be had.
    #[cold]
    pub fn settle(&self, guard: Option<&RecordGuard<'_>>, from: u64, to: u64) -> Result<bool> {
        let record = self.record();
        for _ in 0..SPINS {
            if record.intents().load(Ordering::Acquire) == 0 {
                return Ok(false);
            }
            std::hint::spin_loop();
        }
        let _quiet = crate::ground::guard::Quiet::enter();
        let is_full = self.intents_now().count() >= LANES_ENOUGH;
        let process = self.store.process();
        let is_dead = |intent: &Intent| process.is_dead(&self.store, intent.owner);
        let dead = || self.intents_now().filter(|intent| is_full || intent.overlaps(from, to)).filter(is_dead);
        if dead().next().is_none() {
            return Ok(false);
        }
        let mut has_finished = false;
        let own = if guard.is_none() { Some(self.store.lock_record(record)?) } else { None };
        for intent in dead() {
            // One that can't be done, on a full disk or a damaged file, leaves the bytes as they are.
            if self.store.finish_intent(record, self.objects(), intent).is_ok() {
                has_finished = true;
            }
        }
        drop(own);
        Ok(has_finished)
    }

    /// The record's lock, with what the dead left in it finished.
    ///
    /// # Errors
    /// When this process's part cannot be made.
    pub fn lock(&self) -> Result<RecordGuard<'_>> {
        let guard = self.store.lock_record(self.record())?;
        if self.record().intents().load(Ordering::Acquire) != 0 {
            self.settle(Some(&guard), 0, u64::MAX)?;
        }
        Ok(guard)
    }
}
