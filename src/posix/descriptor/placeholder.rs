//! The kernel's descriptors that stand for ours: duplicates of an `O_PATH` one on an empty memfd. So numbers are unique
//! and lowest-first, limits hold, and a call that slips past the doors fails with `EBADF`.

use crate::ground::guard::Quiet;
pub use crate::ground::kernel::borrow as borrowed;
use crate::ground::{Errno, Result, diagnostics, kernel};
use crate::posix::path::host::descriptor_link;
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// The name of the memfds of placeholders, as `/proc/self/fd` shows it.
pub const NAME: &std::ffi::CStr = c"sidestep";

/// What a link in `/proc/self/fd` to one of them says.
pub const LINK: &[u8] = b"/memfd:sidestep (deleted)";

/// The descriptor that placeholders are duplicates of, or -1.
static ORIGINAL: AtomicI32 = AtomicI32::new(-1);

/// A descriptor number that is ours to close.
#[allow(unsafe_code)]
pub fn owned(descriptor: i32) -> OwnedFd {
    // SAFETY: the caller has just got it from the kernel, or takes it out of a place that owned it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// The `O_PATH` view of a memfd: what stands under a number of ours.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn path_view(memory: BorrowedFd<'_>) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, descriptor_link(memory)?.as_c_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn original() -> Result<BorrowedFd<'static>> {
    let known = ORIGINAL.load(Ordering::Acquire);
    if known >= 0 {
        return Ok(borrowed(known));
    }
    let _quiet = Quiet::enter();
    let memory = rustix::fs::memfd_create(NAME, MemfdFlags::CLOEXEC)
        .map_err(|error| impossible("memfd_create(2) is refused (a filter of system calls?)", error))?;
    let view = path_view(memory.as_fd()).map_err(|error| impossible("/proc is not mounted, or is hidden", error))?;
    let parked = kernel::park(view)?.into_number();
    match ORIGINAL.compare_exchange(-1, parked, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(borrowed(parked)),
        Err(theirs) => {
            kernel::close_number(parked);
            Ok(borrowed(theirs))
        }
    }
}

/// There is no placeholder, and so no open file. The program is told `EIO`, and the user why, once; a shortage is told as
/// what it is.
fn impossible(reason: &str, error: Errno) -> Errno {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM) {
        return error;
    }
    if !TOLD.swap(true, Ordering::Relaxed) {
        diagnostics::say(&format!("no file under a prefix can be opened here: {reason}: {error}"));
    }
    Errno::IO
}

/// A new placeholder under the lowest free number, or the lowest from `minimum` on.
///
/// # Errors
/// `EMFILE` as the application's own limit has it, `ENFILE`, `EINVAL` for a minimum beyond the limit.
pub fn make(minimum: i32, close_on_exec: bool) -> Result<OwnedFd> {
    let placeholder = duplicate(original()?, minimum, close_on_exec)?;
    if super::entries::entry(placeholder.as_raw_fd()).is_none() {
        return Err(Errno::MFILE);
    }
    Ok(placeholder)
}

/// A duplicate of a placeholder.
///
/// # Errors
/// As `make`.
pub fn duplicate(placeholder: BorrowedFd<'_>, minimum: i32, close_on_exec: bool) -> Result<OwnedFd> {
    if minimum < 0 {
        return Err(Errno::INVAL);
    }
    if close_on_exec {
        rustix::io::fcntl_dupfd_cloexec(placeholder, minimum)
    } else {
        kernel::duplicate_kept(placeholder, minimum)
    }
}
