//! Which process this is: the one that our tables belong to, a fork child that inherited them, or a vfork child that
//! runs on its parent's memory and must leave them alone.
#![allow(unsafe_code)]

use crate::ground::guard;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The page that the kernel wipes in a fork child (`MADV_WIPEONFORK`): it holds the process id, or 0 in a new process.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

/// Where the process id stands when no page could be had: a fork child is then known by `after_fork_in_child` only.
static FALLBACK: AtomicU32 = AtomicU32::new(0);

/// This process's id, by the kernel.
fn kernel_id() -> u32 {
    rustix::process::getpid().as_raw_pid().cast_unsigned()
}

#[inline(always)]
fn word() -> &'static AtomicU32 {
    let page = PAGE.load(Ordering::Acquire);
    // SAFETY: null, or the page that `start` mapped for good.
    unsafe { page.as_ref() }.unwrap_or(&FALLBACK)
}

/// What a new process has to set right, once, before it uses its copy of the tables.
static RENEWAL: OnceLock<fn()> = OnceLock::new();

/// Called once, when the library starts. `renewal` is run in each fork child, by whatever call finds out first that it is
/// one: libc's handlers, or the first call on a file of ours where a program forked past them.
pub fn start(renewal: fn()) {
    let _ = RENEWAL.set(renewal);
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
    // SAFETY: a fresh private page that nobody else knows; it is never unmapped.
    unsafe {
        if let Ok(page) =
            mmap_anonymous(std::ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
            && madvise(page, 4096, Advice::LinuxWipeOnFork).is_ok()
        {
            PAGE.store(page.cast(), Ordering::Release);
        }
    }
    word().store(kernel_id(), Ordering::Release);
}

/// Whose memory this is, and who runs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The process that the tables belong to.
    Owner,
    /// A fork child that uses its copy of the tables for the first time, and has just set them right.
    NewProcess,
    /// A vfork or `CLONE_VM` child: the tables are its parent's.
    Guest,
}

/// Finds out. Costs a load, or a system call from the moment a vfork was begun until it is known to be over.
#[inline]
pub fn standing() -> Standing {
    let known = word().load(Ordering::Acquire);
    if known == 0 {
        guard::set_vfork_window(false);
        word().store(kernel_id(), Ordering::Release);
        if let Some(renew) = RENEWAL.get() {
            renew();
        }
        return Standing::NewProcess;
    }
    if guard::in_vfork_window() {
        if kernel_id() != known {
            return Standing::Guest;
        }
        guard::set_vfork_window(false);
    }
    Standing::Owner
}

/// Whether this is a fork child that nobody has told yet.
#[inline(always)]
pub fn is_new() -> bool {
    word().load(Ordering::Relaxed) == 0
}

/// What tells this process from the one that it may be a fork child of.
pub fn id() -> u32 {
    word().load(Ordering::Acquire)
}

/// Whether a child on its parent's memory asks. A fork child that nobody has told has set its tables right by then.
#[inline]
pub fn is_guest() -> bool {
    standing() == Standing::Guest
}

/// The fork handler's word that this is a new process.
pub fn after_fork_in_child() {
    FALLBACK.store(0, Ordering::Release);
    standing();
}
