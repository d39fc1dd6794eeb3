//! Directories and files as the objects that they are: entries read, sizes asked for, by libdaos's own calls. Many of them
//! are under way at once, and each ends when patience does, where libdfs makes one after another and waits for each.
//!
//! An entry is what libdfs keeps in a directory's object: under the key of the name, under `DFS_INODE`, 88 bytes (its
//! README, layout 3; the same from 2.4 to 2.8). Here it is read and never changed. When that may be done, and what becomes
//! of an entry that is not understood, is [`crate::store::daos::layout`]'s rule.

use super::daos_call;
use super::handle::{Handle, may_close};
use super::mounted::Mounted;
use super::names::Name;
use super::operation::{Operation, Subject};
use super::present::Present;
use crate::ground::{Errno, Result};
use crate::store::Timestamp;
use crate::store::daos::bindings::{
    d_iov_t, d_sg_list_t, daos_array_stbuf_t, daos_handle_t, daos_iod_t, daos_key_t, daos_obj_id_t, daos_recx_t,
};
use crate::store::daos::error::of_daos;
use crate::store::daos::library::Library;
use crate::store::daos::object::ObjectId;
use std::sync::Arc;

/// The key that an entry's bytes are under.
const KEY: &[u8] = b"DFS_INODE";

/// Bytes of an entry.
const ENTRY_BYTES: usize = 88;

/// Bytes that are asked for: an entry that has more is not one that is known.
const ASKED_BYTES: usize = ENTRY_BYTES + 8;

/// `DAOS_TX_NONE`.
const NO_TRANSACTION: daos_handle_t = daos_handle_t { cookie: 0 };

/// What a directory says of one of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Kind and permission bits, as `st_mode` has them.
    pub mode: u32,
    /// The object behind the name.
    pub object: ObjectId,
    /// When the bytes were changed, if the object tells nothing newer.
    pub modified: Timestamp,
    /// When the entry was changed.
    pub changed: Timestamp,
    /// A file's chunk size in bytes; 0 is the container's.
    pub chunk_bytes: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The object's epoch when `modified` was set by hand: while the object's is still this, `modified` counts.
    pub epoch: u64,
}

impl Entry {
    /// `None` for one with a kind or a bit of its mode that is not known: a later layout marks hard links by bit 31.
    fn of_bytes(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let half = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().unwrap_or(&[0; 4]));
        let word = |at: usize| u64::from_ne_bytes(*bytes[at..].first_chunk().unwrap_or(&[0; 8]));
        let time = |seconds: usize, nanoseconds: usize| {
            Timestamp::from_parts(word(seconds).cast_signed(), word(nanoseconds).cast_signed())
        };
        let mode = half(0);
        let is_kind_known = matches!(mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK);
        (is_kind_known && mode & !(libc::S_IFMT | 0o7777) == 0).then(|| Self {
            mode,
            object: ObjectId { low: word(4), high: word(12) },
            modified: time(20, 48),
            changed: time(28, 56),
            chunk_bytes: word(36),
            uid: half(64),
            gid: half(68),
            epoch: word(80),
        })
    }
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// An entry.
    To(Entry),
    /// Nothing.
    Nowhere,
    /// An entry that only libdfs can read.
    NotUnderstood,
}

/// An open object; dropping it closes it. No message.
pub struct Object {
    handle: daos_handle_t,
    library: &'static Library,
}

impl Object {
    /// To be read.
    fn open(mounted: &Mounted, id: ObjectId) -> Result<Self> {
        /// `DAOS_OO_RO`.
        const READ: u32 = 2;
        let library = mounted.library;
        let id = daos_obj_id_t { lo: id.low, hi: id.high };
        let mut handle = daos_handle_t { cookie: 0 };
        let none = std::ptr::null_mut();
        of_daos(daos_call!(library, daos_obj_open(mounted.container, id, READ, &raw mut handle, none)))?;
        Ok(Self { handle, library })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if may_close() {
            // What it answers can't be mended: the memory is gone or leaked.
            let _ = daos_call!(self.library, daos_obj_close(self.handle, std::ptr::null_mut()));
        }
    }
}

fn key_of(bytes: &[u8]) -> daos_key_t {
    d_iov_t { iov_buf: bytes.as_ptr().cast_mut().cast(), iov_buf_len: bytes.len(), iov_len: bytes.len() }
}

/// Records of a byte that are to be read under a key; the one range of them is set when they stay where they are.
fn bytes_under(key: &[u8]) -> daos_iod_t {
    const RECORDS: u32 = 2;
    daos_iod_t {
        iod_name: key_of(key),
        iod_type: RECORDS,
        iod_size: 1,
        iod_flags: 0,
        iod_nr: 1,
        iod_recxs: std::ptr::null_mut(),
    }
}

/// An entry that is asked for.
pub struct Sought {
    name: Name,
    bytes: [u8; ASKED_BYTES],
    there: Present,
    key: daos_key_t,
    what: daos_iod_t,
    range: daos_recx_t,
    iov: d_iov_t,
    list: d_sg_list_t,
    directory: Arc<Object>,
}

impl Subject for Sought {
    fn outcome(number: i32) -> Result<()> {
        of_daos(number)
    }
}

impl Operation<Sought> {
    /// Begins to ask what a name leads to.
    ///
    /// # Errors
    /// What the library says before it has begun.
    pub fn seek(mounted: &Arc<Mounted>, directory: &Arc<Object>, name: &Name) -> Result<Self> {
        const IF_THERE: u64 = 8;
        let nothing = || d_iov_t { iov_buf: std::ptr::null_mut(), iov_buf_len: 0, iov_len: 0 };
        let what = bytes_under(KEY);
        let sought = Sought {
            name: name.clone(),
            bytes: [0; ASKED_BYTES],
            there: Present::of(what.iod_type),
            key: nothing(),
            what,
            range: daos_recx_t { rx_idx: 0, rx_nr: ASKED_BYTES as u64 },
            iov: nothing(),
            list: d_sg_list_t { sg_nr: 1, sg_nr_out: 0, sg_iovs: std::ptr::null_mut() },
            directory: directory.clone(),
        };
        mounted.count(1);
        let library = mounted.library;
        Self::begin(mounted, sought, |sought, event| {
            sought.key = key_of(sought.name.as_bytes());
            // Written to by the library: not by way of a shared reference, as keys are.
            let bytes = &raw mut sought.bytes;
            sought.iov = d_iov_t { iov_buf: bytes.cast(), iov_buf_len: ASKED_BYTES, iov_len: ASKED_BYTES };
            sought.what.iod_recxs = &raw mut sought.range;
            sought.list.sg_iovs = &raw mut sought.iov;
            let (key, what, list) = (&raw mut sought.key, &raw mut sought.what, &raw mut sought.list);
            let (object, there) = (sought.directory.handle, sought.there.as_mut_ptr());
            daos_call!(library, daos_obj_fetch(object, NO_TRANSACTION, IF_THERE, key, 1, what, list, there, event))
        })
    }

    /// What the answer says, once it has ended well.
    fn lead(&self) -> Lead {
        let Some(sought) = self.subject().filter(|sought| sought.list.sg_nr_out != 0) else { return Lead::Nowhere };
        let whole = daos_recx_t { rx_idx: 0, rx_nr: ENTRY_BYTES as u64 };
        let is_as_long = sought.there.covers(&whole) && sought.there.ends_by(ENTRY_BYTES as u64);
        let bytes = sought.bytes.first_chunk().filter(|_| is_as_long);
        bytes.and_then(Entry::of_bytes).map_or(Lead::NotUnderstood, Lead::To)
    }

    /// Waits for the answer. After one that is not understood libdfs makes all calls.
    ///
    /// # Errors
    /// The library's; `ETIMEDOUT`, `EINTR` where patience ends first.
    pub fn wait_for_entry(&mut self, mounted: &Mounted) -> Result<Lead> {
        match self.wait(&mounted.patience()) {
            Ok(()) => {
                let lead = self.lead();
                if lead == Lead::NotUnderstood {
                    mounted.layout.refuse();
                }
                Ok(lead)
            }
            Err(Errno::NOENT) => Ok(Lead::Nowhere),
            Err(error) => Err(error),
        }
    }
}

/// An array that is asked for its size.
struct Measured {
    told: daos_array_stbuf_t,
    // Open for as long as the library uses it.
    _handle: Arc<Handle>,
}

impl Subject for Measured {
    fn outcome(number: i32) -> Result<()> {
        of_daos(number)
    }
}

/// Whether the library has the calls.
pub(super) fn has_calls(library: &Library) -> bool {
    let calls = &library.calls;
    calls.daos_obj_open.is_some()
        && calls.daos_obj_close.is_some()
        && calls.daos_obj_fetch.is_some()
        && calls.daos_array_stat.is_some()
        && calls.d_hlc2timespec.is_some()
        && calls.dfs_get_file_oh.is_some()
        && calls.dfs_local2global.is_some()
}

impl Mounted {
    /// Whether the library tells the epoch of an open file's last change.
    pub fn has_array_stat(&self) -> bool {
        self.library.calls.daos_array_stat.is_some() && self.library.calls.dfs_get_file_oh.is_some()
    }

    /// Opens a directory's object, to be read. No message.
    ///
    /// # Errors
    /// The library's.
    pub fn open_directory(&self, id: ObjectId) -> Result<Object> {
        Object::open(self, id)
    }

    /// An open file's size in bytes, and the epoch of its last change. One message.
    ///
    /// # Errors
    /// The library's.
    pub fn array_stat(self: &Arc<Self>, file: &Arc<Handle>) -> Result<(u64, u64)> {
        self.count(1);
        let library = self.library;
        let array = file.array()?;
        let told = Measured { told: daos_array_stbuf_t { st_size: 0, st_max_epoch: 0 }, _handle: file.clone() };
        let mut operation = Operation::begin(self, told, |measured, event| {
            daos_call!(library, daos_array_stat(array, NO_TRANSACTION, &raw mut measured.told, event))
        })?;
        operation.wait(&self.patience())?;
        let told = operation.subject().map(|measured| measured.told).ok_or(Errno::IO)?;
        Ok((told.st_size, told.st_max_epoch))
    }

    /// When an epoch was. No message.
    ///
    /// # Errors
    /// The library's.
    pub fn time_of(&self, epoch: u64) -> Result<Timestamp> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        of_daos(daos_call!(self.library, d_hlc2timespec(epoch, &raw mut time)))?;
        Ok(Timestamp::from_parts(time.tv_sec, time.tv_nsec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_libdfs_lays_it_out() {
        let mut bytes = [0; ENTRY_BYTES];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &0o100_640u32.to_ne_bytes());
        for (at, word) in [(4, 7u64), (12, 1 << 60 | 3), (20, 5), (28, 6), (36, 1 << 20), (48, 50), (56, 60), (80, 9)] {
            put(at, &word.to_ne_bytes());
        }
        put(64, &1000u32.to_ne_bytes());
        put(68, &1001u32.to_ne_bytes());
        let entry = Entry {
            mode: 0o100_640,
            object: ObjectId { low: 7, high: 1 << 60 | 3 },
            modified: Timestamp::from_parts(5, 50),
            changed: Timestamp::from_parts(6, 60),
            chunk_bytes: 1 << 20,
            uid: 1000,
            gid: 1001,
            epoch: 9,
        };
        assert_eq!(Entry::of_bytes(&bytes), Some(entry));
        // A hard link of a later layout, a bit that nobody knows, a kind that libdfs does not keep.
        for mode in [1 << 31 | 0o100_640, 1 << 16 | 0o100_640, 0o010_640] {
            bytes[..4].copy_from_slice(&u32::to_ne_bytes(mode));
            assert_eq!(Entry::of_bytes(&bytes), None, "{mode:o}");
        }
    }
}
