//! A short read within one chunk, past libdfs.
//!
//! A chunk is a key of the file's object: its number, counted from 1, and under it `"0"`, as records of a byte (libdaos's
//! `dc_array.c`; the same from 2.4 to 2.8). Asking for that key itself spares the array's work around it: 5 of 68 us for
//! 4 KiB, measured with 2.8.0. What an array does besides is left to it: an answer that has not every byte, so that the
//! file may end or have a hole there, is asked for again by libdfs ([`ChunkRead::is_whole`]).
#![allow(unsafe_code)]

use super::daos_call;
use super::entries::{NO_TRANSACTION, Object, bytes_under, key_of};
use crate::store::daos::bindings::{d_iov_t, d_sg_list_t, daos_event_t, daos_iod_t, daos_iom_t, daos_recx_t};
use crate::store::daos::library::{self, Library};
use once_cell::race::OnceBox;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The key that a chunk's bytes are under.
const KEY: &[u8] = b"0";

/// What the library needs of such a read until it has ended.
pub struct ChunkRead {
    chunk: [u8; 8],
    chunk_key: d_iov_t,
    what: daos_iod_t,
    range: daos_recx_t,
    there: daos_iom_t,
    object: Arc<Object>,
}

impl ChunkRead {
    /// Of `bytes` bytes from `offset` on, all in one chunk.
    pub fn new(object: &Arc<Object>, chunk_bytes: u64, offset: u64, bytes: u64) -> Self {
        const ALL: u32 = 1;
        let what = bytes_under(KEY);
        let range = daos_recx_t { rx_idx: offset % chunk_bytes, rx_nr: bytes };
        let nothing = daos_recx_t { rx_idx: 0, rx_nr: 0 };
        Self {
            chunk: (offset / chunk_bytes + 1).to_ne_bytes(),
            chunk_key: key_of(&[]),
            what,
            range,
            there: daos_iom_t {
                iom_type: what.iod_type,
                iom_nr: 0,
                iom_nr_out: 0,
                iom_flags: ALL,
                iom_size: 0,
                iom_recx_lo: nothing,
                iom_recx_hi: nothing,
                iom_recxs: std::ptr::null_mut(),
            },
            object: object.clone(),
        }
    }

    /// Hands it to the library: `self` and the list stay where they are until it has ended.
    pub fn launch(&mut self, library: &Library, list: *mut d_sg_list_t, event: *mut daos_event_t) -> i32 {
        self.chunk_key = key_of(&self.chunk);
        self.what.iod_recxs = &raw mut self.range;
        let (key, what, there) = (&raw mut self.chunk_key, &raw mut self.what, &raw mut self.there);
        let object = self.object.handle();
        daos_call!(library, daos_obj_fetch(object, NO_TRANSACTION, 0, key, 1, what, list, there, event))
    }

    /// Whether every byte was there, once it has ended well.
    pub fn is_whole(&self) -> bool {
        let there = &self.there;
        if there.iom_recxs.is_null() {
            return false;
        }
        let count = there.iom_nr_out.min(there.iom_nr) as usize;
        // SAFETY: the library made room for `iom_nr` of them.
        let there = unsafe { std::slice::from_raw_parts(there.iom_recxs, count) };
        covers(&self.range, there)
    }
}

impl Drop for ChunkRead {
    fn drop(&mut self) {
        // SAFETY: null, or made by the library with `malloc` for whoever asked; the operation has ended.
        unsafe { library::free(self.there.iom_recxs.cast()) };
    }
}

/// Whether ascending ranges have all of `range`.
fn covers(range: &daos_recx_t, there: &[daos_recx_t]) -> bool {
    let mut reached = range.rx_idx;
    for part in there {
        if part.rx_idx > reached {
            return false;
        }
        reached = reached.max(part.rx_idx.saturating_add(part.rx_nr));
    }
    reached >= range.rx_idx + range.rx_nr
}

/// What an open file keeps for such reads.
#[derive(Default)]
pub struct ChunkReads {
    object: OnceBox<Arc<Object>>,
    /// The file has had at least so many bytes.
    end: AtomicU64,
    was_read: AtomicBool,
    is_over: AtomicBool,
}

impl ChunkReads {
    /// The file has at least so many bytes.
    pub fn note_end(&self, end: u64) {
        if self.end.load(Ordering::Relaxed) < end {
            self.end.fetch_max(end, Ordering::Relaxed);
        }
    }

    /// Whether a read up to `end` will most likely find every byte; not the file's first, for which its object would have
    /// to be opened.
    pub fn is_expected(&self, end: u64) -> bool {
        self.was_read.swap(true, Ordering::Relaxed)
            && end <= self.end.load(Ordering::Relaxed)
            && !self.is_over.load(Ordering::Relaxed)
    }

    /// An answer came short: the file has holes, or others cut it off. libdfs has to be asked, and from now on first.
    pub fn give_up(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// The file's object, opened by the first who asks.
    ///
    /// # Errors
    /// As `open` has them.
    pub fn object<E>(&self, open: impl FnOnce() -> Result<Object, E>) -> Result<&Arc<Object>, E> {
        self.object.get_or_try_init(|| open().map(|object| Box::new(Arc::new(object))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_what_they_leave_no_gap_in() {
        let range = |from, to| daos_recx_t { rx_idx: from, rx_nr: to - from };
        let asked = range(100, 200);
        assert!(covers(&asked, &[range(100, 200)]));
        assert!(covers(&asked, &[range(50, 150), range(150, 250)]));
        assert!(!covers(&asked, &[]));
        assert!(!covers(&asked, &[range(100, 199)]));
        assert!(!covers(&asked, &[range(101, 200)]));
        assert!(!covers(&asked, &[range(100, 150), range(151, 200)]));
    }

    #[test]
    fn the_first_read_and_those_past_the_known_end_are_not_expected() {
        let reads = ChunkReads::default();
        reads.note_end(4096);
        reads.note_end(100);
        assert!(!reads.is_expected(4096));
        assert!(reads.is_expected(4096));
        assert!(!reads.is_expected(4097));
        reads.give_up();
        assert!(!reads.is_expected(10));
    }
}
