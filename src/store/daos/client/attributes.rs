//! Attributes of an open node, and its size.
#![allow(unsafe_code)]

use super::dfs_call;
use super::handle::{Handle, bits_of};
use super::mounted::Mounted;
use super::names::Name;
use super::operation::{Operation, Subject};
use crate::ground::{Errno, Result};
use crate::store::daos::error::of_dfs;
use crate::store::{Changes, Kind, OnlyIf};
use std::sync::Arc;

/// `DFS_MAX_FSIZE`: a hole up to it is a new size.
const TO_THE_END: u64 = u64::MAX;

/// Where a node's attributes are told.
struct Told {
    stat: libc::stat,
    // Open for as long as the library uses it.
    _handle: Arc<Handle>,
}

impl Subject for Told {
    fn outcome(number: i32) -> Result<()> {
        of_dfs(number)
    }
}

impl Operation<Told> {
    /// Begins to ask for the attributes of an open node.
    fn stat(mounted: &Arc<Mounted>, handle: &Arc<Handle>) -> Result<Self> {
        // SAFETY: a plain structure of numbers.
        let told = Told { stat: unsafe { std::mem::zeroed() }, _handle: handle.clone() };
        let (library, dfs, node) = (mounted.library, mounted.dfs(), handle.as_ptr());
        Self::begin(mounted, told, |told, event| dfs_call!(library, dfs_ostatx(dfs, node, &raw mut told.stat, event)))
    }
}

impl Mounted {
    /// The attributes of an open node, if its name still leads to it. Two messages, under way at once where the library
    /// has a call for that.
    ///
    /// # Errors
    /// `ENOENT` where the name leads elsewhere by now: the node was renamed or removed by somebody else.
    pub fn stat(self: &Arc<Self>, node: &Arc<Handle>) -> Result<libc::stat> {
        self.count(2);
        if self.library.calls.dfs_ostatx.is_some() {
            let mut operation = Operation::stat(self, node)?;
            operation.wait(&self.patience())?;
            return operation.subject().map(|told| told.stat).ok_or(Errno::IO);
        }
        let (library, dfs, node) = (self.library, self.dfs(), node.as_ptr());
        self.bounded(move || {
            // SAFETY: plain numbers.
            let mut stat: libc::stat = unsafe { std::mem::zeroed() };
            of_dfs(dfs_call!(library, dfs_ostat(dfs, node, &raw mut stat)))?;
            Ok(stat)
        })?
    }

    /// The root's attributes, which stand under no name. Two messages.
    ///
    /// # Errors
    /// The library's.
    pub fn stat_root(&self) -> Result<libc::stat> {
        let (library, dfs) = (self.library, self.dfs());
        self.count(2);
        self.bounded(move || {
            // SAFETY: plain numbers.
            let mut stat: libc::stat = unsafe { std::mem::zeroed() };
            of_dfs(dfs_call!(library, dfs_stat(dfs, std::ptr::null_mut(), std::ptr::null(), &raw mut stat)))?;
            Ok(stat)
        })?
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
        let (library, dfs, node) = (self.library, self.dfs(), node.as_ptr());
        self.bounded(move || of_dfs(dfs_call!(library, dfs_osetattr(dfs, node, &raw mut stat, flags))))?
    }

    /// Sets the root's permission bits.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for the sticky bit.
    pub fn change_root_mode(&self, mode: u32) -> Result<()> {
        self.count(2);
        let (library, dfs) = (self.library, self.dfs());
        self.bounded(move || of_dfs(dfs_call!(library, dfs_chmod(dfs, std::ptr::null_mut(), std::ptr::null(), mode))))?
    }

    /// Sets the root's owner.
    ///
    /// # Errors
    /// `ENOSYS` with a library that has no such call.
    pub fn change_root_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.count(2);
        let (uid, gid) = (uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX));
        let (library, dfs) = (self.library, self.dfs());
        self.bounded(move || {
            let (parent, name) = (std::ptr::null_mut(), std::ptr::null());
            of_dfs(dfs_call!(library, dfs_chown(dfs, parent, name, uid, gid, libc::O_NOFOLLOW)))
        })?
    }

    /// A file's size in bytes. One message.
    ///
    /// # Errors
    /// The library's.
    pub fn size(&self, file: &Handle) -> Result<u64> {
        let (library, dfs, node) = (self.library, self.dfs(), file.as_ptr());
        self.count(1);
        self.bounded(move || {
            let mut size = 0;
            of_dfs(dfs_call!(library, dfs_get_size(dfs, node, &raw mut size)))?;
            Ok(size)
        })?
    }

    /// Sets a file's size. One message for each of its targets.
    ///
    /// # Errors
    /// The library's.
    pub fn set_size(&self, file: &Handle, size_bytes: u64) -> Result<()> {
        self.count(1);
        self.cut(file, size_bytes, TO_THE_END)
    }

    /// Makes a hole that ends before the file does: with a range up to the end or past it libdfs would cut the file off.
    ///
    /// # Errors
    /// The library's.
    pub fn punch(&self, file: &Handle, offset: u64, length: u64) -> Result<()> {
        self.count(2);
        self.cut(file, offset, length)
    }

    fn cut(&self, file: &Handle, offset: u64, length: u64) -> Result<()> {
        let (library, dfs, file) = (self.library, self.dfs(), file.as_ptr());
        self.bounded(move || of_dfs(dfs_call!(library, dfs_punch(dfs, file, offset, length))))?
    }

    /// An extended attribute's value; its whole length. With an empty `room` the length alone.
    ///
    /// # Errors
    /// `ENODATA`, `ERANGE`.
    pub fn extended_attribute(&self, node: &Handle, name: &Name, room: &mut [u8]) -> Result<usize> {
        let (library, dfs, node, name) = (self.library, self.dfs(), node.as_ptr(), name.clone());
        self.count(1);
        let (answer, length) = self.bounded_into(room, move |value, length| {
            dfs_call!(library, dfs_getxattr(dfs, node, name.as_ptr(), value.cast(), length))
        })?;
        match of_dfs(answer) {
            Ok(()) if !room.is_empty() && length > room.len() as u64 => Err(Errno::RANGE),
            Ok(()) => Ok(length as usize),
            Err(Errno::NOENT) => Err(Errno::NODATA),
            // A value that does not fit is "too big a record" to the servers.
            Err(Errno::TOOBIG | Errno::OVERFLOW) => Err(Errno::RANGE),
            Err(error) => Err(error),
        }
    }

    /// Makes a call that fills memory and tells the whole length of what there is; with an empty `room` that alone.
    fn bounded_into(
        &self,
        room: &mut [u8],
        call: impl FnOnce(*mut u8, *mut u64) -> i32 + 'static,
    ) -> Result<(i32, u64)> {
        let room_bytes = room.len();
        let (answer, length, told) = self.bounded(move || {
            let mut told = vec![0u8; room_bytes];
            let mut length = room_bytes as u64;
            let answer = call(if room_bytes == 0 { std::ptr::null_mut() } else { told.as_mut_ptr() }, &raw mut length);
            (answer, length, told)
        })?;
        if answer == 0 {
            let count = room_bytes.min(usize::try_from(length).unwrap_or(usize::MAX));
            room[..count].copy_from_slice(&told[..count]);
        }
        Ok((answer, length))
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
        let (library, dfs, node, name, value) = (self.library, self.dfs(), node.as_ptr(), name.clone(), value.to_vec());
        self.count(1);
        let answer = self.bounded(move || {
            let (start, length) = (value.as_ptr().cast(), value.len() as u64);
            dfs_call!(library, dfs_setxattr(dfs, node, name.as_ptr(), start, length, flags))
        })?;
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
        let (library, dfs, node, name) = (self.library, self.dfs(), node.as_ptr(), name.clone());
        match self.bounded(move || of_dfs(dfs_call!(library, dfs_removexattr(dfs, node, name.as_ptr()))))? {
            Err(Errno::NOENT) => Err(Errno::NODATA),
            outcome => outcome,
        }
    }

    /// The names of the extended attributes, each with its NUL; their whole length. With an empty `room` that alone.
    ///
    /// # Errors
    /// `ERANGE`.
    pub fn extended_attribute_names(&self, node: &Handle, room: &mut [u8]) -> Result<usize> {
        let (library, dfs, node) = (self.library, self.dfs(), node.as_ptr());
        self.count(1);
        let (answer, length) = self.bounded_into(room, move |names, length| {
            dfs_call!(library, dfs_listxattr(dfs, node, names.cast(), length))
        })?;
        of_dfs(answer)?;
        if !room.is_empty() && length > room.len() as u64 {
            return Err(Errno::RANGE);
        }
        Ok(length as usize)
    }
}
