//! Directories on the host that stand for a container's, so that the kernel has somewhere to be when a process changes to
//! one. Each is called by its object, and a symlink beside it says where it was: a program that is started there finds
//! the directory by its path, and knows by the object whether that is still the one. A directory may lie deeper than a
//! symlink can tell: then it is a file.

use super::entrance;
use super::moved;
use super::object::{ObjectId, ROOT};
use super::store::Store;
use crate::ground::kernel::Low;
use crate::ground::{Errno, Result};
use crate::store::{Kind, NodeId};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::ffi::CString;

/// The folder of the stand-ins, in the runtime directory.
pub const FOLDER: &str = "cwd";

/// What the kernel's `getcwd` and `/proc/self/cwd` add for a directory that was removed.
const DELETED: &[u8] = b" (deleted)";

/// What the stand-in of a directory that was removed already has behind its object: it leads nobody anywhere.
const GONE: &str = ".gone";

/// What the symlink has behind the object that says where the directory was.
pub(super) const PATH: &str = ".path";

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
        let mut host = self.stand_in_of(known.object).ok_or(Errno::NOLCK)?;
        if is_removed {
            host.push_str(GONE);
        }
        match rustix::fs::mkdir(host.as_str(), Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        if !is_removed {
            write_path(&format!("{host}{PATH}"), &self.path_of(directory)?)?;
        }
        path.get_mut(..host.len()).ok_or(Errno::RANGE)?.copy_from_slice(host.as_bytes());
        self.with(directory, |node| node.has_stand_in = !is_removed);
        Ok(host.len())
    }

    /// The stand-in of a directory that is there.
    fn stand_in_of(&self, object: ObjectId) -> Option<String> {
        self.runtime.directory().map(|directory| format!("{directory}/{FOLDER}/{}", object.to_name()))
    }

    /// Whether somebody on this node has removed a directory that this process works in: libdfs would go on making
    /// names in its object, which nobody would ever see.
    pub fn is_stand_in_gone(&self, id: NodeId, object: ObjectId) -> bool {
        let Some(host) = self.stand_in_of(object) else { return false };
        let is_gone = rustix::fs::access(host.as_str(), rustix::fs::Access::EXISTS) == Err(Errno::NOENT);
        if is_gone {
            self.with(id, |node| node.is_removed = true);
        }
        is_gone
    }

    /// Removes the stand-in of a directory that is gone.
    pub fn remove_stand_in(&self, object: ObjectId) {
        if let Some(host) = self.stand_in_of(object)
            && rustix::fs::unlinkat(CWD, host.as_str(), AtFlags::REMOVEDIR).is_ok()
        {
            let _ = rustix::fs::unlink(format!("{host}{PATH}").as_str());
        }
    }

    /// Directories have other paths (before, after): what is told of paths in them is set right, so that a program which
    /// is started in a stand-in finds its directory, and a note leads on. By what this process knows of the paths; one
    /// that is not set right is not found. How many notes there are.
    pub fn move_paths(&self, moved: &[(Vec<u8>, Vec<u8>)]) -> usize {
        let set_right = |folder| {
            self.runtime.visit(folder, |name, file| {
                let Some(path) = name.ends_with(PATH).then(|| read_path(file).ok()).flatten() else { return };
                let below = |(before, after): &(Vec<u8>, Vec<u8>)| {
                    let rest = path.strip_prefix(before.as_slice())?;
                    (rest.is_empty() || rest[0] == b'/').then(|| [after, rest].concat())
                };
                if let Some(path) = moved.iter().find_map(below) {
                    // A stand-in keeps its object, by which it is known if this goes wrong.
                    let _ = write_path(file, &path);
                }
            })
        };
        set_right(FOLDER);
        set_right(moved::FOLDER)
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
        let path = read_path(&format!("{}{PATH}", self.stand_in_of(object)?)).ok()?;
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
            if entrance::is_network_own() {
                self.settle_place(at);
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

/// Makes a symlink tell another path at once: it is made under another name, and moved into place.
pub(super) fn write_path(link: &str, path: &[u8]) -> Result<()> {
    let new = format!("{link}.{}", rustix::process::getpid().as_raw_nonzero());
    let _ = rustix::fs::unlink(new.as_str());
    match rustix::fs::symlink(path, new.as_str()) {
        Err(Errno::NAMETOOLONG) => write_file(&new, path)?,
        made => made?,
    }
    rustix::fs::rename(new.as_str(), link)
}

fn write_file(new: &str, text: &[u8]) -> Result<()> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY;
    let written = Low::open(CWD, new, flags, Mode::from_raw_mode(0o600))?;
    let mut rest = text;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&written, rest)?..];
    }
    Ok(())
}

pub(super) fn read_path(file: &str) -> Result<Vec<u8>> {
    match rustix::fs::readlink(file, Vec::new()) {
        Err(Errno::INVAL) => {}
        told => return told.map(CString::into_bytes),
    }
    let opened = Low::open(CWD, file, OFlags::RDONLY, Mode::empty())?;
    let mut text = Vec::new();
    let mut block = [0; 4096];
    loop {
        match rustix::io::read(&opened, &mut block)? {
            0 => return Ok(text),
            length => text.extend_from_slice(&block[..length]),
        }
    }
}
