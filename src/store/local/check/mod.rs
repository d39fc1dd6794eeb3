//! The store's checker: what `sidestep fsck` runs.

mod finding;

pub use finding::{CheckError, Finding, Severity, Summary};

use std::path::Path;

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
    let _ = (repair, report);
    Err(CheckError::Host { doing: format!("checking {}", directory.display()), errno: crate::ground::Errno::NOSYS })
}
