//! Our handler of SIGSEGV and SIGBUS, which lets a guarded copy end early where memory is not there.
//!
//! It stands before the program's: the program sees the disposition that it set, or that it was started with, and a fault
//! that is not of a guarded copy is its own, as it would be without us. A handler of the program's is called with the
//! kernel's arguments, on the stack and under the mask that it asked for; where there is none, the process ends at the
//! same instruction.
//!
//! A thread that blocks one of the two signals would be killed by its fault, whatever handler there is; and so would a
//! handler of the program's for one of the two, which blocks it while it runs. So each thread remembers that it does not;
//! it asks the kernel when it may have changed its mask ([`guard::mask_word`]).
#![allow(unsafe_code)]

use super::guarded_copy::Landing;
use super::signals::{self, Action};
use super::{Result, guard, guarded_copy};
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The signals of memory that is not there.
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// The two as the kernel's signal sets have them.
pub const FAULTS: u64 = 1 << (libc::SIGSEGV - 1) | 1 << (libc::SIGBUS - 1);

/// Whether both signals have our handler.
static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Whether [`start`] has run.
static HAS_STARTED: AtomicBool = AtomicBool::new(false);

/// What the program has for each of [`SIGNALS`] while ours stands before it.
static KEPT: [Kept; 2] = [Kept::new(), Kept::new()];

/// An action whose words are read one by one: a program that sets one signal from two threads at once does not know
/// what it gets either.
struct Kept {
    handler: AtomicUsize,
    flags: AtomicUsize,
    restorer: AtomicUsize,
    mask: AtomicU64,
}

/// The flags that the kernel knows: it gives no others back.
const FLAGS_KNOWN: usize = (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT | libc::SA_SIGINFO | SA_EXPOSE_TAGBITS) as usize
    | (libc::SA_ONSTACK | libc::SA_RESTART | libc::SA_NODEFER) as usize
    | SA_RESETHAND
    | SA_RESTORER;

const SA_EXPOSE_TAGBITS: c_int = 0x800;
const SA_RESTORER: usize = 0x0400_0000;
const SA_RESETHAND: usize = 0x8000_0000;

/// The signals that the kernel lets nobody block.
const NEVER_BLOCKED: u64 = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);

impl Kept {
    const fn new() -> Self {
        Self {
            handler: AtomicUsize::new(libc::SIG_DFL),
            flags: AtomicUsize::new(0),
            restorer: AtomicUsize::new(0),
            mask: AtomicU64::new(0),
        }
    }

    fn keep(&self, action: &Action) {
        self.flags.store(action.flags & FLAGS_KNOWN, Ordering::Relaxed);
        self.restorer.store(action.restorer, Ordering::Relaxed);
        self.mask.store(action.mask & !NEVER_BLOCKED, Ordering::Relaxed);
        self.handler.store(action.handler, Ordering::Release);
    }

    fn action(&self) -> Action {
        Action {
            handler: self.handler.load(Ordering::Acquire),
            flags: self.flags.load(Ordering::Relaxed),
            restorer: self.restorer.load(Ordering::Relaxed),
            mask: self.mask.load(Ordering::Relaxed),
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

// What the kernel calls: ours first, then the program's own, if the fault is for it.
std::arch::global_asm!(
    ".pushsection .text.sidestep_on_fault, \"ax\", @progbits",
    ".balign 16",
    ".hidden sidestep_on_fault",
    ".globl sidestep_on_fault",
    ".type sidestep_on_fault, @function",
    "sidestep_on_fault:",
    ".cfi_startproc",
    "push rbx",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset rbx, 0",
    "push r12",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset r12, 0",
    "push r13",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset r13, 0",
    "mov ebx, edi",
    "mov r12, rsi",
    "mov r13, rdx",
    "call {judge}",
    "test rax, rax",
    "jz 2f",
    "mov edi, ebx",
    "mov rsi, r12",
    "mov rdx, r13",
    "call rax",
    "call {after}",
    "2:",
    "pop r13",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r13",
    "pop r12",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r12",
    "pop rbx",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore rbx",
    "ret",
    ".cfi_endproc",
    ".size sidestep_on_fault, . - sidestep_on_fault",
    ".popsection",
    judge = sym judge_fault,
    after = sym after_handler,
);

unsafe extern "C" {
    fn sidestep_signal_return();
    fn sidestep_on_fault();
}

/// The kernel's action for what the program has: ours, on the stack and with the mask of the program's handler.
fn front(of: &Action) -> Action {
    let restorer = sidestep_signal_return as *const () as usize;
    let handler = sidestep_on_fault as *const () as usize;
    let own = libc::SA_SIGINFO as usize | SA_RESTORER;
    if is_plain(of) {
        return Action { handler, flags: own, restorer, mask: 0 };
    }
    Action {
        handler,
        // Taken back only when the program's handler is called, not at a fault of a guarded copy.
        flags: of.flags & !SA_RESETHAND | own,
        restorer: if of.flags & SA_RESTORER != 0 { of.restorer } else { restorer },
        mask: of.mask,
    }
}

fn is_front(action: &Action) -> bool {
    action.handler == sidestep_on_fault as *const () as usize
}

fn place(signal: c_int) -> Option<&'static Kept> {
    SIGNALS.iter().position(|known| *known == signal).map(|index| &KEPT[index])
}

fn is_plain(action: &Action) -> bool {
    action.handler == libc::SIG_DFL || action.handler == libc::SIG_IGN
}

/// Puts our handler in. Only for whoever sees every later change ([`change`], and the gate's note of a changed mask).
pub fn start() {
    HAS_STARTED.store(true, Ordering::Relaxed);
    let mut are_ours = true;
    for (signal, kept) in SIGNALS.iter().zip(&KEPT) {
        are_ours &= signals::action(*signal, None).is_ok_and(|before| {
            if !is_front(&before) {
                kept.keep(&before);
            }
            signals::action(*signal, Some(&front(&kept.action()))).is_ok()
        });
    }
    IS_INSTALLED.store(are_ours, Ordering::Release);
    guard::let_through(if are_ours { FAULTS } else { 0 });
}

/// While work of this thread runs on another stack than the program's: its handlers may be on an alternate stack, which
/// the kernel would begin anew for the next of them, though the thread is in the middle of it. Nothing where that can't be;
/// else the two signals are blocked until this is dropped, and copies are made by the kernel.
#[must_use]
pub fn hold_back() -> Option<HeldBack> {
    let is_wanted = KEPT.iter().any(|kept| kept.flags.load(Ordering::Relaxed) & libc::SA_ONSTACK as usize != 0);
    if !is_wanted || !IS_INSTALLED.load(Ordering::Relaxed) || !signals::is_on_alternate_stack() {
        return None;
    }
    let held = HeldBack { word: guard::mask_word(), mask: guard::current_mask() };
    guard::set_mask_word(guard::MASK_KEEPS_FAULTS_OFF);
    guard::set_signal_mask(held.mask | FAULTS);
    Some(held)
}

/// See [`hold_back`].
pub struct HeldBack {
    word: u64,
    mask: u64,
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        guard::set_signal_mask(self.mask);
        guard::set_mask_word(self.word);
    }
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

/// Whether a fault of this thread would end the process, or be taken for one of the program's: it blocks the signal, or it
/// is a child whose handlers are its own.
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
    let in_kernel = signals::action(signal, None)?;
    // A child on its parent's memory may have set another already, which is the kernel's alone.
    let before = if is_front(&in_kernel) { kept.action() } else { in_kernel };
    let Some(new) = new else { return Ok(before) };
    if !HAS_STARTED.load(Ordering::Relaxed) {
        return signals::action(signal, Some(new));
    }
    if is_guest {
        // Our handler goes with the exec, as the default would.
        if !(is_plain(&before) && new.handler == libc::SIG_DFL) {
            signals::action(signal, Some(new))?;
        }
        return Ok(before);
    }
    kept.keep(new);
    match signals::action(signal, Some(&front(new))) {
        Ok(_) => Ok(before),
        Err(errno) => {
            kept.keep(&before);
            Err(errno)
        }
    }
}

/// Before an exec: the new program inherits that the signals are ignored, if they are. Handlers it does not inherit.
pub fn before_exec() {
    let has_started = HAS_STARTED.load(Ordering::Relaxed);
    for (signal, kept) in SIGNALS.iter().zip(&KEPT) {
        if has_started && kept.action().handler == libc::SIG_IGN {
            let _ = signals::action(*signal, Some(&kept.action()));
        }
    }
}

/// After an exec that failed.
pub fn after_failed_exec() {
    let has_started = HAS_STARTED.load(Ordering::Relaxed);
    for (signal, kept) in SIGNALS.iter().zip(&KEPT) {
        if has_started && kept.action().handler == libc::SIG_IGN {
            let _ = signals::action(*signal, Some(&front(&kept.action())));
        }
    }
}

/// What is done about a signal; the program's handler if it is for that, or 0.
unsafe extern "C" fn judge_fault(
    signal: c_int,
    information: *mut libc::siginfo_t,
    context: *mut libc::ucontext_t,
) -> usize {
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
            return 0;
        }
        let theirs = place(signal).map(Kept::action).unwrap_or_default();
        if is_sent && theirs.handler == libc::SIG_IGN {
            return 0;
        }
        if is_sent && guard::is_inside() {
            // Later, when what must not be cut short is over: it waits, blocked, as it would without our handler.
            let mask = (&raw mut (*context).uc_sigmask).cast::<u64>();
            *mask |= 1 << (signal - 1);
            signals::send_again(signal, information);
            return 0;
        }
        if !is_plain(&theirs) {
            return before_handler(signal, &theirs);
        }
        // As without us: the instruction faults again, or the signal comes again, and its default action ends the process.
        let _ = signals::action(signal, Some(&Action::default()));
        if is_sent {
            signals::send_again(signal, information);
        }
        0
    }
}

/// The program's handler is about to be called.
fn before_handler(signal: c_int, theirs: &Action) -> usize {
    if theirs.flags & SA_RESETHAND != 0
        && let Some(kept) = place(signal)
    {
        // The rest stays, as the kernel has it.
        kept.handler.store(libc::SIG_DFL, Ordering::Release);
        let _ = signals::action(signal, Some(&front(&kept.action())));
    }
    // It blocks its own signal, unless it said otherwise.
    guard::set_mask_word(guard::MASK_IS_NOT_KNOWN);
    theirs.handler
}

/// The program's handler has returned; one that jumps out goes by a call that sets the mask, or leaves it as it is.
extern "C" fn after_handler() {
    guard::set_mask_word(guard::MASK_IS_NOT_KNOWN);
}

#[cfg(test)]
mod tests {
    use super::*;

    static HANDLED: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn handler(_signal: c_int) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn the_program_sees_what_it_set_and_a_copy_is_guarded_all_the_same() {
        let _turn = guarded_copy::tests::turn();
        start();
        assert!(is_here());
        let bad = 4096 as *const u8;
        let set = |new: &Action| change(libc::SIGSEGV, Some(new), false).unwrap();
        let ignoring = Action { handler: libc::SIG_IGN, ..Action::default() };
        let own = Action {
            handler: handler as *const () as usize,
            flags: libc::SA_RESTART as usize | SA_RESETHAND | SA_RESTORER,
            restorer: sidestep_signal_return as *const () as usize,
            mask: 1 << (libc::SIGUSR1 - 1),
        };
        assert_eq!(set(&ignoring), Action::default());
        assert_eq!(set(&own), ignoring);
        assert_eq!(change(libc::SIGSEGV, None, false), Ok(own));
        assert_eq!(guarded_copy::string_length(bad, 10), Err(crate::ground::Errno::FAULT));
        let in_kernel = signals::action(libc::SIGSEGV, None).unwrap();
        assert!(is_front(&in_kernel) && in_kernel.flags & SA_RESETHAND == 0 && in_kernel.mask == own.mask);
        assert_eq!(HANDLED.load(Ordering::Relaxed), 0);
        // SAFETY: to this thread; the handler counts.
        unsafe { libc::raise(libc::SIGSEGV) };
        assert_eq!(HANDLED.load(Ordering::Relaxed), 1);
        // It wanted to be called once.
        assert_eq!(change(libc::SIGSEGV, None, false), Ok(Action { handler: libc::SIG_DFL, ..own }));
        assert_eq!(guarded_copy::string_length(bad, 10), Err(crate::ground::Errno::FAULT));
        // A child on our memory changes nothing for us.
        set(&own);
        assert_eq!(change(libc::SIGSEGV, Some(&Action::default()), true), Ok(own));
        assert_eq!(signals::action(libc::SIGSEGV, None).unwrap().handler, libc::SIG_DFL);
        assert_eq!(set(&own), Action::default(), "as the kernel says");
        set(&Action::default());
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
