//! Snapshots: copies of a container's directory, made while nobody writes.

use crate::container::{Container, Properties};
use crate::errors::{Answer, Der};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, SeekFrom, fstat, ftruncate, openat, seek};
use rustix::io::Errno;
use sidestep::ground::buffer::Segment;
use sidestep::ground::kernel;
use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const COPIED_BYTES: usize = 1 << 20;

impl Container {
    fn snapshots(&self) -> PathBuf {
        self.directory.join("snapshots")
    }

    /// `daos_cont_create_snap`: answers the epoch.
    ///
    /// # Errors
    /// What the host answers.
    pub fn make_snapshot(&self, name: &[u8]) -> Answer<u64> {
        if name.contains(&b'/') {
            return Err(Der::INVAL.into());
        }
        let epoch = kernel::now().cast_unsigned();
        let _alone = self.lock()?;
        make_directory(&self.snapshots())?;
        let to = self.snapshots().join([format!("{epoch}.").as_bytes(), name].concat().as_os_str());
        make_directory(&to)?;
        copy_directory(&self.directory, &to)?;
        Ok(epoch)
    }

    /// The snapshot of that name, open for reading.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn snapshot_by_name(&self, name: &[u8]) -> Answer<Arc<Self>> {
        self.open_snapshot(|_, known| known == name)
    }

    /// The snapshot of that epoch, open for reading.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn snapshot(&self, epoch: u64) -> Answer<Arc<Self>> {
        self.open_snapshot(|known, _| known == epoch.to_string().as_bytes())
    }

    fn open_snapshot(&self, is_meant: impl Fn(&[u8], &[u8]) -> bool) -> Answer<Arc<Self>> {
        let names = names(&self.snapshots()).unwrap_or_default();
        let found = names.into_iter().find(|name| {
            let mut parts = name.splitn(2, |byte| *byte == b'.');
            matches!((parts.next(), parts.next()), (Some(epoch), Some(name)) if is_meant(epoch, name))
        });
        let directory = self.snapshots().join(found.ok_or(Errno::NOENT)?.as_os_str());
        let mut snapshot = Self::open_at(&directory, &directory, false)?;
        snapshot.uuid = Properties::read(&self.directory).ok_or(Errno::NOENT)?.uuid;
        Ok(Arc::new(snapshot))
    }
}

trait AsOsStr {
    fn as_os_str(&self) -> &OsStr;
}

impl AsOsStr for Vec<u8> {
    fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self)
    }
}

fn make_directory(path: &Path) -> rustix::io::Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn names(directory: &Path) -> rustix::io::Result<Vec<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let entries = Dir::new(openat(CWD, directory, flags, Mode::empty())?)?;
    let name = |entry: rustix::io::Result<rustix::fs::DirEntry>| Ok(entry?.file_name().to_bytes().to_vec());
    let names: rustix::io::Result<Vec<_>> = entries.map(name).collect();
    Ok(names?.into_iter().filter(|name| *name != b"." && *name != b".." && *name != b"snapshots").collect())
}

fn copy_directory(from: &Path, to: &Path) -> rustix::io::Result<()> {
    for name in names(from)? {
        let (from, to) = (from.join(name.as_os_str()), to.join(name.as_os_str()));
        match FileType::from_raw_mode(rustix::fs::lstat(&from)?.st_mode) {
            FileType::Directory => {
                make_directory(&to)?;
                copy_directory(&from, &to)?;
            }
            FileType::RegularFile => copy_file(&from, &to)?,
            _ => {}
        }
    }
    Ok(())
}

/// Copies what is in a file, and not its holes: the embedded engine's files are long and empty.
fn copy_file(from: &Path, to: &Path) -> rustix::io::Result<()> {
    let from = openat(CWD, from, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let to = openat(CWD, to, flags, Mode::from_raw_mode(0o600))?;
    ftruncate(&to, fstat(&from)?.st_size.cast_unsigned())?;
    let mut room = vec![0; COPIED_BYTES];
    let mut at = 0;
    loop {
        at = match seek(&from, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => return Ok(()),
            found => found?,
        };
        let length = rustix::io::pread(&from, &mut room, at)?;
        let mut written = 0;
        while written < length {
            let rest = Segment::of_slice(&room[written..length]);
            written += kernel::write_at(to.as_raw_fd(), &rest, at + written as u64)?;
        }
        at += length as u64;
    }
}
