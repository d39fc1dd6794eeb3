//! Objects of the C library that are loaded later: by `dlopen` of something that needs libpthread (up to glibc 2.33),
//! or by `dlmopen`, which gives each namespace a libc of its own.
//!
//! 1. The dynamic linker's own `open` names one of them: its calls pass the gate like others.
//! 2. Its `mmap` of the executable segment is made here, and right after it the text is rewritten. Nothing of it runs
//!    yet, so no thread can be in the middle of anything.
//!
//! The dynamic linker does this under its own lock, one object after the other.
#![allow(unsafe_code)]

use super::cache::Cache;
use super::elf;
use super::objects::{self, Object, Place};
use super::status::Part;
use super::text::Company;
use crate::dispatch::Call;
use crate::{doors, serve};
use house::ground::kernel;
use libc::Elf64_Phdr;
use std::ffi::{CStr, c_char, c_long};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The dynamic linker's trampolines: by their records one knows its calls.
static ROOM: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// One more than the index of the name in [`objects::NAMES`] that the dynamic linker has opened last; 0 for another.
static OPENED: AtomicUsize = AtomicUsize::new(0);

/// From now on what the dynamic linker loads is looked at.
pub fn start(room: Range<usize>) {
    ROOM[0].store(room.start as u64, Ordering::Relaxed);
    ROOM[1].store(room.end as u64, Ordering::Relaxed);
}

/// Whether a site's record is one of the dynamic linker's.
fn is_linkers(record: u64) -> bool {
    (ROOM[0].load(Ordering::Relaxed)..ROOM[1].load(Ordering::Relaxed)).contains(&record)
}

/// Looks at a call that is about to be made. Gives its result if it was made here.
#[inline(always)]
pub fn look(record: u64, call: &Call) -> Option<i64> {
    const OPENS: [c_long; 2] = [libc::SYS_open, libc::SYS_openat];
    let number = call.number as c_long;
    if OPENS.contains(&number) && is_linkers(record) {
        note(call);
    } else if number == libc::SYS_mmap && OPENED.load(Ordering::Relaxed) != 0 && is_linkers(record) {
        return map(call);
    }
    None
}

/// The dynamic linker opens a file.
#[cold]
fn note(call: &Call) {
    let path = call.arguments[if call.number as c_long == libc::SYS_open { 0 } else { 1 }];
    // SAFETY: the dynamic linker's own path, terminated.
    let path = unsafe { CStr::from_ptr(path as *const c_char) };
    let name = objects::named(path.to_bytes());
    let index = objects::NAMES.iter().position(|known| Some(*known) == name);
    OPENED.store(index.map_or(0, |index| index + 1), Ordering::Relaxed);
}

/// The dynamic linker maps a part of the file that it has opened last.
#[cold]
fn map(call: &Call) -> Option<i64> {
    let [_, _, protection, _, file, offset] = call.arguments;
    if protection & libc::PROT_EXEC as u64 == 0 || (file as i32) < 0 {
        return None;
    }
    let index = OPENED.swap(0, Ordering::Relaxed).checked_sub(1)?;
    // SAFETY: the dynamic linker's call as it is.
    let mapped = unsafe { serve::kernel(call) };
    if let Ok(start @ 1..) = usize::try_from(mapped)
        && let Some(base) = base(file as i32, offset, start)
    {
        rewrite(objects::NAMES[index], file as i32, base);
    }
    Some(mapped)
}

/// The load address of the object whose executable segment has been mapped from `offset` of `file` to `start`.
fn base(file: i32, offset: u64, start: usize) -> Option<usize> {
    const PAGE_BYTES: u64 = 4096;
    let mut page = [0; PAGE_BYTES as usize];
    let length = rustix::io::pread(kernel::borrow(file), &mut page[..], 0).ok()?;
    let page = &page[..length];
    let header = elf::header(page)?;
    (0..usize::from(header.e_phnum))
        .map_while(|index| elf::at::<Elf64_Phdr>(page, header.e_phoff as usize + index * size_of::<Elf64_Phdr>()))
        .filter(|segment| segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_X != 0)
        .find(|segment| segment.p_offset & !(PAGE_BYTES - 1) == offset)
        .and_then(|segment| start.checked_sub((segment.p_vaddr & !(PAGE_BYTES - 1)) as usize))
}

fn rewrite(name: &'static str, file: i32, base: usize) {
    // SAFETY: the dynamic linker maps a file's segments in their order, so those up to the executable one are there.
    let object = unsafe { Object::loaded(name, Place::Open(file), base) };
    let mut part = object.as_ref().map(Part::of).unwrap_or_default();
    let rewritten = object.map(|object| super::rewrite(&object, &mut Cache::open(), Company::Alone, &mut part));
    // What the gate misses there the symbols may see.
    if !matches!(rewritten, Some(Ok(_))) {
        doors::widen();
    }
}
