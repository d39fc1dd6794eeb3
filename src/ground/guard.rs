//! The guard under which code runs that must not be entered twice by one thread.
//!
//! A library that goes through libc (LMDB) would come back through our own doors, and an application's signal
//! handler could interrupt us while a lock is held and then do file I/O of its own. [`Quiet`] rules out both: it
//! blocks every signal, and it makes the doors pass this thread's calls to the kernel.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

// Twelve words per thread: how many guards it holds, whether it may be a child on its parent's memory, how often it has
// begun something, what is known of its signal mask, the mask before the guards, two for `change`, a mask that is kept
// with whether it is, the state of cancellation that libc tells, whether a library under us has made the thread, and
// the frame of a call of MPI on a file. In assembly, because stable Rust can't ask for the initial-exec model, and
// `__tls_get_addr` costs more than the rest of a door.
std::arch::global_asm!(
    ".pushsection .tbss.sidestep_thread, \"awT\", @nobits",
    ".balign 8",
    ".hidden sidestep_thread_words",
    ".globl sidestep_thread_words",
    ".type sidestep_thread_words, @object",
    ".size sidestep_thread_words, 96",
    "sidestep_thread_words: .zero 96",
    ".popsection",
);

/// This thread's words: the guard depth, the vfork window, the count of beginnings, the mask's,
/// and the mask before the guards.
#[inline(always)]
fn thread_words() -> *mut u64 {
    let address: usize;
    // SAFETY: reads the thread pointer and a constant that the dynamic linker filled in.
    unsafe {
        std::arch::asm!(
            "mov {address}, qword ptr [rip + sidestep_thread_words@GOTTPOFF]",
            "add {address}, qword ptr fs:[0]",
            address = out(reg) address,
            options(nostack, readonly, preserves_flags),
        );
    }
    address as *mut u64
}

/// Whether this thread is inside a [`Quiet`] section: what it calls now is ours and goes to the kernel.
#[inline(always)]
pub fn is_inside() -> bool {
    // SAFETY: the word is this thread's own and lives as long as the thread.
    unsafe { thread_words().read() != 0 }
}

/// In the depth word: what a guard adds that was entered for a library with descriptors of its own. The lower half counts
/// the guards.
const LIBRARY: u64 = 1 << 32;

/// Whether this thread runs a library under us whose new descriptors are to be kept out of the application's way.
#[inline(always)]
pub fn is_in_library() -> bool {
    // SAFETY: as in `is_inside`.
    unsafe { thread_words().read() >= LIBRARY }
}

/// Where the word lies among the thread's that tells whether a library under us has made it.
pub const LIBRARY_WORD_INDEX: usize = 10;

/// Notes that the thread whose words lie at `pointer` (its `fs:0`, before it has begun) is made by a library under us: what it
/// calls by itself is no word to the program.
///
/// # Safety
/// `pointer` is the thread pointer that a `clone` is about to give a new thread of this process.
pub unsafe fn note_library_thread(pointer: usize) {
    let distance = word_distance(LIBRARY_WORD_INDEX);
    // SAFETY: every thread has the library's words at the same distance from its pointer.
    unsafe { (pointer.wrapping_add_signed(distance) as *mut u64).write(1) }
}

/// The frame of this thread's outermost call of MPI on a file.
const FILE_CALL_INDEX: usize = 11;

/// A call of MPI on a file begins, whose frame lies there. One that was left by a `longjmp` has ended if its frame lies no
/// higher than this one.
pub fn enter_file_call(frame: u64) {
    // SAFETY: this thread's own word.
    unsafe {
        let outermost = thread_words().add(FILE_CALL_INDEX);
        if outermost.read() <= frame {
            outermost.write(frame);
        }
    }
}

/// It ends.
pub fn leave_file_call(frame: u64) {
    // SAFETY: this thread's own word.
    unsafe {
        let outermost = thread_words().add(FILE_CALL_INDEX);
        if outermost.read() <= frame {
            outermost.write(0);
        }
    }
}

/// Whether this thread is in a call of MPI on a file.
#[inline(always)]
pub fn is_in_file_call() -> bool {
    // SAFETY: this thread's own word.
    unsafe { thread_words().add(FILE_CALL_INDEX).read() != 0 }
}

/// Whether a library under us has made this thread.
#[inline(always)]
pub fn is_library_thread() -> bool {
    // SAFETY: this thread's own word.
    unsafe { thread_words().add(LIBRARY_WORD_INDEX).read() != 0 }
}

/// Something new begins in this thread: each outermost guard does so, and a thread that keeps one for good has to say.
pub fn begin() {
    // SAFETY: this thread's own word.
    unsafe { thread_words().add(2).write(beginnings() + 1) }
}

/// How often something has begun in this thread: two calls of ours with the same answer between belong to one call of
/// the application's.
pub fn beginnings() -> u64 {
    // SAFETY: this thread's own word.
    unsafe { thread_words().add(2).read() }
}

/// Opens or ends the vfork window: from just before this thread makes a child that runs on this very memory (and on
/// this very thread's words) until the thread has seen that it is the parent again.
pub fn set_vfork_window(open: bool) {
    // SAFETY: this thread's own word.
    unsafe { thread_words().add(1).write(u64::from(open)) }
}

/// Whether this thread may be a vfork child.
#[inline(always)]
pub fn in_vfork_window() -> bool {
    // SAFETY: this thread's own word.
    unsafe { thread_words().add(1).read() != 0 }
}

/// The changes of the descriptor tables that this thread is in, and where on its stack the first of them stands.
#[inline(always)]
pub fn changes() -> (u64, u64) {
    // SAFETY: this thread's own words.
    unsafe { (thread_words().add(5).read(), thread_words().add(6).read()) }
}

/// Sets what [`changes`] tells.
#[inline(always)]
pub fn set_changes(depth: u64, place: u64) {
    // SAFETY: this thread's own words.
    unsafe {
        thread_words().add(6).write(place);
        thread_words().add(5).write(depth);
    }
}

/// Blocks all signals of this thread, from one of its calls to another, until [`release_signals`].
pub fn hold_signals() {
    let mask = block_signals();
    // SAFETY: this thread's own words.
    unsafe {
        if thread_words().add(8).read() == 0 {
            thread_words().add(7).write(mask);
        }
        thread_words().add(8).write(1);
    }
}

/// Whether this thread is between [`hold_signals`] and [`release_signals`].
pub fn holds_signals() -> bool {
    // SAFETY: as above.
    unsafe { thread_words().add(8).read() != 0 }
}

/// Ends what [`hold_signals`] began, if anything: the mask is as it was before.
pub fn release_signals() {
    // SAFETY: as above.
    unsafe {
        if thread_words().add(8).read() != 0 {
            thread_words().add(8).write(0);
            set_signal_mask(thread_words().add(7).read());
        }
    }
}

/// Whether this thread's calls on descriptors are not simply the application's: it may be a vfork child, or it runs a
/// library under us.
#[inline(always)]
pub fn is_unusual() -> bool {
    // SAFETY: this thread's own words.
    unsafe { thread_words().read() >= LIBRARY || thread_words().add(1).read() != 0 }
}

/// [`mask_word`]: the thread has to ask the kernel.
pub const MASK_IS_NOT_KNOWN: u64 = 0;

/// [`mask_word`]: the thread blocks neither SIGSEGV nor SIGBUS.
pub const MASK_LETS_FAULTS_IN: u64 = 1;

/// [`mask_word`]: it blocks one of them.
pub const MASK_KEEPS_FAULTS_OFF: u64 = 2;

/// Where the mask's word lies among the thread's.
pub const MASK_WORD_INDEX: usize = 3;

/// What is known of this thread's signal mask. The gate forgets it ([`MASK_IS_NOT_KNOWN`]) before each call that changes
/// the mask.
#[inline(always)]
pub fn mask_word() -> u64 {
    // SAFETY: this thread's own word.
    unsafe { thread_words().add(MASK_WORD_INDEX).read() }
}

/// Remembers what is known of it.
pub fn set_mask_word(word: u64) {
    // SAFETY: this thread's own word.
    unsafe { thread_words().add(MASK_WORD_INDEX).write(word) }
}

/// Where the mask before the guards lies among the thread's words.
const MASK_BEFORE_INDEX: usize = 4;

/// The signals that this thread blocked before its outermost [`Quiet`], which it holds.
pub fn mask_before() -> u64 {
    // SAFETY: this thread's own word.
    unsafe { thread_words().add(MASK_BEFORE_INDEX).read() }
}

/// How far the mask's word of any thread lies from that thread's pointer (`fs:0`).
pub fn mask_word_distance() -> isize {
    word_distance(MASK_WORD_INDEX)
}

fn word_distance(index: usize) -> isize {
    let pointer: usize;
    // SAFETY: reads the thread pointer.
    unsafe {
        std::arch::asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(nostack, readonly, preserves_flags));
        thread_words().add(index) as isize - pointer as isize
    }
}

/// The signals that [`Quiet`] leaves alone.
static LET_THROUGH: AtomicU64 = AtomicU64::new(0);

/// Has [`Quiet`] leave signals alone: those that the library itself handles.
pub fn let_through(signals: u64) {
    LET_THROUGH.store(signals, Ordering::Relaxed);
}

/// In a thread of our own, where [`Quiet`] blocks everything: libc's own two signals must come through, since a `setuid`
/// of the program waits until every thread has answered. libc's call leaves them out of any mask.
pub fn allow_libc_signals() {
    const LEFT_OPEN: u64 = 1 << (libc::SIGSEGV - 1) | 1 << (libc::SIGBUS - 1);
    // SAFETY: an all-zero set is a value of the type, and its first word is the signals from 1 to 64.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        (&raw mut set).cast::<u64>().write(!LEFT_OPEN);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

unsafe extern "C" {
    // The libc crate has it not. Async-signal-safe in glibc: it changes one word of the thread.
    fn pthread_setcancelstate(state: c_int, previous: *mut c_int) -> c_int;
}

const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// Signals and cancellation blocked and doors closed for this thread, until dropped. Guards nest.
pub struct Quiet {
    previous: Option<(u64, c_int)>,
    /// What it added to the depth word.
    weight: u64,
    // The depth word belongs to the thread that entered.
    _here: std::marker::PhantomData<*const ()>,
}

impl Quiet {
    /// Enters. Two system calls (some 220 ns together) for the outermost guard, none for a nested one.
    #[inline]
    pub fn enter() -> Self {
        Self::enter_with(1)
    }

    /// Enters to run a library that opens descriptors of its own (sockets, logs): the doors move them to high numbers and
    /// spare them when the application closes what it did not open.
    pub fn enter_library() -> Self {
        Self::enter_with(1 + LIBRARY)
    }

    #[inline(always)]
    fn enter_with(weight: u64) -> Self {
        let word = thread_words();
        // SAFETY: this thread's own word.
        let nested = unsafe { word.read() } != 0;
        let previous = if nested { None } else { Some((block_signals(), set_cancellation(PTHREAD_CANCEL_DISABLE))) };
        // SAFETY: as above; incremented only once signals are blocked, so that no handler sees it half done.
        unsafe { word.write(word.read() + weight) };
        if let Some((mask, _)) = previous {
            // SAFETY: as above.
            unsafe { word.add(MASK_BEFORE_INDEX).write(mask) };
            begin();
        }
        Self { previous, weight, _here: std::marker::PhantomData }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let word = thread_words();
        // SAFETY: this thread's own word, raised by `enter`.
        unsafe { word.write(word.read() - self.weight) };
        if let Some((mask, cancellation)) = self.previous {
            // Strikes at the next cancellation point, not here: only in the gate is a thread's cancellation
            // asynchronous, and there it is off already.
            if cancellation != PTHREAD_CANCEL_DISABLE {
                set_cancellation(cancellation);
            }
            set_signal_mask(mask);
        }
    }
}

/// Allows or keeps off cancellation of this thread; returns what was before.
fn set_cancellation(state: c_int) -> c_int {
    // Not on the stack: one of the library's own is used by one thread after another, which a search for data races that
    // sees libc's function write, and not how the stack was handed on, takes for a race.
    // SAFETY: writes the state before to a word of this thread's own.
    unsafe {
        let previous = thread_words().add(9).cast::<c_int>();
        previous.write(PTHREAD_CANCEL_DISABLE);
        pthread_setcancelstate(state, previous);
        previous.read()
    }
}

const SIG_BLOCK: usize = 0;
const SIG_SETMASK: usize = 2;

/// Blocks what may be blocked; returns the mask before.
fn block_signals() -> u64 {
    change_mask(SIG_BLOCK, !LET_THROUGH.load(Ordering::Relaxed))
}

/// Sets the signal mask; returns the one before.
pub fn set_signal_mask(mask: u64) -> u64 {
    change_mask(SIG_SETMASK, mask)
}

/// The signals that this thread blocks.
pub fn current_mask() -> u64 {
    change_mask(SIG_BLOCK, 0)
}

/// Changes the signal mask by the raw system call, so that no door and no libc rule is met; returns the one before.
fn change_mask(how: usize, mask: u64) -> u64 {
    let mut previous = 0u64;
    // SAFETY: rt_sigprocmask with both pointers to live words of the kernel's set size, 8 bytes.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") libc::SYS_rt_sigprocmask => _,
            in("rdi") how,
            in("rsi") &raw const mask,
            in("rdx") &raw mut previous,
            in("r10") 8usize,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    previous
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_nest_and_restore_the_mask() {
        let before = set_signal_mask(0);
        set_signal_mask(before);
        assert!(!is_inside());
        let outer = Quiet::enter();
        let inner = Quiet::enter();
        assert!(is_inside());
        drop(inner);
        assert!(is_inside());
        drop(outer);
        assert!(!is_inside());
        let after = set_signal_mask(before);
        assert_eq!(before, after);
    }
}
