//! What small files have in their slots, in the log: a sync of one is a flush of the log alone.
//!
//! 1. A sync puts the slot's bytes into the entry, beside the image, and marks the record: the log has what was promised,
//!    and the slot need not be on stable storage. A recovery fills the slot from the last image, if that has the bytes.
//! 2. From then on each change goes to the log as well, without waiting, so that it survives as other changes do once the
//!    kernel has written it back: see [`Store::follow_slot`].
//! 3. A file that is changed often and not synced would fill the log. After some changes the slot itself is synced, and an
//!    image without bytes says that it is to be trusted again. The next sync begins at 1.
//! 4. A sync of the whole store syncs all slots, and says so in an entry of its own.
//! 5. After a move to objects the bytes were synced there, and after a checkpoint all slots were: nobody asks the log.

use super::super::image::Image;
use super::super::open_node::OpenNode;
use super::super::record::{FLAGS_OF_THE_LOG, HAS_OBJECT, SLOT_CHANGE, SLOT_CHANGES, SLOT_LOGGED};
use super::super::store::{SLOT_BYTES, Store};
use super::entry::Logged;
use crate::ground::Result;
use crate::ground::deep_stack::run_quiet;
use std::sync::atomic::Ordering;

impl Store {
    /// After a change of a file's bytes or size: if the log has the bytes that were synced, it gets these too.
    #[inline(always)]
    pub fn follow_slot(&self, node: &OpenNode) {
        let flags = node.record().flags.load(Ordering::Acquire);
        if flags & (SLOT_LOGGED | HAS_OBJECT) == SLOT_LOGGED {
            self.follow(node);
        }
    }

    #[cold]
    fn follow(&self, node: &OpenNode) {
        let followed = run_quiet(|| self.log_change(node));
        if !followed.unwrap_or(false) {
            // An error leaves to a cut of power what was changed since the sync, and nothing else.
            let _ = run_quiet(|| self.trust_slot(node));
        }
    }

    /// Logs the slot's bytes once more. False where the log has had enough of them.
    fn log_change(&self, node: &OpenNode) -> Result<bool> {
        let record = node.record();
        let _record = self.lock_record(record)?;
        let _names = self.lock_names()?;
        let flags = record.flags.load(Ordering::Acquire);
        if flags & SLOT_LOGGED == 0 || flags & HAS_OBJECT != 0 {
            return Ok(true);
        }
        if flags & SLOT_CHANGES == SLOT_CHANGES {
            return Ok(false);
        }
        self.make_log_room(false)?;
        record.synced.fetch_add(1, Ordering::AcqRel);
        self.log_with_slot(node, &Image::of(record), (flags & SLOT_CHANGES) + SLOT_CHANGE)?;
        Ok(true)
    }

    /// Logs an image, and what the node has in its slot, if anything. The names lock is held, and there is room. `changes` is
    /// how many of them the log has since the sync, as the record counts them.
    ///
    /// # Errors
    /// As [`Store::write_entry`].
    pub fn log_with_slot(&self, node: &OpenNode, image: &Image, changes: u32) -> Result<()> {
        let record = node.record();
        let size = image.size().min(SLOT_BYTES) as usize;
        let slot = if image.has_slot_bytes() && size != 0 { node.slot()? } else { std::ptr::null_mut() };
        let marks = if slot.is_null() { 0 } else { SLOT_LOGGED | changes };
        // First: whoever has changed the bytes sees the mark, or is in this copy.
        let _ = record
            .flags
            .fetch_update(Ordering::SeqCst, Ordering::Acquire, |flags| Some(flags & !FLAGS_OF_THE_LOG | marks));
        let place = u64::from(record.slot.load(Ordering::Acquire)).saturating_sub(1) * SLOT_BYTES;
        // After the image: all bytes below its size are there.
        let bytes = if slot.is_null() { Vec::new() } else { self.slots().copy_out(place, size)? };
        self.write_entry(&[], Logged { image: Some((node.found.node.0, *image)), slot: &bytes, ..Logged::default() })?;
        self.publish_entry();
        Ok(())
    }

    /// Syncs a slot, and logs that its bytes are there and nowhere else. False where somebody else logged them meanwhile, or
    /// they are in objects.
    ///
    /// # Errors
    /// As msync(2); as [`Store::make_log_room`].
    pub fn trust_slot(&self, node: &OpenNode) -> Result<bool> {
        let record = node.record();
        let synced = record.synced.load(Ordering::Acquire);
        let slot = node.slot()?;
        if !slot.is_null() {
            self.slots().sync_range(slot, SLOT_BYTES as usize)?;
        }
        let _record = self.lock_record(record)?;
        let _names = self.lock_names()?;
        // Freeing: on a full disk a sync needs the log's last bytes, and this is short.
        self.make_log_room(true)?;
        if record.synced.load(Ordering::Acquire) != synced || record.has(HAS_OBJECT) {
            return Ok(false);
        }
        record.synced.fetch_add(1, Ordering::AcqRel);
        let logged = Logged { image: Some((node.found.node.0, Image::of(record))), ..Logged::default() };
        self.write_entry(&[], logged)?;
        self.publish_entry();
        record.flags.fetch_and(!FLAGS_OF_THE_LOG, Ordering::AcqRel);
        Ok(true)
    }

    /// Syncs all slots, and logs that what the log has of them until now is there.
    ///
    /// # Errors
    /// As [`Store::trust_slot`].
    pub fn trust_all_slots(&self) -> Result<()> {
        let position = self.header().log.end.load(Ordering::Acquire);
        self.slots().sync()?;
        let _names = self.lock_names()?;
        self.make_log_room(true)?;
        self.write_entry(&[], Logged { slots_synced: Some(position), ..Logged::default() })?;
        self.publish_entry();
        Ok(())
    }
}
