//! What the processes of one user on one node tell one another about a container, without a daemon: files in memory,
//! and locks that the kernel drops when a process ends, however it ends.
//!
//! `/dev/shm/sidestep-UID/CONTAINER/`, for its owner alone:
//!
//! | file | what |
//! |---|---|
//! | `live` | a shared lock on the byte of each object that somebody has open; exclusive ones of appends and of processes |
//! | `cwd/OBJECT` | a directory to stand in for one of the container's as a working directory |
//! | `cwd/OBJECT.path` | a symlink: where that directory was in the container |
//! | `moved/OBJECT.path` | a symlink: where a node went that was renamed while another process had it open, or a directory |
//!
//! Where the directory can't be had, files that are removed while they are open lose their bytes at once, and an
//! append is refused ([`Errno::NOLCK`]).

use super::entrance;
use super::lock::Lock;
use super::moved;
use super::object::ObjectId;
use super::patience::Patience;
use super::stand_in;
use crate::ground::kernel::{self, Low, Parked, RangeLock};
use crate::ground::{Errno, Result, waiting};
use crate::store::AppendGuard;
use rustix::fs::{CWD, Mode, OFlags, RawDir};
use std::os::fd::AsFd;

/// Locks of appends are this far above those of the living.
const APPENDS_FROM: u64 = 1 << 61;

/// Locks of processes' numbers are this far up.
const NUMBERS_FROM: u64 = 1 << 62;

/// So many processes of a user on a node have numbers at once.
const NUMBERS_COUNT: u32 = 1 << 16;

/// Where runtime directories are.
const PLACE: &str = "/dev/shm/sidestep-";

/// This node's files about a container.
pub struct Runtime {
    /// The directory, if it could be had.
    directory: Option<String>,
    live: Lock<Option<Live>>,
}

/// This process's open file description on `live`.
struct Live {
    file: Parked,
    generation: u32,
    /// This process's number, 0 before it was wanted.
    number: u32,
}

impl Runtime {
    /// The files of the container `uuid`; made where they are not there yet.
    pub fn open(uuid: [u8; 16]) -> Self {
        let user = rustix::process::geteuid().as_raw();
        let mut name = String::with_capacity(32);
        for byte in uuid {
            name.push_str(&format!("{byte:02x}"));
        }
        let directory = format!("{PLACE}{user}/{name}");
        let made = own_directory(&format!("{PLACE}{user}"), user)
            .and_then(|()| own_directory(&directory, user))
            .and_then(|()| own_directory(&format!("{directory}/{}", stand_in::FOLDER), user))
            .and_then(|()| own_directory(&format!("{directory}/{}", moved::FOLDER), user));
        Self { directory: made.is_ok().then_some(directory), live: Lock::new(None) }
    }

    /// The directory, if it could be had.
    pub fn directory(&self) -> Option<&str> {
        self.directory.as_deref()
    }

    /// Shows the files that were in one of its folders at the beginning: their names and paths. How many there were.
    pub fn visit(&self, folder: &str, mut each: impl FnMut(&str, &str)) -> usize {
        let Some(folder) = self.directory().map(|directory| format!("{directory}/{folder}")) else { return 0 };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let Ok(opened) = Low::open(CWD, folder.as_str(), flags, Mode::empty()) else { return 0 };
        let mut room = [const { std::mem::MaybeUninit::uninit() }; 2048];
        let mut entries = RawDir::new(opened.as_fd(), &mut room);
        let mut names = Vec::new();
        while let Some(Ok(entry)) = entries.next() {
            names.extend(entry.file_name().to_str().ok().filter(|name| !name.starts_with('.')).map(str::to_owned));
        }
        names.iter().for_each(|name| each(name, &format!("{folder}/{name}")));
        names.len()
    }

    fn open_live(&self) -> Result<Low> {
        let directory = self.directory.as_ref().ok_or(Errno::NOLCK)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
        Low::open(CWD, format!("{directory}/live"), flags, Mode::from_raw_mode(0o600))
    }

    /// Does something with this process's own description. In a fork child, whose copy of the description is its parent's,
    /// a new one is opened, and `others` are the objects that the child has open too.
    fn with_live<T>(&self, others: &dyn Fn() -> Vec<ObjectId>, call: impl FnOnce(&mut Live) -> Result<T>) -> Result<T> {
        let mut live = self.live.lock();
        let generation = entrance::generation();
        if live.as_ref().is_none_or(|live| live.generation != generation) {
            let file = self.open_live()?.park()?;
            for object in others() {
                kernel::lock_range(file.as_fd(), RangeLock::Read, object.lock_offset(), 1)?;
            }
            *live = Some(Live { file, generation, number: 0 });
        }
        live.as_mut().map_or(Err(Errno::NOLCK), call)
    }

    /// Sets this process's lock on an object's byte.
    fn set(&self, object: ObjectId, lock: RangeLock, others: &dyn Fn() -> Vec<ObjectId>) -> Result<()> {
        self.with_live(others, |live| kernel::lock_range(live.file.as_fd(), lock, object.lock_offset(), 1)).map(drop)
    }

    /// A number that no other living process of this user on this node has, from 1 on. `is_new` is told of it before
    /// anybody can see it used, if it was taken just now.
    ///
    /// # Errors
    /// `ENOLCK` without the file; `EUSERS` where all are taken.
    pub fn number(&self, others: &dyn Fn() -> Vec<ObjectId>, is_new: &dyn Fn(u32)) -> Result<u32> {
        self.with_live(others, |live| {
            if live.number == 0 {
                let first = rustix::process::getpid().as_raw_nonzero().get().cast_unsigned();
                let is_taken = |number: &u32| {
                    let byte = NUMBERS_FROM + u64::from(*number);
                    kernel::lock_range(live.file.as_fd(), RangeLock::Write, byte, 1).unwrap_or(false)
                };
                let mut numbers = (0..NUMBERS_COUNT).map(|step| first.wrapping_add(step) % NUMBERS_COUNT + 1);
                live.number = numbers.find(is_taken).ok_or(Errno::USERS)?;
                is_new(live.number);
            }
            Ok(live.number)
        })
    }

    /// Whether a process other than this one has a number.
    pub fn is_alive(&self, number: u32) -> bool {
        self.is_locked_elsewhere(NUMBERS_FROM + u64::from(number), 1)
    }

    /// Tells the node that this process has an object open.
    pub fn note_open(&self, object: ObjectId, others: &dyn Fn() -> Vec<ObjectId>) {
        // Without the file nothing keeps an open file's bytes when another process removes it: see above.
        let _ = self.set(object, RangeLock::Read, others);
    }

    /// And that it has it no more.
    pub fn note_closed(&self, object: ObjectId, others: &dyn Fn() -> Vec<ObjectId>) {
        let _ = self.set(object, RangeLock::None, others);
    }

    /// Whether another process of this user on this node has an object open, or holds it.
    pub fn is_open_elsewhere(&self, object: ObjectId) -> bool {
        self.is_locked_elsewhere(object.lock_offset(), 1)
    }

    /// Whether another process of this user on this node has anything open.
    pub fn is_anything_open_elsewhere(&self) -> bool {
        self.is_locked_elsewhere(0, APPENDS_FROM)
    }

    fn is_locked_elsewhere(&self, start: u64, length: u64) -> bool {
        let live = self.live.lock();
        let own = live.as_ref().filter(|live| live.generation == entrance::generation());
        let locked = match own {
            Some(live) => kernel::is_range_locked(live.file.as_fd(), start, length),
            None => self.open_live().and_then(|file| kernel::is_range_locked(file.as_fd(), start, length)),
        };
        locked.unwrap_or(false)
    }

    /// A descriptor that keeps objects alive for as long as any process has a copy of it.
    ///
    /// # Errors
    /// `ENOLCK` without the file, `EMFILE`.
    pub fn hold(&self, objects: &[ObjectId]) -> Result<Low> {
        let file = self.open_live()?;
        for object in objects {
            kernel::lock_range(file.as_fd(), RangeLock::Read, object.lock_offset(), 1)?;
        }
        Ok(file)
    }

    /// Waits until nobody else of this user on this node appends to an object.
    ///
    /// # Errors
    /// `ENOLCK` without the file; `ETIMEDOUT`, `EINTR` where patience ends first.
    pub fn lock_for_append(&self, object: ObjectId, patience: &Patience) -> Result<Box<dyn AppendGuard>> {
        // A description of its own for each guard: so that it holds against other threads too.
        let file = self.open_live()?;
        let mut attempt = 0;
        while !kernel::lock_range(file.as_fd(), RangeLock::Write, APPENDS_FROM + object.lock_offset(), 1)? {
            patience.nap(attempt)?;
            attempt += 1;
        }
        waiting::answered();
        Ok(Box::new(Append { _file: file }))
    }

    /// In a fork child, before anything else.
    pub fn after_fork_in_child(&self) {
        self.live.free_in_child();
    }
}

/// The lock goes with the description.
struct Append {
    _file: Low,
}

impl AppendGuard for Append {}

/// A directory that is this user's and nobody else's.
fn own_directory(path: &str, user: u32) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let stat = rustix::fs::lstat(path)?;
    let is_own = stat.st_mode & libc::S_IFMT == libc::S_IFDIR && stat.st_uid == user && stat.st_mode & 0o077 == 0;
    if is_own { Ok(()) } else { Err(Errno::ACCESS) }
}

/// What is below a runtime directory: of `/dev/shm/sidestep-0/CONTAINER/cwd/x` it is `cwd/x`.
fn inside(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(PLACE.as_bytes())?;
    let mut parts = rest.splitn(3, |byte| *byte == b'/');
    let (user, container, inside) = (parts.next()?, parts.next()?, parts.next()?);
    let is_user = !user.is_empty() && user.iter().all(u8::is_ascii_digit);
    let is_container = container.len() == 32 && container.iter().all(u8::is_ascii_hexdigit);
    (is_user && is_container).then_some(inside)
}

/// Whether a descriptor's link in `/proc/self/fd` leads to a file on which holds are kept.
pub fn is_hold_link(link: &[u8]) -> bool {
    inside(link) == Some(b"live")
}

/// Whether a host path is that of a stand-in of any container, told by its text.
pub fn is_stand_in(host_path: &[u8]) -> bool {
    inside(host_path).is_some_and(|rest| rest.starts_with(b"cwd/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_others() -> Vec<ObjectId> {
        Vec::new()
    }

    #[test]
    fn the_living_are_seen_and_appends_take_turns() {
        let uuid = *b"sidestep-test-rt";
        let (one, other) = (Runtime::open(uuid), Runtime::open(uuid));
        let object = ObjectId { low: u64::from(std::process::id()), high: 3 };
        assert!(!other.is_open_elsewhere(object));
        one.note_open(object, &no_others);
        assert!(other.is_open_elsewhere(object) && !one.is_open_elsewhere(object));
        let held = other.hold(&[object]).unwrap();
        one.note_closed(object, &no_others);
        assert!(one.is_open_elsewhere(object));
        drop(held);
        assert!(!one.is_open_elsewhere(object));

        let first = one.lock_for_append(object, &Patience::of_seconds(5)).unwrap();
        let patience = Patience::of_seconds(0);
        assert_eq!(other.lock_for_append(object, &patience).err(), Some(Errno::TIMEDOUT));
        assert_eq!(one.lock_for_append(object, &patience).err(), Some(Errno::TIMEDOUT));
        drop(first);
        assert!(other.lock_for_append(object, &patience).is_ok());

        let number = one.number(&no_others, &|_| {}).unwrap();
        assert_eq!(one.number(&no_others, &|_| panic!("it has one")), Ok(number));
        let next = other.number(&no_others, &|_| {}).unwrap();
        assert!(next != number && other.is_alive(number) && !one.is_alive(number));
        drop(one);
        assert!(!other.is_alive(number));
        std::fs::remove_dir_all(other.directory().unwrap()).unwrap();
    }

    #[test]
    fn paths_are_told_by_their_text() {
        let container = "0123456789abcdef0123456789abcdef";
        assert!(is_hold_link(format!("/dev/shm/sidestep-1000/{container}/live").as_bytes()));
        assert!(!is_hold_link(format!("/dev/shm/sidestep-x/{container}/live").as_bytes()));
        assert!(!is_hold_link(b"/dev/shm/sidestep-1000/live"));
        assert!(is_stand_in(format!("/dev/shm/sidestep-0/{container}/cwd/ab").as_bytes()));
        assert!(!is_stand_in(format!("/dev/shm/sidestep-0/{container}/live").as_bytes()));
    }
}
