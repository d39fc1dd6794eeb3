//! The environment that the program was started with, as far as the library reads it.
//!
//! A program may move or empty `environ`, export a `getenv` of its own, and write over the strings (as daemons do to show
//! what they are at). So the variables that matter are copied once, from where the kernel put them.
#![allow(unsafe_code)]

use super::block::Block;
use std::ffi::{CStr, CString, c_char};
use std::sync::atomic::{AtomicPtr, Ordering};

/// What variables that the library reads begin with: its own settings, where its files are, those that are handed on to
/// children for DAOS, and those of Rust's standard library.
const READ: [&[u8]; 12] = [
    b"SIDESTEP",
    b"HOME=",
    b"XDG_",
    b"DAOS_",
    b"D_IL_",
    b"D_LOG_",
    b"DD_",
    b"CRT_",
    b"FI_",
    b"OFI_",
    b"RUST_",
    b"DAOS=",
];

/// Rust's standard library lists the variables by this name. A list of no variables, until there is a copy.
static ENVIRON: AtomicPtr<*const c_char> = AtomicPtr::new((&raw const NONE).cast_mut().cast());

static NONE: usize = 0;

std::arch::global_asm!(
    ".globl environ",
    ".hidden environ",
    ".set environ, {environ}",
    environ = sym ENVIRON,
);

/// Copies the variables.
pub fn start(block: &Block) {
    let mut copy: Vec<*const c_char> = Vec::new();
    let mut next = block.environment();
    // SAFETY: the kernel's list, which ends with a null, and its strings.
    unsafe {
        while !(*next).is_null() {
            let variable = CStr::from_ptr(*next);
            if READ.iter().any(|start| variable.to_bytes().starts_with(start)) {
                copy.push(CString::from(variable).into_raw());
            }
            next = next.add(1);
        }
    }
    copy.push(std::ptr::null());
    ENVIRON.store(copy.leak().as_mut_ptr(), Ordering::Release);
}

/// `getenv(name)`
unsafe extern "C" fn getenv(name: *const c_char) -> *const c_char {
    // SAFETY: as the C function's; the list is a copy of ours, or the empty one.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes();
        let mut next = ENVIRON.load(Ordering::Acquire);
        while !(*next).is_null() {
            let value = CStr::from_ptr(*next).to_bytes().strip_prefix(name);
            if value.is_some_and(|rest| rest.first() == Some(&b'=')) {
                return (*next).add(name.len() + 1);
            }
            next = next.add(1);
        }
    }
    std::ptr::null()
}

super::provide! { "getenv" = crate::runtime::environment::getenv; }
