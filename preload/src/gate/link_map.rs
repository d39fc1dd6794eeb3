//! The dynamic linker's own list of what is loaded, found without calling anything that another object may export:
//! preloaded libraries and sanitizers put functions of their own in the place of `dl_iterate_phdr` and the like.
//!
//! 1. The kernel's [`auxiliary`] vector leads to the executable's dynamic section.
//! 2. There the dynamic linker has left the address of `struct r_debug`, for debuggers (`link.h`).
//! 3. Where it has not (ld.so was started as a program), ld.so's own table of symbols has it.
#![allow(unsafe_code)]

use super::auxiliary::{self, Auxiliary};
use super::elf::{self, DT_DEBUG, Section};
use super::symbols::Symbols;
use libc::{Elf64_Ehdr, Elf64_Phdr};
use std::ffi::{CStr, c_char, c_int};

/// `struct r_debug`.
#[repr(C)]
struct Debug {
    version: c_int,
    map: *const LinkMap,
    breakpoint: usize,
    state: c_int,
    linker_base: usize,
}

/// The public start of `struct link_map`.
#[repr(C)]
struct LinkMap {
    base: usize,
    path: *const c_char,
    dynamic: usize,
    next: *const LinkMap,
    previous: *const LinkMap,
}

/// A loaded object.
pub struct Loaded {
    /// As the dynamic linker names it.
    pub path: Vec<u8>,
    /// Its dynamic section.
    pub section: Section,
}

/// Page size; ELF headers start a page.
const PAGE_BYTES: usize = 4096;

/// What is loaded, in the dynamic linker's order.
///
/// # Errors
/// Why the list was not found.
pub fn read() -> Result<Vec<Loaded>, &'static str> {
    let auxiliary = auxiliary::read().ok_or("the auxiliary vector can't be read: /proc is not mounted")?;
    let debug = from_executable(auxiliary).or_else(|| from_linker(auxiliary));
    // SAFETY: the dynamic linker's own record, which lives as long as it does.
    let debug = unsafe { (debug.unwrap_or_default() as *const Debug).as_ref() };
    let debug = debug.filter(|debug| debug.version >= 1).ok_or("the dynamic linker's list of objects was not found")?;
    let mut loaded = Vec::new();
    let mut next = debug.map;
    // SAFETY: an entry of the dynamic linker's list, or null at its end. What is loaded at the start stays loaded.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: its path, terminated, or null.
        let path = if entry.path.is_null() { &[] } else { unsafe { CStr::from_ptr(entry.path) }.to_bytes() };
        // SAFETY: its dynamic section.
        loaded.push(Loaded { path: path.to_vec(), section: unsafe { Section::new(entry.base, entry.dynamic) } });
        next = entry.next;
    }
    Ok(loaded)
}

/// The address in the executable's `DT_DEBUG`.
fn from_executable(auxiliary: Auxiliary) -> Option<usize> {
    // SAFETY: the kernel's own word for where the program's headers are, and how many.
    let headers = unsafe { headers(auxiliary.headers, auxiliary.headers_count) };
    let own = headers.iter().find(|header| header.p_type == libc::PT_PHDR)?;
    let base = auxiliary.headers.wrapping_sub(own.p_vaddr as usize);
    let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
    // SAFETY: the executable's dynamic section, which stays mapped.
    unsafe { Section::new(base, base.wrapping_add(dynamic.p_vaddr as usize)) }
        .value(DT_DEBUG)
        .filter(|debug| *debug != 0)
}

/// The address of ld.so's variable `_r_debug`.
fn from_linker(auxiliary: Auxiliary) -> Option<usize> {
    let base = match auxiliary.linker_base {
        0 => auxiliary.headers & !(PAGE_BYTES - 1),
        base => base,
    };
    // SAFETY: the kernel mapped ld.so there, and its header is in the first page.
    let bytes = if base == 0 { &[] } else { unsafe { std::slice::from_raw_parts(base as *const u8, PAGE_BYTES) } };
    let header: Elf64_Ehdr = elf::header(bytes)?;
    // SAFETY: the header says where the program headers are, and how many.
    let headers = unsafe { headers(base + header.e_phoff as usize, header.e_phnum.into()) };
    let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
    // SAFETY: ld.so's dynamic section, which stays mapped.
    let section = unsafe { Section::new(base, base + dynamic.p_vaddr as usize) };
    Symbols::of(&section)?.address(c"_r_debug")
}

/// # Safety
/// `count` program headers are there, or `start` is 0.
unsafe fn headers<'a>(start: usize, count: usize) -> &'a [Elf64_Phdr] {
    // SAFETY: by the caller's word.
    if start == 0 { &[] } else { unsafe { std::slice::from_raw_parts(start as *const Elf64_Phdr, count) } }
}
