//! What a process leaves for the next one: before a process is made or replaced, each description of ours moves its
//! shared part to a memfd, whose `O_PATH` view takes the placeholder's place under the same numbers. A fork child
//! then shares the cursor, and a new program finds the memfds among its descriptors and opens them anew. The kernel
//! counts all of it, so a killed process leaves nothing behind.
#![allow(unsafe_code)]

use super::placeholder::{self, borrowed, owned};
use super::slots::{self, Held};
use super::{page, table};
use crate::ground::guard::Quiet;
use crate::ground::kernel::{self, Parked};
use crate::ground::{Errno, Result, file_size_limit, parked};
use crate::posix::description::Description;
use crate::posix::mount;
use crate::posix::path::PathBuffer;
use crate::posix::path::host::descriptor_link;
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a vfork child of this process has made descriptors that only the kernel's table knows.
static GUEST_MADE: AtomicBool = AtomicBool::new(false);

/// One thread at a time hands over or adopts.
static BUSY: AtomicBool = AtomicBool::new(false);

struct Busy(#[allow(dead_code, reason = "held for its Drop")] Quiet);

impl Busy {
    fn enter() -> Self {
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

/// Whether an exec has to tell the new program to look for inherited descriptors: it is made now, so this may be asked
/// in a vfork child, whose parent's table has at least what the child has but for what it made itself.
pub fn has_anything() -> bool {
    let mut has = GUEST_MADE.load(Ordering::Acquire);
    table::each_set(0, table::sweep_end(), |_, word| has |= word != super::entries::PARKED);
    has
}

/// Just before this process becomes another program: everything is handed over, and what the open files count for in
/// the store is given up, since their holds go on. Where the exec fails they are found again like inherited ones.
pub fn before_exec() {
    everything();
    table::each_set(0, table::sweep_end(), |descriptor, word| {
        if word < super::entries::ENDING
            && let Some(held) = slots::hold(word)
            && held.is_handed_over()
        {
            held.leave_hold();
            table::set_inherited(descriptor);
            drop(slots::take_over(word));
        }
    });
}

/// The process is about to end: its open files are closed, as far as the store is concerned. Other threads that use them
/// in the moment that is left do not see that they are.
pub fn before_exit() {
    table::each_set(0, table::sweep_end(), |descriptor, word| {
        if word < super::entries::ENDING {
            table::set_ending(descriptor);
        }
    });
}

/// A page in a memfd, filled from a description, and the descriptor that holds its node.
fn make_page(description: &Description) -> Result<(OwnedFd, *mut page::Page, Parked)> {
    let connected = description.mount.connect()?;
    let memory = rustix::fs::memfd_create(placeholder::NAME, MemfdFlags::CLOEXEC)?;
    file_size_limit::without(|| rustix::fs::ftruncate(&memory, page::PAGE_BYTES as u64))?;
    let hold = kernel::park_inheritable(connected.container.hold(description.found())?)?;
    let mapped = page::map(memory.as_fd())?;
    // SAFETY: mapped just now.
    unsafe { page::fill(mapped, description, connected.id, hold.number()) }
        .inspect_err(|_| page::unmap(mapped.cast()))?;
    Ok((memory, mapped, hold))
}

/// Before another process is made: hands every description over, as one that is shared from now on.
pub fn share() {
    everything();
    slots::every(|held| held.share());
}

/// Hands every description over that was not yet. What fails (no descriptor or memory left) stays with this process,
/// and a new program will find that number closed to reads and writes.
fn everything() {
    let mut is_due = false;
    slots::every(|held| is_due |= !held.is_handed_over());
    if !is_due {
        return;
    }
    let _busy = Busy::enter();
    slots::every(|held| {
        if !held.is_handed_over() {
            // A failure leaves the description as it was.
            let _ = hand_over(&held);
        }
    });
}

fn hand_over(held: &Held) -> Result<()> {
    let (memory, mapped, hold) = make_page(held)?;
    let view = placeholder::path_view(memory.as_fd())?;
    // SAFETY: mapped just now, and unmapped by the description's drop only.
    if !unsafe { held.move_to(mapped.cast(), Some(hold)) } {
        page::unmap(mapped.cast());
        return Ok(());
    }
    table::descriptors_of(held, |descriptor| {
        let flags = match rustix::io::fcntl_getfd(borrowed(descriptor)) {
            Ok(flags) if flags.contains(rustix::io::FdFlags::CLOEXEC) => rustix::io::DupFlags::CLOEXEC,
            Ok(_) => rustix::io::DupFlags::empty(),
            Err(_) => return,
        };
        let mut target = owned(descriptor);
        // Atomic for the kernel: the number never stands empty.
        let _ = rustix::io::dup3(&view, &mut target, flags);
        let _ = target.into_raw_fd();
    });
    Ok(())
}

/// Opens the memfd behind an `O_PATH` view for reading and writing, if it is a hand-over's.
fn open_memory(descriptor: BorrowedFd<'_>) -> Result<OwnedFd> {
    let link = descriptor_link(descriptor)?;
    let memory = rustix::fs::openat(CWD, link.as_c_str(), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    // Reading a mapping of a shorter file would be a SIGBUS.
    let is_page = rustix::fs::fstat(&memory)?.st_size == page::PAGE_BYTES as i64;
    if is_page { Ok(memory) } else { Err(Errno::BADF) }
}

/// Whether a kernel descriptor's link says that it is a placeholder.
fn is_placeholder(descriptor: BorrowedFd<'_>) -> bool {
    let mut text = PathBuffer::new();
    let Ok(link) = descriptor_link(descriptor) else { return false };
    let length = rustix::fs::readlinkat_raw(CWD, link.as_c_str(), text.room());
    length.is_ok_and(|length| &text.room()[..length] == placeholder::LINK)
}

/// Opens what a page describes. `hold` is the descriptor that the new description will own, or -1.
fn open_page(memory: BorrowedFd<'_>, keeps_hold: bool) -> Result<Description> {
    let mapped = page::map(memory)?;
    let opened = (|| {
        // SAFETY: mapped just now.
        let record = unsafe { page::read(mapped) }?;
        let is_same = |mount: &&mount::Mount| page::hash(&mount.configuration.prefix) == record.prefix_hash;
        let mount = mount::all().iter().find(is_same).ok_or(Errno::BADF)?;
        let connected = mount.connect()?;
        if connected.id != record.container {
            return Err(Errno::STALE);
        }
        let object = connected.container.adopt(record.found, &record.ticket)?;
        let description = Description::new(mount, object, record.flags, record.directory, &record.name);
        Ok((description, record.hold))
    })();
    match opened {
        Ok((description, hold)) => {
            // SAFETY: mapped above, unmapped by the description's drop.
            unsafe { description.adopt_page(mapped.cast(), if keeps_hold { hold } else { -1 }) };
            Ok(description)
        }
        Err(error) => {
            page::unmap(mapped.cast());
            Err(error)
        }
    }
}

/// Takes on an inherited descriptor, and every other that shares its description.
///
/// # Errors
/// `EBADF`, `ESTALE`, or what keeps the container from being connected.
pub fn adopt(descriptor: i32) -> Result<Held> {
    let _busy = Busy::enter();
    if !table::is_inherited(descriptor) {
        return table::get(descriptor)?.ok_or(Errno::BADF);
    }
    let memory = open_memory(borrowed(descriptor))?;
    let identity = rustix::fs::fstat(&memory)?;
    let held = slots::place(open_page(memory.as_fd(), true)?)?;
    table::each_set(0, table::sweep_end(), |other, word| {
        let is_same = word == super::entries::INHERITED
            && rustix::fs::fstat(borrowed(other))
                .is_ok_and(|found| (found.st_dev, found.st_ino) == (identity.st_dev, identity.st_ino));
        if is_same {
            table::set(other, Some(held.again()));
        }
    });
    Ok(held)
}

/// Opens, for one call of a vfork child, what the kernel has under a number. `None`: nothing of ours.
pub fn read_for_guest(descriptor: i32) -> Option<Held> {
    let _quiet = Quiet::enter();
    if !is_placeholder(borrowed(descriptor)) {
        return None;
    }
    let memory = open_memory(borrowed(descriptor)).ok()?;
    slots::place(open_page(memory.as_fd(), false).ok()?).ok()
}

/// Opens a descriptor for a vfork child: a page from the start, for the program that it is about to become, and
/// nothing in the parent's tables.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn open_for_guest(description: &Description, close_on_exec: bool) -> Result<i32> {
    let _quiet = Quiet::enter();
    let (memory, mapped, hold) = make_page(description)?;
    GUEST_MADE.store(true, Ordering::Release);
    // The kernel closes the hold with the last process that has it; the parent's tables know nothing of it.
    parked::remove(hold.into_number());
    // SAFETY: mapped just now, and unmapped by the description's drop only.
    if !unsafe { description.move_to(mapped.cast(), None) } {
        page::unmap(mapped.cast());
    }
    let view = placeholder::path_view(memory.as_fd())?;
    drop(memory);
    let placed = placeholder::duplicate(view.as_fd(), 0, close_on_exec)?;
    // The view may have taken the lowest number itself: give that one back and take it.
    let descriptor = if view.as_raw_fd() < placed.as_raw_fd() {
        drop(placed);
        let flags = if close_on_exec { rustix::io::FdFlags::CLOEXEC } else { rustix::io::FdFlags::empty() };
        rustix::io::fcntl_setfd(&view, flags)?;
        view.into_raw_fd()
    } else {
        placed.into_raw_fd()
    };
    Ok(descriptor)
}

/// What the start of a hand-over's page tells without mapping it: the number of its hold.
fn hold_of(descriptor: BorrowedFd<'_>) -> Option<i32> {
    let memory = open_memory(descriptor).ok()?;
    let mapped = page::map(memory.as_fd()).ok()?;
    // SAFETY: mapped just now.
    let hold = unsafe { page::read(mapped) }.map(|record| record.hold).ok();
    page::unmap(mapped.cast());
    hold
}

/// Looks through the descriptors that this program started with. Called once, when the library starts, if the
/// environment says that there may be some.
pub fn look_for_inherited() {
    const HOLDS_COUNT_MAX: usize = 1024;
    let mut wanted = Vec::new();
    let mut holds = Vec::new();
    kernel::each_open_descriptor(|descriptor| {
        let mut text = PathBuffer::new();
        let Ok(link) = descriptor_link(borrowed(descriptor)) else { return };
        let Ok(length) = rustix::fs::readlinkat_raw(CWD, link.as_c_str(), text.room()) else { return };
        let text = &text.room()[..length];
        if text == placeholder::LINK {
            if let Some(hold) = hold_of(borrowed(descriptor)) {
                table::set_inherited(descriptor);
                wanted.push(hold);
            }
        } else if mount::is_hold_link(text) && holds.len() < HOLDS_COUNT_MAX {
            holds.push(descriptor);
        }
    });
    for hold in holds {
        if wanted.contains(&hold) {
            parked::insert(hold);
        } else {
            // Its placeholder was closed at exec, or in a vfork child: nobody needs it here.
            kernel::close(hold);
        }
    }
}
