//! Directories on the host that stand for a container's, so that the kernel has somewhere to be when a process changes to
//! one. Each is called by its object, and a file beside it says where it was: a program that is started there finds the
//! directory by its path, and knows by the object whether that is still the one.
//!
//! A file and no symlink, because a directory may lie deeper than `PATH_MAX`.

use super::object::{ObjectId, ROOT};
use super::store::Store;
use crate::ground::kernel::Low;
use crate::ground::{Errno, Result};
use crate::store::{Kind, NodeId};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir};
use std::os::fd::AsFd;

/// What the kernel's `getcwd` and `/proc/self/cwd` add for a directory that was removed.
const DELETED: &[u8] = b" (deleted)";

/// What the stand-in of a directory that was removed already has behind its object: it leads nobody anywhere.
const GONE: &str = ".gone";

/// What the file has behind the object that says where the directory was.
const PATH: &str = ".path";

/// Directories within one another that are followed, at most.
const DEPTH_MAX: usize = 65536;

impl Store {
    /// A stand-in for a directory; its path goes to `path`.
    ///
    /// # Errors
    /// `ENOTDIR`, `ENOENT` for one that was removed, `ERANGE` where `path` is too short, `ENOLCK` without a runtime
    /// directory.
    pub fn host_stand_in(&self, directory: NodeId, path: &mut [u8]) -> Result<usize> {
        let known = self.known(directory)?;
        if known.kind != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        let is_removed = self.with(directory, |node| node.is_removed) == Some(true);
        let mut host = format!("{}/cwd/{}", self.runtime.directory().ok_or(Errno::NOLCK)?, known.object.to_name());
        if is_removed {
            host.push_str(GONE);
        }
        match rustix::fs::mkdir(host.as_str(), Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        if !is_removed {
            write_whole(&format!("{host}{PATH}"), &self.path_of(directory)?)?;
        }
        path.get_mut(..host.len()).ok_or(Errno::RANGE)?.copy_from_slice(host.as_bytes());
        self.with(directory, |node| node.has_stand_in = !is_removed);
        Ok(host.len())
    }

    /// Whether somebody on this node has removed a directory that this process works in: libdfs would go on making
    /// names in its object, which nobody would ever see.
    pub fn is_stand_in_gone(&self, id: NodeId, object: ObjectId) -> bool {
        let Some(directory) = self.runtime.directory() else { return false };
        let host = format!("{directory}/cwd/{}", object.to_name());
        let is_gone = rustix::fs::access(host.as_str(), rustix::fs::Access::EXISTS) == Err(Errno::NOENT);
        if is_gone {
            self.with(id, |node| node.is_removed = true);
        }
        is_gone
    }

    /// Removes the stand-in of a directory that is gone.
    pub fn remove_stand_in(&self, object: ObjectId) {
        if let Some(directory) = self.runtime.directory() {
            let host = format!("{directory}/cwd/{}", object.to_name());
            if rustix::fs::unlinkat(CWD, host.as_str(), AtFlags::REMOVEDIR).is_ok() {
                let _ = rustix::fs::unlink(format!("{host}{PATH}").as_str());
            }
        }
    }

    /// A directory has another path: what the stand-ins of those in it say is set right, so that a program which is
    /// started in one of them finds it. By what this process knows of the path; one that is not set right is not found.
    pub fn move_stand_ins(&self, before: &[u8], after: &[u8]) {
        let Some(directory) = self.runtime.directory().map(|directory| format!("{directory}/cwd")) else { return };
        let Ok(opened) = Low::open(CWD, directory.as_str(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) else {
            return;
        };
        let mut room = [const { std::mem::MaybeUninit::uninit() }; 2048];
        let mut entries = RawDir::new(opened.as_fd(), &mut room);
        while let Some(Ok(entry)) = entries.next() {
            let Ok(name) = entry.file_name().to_str() else { continue };
            if !name.ends_with(PATH) {
                continue;
            }
            let file = format!("{directory}/{name}");
            let Ok(path) = read_whole(&file) else { continue };
            let rest = path.strip_prefix(before).filter(|rest| rest.is_empty() || rest[0] == b'/');
            if let Some(rest) = rest {
                // Its directory keeps its object, by which it is known if this goes wrong.
                let _ = write_whole(&file, &[after, rest].concat());
            }
        }
    }

    /// Which directory a host path stands for.
    pub fn directory_at(&self, host_path: &[u8]) -> Option<NodeId> {
        let directory = self.runtime.directory()?;
        let rest = host_path.strip_prefix(directory.as_bytes())?.strip_prefix(b"/cwd/")?;
        let rest = rest.strip_suffix(DELETED).unwrap_or(rest);
        let object = ObjectId::from_name(rest.strip_suffix(GONE.as_bytes()).unwrap_or(rest))?;
        let known = self.nodes.lock().of_object(object);
        if let Some(id) = known {
            self.with(id, |node| node.has_stand_in = true);
            return Some(id);
        }
        let path = read_whole(&format!("{directory}/cwd/{}{PATH}", object.to_name())).ok()?;
        let at = self.walk(&path).ok()?;
        let known = self.known(at).ok()?;
        if known.object != object || known.kind != Kind::Directory {
            return None;
        }
        self.with(at, |node| node.has_stand_in = true);
        Some(at)
    }

    /// What a path in the container leads to, symlinks not followed.
    ///
    /// # Errors
    /// As `look_up`.
    pub fn walk(&self, path: &[u8]) -> Result<NodeId> {
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(ROOT, |at, name| Ok(self.look_up(at, name, false)?.node))
    }

    /// A directory's path in the container, from `/` on, by what is known.
    ///
    /// # Errors
    /// `ESTALE`, `ENAMETOOLONG`.
    pub fn path_of(&self, directory: NodeId) -> Result<Vec<u8>> {
        let mut path = Vec::new();
        let mut at = directory;
        for _ in 0..DEPTH_MAX {
            if at == ROOT {
                if path.is_empty() {
                    path.push(b'/');
                }
                return Ok(path);
            }
            let mut nodes = self.nodes.lock();
            let node = nodes.get(at).ok_or(Errno::STALE)?;
            let mut longer = Vec::with_capacity(node.name.len() + 1 + path.len());
            longer.push(b'/');
            longer.extend_from_slice(&node.name);
            longer.append(&mut path);
            path = longer;
            at = node.parent;
        }
        Err(Errno::NAMETOOLONG)
    }
}

/// Gives a file another content at once: it is written under another name, and moved into place.
fn write_whole(file: &str, text: &[u8]) -> Result<()> {
    let new = format!("{file}.{}", rustix::process::getpid().as_raw_nonzero());
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC;
    let written = rustix::fs::open(new.as_str(), flags, Mode::from_raw_mode(0o600))?;
    let mut rest = text;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&written, rest)?..];
    }
    rustix::fs::rename(new.as_str(), file)
}

fn read_whole(file: &str) -> Result<Vec<u8>> {
    let opened = rustix::fs::open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::new();
    let mut block = [0; 4096];
    loop {
        match rustix::io::read(&opened, &mut block)? {
            0 => return Ok(text),
            length => text.extend_from_slice(&block[..length]),
        }
    }
}
