//! POSIX's permission bits, checked as the kernel would check them.

use super::credentials;
use crate::ground::{Errno, Result};
use crate::store::{Attributes, Kind};

/// What somebody wants of a node; the bits of `access(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want(pub u32);

impl Want {
    /// To pass through a directory, or to execute.
    pub const SEARCH: Self = Self(1);
    /// To write.
    pub const WRITE: Self = Self(2);
    /// To read.
    pub const READ: Self = Self(4);
    /// To make or remove a name in a directory.
    pub const CHANGE_NAMES: Self = Self(3);
}

/// Whether `user`, being in the groups that `is_in_group` tells, may do what it wants.
fn allows(attributes: &Attributes, want: Want, user: u32, is_in_group: impl Fn(u32) -> bool) -> bool {
    if user == 0 {
        // CAP_DAC_OVERRIDE: everything but executing what nobody may execute.
        return want.0 & 1 == 0 || attributes.kind == Kind::Directory || attributes.mode & 0o111 != 0;
    }
    let bits = if user == attributes.uid {
        attributes.mode >> 6
    } else if is_in_group(attributes.gid) {
        attributes.mode >> 3
    } else {
        attributes.mode
    };
    bits & want.0 == want.0
}

/// Checks with the effective ids.
///
/// # Errors
/// `EACCES`.
pub fn check(attributes: &Attributes, want: Want) -> Result<()> {
    match allows(attributes, want, credentials::user(), credentials::is_in_group) {
        true => Ok(()),
        false => Err(Errno::ACCESS),
    }
}

/// Checks with the real ids, as `access` does.
///
/// # Errors
/// `EACCES`.
pub fn check_real(attributes: &Attributes, want: Want) -> Result<()> {
    let (user, group) = credentials::real_ids();
    match allows(attributes, want, user, |id| id == group || credentials::is_in_group(id)) {
        true => Ok(()),
        false => Err(Errno::ACCESS),
    }
}

/// Only the owner and the superuser may.
///
/// # Errors
/// `EPERM`.
pub fn check_owner(attributes: &Attributes) -> Result<()> {
    let user = credentials::user();
    if user == 0 || user == attributes.uid { Ok(()) } else { Err(Errno::PERM) }
}

/// The sticky bit: in such a directory only the owner of the entry or of the directory removes or renames it.
///
/// # Errors
/// `EPERM`.
pub fn check_sticky(directory: &Attributes, entry: &Attributes) -> Result<()> {
    let user = credentials::user();
    let is_free = directory.mode & 0o1000 == 0 || user == 0 || user == entry.uid || user == directory.uid;
    if is_free { Ok(()) } else { Err(Errno::PERM) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NodeId, Timestamp};

    fn attributes(kind: Kind, mode: u32, uid: u32, gid: u32) -> Attributes {
        let (node, zero) = (NodeId(7), Timestamp(0));
        Attributes {
            node,
            generation: 1,
            kind,
            mode,
            uid,
            gid,
            link_count: 1,
            size_bytes: 0,
            blocks: 0,
            chunk_bytes: 4096,
            accessed: zero,
            modified: zero,
            changed: zero,
            born: zero,
        }
    }

    #[test]
    fn the_first_class_that_matches_decides() {
        let file = attributes(Kind::File, 0o047, 10, 20);
        assert!(!allows(&file, Want::READ, 10, |group| group == 20), "the owner has no right, whatever the group has");
        assert!(allows(&file, Want::READ, 11, |group| group == 20));
        assert!(!allows(&file, Want::WRITE, 11, |group| group == 20), "nor the group, whatever others have");
        assert!(allows(&file, Want::WRITE, 11, |_| false));
    }

    #[test]
    fn the_superuser_executes_only_what_somebody_may() {
        assert!(!allows(&attributes(Kind::File, 0o644, 1, 1), Want::SEARCH, 0, |_| false));
        assert!(allows(&attributes(Kind::File, 0o001, 1, 1), Want::SEARCH, 0, |_| false));
        assert!(allows(&attributes(Kind::Directory, 0o000, 1, 1), Want::CHANGE_NAMES, 0, |_| false));
    }
}
