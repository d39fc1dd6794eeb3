//! After a cut of power: the store made anew from its checkpoint, its log, and what the inode table has that is newer.
//!
//! 1. [`source`]: the newest whole checkpoint, the valid beginning of the log, and from both the names and the images.
//! 2. [`records`]: for each name, is its node's record in the table the one that was made, and not older than its image? If
//!    it is older it becomes the image; if the node is neither here nor there the name goes.
//! 3. [`space`]: slots have one owner each, whoever was promised its bytes before others; the lists of free nodes and slots
//!    are made anew; object files that are nobody's go.
//! 4. [`tree`]: a new tree of names, a new checkpoint, a new log.
//!
//! The checkpoint and the log are not touched before the last step, so a recovery that is cut off begins again. Where
//! nothing was lost it comes to what was there: to recover without need costs time and does no harm.

mod records;
mod source;
mod space;
mod tree;

use super::OpenError;
use super::layout;
use super::layout::{CHECKPOINTS, LOG};
use super::store::Store;
use super::store_directory::Refusal;
use crate::ground::Errno;
use rustix::fs::{AtFlags, OFlags};
pub use source::{NameKept, POSITION_STEP, Source};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// A recovery between its two halves: the tree is not open in the first one.
pub struct Recovery {
    source: Source,
}

impl Recovery {
    /// Does all but the tree. Nobody else lives, and the tree is not open.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] where there is no checkpoint to go back to; the host's answers.
    pub fn begin(store: &Store) -> Result<Self, OpenError> {
        if !store.may_recover() {
            return Err(OpenError::RecoveryDue { directory: store.path().to_owned() });
        }
        let host = |errno: Errno| layout::host_error(store.path(), store.path(), "recovering", errno);
        // Whatever becomes of this recovery, the next one is due until this one is done.
        store.header().boot.store(0, Ordering::Release);
        let source = Source::read(store).map_err(host)?.ok_or_else(|| OpenError::Damaged {
            directory: store.path().to_owned(),
            what: "power was cut or its disk was taken away, and both of its checkpoints of the names are gone"
                .to_owned(),
        })?;
        if !source.has_checkpoint {
            forget_log(store).map_err(host)?;
        }
        let mut recovery = Self { source };
        let names = records::mend(store, &recovery.source).map_err(host)?;
        recovery.source.keep(&names);
        space::mend(store, &recovery.source).map_err(host)?;
        tree::remove(store, &recovery.source).map_err(host)?;
        Ok(recovery)
    }

    /// Makes the tree, and begins a new log. The tree is open and empty.
    ///
    /// # Errors
    /// `ENOSPC`; as fdatasync(2).
    pub fn finish(self, store: &Store) -> crate::ground::Result<()> {
        store.header().epoch.fetch_add(1, Ordering::AcqRel);
        store.recover_intents(false)?;
        tree::fill(store, &self.source)?;
        let state = &store.header().log;
        // Nobody was promised anything of a new store: it gets to stable storage with the first sync.
        let is_new = self.source.names.is_empty() && state.anchored.load(Ordering::Relaxed) == 0;
        state.anchored.store(0, Ordering::Relaxed);
        store.checkpoint_as(!is_new)?;
        store.clear_doubt();
        if is_new { Ok(()) } else { store.sync_header() }
    }
}

/// Empties the log of a store that begins from nothing. Its header may not know where an earlier log of it began, which was
/// written back before the header was: then the new one begins at the same position, and what is left of the other would
/// prove itself in it.
fn forget_log(store: &Store) -> crate::ground::Result<()> {
    for name in CHECKPOINTS {
        match store.directory().remove(name, AtFlags::empty()) {
            Ok(()) | Err(Refusal::Host(Errno::NOENT)) => {}
            Err(refusal) => return Err(refusal.errno()),
        }
    }
    let log = store.directory().open(LOG, OFlags::RDWR | OFlags::CREATE).map_err(Refusal::errno)?;
    rustix::fs::ftruncate(log.as_fd(), 0)
}
