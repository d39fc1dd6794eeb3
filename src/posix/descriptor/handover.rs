//! What a process leaves for the next one. Before a process is made, each description of ours moves its live part to
//! an [`arena`], where a fork child shares the cursor. A new program finds *views* under the numbers that it inherits,
//! and opens what they tell of anew ([`inherited`](super::inherited)). The kernel counts all of it, so a killed process
//! leaves nothing behind.
//!
//! A view costs some microseconds to make, so it is made only for what a new program may see: numbers that are not
//! close-on-exec, the lowest first, and what a vfork child duplicates.
#![allow(unsafe_code)]

use super::arena::{self, Arena};
use super::entries::{INHERITED, NOT_OURS, SPECIAL_MIN};
use super::hold::{self, Hold};
use super::inherited;
use super::placeholder::{self, borrowed};
use super::slots::{self, Held};
use super::{page, table};
use crate::ground::change::{Change, Standstill};
use crate::ground::guard::Quiet;
use crate::ground::kernel::{self, Parked};
use crate::ground::{Errno, Result, parked};
use crate::posix::description::{Description, Place};
use crate::store::Found;
use rustix::io::{DupFlags, FdFlags};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Holds that one hand-over makes, at most. With one for each description a node lives exactly as long as it is held;
/// with one for many, until the last of them is closed everywhere.
const HOLDS_COUNT_MAX: usize = 16;

/// Views that are made before they are put in their places together: each needs a descriptor until then.
const VIEWS_COUNT_MAX: usize = 64;

/// The highest number that a vfork child of this process has made, which only the kernel's table knows; -1 for none.
static GUEST_MADE: AtomicI32 = AtomicI32::new(-1);

/// One thread at a time hands over or adopts.
static BUSY: AtomicBool = AtomicBool::new(false);

/// This thread hands over or adopts, until dropped.
pub struct Busy(#[allow(dead_code, reason = "held for its Drop")] Quiet);

impl Busy {
    /// Begins.
    pub fn enter() -> Self {
        let quiet = Quiet::enter();
        while BUSY.swap(true, Ordering::Acquire) {
            rustix::thread::sched_yield();
        }
        Self(quiet)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Release);
    }
}

/// A fork child does not inherit another thread's hand-over.
pub fn after_fork_in_child() {
    BUSY.store(false, Ordering::Release);
}

/// Before file sizes are limited: what a hand-over needs has a size.
pub fn before_limit() {
    let _busy = Busy::enter();
    arena::prepare();
}

/// What is shown to a new program before the process is made that becomes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing: the child has the tables, and shows it itself.
    Nothing,
    /// What is not close-on-exec.
    Inherited,
    /// Everything of ours.
    Everything,
}

impl Shown {
    fn has(self, descriptor: i32) -> bool {
        self == Self::Everything || self == Self::Inherited && is_kept_at_exec(descriptor)
    }
}

fn is_kept_at_exec(descriptor: i32) -> bool {
    rustix::io::fcntl_getfd(borrowed(descriptor)).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
}

/// Up to which number an exec has to tell the new program to look for inherited descriptors; `None` where there can be
/// none. It is made now, so this may be asked in a vfork child, whose descriptors are those that the kernel tells of.
pub fn highest_inherited() -> Option<i32> {
    let is_ours = |word: u32| word < SPECIAL_MIN || word == INHERITED;
    let guest = GUEST_MADE.load(Ordering::Acquire);
    let mut has = guest >= 0 || hold::is_any_inherited();
    let mut highest = guest.max(0);
    table::each_set(0, table::sweep_end(), |descriptor, word| {
        if is_ours(word) {
            has = has || is_kept_at_exec(descriptor);
            highest = highest.max(descriptor);
        }
    });
    has.then_some(highest)
}

/// Just before this process becomes another program: everything is handed over, and what the open files count for in
/// the store is given up, since their holds go on. Where the exec fails they count again when they are used.
pub fn before_exec() {
    everything();
    show(Shown::Inherited, true);
    table::each_set(0, table::sweep_end(), |_, word| {
        if word < SPECIAL_MIN
            && let Some(held) = slots::hold(word)
            && held.is_handed_over()
        {
            held.object.leave();
        }
    });
}

/// The same for a vfork child, whose descriptors are its own, and whose parent goes on.
pub fn before_exec_of_guest() {
    let _quiet = Quiet::enter();
    show(Shown::Inherited, false);
}

/// The process is about to end: its open files are closed, as far as the store is concerned. Other threads that use them
/// in the moment that is left do not see that they are.
pub fn before_exit() {
    table::each_set(0, table::sweep_end(), |descriptor, word| {
        if word < SPECIAL_MIN {
            let counts = slots::hold(word).is_some_and(|held| held.object.counts());
            table::set_ending(descriptor, counts);
        }
    });
}

/// Before another process is made: hands every description over, as one that is shared from now on.
pub fn share(shown: Shown) {
    everything();
    slots::every(|held| held.share());
    if shown != Shown::Nothing {
        show(shown, true);
    }
}

/// Hands every description over that was not yet. What fails (no descriptor or memory left) stays with this process,
/// and a new program will find that number closed to reads and writes.
fn everything() {
    // Dropped last: a description that was closed meanwhile ends then, which may wait for others.
    let mut due = Vec::new();
    slots::every(|held| {
        if !held.is_handed_over() {
            due.push(held);
        }
    });
    if due.is_empty() {
        return;
    }
    let _busy = Busy::enter();
    // By node, so that one hold has all descriptions of it: each further lock on it would be looked through by the kernel.
    due.sort_by_key(|held| (held.mount.index, held.found().node.0));
    for of_mount in due.chunk_by(|one, other| one.mount.index == other.mount.index) {
        for together in of_mount.chunks(of_mount.len().div_ceil(HOLDS_COUNT_MAX)) {
            let hold = hold_of(together);
            for held in together {
                // A failure leaves the description as it was.
                let _ = hand_over(held, hold.clone());
            }
        }
    }
}

fn hold_of(descriptions: &[Held]) -> Option<Arc<Hold>> {
    let connected = descriptions.first()?.mount.connect().ok()?;
    let found: Vec<Found> = descriptions.iter().map(|held| held.found()).collect();
    // Without one the nodes live as long as they have names.
    connected.container.hold(&found).ok().map(|descriptor| Arc::new(Hold::new(descriptor)))
}

fn hand_over(held: &Held, hold: Option<Arc<Hold>>) -> Result<()> {
    let (arena, index) = arena::take_place()?;
    let place = Box::new(Place { arena, index, hold });
    // A fork child finds the cursor in one place or the other.
    let _change = Change::begin();
    held.move_to(place);
    Ok(())
}

/// A view of a description that was handed over, its page filled.
fn view_of(held: &Held) -> Result<Parked> {
    let place = held.place().ok_or(Errno::BADF)?;
    let page = place.arena.page(place.index);
    let hold = place.hold.as_ref().map_or(-1, |hold| hold.number());
    // SAFETY: in the arena, which the description keeps mapped; one thread at a time fills.
    unsafe {
        if page::hold_of(page).is_none() {
            page::fill(page, held, held.mount.connect()?.id, hold)?;
        }
    }
    if let Some(hold) = &place.hold {
        hold.let_inherit();
    }
    place.arena.view(place.index)
}

/// Puts views under numbers, the lowest first. A vfork child, which is not the owner of the tables, has numbers of its
/// own.
fn show(shown: Shown, is_owner: bool) {
    let busy = is_owner.then(Busy::enter);
    let mut views = Vec::new();
    table::each_set(0, table::sweep_end(), |descriptor, word| {
        if word < SPECIAL_MIN
            && shown.has(descriptor)
            && !arena::is_view(descriptor)
            && let Some(held) = slots::hold(word).filter(|held| placeholder::stands_at(descriptor, held.page_inode()))
            && let Ok(view) = view_of(&held)
        {
            views.push((descriptor, word, view));
            if views.len() == VIEWS_COUNT_MAX {
                put_views(&mut views, is_owner);
            }
        }
    });
    put_views(&mut views, is_owner);
    drop(busy);
}

fn put_views(views: &mut Vec<(i32, u32, Parked)>, is_owner: bool) {
    if views.is_empty() {
        return;
    }
    // No other thread puts anything else under the numbers meanwhile. A vfork child has its own.
    let still = is_owner.then(Standstill::begin);
    for (descriptor, word, view) in views.iter() {
        if table::word(*descriptor) == *word {
            put_view(view, *descriptor);
        }
    }
    drop(still);
    views.clear();
}

/// Atomic for the kernel: the number never stands empty.
fn put_view(view: &Parked, descriptor: i32) {
    let flags = if is_kept_at_exec(descriptor) { DupFlags::empty() } else { DupFlags::CLOEXEC };
    let _ = kernel::duplicate_over(view.as_fd(), descriptor, flags);
}

/// In a vfork child: the parent's description that a number leads to, if the child has a plain placeholder there.
fn plain_of_guest(descriptor: i32) -> Option<Held> {
    let word = table::word(descriptor);
    if word == NOT_OURS || word >= SPECIAL_MIN || arena::is_view(descriptor) {
        return None;
    }
    slots::hold(word).filter(|_| placeholder::stands_at(descriptor, 0))
}

/// A vfork child duplicates a number: the duplicate tells by itself what it is, since no table knows of it. `place` does
/// the kernel's part.
///
/// # Errors
/// What `place` says.
pub fn duplicate_for_guest(descriptor: i32, place: impl FnOnce() -> Result<i32>) -> Result<i32> {
    let _quiet = Quiet::enter();
    let held = plain_of_guest(descriptor);
    let number = place()?;
    if held.is_some() || arena::is_view(number) {
        GUEST_MADE.fetch_max(number, Ordering::AcqRel);
    }
    if let Some(view) = held.and_then(|held| view_of(&held).ok()) {
        put_view(&view, number);
    }
    Ok(number)
}

/// What a vfork child has under a number, for one call. `None`: nothing of ours.
pub fn read_for_guest(descriptor: i32) -> Option<Held> {
    let _quiet = Quiet::enter();
    if let Some(held) = plain_of_guest(descriptor) {
        return Some(held);
    }
    let place = arena::place_of(descriptor)?;
    let arena = Arena::of_view(borrowed(descriptor)).ok()?;
    slots::place(inherited::open_page(arena, place.index, |_| None).ok()?).ok()
}

/// Opens a descriptor for a vfork child: a page from the start, for the program that it is about to become, and
/// nothing in the parent's tables.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn open_for_guest(description: &Description, close_on_exec: bool) -> Result<i32> {
    let _quiet = Quiet::enter();
    let connected = description.mount.connect()?;
    let arena = Arena::make()?;
    let hold = connected.container.hold(&[description.found()])?.inheritable()?;
    // SAFETY: mapped just now, and nobody else has it.
    unsafe { page::fill(arena.page(0), description, connected.id, hold.number())? };
    // SAFETY: as above.
    description.write_shared(unsafe { arena.shared(0).as_ref() });
    let view = arena.view(0)?;
    let number = placeholder::duplicate(view.as_fd(), 0, close_on_exec)?;
    GUEST_MADE.fetch_max(number, Ordering::AcqRel);
    // The kernel closes the hold with the last process that has it; the parent's tables know nothing of it.
    parked::remove(hold.into_number());
    Ok(number)
}
