//! Who has a node open: the living by a count in its record, what is in the air between processes by a lock that the
//! kernel counts.
//!
//! An opener counts first and then looks at the links; who removes the last name stores the links first and then looks
//! at the count. Both sequentially consistent: one of them sees the other.

use super::key::{Key, KeyOf};
use super::layout::LIVE;
use super::process::HELD_BYTE;
use super::record::{CONDEMNED, HELD, ORPHAN, Record};
use super::store::Store;
use super::store_directory::Refusal;
use crate::ground::kernel::{self, Low, RangeLock};
use crate::ground::{Errno, Result};
use crate::store::{Found, Kind};
use rustix::fs::OFlags;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

impl Store {
    /// Counts an open. True if the node is the one that was found, and has a name or `even_unlinked` is set.
    pub fn count_open(&self, record: &Record, found: Found, even_unlinked: bool) -> bool {
        if self.is_frozen() {
            return record.generation.load(Ordering::Acquire) == found.generation && record.kind() == Some(found.kind);
        }
        let epoch = u64::from(self.header().epoch.load(Ordering::Acquire)) << 32;
        let _ = record.opens.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |opens| {
            Some(if opens >> 32 << 32 == epoch { opens + 1 } else { epoch + 1 })
        });
        let is_it = record.generation.load(Ordering::SeqCst) == found.generation
            && record.kind() == Some(found.kind)
            && (even_unlinked || record.links.load(Ordering::SeqCst) != 0);
        if !is_it {
            self.count_close(record, found.node.0);
        }
        is_it
    }

    /// Takes an open back. The last one of an unlinked node frees it.
    pub fn count_close(&self, record: &Record, node: u64) {
        if self.is_frozen() {
            return;
        }
        let epoch = u64::from(self.header().epoch.load(Ordering::Acquire)) << 32;
        let before = record.opens.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |opens| {
            (opens >> 32 << 32 == epoch && opens as u32 != 0).then(|| opens - 1)
        });
        if before.is_ok_and(|before| before as u32 != 1) {
            return;
        }
        if record.links.load(Ordering::SeqCst) == 0 && record.kind().is_some() {
            // With an error the orphan stays listed, and the next lone opening frees it.
            if let Ok(_names) = self.lock_names() {
                let _ = self.release(node);
            }
        }
    }

    /// How many of the living have it open.
    pub fn open_count(&self, record: &Record) -> u32 {
        let opens = record.opens.load(Ordering::SeqCst);
        let epoch = self.header().epoch.load(Ordering::Acquire);
        if (opens >> 32) as u32 == epoch { opens as u32 } else { 0 }
    }

    /// Whether somebody has it open, or holds it.
    pub fn is_kept(&self, record: &Record, node: u64) -> bool {
        self.open_count(record) != 0 || self.is_held(record, node)
    }

    fn is_held(&self, record: &Record, node: u64) -> bool {
        // Not known is held: better a leak than a file gone from under somebody.
        let live = kernel::borrow(self.process().live());
        record.has(HELD) && kernel::is_range_locked(live, HELD_BYTE + node, 1).unwrap_or(true)
    }

    /// Looks after a node that may have lost its last name: freed if nobody has it open, listed as an orphan otherwise.
    /// The names lock is held.
    ///
    /// # Errors
    /// `ENOSPC`, `EIO`: then the node is kept, and found again by fsck.
    pub fn release(&self, node: u64) -> Result<()> {
        let Some(record) = self.record(node) else { return Ok(()) };
        let is_done = record.kind().is_none() || record.links.load(Ordering::SeqCst) != 0 || record.has(CONDEMNED);
        if is_done {
            return Ok(());
        }
        let orphans = &self.header().orphans;
        if self.is_kept(record, node) {
            if !record.has(ORPHAN) {
                let generation = record.generation.load(Ordering::Relaxed);
                let mut writing = self.process().tree()?.write()?;
                writing.put(&Key::of_orphan(node), &generation.to_le_bytes())?;
                writing.commit()?;
                record.flags.fetch_or(ORPHAN, Ordering::AcqRel);
                orphans.fetch_add(1, Ordering::Relaxed);
            }
            return Ok(());
        }
        if record.has(ORPHAN) {
            let mut writing = self.process().tree()?.write()?;
            writing.delete(&Key::of_orphan(node))?;
            match record.kind() {
                Some(Kind::Symlink) => writing.delete(&Key::of_symlink(node))?,
                Some(Kind::Directory) => writing.delete(&Key::of_directory(node))?,
                Some(Kind::File) | None => {}
            }
            writing.commit()?;
            record.flags.fetch_and(!ORPHAN, Ordering::AcqRel);
            orphans.fetch_sub(1, Ordering::Relaxed);
        }
        if self.may_return(record) {
            self.condemn(node, record);
        } else {
            self.free_node(node);
        }
        Ok(())
    }

    /// A descriptor whose open file description keeps nodes alive.
    ///
    /// # Errors
    /// `EMFILE`, `EIO`.
    pub fn hold(&self, found: &[Found]) -> Result<Low> {
        let live = self.directory().open(LIVE, OFlags::RDONLY).map_err(Refusal::errno)?;
        if self.is_frozen() {
            return Ok(live);
        }
        // In a row the kernel makes one lock of them, where it would look through all of them for each.
        let mut nodes: Vec<u64> = found.iter().map(|found| found.node.0).collect();
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            let Some(record) = self.record(node) else { continue };
            // The mark first: who frees looks at the lock only where it is set.
            record.flags.fetch_or(HELD, Ordering::SeqCst);
            if !kernel::lock_range(live.as_fd(), RangeLock::Read, HELD_BYTE + node, 1)? {
                return Err(Errno::IO);
            }
        }
        Ok(live)
    }

    /// Looks after orphans, if there are any, on the way in.
    ///
    /// # Errors
    /// As [`Store::sweep_orphans`].
    pub fn sweep_if_any(&self) -> Result<()> {
        if self.header().orphans.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let _names = self.lock_names()?;
        self.sweep_orphans()
    }

    /// Frees the orphans that nobody has any more: left by the killed, or by the last holder of a handed-over one.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn sweep_orphans(&self) -> Result<()> {
        let mut after = 0;
        let mut kept = 0;
        loop {
            // One at a time, each found anew: freeing changes the tree.
            let next = self.with_reader(|look| {
                let Some((key, value)) = look.seek(&Key::of_orphan(after))? else { return Ok(None) };
                let KeyOf::Orphan(node) = KeyOf::parse(key) else { return Ok(None) };
                Ok(Some((node, value.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)))))
            })?;
            let Some((node, generation)) = next else { break };
            after = node + 1;
            let record = self.record(node).filter(|record| {
                generation == Some(record.generation.load(Ordering::Relaxed))
                    && record.links.load(Ordering::Relaxed) == 0
                    && record.kind().is_some()
            });
            match record {
                Some(record) if self.is_kept(record, node) => {
                    record.flags.fetch_or(ORPHAN, Ordering::AcqRel);
                    kept += 1;
                }
                Some(record) => {
                    record.flags.fetch_or(ORPHAN, Ordering::AcqRel);
                    self.release(node)?;
                }
                None => {
                    let mut writing = self.process().tree()?.write()?;
                    writing.delete(&Key::of_orphan(node))?;
                    writing.commit()?;
                }
            }
        }
        self.header().orphans.store(kept, Ordering::Relaxed);
        Ok(())
    }
}
