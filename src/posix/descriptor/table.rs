//! From a descriptor number to its open file description.

use super::entries::{self, ENDING, INHERITED, NOT_OURS, PARKED, entry};
use super::slots::{self, Held};
use super::{handover, placeholder};
use crate::ground::{Errno, Result, guard, kernel};
use crate::posix::description::Description;
use crate::posix::process;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a descriptor number is to us.
pub enum Lookup {
    /// The kernel's business.
    NotOurs,
    /// The library's own: closed, as far as the application knows.
    Parked,
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
        if word >= ENDING || guard::is_unusual() {
            return unusual(descriptor, word);
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
fn unusual(descriptor: i32, word: u32) -> Lookup {
    if word == PARKED {
        return Lookup::Parked;
    }
    if guard::is_in_library() {
        // A library under us asks for a terminal, or tells standard error something: if it led back to a file of ours,
        // the call that runs the library would wait for itself. The placeholder answers EBADF.
        return Lookup::NotOurs;
    }
    if process::is_guest() {
        // The kernel's table is this process's own, ours is its parent's.
        return handover::read_for_guest(descriptor).map_or(Lookup::NotOurs, Lookup::Ours);
    }
    if word == INHERITED {
        return match handover::adopt(descriptor) {
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
/// `EBADF` for one that the library keeps for itself. `None`: not ours after all.
#[inline(always)]
pub fn get(descriptor: i32) -> Result<Option<Held>> {
    match look_up(descriptor) {
        Lookup::Ours(held) => Ok(Some(held)),
        Lookup::NotOurs => Ok(None),
        Lookup::Parked => Err(Errno::BADF),
    }
}

/// Whether a number is a descriptor of ours, without taking hold of it.
pub fn is_ours(descriptor: i32) -> bool {
    matches!(look_up(descriptor), Lookup::Ours(_))
}

/// A number that was set aside for a description, before anything was changed for it.
pub struct Reservation {
    placeholder: Option<OwnedFd>,
    close_on_exec: bool,
}

/// Sets a number aside, the lowest that is free.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn reserve(close_on_exec: bool) -> Result<Reservation> {
    // A vfork child's descriptors are made at once, with their page.
    let placeholder = if process::is_guest() { None } else { Some(placeholder::make(0, close_on_exec)?) };
    Ok(Reservation { placeholder, close_on_exec })
}

impl Reservation {
    /// Opens the number on a description.
    ///
    /// # Errors
    /// `ENFILE`, `ENOMEM`; the description ends then.
    pub fn install(self, description: Description) -> Result<i32> {
        match self.placeholder {
            None => handover::open_for_guest(&description, self.close_on_exec),
            Some(placeholder) => Ok(bind(placeholder, slots::place(description)?)),
        }
    }
}

/// Gives a placeholder that already has its number to a description.
pub fn bind(placeholder: OwnedFd, held: Held) -> i32 {
    let descriptor = placeholder.into_raw_fd();
    set(descriptor, Some(held));
    descriptor
}

/// Sets a number's entry and lets go of the description that was there.
pub fn set(descriptor: i32, held: Option<Held>) {
    let Some(entry) = entry(descriptor) else { return };
    super::entries::note(descriptor);
    exchange(entry, held.map_or(NOT_OURS, Held::into_entry));
}

/// Closes a number's file for the process that is about to end.
pub fn set_ending(descriptor: i32) {
    if let Some(entry) = entry(descriptor) {
        exchange(entry, ENDING);
    }
}

fn exchange(entry: &AtomicU32, word: u32) {
    let previous = entry.swap(word, Ordering::AcqRel);
    if previous != NOT_OURS && previous < ENDING {
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
