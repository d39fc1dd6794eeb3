//! `rt_sigaction`: the program goes on seeing its own dispositions, and our handler learns when it has to give way.

use super::arguments::{put, take};
use super::arrivals::{self, SIGNALS_COUNT};
use super::{Call, Verdict};
use house::ground::fault_handler::{self, FAULTS};
use house::ground::signals::Action;
use house::ground::{Errno, Result};
use house::posix::process;
use std::sync::atomic::{AtomicU8, Ordering};

/// Bytes of the kernel's signal set.
const SET_BYTES: u64 = 8;

/// Which of SIGSEGV and SIGBUS each signal's handler wanted blocked while it runs. A handler that makes a call with a bad
/// pointer would be killed instead of being told, so the kernel is not asked for that; the program sees what it set.
static WANTED: [AtomicU8; SIGNALS_COUNT + 1] = [const { AtomicU8::new(0) }; SIGNALS_COUNT + 1];

/// The two signals of a set as they stand in [`WANTED`].
fn packed(mask: u64) -> u8 {
    u8::from(mask & SEGMENT != 0) | u8::from(mask & BUS != 0) << 1
}

/// The reverse of [`packed`].
fn unpacked(wanted: u8) -> u64 {
    let of = |bit: u8, signal: u64| if wanted & bit != 0 { signal } else { 0 };
    of(1, SEGMENT) | of(2, BUS)
}

const SEGMENT: u64 = 1 << (libc::SIGSEGV - 1);
const BUS: u64 = 1 << (libc::SIGBUS - 1);
const _: () = assert!(SEGMENT | BUS == FAULTS);

/// `rt_sigaction(signal, new, old, size)`
///
/// # Safety
/// The call's pointers are worth what a system call's are.
pub unsafe fn change_action(call: &Call) -> Verdict {
    let [signal, new, old, size, ..] = call.arguments;
    let is_signal = (1..=SIGNALS_COUNT as i32).contains(&(signal as i32));
    if size != SET_BYTES || !is_signal {
        return Verdict::Pass;
    }
    Verdict::of((|| {
        let new = match new {
            0 => None,
            // SAFETY: by the caller's word.
            place => Some(unsafe { take::<Action>(place) }?),
        };
        let before = change(signal as i32, new)?;
        if old != 0 {
            // SAFETY: by the caller's word.
            unsafe { put(old, before) }?;
        }
        Ok(0)
    })())
}

fn change(signal: i32, new: Option<Action>) -> Result<Action> {
    let is_guest = process::is_guest();
    if fault_handler::is_concerned(signal) {
        return fault_handler::change(signal, new.as_ref(), is_guest);
    }
    let wanted = WANTED.get(signal as usize).ok_or(Errno::INVAL)?;
    let (before_wanted, mut asked) = (wanted.load(Ordering::Relaxed), new);
    if let Some(action) = &mut asked {
        action.mask &= !FAULTS;
    }
    let mut before = arrivals::action(signal, asked.as_ref())?;
    before.mask |= unpacked(before_wanted);
    // A child on its parent's memory changes what is its own alone.
    if let (Some(new), false) = (new, is_guest) {
        wanted.store(packed(new.mask), Ordering::Relaxed);
    }
    Ok(before)
}
