//! What the user is told when a call meets something in a store that cannot be.

use super::store::Store;
use crate::ground::guard::Quiet;
use crate::ground::{Errno, diagnostics};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// Lines that a process says: the first tell what there is to do, and a loop over a damaged file must not fill a log.
const LINES_MAX: u32 = 3;

static LINES: AtomicU32 = AtomicU32::new(0);

/// Says what is wrong with a store, and answers what the call is to answer: `EIO`.
#[cold]
pub fn complain(store: &Store, what: fmt::Arguments<'_>) -> Errno {
    if LINES.fetch_add(1, Ordering::Relaxed) < LINES_MAX {
        let _quiet = Quiet::enter();
        let path = store.path().display();
        diagnostics::say(&format!("the store {path} is damaged: {what}; run `sidestep fsck {path}`"));
    }
    Errno::IO
}
