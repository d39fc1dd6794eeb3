//! When this node's processes last changed what, so that none of them believes what another has just made untrue: a
//! script's `rm -r d; mkdir d; cd d` is three processes.
//!
//! One file of a user's ([`super::runtime`]), which all of his processes map: [`WORDS_COUNT`] words, each the monotonic
//! time of the last change of any name or node that falls on it; and as many that say whose turn it is to change such a
//! name ([`super::turns`]). Who was told something before that time asks again, so
//! two that share a word cost a message and no more. Other nodes do not see the file: for what they change, names and
//! attributes are believed for a second at most ([`super::nodes`]).
//!
//! A word also counts the processes that are about to change a name of its own ([`Board::change_name`]). libdfs moves in
//! steps, with a moment in which the name leads nowhere: who is told so meanwhile waits and asks again, so that for the
//! processes of a node a rename is one step, as rename(2) says. The count of one that was killed in the middle is not
//! believed past [`CHANGE_NANOSECONDS_MAX`].
#![allow(unsafe_code)]

use super::object::ObjectId;
use super::patience;
use crate::ground::kernel::{self, Low};
use crate::ground::{Result, file_size_limit};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// 64 KiB: with a thousand changes in a second, one look-up in eight asks in vain.
const WORDS_COUNT: usize = 8192;

/// The lower bits of a word: how many are about to change a name. The rest is a time that is a microsecond exact.
const CHANGING: i64 = 0x3ff;

/// The file, in the runtime directory.
pub const FILE: &str = "changes";

/// What stands for a node's rights where a name would: no name has a slash.
const RIGHTS: &[u8] = b"/";

/// And what stands for the name of the node itself.
const PLACE: &[u8] = b"//";

/// So long a change may take, before whoever waits for it goes on.
const CHANGE_NANOSECONDS_MAX: i64 = 1_000_000_000;

/// How long a look at a change under way waits for the next one, in microseconds.
const WAIT_MICROSECONDS: u32 = 30;

/// What is in the file.
#[repr(C)]
struct Words {
    changes: [AtomicI64; WORDS_COUNT],
    /// The numbers of processes; 0 for nobody's turn.
    turns: [AtomicU32; WORDS_COUNT],
}

/// The words, or nothing where the file can't be had: then time alone decides.
#[derive(Clone, Copy)]
pub struct Board(Option<&'static Words>);

impl Board {
    /// The board in a runtime directory.
    pub fn open(directory: Option<&str>) -> Self {
        Self(directory.and_then(|directory| map(&format!("{directory}/{FILE}")).ok()))
    }

    /// Where the turns at a name are.
    pub fn place(directory: ObjectId, name: &[u8]) -> usize {
        hash(directory, name)
    }

    /// Takes a turn over from `before`, 0 for nobody. An error tells who has it.
    ///
    /// # Errors
    /// That number.
    pub fn take_turn(self, place: usize, before: u32, number: u32) -> std::result::Result<(), u32> {
        let Some(words) = self.0 else { return Ok(()) };
        words.turns[place].compare_exchange(before, number, Ordering::SeqCst, Ordering::SeqCst).map(drop)
    }

    /// Gives back a turn that `number` has.
    pub fn give_turn_back(self, place: usize, number: u32) {
        if let Some(words) = self.0 {
            // Not where it was taken away: its owner was thought to be dead.
            let _ = words.turns[place].compare_exchange(number, 0, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    /// Gives back what a dead process has that had this number: another is about to have it.
    pub fn give_all_back(self, number: u32) {
        for place in 0..WORDS_COUNT {
            self.give_turn_back(place, number);
        }
    }

    /// What a name in a directory leads to is about to change, and has when the answer is dropped.
    pub fn change_name(self, directory: ObjectId, name: &[u8]) -> NameChange {
        let at = hash(directory, name);
        self.note(at, 1);
        NameChange { board: self, at }
    }

    /// Waits until nobody is changing a name.
    pub fn wait_for_name(self, directory: ObjectId, name: &[u8]) {
        let at = hash(directory, name);
        while self.is_changing(at) {
            kernel::sleep(WAIT_MICROSECONDS);
        }
    }

    /// A node's attributes are other ones.
    pub fn note_node(self, object: ObjectId) {
        self.note(hash(object, b""), 0);
    }

    /// Since when nobody here changed what a name leads to, in nanoseconds of [`patience::now`]; `i64::MAX` while somebody
    /// is about to.
    pub fn name_changed(self, directory: ObjectId, name: &[u8]) -> i64 {
        let at = hash(directory, name);
        if self.is_changing(at) { i64::MAX } else { self.changed(at) }
    }

    /// Since when nobody here changed a node.
    pub fn node_changed(self, object: ObjectId) -> i64 {
        self.changed(hash(object, b""))
    }

    /// A node's owner or permission bits are other ones. Apart from the rest, which changes with each name that is made in
    /// a directory: who makes a thousand asks once for the directory's rights.
    pub fn note_rights(self, object: ObjectId) {
        self.note(hash(object, RIGHTS), 0);
    }

    /// Since when nobody here changed a node's rights.
    pub fn rights_changed(self, object: ObjectId) -> i64 {
        self.changed(hash(object, RIGHTS))
    }

    /// A node was renamed, or a directory removed. Apart from the rest: who goes up from a directory need not ask where it
    /// is whenever something is made in it.
    pub fn note_moved(self, object: ObjectId) {
        self.note(hash(object, PLACE), 0);
    }

    /// Since when nobody here renamed a node.
    pub fn moved(self, object: ObjectId) -> i64 {
        self.changed(hash(object, PLACE))
    }

    /// Notes a change, and `more` that are about to change a name.
    fn note(self, at: usize, more: i64) {
        let Some(words) = self.0 else { return };
        let now = patience::now();
        let mut word = words.changes[at].load(Ordering::SeqCst);
        loop {
            let left = if now - word > CHANGE_NANOSECONDS_MAX { 0 } else { word & CHANGING };
            let count = (left + more).clamp(0, CHANGING);
            let next = now.max(word) & !CHANGING | count;
            match words.changes[at].compare_exchange(word, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(other) => word = other,
            }
        }
    }

    fn is_changing(self, at: usize) -> bool {
        let word = self.0.map_or(0, |words| words.changes[at].load(Ordering::SeqCst));
        word & CHANGING != 0 && patience::now() - word < CHANGE_NANOSECONDS_MAX
    }

    /// The end of the time's last microsecond; 0 for never.
    fn changed(self, at: usize) -> i64 {
        match self.0.map_or(0, |words| words.changes[at].load(Ordering::SeqCst)) {
            0 => 0,
            word => word | CHANGING,
        }
    }
}

/// A change of a name under way.
pub struct NameChange {
    board: Board,
    at: usize,
}

impl Drop for NameChange {
    fn drop(&mut self) {
        self.board.note(self.at, -1);
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

fn map(path: &str) -> Result<&'static Words> {
    let length = size_of::<Words>();
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
    let file = Low::open(CWD, path, flags, Mode::from_raw_mode(0o600))?;
    if rustix::fs::fstat(file.as_fd())?.st_size < length as i64 {
        // Only ever longer: a page that another process has mapped stays.
        file_size_limit::without(|| rustix::fs::ftruncate(file.as_fd(), length as u64))?;
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
        let change = one.change_name(object, b"n");
        assert_eq!(other.name_changed(object, b"n"), i64::MAX);
        drop(change);
        let changed = other.name_changed(object, b"n");
        assert!(changed >= before && changed < i64::MAX);
        other.wait_for_name(object, b"n");
        assert_eq!((other.name_changed(object, b"m"), other.node_changed(object)), (0, 0));
        one.note_node(object);
        assert!(one.node_changed(object) >= before);
        assert_eq!(other.rights_changed(object), 0);
        one.note_rights(object);
        assert!(other.rights_changed(object) >= before);
        assert_eq!(other.moved(object), 0);
        one.note_moved(object);
        assert!(other.moved(object) >= before);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_change_that_never_ends_is_not_waited_for_long() {
        let directory = format!("/dev/shm/sidestep-test-board-killed-{}", std::process::id());
        std::fs::create_dir(&directory).unwrap();
        let board = Board::open(Some(&directory));
        let object = ObjectId { low: 6, high: 9 };
        std::mem::forget(board.change_name(object, b"n"));
        board.wait_for_name(object, b"n");
        assert_ne!(board.name_changed(object, b"n"), i64::MAX);
        drop(board.change_name(object, b"n"));
        assert_ne!(board.name_changed(object, b"n"), i64::MAX);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn one_at_a_time_has_a_turn() {
        let directory = format!("/dev/shm/sidestep-test-board-turns-{}", std::process::id());
        std::fs::create_dir(&directory).unwrap();
        let (one, other) = (Board::open(Some(&directory)), Board::open(Some(&directory)));
        let place = Board::place(ObjectId { low: 7, high: 9 }, b"n");
        assert_eq!(one.take_turn(place, 0, 5), Ok(()));
        assert_eq!(other.take_turn(place, 0, 6), Err(5));
        assert_eq!(other.take_turn(place, 5, 6), Ok(()));
        one.give_turn_back(place, 5);
        assert_eq!(one.take_turn(place, 0, 5), Err(6));
        one.give_all_back(6);
        assert_eq!(one.take_turn(place, 0, 5), Ok(()));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn without_a_directory_time_decides() {
        let board = Board::open(None);
        board.note_node(ObjectId { low: 1, high: 1 });
        assert_eq!(board.node_changed(ObjectId { low: 1, high: 1 }), 0);
    }
}
