//! From a descriptor number to its open file description.

use super::entries::{self, ENDING, INHERITED, LOST, NOT_OURS, PARKED, RESERVED, SPECIAL_MIN, entry};
use super::slots::{self, Held};
use super::{handover, inherited, placeholder};
use crate::ground::change::{Change, Snapshot};
use crate::ground::{Errno, Result, guard, kernel};
use crate::posix::description::Description;
use crate::posix::mount::Mount;
use crate::posix::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a descriptor number is to us.
pub enum Lookup {
    /// The kernel's business.
    NotOurs,
    /// The library's own: closed, as far as the application knows.
    Parked,
    /// Ours, and out of this fork child's reach: `EIO`.
    Lost,
    /// A description of ours.
    Ours(Held),
}

/// Looks a descriptor up.
#[inline(always)]
pub fn look_up(descriptor: i32) -> Lookup {
    let Some(entry) = entry(descriptor) else { return Lookup::NotOurs };
    let mut word = entry.load(Ordering::Acquire);
    loop {
        if word == NOT_OURS {
            return Lookup::NotOurs;
        }
        if word >= SPECIAL_MIN || guard::is_unusual() || process::is_new() {
            return unusual(descriptor);
        }
        if let Some(held) = slots::hold(word)
            && entry.load(Ordering::Acquire) == word
        {
            return Lookup::Ours(held);
        }
        let now = entry.load(Ordering::Acquire);
        if now == word {
            // A description that ended under its entry can't be: but never spin on it.
            return Lookup::NotOurs;
        }
        word = now;
    }
}

#[cold]
fn unusual(descriptor: i32) -> Lookup {
    // First: a fork child sets its table right.
    let is_guest = process::standing() == process::Standing::Guest;
    let word = word(descriptor);
    if word == PARKED {
        return Lookup::Parked;
    }
    if word == LOST {
        return Lookup::Lost;
    }
    if word == NOT_OURS || word == RESERVED {
        return Lookup::NotOurs;
    }
    if guard::is_in_library() {
        // A library under us asks for a terminal, or tells standard error something: if it led back to a file of ours,
        // the call that runs the library would wait for itself. The placeholder answers EBADF.
        return Lookup::NotOurs;
    }
    if is_guest {
        // The kernel's table is this process's own, ours is its parent's.
        return handover::read_for_guest(descriptor).map_or(Lookup::NotOurs, Lookup::Ours);
    }
    if word == INHERITED {
        return match inherited::adopt(descriptor) {
            Ok(held) => Lookup::Ours(held),
            Err(_) => Lookup::NotOurs,
        };
    }
    if word == ENDING {
        // The process ends long before this; only a signal handler of the thread that ends it comes to the end of it.
        kernel::sleep(END_MICROSECONDS_MAX);
        return Lookup::NotOurs;
    }
    slots::hold(word).map_or(Lookup::NotOurs, Lookup::Ours)
}

/// How long a call is held up that was made while the process ends.
const END_MICROSECONDS_MAX: u32 = 100_000;

/// The description behind a descriptor that the door found to be ours.
///
/// # Errors
/// `EBADF` for one that the library keeps for itself, `EIO` for one that is lost to this fork child. `None`: not ours
/// after all.
#[inline(always)]
pub fn get(descriptor: i32) -> Result<Option<Held>> {
    match look_up(descriptor) {
        Lookup::Ours(held) => Ok(Some(held)),
        Lookup::NotOurs => Ok(None),
        Lookup::Parked => Err(Errno::BADF),
        Lookup::Lost => Err(Errno::IO),
    }
}

/// Whether a number is a descriptor of ours, without taking hold of it.
pub fn is_ours(descriptor: i32) -> bool {
    matches!(look_up(descriptor), Lookup::Ours(_))
}

/// A number that was set aside for a description, before anything was changed for it.
pub struct Reservation {
    /// -1 in a vfork child, whose descriptors are made at once, with their page.
    number: i32,
    close_on_exec: bool,
    /// The process that set it aside.
    process: u32,
}

/// Sets a number aside, the lowest that is free.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn reserve(close_on_exec: bool) -> Result<Reservation> {
    let number = if process::is_guest() { -1 } else { set_aside(close_on_exec)? };
    Ok(Reservation { number, close_on_exec, process: process::id() })
}

fn set_aside(close_on_exec: bool) -> Result<i32> {
    placeholder::prepare()?;
    let _change = Change::begin();
    let number = placeholder::make(0, close_on_exec)?;
    if let Some(entry) = entry(number) {
        super::entries::note(number);
        exchange(entry, RESERVED);
    }
    Ok(number)
}

impl Reservation {
    /// Opens the number on a description.
    ///
    /// # Errors
    /// `ENFILE`, `ENOMEM`; the description ends then.
    pub fn install(mut self, description: Description) -> Result<i32> {
        if self.number < 0 {
            return handover::open_for_guest(&description, self.close_on_exec);
        }
        if self.process != process::id() {
            // A signal handler forked in between, and this is the child, which closed what had no file yet.
            self.process = process::id();
            self.number = set_aside(self.close_on_exec)?;
        }
        let change = Change::begin();
        let held = slots::place(description)?;
        let number = self.number;
        let is_open = entry(number).is_some_and(|entry| {
            entry.compare_exchange(RESERVED, held.entry(), Ordering::AcqRel, Ordering::Acquire).is_ok()
        });
        drop(change);
        if is_open {
            // The entry has its count now.
            let _ = held.into_entry();
        }
        // If not, another thread closed the number, or has put another file there: so the call ends with a number all
        // the same, and the file is closed.
        Ok(number)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.number >= 0 && self.process == process::id() {
            let _change = Change::begin();
            give_up(self.number);
        }
    }
}

/// Closes a number that was set aside, if it still is.
fn give_up(number: i32) {
    let is_reserved = entry(number)
        .is_some_and(|entry| entry.compare_exchange(RESERVED, NOT_OURS, Ordering::AcqRel, Ordering::Acquire).is_ok());
    if is_reserved {
        kernel::close(number);
    }
}

/// Gives a placeholder that already has its number to a description.
pub fn bind(number: i32, held: Held) -> i32 {
    set(number, Some(held));
    number
}

/// Sets a number's entry and lets go of the description that was there.
pub fn set(descriptor: i32, held: Option<Held>) {
    let Some(entry) = entry(descriptor) else { return };
    super::entries::note(descriptor);
    exchange(entry, held.map_or(NOT_OURS, Held::into_entry));
}

/// A number's entry, as it is now.
pub fn word(descriptor: i32) -> u32 {
    entry(descriptor).map_or(NOT_OURS, |entry| entry.load(Ordering::Acquire))
}

/// After a change of a number that another thread may have changed at the same time: what the kernel has there is the
/// truth. If that is no placeholder of ours, the number is not ours.
pub fn settle(descriptor: i32) {
    let word = word(descriptor);
    if word == NOT_OURS || word >= SPECIAL_MIN {
        return;
    }
    let is_there = slots::hold(word).is_some_and(|held| placeholder::stands_at(descriptor, held.page_inode()));
    if !is_there
        && let Some(entry) = entry(descriptor)
        && entry.compare_exchange(word, NOT_OURS, Ordering::AcqRel, Ordering::Acquire).is_ok()
    {
        drop(slots::take_over(word));
    }
}

/// In a fork child: what other threads of the parent were about to open is closed, and where the copy may not be of one
/// moment, each number is looked at.
pub fn after_fork_in_child(snapshot: Snapshot) {
    if snapshot == Snapshot::Alone {
        return;
    }
    slots::after_fork_in_child();
    each_set(0, sweep_end(), |descriptor, word| match word {
        RESERVED if snapshot == Snapshot::Still || placeholder::stands_at(descriptor, 0) => give_up(descriptor),
        RESERVED => forget(descriptor),
        _ if snapshot == Snapshot::Still => {}
        PARKED if rustix::io::fcntl_getfd(placeholder::borrowed(descriptor)).is_err() => forget(descriptor),
        word if word < SPECIAL_MIN => {
            let page = slots::hold(word).map(|held| std::mem::ManuallyDrop::new(held).page_inode());
            // Its description may be as torn as the table was, and is not touched.
            if !page.is_some_and(|page| placeholder::stands_at(descriptor, page)) {
                forget(descriptor);
            }
        }
        _ => {}
    });
}

/// In a fork child: the descriptors of a mount whose engine can't be used here. Their descriptions stay as they are: nobody
/// knows what state other threads of the parent had them in.
pub fn lose(mount: &Mount) {
    each_set(0, sweep_end(), |descriptor, word| {
        let held = if word < SPECIAL_MIN { slots::hold(word) } else { None };
        if held.is_some_and(|held| std::ptr::eq(std::mem::ManuallyDrop::new(held).mount, mount))
            && let Some(entry) = entry(descriptor)
        {
            entry.store(LOST, Ordering::Release);
        }
    });
}

fn forget(descriptor: i32) {
    if let Some(entry) = entry(descriptor) {
        entry.store(NOT_OURS, Ordering::Release);
    }
}

/// Closes a number's file for the process that is about to end. One that does not count in the store is not even let go
/// of: a fork child that opened nothing itself ends as fast as the kernel lets it.
pub fn set_ending(descriptor: i32, counts: bool) {
    if let Some(entry) = entry(descriptor) {
        if counts {
            exchange(entry, ENDING);
        } else {
            entry.store(ENDING, Ordering::Release);
        }
    }
}

fn exchange(entry: &AtomicU32, word: u32) {
    let previous = entry.swap(word, Ordering::AcqRel);
    if previous != NOT_OURS && previous < SPECIAL_MIN {
        drop(slots::take_over(previous));
    }
}

/// Declares a number inherited: it is adopted when it is first used.
pub fn set_inherited(descriptor: i32) {
    if let Some(entry) = entry(descriptor) {
        super::entries::note(descriptor);
        entry.store(INHERITED, Ordering::Release);
    }
}

/// Whether a number's entry waits for its adoption.
pub fn is_inherited(descriptor: i32) -> bool {
    entry(descriptor).is_some_and(|entry| entry.load(Ordering::Acquire) == INHERITED)
}

/// The numbers from `first` to `last` whose entry is set, with the entry; parked ones included.
pub fn each_set(first: usize, last: usize, mut visit: impl FnMut(i32, u32)) {
    for (descriptor, entry) in entries::table().iter().enumerate().take(last.saturating_add(1)).skip(first) {
        let word = entry.load(Ordering::Acquire);
        if word != NOT_OURS {
            visit(descriptor as i32, word);
        }
    }
}

/// One past the highest number that was ever ours or parked: what a sweep has to look at.
pub fn sweep_end() -> usize {
    super::entries::highest() + 1
}

/// The descriptors of one description.
pub fn descriptors_of(held: &Held, mut visit: impl FnMut(i32)) {
    let wanted = held.entry();
    each_set(0, sweep_end(), |descriptor, word| {
        if word == wanted {
            visit(descriptor);
        }
    });
}
