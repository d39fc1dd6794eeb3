//! The store's checker: what `sidestep fsck` runs.
//!
//! 1. [`census`]: every key of the tree of names, sorted by what it is about.
//! 2. [`names`]: every entry leads to a live node of its kind; every directory has one name and is reached from the root.
//! 3. [`nodes`]: every live record has the names that it counts, or is an orphan that somebody has.
//! 4. [`space`]: every slot has one owner or is free; every object file has one, and is as long as its record believes.
//!
//! The names lock is held meanwhile, so that live processes wait and do not disturb.

mod census;
mod finding;
mod log;
mod names;
mod nodes;
mod relist;
mod repair;
mod space;

pub use finding::{CheckError, Finding, Severity, Summary};

use super::store::Store;
use crate::ground::Errno;
use crate::ground::mounts::MountOptions;
use census::Census;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Checks the store in `directory`, and mends what it can if `repair` is set. Each finding is told to `report` as soon
/// as it is known.
///
/// Without `repair` nothing is changed, and live processes do not disturb; [`Summary::others_live`] says whether there
/// were any.
///
/// # Errors
/// [`CheckError::InUse`] for a repair while others use the store.
pub fn check(
    directory: &Path,
    repair: bool,
    report: &mut dyn FnMut(Finding),
) -> std::result::Result<Summary, CheckError> {
    let options = MountOptions { readonly: true, ..MountOptions::default() };
    let store = Store::open_as(directory, &options, repair).map_err(CheckError::Open)?;
    let in_use = || CheckError::InUse { directory: directory.to_owned() };
    let failed = |doing: &str| {
        let doing = format!("{doing} {}", directory.display());
        move |errno| CheckError::Host { doing, errno }
    };
    if repair && store.is_frozen() {
        return Err(failed("repairing")(Errno::ROFS));
    }
    let alone = Arc::strong_count(&store) == 1 && store.process().exclude_others().map_err(failed("locking"))?;
    if repair && !alone {
        return Err(in_use());
    }
    if !repair && alone {
        store.process().admit_others().map_err(failed("unlocking"))?;
    }
    let mut checker = Checker { store: &store, repair, report, summary: Summary::default() };
    checker.summary.others_live = !alone;
    let checked = checker.run();
    let summary = checker.summary;
    if repair {
        store.process().admit_others().map_err(failed("unlocking"))?;
    }
    checked.map_err(failed("checking"))?;
    Ok(summary)
}

/// One run of the checker.
struct Checker<'a> {
    store: &'a Store,
    repair: bool,
    report: &'a mut dyn FnMut(Finding),
    summary: Summary,
}

impl Checker<'_> {
    fn run(&mut self) -> crate::ground::Result<()> {
        let names = if self.store.is_frozen() { None } else { Some(self.store.lock_names()?) };
        let mut census = Census::take(self.store)?;
        self.check_names(&mut census)?;
        self.check_nodes(&census)?;
        self.check_space()?;
        if !self.repair {
            return self.check_log(&census);
        }
        // The tree was mended behind the recent names' back.
        self.store.recent().rebuild(self.store.header().hash_key.load(Ordering::Relaxed));
        if self.summary.repaired == 0 {
            self.check_log(&census)?;
        } else if self.store.header().log.is_on() {
            // The log knows nothing of what was mended.
            self.store.checkpoint()?;
        }
        drop(names);
        self.store.sync_all()
    }

    /// Tells a finding; `mend` is tried if this is a repair.
    fn find(
        &mut self,
        severity: Severity,
        what: String,
        mend: impl FnOnce(&Store) -> crate::ground::Result<()>,
    ) -> crate::ground::Result<()> {
        match severity {
            Severity::Leak => self.summary.leaks += 1,
            Severity::Damage => self.summary.damages += 1,
        }
        if self.repair {
            mend(self.store)?;
            self.summary.repaired += 1;
        }
        (self.report)(Finding { severity, what, repaired: self.repair });
        Ok(())
    }
}
