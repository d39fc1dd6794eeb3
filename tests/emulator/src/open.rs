//! Opening and making: files, directories, symlinks.

use crate::array::Array;
use crate::errors::{Answer, Der, Trouble};
use crate::mount::{Body, Mount, Object, PATH_BYTES_MAX, check_access, check_name};
use crate::record::{Record, Time};
use crate::settings::settings;
use crate::wire::Exchange;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What `dfs_open` is told beside where.
pub struct Opening<'a> {
    /// Kind, and the permission bits of what is made.
    pub mode: u32,
    /// As open(2), without `O_APPEND`.
    pub flags: i32,
    /// Chunk size in bytes; 0 for the directory's or the container's.
    pub chunk_bytes: u64,
    /// A symlink's target.
    pub target: Option<&'a [u8]>,
}

impl Mount {
    /// `dfs_open`. Making is one message; where the name is there already, or is not to be made, it is fetched.
    ///
    /// # Errors
    /// `ENOTSUP` with `O_APPEND`, and for a symlink that is not made; `EPERM` to make on a mount for reading; `EINVAL` for
    /// a file that is none; `ENOTDIR`, `EEXIST`, `ENOENT`.
    pub fn open(&self, wire: &mut Exchange, parent: Option<&Object>, name: &[u8], how: &Opening<'_>) -> Answer<Object> {
        let flags = how.flags;
        let kind = how.mode & libc::S_IFMT;
        if flags & libc::O_APPEND != 0 {
            return Err(Errno::NOTSUP.into());
        }
        if flags & libc::O_CREAT != 0 {
            self.check_writable()?;
        }
        if kind == libc::S_IFLNK && how.target.is_none() {
            return Err(Errno::INVAL.into());
        }
        let parent = self.directory(parent)?;
        check_name(name)?;
        let target = match (kind, how.target) {
            (libc::S_IFREG | libc::S_IFDIR, _) => b"",
            (libc::S_IFLNK, Some(_)) if flags & libc::O_CREAT == 0 => return Err(Errno::NOTSUP.into()),
            (libc::S_IFLNK, Some(target)) if target.len() < PATH_BYTES_MAX => target,
            _ => return Err(Errno::INVAL.into()),
        };
        if flags & libc::O_CREAT != 0 {
            let mut record = self.new_record(parent, how, target)?;
            let link = settings().link.as_ref().filter(|(one, _)| one.as_bytes() == name);
            if let Some((_, other)) = link {
                record.mark_hard_link();
                self.container.insert(wire, parent.oid, other.as_bytes(), &record)?;
            }
            match self.container.insert(wire, parent.oid, name, &record) {
                // A symlink's own handle has the bits that it was asked for, whatever its entry says.
                Ok(()) => return Ok(Object { mode: how.mode, ..self.object(&record, parent.oid, name, flags) }),
                Err(Trouble::Der(Der::EXIST)) if flags & libc::O_EXCL == 0 && kind != libc::S_IFLNK => {}
                Err(trouble) => return Err(trouble),
            }
        }
        let record = self.container.fetch(wire, parent.oid, name, false)?.ok_or(Errno::NOENT)?;
        if record.kind() != kind {
            return Err(if kind == libc::S_IFDIR { Errno::NOTDIR } else { Errno::INVAL }.into());
        }
        check_access(flags)?;
        let object = self.object(&record, parent.oid, name, flags);
        if let Body::File(array) = &object.body
            && flags & libc::O_TRUNC != 0
        {
            array.set_size(wire, 0)?;
        }
        Ok(object)
    }

    /// The entry of what is made. A file's chunk size: the call's, else the directory's, else the
    /// container's.
    fn new_record(&self, parent: &Object, how: &Opening<'_>, target: &[u8]) -> Answer<Record> {
        let inherited = match parent.body {
            Body::Directory { chunk_bytes, class } => (chunk_bytes, class),
            Body::File(_) | Body::Symlink(_) => (0, 0),
        };
        let (chunk_bytes, class, mode) = match how.mode & libc::S_IFMT {
            libc::S_IFREG => {
                let first = [how.chunk_bytes, inherited.0].into_iter().find(|bytes| *bytes != 0);
                (first.unwrap_or(self.container.chunk_bytes), 0, how.mode)
            }
            libc::S_IFLNK => (0, 0, how.mode | 0o777),
            _ => (inherited.0, inherited.1, how.mode),
        };
        let now = Time::now();
        Ok(Record {
            mode,
            oid: self.make_oid(mode & libc::S_IFMT == libc::S_IFREG)?,
            modified: now,
            changed: now,
            epoch: 0,
            chunk_bytes,
            class,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            target: target.to_vec(),
            extended: BTreeMap::new(),
        })
    }

    /// `dfs_mkdir`: one message.
    ///
    /// # Errors
    /// `EPERM` on a mount for reading; `ENOTDIR`, `EEXIST`.
    pub fn make_directory(&self, wire: &mut Exchange, parent: Option<&Object>, name: &[u8], mode: u32) -> Answer<()> {
        self.check_writable()?;
        let parent = self.directory(parent)?;
        check_name(name)?;
        let mode = libc::S_IFDIR | mode;
        let how = Opening { mode, flags: libc::O_CREAT, chunk_bytes: 0, target: None };
        let record = self.new_record(parent, &how, b"")?;
        self.container.insert(wire, parent.oid, name, &record)
    }

    /// `dfs_dup`: no message.
    ///
    /// # Errors
    /// `ENOTSUP` with `O_APPEND`; `EINVAL` without an access mode.
    pub fn duplicate(&self, object: &Object, flags: i32) -> Answer<Object> {
        if flags & libc::O_APPEND != 0 {
            return Err(Errno::NOTSUP.into());
        }
        check_access(flags)?;
        let body = match &object.body {
            Body::File(array) => {
                Body::File(Arc::new(Array::open(self.container.clone(), object.oid, array.chunk_bytes())))
            }
            // As in libdfs, the copy of a directory does not know what the directory hands on.
            Body::Directory { .. } => Body::Directory { chunk_bytes: 0, class: 0 },
            Body::Symlink(target) => Body::Symlink(target.clone()),
        };
        let (oid, parent, name) = (object.oid, object.parent, object.name.clone());
        Ok(Object { oid, parent, name, mode: object.mode, flags, body })
    }
}
