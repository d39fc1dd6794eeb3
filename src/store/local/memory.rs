//! LMDB's memory, from this library's own allocator.
//!
//! libc's `malloc` has locks that a fork past libc's handlers (`clone` by its number, `_Fork`) leaves locked in the child,
//! where LMDB would wait for ever; the child of such a fork in a process with threads may read its files all the same.
//! `.cargo/config.toml` gives LMDB's sources these names in the place of libc's.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ffi::{c_char, c_void};

// In assembly, because Rust would export them.
std::arch::global_asm!(
    ".pushsection .text.sidestep_lmdb_memory, \"ax\", @progbits",
    ".irp name, malloc, calloc, realloc, free, strdup",
    ".globl sidestep_lmdb_\\name",
    ".hidden sidestep_lmdb_\\name",
    ".type sidestep_lmdb_\\name, @function",
    ".endr",
    "sidestep_lmdb_malloc: jmp {malloc}",
    "sidestep_lmdb_calloc: jmp {calloc}",
    "sidestep_lmdb_realloc: jmp {realloc}",
    "sidestep_lmdb_free: jmp {free}",
    "sidestep_lmdb_strdup: jmp {strdup}",
    ".popsection",
    malloc = sym malloc,
    calloc = sym calloc,
    realloc = sym realloc,
    free = sym free,
    strdup = sym strdup,
);

/// Called before LMDB is, so that the linker takes the names above along.
#[inline(never)]
pub fn take_along() {}

/// Bytes before each block, where its length stands; blocks are aligned so.
const HEAD_BYTES: usize = 16;

fn layout_of(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.checked_add(HEAD_BYTES)?, HEAD_BYTES).ok()
}

fn make(bytes: usize, make: unsafe fn(Layout) -> *mut u8) -> *mut c_void {
    let Some(layout) = layout_of(bytes) else { return std::ptr::null_mut() };
    // SAFETY: never empty, for it has a head.
    let block = unsafe { make(layout) };
    if block.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: the block is as long as its head at least, and aligned for it.
    unsafe {
        block.cast::<usize>().write(bytes);
        block.add(HEAD_BYTES).cast()
    }
}

/// malloc(3).
extern "C" fn malloc(bytes: usize) -> *mut c_void {
    make(bytes, alloc)
}

/// calloc(3).
extern "C" fn calloc(count: usize, bytes: usize) -> *mut c_void {
    count.checked_mul(bytes).map_or(std::ptr::null_mut(), |bytes| make(bytes, alloc_zeroed))
}

/// realloc(3).
///
/// # Safety
/// `old` is null or a block from here.
unsafe extern "C" fn realloc(old: *mut c_void, bytes: usize) -> *mut c_void {
    let new = make(bytes, alloc);
    if !new.is_null() && !old.is_null() {
        // SAFETY: by the caller's word; both are as long as what is copied.
        unsafe {
            let length = old.cast::<u8>().sub(HEAD_BYTES).cast::<usize>().read().min(bytes);
            std::ptr::copy_nonoverlapping(old.cast::<u8>(), new.cast(), length);
            free(old);
        }
    }
    new
}

/// free(3).
///
/// # Safety
/// As [`realloc`].
unsafe extern "C" fn free(old: *mut c_void) {
    if old.is_null() {
        return;
    }
    // SAFETY: by the caller's word: the head tells the length that the block was made with.
    unsafe {
        let block = old.cast::<u8>().sub(HEAD_BYTES);
        if let Some(layout) = layout_of(block.cast::<usize>().read()) {
            dealloc(block, layout);
        }
    }
}

/// strdup(3).
///
/// # Safety
/// `text` is a C string.
unsafe extern "C" fn strdup(text: *const c_char) -> *mut c_char {
    // SAFETY: by the caller's word.
    let text = unsafe { std::ffi::CStr::from_ptr(text) }.to_bytes_with_nul();
    let copy: *mut c_char = malloc(text.len()).cast();
    if !copy.is_null() {
        // SAFETY: as long as the text.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), copy, text.len()) };
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_and_keep_what_they_hold() {
        // SAFETY: blocks from here, each freed once.
        unsafe {
            let block: *mut u8 = calloc(4, 8).cast();
            assert_eq!(std::slice::from_raw_parts(block, 32), [0; 32]);
            block.write_bytes(7, 32);
            let block: *mut u8 = realloc(block.cast(), 100_000).cast();
            assert_eq!(std::slice::from_raw_parts(block, 32), [7; 32]);
            free(block.cast());
            free(std::ptr::null_mut());
            let copy = strdup(c"text".as_ptr());
            assert_eq!(std::ffi::CStr::from_ptr(copy), c"text");
            free(copy.cast());
            assert!(calloc(usize::MAX, 2).is_null());
        }
    }
}
