//! `malloc` and its kin for LMDB and the unwinder: blocks of the library's allocator, each behind a
//! header that says how it was asked for. Leak checkers and heap profilers of the program's do not see them.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

/// What lies right before a block.
#[repr(C)]
struct Header {
    /// The whole piece of memory, from its start on.
    start: *mut u8,
    layout: Layout,
}

/// What `malloc` promises.
const ALIGNMENT: usize = 16;

/// A block, by whichever way of `allocate`.
fn make(bytes: usize, alignment: usize, allocate: unsafe fn(Layout) -> *mut u8) -> *mut c_void {
    let room = size_of::<Header>().next_multiple_of(alignment);
    let Some(layout) = bytes.checked_add(room).and_then(|all| Layout::from_size_align(all, alignment).ok()) else {
        return null_mut();
    };
    // SAFETY: the layout has room for the header, so it is not empty; the header lies before the block.
    unsafe {
        let start = allocate(layout);
        if start.is_null() {
            return null_mut();
        }
        let block = start.add(room);
        block.cast::<Header>().sub(1).write(Header { start, layout });
        block.cast()
    }
}

/// `malloc(size)`
///
/// # Safety
/// Has no precondition; it is so declared for C.
pub unsafe extern "C" fn malloc(bytes: usize) -> *mut c_void {
    make(bytes, ALIGNMENT, alloc)
}

/// `calloc(count, size)`
unsafe extern "C" fn calloc(count: usize, bytes: usize) -> *mut c_void {
    count.checked_mul(bytes).map_or(null_mut(), |bytes| make(bytes, ALIGNMENT, alloc_zeroed))
}

/// `posix_memalign(pointer, alignment, size)`
unsafe extern "C" fn posix_memalign(block: *mut *mut c_void, alignment: usize, bytes: usize) -> c_int {
    let made = make(bytes, alignment.max(ALIGNMENT), alloc);
    if made.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: as the C function's.
    unsafe { block.write(made) };
    0
}

/// `free(block)`
///
/// # Safety
/// The block is null, or one of this module's that nobody uses any more.
pub unsafe extern "C" fn free(block: *mut c_void) {
    if !block.is_null() {
        // SAFETY: a block of `make`'s, which is given up.
        unsafe {
            let header = block.cast::<Header>().sub(1).read();
            dealloc(header.start, header.layout);
        }
    }
}

/// `realloc(block, size)`
unsafe extern "C" fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void {
    let made = make(bytes, ALIGNMENT, alloc);
    if !block.is_null() && !made.is_null() {
        // SAFETY: a block of `make`'s, whose header tells how long it is; the two do not overlap.
        unsafe {
            let header = block.cast::<Header>().sub(1).read();
            let there = header.layout.size() - block.offset_from_unsigned(header.start.cast());
            made.copy_from_nonoverlapping(block, there.min(bytes));
            free(block);
        }
    }
    made
}

/// `strdup(text)`
unsafe extern "C" fn strdup(text: *const c_char) -> *mut c_char {
    // SAFETY: as the C function's.
    let text = unsafe { CStr::from_ptr(text) }.to_bytes_with_nul();
    let made = make(text.len(), ALIGNMENT, alloc);
    if !made.is_null() {
        // SAFETY: as long as the text.
        unsafe { made.copy_from_nonoverlapping(text.as_ptr().cast(), text.len()) };
    }
    made.cast()
}

super::provide! {
    "malloc" = self::malloc;
    "calloc" = self::calloc;
    "posix_memalign" = self::posix_memalign;
    "free" = self::free;
    "realloc" = self::realloc;
    "strdup" = self::strdup;
}
