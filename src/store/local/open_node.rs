//! An open node.
#![allow(unsafe_code)]

use super::complaint::complain;
use super::log::last_image::LastImage;
use super::log::node::Wanted;
use super::object::ObjectFiles;
use super::record::{HAS_OBJECT, Record, TRIM};
use super::store::{SLOT_BYTES, Store};
use crate::ground::buffer::Segment;
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result};
use crate::store::{Allocation, ArrayObject, Attributes, Changes, Found, Kind};
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// In the place of a process: nobody counts it. No process has this number.
const LEFT: u32 = u32::MAX;

/// An open node: counted in its record, with its object files opened at their first use.
pub struct OpenNode {
    pub(super) store: Arc<Store>,
    record: NonNull<Record>,
    pub(super) found: Found,
    read_only: bool,
    /// The process that counted it: a forked child counts for itself when it first uses it.
    process: AtomicU32,
    objects: AtomicPtr<ObjectFiles>,
    last_image: LastImage,
}

// SAFETY: the record is atomics in memory that the store keeps mapped.
unsafe impl Send for OpenNode {}
// SAFETY: as above.
unsafe impl Sync for OpenNode {}

/// A record that cannot be, looked at again while no number is given back or given to another node: whoever looks in the
/// middle of that sees words of both.
///
/// # Errors
/// `EIO`, and a line, for one that cannot be all the same.
#[cold]
fn check_still(store: &Store, record: &Record, found: Found) -> Result<()> {
    let _names = if store.is_frozen() { None } else { Some(store.lock_names()?) };
    let is_it = record.generation.load(Ordering::Acquire) == found.generation && record.kind() == Some(found.kind);
    if is_it && !record.is_plausible() {
        return Err(complain(store, format_args!("the record of node {} cannot be", found.node.0)));
    }
    Ok(())
}

impl OpenNode {
    /// Opens a node that was found.
    ///
    /// # Errors
    /// `ENOENT` if it was unlinked since, unless `even_unlinked`; `ESTALE` then if its number is another node's.
    pub fn open(store: Arc<Store>, found: Found, read_only: bool, even_unlinked: bool) -> Result<Self> {
        store.process().ready(&store)?;
        let gone = if even_unlinked { Errno::STALE } else { Errno::NOENT };
        let record = store.record(found.node.0).ok_or(gone)?;
        if record.kind() == Some(found.kind) && !record.is_plausible() {
            check_still(&store, record, found)?;
        }
        if !store.count_open(record, found, even_unlinked) {
            return Err(gone);
        }
        let record = NonNull::from(record);
        let process = AtomicU32::new(store.process().number());
        let objects = AtomicPtr::new(ptr::null_mut());
        Ok(Self { store, record, found, read_only, process, objects, last_image: LastImage::default() })
    }

    /// What the log was told of it last, by way of this.
    pub fn last_image(&self) -> &LastImage {
        &self.last_image
    }

    /// Its record.
    #[inline(always)]
    pub fn record(&self) -> &Record {
        // SAFETY: mapped for as long as the store, which this holds.
        unsafe { self.record.as_ref() }
    }

    /// Before any use: is this process counted?
    #[inline(always)]
    pub fn attend(&self) -> Result<()> {
        if self.process.load(Ordering::Relaxed) == self.store.process().number() { Ok(()) } else { self.count_anew() }
    }

    #[cold]
    fn count_anew(&self) -> Result<()> {
        self.store.process().ready(&self.store)?;
        let process = self.store.process().number();
        let before = self.process.load(Ordering::Relaxed);
        if before == process {
            return Ok(());
        }
        if !self.store.count_open(self.record(), self.found, true) {
            return Err(Errno::STALE);
        }
        if self.process.compare_exchange(before, process, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // Another thread of ours was first.
            self.store.count_close(self.record(), self.found.node.0);
        }
        Ok(())
    }

    /// Before bytes are read.
    #[inline(always)]
    pub fn attend_file(&self, other: Errno) -> Result<()> {
        match self.found.kind {
            Kind::File => self.attend(),
            Kind::Directory => Err(Errno::ISDIR),
            Kind::Symlink => Err(other),
        }
    }

    /// Before anything is changed.
    #[inline(always)]
    pub fn attend_change(&self) -> Result<()> {
        if self.read_only || self.store.is_frozen() { Err(Errno::ROFS) } else { self.attend() }
    }

    /// Before bytes are changed.
    #[inline(always)]
    pub fn attend_write(&self) -> Result<()> {
        match self.found.kind {
            Kind::File => self.attend_change(),
            Kind::Directory => Err(Errno::ISDIR),
            Kind::Symlink => Err(Errno::BADF),
        }
    }

    /// The object files.
    #[inline]
    pub fn objects(&self) -> &ObjectFiles {
        let objects = self.objects.load(Ordering::Acquire);
        if objects.is_null() {
            return self.make_objects();
        }
        // SAFETY: set once, freed with this.
        unsafe { &*objects }
    }

    #[cold]
    fn make_objects(&self) -> &ObjectFiles {
        let _quiet = Quiet::enter();
        let generation = self.found.generation;
        let objects = Box::new(ObjectFiles::new(&self.store, self.found.node.0, generation, self.record()));
        let objects = Box::into_raw(objects);
        let exchanged = self.objects.compare_exchange(ptr::null_mut(), objects, Ordering::AcqRel, Ordering::Acquire);
        match exchanged {
            // SAFETY: ours, and from now on kept until this is dropped.
            Ok(_) => unsafe { &*objects },
            Err(other) => {
                // SAFETY: nobody has seen ours; the other is kept until this is dropped.
                unsafe {
                    drop(Box::from_raw(objects));
                    &*other
                }
            }
        }
    }

    /// The inline slot's memory, `SLOT_BYTES` of it; null where there is none.
    #[inline]
    pub fn slot(&self) -> Result<*mut u8> {
        match self.record().slot.load(Ordering::Acquire) {
            0 => Ok(ptr::null_mut()),
            // Slot 0 is nobody's.
            slot if slot == 1
                || u64::from(slot) > self.store.header().allocation_lock.slots.next.load(Ordering::Relaxed) =>
            {
                let node = self.found.node.0;
                Err(complain(&self.store, format_args!("file {node} has slot {}, which there is not", slot - 1)))
            }
            slot => self.store.slots().at(u64::from(slot - 1) * SLOT_BYTES),
        }
    }

    /// Waits until a layout change that is under way is over, or its author is found dead.
    #[cold]
    pub fn wait_for_layout(&self) -> Result<()> {
        self.lock().map(drop)
    }

    /// Whether a tidying takes bytes away that a record on stable storage may lead to.
    fn gives_up_bytes(&self) -> bool {
        let record = self.record();
        if record.slot.load(Ordering::Relaxed) != 0 || !self.store.is_promised(record) {
            return true;
        }
        let size = record.extent().size();
        let is_longer = |(target, file): &(u32, BorrowedFd<'_>)| {
            let stat = rustix::fs::fstat(*file);
            stat.is_ok_and(|stat| stat.st_size.cast_unsigned() > self.objects().placement.target_end(*target, size))
        };
        self.objects().existing(&self.store).is_ok_and(|files| files.iter().any(is_longer))
    }

    /// After a change of bytes or size, whatever came of it.
    #[inline(always)]
    fn then_follow<T>(&self, answer: Result<T>) -> Result<T> {
        self.store.follow_slot(self);
        answer
    }

    /// At the last close: a slot that was left for object files goes back, and space beyond the size.
    fn tidy(&self) {
        let record = self.record();
        let has_rest = || record.slot.load(Ordering::Relaxed) != 0 || record.has(TRIM);
        if !record.has(HAS_OBJECT) || !has_rest() || self.store.open_count(record) != 1 {
            return;
        }
        let extent = record.extent();
        // A node without a name goes with all that it has.
        let goes = record.links.load(Ordering::Relaxed) == 0;
        if goes || self.gives_up_bytes() && self.store.sync_before_giving_up(self).is_err() {
            return;
        }
        let Ok(guard) = self.lock() else { return };
        // We alone: whoever opens it from now on sees that there is an object, and never looks at the slot.
        if self.store.open_count(record) == 1 && record.has(HAS_OBJECT) && record.extent() == extent {
            // An error leaves space to the next last close, or to fsck.
            let _ = self.store.give_back_slot(self.found.node.0, record);
            if record.has(TRIM) && self.trim(&guard).is_ok() {
                record.flags.fetch_and(!TRIM, Ordering::AcqRel);
            }
        }
    }
}

impl Drop for OpenNode {
    fn drop(&mut self) {
        let process = self.process.load(Ordering::Relaxed);
        let counted = process == self.store.process().number();
        if counted && self.found.kind == Kind::File && !self.store.is_frozen() {
            self.tidy();
        }
        let objects = self.objects.swap(ptr::null_mut(), Ordering::AcqRel);
        if !objects.is_null() {
            let _quiet = Quiet::enter();
            // SAFETY: from `make_objects`, and nobody uses this any more.
            drop(unsafe { Box::from_raw(objects) });
        }
        // What a parent counted is the parent's to take back.
        if counted {
            self.store.count_close(self.record(), self.found.node.0);
        }
    }
}

impl ArrayObject for OpenNode {
    fn found(&self) -> Found {
        self.found
    }

    fn size_bytes(&self) -> Result<u64> {
        if self.found.kind == Kind::Directory {
            return self.attributes().map(|attributes| attributes.size_bytes);
        }
        Ok(self.record().extent().size())
    }

    fn attributes(&self) -> Result<Attributes> {
        self.attend()?;
        self.store.attributes_of(self.record(), self.found)
    }

    fn change(&self, changes: &Changes) -> Result<()> {
        self.attend_change()?;
        super::attributes::apply(self.record(), changes);
        Ok(())
    }

    fn read_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.read(offset, segments)
    }

    fn write_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.then_follow(self.store.with_reclaim(|| self.write(offset, segments)))
    }

    fn append(&self, segments: &[Segment]) -> Result<(u64, usize)> {
        self.then_follow(self.store.with_reclaim(|| self.write_at_end(segments)))
    }

    fn set_size(&self, size_bytes: u64) -> Result<()> {
        self.then_follow(self.store.with_reclaim(|| self.resize(size_bytes)))
    }

    fn allocate(&self, how: Allocation, offset: u64, length: u64) -> Result<()> {
        self.then_follow(self.store.with_reclaim(|| self.reserve(how, offset, length)))
    }

    fn seek_data(&self, offset: u64) -> Result<u64> {
        self.next_data(offset)
    }

    fn seek_hole(&self, offset: u64) -> Result<u64> {
        self.next_hole(offset)
    }

    fn counts(&self) -> bool {
        self.process.load(Ordering::Relaxed) == self.store.process().number()
    }

    fn leave(&self) {
        let process = self.store.process().number();
        let counted = self.process.compare_exchange(process, LEFT, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if counted && process != 0 {
            self.store.count_close(self.record(), self.found.node.0);
        }
    }

    fn sync(&self) -> Result<()> {
        self.attend()?;
        self.store.sync_node(self, Wanted::All)
    }

    fn sync_data(&self) -> Result<()> {
        self.attend()?;
        self.store.sync_node(self, Wanted::Bytes)
    }
}
