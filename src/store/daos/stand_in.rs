//! What a directory is called as a working directory: by the container and the object. A note in the runtime directory, a
//! symlink, says where it was: a program that is started there finds the directory by its path, and knows by the object
//! whether that is still the one. A directory may lie deeper than a symlink can tell: then it is a file. Where there is
//! no note, `SIDESTEP_CWD` tells the path.

use super::entrance;
use super::moved;
use super::object::{ObjectId, ROOT};
use super::store::Store;
use crate::ground::kernel::Low;
use crate::ground::{Errno, Result};
use crate::store::{Kind, NodeId};
use rustix::fs::{CWD, Mode, OFlags};
use std::ffi::CString;

/// The folder of the notes, in the runtime directory.
pub const FOLDER: &str = "cwd";

/// What a note has behind the object that says where the directory was.
pub(super) const PATH: &str = ".path";

/// Directories within one another that are followed, at most.
const DEPTH_MAX: usize = 65536;

impl Store {
    /// The name that tells a directory.
    ///
    /// # Errors
    /// `ENOTDIR`, `ESTALE`.
    pub fn stand_in_name(&self, directory: NodeId) -> Result<String> {
        let known = self.known(directory)?;
        if known.kind != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        let is_removed = self.with(directory, |node| node.is_removed) == Some(true);
        if !is_removed
            && let Some(note) = self.stand_in_note(known.object)
            && let Ok(path) = self.path_of(directory)
        {
            // Without it the path is told to each new program.
            let _ = write_path(&note, &path);
        }
        Ok(format!("{}{}", self.stand_in_start(), known.object.to_name()))
    }

    fn stand_in_start(&self) -> String {
        let uuid = self.mounted.uuid.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("d.{uuid}.")
    }

    fn stand_in_note(&self, object: ObjectId) -> Option<String> {
        self.runtime.directory().map(|directory| format!("{directory}/{FOLDER}/{}{PATH}", object.to_name()))
    }

    /// Removes the note about a directory that is gone.
    pub fn remove_stand_in(&self, object: ObjectId) {
        if let Some(note) = self.stand_in_note(object) {
            let _ = rustix::fs::unlink(note.as_str());
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

    /// Which directory a stand-in's name tells.
    pub fn directory_of_stand_in(&self, name: &str) -> Option<NodeId> {
        let object = ObjectId::from_name(name.strip_prefix(self.stand_in_start().as_str())?.as_bytes())?;
        let known = self.nodes.lock().of_object(object);
        if known.is_some() {
            return known;
        }
        let path = read_path(&self.stand_in_note(object)?).ok()?;
        let at = self.walk(&path).ok()?;
        let known = self.known(at).ok()?;
        (known.object == object && known.kind == Kind::Directory).then_some(at)
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
