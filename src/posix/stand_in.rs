//! Where the kernel is while the working directory is under a prefix: in a directory of the host that has been removed.
//!
//! In such a directory nothing can be made by anybody, the superuser included, and nothing is found: a program that
//! Sidestep does not see (a static one, a system call of its own) gets `ENOENT` for its relative paths, and no byte is
//! swallowed. It takes no space, the kernel keeps it for as long as any process is there, and every child inherits it.
//!
//! 1. [`enter`] makes a few directories within one another in `/dev/shm`, opens the innermost, removes them all, and
//!    changes to it. So `..` leads to removed directories too, as often as a program can be expected to write it.
//! 2. The innermost's name tells what it stands for; the kernel goes on telling it in `/proc/PID/cwd`.
//! 3. [`place_at`] reads it there: what a new program asks first, and whoever asks for another process's directory.
//!
//! A kill between the steps leaves empty directories, which whoever comes next removes.

use super::mount::{self, Mount};
use super::path::PathBuffer;
use crate::ground::kernel::{self, Low};
use crate::ground::mounts::StoreUrl;
use crate::ground::own_directory::{self, Was};
use crate::ground::{Errno, Result};
use crate::posix::descriptor::page::hash;
use crate::store::NodeId;
use rustix::fs::{AtFlags, CWD, IFlags, Mode, OFlags, RawDir};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

/// So many times `..` leads from a stand-in to something removed. Each level costs 5 us.
const LEVELS_COUNT: usize = 16;

/// The places for stand-ins while they are being made, in this order; the user's number stands behind.
const PLACES: [&str; 3] = ["/dev/shm/sidestep-", "/tmp/sidestep-", "/var/tmp/sidestep-"];

/// How the outermost directory's name begins.
const OUTERMOST: &str = "cwd.";

/// How a stand-in's name begins.
const NAME: &str = "sidestep.";

/// What the kernel adds to the path of a directory that was removed.
pub const DELETED: &[u8] = b" (deleted)";

/// Every stand-in has this bit: nobody else's directory has, and a root directory that somebody renames has not.
const MODE: u32 = 0o1700;

/// How often a stand-in is begun again that somebody has taken for a dead one's.
const ATTEMPTS_COUNT_MAX: u32 = 8;

/// What is in the making for so long belongs to a process that was killed.
const LEFT_BEHIND_SECONDS: i64 = 60;

/// A directory of procfs that is always there and always empty. Nobody can make anything in it.
pub const LAST_RESORT: &CStr = c"/proc/tty/ldisc";

/// Makes the kernel's working directory a stand-in for a directory.
///
/// # Errors
/// What the engine has against the directory; what the last place said, where there is room in none.
pub fn enter(mount: &'static Mount, directory: NodeId) -> Result<()> {
    let told = mount.connect()?.container.stand_in_name(directory)?;
    let name = format!("{NAME}{:x}.{told}", hash(&mount.configuration.prefix));
    let user = rustix::process::geteuid().as_raw();
    let mut outcome = Err(Errno::NOENT);
    for place in PLACES {
        outcome = enter_by(&format!("{place}{user}"), user, &name);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn enter_by(place: &str, user: u32, name: &str) -> Result<()> {
    let mut outcome = Err(Errno::NOENT);
    for attempt in 0..ATTEMPTS_COUNT_MAX {
        outcome = own_directory::make(place, user).and_then(|was| {
            if was == Was::There && attempt == 0 {
                remove_left_behind(place);
            }
            enter_new(place, user, name)
        });
        if !matches!(outcome, Err(Errno::NOENT | Errno::EXIST)) {
            break;
        }
    }
    // Where nothing else is in it, it is as if it had never been.
    let _ = rustix::fs::rmdir(place);
    outcome
}

/// The directories of a stand-in in the making, within one another.
struct Chain {
    path: String,
    /// Where each one's path ends.
    ends: Vec<usize>,
}

impl Chain {
    fn add(&mut self, name: &str) -> Result<()> {
        let before = self.path.len();
        self.path.push('/');
        self.path.push_str(name);
        match rustix::fs::mkdir(self.path.as_str(), Mode::from_raw_mode(MODE)) {
            Ok(()) => {
                self.ends.push(self.path.len());
                Ok(())
            }
            Err(error) => {
                self.path.truncate(before);
                Err(error)
            }
        }
    }

    /// Removes them all. False: something had been made in the innermost.
    fn remove(&mut self) -> bool {
        let mut is_removed = true;
        while let Some(end) = self.ends.pop() {
            self.path.truncate(end);
            is_removed &= rustix::fs::rmdir(self.path.as_str()).is_ok();
        }
        is_removed
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.remove();
    }
}

fn enter_new(place: &str, user: u32, name: &str) -> Result<()> {
    let mut chain = Chain { path: place.to_owned(), ends: Vec::with_capacity(LEVELS_COUNT + 2) };
    let (process, thread) = (rustix::process::getpid().as_raw_pid(), rustix::thread::gettid().as_raw_pid());
    chain.add(&format!("{OUTERMOST}{process}.{thread}.{}", kernel::now()))?;
    for _ in 1..LEVELS_COUNT {
        chain.add("-")?;
    }
    chain.add(name)?;
    let opened = match Low::open(CWD, chain.path.as_str(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) {
        // Without a descriptor it is entered first.
        Err(Errno::MFILE | Errno::NFILE) => {
            rustix::process::chdir(chain.path.as_str())?;
            chain.remove();
            return Ok(());
        }
        opened => opened?,
    };
    if !chain.remove() {
        return Err(Errno::EXIST);
    }
    if user == 0 {
        // So that the superuser's `chmod .` is refused too and not lost; file systems that can't do without.
        let _ = rustix::fs::ioctl_setflags(opened.as_fd(), IFlags::IMMUTABLE);
    }
    rustix::process::fchdir(opened.as_fd())
}

/// Removes what processes that were killed have left in a place: directories within one another, with nothing in them.
fn remove_left_behind(place: &str) {
    let now = kernel::now() / 1_000_000_000;
    for name in names_in(place).into_iter().filter(|name| name.starts_with(OUTERMOST)) {
        let mut path = format!("{place}/{name}");
        let is_old = rustix::fs::lstat(path.as_str()).is_ok_and(|stat| stat.st_ctime + LEFT_BEHIND_SECONDS < now);
        if !is_old {
            continue;
        }
        let mut ends = vec![path.len()];
        while let [inner] = names_in(&path).as_slice()
            && ends.len() <= LEVELS_COUNT
        {
            path.push('/');
            path.push_str(inner);
            ends.push(path.len());
        }
        for end in ends.into_iter().rev() {
            path.truncate(end);
            let _ = rustix::fs::rmdir(path.as_str());
        }
    }
}

fn names_in(directory: &str) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let Ok(opened) = Low::open(CWD, directory, flags, Mode::empty()) else { return Vec::new() };
    let mut room = [const { MaybeUninit::uninit() }; 2048];
    let mut entries = RawDir::new(opened.as_fd(), &mut room);
    let mut names = Vec::new();
    while let Some(Ok(entry)) = entries.next() {
        names.extend(entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
    }
    names
}

/// Which directory of ours a process's link in procfs (`/proc/PID/cwd`) leads to the stand-in of.
pub fn place_at(link: &CStr) -> Option<(&'static Mount, NodeId)> {
    let mut path = PathBuffer::new();
    let length = rustix::fs::readlinkat_raw(CWD, link, path.room()).ok()?;
    path.set_length(length);
    let (prefix, told) = parts_of(path.as_bytes())?;
    // A name proves nothing: what has it must have been made by this user, or by one who may do anything to him.
    let stat = rustix::fs::statat(CWD, link, AtFlags::empty()).ok()?;
    let users = [0, rustix::process::geteuid().as_raw(), rustix::process::getuid().as_raw()];
    if stat.st_nlink != 0 || stat.st_mode & libc::S_ISVTX == 0 || !users.contains(&stat.st_uid) {
        return None;
    }
    let is_meant = |mount: &&Mount| hash(&mount.configuration.prefix) == prefix;
    let others = mount::all().iter().filter(|mount| !is_meant(mount));
    // A store is connected only where this may be inside it: a process that never touches the prefix does not.
    mount::all().iter().filter(is_meant).chain(others).find_map(|mount| {
        let is_of_its_kind = match &mount.configuration.url {
            StoreUrl::Local { .. } => told.starts_with("l."),
            StoreUrl::Daos { .. } => told.starts_with("d."),
        };
        let connected = is_of_its_kind.then(|| mount.connect().ok()).flatten()?;
        connected.container.directory_of_stand_in(told).map(|node| (mount, node))
    })
}

/// A stand-in's prefix, as a hash, and what its engine told of the directory, from the path that the kernel tells.
fn parts_of(path: &[u8]) -> Option<(u64, &str)> {
    let path = std::str::from_utf8(path.strip_suffix(DELETED)?).ok()?;
    let (_, name) = path.rsplit_once('/')?;
    let (prefix, told) = name.strip_prefix(NAME)?.split_once('.')?;
    Some((u64::from_str_radix(prefix, 16).ok()?, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_by_the_kernel_and_only_of_removed_directories() {
        let path = b"/dev/shm/sidestep-0/cwd.7.7.1/-/-/sidestep.ff.l.2a.3.1 (deleted)";
        assert_eq!(parts_of(path), Some((255, "l.2a.3.1")));
        assert_eq!(parts_of(b"/dev/shm/sidestep-0/sidestep.ff.l.2a.3.1"), None);
        assert_eq!(parts_of(b"/tmp/sidestep.xyz.l.1 (deleted)"), None);
        assert_eq!(parts_of(b"/tmp/removed (deleted)"), None);
    }

    #[test]
    fn what_a_kill_left_is_removed_later_and_what_is_in_use_is_not() {
        let place = format!("/dev/shm/sidestep-test-stand-in.{}", std::process::id());
        let left = format!("{place}/{OUTERMOST}1.1.1");
        std::fs::create_dir_all(format!("{left}/-/-/sidestep.1.l.1")).unwrap();
        remove_left_behind(&place);
        assert!(std::fs::exists(&left).unwrap(), "it may be in the making");
        let mut chain = Chain { path: left.clone(), ends: vec![left.len()] };
        chain.path = format!("{left}/-/-/sidestep.1.l.1");
        chain.ends = ["", "/-", "/-/-", "/-/-/sidestep.1.l.1"].iter().map(|rest| left.len() + rest.len()).collect();
        assert!(chain.remove());
        assert!(!std::fs::exists(&left).unwrap());
        std::fs::remove_dir(place).unwrap();
    }
}
