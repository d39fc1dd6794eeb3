//! Directories on the host that stand for ours, so that the kernel has somewhere to be when a process changes to one.

use super::layout::STAND_INS;
use super::record::{Record, STANDS_IN};
use super::store::Store;
use super::store_directory::Refusal;
use crate::ground::{Errno, Result};
use crate::store::{Kind, NodeId};
use rustix::fs::AtFlags;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::Ordering;

/// What the kernel's `getcwd` and `/proc/self/cwd` add for a directory that was removed.
const DELETED: &[u8] = b" (deleted)";

impl Store {
    /// A stand-in for a directory, made if there is none; its path goes to `path`.
    ///
    /// # Errors
    /// `ENOTDIR`, `ENOENT` for one that was removed, `ERANGE` where `path` is too short, `ENOSPC`.
    pub fn host_stand_in(&self, directory: NodeId, path: &mut [u8]) -> Result<usize> {
        let (record, kind) = self.live_record(directory)?;
        if kind != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        let name = name(directory.0, record.generation.load(Ordering::Acquire));
        let is_removed = record.links.load(Ordering::Acquire) == 0;
        if !self.is_frozen() && (is_removed || !record.has(STANDS_IN)) {
            self.directory().make_directory(&name).map_err(Refusal::errno)?;
            record.flags.fetch_or(STANDS_IN, Ordering::AcqRel);
        }
        let whole = self.path().join(name);
        let whole = whole.as_os_str().as_bytes();
        path.get_mut(..whole.len()).ok_or(Errno::RANGE)?.copy_from_slice(whole);
        Ok(whole.len())
    }

    /// The directory that a host path stands for.
    pub fn directory_at(&self, host_path: &[u8]) -> Option<NodeId> {
        let rest = host_path.strip_prefix(self.path().as_os_str().as_bytes())?;
        let rest = rest.strip_prefix(b"/")?.strip_prefix(STAND_INS.as_bytes())?.strip_prefix(b"/")?;
        let rest = rest.strip_suffix(DELETED).unwrap_or(rest);
        let (node, generation) = std::str::from_utf8(rest).ok()?.split_once('.')?;
        let node = u64::from_str_radix(node, 16).ok()?;
        let generation = u32::from_str_radix(generation, 16).ok()?;
        self.record(node).filter(|record| record.generation.load(Ordering::Acquire) == generation).map(|_| NodeId(node))
    }

    /// Removes the stand-in of a directory that is gone. A process that stands there stays, on a removed directory, as
    /// it would natively.
    pub fn remove_stand_in(&self, node: u64, generation: u32, record: &Record) {
        if record.has(STANDS_IN) {
            let _ = self.directory().remove(&name(node, generation), AtFlags::REMOVEDIR);
        }
    }
}

fn name(node: u64, generation: u32) -> String {
    format!("{STAND_INS}/{node:x}.{generation:x}")
}
