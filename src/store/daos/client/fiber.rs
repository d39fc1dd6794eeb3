//! A call on a stack of its own, which its thread can leave and come back to.
//!
//! libdfs's calls about names have no event: whoever makes one is inside until it ends. So it is made on another stack.
//! While it waits, the library calls us back ([`super::bounded`]), and when the caller has no more patience we go back to
//! the caller's stack and leave the call as it is, with all that it holds, to be gone on with later by the same thread.
//! Going there and back takes some nanoseconds; a message takes twenty thousand.
#![allow(unsafe_code)]

use crate::ground::Result;
use crate::store::daos::lock::Lock;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Room for libdfs, libdaos, mercury and libfabric, and for the loader that looks their functions up: a sixteenth of what a
/// thread has by default, for calls that keep their buffers on the heap. Only what is used is ever memory.
const STACK_BYTES: usize = 512 << 10;

/// Below each stack, never accessible: an overflow is a fault and no corruption.
const GUARD_BYTES: usize = 4096;

/// Stacks that are kept for the next calls.
const KEPT_MAX: usize = 64;

/// Stacks that nobody uses, by the addresses of their lowest bytes.
static FREE: Lock<Vec<usize>> = Lock::new(Vec::new());

/// What a switch needs, and what the two sides tell one another; at the upper end of the stack that it is about.
#[repr(C)]
pub struct Fiber {
    /// Where the call's stack is while it is left.
    own: *mut u8,
    /// Where the caller's stack is while the call is made.
    caller: *mut u8,
    stack: usize,
    has_ended: bool,
    /// Frees what the frame around this owns.
    discard: unsafe fn(*mut Fiber),
}

/// A fiber and what its call answered.
#[repr(C)]
struct Answered<T> {
    fiber: Fiber,
    answer: Option<T>,
}

/// The same with the call.
#[repr(C, align(64))]
struct Frame<F, T> {
    answered: Answered<T>,
    call: Option<F>,
}

impl Fiber {
    /// Lays a call out on a stack of its own; nothing runs yet. The call owns whatever it uses.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new<F: FnOnce() -> T + 'static, T: 'static>(call: F) -> Result<*mut Self> {
        let stack = lend()?;
        let top = (stack + STACK_BYTES - size_of::<Frame<F, T>>()) & !63;
        let frame = top as *mut Frame<F, T>;
        // What `switch` pops: two control words, six registers, and where to return to; then the stack is aligned.
        let words = (top - 64) as *mut usize;
        let start: unsafe extern "C" fn() = start;
        let enter: unsafe extern "C" fn(*mut Frame<F, T>) = enter::<F, T>;
        // SAFETY: the stack is ours alone and large enough: the frame of a call is some hundred bytes.
        unsafe {
            let fiber = Self {
                own: words.cast(),
                caller: std::ptr::null_mut(),
                stack,
                has_ended: false,
                discard: discard::<F, T>,
            };
            frame.write(Frame { answered: Answered { fiber, answer: None }, call: Some(call) });
            words.write(INITIAL_CONTROL_WORDS);
            for register in 1..7 {
                words.add(register).write(0);
            }
            words.add(R12).write(frame as usize);
            words.add(R13).write(enter as usize);
            words.add(7).write(start as usize);
        }
        Ok(frame.cast())
    }

    /// Goes on with the call until it ends or is left; whether it has ended.
    ///
    /// # Safety
    /// A fiber that has not ended, by the thread that went on with it before, if one did.
    pub unsafe fn go_on(this: *mut Self) -> bool {
        // SAFETY: by the caller's word nobody else uses it.
        unsafe {
            switch(&raw mut (*this).caller, (*this).own);
            (*this).has_ended
        }
    }

    /// Leaves the call that runs, back to where it was gone on with; returns when somebody goes on with it again.
    ///
    /// # Safety
    /// The fiber that this thread runs.
    pub unsafe fn leave(this: *mut Self) {
        // SAFETY: `go_on` has noted where its stack is.
        unsafe { switch(&raw mut (*this).own, (*this).caller) }
    }

    /// What the call answered, if it did not panic; the stack is free again.
    ///
    /// # Safety
    /// A fiber that has ended, made for a call that answers with a `T`; not used any more.
    pub unsafe fn answer<T>(this: *mut Self) -> Option<T> {
        // SAFETY: by the caller's word this is what the frame begins with.
        unsafe {
            let answer = (*this.cast::<Answered<T>>()).answer.take();
            Self::discard(this);
            answer
        }
    }

    /// Frees a fiber that has ended, with its answer.
    ///
    /// # Safety
    /// It has ended, and is not used any more.
    pub unsafe fn discard(this: *mut Self) {
        // SAFETY: by the caller's word.
        unsafe { ((*this).discard)(this) }
    }
}

/// The processor's rounding and exceptions as a program starts with them: MXCSR, and the x87 control word above.
const INITIAL_CONTROL_WORDS: usize = 0x1f80 | 0x37f << 32;

/// Which of the words that `switch` pops are these registers'.
const R12: usize = 4;
const R13: usize = 3;

/// Where a call's stack begins.
unsafe extern "C" fn enter<F: FnOnce() -> T, T>(frame: *mut Frame<F, T>) {
    // SAFETY: `new` laid it out; it stays until it has ended.
    unsafe {
        if let Some(call) = (*frame).call.take() {
            (*frame).answered.answer = catch_unwind(AssertUnwindSafe(call)).ok();
        }
        (*frame).answered.fiber.has_ended = true;
        Fiber::leave(frame.cast());
    }
}

unsafe fn discard<F, T>(fiber: *mut Fiber) {
    // SAFETY: of `new`'s making; nobody runs on the stack any more.
    unsafe {
        let stack = (*fiber).stack;
        fiber.cast::<Frame<F, T>>().drop_in_place();
        give_back(stack);
    }
}

fn lend() -> Result<usize> {
    if let Some(stack) = FREE.lock().pop() {
        return Ok(stack);
    }
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK;
    // SAFETY: fresh memory at an address of the kernel's choice.
    unsafe {
        let start =
            mmap_anonymous(std::ptr::null_mut(), STACK_BYTES + GUARD_BYTES, ProtFlags::READ | ProtFlags::WRITE, flags)?;
        if let Err(error) = mprotect(start, GUARD_BYTES, MprotectFlags::empty()) {
            let _ = munmap(start, STACK_BYTES + GUARD_BYTES);
            return Err(error);
        }
        Ok(start as usize + GUARD_BYTES)
    }
}

fn give_back(stack: usize) {
    {
        let mut free = FREE.lock();
        if free.len() < KEPT_MAX {
            free.push(stack);
            return;
        }
    }
    // SAFETY: of `lend`'s making, and used by nobody.
    let _ = unsafe { munmap((stack - GUARD_BYTES) as *mut _, STACK_BYTES + GUARD_BYTES) };
}

/// In a fork child, before anything else.
pub fn after_fork_in_child() {
    FREE.free_in_child();
}

/// Notes where this stack is, goes to the other one, and returns there. What System V lets a function keep for its
/// caller is kept: six registers, and the control words of both floating-point units.
#[unsafe(naked)]
unsafe extern "C" fn switch(_from: *mut *mut u8, _to: *mut u8) {
    std::arch::naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "ldmxcsr [rsp]",
        "fldcw [rsp + 4]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    );
}

/// The first that runs on a fiber's stack. A frame pointer of 0 ends a debugger's walk.
#[unsafe(naked)]
unsafe extern "C" fn start() {
    std::arch::naked_asm!("mov rdi, r12", "call r13", "ud2");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    thread_local! {
        static FIBER: Cell<*mut Fiber> = const { Cell::new(std::ptr::null_mut()) };
    }

    #[test]
    fn a_call_is_left_and_gone_on_with() {
        let kept = Rc::new(Cell::new(0));
        let inner = kept.clone();
        let fiber = Fiber::new(move || {
            let mut sum = 0.5;
            for step in 1..=3 {
                inner.set(step);
                sum += f64::from(step);
                // SAFETY: the fiber that runs.
                unsafe { Fiber::leave(FIBER.get()) };
            }
            format!("{sum}")
        })
        .unwrap();
        FIBER.set(fiber);
        for step in 1..=3 {
            // SAFETY: it has not ended.
            assert!(!unsafe { Fiber::go_on(fiber) });
            assert_eq!(kept.get(), step);
        }
        // SAFETY: as above; and then it has.
        unsafe {
            assert!(Fiber::go_on(fiber));
            assert_eq!(Fiber::answer::<String>(fiber).as_deref(), Some("6.5"));
        }
        assert_eq!(Rc::strong_count(&kept), 1);
    }

    #[test]
    fn an_answer_that_nobody_wants_is_dropped() {
        let kept = Rc::new(());
        let inner = kept.clone();
        let fiber = Fiber::new(move || inner).unwrap();
        // SAFETY: it runs to its end.
        unsafe {
            assert!(Fiber::go_on(fiber));
            assert_eq!(Rc::strong_count(&kept), 2);
            Fiber::discard(fiber);
        }
        assert_eq!(Rc::strong_count(&kept), 1);
    }

    #[test]
    fn stacks_have_room_and_are_used_again() {
        fn deep(level: u32) -> u64 {
            let room = std::hint::black_box([u64::from(level); 64]);
            if level == 0 { room[0] } else { room[63] + deep(level - 1) }
        }
        for _ in 0..1000 {
            let fiber = Fiber::new(|| deep(400)).unwrap();
            // SAFETY: it runs to its end.
            let answer = unsafe {
                assert!(Fiber::go_on(fiber));
                Fiber::answer::<u64>(fiber)
            };
            assert_eq!(answer, Some(80_200));
        }
        assert!(FREE.lock().len() <= KEPT_MAX);
    }
}
