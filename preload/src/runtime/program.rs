//! What belongs to the program, and is found as the program finds it: memory that it will free, and its environment.
#![allow(unsafe_code)]

use super::import::sidestep_libc_dlsym;
use std::ffi::{CStr, c_char, c_void};

fn find(name: &CStr) -> *mut c_void {
    // SAFETY: a terminated name. libc's own `dlsym` looks in the program first.
    unsafe { sidestep_libc_dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

/// The program's `malloc`, for what it will free.
///
/// # Safety
/// As the C function's.
pub unsafe fn malloc(bytes: usize) -> *mut c_void {
    let found = find(c"malloc");
    if found.is_null() {
        return found;
    }
    // SAFETY: the function of that name has this type.
    unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn(usize) -> *mut c_void>(found)(bytes) }
}

/// The program's `free`, for what came from [`malloc`].
///
/// # Safety
/// As the C function's.
pub unsafe fn free(block: *mut c_void) {
    let found = find(c"free");
    if !found.is_null() {
        // SAFETY: the function of that name has this type.
        unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(found)(block) }
    }
}

/// The program's environment as it is now, which `execv` hands on.
pub fn environment() -> *const *const c_char {
    let found = find(c"environ").cast::<*const *const c_char>();
    // SAFETY: null, or the variable; who changes the environment while he calls exec has a race of his own.
    if found.is_null() { std::ptr::null() } else { unsafe { found.read() } }
}
