//! The log on stable storage: one flush serves all who were waiting for it.

use super::super::layout::{self, NAMES, TARGETS};
use super::super::store::Store;
use super::super::store_directory::Refusal;
use super::append::LOG_SEGMENT_BYTES;
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result};
use rustix::fs::OFlags;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

impl Store {
    /// Waits until all of the log is on stable storage that was in it before. Frees nothing: see [`Store::drain`].
    ///
    /// # Errors
    /// As msync(2).
    pub fn sync_log(&self) -> Result<()> {
        self.sync_log_to(self.header().log.end.load(Ordering::Acquire))
    }

    /// As [`Store::sync_log`], of what is before a position.
    ///
    /// # Errors
    /// As there.
    pub fn sync_log_to(&self, wanted: u64) -> Result<()> {
        let state = &self.header().log;
        loop {
            if !state.is_on() || state.stable.load(Ordering::Acquire) >= wanted {
                return Ok(());
            }
            let _quiet = Quiet::enter();
            let process = self.process();
            process.ready(self)?;
            state.lock.acquire(process.owner(), &|owner| process.is_dead(self, owner));
            let is_switching = state.switching.load(Ordering::Acquire) != 0;
            let synced = match is_switching || state.stable.load(Ordering::Acquire) >= wanted {
                true => Ok(()),
                false => self.flush_log(),
            };
            state.lock.release();
            synced?;
            if is_switching {
                // Its author died; the heir of the names lock does it again.
                drop(self.lock_names()?);
            }
        }
    }

    /// Flushes the log. Its lock is held.
    fn flush_log(&self) -> Result<()> {
        let state = &self.header().log;
        if state.anchored.load(Ordering::Acquire) == 0 {
            self.anchor()?;
        }
        // In this order: what was condemned lost its name by an entry before.
        let condemned = state.condemned.load(Ordering::Acquire);
        let end = state.end.load(Ordering::Acquire);
        let start = state.start.load(Ordering::Relaxed);
        let mut from = state.stable.load(Ordering::Relaxed).max(start) - start;
        if self.settle_log_at(end.saturating_sub(start))? {
            from = end.saturating_sub(start);
        }
        while from < end.saturating_sub(start) {
            let segment_end = (from + 1).next_multiple_of(LOG_SEGMENT_BYTES as u64);
            let to = segment_end.min(end - start);
            self.log().sync_range(self.log().at(from)?, (to - from) as usize)?;
            from = to;
        }
        state.condemned_stable.fetch_max(condemned, Ordering::AcqRel);
        state.stable.fetch_max(end, Ordering::AcqRel);
        Ok(())
    }

    /// Makes the store's own directories and files stable, once: they were made without waiting for it.
    fn anchor(&self) -> Result<()> {
        for name in layout::FILES {
            match self.directory().open(name, OFlags::RDONLY) {
                Ok(file) => rustix::fs::fsync(file.as_fd())?,
                Err(Refusal::Host(Errno::NOENT)) => {}
                Err(refusal) => return Err(refusal.errno()),
            }
        }
        let sync = |path: &str| self.directory().sync_directory(path).map_err(Refusal::errno);
        for target in 0..self.header().targets.load(Ordering::Relaxed) {
            sync(&format!("{TARGETS}/{target}"))?;
        }
        [TARGETS, NAMES, "."].into_iter().try_for_each(sync)?;
        // The directory above may be closed to us: then it is not we who made the store's.
        self.directory().sync_above()?;
        self.header().log.anchored.store(1, Ordering::Release);
        self.sync_header()
    }

    /// Does `work`, and once more after freeing what waits for a sync if there was no space.
    ///
    /// # Errors
    /// What `work` answers.
    #[inline]
    pub fn with_reclaim<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(Errno::NOSPC | Errno::DQUOT) if self.reclaim() => work(),
            answer => answer,
        }
    }

    /// Syncs the log and frees what waited for that. False if nothing did.
    #[cold]
    pub fn reclaim(&self) -> bool {
        let state = &self.header().log;
        let waits = state.condemned.load(Ordering::Acquire) != state.drained.load(Ordering::Acquire);
        waits && !self.is_frozen() && self.sync_log().and_then(|()| self.drain()).is_ok()
    }
}
