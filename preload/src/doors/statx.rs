//! `statx`, a door apart: an ordinary function in front of the naked one.
//!
//! Rust's standard library refers to `statx` weakly. A naked function is assembly, which the link-time optimiser can't
//! see, so the two would end up in one module as a global and a weak symbol, with a warning at each build.
#![allow(unsafe_code)]

use super::door::{Door, whole};
use super::shape::Shape;
use libc::{c_char, c_int, c_uint};

#[unsafe(link_section = "sidestep_doors")]
static DOOR: Door = Door::new("statx\0", libc::SYS_statx, Shape::Same, false);

/// The door of the C function of this name.
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statx(
    at: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    status: *mut libc::statx,
) -> c_int {
    // SAFETY: the caller's word is handed on.
    unsafe { door(at, path, flags, mask, status) }
}

#[unsafe(naked)]
unsafe extern "C" fn door(
    at: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    status: *mut libc::statx,
) -> c_int {
    whole!(DOOR)
}

const _: () = {
    // Two functions share an array only if their signatures are the same.
    let _ = [statx, libc::statx];
};
