//! Names: look-up, open, make, remove, move, list.
#![allow(unsafe_code)]

use super::dfs_call;
use super::handle::{Handle, bits_of};
use super::mounted::Mounted;
use crate::ground::{Errno, Result};
use crate::store::daos::bindings::{d_iov_t, daos_anchor_t};
use crate::store::daos::error::of_dfs;
use crate::store::{Kind, NewNode, TICKET_BYTES_MAX};
use std::ffi::{CString, c_char};

/// `NAME_MAX`, which libdfs has too.
pub const NAME_BYTES_MAX: usize = 255;

/// A name with its NUL.
#[derive(Clone)]
pub struct Name([u8; NAME_BYTES_MAX + 1]);

impl Name {
    /// Of a name as the traits have it.
    ///
    /// # Errors
    /// `ENAMETOOLONG`, which libdfs would answer with `EINVAL`; `EINVAL` for a NUL inside.
    pub fn new(name: &[u8]) -> Result<Self> {
        if name.len() > NAME_BYTES_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        if name.is_empty() || name.contains(&0) {
            return Err(Errno::INVAL);
        }
        let mut room = [0; NAME_BYTES_MAX + 1];
        room[..name.len()].copy_from_slice(name);
        Ok(Self(room))
    }

    /// Without its NUL.
    pub fn as_bytes(&self) -> &[u8] {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES_MAX);
        &self.0[..length]
    }

    pub(super) fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

/// Where a listing is.
pub struct Anchor(daos_anchor_t);

impl Anchor {
    /// At the beginning.
    pub fn start() -> Self {
        Self(daos_anchor_t { da_type: 0, da_shard: 0, da_flags: 0, da_sub_anchors: 0, da_buf: [0; 104] })
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        const END: u16 = 3;
        self.0.da_type == END
    }
}

impl Mounted {
    /// Opens what a name leads to; of a symlink itself. One message.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`.
    pub fn look_up(&self, directory: &Handle, name: &Name) -> Result<Handle> {
        Ok(self.look_up_with(directory, name, false)?.0)
    }

    /// The same with attributes: two messages, one after the other.
    ///
    /// # Errors
    /// As `look_up`.
    pub fn look_up_told(&self, directory: &Handle, name: &Name) -> Result<(Handle, libc::stat)> {
        let told = self.look_up_with(directory, name, true)?;
        self.count(1);
        Ok(told)
    }

    fn look_up_with(&self, directory: &Handle, name: &Name, told: bool) -> Result<(Handle, libc::stat)> {
        let (library, dfs, parent, name) = (self.library, self.dfs(), directory.as_ptr(), name.clone());
        let flags = self.access() | libc::O_NOFOLLOW;
        self.count(1);
        self.bounded(move || {
            let (mut node, mut mode) = (std::ptr::null_mut(), 0);
            // SAFETY: plain numbers.
            let mut stat: libc::stat = unsafe { std::mem::zeroed() };
            let told = if told { &raw mut stat } else { std::ptr::null_mut() };
            of_dfs(dfs_call!(
                library,
                dfs_lookup_rel(dfs, parent, name.as_ptr(), flags, &raw mut node, &raw mut mode, told)
            ))?;
            // SAFETY: just opened.
            Ok((unsafe { Handle::new(library, node) }?, stat))
        })?
    }

    /// Opens the root directory. No message.
    ///
    /// # Errors
    /// The library's.
    pub fn root(&self) -> Result<Handle> {
        let (library, dfs, access) = (self.library, self.dfs(), self.access());
        self.bounded(move || {
            let mut node = std::ptr::null_mut();
            let (mode, stat) = (std::ptr::null_mut(), std::ptr::null_mut());
            of_dfs(dfs_call!(library, dfs_lookup(dfs, c"/".as_ptr(), access, &raw mut node, mode, stat)))?;
            // SAFETY: just opened.
            unsafe { Handle::new(library, node) }
        })?
    }

    /// Makes a node under a name that is free, and opens it. One message, but the first of some thousand makes another
    /// for new object numbers.
    ///
    /// # Errors
    /// `EEXIST`, `ENOSPC`.
    pub fn create(&self, directory: &Handle, name: &Name, new: &NewNode<'_>) -> Result<Handle> {
        const TARGET_BYTES_MAX: usize = 4095;
        if new.target.len() > TARGET_BYTES_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let target = match new.kind {
            Kind::Symlink => Some(CString::new(new.target).map_err(|_| Errno::INVAL)?),
            _ => None,
        };
        let mode = bits_of(new.kind) | new.mode;
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
        let chunk_bytes = if new.kind == Kind::File { self.chunk_bytes } else { 0 };
        let (library, dfs, parent, name) = (self.library, self.dfs_to_create()?, directory.as_ptr(), name.clone());
        self.count(1);
        let made = self.bounded(move || {
            let mut node = std::ptr::null_mut();
            let (name, target) = (name.as_ptr(), target.as_ref().map_or(std::ptr::null(), |target| target.as_ptr()));
            of_dfs(dfs_call!(
                library,
                dfs_open(dfs, parent, name, mode, flags, 0, chunk_bytes, target, &raw mut node)
            ))?;
            // SAFETY: just opened.
            unsafe { Handle::new(library, node) }
        });
        if made.is_err() {
            self.forget_mount_to_create();
        }
        made?
    }

    /// Removes a name and its object. Three messages for a file. The caller knows that it is no directory, or wants an
    /// empty one gone.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTEMPTY`.
    pub fn remove(&self, directory: &Handle, name: &Name) -> Result<()> {
        self.count(3);
        let (library, dfs, parent, name) = (self.library, self.dfs(), directory.as_ptr(), name.clone());
        self.bounded(move || {
            of_dfs(dfs_call!(library, dfs_remove(dfs, parent, name.as_ptr(), false, std::ptr::null_mut())))
        })?
    }

    /// Moves a name. What is under the new one is removed first: five messages and more, and not in one step for others
    /// to see, unless the container is a balanced one.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTEMPTY`; `EINVAL` where the kinds do not go together.
    pub fn rename(&self, from: (&Handle, &Name), to: (&Handle, &Name)) -> Result<()> {
        self.count(5);
        let (library, dfs, parents) = (self.library, self.dfs(), (from.0.as_ptr(), to.0.as_ptr()));
        let (from, to) = (from.1.clone(), to.1.clone());
        self.bounded(move || {
            let none = std::ptr::null_mut();
            of_dfs(dfs_call!(library, dfs_move(dfs, parents.0, from.as_ptr(), parents.1, to.as_ptr(), none)))
        })?
    }

    /// Exchanges two names: six messages, and not in one step either.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn exchange(&self, one: (&Handle, &Name), other: (&Handle, &Name)) -> Result<()> {
        self.count(6);
        let (library, dfs, parents) = (self.library, self.dfs(), (one.0.as_ptr(), other.0.as_ptr()));
        let (one, other) = (one.1.clone(), other.1.clone());
        let answer = self.bounded(move || {
            dfs_call!(library, dfs_exchange(dfs, parents.0, one.as_ptr(), parents.1, other.as_ptr()))
        })?;
        // A name that is not there is "invalid" to libdfs; names and directories have been checked.
        of_dfs(if answer == libc::EINVAL { libc::ENOENT } else { answer })
    }

    /// Tells up to `count_max` names from `anchor` on. One message for each of the directory's shards that is met.
    ///
    /// # Errors
    /// The library's.
    pub fn list(
        &self,
        directory: &Handle,
        anchor: &mut Anchor,
        count_max: usize,
        tell: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let (library, dfs, node, mut there) = (self.library, self.dfs(), directory.as_ptr(), anchor.0);
        self.count(1);
        let (entries, count);
        (there, entries, count) = self.bounded(move || {
            // SAFETY: plain numbers and characters.
            let mut entries: Vec<libc::dirent> = vec![unsafe { std::mem::zeroed() }; count_max];
            let mut count = u32::try_from(count_max).unwrap_or(u32::MAX);
            let first = entries.as_mut_ptr();
            of_dfs(dfs_call!(library, dfs_readdir(dfs, node, &raw mut there, &raw mut count, first)))?;
            Ok::<_, Errno>((there, entries, count))
        })??;
        anchor.0 = there;
        for entry in entries.iter().take(count as usize) {
            let bytes: &[u8; 256] = {
                let name: *const [c_char; 256] = &raw const entry.d_name;
                // SAFETY: characters as bytes, of the same length.
                unsafe { &*name.cast() }
            };
            let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            if length != 0 {
                tell(&bytes[..length]);
            }
        }
        Ok(())
    }

    /// Opens the node that another process wrote down as `ticket`. No message.
    ///
    /// # Errors
    /// `EINVAL` for what is no ticket of this container.
    pub fn open_global(&self, ticket: &[u8]) -> Result<Handle> {
        let mut copy = [0u8; TICKET_BYTES_MAX];
        copy.get_mut(..ticket.len()).ok_or(Errno::INVAL)?.copy_from_slice(ticket);
        let (library, dfs, access, length) = (self.library, self.dfs(), self.access(), ticket.len());
        self.bounded(move || {
            let bytes = d_iov_t { iov_buf: copy.as_mut_ptr().cast(), iov_buf_len: length, iov_len: length };
            let mut node = std::ptr::null_mut();
            of_dfs(dfs_call!(library, dfs_obj_global2local(dfs, access, bytes, &raw mut node)))?;
            // SAFETY: just opened.
            unsafe { Handle::new(library, node) }
        })?
    }

    /// An open file or directory as bytes for another process. No message.
    ///
    /// # Errors
    /// `EINVAL` for a symlink.
    pub fn to_global(&self, node: &Handle, room: &mut [u8]) -> Result<usize> {
        node.to_global(self.dfs(), room)
    }
}
