//! The descriptors that Sidestep opens for itself: out of the application's way, and not out of its limit.
//!
//! The kernel gives a new descriptor the lowest free number, so one of ours has to be moved up at once. Where the soft
//! limit is small it is moved above it, where the application can have none; so one of ours never uses up what the
//! application may open, and it is to be had when the application has used up all. For the moment in which it stands low:
//!
//! - the application's `dup2` waits ([`Placing`]), which could put another file in its place;
//! - a fork waits, by [`Change`];
//! - no signal handler of the thread runs.
//!
//! A process that may not go above its limit (not the superuser's, and the hard limit is as low) keeps a few numbers in
//! reserve for the time when the application has used up its own.
#![allow(unsafe_code)]

use super::change::Change;
use super::guard::Quiet;
use super::kernel::{self, borrow};
use super::{Errno, Result, parked, threads};
use rustix::fs::{Mode, OFlags};
use rustix::io::{DupFlags, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Up to this soft limit, kept descriptors go above it, where the application can have none.
const SOFT_LIMIT_RAISED_MAX: u64 = 4096;

/// How far a superuser's hard limit is raised where there is no room below it.
const ROOM_ABOVE_LIMIT: u64 = 1024;

/// Numbers that are tried first where they have to be below the limit: an open store takes five.
const ROOM_BELOW_LIMIT: u64 = 16;

/// Under a larger limit they go from here on.
const PARKED_FROM: i32 = 4000;

/// Numbers in reserve: what a call opens for itself at once, at most.
const RESERVE_COUNT: usize = 2;

/// A smaller limit is left to the application alone.
const RESERVE_LIMIT_MIN: u64 = 16;

static RESERVE: [AtomicI32; RESERVE_COUNT] = [const { AtomicI32::new(-1) }; RESERVE_COUNT];

/// Those that look for a number, or the one that places a descriptor under a number of its choice: -1.
static LOOKING: AtomicI32 = AtomicI32::new(0);

/// 1 while the limit is not what the application has set.
static LIMIT: AtomicI32 = AtomicI32::new(0);

/// A word as a lock, held: it adds `weight` and is given back when dropped.
struct Locked {
    word: &'static AtomicI32,
    weight: i32,
}

impl Locked {
    /// One of many.
    fn shared(word: &'static AtomicI32) -> Self {
        while word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| (now >= 0).then_some(now + 1)).is_err() {
            rustix::thread::sched_yield();
        }
        Self { word, weight: 1 }
    }

    /// The only one.
    fn alone(word: &'static AtomicI32) -> Self {
        while word.compare_exchange(0, -1, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            rustix::thread::sched_yield();
        }
        Self { word, weight: -1 }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.word.fetch_sub(self.weight, Ordering::SeqCst);
    }
}

/// In a fork child, which has none of the threads that held a lock.
pub fn after_fork_in_child() {
    LOOKING.store(0, Ordering::SeqCst);
    LIMIT.store(0, Ordering::SeqCst);
}

/// While the application's `dup2` is under way: no descriptor of ours stands for a moment under a number that it may
/// have chosen. Nothing in a process with one thread.
pub struct Placing(#[allow(dead_code, reason = "held for its Drop")] Option<(Locked, Quiet)>);

impl Placing {
    /// Begins.
    pub fn begin() -> Self {
        let is_alone = threads::is_single();
        Self((!is_alone).then(|| {
            let quiet = Quiet::enter();
            (Locked::alone(&LOOKING), quiet)
        }))
    }
}

/// While the application sets a limit of its own: ours of the moment is neither read nor put back over it.
pub struct Limiting(#[allow(dead_code, reason = "held for its Drop")] (Locked, Quiet));

impl Limiting {
    /// Begins.
    pub fn begin() -> Self {
        let quiet = Quiet::enter();
        Self((Locked::alone(&LIMIT), quiet))
    }
}

/// The limit as the application has set it.
struct Room(Rlimit);

impl Room {
    fn look() -> Self {
        Self(getrlimit(Resource::Nofile))
    }

    fn soft(&self) -> u64 {
        self.0.current.unwrap_or(u64::MAX)
    }

    fn is_small(&self) -> bool {
        self.soft() <= SOFT_LIMIT_RAISED_MAX
    }

    /// Where ours begin.
    fn from(&self) -> i32 {
        if self.is_small() { i32::try_from(self.soft()).unwrap_or(PARKED_FROM) } else { PARKED_FROM }
    }

    /// Does something under a raised limit. `None` where it can't be raised.
    fn raised<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let (soft, hard) = (self.soft(), self.0.maximum.unwrap_or(u64::MAX));
        let wanted = soft.saturating_add(ROOM_ABOVE_LIMIT);
        // The superuser may go above the hard limit too, where that leaves too little room.
        let is_raised =
            [wanted, hard].into_iter().filter(|raised| *raised > soft && *raised != u64::MAX).any(|raised| {
                let maximum = self.0.maximum.map(|hard| hard.max(raised));
                setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok()
            });
        is_raised.then(|| {
            let answer = work();
            let _ = setrlimit(Resource::Nofile, self.0);
            answer
        })
    }

    /// A copy of `low` at a high number.
    fn duplicate(&self, low: RawFd) -> Result<RawFd> {
        let copy = |from: i32| fcntl_dupfd_cloexec(borrow(low), from).map(IntoRawFd::into_raw_fd);
        if !self.is_small()
            && let Ok(high) = copy(PARKED_FROM)
        {
            return Ok(high);
        }
        let soft = self.soft();
        if let Some(Ok(high)) = self.raised(|| copy(i32::try_from(soft).unwrap_or(PARKED_FROM))) {
            return Ok(high);
        }
        // Below the limit then: at its very top, where a script's own numbers hardly are.
        [soft.saturating_sub(ROOM_BELOW_LIMIT), soft / 4 * 3, 3]
            .into_iter()
            .map(|from| copy(i32::try_from(from).unwrap_or(PARKED_FROM)))
            .find(Result::is_ok)
            .unwrap_or(Err(Errno::MFILE))
    }
}

/// Opens something for ourselves: `open` answers with a descriptor under whatever number, and may be called again where
/// the application has used up its own.
///
/// # Errors
/// What `open` answers; `EMFILE` where there is no number.
pub fn open(mut open: impl FnMut() -> Result<RawFd>) -> Result<Parked> {
    let _quiet = Quiet::enter();
    // Before the change: who places a descriptor waits for a fork, too.
    let _looking = Locked::shared(&LOOKING);
    let _change = Change::begin();
    let first = match open() {
        Err(Errno::MFILE) => {
            let _limit = Locked::alone(&LIMIT);
            match Room::look().raised(&mut open) {
                None | Some(Err(Errno::MFILE)) => open_in_reserve(&mut open)?,
                Some(opened) => opened?,
            }
        }
        opened => opened?,
    };
    let high = move_up(first);
    if !parked::insert(high) {
        close_raw(high);
        return Err(Errno::MFILE);
    }
    Ok(Parked(high))
}

/// A new descriptor at its high number; where there is none it stays.
fn move_up(low: RawFd) -> RawFd {
    let _limit = Locked::alone(&LIMIT);
    let room = Room::look();
    if low >= room.from() {
        return low;
    }
    match room.duplicate(low) {
        Ok(high) => {
            close_raw(low);
            high
        }
        Err(_) => low,
    }
}

/// Opens with a number of the reserve.
fn open_in_reserve(open: &mut impl FnMut() -> Result<RawFd>) -> Result<RawFd> {
    let Some(number) = RESERVE.iter().map(|kept| kept.swap(-1, Ordering::SeqCst)).find(|number| *number >= 0) else {
        return Err(Errno::MFILE);
    };
    parked::remove(number);
    close_raw(number);
    open()
}

/// Before a store is opened: sets the reserve aside where there has to be one.
pub fn fill_reserve(any: BorrowedFd<'_>) {
    let _quiet = Quiet::enter();
    let _change = Change::begin();
    let _limit = Locked::alone(&LIMIT);
    let room = Room::look();
    if !room.is_small() || room.soft() < RESERVE_LIMIT_MIN || room.raised(|| ()).is_some() {
        return;
    }
    for kept in &RESERVE {
        if kept.load(Ordering::SeqCst) < 0
            && let Ok(number) = room.duplicate(any.as_raw_fd())
        {
            parked::insert(number);
            kept.store(number, Ordering::SeqCst);
        }
    }
}

/// A number of ours that is not needed any more becomes the reserve's, if that lacks one.
fn keep_in_reserve(number: RawFd) -> bool {
    let source = RESERVE.iter().map(|kept| kept.load(Ordering::SeqCst)).find(|kept| *kept >= 0);
    // Without any there is nothing that the number could be made a copy of, and no limit to fear.
    let (Some(source), Some(place)) = (source, RESERVE.iter().find(|kept| kept.load(Ordering::SeqCst) < 0)) else {
        return false;
    };
    kernel::duplicate_over(borrow(source), number, DupFlags::CLOEXEC).is_ok()
        && place.compare_exchange(-1, number, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

/// A descriptor of ours, closed when dropped.
#[derive(Debug)]
pub struct Parked(RawFd);

/// One that is wanted for a moment.
pub type Low = Parked;

impl Parked {
    /// openat(2), close-on-exec.
    ///
    /// # Errors
    /// As openat(2).
    pub fn open<P: rustix::path::Arg>(directory: BorrowedFd<'_>, path: P, flags: OFlags, mode: Mode) -> Result<Self> {
        path.into_with_c_str(|path| {
            open(|| rustix::fs::openat(directory, path, flags | OFlags::CLOEXEC, mode).map(IntoRawFd::into_raw_fd))
        })
    }

    /// As [`Parked::open`], of a path below `directory` that meets no symlink, and without waiting for anybody: not even a
    /// FIFO's other end.
    ///
    /// # Errors
    /// As openat(2); `ELOOP` or `ENOTDIR` for a symlink.
    pub fn open_beneath(directory: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<Self> {
        open(|| super::beneath::open(directory, path, flags, mode).map(IntoRawFd::into_raw_fd))
    }

    /// One that has its number already, from the program that became this one.
    pub fn of_number(number: RawFd) -> Self {
        parked::insert(number);
        Self(number)
    }

    /// Its number.
    pub fn number(&self) -> RawFd {
        self.0
    }

    /// Lets go of the number without closing it: whoever keeps it in another shape closes it by [`close_number`].
    pub fn into_number(self) -> RawFd {
        let number = self.0;
        std::mem::forget(self);
        number
    }

    /// For good.
    ///
    /// # Errors
    /// None; where it is opened it has its number already.
    pub fn park(self) -> Result<Self> {
        Ok(self)
    }

    /// A new program is to inherit it: not close-on-exec.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn inheritable(self) -> Result<Self> {
        fcntl_setfd(&self, FdFlags::empty())?;
        Ok(self)
    }
}

impl AsFd for Parked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        borrow(self.0)
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        close_number(self.0);
    }
}

/// Forgets a number of ours and closes it.
pub fn close_number(number: RawFd) {
    let _change = Change::begin();
    if keep_in_reserve(number) {
        return;
    }
    parked::remove(number);
    close_raw(number);
}

/// Closes a number by the raw call, past libc.
pub fn close_raw(number: RawFd) {
    // SAFETY: the number is the caller's alone.
    unsafe { rustix::io::close(number) };
}

/// A copy of a descriptor, out of the application's way.
///
/// # Errors
/// `EMFILE`.
pub fn park_copy(descriptor: BorrowedFd<'_>) -> Result<Parked> {
    let _quiet = Quiet::enter();
    let _change = Change::begin();
    let _limit = Locked::alone(&LIMIT);
    let high = Room::look().duplicate(descriptor.as_raw_fd())?;
    if !parked::insert(high) {
        close_raw(high);
        return Err(Errno::MFILE);
    }
    Ok(Parked(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn open_null() -> Parked {
        Parked::open(rustix::fs::CWD, "/dev/null", OFlags::RDONLY, Mode::empty()).unwrap()
    }

    #[test]
    fn one_of_ours_is_high_and_spared() {
        let before = getrlimit(Resource::Nofile);
        let parked = open_null();
        assert_eq!(getrlimit(Resource::Nofile), before);
        let number = parked.number();
        assert!(number >= 768, "{number}");
        assert!(parked::contains(number));
        assert!(rustix::io::fcntl_getfd(&parked).unwrap().contains(FdFlags::CLOEXEC));
        drop(parked);
        assert!(!parked::contains(number));
    }

    #[test]
    fn a_copy_leaves_the_first_where_it_is() {
        let low = rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty()).unwrap();
        let copy = park_copy(low.as_fd()).unwrap();
        assert_ne!(copy.number(), low.as_raw_fd());
        assert!(rustix::fs::fstat(&low).is_ok() && rustix::fs::fstat(&copy).is_ok());
    }

    #[test]
    fn locks_are_shared_or_alone() {
        static WORD: AtomicI32 = AtomicI32::new(0);
        let (one, other) = (Locked::shared(&WORD), Locked::shared(&WORD));
        assert_eq!(WORD.load(Ordering::SeqCst), 2);
        drop((one, other));
        let alone = Locked::alone(&WORD);
        assert_eq!(WORD.load(Ordering::SeqCst), -1);
        drop(alone);
        assert_eq!(WORD.load(Ordering::SeqCst), 0);
    }
}
