//! The descriptors that this program was started with: known by their views, and opened anew when they are first used.
#![allow(unsafe_code)]

use super::arena::{self, Arena, ViewedPlace};
use super::handover::Busy;
use super::hold::Hold;
use super::placeholder::borrowed;
use super::slots::{self, Held};
use super::{page, table};
use crate::ground::change::Standstill;
use crate::ground::kernel::{self, Parked};
use crate::ground::{Errno, Result, parked};
use crate::posix::description::{Description, Place};
use crate::posix::mount;
use crate::posix::path::PathBuffer;
use crate::posix::path::host::descriptor_link;
use rustix::fs::CWD;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A number that was inherited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    place: ViewedPlace,
    descriptor: i32,
}

/// A hold that was inherited, and the descriptions that wait for it.
struct Waiting {
    hold: Arc<Hold>,
    descriptions_count: u32,
}

/// What was found when the library started. Who is [`Busy`] may change it.
#[derive(Default)]
struct Found {
    /// In order.
    numbers: Vec<Number>,
    arenas: Vec<Arc<Arena>>,
    holds: Vec<Waiting>,
}

/// With more numbers than so, holds that nobody needs are left open: to look for them would take a program's start
/// milliseconds.
const FEW_COUNT: usize = 256;

static FOUND: AtomicPtr<Found> = AtomicPtr::new(std::ptr::null_mut());

fn found(_: &Busy) -> Option<&'static mut Found> {
    // SAFETY: null, or leaked by `look`; one thread at a time is busy.
    unsafe { FOUND.load(Ordering::Acquire).as_mut() }
}

/// Looks through the descriptors that this program started with, up to `highest`. Called once, when the library starts,
/// if the environment says that there may be some.
pub fn look(highest: i32) {
    let (mut found, mut holds) = (Found::default(), Vec::<(i32, u32)>::new());
    for descriptor in 0..=highest {
        if let Some(place) = arena::place_of(descriptor) {
            found.numbers.push(Number { place, descriptor });
        }
    }
    found.numbers.sort_unstable();
    let mut last = None;
    found.numbers.retain(|number| {
        if !found.arenas.iter().any(|arena| arena.has(number.place)) {
            found.arenas.extend(Arena::of_view(borrowed(number.descriptor)));
        }
        let Some(arena) = found.arenas.iter().find(|arena| arena.has(number.place)) else { return false };
        // SAFETY: mapped.
        let Some(hold) = (unsafe { page::hold_of(arena.page(number.place.index)) }) else { return false };
        table::set_inherited(number.descriptor);
        if last.replace(number.place) != Some(number.place) {
            match holds.iter_mut().find(|(other, _)| *other == hold) {
                Some((_, descriptions_count)) => *descriptions_count += 1,
                None => holds.push((hold, 1)),
            }
        }
        true
    });
    for (number, descriptions_count) in holds {
        if is_hold(number) {
            let hold = Arc::new(Hold::inherited(Parked::of_number(number)));
            found.holds.push(Waiting { hold, descriptions_count });
        }
    }
    if found.numbers.len() < FEW_COUNT {
        // Of what was closed at exec, or in a vfork child, nobody needs the hold here.
        kernel::each_open_descriptor(|descriptor| {
            if !parked::contains(descriptor) && is_hold(descriptor) {
                kernel::close(descriptor);
            }
        });
    }
    FOUND.store(Box::into_raw(Box::new(found)), Ordering::Release);
}

/// Whether a descriptor's link says that it may be a hold.
fn is_hold(descriptor: i32) -> bool {
    let is_file = rustix::fs::fstat(borrowed(descriptor))
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file());
    let mut text = PathBuffer::new();
    let Ok(link) = descriptor_link(borrowed(descriptor)) else { return false };
    is_file
        && rustix::fs::readlinkat_raw(CWD, link.as_c_str(), text.room())
            .is_ok_and(|length| mount::is_hold_link(&text.room()[..length]))
}

/// Opens what a page describes. `hold_of` finds the hold that the new description shall own.
///
/// # Errors
/// `EBADF`, `ESTALE`, or what keeps the container from being connected.
pub fn open_page(arena: Arc<Arena>, index: u32, hold_of: impl FnOnce(i32) -> Option<Arc<Hold>>) -> Result<Description> {
    // SAFETY: mapped.
    let record = unsafe { page::read(arena.page(index)) }?;
    let is_same = |mount: &&mount::Mount| page::hash(&mount.configuration.prefix) == record.prefix_hash;
    let mount = mount::all().iter().find(is_same).ok_or(Errno::BADF)?;
    let connected = mount.connect()?;
    if connected.id != record.container {
        return Err(Errno::STALE);
    }
    let object = connected.container.adopt(record.found, &record.ticket)?;
    let description = Description::new(mount, object, record.flags, record.directory, &record.name);
    description.adopt_place(Box::new(Place { arena, index, hold: hold_of(record.hold) }));
    Ok(description)
}

/// Takes on an inherited descriptor, and every other that shares its description.
///
/// # Errors
/// `EBADF`, `ESTALE`, or what keeps the container from being connected.
pub fn adopt(descriptor: i32) -> Result<Held> {
    let busy = Busy::enter();
    if !table::is_inherited(descriptor) {
        return table::get(descriptor)?.ok_or(Errno::BADF);
    }
    let place = arena::place_of(descriptor).ok_or(Errno::BADF)?;
    let found = found(&busy).ok_or(Errno::BADF)?;
    let known = found.arenas.iter().find(|arena| arena.has(place)).cloned();
    let arena = known.map_or_else(|| Arena::of_view(borrowed(descriptor)), Ok)?;
    let hold_of = |number: i32| {
        found.holds.iter().find(|waiting| waiting.hold.number() == number).map(|waiting| waiting.hold.clone())
    };
    let description = open_page(arena, place.index, hold_of)?;
    let hold = description.place().and_then(|place| place.hold.as_ref()).map(|hold| hold.number());
    let held = slots::place(description)?;
    let first = found.numbers.partition_point(|number| number.place < place);
    let same = found.numbers[first..].iter().take_while(|number| number.place == place);
    {
        let _still = Standstill::begin();
        for number in same {
            if table::is_inherited(number.descriptor) && arena::place_of(number.descriptor) == Some(place) {
                table::set(number.descriptor, Some(held.again()));
            }
        }
        if table::is_inherited(descriptor) {
            table::set(descriptor, Some(held.again()));
        }
    }
    if let Some(waiting) = found.holds.iter_mut().find(|waiting| Some(waiting.hold.number()) == hold) {
        waiting.descriptions_count = waiting.descriptions_count.saturating_sub(1);
    }
    // The descriptions keep it from now on.
    found.holds.retain(|waiting| waiting.descriptions_count != 0);
    Ok(held)
}
