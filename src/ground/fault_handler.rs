//! Our handler of SIGSEGV and SIGBUS, which lets a guarded copy end early where memory is not there.
//!
//! It gives way: the program sees the disposition that it set, or that it was started with, and where it has a handler
//! of its own the kernel has that one, and ours is gone ([`is_here`] is false). A fault that is not of a guarded copy
//! ends the process as without us, at the same instruction.
//!
//! A thread that blocks one of the two signals would be killed by its fault, whatever handler there is. So each thread
//! remembers that it does not; it asks the kernel when it may have changed its mask ([`guard::mask_word`]).
#![allow(unsafe_code)]

use super::guarded_copy::Landing;
use super::signals::{self, Action};
use super::{Result, guard, guarded_copy};
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signals of memory that is not there.
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// The two as the kernel's signal sets have them.
pub const FAULTS: u64 = 1 << (libc::SIGSEGV - 1) | 1 << (libc::SIGBUS - 1);

/// Whether both signals have our handler.
static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Whether [`start`] has run.
static HAS_STARTED: AtomicBool = AtomicBool::new(false);

/// What the program has for each of [`SIGNALS`] while ours is in its place: `SIG_DFL` or `SIG_IGN`, and what goes with it.
static KEPT: [Kept; 2] = [Kept::new(), Kept::new()];

/// An action whose words are read one by one: a program that sets one signal from two threads at once does not know
/// what it gets either.
struct Kept {
    handler: AtomicUsize,
    flags: AtomicUsize,
    mask: AtomicUsize,
    /// Whether the kernel has the program's own handler for this signal.
    is_theirs: AtomicBool,
}

impl Kept {
    const fn new() -> Self {
        Self {
            handler: AtomicUsize::new(libc::SIG_DFL),
            flags: AtomicUsize::new(0),
            mask: AtomicUsize::new(0),
            is_theirs: AtomicBool::new(true),
        }
    }

    fn keep(&self, action: &Action) {
        self.handler.store(action.handler, Ordering::Relaxed);
        self.flags.store(action.flags, Ordering::Relaxed);
        self.mask.store(action.mask as usize, Ordering::Relaxed);
    }

    fn action(&self) -> Action {
        Action {
            handler: self.handler.load(Ordering::Relaxed),
            flags: self.flags.load(Ordering::Relaxed),
            restorer: 0,
            mask: self.mask.load(Ordering::Relaxed) as u64,
        }
    }
}

// As libc's, byte for byte: that is how debuggers and unwinders know a signal's frame.
std::arch::global_asm!(
    ".pushsection .text.sidestep_guarded, \"ax\", @progbits",
    "nop",
    ".balign 16",
    ".hidden sidestep_signal_return",
    ".globl sidestep_signal_return",
    ".type sidestep_signal_return, @function",
    "sidestep_signal_return:",
    ".byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05", // mov rax, SYS_rt_sigreturn; syscall
    ".size sidestep_signal_return, . - sidestep_signal_return",
    ".popsection",
);

unsafe extern "C" {
    fn sidestep_signal_return();
}

fn ours() -> Action {
    const SA_RESTORER: usize = 0x0400_0000;
    Action {
        handler: on_fault as *const () as usize,
        // Not on an alternate stack: the thread may be in the middle of that, though it is on a stack of ours just now.
        flags: libc::SA_SIGINFO as usize | SA_RESTORER,
        restorer: sidestep_signal_return as *const () as usize,
        mask: 0,
    }
}

fn place(signal: c_int) -> Option<&'static Kept> {
    SIGNALS.iter().position(|known| *known == signal).map(|index| &KEPT[index])
}

fn is_plain(action: &Action) -> bool {
    action.handler == libc::SIG_DFL || action.handler == libc::SIG_IGN
}

/// Puts our handler in, where the program has none of its own. Only for whoever sees every later change
/// ([`change`], and the gate's note of a changed mask).
pub fn start() {
    HAS_STARTED.store(true, Ordering::Relaxed);
    for (signal, kept) in SIGNALS.iter().zip(&KEPT) {
        if let Ok(before) = signals::action(*signal, None)
            && is_plain(&before)
        {
            kept.keep(&before);
            kept.is_theirs.store(signals::action(*signal, Some(&ours())).is_err(), Ordering::Release);
        }
    }
    judge();
}

/// Says anew whether both signals are ours.
fn judge() {
    let is_installed = KEPT.iter().all(|kept| !kept.is_theirs.load(Ordering::Acquire));
    IS_INSTALLED.store(is_installed, Ordering::Release);
    guard::let_through(if is_installed { FAULTS } else { 0 });
}

/// Whether a fault of this thread would be ours to handle.
#[inline(always)]
pub fn is_here() -> bool {
    IS_INSTALLED.load(Ordering::Relaxed)
        && !guard::in_vfork_window()
        && match guard::mask_word() {
            guard::MASK_LETS_FAULTS_IN => true,
            guard::MASK_KEEPS_FAULTS_OFF => false,
            _ => ask_for_mask(),
        }
}

/// Whether a fault of this thread would end the process, though the program has no handler of its own: it blocks the
/// signal, or it is a child whose handlers are its own.
#[inline(always)]
pub fn would_kill() -> bool {
    IS_INSTALLED.load(Ordering::Relaxed) && !is_here()
}

#[cold]
fn ask_for_mask() -> bool {
    let is_open = guard::current_mask() & FAULTS == 0;
    if !guard::is_inside() {
        let word = if is_open { guard::MASK_LETS_FAULTS_IN } else { guard::MASK_KEEPS_FAULTS_OFF };
        guard::set_mask_word(word);
    }
    is_open
}

/// Whether a signal is one of those that a fault raises.
pub fn is_concerned(signal: c_int) -> bool {
    SIGNALS.contains(&signal)
}

/// The program's rt_sigaction on one of the signals; returns what it had before. `is_guest`: the caller is a child on
/// its parent's memory, whose dispositions are its own and end with its exec.
///
/// # Errors
/// The kernel's.
pub fn change(signal: c_int, new: Option<&Action>, is_guest: bool) -> Result<Action> {
    let Some(kept) = place(signal) else { return signals::action(signal, new) };
    let was_theirs = kept.is_theirs.load(Ordering::Acquire);
    let before = if was_theirs { signals::action(signal, None)? } else { kept.action() };
    let Some(new) = new else { return Ok(before) };
    if is_guest {
        // Our handler goes with the exec, as the default would.
        if was_theirs || new.handler != libc::SIG_DFL {
            signals::action(signal, Some(new))?;
        }
        return Ok(before);
    }
    if is_plain(new) && HAS_STARTED.load(Ordering::Relaxed) {
        kept.keep(new);
        if was_theirs {
            signals::action(signal, Some(&ours()))?;
            kept.is_theirs.store(false, Ordering::Release);
            judge();
        }
        return Ok(before);
    }
    // Others copy by the kernel before the handler is gone.
    kept.is_theirs.store(true, Ordering::Release);
    judge();
    let outcome = signals::action(signal, Some(new));
    if outcome.is_err() {
        kept.is_theirs.store(was_theirs, Ordering::Release);
        judge();
    }
    outcome.map(|_| before)
}

/// Before an exec: the new program inherits that the signals are ignored, if they are. Handlers it does not inherit.
pub fn before_exec() {
    for (signal, kept) in SIGNALS.iter().zip(&KEPT) {
        if !kept.is_theirs.load(Ordering::Acquire) && kept.action().handler == libc::SIG_IGN {
            let _ = signals::action(*signal, Some(&kept.action()));
        }
    }
}

/// After an exec that failed.
pub fn after_failed_exec() {
    for (signal, kept) in SIGNALS.iter().zip(&KEPT) {
        if !kept.is_theirs.load(Ordering::Acquire) && kept.action().handler == libc::SIG_IGN {
            let _ = signals::action(*signal, Some(&ours()));
        }
    }
}

unsafe extern "C" fn on_fault(signal: c_int, information: *mut libc::siginfo_t, context: *mut c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel's structures, for the time of this handler.
    unsafe {
        let is_sent = (*information).si_code <= 0;
        let registers = &mut (*context).uc_mcontext.gregs;
        if !is_sent && let Some(landing) = guarded_copy::landing(registers[libc::REG_RIP as usize] as usize) {
            let place = match landing {
                Landing::Again(place) => place,
                Landing::Told(place) => {
                    registers[libc::REG_RDX as usize] = (*information).si_addr() as i64;
                    place
                }
            };
            registers[libc::REG_RIP as usize] = place as i64;
            return;
        }
        if is_sent && place(signal).is_some_and(|kept| kept.action().handler == libc::SIG_IGN) {
            return;
        }
        if is_sent && guard::is_inside() {
            // Later, when what must not be cut short is over: it waits, blocked, as it would without our handler.
            let mask = (&raw mut (*context).uc_sigmask).cast::<u64>();
            *mask |= 1 << (signal - 1);
            signals::send_again(signal, information);
            return;
        }
        // As without us: the instruction faults again, or the signal comes again, and its default action ends the process.
        let _ = signals::action(signal, Some(&Action::default()));
        if is_sent {
            signals::send_again(signal, information);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn handler(_signal: c_int) {}

    #[test]
    fn the_program_sees_what_it_set_and_its_own_handler_is_the_kernels() {
        let _turn = guarded_copy::tests::turn();
        start();
        assert!(is_here());
        let default = change(libc::SIGBUS, None, false).unwrap();
        assert_eq!(default.handler, libc::SIG_DFL);
        let ignoring = Action { handler: libc::SIG_IGN, ..Action::default() };
        assert_eq!(change(libc::SIGBUS, Some(&ignoring), false).unwrap().handler, libc::SIG_DFL);
        assert_eq!(change(libc::SIGBUS, None, false).unwrap().handler, libc::SIG_IGN);
        assert!(is_here());
        let own = Action { handler: handler as *const () as usize, ..ours() };
        assert_eq!(change(libc::SIGBUS, Some(&own), false).unwrap().handler, libc::SIG_IGN);
        assert!(!is_here());
        assert_eq!(change(libc::SIGBUS, None, false).unwrap().handler, own.handler);
        assert_eq!(signals::action(libc::SIGBUS, None).unwrap().handler, own.handler);
        // A child on our memory changes nothing for us.
        assert_eq!(change(libc::SIGSEGV, Some(&Action::default()), true).unwrap().handler, libc::SIG_DFL);
        assert_eq!(change(libc::SIGBUS, Some(&Action::default()), false).unwrap().handler, own.handler);
        assert!(is_here());
    }

    #[test]
    fn a_thread_that_blocks_the_signals_is_found_out() {
        let _turn = guarded_copy::tests::turn();
        start();
        let blocked = std::thread::spawn(|| {
            // SAFETY: a set of this thread's own, whose mask ends with it.
            unsafe {
                let mut set: libc::sigset_t = std::mem::zeroed();
                libc::sigfillset(&raw mut set);
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            }
            // Here the gate would have said so.
            guard::set_mask_word(guard::MASK_IS_NOT_KNOWN);
            let bad = 4096 as *const u8;
            (is_here(), guarded_copy::string_length(bad, 10))
        });
        assert_eq!(blocked.join().unwrap(), (false, Err(crate::ground::Errno::FAULT)));
        assert!(is_here());
    }
}
