//! The stand-in's own memory and copies: the library's, in place of libc's.
//!
//! A program's leak checker, or its search for data races, would find the embedded engine here and report it: memory that
//! only a page outside the heap points to, and words that several processes change at once. DAOS has no such thing in a
//! client.
#![allow(unsafe_code)]

#[allow(dead_code, reason = "what a fork child does with it")]
#[path = "../../../preload/src/allocator.rs"]
mod allocator;
#[path = "../../../preload/src/runtime/memory.rs"]
mod blocks;
#[allow(dead_code, reason = "nobody looks for libc's functions here")]
#[path = "../../../preload/src/runtime/bytes.rs"]
mod bytes;
#[path = "../../../preload/src/runtime/provide.rs"]
mod provide;

use provide::provide;

/// What [`bytes`] asks for libc's functions: here the plain ones stay.
#[allow(dead_code, reason = "as above")]
mod link_map {
    use std::ffi::CStr;

    pub fn find_in_libc(_name: &CStr) -> Option<*const ()> {
        None
    }
}

/// Memory of the program's, for what the program gives back.
pub fn of_program(bytes: usize) -> *mut libc::c_void {
    // SAFETY: a terminated name; the function of that name has this type.
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, c"malloc".as_ptr());
        if found.is_null() {
            return found;
        }
        std::mem::transmute::<*mut libc::c_void, unsafe extern "C" fn(usize) -> *mut libc::c_void>(found)(bytes)
    }
}

/// `clock_gettime(clock, time)`, past the program's: the stack that it writes to may be one that another thread had before.
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_long {
    // SAFETY: as the C function's.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) }
}

provide! { "clock_gettime" = crate::memory::clock_gettime; }
