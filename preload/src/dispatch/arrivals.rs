//! A signal that arrives is heard: in a process with a causal mount each of the program's handlers is entered through a few
//! instructions that make it so ([`house::ground::causality`]). They jump to the handler: its stack, its arguments and the
//! way back are as the kernel made them. The program sees the handlers that it has set.
#![allow(unsafe_code)]

use house::ground::signals::{self, Action};
use house::ground::{Result, causality};
use house::posix::{mount, process};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The highest signal.
pub const SIGNALS_COUNT: usize = 64;

/// libc's own signals, which it sends from one thread to another.
const OF_LIBC: [i32; 2] = [32, 33];

/// The program's handler of each signal, as it was last set.
static HANDLERS: [AtomicUsize; SIGNALS_COUNT + 1] = [const { AtomicUsize::new(0) }; SIGNALS_COUNT + 1];

std::arch::global_asm!(
    ".pushsection .text.sidestep_arrival, \"ax\", @progbits",
    // edi: the signal. Neither r10 nor r11 holds anything for a handler.
    ".balign 16",
    ".globl sidestep_arrival",
    ".hidden sidestep_arrival",
    ".type sidestep_arrival, @function",
    "sidestep_arrival:",
    ".cfi_startproc",
    "endbr64",
    "mov dword ptr [rip + {heard}], 1",
    "lea r11, [rip + {handlers}]",
    "mov r10d, edi",
    "jmp qword ptr [r11 + r10 * 8]",
    ".cfi_endproc",
    ".size sidestep_arrival, . - sidestep_arrival",
    ".popsection",
    heard = sym causality::HAS_HEARD,
    handlers = sym HANDLERS,
);

unsafe extern "C" {
    fn sidestep_arrival();
}

fn arrival() -> usize {
    sidestep_arrival as *const () as usize
}

/// Asks for a signal's action, and sets it where there is a new one: both as the program has it.
///
/// # Errors
/// `EINVAL`.
pub fn action(signal: i32, new: Option<&Action>) -> Result<Action> {
    let Some(handler) = HANDLERS.get(signal as usize) else { return signals::action(signal, new) };
    let was = handler.load(Ordering::Acquire);
    let mut asked = new.copied();
    // A child on its parent's memory has actions of its own, and not this table.
    let is_entered = mount::has_causal() && !process::is_guest() && !OF_LIBC.contains(&signal);
    if let Some(action) = asked.as_mut().filter(|_| is_entered)
        && ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.handler)
    {
        // First: the signal may arrive as soon as the kernel knows.
        handler.store(action.handler, Ordering::Release);
        action.handler = arrival();
    }
    let mut before = signals::action(signal, asked.as_ref()).inspect_err(|_| handler.store(was, Ordering::Release))?;
    if before.handler == arrival() {
        before.handler = was;
    }
    Ok(before)
}
