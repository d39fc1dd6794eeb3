//! Extended attributes: `getxattr`, `setxattr`, `listxattr`, `removexattr` and their kin.
//!
//! Which names there are is the container's business; the rules of Linux for its own name spaces (xattr(7)) are kept.

use super::attributes::Subject;
use crate::ground::{Errno, Result};
use crate::posix::credentials;
use crate::posix::permission::{self, Want};
use crate::store::{Kind, OnlyIf};

/// `XATTR_NAME_MAX`.
const NAME_BYTES_MAX: usize = 255;

/// `XATTR_SIZE_MAX`, and `XATTR_LIST_MAX`.
pub const VALUE_BYTES_MAX: usize = 65536;

/// What a call wants of an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Change,
}

/// Checks a name, and what it asks of the caller and of the node.
fn check(subject: Subject<'_>, name: &[u8], usage: Use) -> Result<()> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Errno::RANGE);
    }
    if usage == Use::Change && subject.connected()?.container.is_read_only() {
        return Err(Errno::ROFS);
    }
    let is_superuser = credentials::user() == 0;
    let known = [b"user.".as_slice(), b"trusted.", b"security."].into_iter().find(|space| name.starts_with(space));
    match known {
        // Access control lists (`system.`) are the kernel's; nothing here would obey them. Names in no name space there is
        // are refused by every file system.
        None => return Err(Errno::OPNOTSUPP),
        Some(space) if space.len() == name.len() => return Err(Errno::INVAL),
        Some(_) => {}
    }
    if name.starts_with(b"trusted.") || name.starts_with(b"security.") {
        return match usage {
            Use::Change if !is_superuser => Err(Errno::PERM),
            Use::Read if !is_superuser && name.starts_with(b"trusted.") => Err(Errno::NODATA),
            _ => Ok(()),
        };
    }
    let attributes = subject.rights()?;
    if attributes.kind == Kind::Symlink {
        return Err(if usage == Use::Change { Errno::PERM } else { Errno::NODATA });
    }
    permission::check(&attributes, if usage == Use::Change { Want::WRITE } else { Want::READ })
}

/// `getxattr`: the value's length; with an empty `room` nothing is copied.
///
/// # Errors
/// `ENODATA`, `ERANGE`, `EOPNOTSUPP`, `EACCES`.
pub fn get(subject: Subject<'_>, name: &[u8], room: &mut [u8]) -> Result<usize> {
    let node = subject.node()?;
    check(subject, name, Use::Read)?;
    subject.connected()?.container.extended_attribute(node, name, room)
}

/// `setxattr`.
///
/// # Errors
/// As setxattr(2).
pub fn set(subject: Subject<'_>, name: &[u8], value: &[u8], only: Option<OnlyIf>) -> Result<()> {
    let node = subject.node()?;
    check(subject, name, Use::Change)?;
    subject.connected()?.container.set_extended_attribute(node, name, value, only)
}

/// `listxattr`: the list's length; with an empty `room` nothing is copied.
///
/// # Errors
/// `ERANGE`, `EOPNOTSUPP`.
pub fn list(subject: Subject<'_>, room: &mut [u8]) -> Result<usize> {
    let node = subject.node()?;
    subject.connected()?.container.extended_attribute_names(node, room)
}

/// `removexattr`.
///
/// # Errors
/// `ENODATA`, `EOPNOTSUPP`, `EACCES`, `EPERM`, `EROFS`.
pub fn remove(subject: Subject<'_>, name: &[u8]) -> Result<()> {
    let node = subject.node()?;
    check(subject, name, Use::Change)?;
    subject.connected()?.container.remove_extended_attribute(node, name)
}
