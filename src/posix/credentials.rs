//! Whose rights this process has: the file system's user and groups (the effective ones, unless `setfsuid` made them
//! others), and the mask for new files.
#![allow(unsafe_code)]

use crate::ground::guard::Quiet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Supplementary groups that are kept; Linux allows 65,536, real systems use a few dozen.
const GROUPS_COUNT_MAX: usize = 1024;

static FRESH: AtomicBool = AtomicBool::new(false);
static USER: AtomicU32 = AtomicU32::new(u32::MAX);
static GROUP: AtomicU32 = AtomicU32::new(u32::MAX);
static GROUPS_COUNT: AtomicU32 = AtomicU32::new(0);
static GROUPS: [AtomicU32; GROUPS_COUNT_MAX] = [const { AtomicU32::new(0) }; GROUPS_COUNT_MAX];

/// The mask, and this bit once it is known.
const MASK_IS_KNOWN: u32 = 1 << 16;
static MASK: AtomicU32 = AtomicU32::new(0);

/// Forgets what was read: a call that changes credentials is under way or over.
pub fn forget() {
    FRESH.store(false, Ordering::Release);
}

fn refresh() {
    if FRESH.load(Ordering::Acquire) {
        return;
    }
    let _quiet = Quiet::enter();
    let mut groups = vec![0 as libc::gid_t; GROUPS_COUNT_MAX];
    // The raw call: libc's wrapper is one too, but this one passes no door.
    // SAFETY: the kernel writes at most `GROUPS_COUNT_MAX` group ids.
    let count = unsafe { libc::getgroups(groups.len().cast_signed() as libc::c_int, groups.as_mut_ptr()) };
    let count = usize::try_from(count).unwrap_or(0);
    for (kept, group) in GROUPS.iter().zip(&groups[..count]) {
        kept.store(*group, Ordering::Relaxed);
    }
    GROUPS_COUNT.store(count as u32, Ordering::Relaxed);
    // The file system ids are what counts for files; a call with -1 changes nothing and tells them.
    // SAFETY: integers only.
    let (user, group) = unsafe { (libc::setfsuid(u32::MAX), libc::setfsgid(u32::MAX)) };
    USER.store(user.cast_unsigned(), Ordering::Relaxed);
    GROUP.store(group.cast_unsigned(), Ordering::Relaxed);
    FRESH.store(true, Ordering::Release);
}

/// The user whose rights count.
pub fn user() -> u32 {
    refresh();
    USER.load(Ordering::Relaxed)
}

/// The group whose rights count.
pub fn group() -> u32 {
    refresh();
    GROUP.load(Ordering::Relaxed)
}

/// Whether `group` is one of this process's.
pub fn is_in_group(group_id: u32) -> bool {
    if group() == group_id {
        return true;
    }
    let count = GROUPS_COUNT.load(Ordering::Relaxed) as usize;
    GROUPS[..count].iter().any(|kept| kept.load(Ordering::Relaxed) == group_id)
}

/// The real user and group, for `access`.
pub fn real_ids() -> (u32, u32) {
    (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
}

/// The file mode creation mask.
///
/// The first call reads it the only way there is, by setting it for a moment; later changes are seen at the door.
pub fn mask() -> u32 {
    let known = MASK.load(Ordering::Relaxed);
    if known & MASK_IS_KNOWN != 0 {
        return known & 0o777;
    }
    let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    MASK.store(mask.as_raw_mode() | MASK_IS_KNOWN, Ordering::Relaxed);
    mask.as_raw_mode()
}

/// The application has set the mask.
pub fn mask_was_set(mask: u32) {
    MASK.store((mask & 0o777) | MASK_IS_KNOWN, Ordering::Relaxed);
}
