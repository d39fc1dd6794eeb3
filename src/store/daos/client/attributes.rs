//! Attributes of an open node, and its size.
#![allow(unsafe_code)]

use super::dfs_call;
use super::handle::{Handle, bits_of};
use super::mounted::Mounted;
use super::names::Name;
use super::operation::Operation;
use super::queue::Queue;
use crate::ground::{Errno, Result};
use crate::store::daos::error::of_dfs;
use crate::store::{Changes, Kind, OnlyIf};
use std::sync::Arc;

/// `DFS_MAX_FSIZE`: a hole up to it is a new size.
const TO_THE_END: u64 = u64::MAX;

impl Mounted {
    /// The attributes of an open node, if its name still leads to it. Two messages, under way at once where the library
    /// has a call for that.
    ///
    /// # Errors
    /// `ENOENT` where the name leads elsewhere by now: the node was renamed or removed by somebody else.
    pub fn stat(self: &Arc<Self>, node: &Arc<Handle>) -> Result<libc::stat> {
        self.count(2);
        if self.library.calls.dfs_ostatx.is_some() {
            let mut operation = Operation::stat(self, Queue::lend(self.library)?, node)?;
            operation.wait(&self.patience())?;
            return operation.attributes();
        }
        // SAFETY: plain numbers.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        of_dfs(dfs_call!(self.library, dfs_ostat(self.dfs(), node.as_ptr(), &raw mut stat)))?;
        Ok(stat)
    }

    /// The root's attributes, which stand under no name. Two messages.
    ///
    /// # Errors
    /// The library's.
    pub fn stat_root(&self) -> Result<libc::stat> {
        // SAFETY: plain numbers.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        self.count(2);
        let none = std::ptr::null_mut();
        of_dfs(dfs_call!(self.library, dfs_stat(self.dfs(), none, std::ptr::null(), &raw mut stat)))?;
        Ok(stat)
    }

    /// Changes attributes of an open node, but for the root's: three messages. The access time is not kept.
    ///
    /// # Errors
    /// `ENOENT` as in `stat`; `EOPNOTSUPP` for the sticky bit.
    pub fn change(&self, node: &Handle, kind: Kind, changes: &Changes) -> Result<()> {
        /// `DFS_SET_ATTR_MODE`, `_MTIME`, `_UID`, `_GID`.
        const MODE: i32 = 1;
        const MODIFIED: i32 = 4;
        const USER: i32 = 16;
        const GROUP: i32 = 32;
        // SAFETY: plain numbers.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        let mut flags = 0;
        if let Some(mode) = changes.mode {
            stat.st_mode = bits_of(kind) | mode;
            flags |= MODE;
        }
        if let Some(uid) = changes.uid {
            stat.st_uid = uid;
            flags |= USER;
        }
        if let Some(gid) = changes.gid {
            stat.st_gid = gid;
            flags |= GROUP;
        }
        if let Some(modified) = changes.modified {
            (stat.st_mtime, stat.st_mtime_nsec) = modified.parts();
            flags |= MODIFIED;
        }
        if flags == 0 {
            return Ok(());
        }
        self.count(3);
        of_dfs(dfs_call!(self.library, dfs_osetattr(self.dfs(), node.as_ptr(), &raw mut stat, flags)))
    }

    /// Sets the root's permission bits.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for the sticky bit.
    pub fn change_root_mode(&self, mode: u32) -> Result<()> {
        self.count(2);
        let none = std::ptr::null_mut();
        of_dfs(dfs_call!(self.library, dfs_chmod(self.dfs(), none, std::ptr::null(), mode)))
    }

    /// Sets the root's owner.
    ///
    /// # Errors
    /// `ENOSYS` with a library that has no such call.
    pub fn change_root_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.count(2);
        let (uid, gid) = (uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX));
        let none = std::ptr::null_mut();
        of_dfs(dfs_call!(self.library, dfs_chown(self.dfs(), none, std::ptr::null(), uid, gid, libc::O_NOFOLLOW)))
    }

    /// A file's size in bytes. One message.
    ///
    /// # Errors
    /// The library's.
    pub fn size(&self, file: &Handle) -> Result<u64> {
        let mut size = 0;
        self.count(1);
        of_dfs(dfs_call!(self.library, dfs_get_size(self.dfs(), file.as_ptr(), &raw mut size)))?;
        Ok(size)
    }

    /// Sets a file's size. One message for each of its targets.
    ///
    /// # Errors
    /// The library's.
    pub fn set_size(&self, file: &Handle, size_bytes: u64) -> Result<()> {
        self.count(1);
        of_dfs(dfs_call!(self.library, dfs_punch(self.dfs(), file.as_ptr(), size_bytes, TO_THE_END)))
    }

    /// Makes a hole that ends before the file does: with a range up to the end or past it libdfs would cut the file off.
    ///
    /// # Errors
    /// The library's.
    pub fn punch(&self, file: &Handle, offset: u64, length: u64) -> Result<()> {
        self.count(2);
        of_dfs(dfs_call!(self.library, dfs_punch(self.dfs(), file.as_ptr(), offset, length)))
    }

    /// An extended attribute's value; its whole length. With an empty `room` the length alone.
    ///
    /// # Errors
    /// `ENODATA`, `ERANGE`.
    pub fn extended_attribute(&self, node: &Handle, name: &Name, room: &mut [u8]) -> Result<usize> {
        let mut length = room.len() as u64;
        let value = if room.is_empty() { std::ptr::null_mut() } else { room.as_mut_ptr().cast() };
        self.count(1);
        let answer =
            dfs_call!(self.library, dfs_getxattr(self.dfs(), node.as_ptr(), name.as_ptr(), value, &raw mut length));
        match of_dfs(answer) {
            Ok(()) if !room.is_empty() && length > room.len() as u64 => Err(Errno::RANGE),
            Ok(()) => Ok(length as usize),
            Err(Errno::NOENT) => Err(Errno::NODATA),
            // A value that does not fit is "too big a record" to the servers.
            Err(Errno::TOOBIG | Errno::OVERFLOW) => Err(Errno::RANGE),
            Err(error) => Err(error),
        }
    }

    /// Whether there is an attribute of that name, if it matters.
    fn existing_if(&self, matters: bool, node: &Handle, name: &Name) -> Result<bool> {
        if !matters {
            return Ok(false);
        }
        match self.extended_attribute(node, name, &mut []) {
            Err(Errno::NODATA) => Ok(false),
            told => told.map(|_| true),
        }
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    /// `EEXIST`, `ENODATA`, `E2BIG`.
    pub fn set_extended_attribute(&self, node: &Handle, name: &Name, value: &[u8], only: Option<OnlyIf>) -> Result<()> {
        let flags = match only {
            None => 0,
            Some(OnlyIf::Absent) => libc::XATTR_CREATE,
            Some(OnlyIf::Present) => libc::XATTR_REPLACE,
        };
        // The conditions that libdfs sends along have no effect on a real 2.8.0 (measured): so it is asked before.
        match (only, self.existing_if(only.is_some(), node, name)?) {
            (Some(OnlyIf::Present), false) => return Err(Errno::NODATA),
            (Some(OnlyIf::Absent), true) => return Err(Errno::EXIST),
            _ => {}
        }
        let (start, length) = (value.as_ptr().cast(), value.len() as u64);
        self.count(1);
        let answer =
            dfs_call!(self.library, dfs_setxattr(self.dfs(), node.as_ptr(), name.as_ptr(), start, length, flags));
        match of_dfs(answer) {
            Err(Errno::NOENT) if only == Some(OnlyIf::Present) => Err(Errno::NODATA),
            outcome => outcome,
        }
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    /// `ENODATA`.
    pub fn remove_extended_attribute(&self, node: &Handle, name: &Name) -> Result<()> {
        self.count(2);
        match of_dfs(dfs_call!(self.library, dfs_removexattr(self.dfs(), node.as_ptr(), name.as_ptr()))) {
            Err(Errno::NOENT) => Err(Errno::NODATA),
            outcome => outcome,
        }
    }

    /// The names of the extended attributes, each with its NUL; their whole length. With an empty `room` that alone.
    ///
    /// # Errors
    /// `ERANGE`.
    pub fn extended_attribute_names(&self, node: &Handle, room: &mut [u8]) -> Result<usize> {
        let mut length = room.len() as u64;
        let names = if room.is_empty() { std::ptr::null_mut() } else { room.as_mut_ptr().cast() };
        self.count(1);
        of_dfs(dfs_call!(self.library, dfs_listxattr(self.dfs(), node.as_ptr(), names, &raw mut length)))?;
        if !room.is_empty() && length > room.len() as u64 {
            return Err(Errno::RANGE);
        }
        Ok(length as usize)
    }
}
