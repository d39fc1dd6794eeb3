//! The records of ELF that are read, from memory and from files (System V ABI, AMD64).
#![allow(unsafe_code)]

use libc::{Elf64_Ehdr, Elf64_Phdr, Elf64_Shdr, Elf64_Sym};
use std::ffi::{CStr, c_char};

/// What may be read from any bytes: integers only, no padding that matters.
pub trait Record: Copy {}

impl Record for Elf64_Ehdr {}
impl Record for Elf64_Phdr {}
impl Record for Elf64_Shdr {}
impl Record for Elf64_Sym {}
impl Record for u32 {}
impl Record for i32 {}

/// The record at an offset; `None` past the end.
pub fn at<T: Record>(bytes: &[u8], offset: usize) -> Option<T> {
    let record = bytes.get(offset..)?.get(..size_of::<T>())?;
    // SAFETY: that many bytes are there, and any bytes make such a record.
    Some(unsafe { record.as_ptr().cast::<T>().read_unaligned() })
}

/// The file header at the start of `bytes`, if it is that of a 64-bit shared object or executable for this machine.
pub fn header(bytes: &[u8]) -> Option<Elf64_Ehdr> {
    const CLASS_64: u8 = 2;
    const LITTLE_ENDIAN: u8 = 1;
    let header: Elf64_Ehdr = at(bytes, 0)?;
    let is_known = header.e_ident[..6] == [0x7f, b'E', b'L', b'F', CLASS_64, LITTLE_ENDIAN]
        && header.e_machine == libc::EM_X86_64
        && usize::from(header.e_phentsize) == size_of::<Elf64_Phdr>();
    is_known.then_some(header)
}

/// The GNU build id among notes; empty if there is none.
pub fn build_id(notes: &[u8]) -> &[u8] {
    const GNU_BUILD_ID: u32 = 3;
    let mut start = 0;
    while let (Some(name), Some(content), Some(kind)) =
        (at::<u32>(notes, start), at::<u32>(notes, start + 4), at::<u32>(notes, start + 8))
    {
        let content_start = start + 12 + (name as usize).next_multiple_of(4);
        let content_end = content_start + content as usize;
        if kind == GNU_BUILD_ID && notes.get(start + 12..start + 16) == Some(b"GNU\0") {
            return notes.get(content_start..content_end).unwrap_or_default();
        }
        start = content_end.next_multiple_of(4);
    }
    &[]
}

/// An entry of a dynamic section.
#[repr(C)]
#[derive(Clone, Copy)]
struct Dynamic {
    tag: i64,
    value: usize,
}

/// The dynamic section of a loaded object.
#[derive(Clone, Copy)]
pub struct Section {
    base: usize,
    start: *const Dynamic,
}

/// A table of strings.
pub const DT_STRTAB: i64 = 5;
/// A table of symbols.
pub const DT_SYMTAB: i64 = 6;
/// The object's own name.
pub const DT_SONAME: i64 = 14;
/// Where the dynamic linker tells a debugger of its link map.
pub const DT_DEBUG: i64 = 21;
/// A hash table of symbols.
pub const DT_GNU_HASH: i64 = 0x6fff_fef5;

impl Section {
    /// The section at `start` in the object that is loaded at `base`.
    ///
    /// # Safety
    /// It is one, ends in `DT_NULL`, and stays mapped while it is used; or `start` is 0, and it has no entries.
    pub unsafe fn new(base: usize, start: usize) -> Self {
        Self { base, start: start as *const Dynamic }
    }

    /// The value of an entry.
    pub fn value(&self, tag: i64) -> Option<usize> {
        if self.start.is_null() {
            return None;
        }
        // SAFETY: by `new`'s contract.
        let entries = (0..).map(|index| unsafe { self.start.add(index).read() });
        entries.take_while(|entry| entry.tag != 0).find(|entry| entry.tag == tag).map(|entry| entry.value)
    }

    /// The address in an entry. The dynamic linker writes addresses over the offsets that most sections start with.
    pub fn address(&self, tag: i64) -> Option<usize> {
        self.value(tag).map(|value| if value < self.base { self.base + value } else { value })
    }

    /// The object's `DT_SONAME`.
    pub fn name(&self) -> Option<&CStr> {
        let (strings, offset) = (self.address(DT_STRTAB)?, self.value(DT_SONAME)?);
        // SAFETY: by `new`'s contract the section is that of a loaded object, and names are in its table of strings.
        Some(unsafe { CStr::from_ptr((strings + offset) as *const c_char) })
    }

    /// The object's load address.
    pub fn base(&self) -> usize {
        self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_is_found_behind_other_notes() {
        let note = |kind: u32, content: &[u8]| {
            let mut note = [4u32, content.len() as u32, kind].map(u32::to_le_bytes).concat();
            note.extend_from_slice(b"GNU\0");
            note.extend_from_slice(content);
            note
        };
        let notes = [note(5, &[1; 16]), note(3, &[7; 20])].concat();
        assert_eq!(build_id(&notes), [7; 20]);
        assert_eq!(build_id(&notes[..40]), [0u8; 0]);
        assert_eq!(build_id(&[0xff; 64]), [0u8; 0]);
    }
}
