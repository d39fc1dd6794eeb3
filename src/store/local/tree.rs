//! The tree of names: LMDB, as thin as it can be.
//!
//! Raw calls, because the safe wrapper keeps a process-wide map of open environments and refuses to open one again in a
//! forked child. One database alone, the unnamed one, its keys told apart by a first byte ([`super::key`]): so a
//! change touches one path of pages, and a lookup needs no look at a second root.
//!
//! `WRITE_MAP | NO_SYNC`: a commit is some stores to the mapped file, no system call. A killed process harms nothing (pages in
//! use are never written to, and the kernel keeps what was stored); a power failure may lose or tear what was not synced.
#![allow(unsafe_code)]

use crate::ground::{Errno, Result, kernel};
use lmdb_master_sys as ffi;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr;

/// The least that the tree can grow to: LMDB makes its file look that long, sparse. Some 12 million names; a store that has
/// used half of what it may gets twice as much when it is next opened alone.
pub const MAP_BYTES_MIN: u64 = 1 << 30;

/// Read transactions at once, over all processes.
pub const READERS_COUNT_MAX: u32 = 4096;

/// Bytes of the lock file that hold that many readers.
pub const LOCK_FILE_BYTES: u64 = 384 << 10;

/// Bytes of a page.
pub const PAGE_BYTES: u64 = 4096;

/// The unnamed database.
const MAIN: ffi::MDB_dbi = 1;

/// What a call answered, if it is an error.
fn error_of(code: i32) -> Errno {
    match code {
        code if code > 0 => Errno::from_raw_os_error(code),
        ffi::MDB_MAP_FULL => Errno::NOSPC,
        ffi::MDB_READERS_FULL => Errno::AGAIN,
        _ => Errno::IO,
    }
}

fn check(code: i32) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(error_of(code)) }
}

fn value(bytes: &[u8]) -> ffi::MDB_val {
    ffi::MDB_val { mv_size: bytes.len(), mv_data: bytes.as_ptr().cast_mut().cast() }
}

/// The bytes of a value that LMDB answered.
///
/// # Safety
/// The transaction that it came from lives for `'a` and, if it writes, has not changed anything since.
unsafe fn bytes<'a>(value: &ffi::MDB_val) -> &'a [u8] {
    if value.mv_size == 0 {
        return &[];
    }
    // SAFETY: the caller's word; LMDB answers pointers into its map.
    unsafe { std::slice::from_raw_parts(value.mv_data.cast(), value.mv_size) }
}

/// Which file of the host, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKey {
    device: u64,
    inode: u64,
}

impl FileKey {
    /// Of an open file.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn of(file: BorrowedFd<'_>) -> Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self { device: stat.st_dev, inode: stat.st_ino })
    }
}

/// An open environment. Used by the process that opened it alone. Everything but [`Reader`]'s renewed use is called
/// under [`crate::ground::guard::Quiet`].
pub struct Tree {
    raw: *mut ffi::MDB_env,
    descriptors: [RawFd; 2],
}

// SAFETY: an environment may be used by any thread (MDB_NOTLS for its readers; its writer is under a lock of ours).
unsafe impl Send for Tree {}
// SAFETY: as above.
unsafe impl Sync for Tree {}

impl Tree {
    /// Opens the environment in `path`. Nobody else is opening or closing one there meanwhile.
    ///
    /// # Errors
    /// Whatever the host answers; `EIO` where the files are not LMDB's or damaged.
    pub fn open(path: &CStr, map_bytes: u64, read_only: bool) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: a place for the new environment.
        check(unsafe { ffi::mdb_env_create(&mut raw) })?;
        let mut tree = Self { raw, descriptors: [-1; 2] };
        let access = if read_only { ffi::MDB_RDONLY } else { ffi::MDB_WRITEMAP };
        let flags = access | ffi::MDB_NOSYNC | ffi::MDB_NOTLS | ffi::MDB_NOMEMINIT | ffi::MDB_NORDAHEAD;
        // SAFETY: a fresh environment, opened once.
        unsafe {
            check(ffi::mdb_env_set_mapsize(raw, map_bytes as usize))?;
            check(ffi::mdb_env_set_maxreaders(raw, READERS_COUNT_MAX))?;
            check(ffi::mdb_env_open(raw, path.as_ptr(), flags, 0o600))?;
        }
        tree.park_descriptors()?;
        // Sets the unnamed database's comparison, once for the environment.
        let reader = tree.reader()?;
        tree.end(reader);
        Ok(tree)
    }

    /// Moves LMDB's own descriptors out of the application's way. They are the first words of its environment: looked
    /// at before they are trusted, because LMDB does not promise it.
    fn park_descriptors(&mut self) -> Result<()> {
        let words: *mut RawFd = self.raw.cast();
        let mut data = -1;
        // SAFETY: an open environment, whose first words are two descriptors.
        unsafe {
            check(ffi::mdb_env_get_fd(self.raw, &mut data))?;
            if words.read() != data {
                return Err(Errno::IO);
            }
        }
        for index in 0..2 {
            // SAFETY: as above.
            let low = unsafe { words.add(index).read() };
            if low < 0 {
                continue;
            }
            let kept = kernel::keep(low);
            self.descriptors[index] = kept.number();
            // SAFETY: as above; the environment uses and closes this number from now on.
            unsafe { words.add(index).write(kept.into_number()) };
        }
        if self.descriptors[1] >= 0 {
            // Closing a low number dropped the lock by which LMDB knows that the lock file is in use.
            kernel::lock_process_range(kernel::borrow(self.descriptors[1]), 0, 1)?;
        }
        Ok(())
    }

    /// A new read transaction, reset.
    ///
    /// # Errors
    /// `ENOMEM`; `EAGAIN` with all reader slots taken by the living.
    pub fn reader(&self) -> Result<Reader> {
        let mut transaction = ptr::null_mut();
        // SAFETY: an open environment.
        let begin = |transaction: &mut *mut ffi::MDB_txn| unsafe {
            ffi::mdb_txn_begin(self.raw, ptr::null_mut(), ffi::MDB_RDONLY, transaction)
        };
        let mut code = begin(&mut transaction);
        if code == ffi::MDB_READERS_FULL {
            self.clear_dead_readers();
            code = begin(&mut transaction);
        }
        check(code)?;
        let mut cursor = ptr::null_mut();
        let mut main = 0;
        // SAFETY: a live transaction.
        unsafe {
            let code = match ffi::mdb_dbi_open(transaction, ptr::null(), 0, &mut main) {
                0 => ffi::mdb_cursor_open(transaction, MAIN, &mut cursor),
                code => code,
            };
            if code != 0 {
                ffi::mdb_txn_abort(transaction);
                return Err(error_of(code));
            }
            ffi::mdb_txn_reset(transaction);
        }
        Ok(Reader { transaction, cursor })
    }

    /// Ends a read transaction for good.
    pub fn end(&self, reader: Reader) {
        // SAFETY: made by `reader` of this environment.
        unsafe {
            ffi::mdb_cursor_close(reader.cursor);
            ffi::mdb_txn_abort(reader.transaction);
        }
    }

    /// Begins a write transaction. The store's names lock is held.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn write(&self) -> Result<Writing> {
        let mut transaction = ptr::null_mut();
        // SAFETY: an open environment.
        check(unsafe { ffi::mdb_txn_begin(self.raw, ptr::null_mut(), 0, &mut transaction) })?;
        Ok(Writing { transaction })
    }

    /// The number of the last committed transaction, and the bytes of the file in use.
    pub fn committed(&self) -> (u64, u64) {
        let mut info = std::mem::MaybeUninit::<ffi::MDB_envinfo>::zeroed();
        // SAFETY: an open environment, a place for the answer.
        let info = unsafe {
            ffi::mdb_env_info(self.raw, info.as_mut_ptr());
            info.assume_init()
        };
        (info.me_last_txnid as u64, (info.me_last_pgno as u64 + 1) * PAGE_BYTES)
    }

    /// Whether the files that LMDB opened are these: the tree's, and that of its locks if it has one.
    pub fn is_of(&self, data: FileKey, lock: Option<FileKey>) -> bool {
        let is_same = |number: RawFd, key: FileKey| FileKey::of(kernel::borrow(number)) == Ok(key);
        let has_lock = self.descriptors[1] >= 0;
        is_same(self.descriptors[0], data) && lock.is_none_or(|lock| !has_lock || is_same(self.descriptors[1], lock))
    }

    /// The descriptor of the file with the tree.
    pub fn data_descriptor(&self) -> RawFd {
        self.descriptors[0]
    }

    /// Waits until everything committed is on stable storage.
    ///
    /// # Errors
    /// As msync(2).
    pub fn sync(&self) -> Result<()> {
        // SAFETY: an open environment.
        check(unsafe { ffi::mdb_env_sync(self.raw, 1) })
    }

    /// Frees the reader slots of killed processes, which would keep old pages from being used again.
    pub fn clear_dead_readers(&self) {
        let mut dead = 0;
        // SAFETY: an open environment.
        unsafe { ffi::mdb_reader_check(self.raw, &mut dead) };
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for &number in self.descriptors.iter().filter(|&&number| number >= 0) {
            crate::ground::parked::remove(number);
        }
        // SAFETY: nobody has a transaction any more, or the process that had them is another: LMDB then touches no
        // reader slot, it goes by the process number.
        unsafe { ffi::mdb_env_close(self.raw) };
    }
}

/// A read transaction and a cursor in it, made once and used again and again. Using it takes no lock and allocates
/// nothing, so a signal handler may use one while its thread uses another.
pub struct Reader {
    transaction: *mut ffi::MDB_txn,
    cursor: *mut ffi::MDB_cursor,
}

// SAFETY: MDB_NOTLS binds a read transaction to no thread.
unsafe impl Send for Reader {}

impl Reader {
    /// Takes the tree as it is now, for [`Reader::look`]. False if its place among the readers was taken away.
    #[inline]
    pub fn renew(&mut self) -> bool {
        // SAFETY: a reset transaction of ours, and its cursor.
        unsafe {
            if ffi::mdb_txn_renew(self.transaction) != 0 {
                return false;
            }
            if ffi::mdb_cursor_renew(self.transaction, self.cursor) != 0 {
                ffi::mdb_txn_reset(self.transaction);
                return false;
            }
        }
        true
    }

    /// Looks at the tree as it was when it was renewed, just now.
    #[inline]
    pub fn look(&mut self) -> Look<'_> {
        Look { reader: self }
    }
}

/// The tree at one moment. What it answers borrows from it.
pub struct Look<'a> {
    reader: &'a mut Reader,
}

impl Look<'_> {
    /// The value of a key.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        let mut data = value(&[]);
        // SAFETY: a live transaction; the key is only read.
        match unsafe { ffi::mdb_get(self.reader.transaction, MAIN, &mut value(key), &mut data) } {
            ffi::MDB_NOTFOUND => Ok(None),
            // SAFETY: valid while the transaction lives, which the borrow sees to.
            0 => Ok(Some(unsafe { bytes(&data) })),
            code => Err(error_of(code)),
        }
    }

    /// The first key that is at least `key`, and its value.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    #[inline]
    pub fn seek(&self, key: &[u8]) -> Result<Option<(&[u8], &[u8])>> {
        self.step(value(key), ffi::MDB_SET_RANGE)
    }

    /// The key after the one that was answered last.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    #[inline]
    pub fn next(&self) -> Result<Option<(&[u8], &[u8])>> {
        self.step(value(&[]), ffi::MDB_NEXT)
    }

    #[inline]
    fn step(&self, mut key: ffi::MDB_val, operation: ffi::MDB_cursor_op) -> Result<Option<(&[u8], &[u8])>> {
        let mut data = value(&[]);
        // SAFETY: a live cursor of a live transaction; the key is only read.
        match unsafe { ffi::mdb_cursor_get(self.reader.cursor, &mut key, &mut data, operation) } {
            ffi::MDB_NOTFOUND => Ok(None),
            // SAFETY: valid while the transaction lives, which the borrow sees to.
            0 => Ok(Some(unsafe { (bytes(&key), bytes(&data)) })),
            code => Err(error_of(code)),
        }
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        // SAFETY: a live transaction of ours.
        unsafe { ffi::mdb_txn_reset(self.reader.transaction) };
    }
}

/// A write transaction: nothing of it is seen before [`Writing::commit`], all of it after. Dropped, it did nothing.
pub struct Writing {
    transaction: *mut ffi::MDB_txn,
}

impl Writing {
    /// Its number: [`Tree::committed`] tells it once it is in the tree.
    pub fn number(&self) -> u64 {
        // SAFETY: a live transaction.
        unsafe { ffi::mdb_txn_id(self.transaction) as u64 }
    }

    /// Sets a key's value.
    ///
    /// # Errors
    /// `ENOSPC` for a full map, `EIO` for a damaged tree.
    pub fn put(&mut self, key: &[u8], data: &[u8]) -> Result<()> {
        // SAFETY: a live transaction; key and value are copied.
        check(unsafe { ffi::mdb_put(self.transaction, MAIN, &mut value(key), &mut value(data), 0) })
    }

    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// As [`Writing::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        // SAFETY: a live transaction.
        match unsafe { ffi::mdb_del(self.transaction, MAIN, &mut value(key), ptr::null_mut()) } {
            ffi::MDB_NOTFOUND => Ok(()),
            code => check(code),
        }
    }

    /// A cursor for many changes in the tree's order: each is looked for where the one before was.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn in_order(&mut self) -> Result<InOrder<'_>> {
        let mut cursor = ptr::null_mut();
        // SAFETY: a live transaction.
        check(unsafe { ffi::mdb_cursor_open(self.transaction, MAIN, &mut cursor) })?;
        Ok(InOrder { cursor, _writing: self })
    }

    /// Makes all of it seen, at once.
    ///
    /// # Errors
    /// As [`Writing::put`]; then nothing was done.
    pub fn commit(self) -> Result<()> {
        let transaction = self.transaction;
        std::mem::forget(self);
        // SAFETY: a live transaction, which ends here whatever the answer.
        check(unsafe { ffi::mdb_txn_commit(transaction) })
    }
}

/// Changes in the tree's order, see [`Writing::in_order`].
pub struct InOrder<'a> {
    cursor: *mut ffi::MDB_cursor,
    _writing: &'a mut Writing,
}

impl InOrder<'_> {
    /// As [`Writing::put`].
    ///
    /// # Errors
    /// As there.
    pub fn put(&mut self, key: &[u8], data: &[u8]) -> Result<()> {
        // SAFETY: a live cursor; key and value are copied.
        check(unsafe { ffi::mdb_cursor_put(self.cursor, &mut value(key), &mut value(data), 0) })
    }

    /// As [`Writing::delete`].
    ///
    /// # Errors
    /// As there.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        // SAFETY: a live cursor, and it stands on the key where it is found.
        unsafe {
            match ffi::mdb_cursor_get(self.cursor, &mut value(key), &mut value(&[]), ffi::MDB_SET) {
                ffi::MDB_NOTFOUND => Ok(()),
                0 => check(ffi::mdb_cursor_del(self.cursor, 0)),
                code => Err(error_of(code)),
            }
        }
    }
}

impl Drop for InOrder<'_> {
    fn drop(&mut self) {
        // SAFETY: a live cursor of a live transaction.
        unsafe { ffi::mdb_cursor_close(self.cursor) };
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // SAFETY: a live transaction.
        unsafe { ffi::mdb_txn_abort(self.transaction) };
    }
}

/// Gives the lock file its space before LMDB maps it: a store to a hole of a full disk would be SIGBUS.
///
/// # Errors
/// As fallocate(2).
pub fn prepare_lock_file(file: BorrowedFd<'_>) -> Result<()> {
    kernel::allocate(file, 0, LOCK_FILE_BYTES)
}
