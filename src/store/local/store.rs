//! A store as this process has it open: its shared memory, and this process's part.
#![allow(unsafe_code)]

use super::header::Header;
use super::intents::Intents;
use super::layout::{self, LOG, Layout, NODES, SLOTS};
use super::log::append::{LOG_SEGMENT_BYTES, LOG_SEGMENTS_COUNT};
use super::log::host::{self, Known};
use super::process::Process;
use super::recent::Recent;
use super::record::{RECORD_BYTES, Record};
use super::recover::Recovery;
use super::shared_file::SharedFile;
use super::store_directory::StoreDirectory;
use super::{OpenError, registry};
use crate::ground::guard::Quiet;
use crate::ground::mounts::MountOptions;
use crate::ground::{Errno, Result};
use crate::store::{Kind, NodeId};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The root directory's number.
pub const ROOT: u64 = 1;

/// Bytes of an inline slot: files up to this size need no object.
pub const SLOT_BYTES: u64 = 4096;

const NODES_SEGMENT_BYTES: usize = 8 << 20;
const SLOTS_SEGMENT_BYTES: usize = 64 << 20;
/// Segments of each: 268 million nodes, 256 GiB of slots.
const SEGMENTS_COUNT: usize = 4096;

/// Nodes that a store can have.
pub const NODES_COUNT_MAX: u64 = (NODES_SEGMENT_BYTES * SEGMENTS_COUNT / RECORD_BYTES) as u64;

/// An open store.
pub struct Store {
    // Dropped first: it closes what lives in the directory.
    process: Process,
    nodes: SharedFile,
    slots: SharedFile,
    log: SharedFile,
    intents: Intents,
    layout: Layout,
    key: registry::StoreKey,
    may_recover: bool,
    one_flush: Known,
}

// SAFETY: the header is mapped for as long as the store lives, and all of it that changes is atomics.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Opens the store in `directory`, making it if there is none. One store is open once in a process, however often
    /// it is asked for: LMDB wants it so.
    ///
    /// # Errors
    /// As [`OpenError`] has them.
    pub fn open(directory: &Path, options: &MountOptions) -> std::result::Result<Arc<Self>, OpenError> {
        Self::open_as(directory, options, true)
    }

    /// As [`Store::open`]; without `may_recover` a store that is to be recovered is refused.
    ///
    /// # Errors
    /// As there.
    pub fn open_as(
        directory: &Path,
        options: &MountOptions,
        may_recover: bool,
    ) -> std::result::Result<Arc<Self>, OpenError> {
        let _quiet = Quiet::enter();
        let layout = layout::open(directory, options)?;
        let host = |errno| layout::host_error(directory, directory, "opening", errno);
        let key = registry::key_of(layout.root.as_fd()).map_err(host)?;
        registry::open(key, || {
            let writable = !layout.frozen;
            let root = layout.directory;
            let process = Process::new().map_err(host)?;
            let nodes = SharedFile::new(root, NODES, NODES_SEGMENT_BYTES, SEGMENTS_COUNT, writable);
            let slots = SharedFile::new(root, SLOTS, SLOTS_SEGMENT_BYTES, SEGMENTS_COUNT, writable);
            let log = SharedFile::new(root, LOG, LOG_SEGMENT_BYTES, LOG_SEGMENTS_COUNT, writable);
            let intents = Intents::new(root);
            let one_flush = Known::default();
            let store = Self { process, nodes, slots, log, intents, layout, key, may_recover, one_flush };
            store.process.make(&store)?;
            if store.record(ROOT).is_none_or(|root| root.kind() != Some(Kind::Directory)) {
                let what = "it has no root directory".to_owned();
                return Err(OpenError::Damaged { directory: directory.to_owned(), what });
            }
            Ok(store)
        })
    }

    /// What all of its processes share.
    #[inline(always)]
    pub fn header(&self) -> &Header {
        // SAFETY: mapped for as long as the layout lives.
        unsafe { self.layout.header.as_ref() }
    }

    /// The names used or changed last.
    #[inline(always)]
    pub fn recent(&self) -> &Recent {
        // SAFETY: mapped for as long as the layout lives, and all of it atomics.
        unsafe { self.layout.recent.as_ref() }
    }

    /// This process's part.
    #[inline(always)]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Whether its files are as long as the header says.
    ///
    /// # Errors
    /// [`OpenError::Damaged`].
    pub fn check_lengths(&self) -> std::result::Result<(), OpenError> {
        self.layout.check_lengths()
    }

    /// Its directory on the host.
    pub fn path(&self) -> &Path {
        &self.layout.path
    }

    /// Its directory on the host, for whoever opens what is in it.
    #[inline]
    pub fn directory(&self) -> StoreDirectory {
        self.layout.directory
    }

    /// Whether the host's file system is read-only.
    #[inline]
    pub fn is_frozen(&self) -> bool {
        self.layout.frozen
    }

    /// The inode table's file.
    pub fn nodes(&self) -> &SharedFile {
        &self.nodes
    }

    /// The slots' file.
    pub fn slots(&self) -> &SharedFile {
        &self.slots
    }

    /// The log's file.
    pub fn log(&self) -> &SharedFile {
        &self.log
    }

    /// Whether one flush of the host's file system is for all of its files, once somebody has asked.
    pub fn one_flush(&self) -> &Known {
        &self.one_flush
    }

    /// The short overwrites that are under way.
    #[inline(always)]
    pub fn intents(&self) -> &Intents {
        &self.intents
    }

    /// A node's record, free or not; `None` for a number that was never used, or that cannot be mapped.
    #[inline]
    pub fn record(&self, node: u64) -> Option<&Record> {
        if node == 0 || node >= self.header().names_lock.nodes.next.load(Ordering::Acquire) {
            return None;
        }
        self.record_unchecked(node)
    }

    /// A record whose space is allocated, as its caller knows.
    #[inline]
    pub fn record_unchecked(&self, node: u64) -> Option<&Record> {
        let start: *mut Record = self.nodes.at(node * RECORD_BYTES as u64).ok()?.cast();
        // SAFETY: inside the table, aligned by its number, mapped for as long as the store lives; all of it atomics.
        unsafe { start.as_ref() }
    }

    /// The record of a node that lives.
    ///
    /// # Errors
    /// `ESTALE` for one that is gone.
    #[inline]
    pub fn live_record(&self, node: NodeId) -> Result<(&Record, Kind)> {
        let record = self.record(node.0).ok_or(Errno::STALE)?;
        Ok((record, record.kind().ok_or(Errno::STALE)?))
    }

    /// A record under its own lock, for changes of its layout and for appends.
    ///
    /// # Errors
    /// When this process's part cannot be made.
    pub fn lock_record<'a>(&'a self, record: &'a Record) -> Result<RecordGuard<'a>> {
        let quiet = Quiet::enter();
        self.process.ready(self)?;
        // A mark of change on a lock that nobody has is a dead owner's as well: the lock's own may be gone with the lone
        // opening after, or the word is not as anybody left it.
        record.lock.acquire(self.process.owner(), &|owner| self.process.is_dead(self, owner));
        let sequence = record.sequence.load(Ordering::Relaxed);
        if sequence % 2 == 1 {
            // Every step of a layout change leaves the record whole: only the mark remains to be taken away.
            record.sequence.store(sequence.wrapping_add(1), Ordering::Release);
        }
        Ok(RecordGuard { record, _quiet: quiet })
    }

    /// Waits until the header is on stable storage.
    ///
    /// # Errors
    /// As msync(2).
    pub fn sync_header(&self) -> Result<()> {
        let start = self.layout.header.as_ptr().cast();
        // SAFETY: the header's own mapping.
        unsafe { rustix::mm::msync(start, super::header::HEADER_BYTES, rustix::mm::MsyncFlags::SYNC) }
    }

    /// Whether it may be recovered, and converted, by whoever opens it here.
    pub fn may_recover(&self) -> bool {
        self.may_recover
    }

    /// Puts the store right; called by whoever found that nobody else lives. `recovery` was begun if it was needed.
    ///
    /// # Errors
    /// What recovering and repairing answer.
    pub fn settle_alone(&self, recovery: Option<Recovery>) -> Result<()> {
        match recovery {
            Some(recovery) => recovery.finish(self)?,
            None => self.recover_alone()?,
        }
        if self.may_recover { self.settle_log() } else { Ok(()) }
    }

    /// Puts right what the dead left; called by whoever found that nobody else lives.
    ///
    /// # Errors
    /// What repairing answers.
    fn recover_alone(&self) -> Result<()> {
        let header = self.header();
        header.epoch.fetch_add(1, Ordering::AcqRel);
        if header.names_lock.nodes.next.load(Ordering::Acquire) == ROOT {
            header.boot.store(host::boot_number(), Ordering::Relaxed);
            self.recent().reset(header.hash_key.load(Ordering::Relaxed));
            return self.make_root();
        }
        if !self.recent().is_sound() {
            self.recent().reset(header.hash_key.load(Ordering::Relaxed));
        }
        let boot = host::boot_number();
        // After another run of the kernel the images may be older than the lanes that lead to them.
        self.recover_intents(header.boot.load(Ordering::Relaxed) == boot)?;
        let journal = &header.names_lock.journal;
        let is_amiss = header.names_lock.lock.owner() != 0
            || !journal.is_idle()
            || header.log.checkpointing.load(Ordering::Relaxed) != 0
            || header.boot.load(Ordering::Relaxed) != boot;
        if is_amiss {
            self.recover_names()?;
            header.boot.store(boot, Ordering::Relaxed);
        }
        self.recover_allocation()?;
        header.names_lock.lock.reset();
        header.allocation_lock.lock.reset();
        header.log.lock.reset();
        if self.record(ROOT).is_none_or(|root| root.kind().is_none()) {
            // Whoever made the store was killed while it made the root, whose number was given back.
            return self.make_root();
        }
        self.sweep_orphans()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // First: whoever opens it anew must not meet LMDB's locks of this one when they go.
        self.process.close();
        registry::forget(self.key);
    }
}

/// A record's lock, held.
pub struct RecordGuard<'a> {
    record: &'a Record,
    // Dropped after the lock is given back.
    _quiet: Quiet,
}

impl RecordGuard<'_> {
    /// Changes the layout: lock-free readers and writers that overlap with `change` do their work again.
    pub fn change_layout<T>(&self, change: impl FnOnce() -> T) -> T {
        let sequence = &self.record.sequence;
        let before = sequence.load(Ordering::Relaxed);
        sequence.store(before.wrapping_add(1), Ordering::Relaxed);
        // Against a writer's last look: it sees the mark, or we see its size. See `write`.
        std::sync::atomic::fence(Ordering::SeqCst);
        let answer = change();
        sequence.store(before.wrapping_add(2), Ordering::Release);
        answer
    }
}

impl Drop for RecordGuard<'_> {
    fn drop(&mut self) {
        self.record.lock.release();
    }
}
