//! `dup`, `dup2`, `dup3`, `fcntl(F_DUPFD)`.

use crate::ground::entries::{PARKED, entry};
use crate::ground::{Errno, Result};
use crate::posix::descriptor::placeholder::{self, borrowed};
use crate::posix::descriptor::slots::Held;
use crate::posix::descriptor::table;
use crate::posix::process;
use std::sync::atomic::Ordering;

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
pub fn duplicate(descriptor: i32, held: Held, minimum: i32, close_on_exec: bool) -> Result<Duplicated> {
    if process::is_guest() {
        return Ok(Duplicated::NotOurs);
    }
    let placeholder = placeholder::duplicate(borrowed(descriptor), minimum, close_on_exec)?;
    Ok(Duplicated::As(table::bind(placeholder, held)))
}

/// `dup2` and `dup3`; `kernel` does the kernel's part, which makes `new` a duplicate of `old` in one step.
///
/// # Errors
/// `EBADF`; `EBUSY` for a number that the library keeps for itself.
pub fn replace(old: i32, new: i32, mut kernel: impl FnMut() -> Result<i32>) -> Result<Duplicated> {
    if process::is_guest() {
        return Ok(Duplicated::NotOurs);
    }
    let held = table::get(old)?;
    let target = entry(new).map_or(0, |entry| entry.load(Ordering::Acquire));
    if target == PARKED {
        return Err(Errno::BUSY);
    }
    match held {
        None if target == 0 => Ok(Duplicated::NotOurs),
        None => {
            // Ours before it stops being a placeholder, or a call in between would be served from the wrong file. The
            // old number may be bad: then nothing must have happened.
            let kept = table::get(new)?;
            rustix::io::fcntl_getfd(borrowed(old))?;
            table::set(new, None);
            match kernel() {
                Ok(number) => Ok(Duplicated::As(number)),
                Err(error) => {
                    table::set(new, kept);
                    Err(error)
                }
            }
        }
        Some(held) => {
            let number = kernel()?;
            table::set(new, Some(held));
            Ok(Duplicated::As(number))
        }
    }
}
