//! Keeps DAOS's libraries usable until the process is gone.
//!
//! `exit` runs the destructors of every library, and only then does libc write out what its streams still hold, and only
//! then comes the call that ends the process, at which the last bytes of every cache go to their store. By that time
//! libfabric and mercury would have torn down the network under us (seen: a segmentation fault in `NA_Addr_free` at the
//! end of a Python program that had not closed its file). So the objects that came with our `dlopen` lose theirs: the
//! length of the list in which the dynamic linker finds them becomes 0. The kernel gives back what they would have.
#![allow(unsafe_code)]

use crate::ground::guard::Quiet;
use rustix::mm::{MprotectFlags, mprotect};
use std::ffi::{c_int, c_void};

/// The tag of a dynamic section's end, and of the length of the list of destructors, in bytes (ELF gABI, chapter 5).
const DT_NULL: u64 = 0;
const DT_FINI_ARRAYSZ: u64 = 28;

/// mprotect counts in pages of this many bytes on every machine that Sidestep runs on.
const PAGE_BYTES: usize = 4096;

/// Entries of a dynamic section that are looked at, where its end is not marked.
const ENTRIES_COUNT_MAX: usize = 1024;

/// An entry of a dynamic section.
#[repr(C)]
struct Entry {
    tag: u64,
    value: u64,
}

/// A loaded object, by its dynamic section.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    dynamic: usize,
    /// Whether the linker made the section read-only when it was done.
    is_sealed: bool,
}

/// All objects that are loaded now.
pub fn loaded() -> Vec<Object> {
    let mut found: Vec<Object> = Vec::new();
    let _quiet = Quiet::enter();
    // SAFETY: `note` has the type that is asked for, and gets this list back.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut found).cast()) };
    found
}

/// Called by the dynamic linker for each object.
unsafe extern "C" fn note(info: *mut libc::dl_phdr_info, _size: usize, found: *mut c_void) -> c_int {
    // SAFETY: the linker's own description of an object, and the list of `loaded`.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<Object>>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the object's program headers, which stay mapped as long as it is loaded.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    if let Some(section) = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) {
        let is_sealed = headers.iter().any(|header| {
            header.p_type == libc::PT_GNU_RELRO
                && (header.p_vaddr..header.p_vaddr.saturating_add(header.p_memsz)).contains(&section.p_vaddr)
        });
        let dynamic = info.dlpi_addr.wrapping_add(section.p_vaddr) as usize;
        found.push(Object { dynamic, is_sealed });
    }
    0
}

/// The objects that are loaded and not among `before` will not be torn down at the process's end.
pub fn leave_out_since(before: &[Object]) {
    for object in loaded() {
        if !before.iter().any(|known| known.dynamic == object.dynamic) {
            leave_out(object);
        }
    }
}

fn leave_out(object: Object) {
    let Some(entry) = length_of_list(object.dynamic) else { return };
    let first = entry as usize & !(PAGE_BYTES - 1);
    let length_bytes = (entry as usize + size_of::<Entry>()).next_multiple_of(PAGE_BYTES) - first;
    let protect = |flags| {
        // SAFETY: whole pages of the object's own data; they are only made writable, and read-only again as they were.
        unsafe { mprotect(first as *mut c_void, length_bytes, flags) }
    };
    let writable = MprotectFlags::READ | MprotectFlags::WRITE;
    if object.is_sealed && protect(writable).is_err() {
        return;
    }
    // SAFETY: an entry of a loaded object, writable now; nobody but the linker reads it, and that at the end.
    unsafe { (&raw mut (*entry).value).write_volatile(0) };
    if object.is_sealed {
        // If it fails the page stays writable, as it would be without a seal.
        let _ = protect(MprotectFlags::READ);
    }
}

/// The entry that tells how long the list of destructors is.
fn length_of_list(dynamic: usize) -> Option<*mut Entry> {
    let entries = dynamic as *mut Entry;
    for index in 0..ENTRIES_COUNT_MAX {
        // SAFETY: a dynamic section ends with a null entry, and none is as long as the bound.
        let entry = unsafe { entries.add(index) };
        // SAFETY: as above.
        match unsafe { (*entry).tag } {
            DT_FINI_ARRAYSZ => return Some(entry),
            DT_NULL => return None,
            _ => {}
        }
    }
    None
}
