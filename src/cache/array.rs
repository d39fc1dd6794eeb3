//! An open file with the cache before it: the calls, and the fast way of those that need not ask anybody.

use super::ahead::POLL_BYTES;
use super::container::Shared;
use super::file::CachedFile;
use super::frame::{AHEAD, REFERENCED};
use super::opening::Opening;
use super::statistics::COUNTERS;
use crate::ground::buffer::{Segment, total_bytes};
use crate::ground::deep_stack::run_quiet;
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result, causality, diagnostics};
use crate::store::{Allocation, ArrayObject, Attributes, Changes, Found, RemoteArray};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What comes first on a new description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Its open, which is to be confirmed.
    Open,
    /// That, and a read.
    Read,
    /// Nothing: it was handed over as it is.
    Adopted,
}

/// One open file description of a cached file.
pub struct CachedArray {
    file: Arc<CachedFile>,
    opening: Arc<Opening>,
    /// Its own opening of the array, for what concerns no bytes.
    remote: Arc<dyn RemoteArray>,
}

impl CachedArray {
    /// Puts the cache before an array that was just opened. What was known of the file is forgotten, but for bytes that
    /// are not in the store yet. A short file that will be read is asked for its bytes.
    ///
    /// # Errors
    /// `EIO` where a lock is not to be had.
    pub fn new(shared: &Arc<Shared>, remote: Arc<dyn RemoteArray>, first: First) -> Result<Self> {
        let heard = causality::heard();
        let opening = Arc::new(Opening::new(false));
        let file = shared.enter(remote.clone())?;
        let array = Self { file, opening, remote };
        let quiet = Quiet::enter();
        {
            let mut state = array.file.lock(&quiet)?;
            array.file.begin_anew(&mut state, heard);
            state.has_begun_anew = false;
            state.openings.push(array.opening.clone());
            if first == First::Read && state.openings.len() == 1 && !array.file.shared.is_strict(&array.opening) {
                array.file.begin_first(&mut state);
            }
        }
        Ok(array)
    }

    /// What is cached of the file is as of that value of what was heard.
    pub fn note_proved(&self, heard: u64) {
        self.file.note_proved(heard);
    }

    /// Copies from the cache what `segment` asks for, all of it or nothing.
    #[inline(always)]
    fn read_hit(&self, offset: u64, segment: &Segment) -> bool {
        let file = &*self.file;
        let index = file.index_of(offset);
        let from = offset - file.start_of(index);
        if from + segment.len() as u64 > u64::from(file.block_bytes) {
            return false;
        }
        let Some(frame) = file.hints.get(index) else { return false };
        let marks = frame.marks.load(Ordering::Relaxed);
        if marks & AHEAD != 0 || !frame.read(file.id, index, from as u32, segment) {
            return false;
        }
        if marks & REFERENCED == 0 {
            frame.marks.fetch_or(REFERENCED, Ordering::Relaxed);
        }
        true
    }

    /// Serves a read from the cache; `None` if it can't.
    #[inline(always)]
    fn read_fast(&self, offset: u64, segments: &[Segment]) -> Option<usize> {
        let (file, opening) = (&*self.file, &*self.opening);
        if file.shared.is_strict(opening) || !file.is_proved() {
            return None;
        }
        let [segment] = segments else { return self.read_fast_many(offset, segments) };
        let mut segment = *segment;
        if let Some(end) = file.end() {
            let left = end.saturating_sub(offset);
            if left < segment.len() as u64 {
                // The end of the file is met: it must not have been learnt too long ago.
                if !file.is_end_fresh() {
                    return None;
                }
                segment = segment.part(0, left as usize);
            }
        }
        let length = segment.len();
        if length == 0 {
            return Some(0);
        }
        if file.transfers.load(Ordering::Relaxed) != 0 {
            let left = opening.until_poll.load(Ordering::Relaxed) - length as i64;
            opening.until_poll.store(if left < 0 { POLL_BYTES } else { left }, Ordering::Relaxed);
            if left < 0 {
                return None;
            }
        }
        if !self.read_hit(offset, &segment) {
            return None;
        }
        opening.next.store(offset + length as u64, Ordering::Relaxed);
        opening.hits.add(1);
        Some(length)
    }

    /// The same for a read of several segments that lie all before the end of the file.
    fn read_fast_many(&self, offset: u64, segments: &[Segment]) -> Option<usize> {
        let length = total_bytes(segments);
        if self.file.end().is_some_and(|end| end < offset + length as u64) {
            return None;
        }
        let mut at = offset;
        for segment in segments.iter().filter(|segment| !segment.is_empty()) {
            if !self.read_hit(at, segment) {
                return None;
            }
            at += segment.len() as u64;
        }
        self.opening.next.store(at, Ordering::Relaxed);
        self.opening.hits.add(1);
        Some(length)
    }

    /// Takes a write into the block that is being gathered; `None` if that is not so simple.
    #[inline(always)]
    fn write_fast(&self, offset: u64, segments: &[Segment]) -> Option<Result<usize>> {
        let (file, opening) = (&*self.file, &*self.opening);
        let [segment] = segments else { return None };
        let length = segment.len();
        let index = file.index_of(offset);
        let from = offset - file.start_of(index);
        let is_inside = length as u64 + from <= u64::from(file.block_bytes);
        // A whole block goes past the cache.
        let is_small = length != 0 && length < file.block_bytes as usize;
        if !is_inside || !is_small || opening.has_failed() || file.shared.is_strict(opening) {
            return None;
        }
        let frame = file.hints.get(index)?;
        let (from, to) = (from as u32, from as u32 + length as u32);
        if !frame.dirty.join(from, to) {
            return None;
        }
        // From here on the frame does not change hands; but it may have done so before.
        if !frame.is_of(file.id, index) || to > frame.room.load(Ordering::Relaxed) {
            frame.dirty.leave();
            return None;
        }
        let copied = frame.write(from, segment);
        // Before the bytes count as dirty: whoever stores them all then takes the note back.
        opening.note_write();
        let Some(seen) = frame.dirty.publish(from, to) else {
            return Some(file.publish_late(opening, frame, index, from, to).and(copied.map(|()| length)));
        };
        opening.note_write();
        file.note_written(offset + length as u64);
        opening.writes.add(1);
        if seen.start() == 0 && seen.end() == file.block_bytes {
            file.send_full(index);
        }
        Some(copied.map(|()| length))
    }

    /// Writes back for this description: what went wrong is told by the answer.
    fn store(&self) -> Result<()> {
        let file = &*self.file;
        let is_clean = file.dirty_blocks.load(Ordering::Acquire) == 0 && file.transfers.load(Ordering::Acquire) == 0;
        let stored = if is_clean {
            Ok(())
        } else {
            run_quiet(|| {
                let quiet = Quiet::enter();
                let mut state = file.lock(&quiet)?;
                if file.has_unstored(&state) { file.write_back(&mut state, Some(&self.opening)) } else { Ok(()) }
            })
        };
        // An error from before is told too, once, in one answer with this one.
        let before = self.opening.take_failure();
        stored.and(before)
    }

    fn tell_counts(&self) {
        COUNTERS.hits.add(self.opening.hits.take());
        COUNTERS.gathered_writes.add(self.opening.writes.take());
    }
}

impl ArrayObject for CachedArray {
    fn found(&self) -> Found {
        self.file.found
    }

    fn size_bytes(&self) -> Result<u64> {
        let file = &*self.file;
        let is_strict = file.shared.is_strict(&self.opening);
        if let Some(end) = file.end().filter(|_| !is_strict && file.is_end_fresh() && file.is_proved()) {
            return Ok(end);
        }
        run_quiet(|| {
            let quiet = Quiet::enter();
            let mut state = file.lock(&quiet)?;
            if !is_strict && !file.is_proved() {
                file.prove(&mut state)?;
                return Ok(file.end().unwrap_or(0));
            }
            let end = self.remote.size_bytes()?;
            file.meet_end(&mut state, end);
            Ok(file.end().unwrap_or(end))
        })
    }

    fn attributes(&self) -> Result<Attributes> {
        let mut attributes = run_quiet(|| self.remote.attributes())?;
        self.file.compare(&attributes);
        self.file.lay_over(&mut attributes);
        Ok(attributes)
    }

    fn change(&self, changes: &Changes) -> Result<()> {
        run_quiet(|| {
            self.file.before_change(changes);
            self.remote.change(changes)
        })
    }

    #[inline]
    fn read_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        match self.read_fast(offset, segments) {
            Some(read) => Ok(read),
            None => run_quiet(|| self.file.read(&self.opening, offset, segments)),
        }
    }

    #[inline]
    fn write_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        match self.write_fast(offset, segments) {
            Some(written) => written,
            None => run_quiet(|| self.file.write(&self.opening, offset, segments)),
        }
    }

    fn append(&self, segments: &[Segment]) -> Result<(u64, usize)> {
        if self.file.shared.is_causal() && causality::has_unstored() {
            // Others may wait for this very record, which is about to be in the store.
            super::release();
        }
        run_quiet(|| self.file.append(&self.opening, segments))
    }

    fn set_size(&self, size_bytes: u64) -> Result<()> {
        run_quiet(|| self.file.set_size(size_bytes))
    }

    fn allocate(&self, how: Allocation, offset: u64, length: u64) -> Result<()> {
        run_quiet(|| self.file.allocate(&self.opening, how, offset, length))
    }

    fn seek_data(&self, offset: u64) -> Result<u64> {
        run_quiet(|| self.file.seek(&self.opening, || self.remote.seek_data(offset)))
    }

    fn seek_hole(&self, offset: u64) -> Result<u64> {
        run_quiet(|| self.file.seek(&self.opening, || self.remote.seek_hole(offset)))
    }

    fn sync(&self) -> Result<()> {
        let stored = self.store();
        run_quiet(|| {
            let synced = self.remote.sync();
            let quiet = Quiet::enter();
            let mut state = self.file.lock(&quiet)?;
            if self.file.shared.is_causal() {
                self.file.unprove();
            } else {
                self.file.drop_clean(&mut state);
                self.file.forget_end(&mut state);
            }
            stored.and(synced)
        })
    }

    fn size_at_hand(&self) -> Option<u64> {
        let file = &*self.file;
        let end = file.end()?;
        (!file.shared.is_strict(&self.opening) && file.is_end_fresh() && file.is_proved()).then_some(end)
    }

    fn flush(&self) -> Result<()> {
        self.store()
    }

    fn set_strict(&self, is_strict: bool) {
        self.opening.set_strict(is_strict);
        if is_strict {
            let quiet = Quiet::enter();
            if let Ok(mut state) = self.file.lock(&quiet)
                && self.file.has_unstored(&state)
            {
                let _ = self.file.write_back(&mut state, None);
            }
        }
    }

    fn ticket(&self, room: &mut [u8]) -> Result<usize> {
        self.remote.ticket(room)
    }
}

impl Drop for CachedArray {
    fn drop(&mut self) {
        self.tell_counts();
        run_quiet(|| self.leave());
    }
}

impl CachedArray {
    /// Stores what is left, and lets the file go.
    fn leave(&self) {
        let quiet = Quiet::enter();
        let file = &self.file;
        let mut failure = Ok(());
        if let Ok(mut state) = file.lock_again(&quiet) {
            // What `flush` told as failed is not tried again behind the program's back.
            if file.has_unstored(&state) && !state.has_failed {
                failure = file.write_back(&mut state, Some(&self.opening));
            }
            state.openings.retain(|opening| !Arc::ptr_eq(opening, &self.opening));
        }
        failure = failure.and(self.opening.take_failure());
        if let Err(errno) = failure {
            say_failed(file, errno);
        }
        if file.shared.leave(file)
            && let Ok(mut state) = file.lock_again(&quiet)
        {
            let lost = file.discard(&mut state);
            if lost != 0 {
                let node = file.found.node.0;
                diagnostics::say(&format!("{lost} bytes written to the file with inode {node} are lost: not stored"));
            }
        }
    }
}

fn say_failed(file: &CachedFile, errno: Errno) {
    let node = file.found.node.0;
    diagnostics::say(&format!("writing to the file with inode {node} failed, and nobody asked: {errno}"));
}
