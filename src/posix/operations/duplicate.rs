//! `dup`, `dup2`, `dup3`, `fcntl(F_DUPFD)`.

use crate::ground::change::Change;
use crate::ground::entries::{LOST, NOT_OURS, PARKED};
use crate::ground::internal::Placing;
use crate::ground::{Errno, Result, kernel, threads};
use crate::posix::descriptor::handover;
use crate::posix::descriptor::placeholder::{self, borrowed};
use crate::posix::descriptor::slots::Held;
use crate::posix::descriptor::table;
use crate::posix::process;

/// What is left for the kernel to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicated {
    /// Nothing: this is the new number.
    As(i32),
    /// All of it: neither number is ours, or the tables are another process's.
    NotOurs,
}

/// The lowest free number from `minimum` on, for the description behind `descriptor`.
///
/// # Errors
/// `EMFILE`, `EINVAL`.
pub fn duplicate(descriptor: i32, mut held: Held, minimum: i32, close_on_exec: bool) -> Result<Duplicated> {
    if process::is_guest() {
        let place = || placeholder::duplicate(borrowed(descriptor), minimum, close_on_exec);
        return handover::duplicate_for_guest(descriptor, place).map(Duplicated::As);
    }
    loop {
        let change = Change::begin();
        let number = placeholder::duplicate(borrowed(descriptor), minimum, close_on_exec)?;
        if table::word(descriptor) == held.entry() {
            return Ok(Duplicated::As(table::bind(number, held)));
        }
        // Another thread closed the number, which may be another file's by now: what was duplicated is not known.
        kernel::close(number);
        drop(change);
        held = match table::get(descriptor)? {
            Some(held) => held,
            None => return Ok(Duplicated::NotOurs),
        };
    }
}

/// `dup2` and `dup3`; `kernel` does the kernel's part, which makes `new` a duplicate of `old` in one step.
///
/// # Errors
/// `EBADF`; `EBUSY` for a number that the library keeps for itself.
pub fn replace(old: i32, new: i32, mut kernel: impl FnMut() -> Result<i32>) -> Result<Duplicated> {
    if process::is_guest() {
        return handover::duplicate_for_guest(old, kernel).map(Duplicated::As);
    }
    // Both are adopted, where they were inherited, before anything else waits.
    let held = table::get(old)?;
    let before = if matches!(table::word(new), PARKED | LOST) { None } else { table::get(new)? };
    let _placing = Placing::begin();
    let _change = Change::begin();
    let target = table::word(new);
    if target == PARKED {
        return Err(Errno::BUSY);
    }
    let Some(held) = held else {
        if target == NOT_OURS {
            // Here, so that no descriptor of ours stands under the number for a moment.
            return if threads::is_single() { Ok(Duplicated::NotOurs) } else { kernel().map(Duplicated::As) };
        }
        // Not ours before it stops being a placeholder, or a call in between would be served from the wrong file. The
        // old number may be bad: then nothing must have happened.
        rustix::io::fcntl_getfd(borrowed(old))?;
        table::set(new, None);
        let outcome = kernel();
        match outcome {
            Ok(_) => table::settle(new),
            Err(_) => table::set(new, before),
        }
        return outcome.map(Duplicated::As);
    };
    let number = kernel()?;
    table::set(new, Some(held));
    if !threads::is_single() {
        // Another thread may have closed the old number, or placed something under the new one.
        table::settle(new);
    }
    Ok(Duplicated::As(number))
}
