//! Where the unwinder finds the tables: a panic never leaves this library, so they are this library's own.
//!
//! libgcc asks glibc 2.35's `_dl_find_object`. Older ones have none, and all would take the dynamic linker's lock, which
//! the thread that panics may hold.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

/// glibc's `struct dl_find_object` (`dlfcn.h`, 2.35).
#[repr(C)]
struct Found {
    flags: u64,
    map_start: *const c_void,
    map_end: *const c_void,
    link_map: *const c_void,
    eh_frame: *const c_void,
    reserved: [u64; 7],
}

unsafe extern "C" {
    // The linker's own names for this object's first byte and its end.
    static __ehdr_start: libc::Elf64_Ehdr;
    #[link_name = "_end"]
    static END: u8;
}

/// The index of this object's unwind tables.
fn index() -> Option<*const c_void> {
    // SAFETY: an ELF object begins with its header, which says where the program headers are.
    let (start, headers) = unsafe {
        let header = &__ehdr_start;
        let start = std::ptr::from_ref(header) as usize;
        let headers = (start + header.e_phoff as usize) as *const libc::Elf64_Phdr;
        (start, std::slice::from_raw_parts(headers, usize::from(header.e_phnum)))
    };
    let index = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME)?;
    Some((start + index.p_vaddr as usize) as *const c_void)
}

/// `_dl_find_object(address, result)`
unsafe extern "C" fn find_object(address: *const c_void, found: *mut Found) -> c_int {
    let start = (&raw const __ehdr_start).cast::<c_void>();
    let end = (&raw const END).cast::<c_void>();
    let Some(eh_frame) = index().filter(|_| (start..end).contains(&address)) else { return -1 };
    // SAFETY: the caller's structure.
    unsafe {
        found.write(Found {
            flags: 0,
            map_start: start,
            map_end: end,
            link_map: std::ptr::null(),
            eh_frame,
            reserved: [0; 7],
        });
    }
    0
}

super::provide! { "_dl_find_object" = crate::runtime::unwind::find_object; }
