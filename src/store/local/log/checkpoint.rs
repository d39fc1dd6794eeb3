//! A new checkpoint, and a log that begins anew.

use super::super::key::{self, Key, KeyOf};
use super::super::layout::{CHECKPOINTS, LOG};
use super::super::store::Store;
use super::super::store_directory::Refusal;
use super::append::{LOG_BYTES_MAX, LOG_SEGMENT_BYTES};
use super::checkpoint_file::CheckpointWriter;
use super::entry::NameThere;
use super::{host, state::LogState};
use crate::ground::Result;
use crate::ground::guard::Quiet;
use crate::ground::kernel::Low;
use crate::store::Kind;
use rustix::fs::OFlags;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// A log is this long at least before a checkpoint is written: 300,000 changes. One that is written for each doubling of
/// the names costs a change less than the change itself does.
const LOG_BYTES_MIN: u64 = 64 << 20;

/// Between the end of a log and the position of the next one: no entry of the old one has a place in the new one.
const GAP_BYTES: u64 = 64;

impl Store {
    /// The checkpoint file whose turn is next.
    ///
    /// # Errors
    /// As open(2).
    pub fn open_spare_checkpoint(&self) -> Result<Low> {
        let spare = 1 - self.header().log.current.load(Ordering::Relaxed) % 2;
        let flags = OFlags::RDWR | OFlags::CREATE;
        self.directory().open(CHECKPOINTS[spare as usize], flags).map_err(Refusal::errno)
    }

    /// Writes all names to the checkpoint file whose turn is next, and begins a new log. The names lock is held, and its
    /// owner has begun nothing; or nobody else lives. With an error the log goes on.
    ///
    /// # Errors
    /// `ENOSPC`; as fdatasync(2).
    pub fn checkpoint(&self) -> Result<()> {
        self.checkpoint_as(true)
    }

    /// As [`Store::checkpoint`]; waits for stable storage only with `durably`.
    ///
    /// # Errors
    /// As there.
    pub fn checkpoint_as(&self, durably: bool) -> Result<()> {
        let state = &self.header().log;
        state.checkpointing.store(1, Ordering::Release);
        let written = self.write_checkpoint(durably);
        if let Ok((position, bytes)) = written {
            self.begin_log_at(position, bytes);
        }
        state.checkpointing.store(0, Ordering::Release);
        written.map(drop)
    }

    /// Returns the new log's position and the checkpoint's bytes.
    fn write_checkpoint(&self, durably: bool) -> Result<(u64, u64)> {
        let state = &self.header().log;
        self.flush_recent()?;
        let ends = [&state.start, &state.end].map(|word| word.load(Ordering::Relaxed));
        let position = ends[0].max(ends[1]).next_multiple_of(8) + GAP_BYTES;
        let file = self.open_spare_checkpoint()?;
        let mut writer = CheckpointWriter::new(file.as_fd());
        self.with_reader(|look| {
            let mut at = look.seek(&Key::of_entry(0, 0, b""))?;
            while let Some((key, value)) = at {
                let KeyOf::Entry { directory, position, name } = KeyOf::parse(key) else { break };
                // What is damaged is for fsck to tell: the names that are not have to be kept.
                if let Some(found) = key::parse_entry_value(value) {
                    let target = match found.kind {
                        Kind::Symlink => look.get(&Key::of_symlink(found.node.0))?.unwrap_or_default(),
                        Kind::File | Kind::Directory => b"",
                    };
                    writer.put(&NameThere { directory, position, name, found: Some(found), target })?;
                }
                at = look.next()?;
            }
            Ok(())
        })?;
        // The images in the log go with it, and the bytes: the records and slots must be what they say, or newer.
        if durably {
            self.slots().sync()?;
            self.nodes().sync()?;
        }
        let id = self.header().id.load(Ordering::Relaxed);
        let bytes = writer.finish(id, position, durably)?;
        Ok((position, bytes))
    }

    fn begin_log_at(&self, position: u64, checkpoint_bytes: u64) {
        let _quiet = Quiet::enter();
        let (state, process) = (&self.header().log, self.process());
        state.lock.acquire(process.owner(), &|owner| process.is_dead(self, owner));
        state.switching.store(1, Ordering::Release);
        let current = 1 - state.current.load(Ordering::Relaxed) % 2;
        state.current.store(current, Ordering::Relaxed);
        state.start.store(position, Ordering::Relaxed);
        state.end.store(position, Ordering::Relaxed);
        state.next_end.store(0, Ordering::Relaxed);
        state.stable.store(position, Ordering::Release);
        state.condemned_stable.store(state.condemned.load(Ordering::Relaxed), Ordering::Release);
        state.names_bytes.store(checkpoint_bytes, Ordering::Relaxed);
        state.checkpoint_at.store(checkpoint_at(checkpoint_bytes), Ordering::Relaxed);
        let spare = CHECKPOINTS[(1 - current) as usize];
        let spare = self.directory().stat(spare);
        // Blocks and not the size: what has no space yet is given it when it is needed.
        let spare_bytes = spare.map_or(0, |stat| stat.st_blocks.min(stat.st_size / 512).cast_unsigned() * 512);
        state.spare_bytes.store(spare_bytes, Ordering::Relaxed);
        state.switching.store(0, Ordering::Release);
        state.lock.release();
    }

    /// Whether writes to the store may have been lost since it was opened last. Somebody who is alone in it asks.
    pub fn is_in_doubt(&self) -> bool {
        let header = self.header();
        let is_same = |kept: &AtomicU64, now: u64| now != 0 && kept.load(Ordering::Relaxed) == now;
        header.log.is_on()
            && !(is_same(&header.boot, host::boot_number())
                && is_same(&header.log.mount, host::mount_number(self.directory().as_fd())))
    }

    /// Keeps in which run of the kernel and on which mount the store is right.
    pub fn clear_doubt(&self) {
        self.header().log.mount.store(host::mount_number(self.directory().as_fd()), Ordering::Relaxed);
        self.header().boot.store(host::boot_number(), Ordering::Release);
    }

    /// Gives a store its log that has none, and takes it from one that has come to a file system in memory. Nobody else lives,
    /// and the names are right.
    ///
    /// # Errors
    /// `ENOSPC`; as open(2) and fdatasync(2).
    pub fn settle_log(&self) -> Result<()> {
        let header = self.header();
        let state = &header.log;
        let wanted = !host::is_in_memory(self.directory().as_fd());
        if wanted && !state.is_on() {
            self.measure_log()?;
            if state.start.load(Ordering::Relaxed) == 0 {
                state.start.store(LogState::FIRST_POSITION, Ordering::Relaxed);
            }
            self.checkpoint()?;
            state.anchored.store(0, Ordering::Relaxed);
            self.clear_doubt();
            state.on.store(1, Ordering::Release);
        } else if !wanted && state.is_on() {
            state.on.store(0, Ordering::Release);
        }
        if header.format.load(Ordering::Relaxed) != super::super::header::FORMAT {
            if state.is_on() {
                self.sync_header()?;
            }
            header.format.store(super::super::header::FORMAT, Ordering::Release);
            if state.is_on() {
                self.sync_header()?;
            }
        }
        Ok(())
    }

    /// Sees how much space the log's file has, and makes the file if there is none. Nobody else lives.
    ///
    /// # Errors
    /// As open(2).
    pub fn measure_log(&self) -> Result<()> {
        let flags = OFlags::RDWR | OFlags::CREATE;
        let file = self.directory().open(LOG, flags).map_err(Refusal::errno)?;
        let stat = rustix::fs::fstat(file.as_fd())?;
        let has = stat.st_blocks.min(stat.st_size / 512).cast_unsigned() * 512;
        self.header().log.zeroed.store(0, Ordering::Relaxed);
        self.header().log.settled_hash.store(0, Ordering::Relaxed);
        self.header().log.allocated.store(has / LOG_SEGMENT_BYTES as u64 * LOG_SEGMENT_BYTES as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl LogState {
    /// The position of a store's first log: a record of a store without one says that it was made at 0, long ago.
    const FIRST_POSITION: u64 = 4096;
}

/// The bytes of log after which the next checkpoint is due.
fn checkpoint_at(checkpoint_bytes: u64) -> u64 {
    (2 * checkpoint_bytes).clamp(LOG_BYTES_MIN, LOG_BYTES_MAX / 2)
}
