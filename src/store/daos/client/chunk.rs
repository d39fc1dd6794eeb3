//! A short read within one chunk, past libdfs.
//!
//! A chunk is a key of the file's object: its number, counted from 1, and under it `"0"`, as records of a byte (libdaos's
//! `dc_array.c`; the same from 2.4 to 2.8). Asking for that key itself spares the array's work around it: 5 of 68 us for
//! 4 KiB, measured with 2.8.0. What an array does besides is left to it: an answer that has not every byte, so that the
//! file may end or have a hole there, is asked for again by libdfs ([`ChunkRead::is_whole`]).
#![allow(unsafe_code)]

use super::daos_call;
use super::entries::{NO_TRANSACTION, Object, bytes_under, key_of};
use super::present::Present;
use crate::store::daos::bindings::{d_iov_t, d_sg_list_t, daos_event_t, daos_iod_t, daos_recx_t};
use crate::store::daos::library::Library;
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
    there: Present,
    object: Arc<Object>,
}

impl ChunkRead {
    /// Of `bytes` bytes from `offset` on, all in one chunk.
    pub fn new(object: &Arc<Object>, chunk_bytes: u64, offset: u64, bytes: u64) -> Self {
        let what = bytes_under(KEY);
        let range = daos_recx_t { rx_idx: offset % chunk_bytes, rx_nr: bytes };
        Self {
            chunk: (offset / chunk_bytes + 1).to_ne_bytes(),
            chunk_key: key_of(&[]),
            range,
            there: Present::of(what.iod_type),
            what,
            object: object.clone(),
        }
    }

    /// Hands it to the library: `self` and the list stay where they are until it has ended.
    pub fn launch(&mut self, library: &Library, list: *mut d_sg_list_t, event: *mut daos_event_t) -> i32 {
        self.chunk_key = key_of(&self.chunk);
        self.what.iod_recxs = &raw mut self.range;
        let (key, what, there) = (&raw mut self.chunk_key, &raw mut self.what, self.there.as_mut_ptr());
        let object = self.object.handle();
        daos_call!(library, daos_obj_fetch(object, NO_TRANSACTION, 0, key, 1, what, list, there, event))
    }

    /// Whether every byte was there, once it has ended well.
    pub fn is_whole(&self) -> bool {
        self.there.covers(&self.range)
    }
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
