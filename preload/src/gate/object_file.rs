//! The file of a loaded object: what its code is, whatever somebody has made of it in memory.
//!
//! A debugger's breakpoints, the kernel's probes and other libraries that patch libc change the memory of a process,
//! never the file. So the sites are looked for here, and what memory has in another way is left alone.
//!
//! The file that is found under the object's path need not be the one that is mapped: a package may have been upgraded
//! since. Device and inode number don't tell, for overlay file systems show others in `/proc/self/maps` than to `stat`.
//! So what is compared is what matters: the build id, and the text.
#![allow(unsafe_code)]

use super::elf;
use super::objects::{Object, Place};
use house::ground::kernel;
use libc::{Elf64_Phdr, Elf64_Shdr};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, openat};
use rustix::io::pread;
use std::ops::Range;

/// One of several hundred bytes of text that somebody else may have changed: a library that patches each `syscall` of
/// libc, as we do, changes one in 300.
const CHANGED_SHARE: usize = 100;

/// No object of the C library is larger; libc has some 2 MB.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// What was read of an object's file.
#[derive(Debug)]
pub struct ObjectFile {
    text: Vec<u8>,
    code: Vec<Range<u32>>,
    function_starts: Vec<u32>,
}

/// An object's file, opened here or by the dynamic linker.
pub enum Opened {
    /// Opened here.
    Own(OwnedFd),
    /// Open under this number, which is the dynamic linker's.
    Borrowed(i32),
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(file) => file.as_fd(),
            Self::Borrowed(number) => kernel::borrow(*number),
        }
    }
}

/// Opens an object's file.
///
/// # Errors
/// It is not there.
pub fn open(object: &Object) -> Result<Opened, &'static str> {
    match &object.place {
        Place::Open(number) => Ok(Opened::Borrowed(*number)),
        Place::Path(path) => openat(CWD, path.as_slice(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map(Opened::Own)
            .map_err(|_| "the file of the C library can't be opened"),
    }
}

/// The attributes of an object's file, if it is there.
pub fn status(object: &Object) -> Option<Stat> {
    match &object.place {
        Place::Open(number) => fstat(kernel::borrow(*number)).ok(),
        Place::Path(path) => rustix::fs::stat(path.as_slice()).ok(),
    }
}

impl ObjectFile {
    /// Reads what is needed of the file of `object`.
    ///
    /// # Errors
    /// It can't be read, or is not the one that is mapped.
    pub fn read(object: &Object) -> Result<Self, &'static str> {
        let file = open(object)?;
        let not_elf = "the file of the C library is not an ELF object of this machine";
        let head = read_at(&file, 0, 64).ok_or(not_elf)?;
        let header = elf::header(&head).ok_or(not_elf)?;
        let segments_bytes = usize::from(header.e_phnum) * size_of::<Elf64_Phdr>();
        let segments = read_at(&file, header.e_phoff, segments_bytes).ok_or(not_elf)?;
        let segments: Vec<Elf64_Phdr> =
            (0..).step_by(size_of::<Elf64_Phdr>()).map_while(|offset| elf::at(&segments, offset)).collect();
        let of_kind = |kind| segments.iter().filter(move |segment| segment.p_type == kind);
        let content = |segment: &Elf64_Phdr| read_at(&file, segment.p_offset, segment.p_filesz as usize);

        let mut build_ids = of_kind(libc::PT_NOTE).filter_map(content).map(|notes| elf::build_id(&notes).to_vec());
        let build_id = build_ids.find(|id| !id.is_empty()).unwrap_or_default();
        let another = "the file of the C library is another than the one that is loaded";
        let text_segment = of_kind(libc::PT_LOAD).find(|segment| segment.p_flags & libc::PF_X != 0).ok_or(not_elf)?;
        let is_same_segment =
            text_segment.p_offset == object.text_offset && text_segment.p_filesz as usize == object.text.len();
        if build_id != object.build_id || !is_same_segment {
            return Err(another);
        }
        let text = content(text_segment).ok_or("the file of the C library can't be read")?;
        let changed = text.iter().zip(object.text_bytes()).filter(|(file, memory)| file != memory).count();
        if changed > text.len() / CHANGED_SHARE {
            return Err(another);
        }
        let sections_bytes = usize::from(header.e_shnum) * size_of::<Elf64_Shdr>();
        let sections = read_at(&file, header.e_shoff, sections_bytes).unwrap_or_default();
        let code = code(&sections, text_segment);
        let index = of_kind(libc::PT_GNU_EH_FRAME).next();
        let starts = index.and_then(|index| Some(function_starts(&content(index)?, index.p_vaddr, text_segment)));
        Ok(Self { text, code, function_starts: starts.unwrap_or_default() })
    }

    /// The executable segment.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The sections of the executable segment that are code, as offsets into it: before binutils 2.31 the segment has
    /// tables and constants as well, and a `syscall` that is found in a constant is none.
    pub fn code(&self) -> &[Range<u32>] {
        &self.code
    }

    /// Where functions start, as offsets into the text, ascending.
    pub fn function_starts(&self) -> &[u32] {
        &self.function_starts
    }
}

/// Bytes of a file; none if it is shorter.
fn read_at(file: impl AsFd, offset: u64, bytes: usize) -> Option<Vec<u8>> {
    let mut content = vec![0; Some(bytes).filter(|bytes| *bytes <= TEXT_BYTES_MAX)?];
    let mut done = 0;
    while done < bytes {
        match pread(&file, &mut content[done..], offset + done as u64) {
            Ok(0) => return None,
            Ok(read) => done += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    Some(content)
}

/// The text of a site as the file has it.
pub fn window(object: &Object, file: impl AsFd, range: Range<u32>) -> Option<Vec<u8>> {
    read_at(file, object.text_offset + u64::from(range.start), range.len())
}

/// The executable sections within the text segment; all of it where the file has no sections.
fn code(sections: &[u8], text: &Elf64_Phdr) -> Vec<Range<u32>> {
    const PROGRAM_BITS: u32 = 1;
    const EXECUTABLE: u64 = 4;
    let sections = (0..).step_by(size_of::<Elf64_Shdr>()).map_while(|offset| elf::at::<Elf64_Shdr>(sections, offset));
    let mut code: Vec<Range<u32>> = sections
        .filter(|section| section.sh_type == PROGRAM_BITS && section.sh_flags & EXECUTABLE != 0)
        .filter_map(|section| {
            let start = section.sh_addr.checked_sub(text.p_vaddr)?;
            let end = start.checked_add(section.sh_size).filter(|end| *end <= text.p_filesz)?;
            Some(start as u32..end as u32)
        })
        .collect();
    code.sort_by_key(|range| range.start);
    if code.is_empty() {
        code.push(0..text.p_filesz as u32);
    }
    code
}

/// The search table of `.eh_frame_hdr` (LSB 4.1), which is at address `start`.
fn function_starts(index: &[u8], start: u64, text: &Elf64_Phdr) -> Vec<u32> {
    // Version 1, a 4-byte pointer, a 4-byte count, a table of 4-byte offsets from here: what every linker emits.
    if index.len() < 12 || index[0] != 1 || index[2] != 0x03 || index[3] != 0x3b {
        return Vec::new();
    }
    let count = elf::at::<u32>(index, 8).unwrap_or(0);
    let mut starts: Vec<u32> = (0..count as usize)
        .map_while(|entry| elf::at::<i32>(index, 12 + entry * 8))
        .filter_map(|offset| start.checked_add_signed(offset.into())?.checked_sub(text.p_vaddr))
        .filter(|offset| *offset < text.p_filesz)
        .map(|offset| offset as u32)
        .collect();
    starts.sort_unstable();
    starts
}
