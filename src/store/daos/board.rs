//! When this node's processes last changed what, so that none of them believes what another has just made untrue: a
//! script's `rm -r d; mkdir d; cd d` is three processes.
//!
//! One file of a user's ([`super::runtime`]), which all of his processes map: [`WORDS_COUNT`] words, each the monotonic
//! time of the last change of any name or node that falls on it. Who was told something before that time asks again, so
//! two that share a word cost a message and no more. Other nodes do not see the file: for what they change, names and
//! attributes are believed for a second at most ([`super::nodes`]).
#![allow(unsafe_code)]

use super::object::ObjectId;
use super::patience;
use crate::ground::Result;
use crate::ground::kernel::Low;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI64, Ordering};

/// 64 KiB: with a thousand changes in a second, one look-up in eight asks in vain.
const WORDS_COUNT: usize = 8192;

/// The words, or nothing where the file can't be had: then time alone decides.
#[derive(Clone, Copy)]
pub struct Board(Option<&'static [AtomicI64; WORDS_COUNT]>);

impl Board {
    /// The board in a runtime directory.
    pub fn open(directory: Option<&str>) -> Self {
        Self(directory.and_then(|directory| map(&format!("{directory}/changes")).ok()))
    }

    /// A name in a directory was removed, or leads elsewhere.
    pub fn note_name(self, directory: ObjectId, name: &[u8]) {
        self.note(hash(directory, name));
    }

    /// A node's attributes are other ones.
    pub fn note_node(self, object: ObjectId) {
        self.note(hash(object, b""));
    }

    /// Since when nobody here changed what a name leads to, in nanoseconds of [`patience::now`].
    pub fn name_changed(self, directory: ObjectId, name: &[u8]) -> i64 {
        self.changed(hash(directory, name))
    }

    /// Since when nobody here changed a node.
    pub fn node_changed(self, object: ObjectId) -> i64 {
        self.changed(hash(object, b""))
    }

    fn note(self, at: usize) {
        if let Some(words) = self.0 {
            words[at].fetch_max(patience::now(), Ordering::Release);
        }
    }

    fn changed(self, at: usize) -> i64 {
        self.0.map_or(0, |words| words[at].load(Ordering::Acquire))
    }
}

/// The same in every process: where something falls.
fn hash(object: ObjectId, name: &[u8]) -> usize {
    // FNV-1a: names are short, and whoever chooses them to collide pays with messages of his own.
    let mut word = object.lock_offset() ^ 0xcbf2_9ce4_8422_2325;
    for byte in name {
        word = (word ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    ((word ^ word >> 32) as usize) % WORDS_COUNT
}

fn map(path: &str) -> Result<&'static [AtomicI64; WORDS_COUNT]> {
    let length = size_of::<[AtomicI64; WORDS_COUNT]>();
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
    let file = Low::open(CWD, path, flags, Mode::from_raw_mode(0o600))?;
    if rustix::fs::fstat(file.as_fd())?.st_size < length as i64 {
        // Only ever longer: a page that another process has mapped stays.
        rustix::fs::ftruncate(file.as_fd(), length as u64)?;
    }
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at a place of the kernel's choice, `length` bytes of a file that is as long and that nobody
    // makes shorter; all of it is only ever used as atomic words, and it is never unmapped.
    unsafe {
        let start = rustix::mm::mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, file.as_fd(), 0)?;
        Ok(&*start.cast())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_see_what_changed() {
        let directory = format!("/dev/shm/sidestep-test-board-{}", std::process::id());
        std::fs::create_dir(&directory).unwrap();
        let (one, other) = (Board::open(Some(&directory)), Board::open(Some(&directory)));
        let object = ObjectId { low: 5, high: 9 };
        assert_eq!((other.name_changed(object, b"n"), other.node_changed(object)), (0, 0));
        let before = patience::now();
        one.note_name(object, b"n");
        assert!(other.name_changed(object, b"n") >= before);
        assert_eq!((other.name_changed(object, b"m"), other.node_changed(object)), (0, 0));
        one.note_node(object);
        assert!(one.node_changed(object) >= before);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn without_a_directory_time_decides() {
        let board = Board::open(None);
        board.note_node(ObjectId { low: 1, high: 1 });
        assert_eq!(board.node_changed(ObjectId { low: 1, high: 1 }), 0);
    }
}
