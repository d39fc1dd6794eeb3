//! Attributes: what an entry says, and what its object does.

use crate::errors::Answer;
use crate::mount::{Body, Mount, Object};
use crate::oid::Oid;
use crate::record::{Record, Time};
use crate::wire::Exchange;
use rustix::io::Errno;

/// What libdfs fills in of a `struct stat`; the rest is zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stat {
    /// Kind and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size_bytes: u64,
    /// Blocks of 512 bytes, holes counted.
    pub blocks: u64,
    /// A file's chunk size in bytes, where libdfs tells it.
    pub chunk_bytes: u64,
    /// Change of the bytes.
    pub modified: Time,
    /// Change of anything.
    pub changed: Time,
}

impl Stat {
    /// The later of the two others: nothing keeps the time of an access.
    pub fn accessed(&self) -> Time {
        self.modified.max(self.changed)
    }
}

/// Bytes of a directory: those of the structure that libdfs keeps an entry in.
const DIRECTORY_BYTES: u64 = 104;

/// Blocks in which `st_blocks` counts, in bytes.
const BLOCK_BYTES: u64 = 512;

/// `DFS_SET_ATTR_MODE` and the others.
pub mod set {
    #![allow(missing_docs)]
    pub const MODE: i32 = 1;
    pub const ATIME: i32 = 1 << 1;
    pub const MTIME: i32 = 1 << 2;
    pub const SIZE: i32 = 1 << 3;
    pub const UID: i32 = 1 << 4;
    pub const GID: i32 = 1 << 5;
}

/// The times of an entry whose object has this epoch: the entry's, unless the object has been changed since.
fn times(record: &Record, epoch: i64) -> (Time, Time) {
    if epoch == 0 {
        return (record.modified, record.changed);
    }
    let of_object = Time::of(epoch);
    let modified = if epoch == record.epoch { record.modified } else { of_object };
    (modified, record.changed.max(of_object))
}

impl Mount {
    /// The attributes of an object that was looked up just now; one message but for a symlink.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn stat_of(&self, wire: &mut Exchange, object: &Object, record: &Record) -> Answer<Stat> {
        let (size_bytes, epoch) = match &object.body {
            Body::File(array) => array.stat(wire)?,
            Body::Directory { .. } => (DIRECTORY_BYTES, self.container.epoch(wire, object.oid)?),
            Body::Symlink(target) => (target.len() as u64, 0),
        };
        let blocks = if matches!(object.body, Body::File(_)) { size_bytes.div_ceil(BLOCK_BYTES) } else { 0 };
        let (modified, changed) = times(record, epoch);
        let (mode, uid, gid) = (record.mode(), record.uid, record.gid);
        Ok(Stat { mode, uid, gid, size_bytes, blocks, chunk_bytes: 0, modified, changed })
    }

    /// The attributes of an entry, and its object's epoch: two messages, one for a symlink. `of` is the object that it
    /// has to lead to. Without the size, a file's is 0, its change time too, and there is one message less.
    ///
    /// # Errors
    /// `ENOENT`, also where the name leads to another object by now.
    pub fn entry_stat(
        &self,
        wire: &mut Exchange,
        directory: Oid,
        name: &[u8],
        of: Option<&Object>,
        with_size: bool,
    ) -> Answer<(Stat, i64)> {
        let record = self.container.fetch(wire, directory, name, false)?.ok_or(Errno::NOENT)?;
        if of.is_some_and(|object| object.oid != record.oid) {
            return Err(Errno::NOENT.into());
        }
        let mut stat = Stat { mode: record.mode(), uid: record.uid, gid: record.gid, ..Stat::default() };
        let mut epoch = 0;
        match record.kind() {
            libc::S_IFREG => {
                stat.chunk_bytes = self.chunk_bytes(&record);
                if with_size {
                    (stat.size_bytes, epoch) = self.array(&record).stat(wire)?;
                    (stat.modified, stat.changed) = times(&record, epoch);
                    stat.blocks = stat.size_bytes.div_ceil(BLOCK_BYTES);
                } else {
                    stat.modified = record.modified;
                }
            }
            libc::S_IFDIR => {
                stat.size_bytes = DIRECTORY_BYTES;
                epoch = self.container.epoch(wire, record.oid)?;
                (stat.modified, stat.changed) = times(&record, epoch);
            }
            _ => {
                stat.size_bytes = record.target.len() as u64;
                (stat.modified, stat.changed) = (record.modified, record.changed);
            }
        }
        Ok((stat, epoch))
    }

    /// `dfs_stat`.
    ///
    /// # Errors
    /// As [`Mount::entry_stat`].
    pub fn stat(&self, wire: &mut Exchange, parent: Option<&Object>, name: Option<&[u8]>) -> Answer<Stat> {
        let (directory, name) = self.place(parent, name)?;
        Ok(self.entry_stat(wire, directory, name, None, true)?.0)
    }

    /// `dfs_ostat`: by the name that the object was opened under, in the directory that it was opened in.
    ///
    /// # Errors
    /// As [`Mount::entry_stat`].
    pub fn stat_object(&self, wire: &mut Exchange, object: &Object) -> Answer<Stat> {
        Ok(self.entry_stat(wire, object.parent, &object.name, Some(object), true)?.0)
    }

    /// `dfs_osetattr`: what `flags` name; answers the attributes afterwards. The entry is fetched and changed, and
    /// between the two a file is cut to its size and asked for its epoch.
    ///
    /// # Errors
    /// `EPERM` for an object opened for reading; `EINVAL` for a change of the kind; `ENOTSUP` for the sticky bit; `EIO` for
    /// the size of what is no file.
    pub fn set_attributes(&self, wire: &mut Exchange, object: &Object, wanted: &Stat, flags: i32) -> Answer<Stat> {
        self.check_writable()?;
        if object.access() == libc::O_RDONLY {
            return Err(Errno::PERM.into());
        }
        if flags & set::MODE != 0 {
            if wanted.mode & libc::S_IFMT != object.mode & libc::S_IFMT {
                return Err(Errno::INVAL.into());
            }
            check_no_sticky(wanted.mode)?;
        }
        let sets_size = flags & set::SIZE != 0;
        let sets_modified = flags & set::MTIME != 0;
        let sets_changed = flags & (set::MODE | set::MTIME | set::UID | set::GID) != 0;
        let (mut stat, mut epoch) = self.entry_stat(wire, object.parent, &object.name, Some(object), !sets_size)?;
        if sets_changed {
            stat.changed = Time::now();
        }
        if flags & set::MODE != 0 {
            stat.mode = wanted.mode;
        }
        if sets_modified {
            stat.modified = wanted.modified;
        }
        if flags & set::UID != 0 {
            stat.uid = wanted.uid;
        }
        if flags & set::GID != 0 {
            stat.gid = wanted.gid;
        }
        if sets_size && object.mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Errno::IO.into());
        }
        if flags & !(set::MODE | set::ATIME | set::MTIME | set::SIZE | set::UID | set::GID) != 0 {
            return Err(Errno::INVAL.into());
        }
        if sets_size {
            let array = object.array()?;
            array.set_size(wire, wanted.size_bytes)?;
            stat.size_bytes = wanted.size_bytes;
            stat.blocks = wanted.size_bytes.div_ceil(BLOCK_BYTES);
            epoch = array.stat(wire)?.1;
            if !sets_modified {
                stat.modified = Time::of(epoch);
            }
            if !sets_changed {
                stat.changed = Time::of(epoch);
            }
        }
        if sets_changed {
            self.container.update(wire, object.parent, &object.name, |record| {
                record.changed = stat.changed;
                if flags & set::MODE != 0 {
                    record.set_mode(stat.mode);
                }
                if sets_modified {
                    (record.modified, record.epoch) = (stat.modified, epoch);
                }
                if flags & set::UID != 0 {
                    record.uid = stat.uid;
                }
                if flags & set::GID != 0 {
                    record.gid = stat.gid;
                }
                Ok(())
            })?;
        }
        Ok(stat)
    }

    /// `dfs_chmod`: fetched and changed; a symlink is followed.
    ///
    /// # Errors
    /// `ENOENT`; `EINVAL` for a change of the kind; `ENOTSUP` for the sticky bit.
    pub fn set_mode(&self, wire: &mut Exchange, parent: Option<&Object>, name: Option<&[u8]>, mode: u32) -> Answer<()> {
        self.check_writable()?;
        let place = self.place(parent, name)?;
        check_no_sticky(mode)?;
        let (directory, name, kind) = self.behind(wire, parent, place, true)?;
        if mode & libc::S_IFMT != 0 && mode & libc::S_IFMT != kind {
            return Err(Errno::INVAL.into());
        }
        self.container.update(wire, directory, &name, |record| {
            record.set_mode(mode | kind);
            record.changed = Time::now();
            Ok(())
        })
    }

    /// `dfs_chown`: -1 leaves one alone; a symlink is followed unless `O_NOFOLLOW` is among the flags.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn set_owner(
        &self,
        wire: &mut Exchange,
        parent: Option<&Object>,
        name: Option<&[u8]>,
        (uid, gid): (u32, u32),
        flags: i32,
    ) -> Answer<()> {
        self.check_writable()?;
        let place = self.place(parent, name)?;
        if (uid, gid) == (u32::MAX, u32::MAX) {
            return self.container.fetch(wire, place.0, place.1, true)?.map(drop).ok_or(Errno::NOENT.into());
        }
        let (directory, name, _) = self.behind(wire, parent, place, flags & libc::O_NOFOLLOW == 0)?;
        self.container.update(wire, directory, &name, |record| {
            if uid != u32::MAX {
                record.uid = uid;
            }
            if gid != u32::MAX {
                record.gid = gid;
            }
            record.changed = Time::now();
            Ok(())
        })
    }

    /// The entry that a change of attributes goes to, and its kind: that behind a symlink if it is to be followed.
    fn behind(
        &self,
        wire: &mut Exchange,
        parent: Option<&Object>,
        (directory, name): (Oid, &[u8]),
        follow: bool,
    ) -> Answer<(Oid, Vec<u8>, u32)> {
        let record = self.container.fetch(wire, directory, name, true)?.ok_or(Errno::NOENT)?;
        if follow && record.kind() == libc::S_IFLNK {
            let from = self.directory(parent)?;
            let (object, _) = self.walk(wire, from, &record.target, libc::O_RDWR, false, 0)?;
            return Ok((object.parent, object.name, object.mode & libc::S_IFMT));
        }
        Ok((directory, name.to_vec(), record.kind()))
    }
}

fn check_no_sticky(mode: u32) -> Answer<()> {
    if mode & libc::S_ISVTX == 0 { Ok(()) } else { Err(Errno::NOTSUP.into()) }
}
