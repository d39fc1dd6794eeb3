//! Stacks of our own for work that needs more than a small stack of the program's has: a thread may have 16 KiB, a signal
//! handler 8.
//!
//! What opens a store, writes to a tree of names or asks a library runs here. The stacks are made when they are first
//! needed, and kept; where none is to be had, the work runs where it is called. Only a thread whose signals are blocked
//! comes here ([`super::guard::Quiet`]): a handler of the program's on an alternate stack would otherwise begin that stack
//! anew, though the thread is in the middle of it.
#![allow(unsafe_code)]

use super::fault_handler;
use super::guard::{self, Quiet};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Room for a store's opening, and for libraries that go through several others. Only what is used is ever memory.
const STACK_BYTES: usize = 512 << 10;

/// Below each stack, never accessible: an overflow is a fault and no corruption.
const GUARD_BYTES: usize = 4096;

/// Threads that can be here at once.
const STACKS_COUNT: usize = 64;

/// A bit for each stack that is in use.
static IN_USE: AtomicU64 = AtomicU64::new(0);

/// The lowest addresses of the stacks, 0 for one that was not made yet.
static STACKS: [AtomicUsize; STACKS_COUNT] = [const { AtomicUsize::new(0) }; STACKS_COUNT];

// rdi: what to call it with; rsi: the function; rdx: the end of the other stack.
std::arch::global_asm!(
    ".pushsection .text.sidestep_deep_stack, \"ax\", @progbits",
    ".balign 16",
    ".globl sidestep_call_on_stack",
    ".hidden sidestep_call_on_stack",
    ".type sidestep_call_on_stack, @function",
    "sidestep_call_on_stack:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "mov rsp, rdx",
    "call rsi",
    "mov rsp, rbp",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size sidestep_call_on_stack, . - sidestep_call_on_stack",
    ".popsection",
);

unsafe extern "C" {
    fn sidestep_call_on_stack(place: *mut (), work: unsafe extern "C" fn(*mut ()), end: usize);
}

/// A stack that is in use until dropped.
struct Claimed(usize);

impl Claimed {
    fn any() -> Option<Self> {
        let mut used = IN_USE.load(Ordering::Relaxed);
        loop {
            let index = (!used).trailing_zeros() as usize;
            if index == STACKS_COUNT {
                return None;
            }
            match IN_USE.compare_exchange_weak(used, used | 1 << index, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Self(index)),
                Err(now) => used = now,
            }
        }
    }

    /// Where the stack ends, which is where a call on it begins.
    fn end(&self) -> Option<usize> {
        let known = STACKS[self.0].load(Ordering::Relaxed);
        let start = if known == 0 { make()? } else { known };
        STACKS[self.0].store(start, Ordering::Relaxed);
        Some(start + STACK_BYTES)
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        IN_USE.fetch_and(!(1 << self.0), Ordering::Release);
    }
}

#[cold]
fn make() -> Option<usize> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK;
    // SAFETY: a fresh mapping that is never unmapped, the lowest page of which becomes its guard.
    unsafe {
        let start =
            mmap_anonymous(std::ptr::null_mut(), STACK_BYTES, ProtFlags::READ | ProtFlags::WRITE, flags).ok()?;
        mprotect(start, GUARD_BYTES, MprotectFlags::empty()).ok()?;
        Some(start as usize)
    }
}

/// Whether this thread is on such a stack already.
pub(super) fn is_on_one() -> bool {
    let here = 0u8;
    let at = &raw const here as usize;
    STACKS.iter().any(|start| at.wrapping_sub(start.load(Ordering::Relaxed)) < STACK_BYTES)
}

/// Does something on a stack with room for it.
pub fn run<R>(work: impl FnOnce() -> R) -> R {
    if !guard::is_inside() || is_on_one() {
        return work();
    }
    match Claimed::any().and_then(|claimed| claimed.end().map(|end| (claimed, end))) {
        Some((_claimed, end)) => {
            let _held = fault_handler::hold_back();
            run_at(end, work)
        }
        None => work(),
    }
}

/// The same, with the signals blocked for it.
pub fn run_quiet<R>(work: impl FnOnce() -> R) -> R {
    let _quiet = Quiet::enter();
    run(work)
}

fn run_at<R>(end: usize, work: impl FnOnce() -> R) -> R {
    struct Place<W, R> {
        work: Option<W>,
        answer: Option<std::thread::Result<R>>,
    }
    unsafe extern "C" fn call<W: FnOnce() -> R, R>(place: *mut ()) {
        // SAFETY: the place below, whose owner waits.
        let place = unsafe { &mut *place.cast::<Place<W, R>>() };
        // A panic goes on behind the switch: nothing unwinds from one stack to another.
        place.answer = place.work.take().map(|work| catch_unwind(AssertUnwindSafe(work)));
    }
    fn caller<W: FnOnce() -> R, R>(_: &Place<W, R>) -> unsafe extern "C" fn(*mut ()) {
        call::<W, R>
    }
    let mut place = Place { work: Some(work), answer: None };
    let call = caller(&place);
    // SAFETY: the stack is this call's alone, its end is aligned as a page is, and the place outlives the call.
    unsafe { sidestep_call_on_stack((&raw mut place).cast(), call, end) };
    match place.answer {
        Some(Ok(answer)) => answer,
        Some(Err(panic)) => resume_unwind(panic),
        None => unreachable!("work that returned left no answer"),
    }
}

/// In a fork child: whoever was here has been left in the parent.
pub fn after_fork_in_child() {
    IN_USE.store(0, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_on_another_stack_and_gives_its_answer() {
        let address = || {
            let here = 0u8;
            &raw const here as usize
        };
        let outside = address();
        assert!(run(address).abs_diff(outside) < STACK_BYTES, "without the guard it stays where it is");
        let _quiet = Quiet::enter();
        let (there, nested) = run(|| (address(), run(address)));
        assert!(there.abs_diff(outside) > GUARD_BYTES && !is_on_one());
        assert!(there.abs_diff(nested) < STACK_BYTES);
        let panicked = catch_unwind(|| run(|| panic!("told")));
        assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "told");
    }

    #[test]
    fn where_all_are_in_use_the_callers_stack_serves() {
        let claimed: Vec<Claimed> = std::iter::from_fn(Claimed::any).collect();
        assert!(!claimed.is_empty() && Claimed::any().is_none());
        let _quiet = Quiet::enter();
        assert_eq!(run(|| 7), 7);
    }
}
