//! Directories and files as the objects that they are: entries read and taken away, sizes asked for, by libdaos's own
//! calls. Many of them are under way at once, and each ends when patience does, where libdfs makes one after another and
//! waits for each.
//!
//! An entry is what libdfs keeps in a directory's object: under the key of the name, under `DFS_INODE`, 88 bytes (its
//! README, layout 3; the same from 2.4 to 2.8). Here it is read and never written; and nothing is done with one before what
//! was read of a file has been held against what libdfs says of it ([`crate::store::daos::entries`]).

use super::daos_call;
use super::handle::{Handle, may_close};
use super::mounted::Mounted;
use super::names::Name;
use super::operation::{Operation, Subject};
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

/// `DAOS_TX_NONE`.
pub(super) const NO_TRANSACTION: daos_handle_t = daos_handle_t { cookie: 0 };

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
    fn of_bytes(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let half = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().unwrap_or(&[0; 4]));
        let word = |at: usize| u64::from_ne_bytes(*bytes[at..].first_chunk().unwrap_or(&[0; 8]));
        let time = |seconds: usize, nanoseconds: usize| {
            Timestamp::from_parts(word(seconds).cast_signed(), word(nanoseconds).cast_signed())
        };
        Self {
            mode: half(0),
            object: ObjectId { low: word(4), high: word(12) },
            modified: time(20, 48),
            changed: time(28, 56),
            chunk_bytes: word(36),
            uid: half(64),
            gid: half(68),
            epoch: word(80),
        }
    }
}

/// An open object; dropping it closes it. No message.
pub struct Object {
    handle: daos_handle_t,
    library: &'static Library,
}

impl Object {
    fn open(mounted: &Mounted, id: ObjectId, is_for_change: bool) -> Result<Self> {
        const READ: u32 = 2;
        const CHANGE: u32 = 4;
        let library = mounted.library;
        let (id, mode) = (daos_obj_id_t { lo: id.low, hi: id.high }, if is_for_change { CHANGE } else { READ });
        let mut handle = daos_handle_t { cookie: 0 };
        let none = std::ptr::null_mut();
        of_daos(daos_call!(library, daos_obj_open(mounted.container, id, mode, &raw mut handle, none)))?;
        Ok(Self { handle, library })
    }

    pub(super) fn handle(&self) -> daos_handle_t {
        self.handle
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

pub(super) fn key_of(bytes: &[u8]) -> daos_key_t {
    d_iov_t { iov_buf: bytes.as_ptr().cast_mut().cast(), iov_buf_len: bytes.len(), iov_len: bytes.len() }
}

/// Records of a byte that are to be read under a key; the one range of them is set when they stay where they are.
pub(super) fn bytes_under(key: &[u8]) -> daos_iod_t {
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
    bytes: [u8; ENTRY_BYTES],
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
        let sought = Sought {
            name: name.clone(),
            bytes: [0; ENTRY_BYTES],
            key: nothing(),
            what: bytes_under(KEY),
            range: daos_recx_t { rx_idx: 0, rx_nr: ENTRY_BYTES as u64 },
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
            sought.iov = d_iov_t { iov_buf: bytes.cast(), iov_buf_len: ENTRY_BYTES, iov_len: ENTRY_BYTES };
            sought.what.iod_recxs = &raw mut sought.range;
            sought.list.sg_iovs = &raw mut sought.iov;
            let (key, what, list) = (&raw mut sought.key, &raw mut sought.what, &raw mut sought.list);
            let (object, none) = (sought.directory.handle, std::ptr::null_mut());
            daos_call!(library, daos_obj_fetch(object, NO_TRANSACTION, IF_THERE, key, 1, what, list, none, event))
        })
    }

    /// The entry, once it has ended well; `None` for a name without one.
    fn entry(&self) -> Option<Entry> {
        self.subject().filter(|sought| sought.list.sg_nr_out != 0).map(|sought| Entry::of_bytes(&sought.bytes))
    }

    /// Waits for the answer: `None` where the name leads nowhere.
    ///
    /// # Errors
    /// The library's; `ETIMEDOUT`, `EINTR` where patience ends first.
    pub fn wait_for_entry(&mut self, mounted: &Mounted) -> Result<Option<Entry>> {
        match self.wait(&mounted.patience()) {
            Ok(()) => Ok(self.entry()),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What is to be taken away: an object, or a name's entry.
struct Punched {
    object: Arc<Object>,
    name: Option<Name>,
    key: daos_key_t,
}

impl Subject for Punched {
    fn outcome(number: i32) -> Result<()> {
        of_daos(number)
    }
}

impl Operation<Punched> {
    /// Begins to take away all that an object holds, or one name and what is under it, if it is there.
    fn punch(mounted: &Arc<Mounted>, object: Arc<Object>, name: Option<&Name>) -> Result<Self> {
        const IF_THERE: u64 = 1;
        let punched = Punched { object, name: name.cloned(), key: key_of(&[]) };
        mounted.count(1);
        let library = mounted.library;
        Self::begin(mounted, punched, |punched, event| {
            let object = punched.object.handle;
            match &punched.name {
                None => daos_call!(library, daos_obj_punch(object, NO_TRANSACTION, 0, event)),
                Some(name) => {
                    punched.key = key_of(name.as_bytes());
                    let key = &raw mut punched.key;
                    daos_call!(library, daos_obj_punch_dkeys(object, NO_TRANSACTION, IF_THERE, 1, key, event))
                }
            }
        })
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

impl Mounted {
    /// Whether the library has the calls, and the container keeps its entries so that they can be used: one that is
    /// mounted balanced changes them in transactions, and a snapshot is read in one.
    pub fn has_entries(&self) -> bool {
        let calls = &self.library.calls;
        let are_there = calls.daos_obj_open.is_some()
            && calls.daos_obj_close.is_some()
            && calls.daos_obj_fetch.is_some()
            && calls.daos_obj_punch.is_some()
            && calls.daos_obj_punch_dkeys.is_some()
            && calls.daos_array_stat.is_some()
            && calls.d_hlc2timespec.is_some()
            && calls.dfs_get_file_oh.is_some();
        are_there && self.is_plain
    }

    /// Whether the library tells the epoch of an open file's last change.
    pub fn has_array_stat(&self) -> bool {
        self.library.calls.daos_array_stat.is_some() && self.library.calls.dfs_get_file_oh.is_some()
    }

    /// Opens a directory's object. No message.
    ///
    /// # Errors
    /// The library's.
    pub fn open_directory(&self, id: ObjectId) -> Result<Object> {
        Object::open(self, id, !self.is_read_only)
    }

    /// Opens a file's object, to be read. No message.
    ///
    /// # Errors
    /// The library's.
    pub fn open_file(&self, file: &Handle) -> Result<Object> {
        Object::open(self, file.object()?, false)
    }

    /// Takes a name away, and of a file its object too: two messages under way at once.
    ///
    /// # Errors
    /// `ENOENT` for a name that is not there.
    pub fn take_away(self: &Arc<Self>, directory: &Arc<Object>, name: &Name, file: Option<ObjectId>) -> Result<()> {
        let object = file.map(|id| Object::open(self, id, true)).transpose()?;
        // libdfs has the object go before the name: whoever finds the name meanwhile finds no bytes, and nobody finds bytes
        // of a file that nobody can reach any more.
        let mut bytes = object.map(|object| Operation::punch(self, Arc::new(object), None)).transpose()?;
        let outcome = Operation::punch(self, directory.clone(), Some(name))?.wait(&self.patience());
        if let Some(bytes) = &mut bytes {
            bytes.wait(&self.patience())?;
        }
        outcome
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
        file.chunk_reads.note_end(told.st_size);
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
        assert_eq!(Entry::of_bytes(&bytes), entry);
    }
}
