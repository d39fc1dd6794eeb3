//! The objects of the C library that make system calls, as they lie in memory.
#![allow(unsafe_code)]

use super::elf;
use crate::runtime::{link_map, object};
use libc::Elf64_Phdr;
use std::ops::Range;
use std::os::fd::RawFd;

/// Their `DT_SONAME`s. Up to glibc 2.33 threads, message queues, timers and asynchronous look-ups have libraries of
/// their own; from 2.34 on all of that is in libc. No other library of glibc's has a `syscall` instruction.
pub const NAMES: [&str; 5] = [LIBC, LINKER, "libpthread.so.0", "librt.so.1", "libanl.so.1"];

/// The C library itself.
pub const LIBC: &str = "libc.so.6";

/// The dynamic linker.
pub const LINKER: &str = "ld-linux-x86-64.so.2";

/// Where an object's file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its path, as the dynamic linker names it.
    Path(Vec<u8>),
    /// Still open under this number.
    Open(RawFd),
}

/// A loaded ELF object.
#[derive(Clone, Debug)]
pub struct Object {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// Its file.
    pub place: Place,
    /// The executable segment, in addresses.
    pub text: Range<usize>,
    /// Where that segment starts in the file.
    pub text_offset: u64,
    /// GNU build id; empty if there is none.
    pub build_id: Vec<u8>,
    /// The names that it exports, once the dynamic linker has read them.
    pub tables: Option<object::Object>,
}

/// Those that are loaded; libc and ld.so are always among them.
///
/// # Errors
/// Which of the two was not found.
pub fn find() -> Result<Vec<Object>, &'static str> {
    let loaded = |map: &object::LinkMap| {
        let tables = object::Object::of(map);
        let name = named(tables.soname()?.to_bytes())?;
        let place = Place::Path(map.name().to_bytes().to_vec());
        // SAFETY: the dynamic linker has it loaded there.
        let object = unsafe { Object::loaded(name, place, map.base()) }?;
        Some(Object { tables: Some(tables), ..object })
    };
    let found: Vec<_> = link_map::all().filter_map(loaded).collect();
    let has = |name: &str| found.iter().any(|object| object.name == name);
    match (has(LIBC), has(LINKER)) {
        (true, true) => Ok(found),
        (false, _) => Err("the C library is not glibc, or its text was not found"),
        (_, false) => Err("the dynamic linker's text was not found"),
    }
}

/// The entry of [`NAMES`] that is the last component of `path`.
pub fn named(path: &[u8]) -> Option<&'static str> {
    NAMES.into_iter().find(|name| {
        let start = path.strip_suffix(name.as_bytes());
        start.is_some_and(|start| start.is_empty() || start.ends_with(b"/"))
    })
}

impl Object {
    /// The object whose first page is mapped at `base`.
    ///
    /// # Safety
    /// All its segments up to the executable one are mapped, and stay so.
    pub unsafe fn loaded(name: &'static str, place: Place, base: usize) -> Option<Self> {
        const PAGE_BYTES: usize = 4096;
        if base == 0 || !base.is_multiple_of(PAGE_BYTES) {
            return None;
        }
        // SAFETY: by the caller's word.
        let page = unsafe { std::slice::from_raw_parts(base as *const u8, PAGE_BYTES) };
        let header = elf::header(page)?;
        let headers: Vec<Elf64_Phdr> = (0..usize::from(header.e_phnum))
            .map_while(|index| elf::at(page, header.e_phoff as usize + index * size_of::<Elf64_Phdr>()))
            .collect();
        let range = |header: &Elf64_Phdr| {
            let start = base + header.p_vaddr as usize;
            start..start + header.p_filesz as usize
        };
        let text = headers.iter().find(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0)?;
        let readable_end = range(text).end;
        let notes = headers.iter().filter(|header| header.p_type == libc::PT_NOTE).map(range);
        let build_id = notes.filter(|notes| notes.end <= readable_end).find_map(|notes| {
            // SAFETY: notes lie in one of the first segments, which are mapped.
            let notes = unsafe { std::slice::from_raw_parts(notes.start as *const u8, notes.len()) };
            Some(elf::build_id(notes)).filter(|id| !id.is_empty())
        });
        let build_id = build_id.unwrap_or_default().to_vec();
        Some(Self { name, place, text: range(text), text_offset: text.p_offset, build_id, tables: None })
    }

    /// The executable segment's bytes.
    ///
    /// The slice must not be kept while the text is being rewritten.
    pub fn text_bytes(&self) -> &[u8] {
        // SAFETY: these objects stay mapped for ever, and their text is readable.
        unsafe { std::slice::from_raw_parts(self.text.start as *const u8, self.text.len()) }
    }
}
