//! The two objects whose `syscall` instructions are rewritten: libc and ld.so, as they lie in memory.
#![allow(unsafe_code)]

use crate::runtime::link_map;
use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;

/// A loaded ELF object.
#[derive(Clone, Debug)]
pub struct Object {
    /// As the dynamic linker names it.
    pub path: Vec<u8>,
    /// Load address.
    pub base: usize,
    /// The executable segment, in addresses.
    pub text: Range<usize>,
    /// `.eh_frame_hdr`, in addresses; empty if there is none.
    pub unwind_index: Range<usize>,
    /// GNU build id; empty if there is none.
    pub build_id: Vec<u8>,
}

/// libc and ld.so, in this order.
///
/// # Errors
/// Which of the two was not found.
pub fn find() -> Result<[Object; 2], &'static str> {
    let address = |found: Option<*const ()>| found.map_or(0, |found| found as usize);
    // Any function of each would do.
    let addresses = [link_map::find_in_libc(c"gnu_get_libc_version"), link_map::find_in_linker(c"__tls_get_addr")];
    let mut search = Search { addresses: addresses.map(address), found: [None, None] };
    // SAFETY: `visit` gets the search back, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    match search.found {
        [Some(libc), Some(linker)] => Ok([libc, linker]),
        [None, _] => Err("the C library's text was not found"),
        [_, None] => Err("the dynamic linker's text was not found"),
    }
}

struct Search {
    addresses: [usize; 2],
    found: [Option<Object>; 2],
}

unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, search: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr hands over a live record, and `find` its search.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
    // SAFETY: the record says where the program headers are and how many.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let base = info.dlpi_addr as usize;
    let range = |header: &libc::Elf64_Phdr| {
        let start = base + header.p_vaddr as usize;
        start..start + header.p_memsz as usize
    };
    let text = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0)
        .map(range)
        .find(|text| search.addresses.iter().any(|address| text.contains(address)));
    let Some(text) = text else { return 0 };
    let unwind_index = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME).map_or(0..0, range);
    let notes = headers.iter().filter(|header| header.p_type == libc::PT_NOTE).map(range);
    // SAFETY: a PT_NOTE of a loaded object lies in one of its readable segments.
    let build_id = notes.into_iter().find_map(|notes| unsafe { build_id(notes) }).unwrap_or_default();
    // SAFETY: the dynamic linker's own string, or null.
    let path = if info.dlpi_name.is_null() { &[] } else { unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes() };
    let object = Object { path: path.to_vec(), base, text, unwind_index, build_id };
    for (address, found) in search.addresses.iter().zip(&mut search.found) {
        if object.text.contains(address) {
            *found = Some(object.clone());
        }
    }
    c_int::from(search.found.iter().all(Option::is_some))
}

/// Looks for `NT_GNU_BUILD_ID` among notes.
///
/// # Safety
/// `notes` is readable memory.
unsafe fn build_id(notes: Range<usize>) -> Option<Vec<u8>> {
    // SAFETY: by the caller's word.
    let notes = unsafe { std::slice::from_raw_parts(notes.start as *const u8, notes.len()) };
    let word = |at: usize| notes.get(at..at + 4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap_or_default()));
    let mut at = 0;
    while let (Some(name), Some(content), Some(kind)) = (word(at), word(at + 4), word(at + 8)) {
        let content_start = at + 12 + (name as usize).next_multiple_of(4);
        let content_end = content_start + content as usize;
        if kind == 3 && notes.get(at + 12..at + 16) == Some(b"GNU\0") {
            return notes.get(content_start..content_end).map(<[u8]>::to_vec);
        }
        at = content_end.next_multiple_of(4);
    }
    None
}

impl Object {
    /// The executable segment's bytes.
    ///
    /// The slice must not be kept while the text is being rewritten.
    pub fn text_bytes(&self) -> &[u8] {
        // SAFETY: libc and ld.so stay mapped for ever, and their text is readable.
        unsafe { std::slice::from_raw_parts(self.text.start as *const u8, self.text.len()) }
    }

    /// Where functions start, as offsets into the text, ascending: the search table of `.eh_frame_hdr` (LSB 4.1).
    pub fn function_starts(&self) -> Vec<u32> {
        if self.unwind_index.len() < 12 {
            return Vec::new();
        }
        // SAFETY: PT_GNU_EH_FRAME lies in a readable segment that stays mapped.
        let index =
            unsafe { std::slice::from_raw_parts(self.unwind_index.start as *const u8, self.unwind_index.len()) };
        // Version 1, a 4-byte pointer, a 4-byte count, a table of 4-byte offsets from here: what every linker emits.
        if index[0] != 1 || index[2] != 0x03 || index[3] != 0x3b {
            return Vec::new();
        }
        let word = |at: usize| i32::from_le_bytes(index[at..at + 4].try_into().unwrap_or_default());
        let count = (word(8) as usize).min((index.len() - 12) / 8);
        let start = |entry: usize| self.unwind_index.start.wrapping_add_signed(word(12 + entry * 8) as isize);
        (0..count).map(start).filter(|at| self.text.contains(at)).map(|at| (at - self.text.start) as u32).collect()
    }
}
