//! The store's checker: what `sidestep fsck` runs.
//!
//! 0. [`foundations`]: the files are there, and long enough; the header and the tree's pages make sense. That is looked at, and
//!    mended, before the store is opened.
//! 1. [`census`]: every key of the tree of names, sorted by what it is about.
//! 2. [`names`]: every entry leads to a live node of its kind; every directory has one name and is reached from the root.
//! 3. [`nodes`]: every live record has the names that it counts, or is an orphan that somebody has.
//! 4. [`space`]: every slot has one owner or is free; every object file has one, and is as long as its record believes.
//!
//! The names lock is held meanwhile, so that live processes wait and do not disturb.

mod census;
mod finding;
mod foundations;
mod header_file;
mod log;
mod names;
mod new_tree;
mod nodes;
mod relist;
mod repair;
mod space;

pub use finding::{CheckError, Finding, Severity, Summary};

use super::OpenError;
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
    let mut summary = Summary::default();
    foundations::check(directory, repair, report, &mut summary)?;
    if summary.damages > summary.repaired {
        // What the store stands on is broken still: nothing can be said of what stands on it.
        return Ok(summary);
    }
    for _ in 0..ROUNDS_MAX {
        let found = summary.leaks + summary.damages;
        check_open(directory, repair, report, &mut summary)?;
        // What was mended may show what it had hidden.
        if !repair || summary.leaks + summary.damages == found {
            break;
        }
    }
    Ok(summary)
}

/// Times that a repair looks again at what it did.
const ROUNDS_MAX: u32 = 4;

/// One round over a store whose foundations are sound.
fn check_open(
    directory: &Path,
    repair: bool,
    report: &mut dyn FnMut(Finding),
    summary: &mut Summary,
) -> std::result::Result<(), CheckError> {
    let options = MountOptions { readonly: true, ..MountOptions::default() };
    let store = Store::open_as(directory, &options, repair).map_err(|error| match error {
        error @ (OpenError::Damaged { .. } | OpenError::Foreign { .. }) if repair => CheckError::Beyond(error),
        error => CheckError::Open(error),
    })?;
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
    let counted =
        Summary { leaks: summary.leaks, damages: summary.damages, repaired: summary.repaired, ..Summary::default() };
    let mut checker = Checker { store: &store, repair, report, summary: counted };
    checker.summary.others_live = !alone;
    let checked = checker.run();
    *summary = checker.summary;
    if repair {
        store.process().admit_others().map_err(failed("unlocking"))?;
    }
    checked.map_err(failed("checking"))
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
        if self.repair {
            // A bucket that is marked as in change, by nobody, would keep its names from being mended.
            self.store.recent().rebuild(self.store.header().hash_key.load(Ordering::Relaxed));
        }
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
        // One that can't be mended does not keep the others from it.
        let mended = self.repair.then(|| mend(self.store));
        let repaired = matches!(mended, Some(Ok(())));
        self.summary.repaired += u64::from(repaired);
        let what = match mended {
            Some(Err(Errno::NOSPC)) => return Err(Errno::NOSPC),
            Some(Err(errno)) => format!("{what}; mending it failed: {errno}"),
            _ => what,
        };
        (self.report)(Finding { severity, what, repaired });
        Ok(())
    }
}
