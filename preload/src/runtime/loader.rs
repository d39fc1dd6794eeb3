//! `dlsym`: by the dynamic linker's own list where the next function behind this library is asked for, by libc's own
//! function otherwise.
#![allow(unsafe_code)]

use super::block::Block;
use super::{import, link_map};
use std::ffi::{CStr, c_char, c_void};

// What the process has under that name, asked only where the libc is not glibc. `--wrap` gives all other references in
// the library to `__wrap_dlsym`.
std::arch::global_asm!(
    ".pushsection .text.sidestep_foreign_dlsym, \"ax\", @progbits",
    ".weak __real_dlsym",
    ".globl sidestep_foreign_dlsym",
    ".hidden sidestep_foreign_dlsym",
    ".type sidestep_foreign_dlsym, @function",
    "sidestep_foreign_dlsym:",
    "mov rax, qword ptr [rip + __real_dlsym@GOTPCREL]",
    "test rax, rax",
    "jz 2f",
    "jmp rax",
    "2:",
    "ret",
    ".size sidestep_foreign_dlsym, . - sidestep_foreign_dlsym",
    ".popsection",
);

unsafe extern "C" {
    fn sidestep_foreign_dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// `dlsym(handle, name)`
unsafe extern "C" fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: as the C function's.
    unsafe {
        if Block::find().is_none() {
            return sidestep_foreign_dlsym(handle, name);
        }
        if handle == libc::RTLD_NEXT {
            let found = link_map::find_next(CStr::from_ptr(name));
            return found.map_or(std::ptr::null_mut(), |found| found.cast_mut().cast());
        }
        import::sidestep_libc_dlsym(handle, name)
    }
}

super::provide! { "__wrap_dlsym" = crate::runtime::loader::dlsym; }
