//! The kernel's descriptors that stand for ours: duplicates of an `O_PATH` one on an empty memfd. So numbers are unique
//! and lowest-first, limits hold, and a call that slips past the doors fails with `EBADF`.

use crate::ground::kernel::Parked;
pub use crate::ground::kernel::borrow as borrowed;
use crate::ground::{Errno, Result, diagnostics, internal, kernel};
use crate::posix::path::host::descriptor_link;
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

/// The name of the memfds of placeholders, as `/proc/self/fd` shows it.
pub const NAME: &std::ffi::CStr = c"sidestep";

/// What the link of any placeholder says, of whichever process it is.
pub const LINK: &[u8] = b"/memfd:sidestep (deleted)";

/// The descriptor that placeholders are duplicates of, or -1.
static ORIGINAL: AtomicI32 = AtomicI32::new(-1);

/// The inode that placeholders stand on; 0 for none yet. Memfds have no number in common.
static INODE: AtomicU64 = AtomicU64::new(0);

/// The file system that all memfds are on.
static DEVICE: AtomicU64 = AtomicU64::new(0);

/// A memfd, out of the application's way.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn memory() -> Result<Parked> {
    internal::open(|| rustix::fs::memfd_create(NAME, MemfdFlags::CLOEXEC).map(IntoRawFd::into_raw_fd))
}

/// The `O_PATH` view of a memfd: what stands under a number of ours.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn path_view(memory: BorrowedFd<'_>) -> Result<Parked> {
    Parked::open(CWD, descriptor_link(memory)?.as_c_str(), OFlags::PATH, Mode::empty())
}

/// Makes what placeholders are duplicates of, unless it is there.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn prepare() -> Result<BorrowedFd<'static>> {
    let known = ORIGINAL.load(Ordering::Acquire);
    if known >= 0 {
        return Ok(borrowed(known));
    }
    let memory =
        memory().map_err(|error| impossible("memfd_create(2) is refused (a filter of system calls?)", error))?;
    let view = path_view(memory.as_fd()).map_err(|error| impossible("/proc is not mounted, or is hidden", error))?;
    let stat = rustix::fs::fstat(&view)?;
    let number = view.into_number();
    match ORIGINAL.compare_exchange(-1, number, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            DEVICE.store(stat.st_dev, Ordering::Release);
            INODE.store(stat.st_ino, Ordering::Release);
            Ok(borrowed(number))
        }
        Err(theirs) => {
            kernel::close_number(number);
            Ok(borrowed(theirs))
        }
    }
}

/// Whether the kernel has a placeholder of this process under a number, or a view of the memfd `page` if that is not 0.
pub fn stands_at(number: i32, page: u64) -> bool {
    rustix::fs::fstat(borrowed(number)).is_ok_and(|stat| {
        let is_one = stat.st_ino == INODE.load(Ordering::Acquire) || stat.st_ino == page;
        is_one && stat.st_ino != 0 && stat.st_dev == DEVICE.load(Ordering::Acquire)
    })
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
pub fn make(minimum: i32, close_on_exec: bool) -> Result<i32> {
    let number = duplicate(prepare()?, minimum, close_on_exec)?;
    if super::entries::entry(number).is_none() {
        kernel::close(number);
        return Err(Errno::MFILE);
    }
    Ok(number)
}

/// A duplicate of a placeholder.
///
/// # Errors
/// As `make`.
pub fn duplicate(placeholder: BorrowedFd<'_>, minimum: i32, close_on_exec: bool) -> Result<i32> {
    if minimum < 0 {
        return Err(Errno::INVAL);
    }
    if close_on_exec {
        rustix::io::fcntl_dupfd_cloexec(placeholder, minimum).map(IntoRawFd::into_raw_fd)
    } else {
        kernel::duplicate_kept(placeholder, minimum)
    }
}
