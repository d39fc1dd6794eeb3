//! A mounted container, and the objects that a client opens in it.

use crate::array::Array;
use crate::container::Container;
use crate::errors::{Answer, Der};
use crate::oid::{self, Oid, OidMaker};
use crate::record::{Record, Time};
use crate::wire::Exchange;
use rustix::io::Errno;
use std::sync::Arc;

/// Bytes that a name may have.
pub const NAME_BYTES_MAX: usize = 255;

/// Bytes of a path with its end.
pub const PATH_BYTES_MAX: usize = 4096;

/// A mount.
pub struct Mount {
    /// Of what.
    pub container: Arc<Container>,
    /// Whether it was mounted for writing.
    pub is_writable: bool,
    /// The root directory.
    pub root: Object,
    /// Where new objects get their ids, on a mount for writing.
    oids: Option<OidMaker>,
}

/// An open object. What it knows of its names is from when it was opened.
pub struct Object {
    /// Its id.
    pub oid: Oid,
    /// The directory that it was found in.
    pub parent: Oid,
    /// The name that it was found under.
    pub name: Vec<u8>,
    /// Kind and permission bits as they were.
    pub mode: u32,
    /// The flags of the opening.
    pub flags: i32,
    /// What depends on the kind.
    pub body: Body,
}

/// What depends on an object's kind.
pub enum Body {
    /// A file.
    File(Arc<Array>),
    /// A directory: the chunk size and class of what is made in it, 0 for the container's.
    Directory {
        /// In bytes.
        chunk_bytes: u64,
        /// Object class.
        class: u32,
    },
    /// A symlink, with its target.
    Symlink(Vec<u8>),
}

impl Object {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory { .. })
    }

    /// The array of a file.
    ///
    /// # Errors
    /// `EINVAL` for anything else.
    pub fn array(&self) -> Answer<&Arc<Array>> {
        match &self.body {
            Body::File(array) => Ok(array),
            Body::Directory { .. } | Body::Symlink(_) => Err(Errno::INVAL.into()),
        }
    }

    /// The access mode that it was opened with.
    pub fn access(&self) -> i32 {
        self.flags & libc::O_ACCMODE
    }
}

/// Whether flags of an opening name an access mode.
///
/// # Errors
/// `EINVAL`.
pub fn check_access(flags: i32) -> Answer<()> {
    if flags & libc::O_ACCMODE == libc::O_ACCMODE { Err(Errno::INVAL.into()) } else { Ok(()) }
}

/// Whether a name can be one.
///
/// # Errors
/// `EINVAL` with a slash, or too long.
pub fn check_name(name: &[u8]) -> Answer<()> {
    let is_good = name.len() <= NAME_BYTES_MAX && !name.contains(&b'/');
    if is_good { Ok(()) } else { Err(Errno::INVAL.into()) }
}

impl Mount {
    /// Mounts a container. Messages: its properties, the superblock, the root's entry, and a number for new objects.
    ///
    /// # Errors
    /// `EINVAL` for a container that is no POSIX one; `EPERM` for writing to one that was opened for reading.
    pub fn new(wire: &mut Exchange, container: Arc<Container>, flags: i32, is_snapshot: bool) -> Answer<Self> {
        check_access(flags)?;
        wire.message();
        if !container.is_posix {
            return Err(Errno::INVAL.into());
        }
        wire.message();
        if container.is_writable {
            make_root(&container)?;
        }
        let record = container.fetch(wire, oid::SUPER, b"/", false)?.ok_or(Errno::NOENT)?;
        let is_writable = !is_snapshot && flags & libc::O_ACCMODE == libc::O_RDWR;
        let oids = if is_writable {
            wire.message();
            Some(OidMaker::new(&container)?)
        } else {
            None
        };
        let root = Object {
            oid: oid::ROOT,
            parent: oid::SUPER,
            name: b"/".to_vec(),
            mode: record.mode,
            flags: 0,
            body: Body::Directory { chunk_bytes: record.chunk_bytes, class: record.class },
        };
        Ok(Self { container, is_writable, root, oids })
    }

    /// A new object id.
    ///
    /// # Errors
    /// `EPERM` on a mount for reading.
    pub fn make_oid(&self, is_file: bool) -> Answer<Oid> {
        self.oids.as_ref().ok_or(Der::NO_PERM)?.make(&self.container, is_file)
    }

    /// The directory that a call means: the root where it says none.
    ///
    /// # Errors
    /// `ENOTDIR`.
    pub fn directory<'a>(&'a self, parent: Option<&'a Object>) -> Answer<&'a Object> {
        let parent = parent.unwrap_or(&self.root);
        if parent.is_directory() { Ok(parent) } else { Err(Errno::NOTDIR.into()) }
    }

    /// Where a call finds the entry that it means: a name in a directory, or the root's own where it says no name.
    ///
    /// # Errors
    /// `ENOTDIR`; `EINVAL` for no name in another directory, or one that can't be.
    pub fn place<'a>(&'a self, parent: Option<&'a Object>, name: Option<&'a [u8]>) -> Answer<(Oid, &'a [u8])> {
        let directory = self.directory(parent)?;
        match name {
            None if directory.name == b"/" => Ok((oid::SUPER, b"/")),
            None => Err(Errno::INVAL.into()),
            Some(name) => {
                check_name(name)?;
                Ok((directory.oid, name))
            }
        }
    }

    /// Whether the mount lets itself be changed.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn check_writable(&self) -> Answer<()> {
        if self.is_writable { Ok(()) } else { Err(Errno::PERM.into()) }
    }

    /// The object that an entry leads to.
    pub fn object(&self, record: &Record, parent: Oid, name: &[u8], flags: i32) -> Object {
        let body = match record.kind() {
            libc::S_IFDIR => Body::Directory { chunk_bytes: record.chunk_bytes, class: record.class },
            libc::S_IFLNK => Body::Symlink(record.target.clone()),
            _ => Body::File(Arc::new(self.array(record))),
        };
        Object { oid: record.oid, parent, name: name.to_vec(), mode: record.mode(), flags, body }
    }

    /// The array of a file's entry.
    pub fn array(&self, record: &Record) -> Array {
        Array::open(self.container.clone(), record.oid, self.chunk_bytes(record))
    }

    /// The chunk size of a file's entry.
    pub fn chunk_bytes(&self, record: &Record) -> u64 {
        if record.chunk_bytes == 0 { self.container.chunk_bytes } else { record.chunk_bytes }
    }
}

/// The root's entry, as the making of a container leaves it.
fn make_root(container: &Container) -> Answer<()> {
    // Not a client's call: it takes no message.
    let mut no_wire = Exchange::unheard();
    if container.fetch(&mut no_wire, oid::SUPER, b"/", false)?.is_some() {
        return Ok(());
    }
    let now = Time::now();
    let record = Record {
        mode: libc::S_IFDIR | 0o755,
        oid: oid::ROOT,
        modified: now,
        changed: now,
        epoch: 0,
        chunk_bytes: 0,
        class: 0,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        target: Vec::new(),
        extended: std::collections::BTreeMap::new(),
    };
    match container.insert(&mut no_wire, oid::SUPER, b"/", &record) {
        Err(crate::errors::Trouble::Der(Der::EXIST)) => Ok(()),
        done => done,
    }
}
