//! `close` and `close_range`.

use crate::ground::change::Change;
use crate::ground::internal::Placing;
use crate::ground::{Errno, Result, kernel};
use crate::posix::descriptor::entries::{INHERITED, PARKED, entry};
use crate::posix::descriptor::slots;
use crate::posix::descriptor::table::{self, Lookup};
use crate::posix::mount::Connected;
use crate::posix::process;
use std::sync::atomic::Ordering;

/// What a close left to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Nothing.
    Wholly,
    /// The kernel's part: the number was not ours.
    NotOurs,
}

/// Closes a descriptor. What was written through it is in the store then.
///
/// # Errors
/// `EBADF` for a descriptor that the library keeps for itself: the application never opened it. What befell a write
/// after it had returned (`EIO`, `ENOSPC`...): the number is closed all the same.
pub fn close(descriptor: i32) -> Result<Closed> {
    let Some(word) = entry(descriptor).map(|entry| entry.load(Ordering::Acquire)) else { return Ok(Closed::NotOurs) };
    if word == PARKED {
        return Err(Errno::BADF);
    }
    if process::is_guest() {
        return Ok(Closed::NotOurs);
    }
    let held = match table::look_up(descriptor) {
        Lookup::Ours(held) => Some(held),
        Lookup::NotOurs | Lookup::Lost => None,
        Lookup::Parked => return Err(Errno::BADF),
    };
    let change = Change::begin();
    // Our entry first: once the kernel has closed it, the number may be another thread's.
    table::set(descriptor, None);
    kernel::close(descriptor);
    // Another thread's dup2 may have come between the two.
    table::settle(descriptor);
    drop(change);
    let Some(held) = held else { return Ok(Closed::Wholly) };
    // Dropped after the description, whose end asks the engine too.
    let _quiet = held.mount.connected().and_then(Connected::quiet);
    let flushed = held.object.flush();
    drop(held);
    flushed.map(|()| Closed::Wholly)
}

/// Closes the descriptors from `first` to `last`, or marks them close-on-exec where `only_marks`; `kernel` does the
/// kernel's part for a range, in which the library keeps nothing.
///
/// # Errors
/// What `kernel` says.
pub fn close_range(
    first: u32,
    last: u32,
    only_marks: bool,
    mut kernel: impl FnMut(u32, u32) -> Result<()>,
) -> Result<()> {
    // Adopted before they are closed, so that what holds their nodes goes with them.
    let is_owner = !process::is_guest();
    if !only_marks && is_owner {
        table::each_set(first as usize, (last as usize).min(table::sweep_end()), |descriptor, word| {
            if word == INHERITED {
                drop(table::look_up(descriptor));
            }
        });
    }
    let mut closed = Vec::new();
    let _placing = Placing::begin();
    let change = Change::begin();
    if !only_marks && is_owner {
        table::each_set(first as usize, (last as usize).min(table::sweep_end()), |descriptor, word| {
            if word != PARKED {
                // Ends after the change.
                closed.extend(slots::hold(word));
                table::set(descriptor, None);
            }
        });
    }
    let mut from = first;
    let mut outcome = Ok(());
    table::each_set(first as usize, (last as usize).min(table::sweep_end()), |descriptor, word| {
        let descriptor = descriptor.cast_unsigned();
        if word == PARKED && outcome.is_ok() {
            if descriptor > from {
                outcome = kernel(from, descriptor - 1);
            }
            from = descriptor + 1;
        }
    });
    outcome?;
    let outcome = if from <= last { kernel(from, last) } else { Ok(()) };
    drop(change);
    outcome
}
