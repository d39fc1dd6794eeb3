//! Attributes: `stat`, `access`, `chmod`, `chown`, `utimensat` and their kin, by path and by descriptor.

use crate::ground::{Errno, Result, kernel};
use crate::posix::credentials;
use crate::posix::description::Description;
use crate::posix::mount::Connected;
use crate::posix::path::Place;
use crate::posix::permission::{self, Want};
use crate::store::{Attributes, Changes, Kind, NodeId, Timestamp};

/// What `stat` tells: the attributes, and the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The node's attributes.
    pub attributes: Attributes,
    /// `st_dev`.
    pub device: u64,
    /// `st_blksize`, in bytes. The embedded engine needs no large calls to be fast; on another machine a chunk is best,
    /// but stdio and Python take their buffers from it, and more than 1 MiB for each of them gains nothing.
    pub transfer_bytes: u64,
}

/// Bounds of `st_blksize`.
const TRANSFER_BYTES_MIN: u64 = 4096;
const TRANSFER_BYTES_MAX: u64 = 1 << 20;

/// Whose attributes: something at a path, or something open.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// What is at a place.
    At(&'a Place<'a>),
    /// What a descriptor is open on.
    Open(&'a Description),
}

impl Subject<'_> {
    /// The node.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`; `EBADF` for a descriptor that is a path only.
    pub fn node(&self) -> Result<NodeId> {
        match self {
            Self::At(place) => place.existing().map(|found| found.node),
            Self::Open(description) => description.check_open().map(|()| description.found().node),
        }
    }

    /// What a check of permissions needs.
    ///
    /// # Errors
    /// As `node`.
    pub fn rights(&self) -> Result<Attributes> {
        match self {
            Self::At(place) => place.rights_of(place.existing()?.node),
            Self::Open(description) => self.connected()?.container.rights(description.found().node),
        }
    }

    /// The container.
    ///
    /// # Errors
    /// What keeps it from being connected.
    pub fn connected(&self) -> Result<&'static Connected> {
        match self {
            Self::At(place) => Ok(place.connected),
            Self::Open(description) => description.mount.connect(),
        }
    }

    fn attributes(&self) -> Result<Attributes> {
        match self {
            Self::At(place) => place.attributes(),
            Self::Open(description) => description.object.attributes(),
        }
    }

    fn change(&self, changes: &Changes) -> Result<()> {
        match self {
            Self::At(place) => place.connected.container.change(place.existing()?.node, changes),
            Self::Open(description) => description.object.change(changes),
        }
    }

    /// The attributes before a change, once it is clear that one may be made at all.
    fn changeable(&self) -> Result<Attributes> {
        if let Self::Open(description) = self {
            description.check_open()?;
        }
        let attributes = self.attributes()?;
        if self.connected()?.container.is_read_only() {
            return Err(Errno::ROFS);
        }
        Ok(attributes)
    }
}

/// `stat`, `fstat`, `statx`.
///
/// # Errors
/// `ENOENT`, `ENOTDIR`.
#[inline]
pub fn status(subject: Subject<'_>) -> Result<Status> {
    let (attributes, connected) = (subject.attributes()?, subject.connected()?);
    let transfer_bytes = match connected.container.is_remote() {
        false => TRANSFER_BYTES_MIN,
        true => attributes.chunk_bytes.clamp(TRANSFER_BYTES_MIN, TRANSFER_BYTES_MAX),
    };
    Ok(Status { attributes, device: connected.device, transfer_bytes })
}

/// `access` and its kin: `wanted` in the bits of access(2), 0 for existence alone.
///
/// # Errors
/// `EACCES`, `EROFS`.
pub fn access(subject: Subject<'_>, wanted: u32, effective: bool) -> Result<()> {
    let attributes = subject.attributes()?;
    let want = Want(wanted);
    if wanted & Want::WRITE.0 != 0 && subject.connected()?.container.is_read_only() {
        return Err(Errno::ROFS);
    }
    if effective { permission::check(&attributes, want) } else { permission::check_real(&attributes, want) }
}

/// `chmod` and its kin.
///
/// # Errors
/// `EPERM`, `EROFS`, `EOPNOTSUPP` for a symlink itself.
pub fn change_mode(subject: Subject<'_>, mode: u32) -> Result<()> {
    const SET_GROUP_ID: u32 = 0o2000;
    let attributes = subject.changeable()?;
    if attributes.kind == Kind::Symlink {
        return Err(Errno::OPNOTSUPP);
    }
    permission::check_owner(&attributes)?;
    let mut mode = mode & 0o7777;
    if credentials::user() != 0 && !credentials::is_in_group(attributes.gid) {
        mode &= !SET_GROUP_ID;
    }
    subject.change(&Changes { mode: Some(mode), ..Changes::default() })
}

/// `chown` and its kin; `None` leaves one as it is.
///
/// # Errors
/// `EPERM`, `EROFS`.
pub fn change_owner(subject: Subject<'_>, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let attributes = subject.changeable()?;
    if credentials::user() != 0 {
        let is_owner = credentials::user() == attributes.uid;
        let keeps_user = uid.is_none_or(|uid| uid == attributes.uid && is_owner);
        let may_give = gid.is_none_or(|gid| is_owner && (gid == attributes.gid || credentials::is_in_group(gid)));
        if !keeps_user || !may_give {
            return Err(Errno::PERM);
        }
    }
    // A file that changes hands loses what it could do in its owner's name; Linux takes it even where nothing changes.
    let mode = (attributes.kind == Kind::File).then(|| without_set_ids(attributes.mode));
    subject.change(&Changes { mode, uid, gid, ..Changes::default() })
}

fn without_set_ids(mode: u32) -> u32 {
    let group_runs_it = mode & 0o010 != 0;
    mode & !0o4000 & if group_runs_it { !0o2000 } else { !0 }
}

/// One of the two times of `utimensat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    /// `UTIME_NOW`.
    Now,
    /// `UTIME_OMIT`.
    Omit,
    /// This one.
    At(Timestamp),
}

/// `utimensat` and its kin.
///
/// # Errors
/// `EPERM` for somebody else's file and given times, `EACCES` for the time of now without the right to write.
pub fn change_times(subject: Subject<'_>, accessed: NewTime, modified: NewTime) -> Result<()> {
    if let Subject::Open(description) = subject
        && description.access.path_only
    {
        return Err(Errno::BADF);
    }
    if accessed == NewTime::Omit && modified == NewTime::Omit {
        return subject.attributes().map(drop);
    }
    let attributes = subject.changeable()?;
    if permission::check_owner(&attributes).is_err() {
        if (accessed, modified) != (NewTime::Now, NewTime::Now) {
            return Err(Errno::PERM);
        }
        permission::check(&attributes, Want::WRITE)?;
    }
    let now = Timestamp(kernel::now());
    let resolve = |time: NewTime| match time {
        NewTime::Now => Some(now),
        NewTime::Omit => None,
        NewTime::At(time) => Some(time),
    };
    subject.change(&Changes { accessed: resolve(accessed), modified: resolve(modified), ..Changes::default() })
}
