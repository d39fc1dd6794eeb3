//! The records of ELF that are read, from memory and from files (System V ABI, AMD64).
#![allow(unsafe_code)]

use libc::{Elf64_Ehdr, Elf64_Phdr, Elf64_Shdr};

/// What may be read from any bytes: integers only, no padding that matters.
pub trait Record: Copy {}

impl Record for Elf64_Ehdr {}
impl Record for Elf64_Phdr {}
impl Record for Elf64_Shdr {}
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
