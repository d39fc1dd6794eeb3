//! What the processes of one user on one node tell one another about a container, without a daemon: files in memory,
//! and locks that the kernel drops when a process ends, however it ends.
//!
//! `/dev/shm/sidestep-UID/CONTAINER/`, for its owner alone:
//!
//! | file | what |
//! |---|---|
//! | `live` | a shared lock on the byte of each object that somebody has open; exclusive ones of appends and of processes |
//! | `cwd/OBJECT.path` | a symlink: where a directory is in the container that somebody works in |
//! | `moved/OBJECT.path` | a symlink: where a node went that was renamed while another process had it open, or a directory |
//!
//! Each process has a lock on a byte of `live` for as long as it has the container, its fork children with it, and so has
//! each hold. Who finds a directory on which nobody has any lock removes it: whoever connects a container does so with
//! those of others, whoever ends with his own. He locks all of `live` first, and removes that last; who comes takes his
//! lock before he makes anything, and begins again where the file has been removed meanwhile. So what was left by a kill
//! stays until the next process of that user, and no more than what is in use after that.
//!
//! Where the directory can't be had, files that are removed while they are open lose their bytes at once, and an
//! append is refused ([`Errno::NOLCK`]).

use super::board;
use super::entrance;
use super::lock::Lock;
use super::moved;
use super::object::ObjectId;
use super::patience::Patience;
use super::stand_in;
use crate::ground::kernel::{self, Low, Parked, RangeLock};
use crate::ground::{Errno, Result, diagnostics, own_directory, waiting};
use crate::store::AppendGuard;
use rustix::fs::{CWD, Mode, OFlags, RawDir};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// Locks of appends are this far above those of the living.
const APPENDS_FROM: u64 = 1 << 61;

/// Locks of processes' numbers are this far up.
const NUMBERS_FROM: u64 = 1 << 62;

/// The lock of everybody who has the container.
const PRESENT_AT: u64 = (1 << 62) + (1 << 32);

/// How often a directory is made anew that somebody else has just removed.
const ATTEMPTS_COUNT_MAX: u32 = 64;

/// How long whoever is removing a directory is let go on, in microseconds.
const REMOVAL_MICROSECONDS: u32 = 50;

/// A directory without a `live` for so long belongs to nobody who is just making it.
const LEFT_BEHIND_SECONDS: i64 = 60;

/// So many processes of a user on a node have numbers at once.
const NUMBERS_COUNT: u32 = 1 << 16;

/// The file with the locks.
const LIVE: &str = "live";

/// The folders of notes.
const FOLDERS: [&str; 2] = [stand_in::FOLDER, moved::FOLDER];

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
        let place = format!("{PLACE}{user}");
        let directory = format!("{place}/{name}");
        let live = claim(&directory).and_then(Low::park).map(|file| Live {
            file,
            generation: entrance::generation(),
            number: 0,
        });
        let (directory, live) = match live {
            Ok(live) => (Some(directory), Some(live)),
            Err(error) => {
                WHY_NOT.store(error.raw_os_error(), Ordering::Relaxed);
                (None, None)
            }
        };
        for other in names_in(&place).into_iter().filter(|other| is_container(other.as_bytes()) && *other != name) {
            remove_unused(&format!("{place}/{other}"));
        }
        Self { directory, live: Lock::new(live) }
    }

    /// This process needs nothing of it any more. The last removes the directory.
    pub fn leave(&self) {
        let Some(directory) = self.directory() else { return };
        // A fork child that has not opened its own shares this description: to it the file stays locked.
        drop(self.live.lock().take());
        remove_unused(directory);
        if let Some((place, _)) = directory.rsplit_once('/') {
            let _ = rustix::fs::rmdir(place);
        }
    }

    /// The directory, if it could be had.
    pub fn directory(&self) -> Option<&str> {
        self.directory.as_deref()
    }

    /// Shows the files that were in one of its folders at the beginning: their names and paths. How many there were.
    pub fn visit(&self, folder: &str, mut each: impl FnMut(&str, &str)) -> usize {
        let Some(folder) = self.directory().map(|directory| format!("{directory}/{folder}")) else { return 0 };
        let names = names_in(&folder);
        names.iter().for_each(|name| each(name, &format!("{folder}/{name}")));
        names.len()
    }

    fn open_live(&self) -> Result<Low> {
        let directory = self.directory.as_ref().ok_or_else(refuse)?;
        match Low::open(CWD, format!("{directory}/{LIVE}"), OFlags::RDWR | OFlags::NOFOLLOW, Mode::empty()) {
            // This process's parent was the last to leave.
            Err(Errno::NOENT) => claim(directory),
            opened => opened,
        }
    }

    /// Does something with this process's own description. In a fork child, whose copy of the description is its parent's,
    /// a new one is opened, and `others` are the objects that the child has open too.
    fn with_live<T>(&self, others: &dyn Fn() -> Vec<ObjectId>, call: impl FnOnce(&mut Live) -> Result<T>) -> Result<T> {
        let mut live = self.live.lock();
        let generation = entrance::generation();
        if live.as_ref().is_none_or(|live| live.generation != generation) {
            let file = self.open_live()?;
            kernel::lock_range(file.as_fd(), RangeLock::Read, PRESENT_AT, 1)?;
            let file = file.park()?;
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
        kernel::lock_range(file.as_fd(), RangeLock::Read, PRESENT_AT, 1)?;
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

/// Why the directory could not be had, as an errno; 0 if that was told already, or it could.
static WHY_NOT: AtomicI32 = AtomicI32::new(0);

/// Says once why something is refused.
fn refuse() -> Errno {
    let why = WHY_NOT.swap(0, Ordering::Relaxed);
    if why != 0 {
        let error = Errno::from_raw_os_error(why);
        let user = rustix::process::geteuid().as_raw();
        diagnostics::say(&format!("{PLACE}{user}: {error}; appends need it, and are refused (ENOLCK)"));
    }
    Errno::NOLCK
}

/// Makes a container's directory, where it is not there, and shows by a lock that it is in use.
///
/// # Errors
/// What keeps it from being made; `EACCES` where it is somebody else's; `EAGAIN` where others go on removing it.
fn claim(directory: &str) -> Result<Low> {
    let user = rustix::process::geteuid().as_raw();
    let place = directory.rsplit_once('/').map_or(directory, |(place, _)| place);
    for _ in 0..ATTEMPTS_COUNT_MAX {
        match claim_once(place, directory, user) {
            Ok(Some(live)) => return Ok(live),
            Err(Errno::NOENT) | Ok(None) => kernel::sleep(REMOVAL_MICROSECONDS),
            Err(error) => return Err(error),
        }
    }
    Err(Errno::AGAIN)
}

fn claim_once(place: &str, directory: &str, user: u32) -> Result<Option<Low>> {
    own_directory::make(place, user)?;
    own_directory::make(directory, user)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
    let live = Low::open(CWD, format!("{directory}/{LIVE}"), flags, Mode::from_raw_mode(0o600))?;
    if !kernel::lock_range(live.as_fd(), RangeLock::Read, PRESENT_AT, 1)? || rustix::fs::fstat(&live)?.st_nlink == 0 {
        return Ok(None);
    }
    for folder in FOLDERS {
        own_directory::make(&format!("{directory}/{folder}"), user)?;
    }
    Ok(Some(live))
}

/// Removes a container's directory if nobody uses it.
fn remove_unused(directory: &str) {
    let file = format!("{directory}/{LIVE}");
    let live = match Low::open(CWD, file.as_str(), OFlags::RDWR | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(live) => live,
        Err(Errno::NOENT) => {
            let now = kernel::now() / 1_000_000_000;
            if rustix::fs::lstat(directory).is_ok_and(|stat| stat.st_ctime + LEFT_BEHIND_SECONDS < now) {
                empty(directory);
                let _ = rustix::fs::rmdir(directory);
            }
            return;
        }
        Err(_) => return,
    };
    let is_alone = kernel::lock_range(live.as_fd(), RangeLock::Write, 0, 0) == Ok(true);
    if is_alone && rustix::fs::fstat(&live).is_ok_and(|stat| stat.st_nlink != 0) {
        empty(directory);
        let _ = rustix::fs::unlink(file.as_str());
        let _ = rustix::fs::rmdir(directory);
    }
}

/// Removes all that may be in a container's directory but `live`.
fn empty(directory: &str) {
    for folder in FOLDERS.map(|folder| format!("{directory}/{folder}")) {
        for name in names_in(&folder) {
            let _ = rustix::fs::unlink(format!("{folder}/{name}"));
            // Version 0.1 had directories there.
            let _ = rustix::fs::rmdir(format!("{folder}/{name}"));
        }
        let _ = rustix::fs::rmdir(folder);
    }
    let _ = rustix::fs::unlink(format!("{directory}/{}", board::FILE));
}

fn names_in(directory: &str) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let Ok(opened) = Low::open(CWD, directory, flags, Mode::empty()) else { return Vec::new() };
    let mut room = [const { std::mem::MaybeUninit::uninit() }; 2048];
    let mut entries = RawDir::new(opened.as_fd(), &mut room);
    let mut names = Vec::new();
    while let Some(Ok(entry)) = entries.next() {
        names.extend(entry.file_name().to_str().ok().filter(|name| !name.starts_with('.')).map(str::to_owned));
    }
    names
}

fn is_container(name: &[u8]) -> bool {
    name.len() == 32 && name.iter().all(u8::is_ascii_hexdigit)
}

/// What is below a runtime directory: of `/dev/shm/sidestep-0/CONTAINER/cwd/x` it is `cwd/x`.
fn inside(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(PLACE.as_bytes())?;
    let mut parts = rest.splitn(3, |byte| *byte == b'/');
    let (user, container, inside) = (parts.next()?, parts.next()?, parts.next()?);
    let is_user = !user.is_empty() && user.iter().all(u8::is_ascii_digit);
    (is_user && is_container(container)).then_some(inside)
}

/// Whether a descriptor's link in `/proc/self/fd` leads to a file on which holds are kept.
pub fn is_hold_link(link: &[u8]) -> bool {
    inside(link) == Some(b"live")
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
        other.leave();
        assert!(!std::fs::exists(other.directory().unwrap()).unwrap());
    }

    #[test]
    fn the_last_removes_the_directory_and_who_comes_what_others_left() {
        let path = |runtime: &Runtime| runtime.directory().unwrap().to_owned();
        let there = |path: &str| std::fs::exists(path).unwrap();
        let (one, other) = (Runtime::open(*b"sidestep-test-r1"), Runtime::open(*b"sidestep-test-r1"));
        let first = path(&one);
        std::fs::write(format!("{first}/{}/note", moved::FOLDER), "").unwrap();
        one.leave();
        assert!(there(&format!("{first}/{}/note", moved::FOLDER)), "another is here");
        let held = other.hold(&[ObjectId { low: 1, high: 3 }]).unwrap();
        other.leave();
        assert!(there(&first), "a hold is under way to another program");
        drop(held);
        // Neither of them said good-bye from here on: as after a kill.
        drop((one, other));
        let next = Runtime::open(*b"sidestep-test-r2");
        assert!(!there(&first) && there(&path(&next)));
        // One that has left and comes back, a fork child after its parent's end, makes it anew.
        next.leave();
        assert!(!there(&path(&next)));
        assert!(next.lock_for_append(ObjectId { low: 1, high: 3 }, &Patience::of_seconds(1)).is_ok());
        assert!(there(&path(&next)));
        next.leave();
        assert!(!there(&path(&next)));
    }

    #[test]
    fn who_comes_and_who_leaves_never_meet() {
        let uuid = *b"sidestep-test-r3";
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    for _ in 0..50 {
                        let runtime = Runtime::open(uuid);
                        let directory = runtime.directory().expect("it can be had").to_owned();
                        for folder in FOLDERS {
                            assert!(
                                std::fs::exists(format!("{directory}/{folder}")).unwrap(),
                                "{folder} of one in use"
                            );
                        }
                        runtime.leave();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn paths_are_told_by_their_text() {
        let container = "0123456789abcdef0123456789abcdef";
        assert!(is_hold_link(format!("/dev/shm/sidestep-1000/{container}/live").as_bytes()));
        assert!(!is_hold_link(format!("/dev/shm/sidestep-x/{container}/live").as_bytes()));
        assert!(!is_hold_link(b"/dev/shm/sidestep-1000/live"));
    }
}
