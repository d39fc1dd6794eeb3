//! Two words called `errno`: the program's, which is libc's, and ours, which what runs inside the library reads and
//! writes. So nothing that happens here changes the program's by accident.
#![allow(unsafe_code)]

use super::import;
use std::ffi::c_int;

std::arch::global_asm!(
    ".pushsection .tbss.sidestep_errno, \"awT\", @nobits",
    ".balign 8",
    ".hidden sidestep_errno",
    ".globl sidestep_errno",
    ".type sidestep_errno, @object",
    ".size sidestep_errno, 8",
    "sidestep_errno: .zero 8",
    ".popsection",
);

/// `__errno_location()`: the library's own word of this thread.
///
/// # Safety
/// Has no precondition; it is so declared for C.
pub unsafe extern "C" fn __errno_location() -> *mut c_int {
    let address: usize;
    // SAFETY: reads the thread pointer and a constant that the dynamic linker filled in.
    unsafe {
        std::arch::asm!(
            "mov {address}, qword ptr [rip + sidestep_errno@GOTTPOFF]",
            "add {address}, qword ptr fs:[0]",
            address = out(reg) address,
            options(nostack, readonly, preserves_flags),
        );
    }
    address as *mut c_int
}

super::provide! { "__errno_location" = crate::runtime::errno::__errno_location; }

/// The program's word of this thread.
pub fn of_program() -> *mut c_int {
    // SAFETY: has no precondition. Null where the libc is not glibc: then the doors serve nothing.
    unsafe { import::sidestep_libc_errno() }
}

/// The result of a system call as a C function has it.
pub fn answer(result: i64) -> i64 {
    if (-4095..0).contains(&result) {
        // SAFETY: this thread's own word.
        unsafe { *__errno_location() = -result as c_int };
        return -1;
    }
    result
}
