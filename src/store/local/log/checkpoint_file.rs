//! A checkpoint of the names, as a file.
//!
//! A page that says what follows, then the names in the tree's order, each as [`entry::put_checkpoint_name`] puts it. The
//! page has a hash of itself and one of the names: a checkpoint is whole or it is none.

use super::super::key;
use super::entry::{self, NameThere, Parts};
use crate::ground::buffer::Segment;
use crate::ground::{Errno, Result, file_size_limit, kernel};
use crate::store::Kind;
use rustix::fs::fdatasync;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Where hashes start from: from 0 or 1 all hashes are 0.
const KEY: u64 = 0x5163_7465_702d_6e6d;

const MAGIC: [u8; 16] = *b"Sidestep names\n\0";

/// Bytes before the names.
const HEAD_BYTES: usize = 4096;

/// Words of the head: the position, the store's number, the bytes of the names and their hash, and a hash of all that.
const HEAD_WORDS: usize = 5;

/// Names go to the file in pieces of this.
const PIECE_BYTES: usize = 256 << 10;

/// A checkpoint that is being written.
pub struct CheckpointWriter<'a> {
    file: BorrowedFd<'a>,
    piece: Vec<u8>,
    written: u64,
    hash: u64,
}

impl<'a> CheckpointWriter<'a> {
    /// Into a file, over what it has.
    pub fn new(file: BorrowedFd<'a>) -> Self {
        Self { file, piece: Vec::with_capacity(PIECE_BYTES + entry::ENTRY_BYTES_MAX), written: 0, hash: 0 }
    }

    /// The next name.
    ///
    /// # Errors
    /// As pwrite(2).
    pub fn put(&mut self, name: &NameThere<'_>) -> Result<()> {
        entry::put_checkpoint_name(&mut self.piece, name);
        if self.piece.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        write_all(self.file, &self.piece, HEAD_BYTES as u64 + self.written)?;
        self.hash = hash_of(self.hash, &self.piece);
        self.written += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }

    /// Ends it: the log that goes with it begins at `position`. Waits for stable storage if `durably` is set. Returns its
    /// bytes.
    ///
    /// # Errors
    /// As pwrite(2) and fdatasync(2).
    pub fn finish(mut self, store: u64, position: u64, durably: bool) -> Result<u64> {
        self.flush()?;
        let mut head = [0; HEAD_BYTES];
        head[..16].copy_from_slice(&MAGIC);
        let words = [position, store, self.written, self.hash];
        for (place, word) in head[16..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let sum = key::hash(KEY ^ position, &head[..16 + words.len() * 8]);
        head[16 + words.len() * 8..][..8].copy_from_slice(&sum.to_le_bytes());
        write_all(self.file, &head, 0)?;
        if durably {
            fdatasync(self.file)?;
        }
        Ok(HEAD_BYTES as u64 + self.written)
    }
}

fn write_all(file: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = Segment::of_slice(&bytes[done..]);
        done += match file_size_limit::without(|| kernel::write_at(file.as_raw_fd(), &rest, offset + done as u64))? {
            0 => return Err(Errno::NOSPC),
            count => count,
        };
    }
    Ok(())
}

/// The hash of pieces one after another: each begins with that of those before.
fn hash_of(before: u64, piece: &[u8]) -> u64 {
    key::hash(KEY ^ before, piece)
}

/// A checkpoint that proved itself.
pub struct Checkpoint {
    /// Where the log begins that goes with it.
    pub position: u64,
    names: Vec<u8>,
}

impl Checkpoint {
    /// Of a file; `None` where it is not a whole checkpoint of this store.
    ///
    /// # Errors
    /// As pread(2).
    pub fn read(file: BorrowedFd<'_>, store: u64) -> Result<Option<Self>> {
        let size = rustix::fs::fstat(file)?.st_size.cast_unsigned();
        let mut head = [0; 16 + HEAD_WORDS * 8];
        if read_all(file, &mut head, 0)? < head.len() || head[..16] != MAGIC {
            return Ok(None);
        }
        let word =
            |index: usize| head[16 + index * 8..].first_chunk().map_or(0, |bytes: &[u8; 8]| u64::from_le_bytes(*bytes));
        let [position, own, bytes, hash, sum] = std::array::from_fn(word);
        let is_sound = sum == key::hash(KEY ^ position, &head[..16 + (HEAD_WORDS - 1) * 8])
            && own == store
            && bytes <= size.saturating_sub(HEAD_BYTES as u64);
        if !is_sound {
            return Ok(None);
        }
        let mut names = vec![0; bytes as usize];
        if read_all(file, &mut names, HEAD_BYTES as u64)? < names.len() {
            return Ok(None);
        }
        // The pieces end where the writer's did: at the first name that fills one.
        let mut checkpoint = Self { position, names };
        if checkpoint.hash() != Some(hash) {
            checkpoint.names.clear();
            return Ok(None);
        }
        Ok(Some(checkpoint))
    }

    fn hash(&self) -> Option<u64> {
        let (mut hash, mut from) = (0, 0);
        let mut names = self.names();
        loop {
            let is_last = names.next_checked()?.is_none();
            let at = self.names.len() - names.rest();
            if at - from >= PIECE_BYTES || is_last && at > from {
                hash = hash_of(hash, &self.names[from..at]);
                from = at;
            }
            if is_last {
                return Some(hash);
            }
        }
    }

    /// The names, in the tree's order.
    pub fn names(&self) -> Names<'_> {
        Names { parts: Parts::new(&self.names) }
    }
}

/// The names of a checkpoint.
pub struct Names<'a> {
    parts: Parts<'a>,
}

impl<'a> Names<'a> {
    fn rest(&self) -> usize {
        self.parts.rest()
    }

    /// The next name; `None` for bytes that are none, `Some(None)` at the end.
    fn next_checked(&mut self) -> Option<Option<NameThere<'a>>> {
        if self.parts.is_empty() {
            return Some(None);
        }
        let mut name = self.parts.name()?;
        if name.found.is_some_and(|found| found.kind == Kind::Symlink) {
            name.target = self.parts.target()?;
        }
        Some(Some(name))
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = NameThere<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_checked().flatten()
    }
}

/// Reads until the file or the place is full.
///
/// # Errors
/// As pread(2).
pub fn read_all(file: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = Segment::of_slice_mut(&mut bytes[done..]);
        match kernel::read_at(file.as_fd().as_raw_fd(), &rest, offset + done as u64)? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Found, NodeId};

    #[test]
    fn a_checkpoint_is_whole_or_none() {
        let file = tempfile::tempfile().unwrap();
        let texts: Vec<String> = (0..20_000).map(|index| format!("name.{index}")).collect();
        let names = texts.iter().enumerate().map(|(index, text)| {
            let kind = if index % 7 == 0 { Kind::Symlink } else { Kind::File };
            let found = Some(Found { node: NodeId(index as u64 + 2), generation: 3, kind });
            let target: &[u8] = if index % 7 == 0 { b"a/target" } else { b"" };
            NameThere { directory: 1, position: index as u64, name: text.as_bytes(), found, target }
        });
        let mut writer = CheckpointWriter::new(file.as_fd());
        names.clone().for_each(|name| writer.put(&name).unwrap());
        let bytes = writer.finish(77, 4096, true).unwrap();
        assert_eq!(bytes, file.metadata().unwrap().len());
        let checkpoint = Checkpoint::read(file.as_fd(), 77).unwrap().unwrap();
        assert_eq!(checkpoint.position, 4096);
        assert!(checkpoint.names().eq(names));
        assert!(Checkpoint::read(file.as_fd(), 78).unwrap().is_none(), "another store's");
        for offset in [0, 17, 40, 55, 4096, 5000, bytes - 1] {
            let mut byte = [0];
            read_all(file.as_fd(), &mut byte, offset).unwrap();
            write_all(file.as_fd(), &[byte[0] ^ 4], offset).unwrap();
            assert!(Checkpoint::read(file.as_fd(), 77).unwrap().is_none(), "byte {offset}");
            write_all(file.as_fd(), &byte, offset).unwrap();
        }
        file.set_len(bytes - 1).unwrap();
        assert!(Checkpoint::read(file.as_fd(), 77).unwrap().is_none(), "cut off");
        let empty = tempfile::tempfile().unwrap();
        assert!(Checkpoint::read(empty.as_fd(), 77).unwrap().is_none());
        CheckpointWriter::new(empty.as_fd()).finish(77, 8, false).unwrap();
        assert_eq!(Checkpoint::read(empty.as_fd(), 77).unwrap().unwrap().names().count(), 0);
    }
}
