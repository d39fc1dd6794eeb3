//! What both doors do with a call that goes to the dispatcher.
#![allow(unsafe_code)]

use crate::causal;
use crate::dispatch::{self, Call, Verdict};
use crate::gate::calls::{self, Class};
use crate::runtime::errno;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Has the dispatcher serve a call. A panic becomes `EIO`; the panic hook has told it. `errno` is left alone: libraries
/// under us write to it.
///
/// # Safety
/// `call` is the application's (see [`dispatch::dispatch`]).
pub unsafe fn serve(call: &mut Call) -> Verdict {
    let errno = errno::of_program();
    // SAFETY: this thread's own word.
    let before = unsafe { *errno };
    // SAFETY: by the caller's word.
    let verdict = catch_unwind(AssertUnwindSafe(|| unsafe {
        // Here, while the thread holds nothing: a change of descriptors that is under way holds up a fork, which holds up
        // whoever stores.
        if calls::class(call.number) == Class::Always {
            causal::before(call);
        }
        dispatch::dispatch(call)
    }));
    // SAFETY: as above.
    unsafe { *errno = before };
    verdict.unwrap_or(Verdict::Done(-i64::from(libc::EIO)))
}

/// The system call itself, from our own text, with what is due after it where it hears. What is due before one that tells was
/// done by [`serve`].
///
/// # Safety
/// As for any system call.
pub unsafe fn kernel(call: &Call) -> i64 {
    // SAFETY: by the caller's word.
    let result = unsafe { system_call(call) };
    causal::after(call);
    result
}

#[inline(always)]
unsafe fn system_call(call: &Call) -> i64 {
    let [rdi, rsi, rdx, r10, r8, r9] = call.arguments;
    let result;
    // SAFETY: by the caller's word.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") call.number as i64 => result,
            in("rdi") rdi,
            in("rsi") rsi,
            in("rdx") rdx,
            in("r10") r10,
            in("r8") r8,
            in("r9") r9,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}
