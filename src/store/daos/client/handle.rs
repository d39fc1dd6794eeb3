//! An open node of libdfs.
#![allow(unsafe_code)]

use super::{bounded, dfs_call};
use crate::ground::Result;
use crate::store::daos::bindings::{d_iov_t, daos_handle_t, daos_obj_id_t, dfs_obj_t, dfs_t};
use crate::store::daos::entrance;
use crate::store::daos::error::of_dfs;
use crate::store::daos::library::Library;
use crate::store::daos::object::ObjectId;
use crate::store::{Kind, TICKET_BYTES_MAX};
use std::ptr::NonNull;

/// An open file, directory or symlink; dropping it closes it. libdfs reads and writes through one
/// from several threads at once: it is never changed after it was opened.
pub struct Handle {
    node: NonNull<dfs_obj_t>,
    library: &'static Library,
}

// SAFETY: libdfs's functions on an open node read it only; what is behind it (array and object handles) is counted and
// locked by libdaos.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// Takes what a call opened.
    ///
    /// # Safety
    /// `node` is null or an open node that nobody else closes.
    pub(super) unsafe fn new(library: &'static Library, node: *mut dfs_obj_t) -> Result<Self> {
        let node = NonNull::new(node).ok_or(crate::ground::Errno::IO)?;
        Ok(Self { node, library })
    }

    pub(super) fn as_ptr(&self) -> *mut dfs_obj_t {
        self.node.as_ptr()
    }

    /// Its object. No message.
    pub fn object(&self) -> Result<ObjectId> {
        let mut object = daos_obj_id_t { lo: 0, hi: 0 };
        of_dfs(dfs_call!(self.library, dfs_obj2id(self.as_ptr(), &raw mut object)))?;
        Ok(ObjectId { low: object.lo, high: object.hi })
    }

    /// Kind and permission bits as they were when it was opened. No message.
    pub fn mode(&self) -> Result<u32> {
        let mut mode = 0;
        of_dfs(dfs_call!(self.library, dfs_get_mode(self.as_ptr(), &raw mut mode)))?;
        Ok(mode)
    }

    /// A file's chunk size in bytes. No message.
    pub fn chunk_bytes(&self) -> Result<u64> {
        let mut chunk_bytes = 0;
        of_dfs(dfs_call!(self.library, dfs_get_chunk_size(self.as_ptr(), &raw mut chunk_bytes)))?;
        Ok(chunk_bytes)
    }

    /// A file's array. No message.
    pub(super) fn array(&self) -> Result<daos_handle_t> {
        let mut array = daos_handle_t { cookie: 0 };
        of_dfs(dfs_call!(self.library, dfs_get_file_oh(self.as_ptr(), &raw mut array)))?;
        Ok(array)
    }

    /// Copies a symlink's target; its whole length. No message: it was read when the symlink was opened.
    pub fn target(&self, room: &mut [u8]) -> Result<usize> {
        let mut copy = [0u8; 4096];
        let mut length = copy.len() as u64;
        of_dfs(dfs_call!(
            self.library,
            dfs_get_symlink_value(self.as_ptr(), copy.as_mut_ptr().cast(), &raw mut length)
        ))?;
        // The length counts the NUL.
        let length = (length as usize).saturating_sub(1).min(copy.len() - 1);
        let count = length.min(room.len());
        room[..count].copy_from_slice(&copy[..count]);
        Ok(length)
    }

    /// The node as bytes for another process; how many of `room`.
    pub(super) fn to_global(&self, dfs: *mut dfs_t, room: &mut [u8]) -> Result<usize> {
        let mut copy = [0u8; TICKET_BYTES_MAX];
        let mut bytes = d_iov_t { iov_buf: copy.as_mut_ptr().cast(), iov_buf_len: copy.len(), iov_len: 0 };
        of_dfs(dfs_call!(self.library, dfs_obj_local2global(dfs, self.as_ptr(), &raw mut bytes)))?;
        let length = bytes.iov_len.min(copy.len());
        room.get_mut(..length).ok_or(crate::ground::Errno::RANGE)?.copy_from_slice(&copy[..length]);
        Ok(length)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _entered = entrance::enter_as_is();
        if may_close() {
            // What it answers can't be mended: the memory is gone or leaked.
            let _ = dfs_call!(self.library, dfs_release(self.as_ptr()));
        }
    }
}

/// Whether something open may be closed; else its memory is lost, no more. Closing may drive the network, which in a child
/// that has not used the library is its parent's. And a call that was left may use what it closes.
pub(super) fn may_close() -> bool {
    entrance::is_network_own() && !bounded::is_any_left()
}

/// The kind in a mode.
pub fn kind_of(mode: u32) -> Kind {
    match mode & libc::S_IFMT {
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFLNK => Kind::Symlink,
        _ => Kind::File,
    }
}

/// The kind as `mode` has it.
pub fn bits_of(kind: Kind) -> u32 {
    match kind {
        Kind::File => libc::S_IFREG,
        Kind::Directory => libc::S_IFDIR,
        Kind::Symlink => libc::S_IFLNK,
    }
}
